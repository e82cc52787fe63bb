package gradflow_test

import (
	"math"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers"
	mlmodel "github.com/gomlx/gomlx/ml/model"
	"github.com/gradbook/gradbook/pkg/activation"
	"github.com/gradbook/gradbook/pkg/gradflow"
	"github.com/gradbook/gradbook/pkg/initializer"
)

// blind hides from the taps what makes their layers plain, so that autodiff must do what the closed form does.
func blind(n mlp) func(*mlmodel.Scope, *graph.Node) *graph.Node {
	n.untapped = true
	return func(scope *mlmodel.Scope, x *graph.Node) *graph.Node {
		h := x
		for l := range n.layers() {
			at := scope.In("%s", n.name(l))
			w, b := at.GetVariable("W").NodeValue(x.Graph()), at.GetVariable("b").NodeValue(x.Graph())
			z := graph.Add(graph.Dot(h, w).Product(), graph.ExpandDims(b, 0))
			if l < n.layers()-1 {
				z = n.act.Graph(z)
			}
			h = gradflow.Tap(z, n.name(l))
		}
		return h
	}
}

func TestSingularValuesOfPlainLayersAreThoseOfAutodiff(t *testing.T) {
	n := mlp{sizes: []int{5, 7, 6, 3}, act: activation.Tanh, weights: initializer.Normal(1.5), sigmaB: 0.5, dtype: dtypes.Float64}
	x, y := n.batch(1, 4)
	options := gradflow.Options{SingularValues: 3, InputJacobian: 3}
	var reports []*gradflow.Report
	for _, model := range []func(*mlmodel.Scope, *graph.Node) *graph.Node{n.logits, blind(n)} {
		meter, err := gradflow.NewMeter(theBackend(), n.store(t, 1), model, crossEntropy, options)
		must(t, err)
		report, err := meter.Measure(x, y)
		must(t, err)
		reports = append(reports, report)
	}
	product := 1.0
	for i, l := range reports[0].Layers {
		other := reports[1].Layers[i]
		if l.SingularValues.Method != "diag(phi') W^T" || other.SingularValues.Method != "autodiff rows" || !l.Plain || other.Plain {
			t.Fatalf("%s: methods %q and %q, plain %t and %t", l.Name, l.SingularValues.Method, other.SingularValues.Method, l.Plain, other.Plain)
		}
		if len(l.SingularValues.Values) != min(n.sizes[i], n.sizes[i+1]) {
			t.Errorf("%s has %d singular values", l.Name, len(l.SingularValues.Values))
		}
		for j, v := range l.SingularValues.Values {
			if w := other.SingularValues.Values[j]; math.Abs(v-w) > 1e-12 || v <= 0 {
				t.Errorf("singular value %d of %s is %g in closed form and %g by autodiff", j, l.Name, v, w)
			}
		}
		product *= l.SingularValues.Max()
	}
	exact := reports[0].InputJacobian
	if exact.Method != "exact" || exact.Norm <= 0 || exact.Norm > product*math.Sqrt(3) {
		t.Errorf("|d output/d input| is %g (%s); the layers' largest singular values allow no more than %g", exact.Norm, exact.Method, product*math.Sqrt(3))
	}
	options = gradflow.Options{InputJacobian: 3, Probes: 400, Seed: 5}
	meter, err := gradflow.NewMeter(theBackend(), n.store(t, 1), n.logits, crossEntropy, options)
	must(t, err)
	report, err := meter.Measure(x, y)
	must(t, err)
	if got := report.InputJacobian; math.Abs(got.Norm/exact.Norm-1) > 0.1 || !strings.Contains(got.Method, "400 probes") || !strings.Contains(got.Method, "seed 5") {
		t.Errorf("estimated %g by %s, exactly %g", got.Norm, got.Method, exact.Norm)
	}
}

