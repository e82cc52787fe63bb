package model_test

import (
	"encoding/json"
	"fmt"
	"log"
	"math"
	"os"
	"path/filepath"

	"github.com/gomlx/compute"
	_ "github.com/gomlx/compute/gobackend"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	mlmodel "github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/loss"
	"github.com/gomlx/gomlx/ml/train/optimizer"
	"github.com/gradbook/gradbook/pkg/activation"
	"github.com/gradbook/gradbook/pkg/gradflow"
	"github.com/gradbook/gradbook/pkg/initializer"
	"github.com/gradbook/gradbook/pkg/model"
)

func ExampleMLP() {
	net, err := model.MLP{
		Inputs: 784, Outputs: 10, Depth: 3, Width: 64,
		Activation: activation.ReLU, Weights: initializer.He(),
		Residual: model.PreActivation, Norm: model.BatchNorm,
	}.New(1)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(net)
	// Output:
	// mlp 784-64x3-10 relu he(gain 1), residual pre, batch norm, seed 1: 59402 parameters, Float32
	// layer  kind        in   out  activation         parameters  weights
	// h1     dense       784  64   relu (batch norm)       50304  he(gain 1)
	// h2     dense + h1  64   64   relu (batch norm)        4224  he(gain 1)
	// h3     dense + h2  64   64   relu (batch norm)        4224  he(gain 1)
	// out    dense       64   10   linear                    650  he(gain 1)
}

func ExampleMLP_Validate() {
	_, err := model.MLP{Inputs: 784, Outputs: 10, Depth: 3, Activation: activation.ReLU}.New(1)
	fmt.Println(err)
	// Output:
	// MLP: Width is 0 with Depth 3; it must be at least 1 (or give Widths)
}

// ResNet-20 of He et al. (2016), table 6: 0.27 million parameters.
func ExampleConvNet() {
	net, err := model.ConvNet{N: 3, Image: [3]int{32, 32, 3}, Classes: 10, Residual: true, Norm: model.BatchNorm}.New(1)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(net.Config(), "has", net.Parameters(), "parameters")
	for _, l := range net.Diagram()[6:10] {
		fmt.Printf("%s: %s, %v to %v, adds %q\n", l.Name, l.Kind, l.In, l.Out, l.SkipFrom)
	}
	// Output:
	// resnet-20 32x32x3-10 relu he(gain 1), batch norm has 269722 parameters
	// h7: conv 3x3, [32 32 16] to [32 32 16], adds "h5"
	// h8: conv 3x3 /2, [32 32 16] to [16 16 32], adds ""
	// h9: conv 3x3, [16 16 32] to [16 16 32], adds "h7"
	// h10: conv 3x3, [16 16 32] to [16 16 32], adds ""
}

// The norm of the gradient of the loss with respect to the hidden state h_t, back through 50 time steps: it vanishes in the vanilla net, and not in an LSTM that starts with its forget
// gates open. (Package gradflow measures this, and more, without writing a graph.)
func ExampleRecurrent() {
	backend, err := compute.NewWithConfig("go:ops_sequential")
	if err != nil {
		log.Fatal(err)
	}
	values := make([]float32, 8*50*2) // 8 sequences of 50 steps with 2 features
	for i := range values {
		values[i] = float32(math.Sin(float64(i * i)))
	}
	x := tensors.FromFlatDataAndDimensions(values, 8, 50, 2)
	for _, c := range []model.Recurrent{
		{Inputs: 2, Hidden: 32, Outputs: 1, Steps: 50, Weights: initializer.Normal(0.5)},
		{Cell: model.LSTM, Inputs: 2, Hidden: 32, Outputs: 1, Steps: 50, Weights: initializer.Normal(0.5), ForgetBias: 5},
	} {
		net, err := c.New(1)
		if err != nil {
			log.Fatal(err)
		}
		exec := mlmodel.MustNewExec(backend, net.Store(), func(scope *mlmodel.Scope, x *graph.Node) []*graph.Node {
			loss := graph.ReduceAllMean(graph.Square(net.Logits(scope, x)))
			var states []*graph.Node
			for _, tap := range gradflow.Taps(x.Graph()) {
				if tap.Name != "out" {
					states = append(states, tap.H)
				}
			}
			var norms []*graph.Node
			for _, g := range graph.Gradient(loss, states...) {
				norms = append(norms, graph.Sqrt(graph.ReduceAllSum(graph.Square(g))))
			}
			return norms
		})
		norms := exec.MustExec(x)
		first, last := tensors.ToScalar[float32](norms[0]), tensors.ToScalar[float32](norms[49])
		fmt.Printf("%s: a factor of %.2f a step\n", c, math.Pow(float64(first/last), 1./49))
	}
	// Output:
	// vanilla 2-32-1 over 50 steps tanh normal(gain 0.5): a factor of 0.44 a step
	// lstm 2-32-1 over 50 steps tanh normal(gain 0.5), forget bias 5: a factor of 1.00 a step
}

