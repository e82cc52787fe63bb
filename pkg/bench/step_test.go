package main

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	mlmodel "github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train/loss"
	"github.com/gomlx/gomlx/ml/train/optimizer"
	"github.com/gradbook/gradbook/pkg/activation"
	"github.com/gradbook/gradbook/pkg/initializer"
	"github.com/gradbook/gradbook/pkg/model"
)

// nets returns nets of both kinds, in float32 or float64, and the shape of one of their examples.
func nets(dtype dtypes.DType) map[string]struct {
	config model.Config
	shape  []int
} {
	type entry = struct {
		config model.Config
		shape  []int
	}
	return map[string]entry{
		"sigmoid": {model.MLP{Inputs: 784, Outputs: 10, Depth: 10, Width: 64, Activation: activation.Sigmoid, DType: dtype}, []int{784}},
		"relu":    {model.MLP{Inputs: 784, Outputs: 10, Depth: 10, Width: 64, Activation: activation.ReLU, Weights: initializer.He(), DType: dtype}, []int{784}},
		"tanh with batch norm": {model.MLP{Inputs: 784, Outputs: 10, Depth: 5, Width: 64, Activation: activation.Tanh, Norm: model.BatchNorm, DType: dtype},
			[]int{784}},
		"residual convolutions": {model.ConvNet{N: 1, Image: [3]int{8, 8, 3}, Classes: 10, Channels: 4, Residual: true, Activation: activation.Tanh,
			Weights: initializer.LeCun(), DType: dtype}, []int{8, 8, 3}},
	}
}

// change is what one step of plain SGD with rate 1 from the seed's weights does to each variable, and the values before it.
func change(t *testing.T, b compute.Backend, config model.Config, dtype dtypes.DType, shape []int) (before, after map[string][]float64) {
	t.Helper()
	net, err := config.New(3)
	if err != nil {
		t.Fatal(err)
	}
	values := func() map[string][]float64 {
		all := map[string][]float64{}
		for _, name := range net.Variables() {
			v, err := net.Values(name)
			if err != nil {
				t.Fatal(err)
			}
			all[name] = slices.Clone(v)
		}
		return all
	}
	before = values()
	opt := optimizer.StochasticGradientDescent().WithDecay(false).WithLearningRate(1).Done()
	exec, err := mlmodel.NewExec(b, net.Store(), func(scope *mlmodel.Scope, x, labels *graph.Node) *graph.Node {
		g := x.Graph()
		scope.Store().SetTraining(g, true)
		l := graph.ReduceAllMean(loss.SparseCategoricalCrossEntropyLogits([]*graph.Node{labels}, []*graph.Node{net.Logits(scope, graph.ConvertDType(x, dtype))}))
		opt.UpdateGraph(scope, g, l)
		return l
	})
	if err != nil {
		t.Fatal(err)
	}
	const n = 32
	size := n
	for _, d := range shape {
		size *= d
	}
	labels := make([]int32, n)
	for i := range labels {
		labels[i] = int32(i % 10)
	}
	x := tensors.FromFlatDataAndDimensions(uniform(9, size, -1, 1), append([]int{n}, shape...)...)
	if _, err := exec.Call(x, tensors.FromFlatDataAndDimensions(labels, n, 1)); err != nil {
		t.Fatal(err)
	}
	return before, values()
}

// TestOneStepAgrees holds one training step in float32, on each backend of this machine, against the same step in float64 on the pure-Go backend: the same
// seed gives the same weights, and what a step changes agrees to float32's rounding.
func TestOneStepAgrees(t *testing.T) {
	pure, err := newBackend("go")
	if err != nil {
		t.Fatal(err)
	}
	backends := map[string]compute.Backend{"go": pure}
	if b, err := newBackend("xla"); err == nil {
		backends["xla"] = b
	} else {
		t.Logf("not run on XLA: %v", err)
	}
	exact := nets(dtypes.Float64)
	for name, net := range nets(dtypes.Float32) {
		start64, end64 := change(t, pure, exact[name].config, dtypes.Float64, net.shape)
		for kind, b := range backends {
			start, end := change(t, b, net.config, dtypes.Float32, net.shape)
			for v, from64 := range start64 {
				worst, largest := 0.0, 0.0
				weight := 0.0
				for i := range from64 {
					if got := float64(float32(from64[i])); got != start[v][i] {
						t.Fatalf("%s on %s, %s: weight %d is %g at the start, in float64 %g", name, kind, v, i, start[v][i], from64[i])
					}
					step := end64[v][i] - from64[i]
					worst = max(worst, math.Abs(end[v][i]-start[v][i]-step))
					largest = max(largest, math.Abs(step))
					weight = max(weight, math.Abs(from64[i]), math.Abs(end64[v][i]))
				}
				// A sum of some hundred terms, through some ten layers; and the rounding of the weight itself.
				const epsilon = 1.0 / (1 << 23)
				if allowed := epsilon * (60*largest + weight); !(worst <= allowed) {
					t.Errorf("%s on %s, %s: the step is off by %.3g; allowed is %.3g (largest step %.3g, largest weight %.3g)", name, kind, v, worst, allowed, largest, weight)
				}
			}
		}
	}
}

// TestTwoAtOnce trains two nets from two goroutines on one pure-Go backend: each ends at the very bits that it reaches alone. (Also meant for the race detector.)
func TestTwoAtOnce(t *testing.T) {
	b, err := newBackend("go")
	if err != nil {
		t.Fatal(err)
	}
	train := func(phi string) (float64, error) {
		net, err := newMLP(phi)
		if err != nil {
			return 0, err
		}
		do, err := compiled(b, net, data(), learningRate, 1, net.Logits)
		if err != nil {
			return 0, err
		}
		return do(5)
	}
	alone := map[string]float64{}
	for _, phi := range []string{"sigmoid", "relu"} {
		if alone[phi], err = train(phi); err != nil {
			t.Fatal(err)
		}
	}
	var group sync.WaitGroup
	for phi, want := range alone {
		group.Go(func() {
			got, err := train(phi)
			if err != nil || got != want {
				t.Errorf("%s: loss %g beside another, %g alone (%v)", phi, got, want, err)
			}
		})
	}
	group.Wait()
}

// TestStepsOfACall: several steps in one graph are the same steps.
func TestStepsOfACall(t *testing.T) {
	var losses []float64
	for _, how := range []string{"step", "steps", "trainer"} {
		do, err := newSteps("go", how, "tanh")
		if err != nil {
			t.Fatal(err)
		}
		l, err := do(2 * stepsOfACall)
		if err != nil {
			t.Fatal(err)
		}
		losses = append(losses, l)
	}
	if losses[0] != losses[1] || losses[0] != losses[2] {
		t.Errorf("the losses differ: %v", losses)
	}
	if do, err := newSteps("go", "steps", "tanh"); err != nil {
		t.Error(err)
	} else if _, err := do(stepsOfACall + 1); err == nil {
		t.Error("no error for a number of steps that calls do not make up")
	}
}

func Example_uniform() {
	fmt.Println(uniform(0, 3, 0, 1)) // as contender.uniform(0, (3,), 0, 1)
	// Output: [0.12666626 0.27216354 0.68560416]
}
