package backend_test

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	mlmodel "github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train/loss"

	"github.com/gradbook/gradbook/pkg/activation"
	"github.com/gradbook/gradbook/pkg/backend"
	"github.com/gradbook/gradbook/pkg/gradflow"
	"github.com/gradbook/gradbook/pkg/initializer"
	"github.com/gradbook/gradbook/pkg/model"
)

// devices are the backends of every device that this module computes on, those that this machine has; of the others it says why not.
func devices(t *testing.T) map[string]compute.Backend {
	t.Helper()
	list := map[string]compute.Backend{"go": must(backend.New("go"))(t)}
	installed := backend.Plugins()
	for _, name := range []string{"cpu", "cuda"} {
		i := slices.IndexFunc(installed, func(p backend.Plugin) bool { return p.Name == name || strings.HasPrefix(p.Name, name+"_v") })
		switch {
		case i < 0:
			t.Logf("xla:%s is not tested: no such plugin in %s", name, strings.Join(backend.Folders(), ", "))
		case installed[i].Err != nil:
			t.Logf("xla:%s is not tested: %v", name, installed[i].Err)
		default:
			list["xla:"+name] = must(backend.New("xla:" + name))(t)
		}
	}
	return list
}

func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// deviceNet is a net and the shape of its examples. Activations are smooth: at a kink, rounding alone would decide between two gradients.
type deviceNet struct {
	config func(dtypes.DType) model.Config
	input  []int
}

var deviceNets = map[string]deviceNet{
	"MLP": {func(d dtypes.DType) model.Config {
		return model.MLP{Inputs: 30, Outputs: 10, Depth: 8, Width: 32, Activation: activation.Tanh, SigmaB: 0.1, DType: d}
	}, []int{30}},
	"residual net with batch norm": {func(d dtypes.DType) model.Config {
		return model.ConvNet{N: 1, Image: [3]int{8, 8, 3}, Classes: 10, Channels: 4, Residual: true, Norm: model.BatchNorm, Activation: activation.Tanh,
			Weights: initializer.LeCun(), DType: d}
	}, []int{8, 8, 3}},
	"LSTM": {func(d dtypes.DType) model.Config {
		return model.Recurrent{Cell: model.LSTM, Inputs: 5, Hidden: 16, Outputs: 10, Steps: 6, ForgetBias: 1, DType: d}
	}, []int{6, 5}},
}

// deviceBatch draws 32 examples, the same for each call with a shape.
func deviceBatch(shape []int) (x, labels *tensors.Tensor) {
	const n = 32
	size := n
	for _, d := range shape {
		size *= d
	}
	r := rand.New(rand.NewPCG(5, 7))
	values, classes := make([]float32, size), make([]int32, n)
	for i := range values {
		values[i] = float32(r.NormFloat64())
	}
	for i := range classes {
		classes[i] = int32(r.IntN(10))
	}
	return tensors.FromFlatDataAndDimensions(values, append([]int{n}, shape...)...), tensors.FromFlatDataAndDimensions(classes, n, 1)
}

// trained is what one training step sees: the loss and its gradient by each variable, and the same step as gradflow reports it.
type trained struct {
	loss      float64
	gradients map[string][]float64
	report    *gradflow.Report
}