// Logits goes into GoMLX's trainer as it is.
func ExampleNet_Logits() {
	backend, err := compute.NewWithConfig("go:ops_sequential")
	if err != nil {
		log.Fatal(err)
	}
	net, err := model.MLP{Inputs: 2, Outputs: 2, Depth: 2, Width: 16, Activation: activation.Tanh}.New(1)
	if err != nil {
		log.Fatal(err)
	}
	// The exclusive or: no linear model learns it.
	x := func() *tensors.Tensor { return tensors.FromValue([][]float32{{0, 0}, {0, 1}, {1, 0}, {1, 1}}) }
	y := func() *tensors.Tensor { return tensors.FromValue([][]int32{{0}, {1}, {1}, {0}}) }
	trainer := train.NewTrainer(backend, net.Store(), net.Logits, loss.SparseCategoricalCrossEntropyLogits,
		optimizer.StochasticGradientDescent().WithDecay(false).WithLearningRate(0.5).Done(), nil, nil)
	for range 200 {
		if _, err := trainer.TrainStep(train.Batch{Inputs: []*tensors.Tensor{x()}, Labels: []*tensors.Tensor{y()}}); err != nil {
			log.Fatal(err)
		}
	}
	logits, err := net.Predict(backend, x())
	if err != nil {
		log.Fatal(err)
	}
	for i, l := range logits.Value().([][]float32) {
		fmt.Println(i/2, "xor", i%2, "is", l[1] > l[0])
	}
	// Output:
	// 0 xor 0 is false
	// 0 xor 1 is true
	// 1 xor 0 is true
	// 1 xor 1 is false
}

func ExampleParseConfig() {
	c := model.MLP{Inputs: 2, Outputs: 3, Depth: 4, Width: 8, Activation: activation.LeakyReLU(0.1), SigmaB: 0.5}
	text, err := json.Marshal(c)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(text))
	back, err := model.ParseConfig(text)
	fmt.Println(back, err)
	_, err = model.ParseConfig([]byte(`{"kind":"mlp","inputs":2,"outputs":3,"depth":4,"width":8,"activation":"relu","norm":"group"}`))
	fmt.Println(err)
	// Output:
	// {"kind":"mlp","inputs":2,"outputs":3,"depth":4,"width":8,"activation":"leaky_relu(0.1)","sigma_b":0.5}
	// mlp 2-8x4-3 leaky_relu(0.1) normal(gain 1), sigma_b 0.5 <nil>
	// MLP: Norm is "group"; allowed are "" (none), "batch", "layer"
}

func ExampleLoad() {
	folder, err := os.MkdirTemp("", "net")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	net, err := model.MLP{Inputs: 2, Outputs: 1, Depth: 1, Width: 3, Activation: activation.Sigmoid}.New(7)
	if err != nil {
		log.Fatal(err)
	}
	path := filepath.Join(folder, "net")
	if err := net.Save(path); err != nil {
		log.Fatal(err)
	}
	back, err := model.Load(path)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(back.Config(), back.Seed(), back.Weights("h1").Equal(net.Weights("h1")))
	// Output: mlp 2-3-1 sigmoid normal(gain 1) 7 true
}
