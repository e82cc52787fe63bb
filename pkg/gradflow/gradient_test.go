package gradflow_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	mlmodel "github.com/gomlx/gomlx/ml/model"
	"github.com/gradbook/gradbook/pkg/activation"
	"github.com/gradbook/gradbook/pkg/gradflow"
	"github.com/gradbook/gradbook/pkg/initializer"
)

// nudged is a net whose layers' z and h are shifted by variables, zero at first, that nobody trains: a change of one of their entries is a change of that entry
// of z or h alone, so that central differences of the loss by it are delta and dL/dh.
type nudged struct{ mlp }

func (n nudged) logits(scope *mlmodel.Scope, x *graph.Node) *graph.Node {
	g := x.Graph()
	batch := x.Shape().Dimensions[0]
	h := x
	for l := range n.layers() {
		at := scope.In("%s", n.name(l))
		nudge := func(name string) *graph.Node {
			v := at.Store().VariableWithValue("/"+n.name(l)+"/"+name, tensors.FromFlatDataAndDimensions(make([]float64, batch*n.sizes[l+1]), batch, n.sizes[l+1]))
			return v.SetTrainable(false).NodeValue(g)
		}
		w, b := at.GetVariable("W").NodeValue(g), at.GetVariable("b").NodeValue(g)
		z := graph.Add(graph.Add(graph.Dot(h, w).Product(), graph.ExpandDims(b, 0)), nudge("dz"))
		act := n.act
		if l == n.layers()-1 {
			act = activation.Linear
		}
		out := act.Graph(z)
		if n.residual && l > 0 && l < n.layers()-1 {
			out = graph.Add(h, out)
		}
		h = graph.Add(out, nudge("dh"))
		gradflow.Tap(h, n.name(l), gradflow.PreActivation(z), gradflow.Weights(w), gradflow.Bias(b), gradflow.Activation(act))
		if n.norm && l < n.layers()-1 {
			mean := graph.ReduceAndKeep(h, graph.ReduceMean, 0)
			h = graph.Sub(h, mean)
			h = graph.Div(h, graph.Sqrt(graph.AddScalar(graph.ReduceAndKeep(graph.Square(h), graph.ReduceMean, 0), 1e-3)))
		}
	}
	return h
}

// differences returns the central differences of the loss by the entries of a variable.
func differences(t *testing.T, loss func() float64, v *mlmodel.Variable) []float64 {
	t.Helper()
	const step = 1e-5
	start := tensors.MustCopyFlatData[float64](v.MustValue())
	dims := v.Shape().Dimensions
	at := func(i int, by float64) float64 {
		values := append([]float64(nil), start...)
		if i >= 0 {
			values[i] += by
		}
		must(t, v.SetValue(tensors.FromFlatDataAndDimensions(values, dims...)))
		return loss()
	}
	result := make([]float64, len(start))
	for i := range start {
		result[i] = (at(i, step) - at(i, -step)) / (2 * step)
	}
	at(-1, 0)
	return result
}

func TestGradientsAgreeWithCentralDifferences(t *testing.T) {
	type test struct {
		name string
		net  mlp
	}
	var tests []test
	for _, act := range activation.All() {
		if act == activation.Step {
			continue // no gradient passes it
		}
		tests = append(tests, test{act.String(), mlp{act: act}})
	}
	tests = append(tests, test{"residual", mlp{act: activation.Tanh, residual: true}}, test{"normalised", mlp{act: activation.Tanh, norm: true}},
		test{"residual and normalised", mlp{act: activation.GELU, residual: true, norm: true}})
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			n := nudged{test.net}
			n.sizes, n.weights, n.sigmaB, n.dtype = []int{4, 5, 5, 3}, initializer.Normal(1.2), 0.3, dtypes.Float64
			store := n.store(t, 5)
			x, y := n.batch(3, 6)
			meter, err := gradflow.NewMeter(theBackend(), store, n.logits, crossEntropy, gradflow.Options{Tensors: true})
			must(t, err)
			report, err := meter.Measure(x, y)
			must(t, err)
			for _, l := range report.Layers {
				for i, z := range tensors.MustCopyFlatData[float64](l.Tensors.Z) {
					for _, kink := range l.Activation.Kinks() {
						if math.Abs(z-kink) < 1e-3 {
							t.Fatalf("z[%d] of %s is %g, too near to the kink at %g for differences; take another seed", i, l.Name, z, kink)
						}
					}
				}
			}
			exec, err := mlmodel.NewExec(theBackend(), store, func(scope *mlmodel.Scope, args []*graph.Node) *graph.Node {
				return graph.ReduceAllMean(crossEntropy(args[1:], []*graph.Node{n.logits(scope, args[0])}))
			})
			must(t, err)
			loss := func() float64 {
				results, err := exec.Call(x, y)
				must(t, err)
				return tensors.ToScalar[float64](results[0])
			}
			for _, l := range report.Layers {
				for _, of := range []struct {
					variable string
					gradient *tensors.Tensor
					norm     float64
				}{{"W", l.Tensors.WGrad, l.WGradNorm}, {"b", l.Tensors.BGrad, l.BGradNorm}, {"dz", l.Tensors.Delta, l.DeltaNorm}, {"dh", l.Tensors.HGrad, l.HGradNorm}} {
					got := tensors.MustCopyFlatData[float64](of.gradient)
					want := differences(t, loss, store.GetVariable("/"+l.Name+"/"+of.variable))
					largest, squares := 0.0, 0.0
					for i := range got {
						largest, squares = max(largest, math.Abs(got[i])), squares+got[i]*got[i]
					}
					if largest == 0 {
						t.Errorf("%s of %s: the gradient is 0", of.variable, l.Name)
					}
					for i := range got {
						if math.Abs(got[i]-want[i]) > 1e-6*largest {
							t.Errorf("%s of %s, entry %d: gradient %g, central difference %g (largest entry %g)", of.variable, l.Name, i, got[i], want[i], largest)
						}
					}
					if math.Abs(of.norm-math.Sqrt(squares)) > 1e-12*of.norm {
						t.Errorf("%s of %s: norm %g, of the tensor %g", of.variable, l.Name, of.norm, math.Sqrt(squares))
					}
				}
			}
		})
	}
}

