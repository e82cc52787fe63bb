package model_test

import (
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	_ "github.com/gomlx/compute/gobackend"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	mlmodel "github.com/gomlx/gomlx/ml/model"
	"github.com/gradbook/gradbook/pkg/initializer"
	"github.com/gradbook/gradbook/pkg/model"
)

const float64Type = dtypes.Float64

// engine is the pure-Go backend, in the mode that cannot deadlock.
var engine = func() compute.Backend {
	b, err := compute.NewWithConfig("go:ops_sequential")
	if err != nil {
		panic(err)
	}
	return b
}()

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// normals is a float64 tensor of standard normals.
func normals(seed uint64, dims ...int) *tensors.Tensor {
	r := rand.New(rand.NewPCG(seed, 1))
	n := 1
	for _, d := range dims {
		n *= d
	}
	values := make([]float64, n)
	for i := range values {
		values[i] = r.NormFloat64()
	}
	return tensors.FromFlatDataAndDimensions(values, dims...)
}

func flat(t *tensors.Tensor) []float64 {
	if t.DType() == dtypes.Float64 {
		return tensors.MustCopyFlatData[float64](t)
	}
	var out []float64
	for _, v := range tensors.MustCopyFlatData[float32](t) {
		out = append(out, float64(v))
	}
	return out
}

// mode is how a net's batch normalisation runs.
type mode int

const (
	inference mode = iota
	training
	ofBatch
)

func build(net *model.Net, m mode) func(scope *mlmodel.Scope, x *graph.Node) *graph.Node {
	return func(scope *mlmodel.Scope, x *graph.Node) *graph.Node {
		if m == ofBatch {
			return net.LogitsOfBatch(scope, x)
		}
		scope.Store().SetTraining(x.Graph(), m == training)
		return net.Logits(scope, x)
	}
}

// run returns the logits of x.
func run(t testing.TB, net *model.Net, m mode, x *tensors.Tensor) *tensors.Tensor {
	t.Helper()
	exec := must(mlmodel.NewExec(engine, net.Store(), build(net, m)))
	defer exec.Finalize()
	out, err := exec.Exec(x)
	if err != nil {
		t.Fatalf("%s: %+v", net.Config(), err)
	}
	return out[0]
}

// set gives a variable other values.
func set(t testing.TB, net *model.Net, name string, values []float64) {
	t.Helper()
	old := net.Weights(name)
	if err := net.SetWeights(name, must(initializer.Tensor(values, net.DType(), old.Shape().Dimensions...))); err != nil {
		t.Fatal(err)
	}
}

// stir moves every variable off its special starting value (scales of 1, offsets and biases of 0), so that nothing is right by accident; variances stay positive.
func stir(t testing.TB, net *model.Net) {
	t.Helper()
	for i, name := range net.Variables() {
		r := rand.New(rand.NewPCG(uint64(i), 7))
		values := must(net.Values(name))
		for k := range values {
			values[k] += 0.3 * (r.Float64() + 0.2)
		}
		set(t, net, name, values)
	}
}

// trainingStep is a graph with the loss and the gradient of every trainable variable.
func trainingStep(net *model.Net) func(scope *mlmodel.Scope, x *graph.Node) []*graph.Node {
	return func(scope *mlmodel.Scope, x *graph.Node) []*graph.Node {
		loss := graph.ReduceAllMean(graph.Square(build(net, training)(scope, x)))
		return append([]*graph.Node{loss}, scope.BuildTrainableVariablesGradientsGraph(loss)...)
	}
}
