package model_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
	mlmodel "github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/loss"
	"github.com/gomlx/gomlx/ml/train/optimizer"
	"github.com/gradbook/gradbook/pkg/activation"
	"github.com/gradbook/gradbook/pkg/initializer"
	"github.com/gradbook/gradbook/pkg/model"
)

// trainOn returns the loss of each of some steps of plain gradient descent on one batch.
func trainOn(t testing.TB, net *model.Net, rate float64, steps int, x, labels *tensors.Tensor) []float64 {
	t.Helper()
	sgd := optimizer.StochasticGradientDescent().WithDecay(false).WithLearningRate(rate).Done()
	trainer := train.NewTrainer(engine, net.Store(), net.Logits, loss.SparseCategoricalCrossEntropyLogits, sgd, nil, nil)
	losses := make([]float64, steps)
	for i := range losses {
		metrics, err := trainer.TrainStep(batchOf(x, labels))
		if err != nil {
			t.Fatalf("%s: %+v", net.Config(), err)
		}
		losses[i] = flat(metrics[0])[0]
	}
	return losses
}

// batchOf copies, since the trainer frees what it was given.
func batchOf(x, labels *tensors.Tensor) train.Batch {
	return train.Batch{Inputs: []*tensors.Tensor{must(x.LocalClone())}, Labels: []*tensors.Tensor{must(labels.LocalClone())}}
}

func labelsFor(n, classes int) *tensors.Tensor {
	labels := make([]int32, n)
	for i := range labels {
		labels[i] = int32(i % classes)
	}
	return tensors.FromFlatDataAndDimensions(labels, n, 1)
}

func TestTrainingLowersTheLoss(t *testing.T) {
	list := configs()
	for _, cell := range []model.Cell{model.Vanilla, model.LSTM, model.GRU} {
		list = append(list, model.Recurrent{Cell: cell, Inputs: 2, Hidden: 16, Outputs: 3, Steps: 5})
	}
	for _, c := range list {
		t.Run(c.String(), func(t *testing.T) {
			net := must(c.New(2))
			var x *tensors.Tensor
			classes := 3
			switch c := c.(type) {
			case model.MLP:
				x, classes = normals(1, 12, c.Inputs), c.Outputs
			case model.ConvNet:
				x, classes = normals(1, 12, c.Image[0], c.Image[1], c.Image[2]), c.Classes
			case model.Recurrent:
				if c.PerStep {
					return // the loss takes one label an example
				}
				x, classes = normals(1, 12, c.Steps, c.Inputs), c.Outputs
			}
			losses := trainOn(t, net, 0.05, 12, x, labelsFor(12, classes))
			first, last := losses[0], losses[len(losses)-1]
			if !(last < first) || first < 0.1 || last < 0 {
				t.Errorf("losses %v do not fall", losses)
			}
		})
	}
}

// The claim of He et al. 2015: with 30 ReLU layers their initialisation trains where Glorot's stalls.
func TestHeTrainsWhereGlorotStalls(t *testing.T) {
	x, labels := normals(1, 16, 16), labelsFor(16, 4)
	fall := func(w initializer.Initializer) float64 {
		c := model.MLP{Inputs: 16, Outputs: 4, Depth: 30, Width: 32, Activation: activation.ReLU, Weights: w}
		losses := trainOn(t, must(c.New(1)), 0.02, 60, x, labels)
		return losses[0] - losses[len(losses)-1]
	}
	if he, glorot := fall(initializer.He()), fall(initializer.GlorotNormal(1)); he < 0.3 || math.Abs(glorot) > 0.02 {
		t.Errorf("the loss falls by %.3f with He's initialisation and %.3f with Glorot's", he, glorot)
	}
}

func TestDeepNetsCompile(t *testing.T) {
	// 110 layers: what matters is that building the graph with its gradient does not grow faster than the depth; small images keep the step itself short.
	c := model.ConvNet{N: 18, Image: [3]int{4, 4, 3}, Classes: 10, Channels: 2, Residual: true, Norm: model.BatchNorm}
	net := must(c.New(1))
	losses := trainOn(t, net, 0.01, 1, normals(1, 2, 4, 4, 3), labelsFor(2, 10))
	if len(net.Names()) != 110 || math.IsNaN(losses[0]) {
		t.Errorf("%d layers, loss %v", len(net.Names()), losses)
	}
}

func BenchmarkTrainStep(b *testing.B) {
	for _, bench := range []struct {
		config model.Config
		x      *tensors.Tensor
	}{
		{model.MLP{Inputs: 784, Outputs: 10, Depth: 10, Width: 64, Activation: activation.Tanh}, normals(1, 256, 784)},
		{model.MLP{Inputs: 784, Outputs: 10, Depth: 10, Width: 64, Activation: activation.ReLU, Norm: model.BatchNorm}, normals(1, 256, 784)},
		{model.ConvNet{N: 1, Image: [3]int{16, 16, 3}, Classes: 10, Residual: true, Norm: model.BatchNorm}, normals(1, 64, 16, 16, 3)},
		{model.Recurrent{Cell: model.Vanilla, Inputs: 2, Hidden: 64, Outputs: 10, Steps: 100}, normals(1, 32, 100, 2)},
		{model.Recurrent{Cell: model.LSTM, Inputs: 2, Hidden: 64, Outputs: 10, Steps: 100}, normals(1, 32, 100, 2)},
		{model.Recurrent{Cell: model.GRU, Inputs: 2, Hidden: 64, Outputs: 10, Steps: 100}, normals(1, 32, 100, 2)},
	} {
		b.Run(fmt.Sprint(bench.config), func(b *testing.B) {
			net := must(bench.config.New(1))
			flat32 := make([]float32, bench.x.Size())
			for i, v := range flat(bench.x) {
				flat32[i] = float32(v)
			}
			x := tensors.FromFlatDataAndDimensions(flat32, bench.x.Shape().Dimensions...)
			labels := labelsFor(x.Shape().Dimensions[0], 10)
			sgd := optimizer.StochasticGradientDescent().WithDecay(false).WithLearningRate(0.001).Done()
			trainer := train.NewTrainer(engine, net.Store(), net.Logits, loss.SparseCategoricalCrossEntropyLogits, sgd, nil, nil)
			step := func() { must(trainer.TrainStep(batchOf(x, labels))) }
			step()
			for b.Loop() {
				step()
			}
		})
	}
}

// BenchmarkBuild is a net of 110 layers, from the configuration to the compiled training step.
func BenchmarkBuild(b *testing.B) {
	c := model.ConvNet{N: 18, Image: [3]int{32, 32, 3}, Classes: 10, Residual: true, Norm: model.BatchNorm}
	for b.Loop() {
		net := must(c.New(1))
		exec := must(mlmodel.NewExec(engine, net.Store(), trainingStep(net)))
		must(exec.Compile(normals(1, 2, 32, 32, 3).Shape()))
		exec.Finalize()
	}
}
