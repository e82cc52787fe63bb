package main

import (
	"fmt"
	"math"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	mlmodel "github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/loss"
	"github.com/gomlx/gomlx/ml/train/optimizer"
	"github.com/gradbook/gradbook/pkg/activation"
	"github.com/gradbook/gradbook/pkg/model"
)

// The net and its training, as in contender.py.
const (
	batchSize    = 256
	inputs       = 784
	width        = 64
	depth        = 10
	outputs      = 10
	batches      = 8
	learningRate = 0.01
)

// uniform returns n numbers of [low, high): a hash of stream and position, so that Python draws the same bits.
func uniform(stream uint32, n int, low, high float64) []float32 {
	values := make([]float32, n)
	for i := range values {
		h := (uint32(i)+1)*2654435761 + stream*40503
		h ^= h >> 16
		h *= 2246822519
		h ^= h >> 13
		h *= 3266489917
		h ^= h >> 16
		values[i] = float32(low + (high-low)*float64(h)/(1<<32))
	}
	return values
}

// batch is x [256, 784] and labels [256, 1].
type batch struct{ x, labels *tensors.Tensor }

func data() []batch {
	list := make([]batch, batches)
	for i := range list {
		labels := make([]int32, batchSize)
		for j, v := range uniform(uint32(1000+i), batchSize, 0, outputs) {
			labels[j] = int32(v)
		}
		list[i] = batch{
			tensors.FromFlatDataAndDimensions(uniform(uint32(2000+i), batchSize*inputs, 0, 1), batchSize, inputs),
			tensors.FromFlatDataAndDimensions(labels, batchSize, 1),
		}
	}
	return list
}

// newMLP is a net of pkg/model with the weights of contender.py: uniform of variance 2/fan-in, no biases yet.
func newMLP(phi string) (*model.Net, error) {
	a, err := activation.Parse(phi)
	if err != nil {
		return nil, err
	}
	net, err := model.MLP{Inputs: inputs, Outputs: outputs, Depth: depth, Width: width, Activation: a}.New(1)
	if err != nil {
		return nil, err
	}
	in := inputs
	for l, name := range net.Names() {
		out := width
		if l == depth {
			out = outputs
		}
		bound := math.Sqrt(6 / float64(in))
		w := tensors.FromFlatDataAndDimensions(uniform(uint32(l), in*out, -bound, bound), in, out)
		if err := net.SetWeights(name, w); err != nil {
			return nil, err
		}
		in = out
	}
	return net, nil
}

func sgd(rate float64) optimizer.Interface {
	return optimizer.StochasticGradientDescent().WithDecay(false).WithLearningRate(rate).Done()
}

// steps does n training steps and returns the loss of the last.
type steps func(n int) (float64, error)

// compiled trains by one compiled graph of k steps, whose variables and batches stay on the device; the loss is read after the last step. n must be a
// multiple of k. forward builds the logits.
func compiled(b compute.Backend, net *model.Net, list []batch, rate float64, k int, forward func(scope *mlmodel.Scope, x *graph.Node) *graph.Node) (steps, error) {
	opt := sgd(rate)
	exec, err := mlmodel.NewExec(b, net.Store(), func(scope *mlmodel.Scope, in []*graph.Node) *graph.Node {
		g := in[0].Graph()
		scope.Store().SetTraining(g, true)
		var mean *graph.Node
		for i := range k { // each step sees the variables as the one before leaves them in the graph
			x, labels := in[2*i], in[2*i+1]
			each := loss.SparseCategoricalCrossEntropyLogits([]*graph.Node{labels}, []*graph.Node{forward(scope, x)})
			mean = graph.ReduceAllMean(each)
			opt.UpdateGraph(scope, g, mean)
		}
		return mean
	})
	if err != nil {
		return nil, err
	}
	i := 0
	return func(n int) (float64, error) {
		if n < k || n%k != 0 {
			return 0, fmt.Errorf("%d steps were asked for; a call does %d", n, k)
		}
		args := make([]any, 2*k)
		var last *tensors.Tensor
		for range n / k {
			for j := range k {
				d := list[i%len(list)]
				i++
				args[2*j], args[2*j+1] = d.x, d.labels
			}
			out, err := exec.Call(args...)
			if err != nil {
				return 0, err
			}
			if last != nil {
				last.MustFinalizeAll()
			}
			last = out[0]
		}
		return float64(tensors.ToScalar[float32](last)), nil
	}, nil
}

// plain is the net without the taps of its Logits, whose names may occur only once in a graph.
func plain(net *model.Net) func(scope *mlmodel.Scope, x *graph.Node) *graph.Node {
	phi := net.Config().(model.MLP).Activation
	return func(scope *mlmodel.Scope, x *graph.Node) *graph.Node {
		names := net.Names()
		value := func(path string) *graph.Node { return scope.Store().GetVariable("/" + path).NodeValue(x.Graph()) }
		for l, name := range names {
			x = graph.Add(graph.MatMul(x, value(name+"/W")), graph.InsertAxes(value(name+"/b"), 0))
			if l < len(names)-1 {
				x = phi.Graph(x)
			}
		}
		return x
	}
}

// trainer trains by GoMLX's Trainer, which takes each batch over (and so copies it to the device) and keeps a moving average of the loss.
func trainer(b compute.Backend, net *model.Net) (steps, error) {
	t := train.NewTrainer(b, net.Store(), net.Logits, loss.SparseCategoricalCrossEntropyLogits, sgd(learningRate), nil, nil)
	list, i := data(), 0
	return func(n int) (float64, error) {
		var last *tensors.Tensor
		for range n {
			d := list[i%len(list)]
			i++
			out, err := t.TrainStep(train.Batch{Inputs: []*tensors.Tensor{d.x}, Labels: []*tensors.Tensor{d.labels}})
			if err != nil {
				return 0, err
			}
			last = out[0]
		}
		return float64(tensors.ToScalar[float32](last)), nil
	}, nil
}

// stepsOfACall is how many steps the contender "steps" does in a call, to share the host's work for it; numbers of steps are multiples of it.
const stepsOfACall = 4

// newSteps makes a contender of this program: "go" or "xla"; "trainer", "step" or "steps".
func newSteps(kind, how, phi string) (steps, error) {
	b, err := newBackend(kind)
	if err != nil {
		return nil, err
	}
	net, err := newMLP(phi)
	if err != nil {
		return nil, err
	}
	switch how {
	case "trainer":
		return trainer(b, net)
	case "step":
		return compiled(b, net, data(), learningRate, 1, net.Logits)
	case "steps":
		return compiled(b, net, data(), learningRate, stepsOfACall, plain(net))
	}
	return nil, fmt.Errorf("no way to train is called %q: trainer, step or steps", how)
}