// Layers of GoMLX's own, a fused operation on the pure-Go backend, are plain; a layer whose weights lie as [out, in] is not, square as they may be. What the closed
// form gives for the plain ones is what autodiff gives for layers of which nothing is known.
func TestPlainIsReadFromTheGraph(t *testing.T) {
	const width = 6
	type dense func(scope *mlmodel.Scope, x *graph.Node) (z, w, b *graph.Node)
	ofGoMLX := func(scope *mlmodel.Scope, x *graph.Node) (z, w, b *graph.Node) {
		z = layers.Dense(scope, x, true, width)
		return z, scope.Store().GetVariable(scope.Scope() + "/dense/weights").NodeValue(x.Graph()), scope.Store().GetVariable(scope.Scope() + "/dense/biases").NodeValue(x.Graph())
	}
	own := func(product func(x, w *graph.Node) *graph.Node) dense {
		return func(scope *mlmodel.Scope, x *graph.Node) (z, w, b *graph.Node) {
			w = scope.VariableWithShape("W", shapes.Make(x.DType(), width, width)).NodeValue(x.Graph())
			return product(x, w), w, nil
		}
	}
	for _, test := range []struct {
		name  string
		layer dense
		plain bool
	}{
		{"layers.Dense", ofGoMLX, true},
		{"x W", own(func(x, w *graph.Node) *graph.Node { return graph.MatMul(x, w) }), true},
		{"x W, W first", own(func(x, w *graph.Node) *graph.Node { return graph.Einsum("io,bi->bo", w, x) }), false},
		{"x W^T", own(func(x, w *graph.Node) *graph.Node { return graph.MatMul(x, graph.Transpose(w, 0, 1)) }), false},
		{"x W^T by axes", own(func(x, w *graph.Node) *graph.Node { return graph.Einsum("bi,oi->bo", x, w) }), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			store := mlmodel.NewStore()
			model := func(blind bool) func(scope *mlmodel.Scope, x *graph.Node) *graph.Node {
				return func(scope *mlmodel.Scope, x *graph.Node) *graph.Node {
					for _, name := range []string{"h1", "h2", "h3"} {
						z, w, b := test.layer(scope.In("%s", name), x)
						options := []gradflow.TapOption{gradflow.PreActivation(z), gradflow.Weights(w), gradflow.Bias(b), gradflow.Activation(activation.Tanh)}
						if blind {
							options = nil
						}
						x = gradflow.Tap(graph.Tanh(z), name, options...)
					}
					return x
				}
			}
			x, y := mlp{sizes: []int{width, width}, dtype: dtypes.Float64}.batch(1, 8)
			var reports []*gradflow.Report
			for _, blind := range []bool{false, true} {
				meter, err := gradflow.NewMeter(theBackend(), store, model(blind), crossEntropy, gradflow.Options{SingularValues: 2})
				must(t, err)
				report, err := meter.Measure(x, y)
				must(t, err)
				reports = append(reports, report)
			}
			for i, l := range reports[0].Layers {
				if l.Plain != test.plain {
					t.Errorf("%s: plain is %t", l.Name, l.Plain)
				}
				for j, v := range l.SingularValues.Values {
					if w := reports[1].Layers[i].SingularValues.Values[j]; math.Abs(v-w) > 1e-12 || v <= 0 {
						t.Errorf("%s: singular value %d is %g, of an unknown layer %g", l.Name, j, v, w)
					}
				}
			}
			if factor := reports[0].Theory().Layers[0].Factor; math.IsNaN(factor) == test.plain {
				t.Errorf("theory's factor is %g", factor)
			}
		})
	}
}

// A linear net's input-output Jacobian is the product of its weights.
func TestInputJacobianOfALinearNet(t *testing.T) {
	n := mlp{sizes: []int{4, 6, 3}, act: activation.Linear, weights: initializer.Normal(1), dtype: dtypes.Float64}
	store := n.store(t, 1)
	x, y := n.batch(1, 5)
	meter, err := gradflow.NewMeter(theBackend(), store, n.logits, crossEntropy, gradflow.Options{InputJacobian: 5, Tensors: true})
	must(t, err)
	report, err := meter.Measure(x, y)
	must(t, err)
	exec, err := mlmodel.NewExec(theBackend(), store, func(_ *mlmodel.Scope, args []*graph.Node) *graph.Node {
		return graph.Sqrt(graph.ReduceAllSum(graph.Square(graph.Dot(args[0], args[1]).Product())))
	})
	must(t, err)
	results, err := exec.Call(report.Layers[0].Tensors.W, report.Layers[1].Tensors.W)
	must(t, err)
	if want := results[0].Value().(float64); math.Abs(report.InputJacobian.Norm-want) > 1e-12*want {
		t.Errorf("|d output/d input| is %g, |W1 W2| is %g", report.InputJacobian.Norm, want)
	}
}

// Under batch normalisation an example's z depends on the others; the Jacobian is that of an example by itself, as small steps show.
func TestJacobiansWhereExamplesAreCoupled(t *testing.T) {
	act := activation.Tanh
	n := mlp{sizes: []int{3, 4, 4, 2}, act: act, weights: initializer.Normal(1.2), sigmaB: 0.2, dtype: dtypes.Float64, norm: true}
	normed := nudged{n}
	x, y := n.batch(1, 5)
	meter, err := gradflow.NewMeter(theBackend(), n.store(t, 1), normed.logits, crossEntropy, gradflow.Options{InputJacobian: 2, SingularValues: 2})
	must(t, err)
	report, err := meter.Measure(x, y)
	must(t, err)
	squares := 0.0
	values := floats64(x)
	exec, err := mlmodel.NewExec(theBackend(), n.store(t, 1), normed.logits)
	must(t, err)
	at := func(i int, by float64) []float64 {
		moved := append([]float64(nil), values...)
		moved[i] += by
		input, err := initializer.Tensor(moved, dtypes.Float64, 5, 3)
		must(t, err)
		results, err := exec.Call(input)
		must(t, err)
		return floats64(results[0])
	}
	for e := range 2 {
		for i := range 3 {
			high, low := at(e*3+i, 1e-5), at(e*3+i, -1e-5)
			for k := range 2 {
				d := (high[e*2+k] - low[e*2+k]) / 2e-5
				squares += d * d / 2
			}
		}
	}
	if got, want := report.InputJacobian.Norm, math.Sqrt(squares); math.Abs(got-want) > 1e-7*want {
		t.Errorf("|d output/d input| is %g, by differences %g", got, want)
	}
	if s := report.Layer("h2").SingularValues; s == nil || s.Method != "autodiff rows" || len(s.Values) != 4 || !(s.Max() > 0) {
		t.Errorf("singular values of a layer behind a normalisation: %+v", s)
	}
}

func floats64(t *tensors.Tensor) []float64 { return tensors.MustCopyFlatData[float64](t) }