// The statistics of a report are those of the tensors, computed here in the plainest way.
func TestStatisticsAreTheTensors(t *testing.T) {
	for _, act := range []activation.Activation{activation.ReLU, activation.Sigmoid, activation.Step, activation.ELU, activation.Linear} {
		t.Run(act.String(), func(t *testing.T) {
			n := mlp{sizes: []int{7, 9, 8, 3}, act: act, weights: initializer.Normal(3), sigmaB: 2, dtype: dtypes.Float32}
			x, y := n.batch(1, 12)
			bins := gradflow.Bins{Count: 5, Low: -1, High: 1.5}
			meter, err := gradflow.NewMeter(theBackend(), n.store(t, 2), n.logits, crossEntropy, gradflow.Options{Tensors: true, LearningRate: 0.1, Histogram: bins, Pair: []int{3, 7}})
			must(t, err)
			report, err := meter.Measure(x, y)
			must(t, err)
			for _, l := range report.Layers {
				h, z := float32s(l.Tensors.H), float32s(l.Tensors.Z)
				near(t, l.Name+" mean", l.Mean, mean(h))
				near(t, l.Name+" variance", l.Variance, variance(h))
				near(t, l.Name+" z mean", l.ZMean, mean(z))
				near(t, l.Name+" z variance", l.ZVariance, variance(z))
				low, high := l.Activation.Saturation()
				saturated := 0.0
				for _, v := range z {
					if v < low || v > high {
						saturated++
					}
				}
				near(t, l.Name+" saturated", l.Saturated, saturated/float64(len(z)))
				low, high = l.Activation.Dead()
				dead, spread, dots := 0.0, 0.0, 0.0
				for u := range l.Units {
					isDead := true
					var column []float64
					for b := range report.Batch {
						v := z[b*l.Units+u]
						isDead = isDead && (v <= low || v >= high)
						column = append(column, v)
					}
					if isDead {
						dead++
					}
					spread += variance(column) / float64(l.Units)
				}
				near(t, l.Name+" dead", l.Dead, dead/float64(l.Units))
				near(t, l.Name+" batch variance", l.BatchVariance, spread)
				own := 0.0
				for a := range report.Batch {
					for b := range report.Batch {
						dot := 0.0
						for u := range l.Units {
							dot += z[a*l.Units+u] * z[b*l.Units+u]
						}
						if a == b {
							own += dot / float64(report.Batch)
						} else {
							dots += dot / float64(report.Batch*(report.Batch-1))
						}
					}
				}
				near(t, l.Name+" correlation", l.Correlation, dots/own)
				near(t, l.Name+" pair", l.Pair.Correlation, cosine(z[3*l.Units:4*l.Units], z[7*l.Units:8*l.Units]))
				near(t, l.Name+" cosine", l.Pair.Cosine, cosine(h[3*l.Units:4*l.Units], h[7*l.Units:8*l.Units]))
				near(t, l.Name+" update", l.UpdateRatio, 0.1*norm(float32s(l.Tensors.WGrad))/norm(float32s(l.Tensors.W)))
				near(t, l.Name+" sigma_w^2", l.SigmaW2, float64(l.FanIn)*mean(squares(float32s(l.Tensors.W))))
				near(t, l.Name+" sigma_b^2", l.SigmaB2, mean(squares(float32s(l.Tensors.B))))
				for what, pair := range map[string]struct {
					h      *gradflow.Histogram
					values []float64
				}{"h": {l.Histogram, h}, "z": {l.ZHistogram, z}} {
					want := gradflow.Histogram{Low: bins.Low, High: bins.High, Counts: make([]int, bins.Count)}
					for _, v := range pair.values {
						switch i := int(math.Floor((v - bins.Low) / (bins.High - bins.Low) * float64(bins.Count))); {
						case i < 0:
							want.Below++
						case i >= bins.Count:
							want.Above++
						default:
							want.Counts[i]++
						}
					}
					if got, want := fmt.Sprint(*pair.h), fmt.Sprint(want); got != want {
						t.Errorf("%s: histogram of %s is %s, counted %s", l.Name, what, got, want)
					}
				}
			}
		})
	}
}

func float32s(t *tensors.Tensor) []float64 {
	var wide []float64
	for _, v := range tensors.MustCopyFlatData[float32](t) {
		wide = append(wide, float64(v))
	}
	return wide
}

func mean(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}

func squares(v []float64) []float64 {
	s := make([]float64, len(v))
	for i, x := range v {
		s[i] = x * x
	}
	return s
}

func variance(v []float64) float64 {
	m := mean(v)
	sum := 0.0
	for _, x := range v {
		sum += (x - m) * (x - m)
	}
	return sum / float64(len(v))
}

func norm(v []float64) float64 { return math.Sqrt(mean(squares(v)) * float64(len(v))) }

func cosine(a, b []float64) float64 {
	dot := 0.0
	for i := range a {
		dot += a[i] * b[i]
	}
	return dot / norm(a) / norm(b)
}

// near fails unless the two agree to float32's precision; both NaN is agreement.
func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.IsNaN(got) && math.IsNaN(want) || math.Abs(got-want) <= 2e-6*(1+math.Abs(want)) {
		return
	}
	t.Errorf("%s is %g, want %g", what, got, want)
}