func trainedOn(t *testing.T, b compute.Backend, net deviceNet, dtype dtypes.DType) trained {
	t.Helper()
	made := must(net.config(dtype).New(3))(t)
	var names []string
	exec := must(mlmodel.NewExec(b, made.Store(), func(scope *mlmodel.Scope, x, labels *graph.Node) []*graph.Node {
		g := x.Graph()
		scope.Store().SetTraining(g, true)
		logits := made.Logits(scope, x)
		mean := graph.ReduceAllMean(loss.SparseCategoricalCrossEntropyLogits([]*graph.Node{labels}, []*graph.Node{logits}))
		var nodes []*graph.Node
		for _, name := range made.Variables() {
			if v := made.Store().GetVariable("/" + name); v.Trainable {
				names, nodes = append(names, name), append(nodes, v.NodeValue(g))
			}
		}
		list := append([]*graph.Node{mean}, graph.Gradient(mean, nodes...)...)
		for i, node := range list {
			list[i] = graph.ConvertDType(node, dtypes.Float64)
		}
		return list
	}))(t)
	defer exec.Finalize()
	x, labels := deviceBatch(net.input)
	out := must(exec.Exec(x, labels))(t)
	result := trained{loss: tensors.ToScalar[float64](out[0]), gradients: map[string][]float64{}}
	for i, name := range names {
		result.gradients[name] = tensors.MustCopyFlatData[float64](out[i+1])
	}
	meter := must(gradflow.NewMeter(b, made.Store(), made.Logits, loss.SparseCategoricalCrossEntropyLogits, gradflow.Options{}))(t)
	x, labels = deviceBatch(net.input)
	result.report = must(meter.Measure(x, labels))(t)
	return result
}

// numbers are those of a layer that are sums over many entries; what a layer does not have is left out.
func numbers(l gradflow.LayerReport) map[string]float64 {
	all := map[string]float64{"variance": l.Variance, "z variance": l.ZVariance, "delta": l.DeltaNorm, "dL/dh": l.HGradNorm, "dL/dW": l.WGradNorm, "dL/db": l.BGradNorm, "W": l.WNorm, "b": l.BNorm}
	maps.DeleteFunc(all, func(_ string, v float64) bool { return math.IsNaN(v) })
	return all
}

// TestDevicesAgree takes one training step from one seed on each device, in float32, and holds it against the same step in float64 on the pure-Go backend.
//
// The tolerance: a gradient is a sum of some hundred terms through some ten layers, each of which is rounded by half of epsilon, the distance of 1 from the next float32. Such errors
// mostly cancel, and add up to some twenty epsilon of the variable's largest gradient; 100 are allowed (1e-5). A device that took TF32 or half precision for its products, whose epsilon is
// 1e-3, would be off by hundreds of times that.
func TestDevicesAgree(t *testing.T) {
	const tolerance = 100.0 / (1 << 23)
	list := devices(t)
	for name, net := range deviceNets {
		want := trainedOn(t, list["go"], net, dtypes.Float64)
		for device, b := range list {
			t.Run(name+" on "+device, func(t *testing.T) {
				got := trainedOn(t, b, net, dtypes.Float32)
				near := func(what string, got, want, scale float64) {
					t.Helper()
					if !(math.Abs(got-want) <= tolerance*scale) {
						t.Errorf("%s is %.9g, in float64 %.9g: off by %.2g of %.3g, allowed is %.2g", what, got, want, math.Abs(got-want)/scale, scale, tolerance)
					}
				}
				near("the loss", got.loss, want.loss, want.loss)
				if len(got.gradients) != len(want.gradients) {
					t.Fatalf("gradients of %d variables, want %d", len(got.gradients), len(want.gradients))
				}
				for variable, exact := range want.gradients {
					largest := 0.0
					for _, v := range exact {
						largest = max(largest, math.Abs(v))
					}
					if largest == 0 {
						t.Fatalf("the gradient of %s is 0 throughout: this tests nothing", variable)
					}
					for i, v := range exact {
						near("the gradient of "+variable, got.gradients[variable][i], v, largest)
					}
				}
				near("gradflow's loss", got.report.Loss, want.report.Loss, want.report.Loss)
				near("gradflow's loss beside the step's", got.report.Loss, got.loss, want.loss)
				for i, l := range want.report.Layers {
					measured := numbers(got.report.Layers[i])
					if got.report.Layers[i].Name != l.Name || len(measured) != len(numbers(l)) {
						t.Fatalf("layer %d is %s with %v, want %s with %v", i, got.report.Layers[i].Name, measured, l.Name, numbers(l))
					}
					for what, v := range numbers(l) {
						near(l.Name+": "+what, measured[what], v, v)
					}
				}
			})
		}
	}
}
