package model_test

import (
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers/norm"
	mlmodel "github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"
	"github.com/gradbook/gradbook/pkg/activation"
	"github.com/gradbook/gradbook/pkg/model"
)

// These tests hold as long as GoMLX has the traps that trap.go works around. If one fails after an update of GoMLX, that is good news: drop the workaround that it names.

const mended = "GoMLX has mended this: drop the workaround in trap.go and this test"

// gradient runs the gradient of the sum of f(x) weighted by 1, 2, 3, ... with respect to x, and returns what GoMLX panics with, if it does.
func gradient(f func(scope *mlmodel.Scope, x *graph.Node) *graph.Node, x *tensors.Tensor) (grad []float64, err error) {
	var out []*tensors.Tensor
	err = exceptions.TryCatch[error](func() {
		exec := must(mlmodel.NewExec(engine, mlmodel.NewStore(), func(scope *mlmodel.Scope, x *graph.Node) *graph.Node {
			y := f(scope, x)
			weights := graph.AddScalar(graph.IotaFull(x.Graph(), shapes.Make(float64Type, y.Shape().Dimensions...)), 1.0)
			return graph.Gradient(graph.ReduceAllSum(graph.Mul(y, weights)), x)[0]
		}))
		defer exec.Finalize()
		out = must(exec.Exec(x))
	})
	if err == nil {
		grad = flat(out[0])
	}
	return grad, err
}

// trainingNorm is GoMLX's batch normalisation in training.
func trainingNorm(own bool) func(scope *mlmodel.Scope, x *graph.Node) *graph.Node {
	return func(scope *mlmodel.Scope, x *graph.Node) *graph.Node {
		scope.Store().SetTraining(x.Graph(), true)
		return norm.BatchNorm(scope, x, -1).UseBackendInference(own).Done()
	}
}

func TestTrapNoBatchNormInTraining(t *testing.T) {
	_, err := gradient(trainingNorm(true), normals(1, 4, 3))
	if err == nil || !compute.IsNotImplemented(err) {
		t.Errorf("training BatchNorm on the Go backend: %v; %s", err, mended)
	}
}

// The outputs of a normalised batch do not change when a constant is added to a feature, so the gradient of each feature must sum to 0 over the batch.
func TestTrapBatchNormStopsGradient(t *testing.T) {
	x := normals(1, 4, 3)
	sumOfColumn := func(grad []float64) float64 { return grad[0] + grad[3] + grad[6] + grad[9] }
	theirs, err := gradient(trainingNorm(false), x)
	if err != nil {
		t.Fatalf("UseBackendInference(false): %v", err)
	}
	if sum := sumOfColumn(theirs); sum < 1 {
		t.Errorf("UseBackendInference(false): the gradient sums to %g over the batch, as it should; %s", sum, mended)
	}
	c := model.MLP{Inputs: 3, Outputs: 2, Depth: 1, Width: 3, Activation: activation.Linear, Norm: model.BatchNorm, DType: float64Type}
	net := must(c.New(1))
	_, all := newProbe(t, net, training).gradients(x)
	if sum := sumOfColumn(all[0]); sum > 1e-12 || sum < -1e-12 {
		t.Errorf("ours: the gradient sums to %g over the batch; want 0", sum)
	}
}

func TestTrapNoGradient(t *testing.T) {
	for name, f := range map[string]func(x *graph.Node) *graph.Node{
		"Rsqrt": func(x *graph.Node) *graph.Node { return graph.Rsqrt(graph.Square(x)) },
		"Pad": func(x *graph.Node) *graph.Node {
			return graph.Pad(x, graph.ScalarZero(x.Graph(), x.DType()), compute.PadAxis{}, compute.PadAxis{End: 1})
		},
	} {
		_, err := gradient(func(_ *mlmodel.Scope, x *graph.Node) *graph.Node { return f(x) }, normals(1, 2, 3))
		if err == nil || !strings.Contains(err.Error(), "no gradient is defined") {
			t.Errorf("%s: %v; %s", name, err, mended)
		}
	}
}

func TestTrapSliceGradientIsFullSize(t *testing.T) {
	const steps = 16
	full := 0
	_, err := gradient(func(_ *mlmodel.Scope, x *graph.Node) *graph.Node {
		g := x.Graph()
		sum := graph.ScalarZero(g, x.DType())
		for i := range steps {
			sum = graph.Add(sum, graph.ReduceAllSum(graph.Square(graph.Slice(x, graph.AxisElem(i)))))
		}
		graph.Gradient(sum, x)
		for _, n := range g.Nodes() {
			if n.Type() == graph.NodeTypePad && n.Shape().Equal(x.Shape()) {
				full++
			}
		}
		return sum
	}, normals(1, steps, 3))
	if err != nil {
		t.Fatal(err)
	}
	if full != steps {
		t.Errorf("%d slices have %d gradients of full size; %s", steps, full, mended)
	}
}

func TestTrapReplacedTensorIsFreed(t *testing.T) {
	store := mlmodel.NewStore()
	v := must(store.CreateVariable("/v", tensors.FromValue([]float64{1, 2})))
	held := must(v.Value())
	if err := v.SetValue(tensors.FromValue([]float64{3, 4})); err != nil {
		t.Fatal(err)
	}
	if held.Ok() {
		t.Errorf("the replaced tensor is still there; %s", mended)
	}
	net := must(model.MLP{Inputs: 2, Outputs: 1}.New(1))
	before := net.Weights("out")
	want := flat(before)
	set(t, net, "out", []float64{3, 4})
	if got := flat(before); got[0] != want[0] || got[1] != want[1] {
		t.Errorf("Weights before SetWeights were %v and are now %v", want, got)
	}
}
