package initializer_test

import (
	"encoding/json"
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat"

	"github.com/gradbook/gradbook/pkg/initializer"
)

// Weights of a layer of 784 inputs and 100 units, and their spread beside the one that was meant.
func Example() {
	glorot := initializer.GlorotUniform(1)
	w, err := glorot.Draw(initializer.Stream(1, "h1/W"), 784, 100)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s: %d weights, std %.4f, want %.4f\n", glorot, len(w), stat.StdDev(w, nil), math.Sqrt(glorot.Variance(784, 100)))

	_, err = initializer.He().Draw(initializer.Stream(1, "h1/W"), 784, 0)
	fmt.Println(err)
	// Output:
	// glorot_uniform(gain 1): 78400 weights, std 0.0477, want 0.0476
	// weights of shape [784 0]: every dimension must be positive
}

// What each initialisation is in the terms of mean field theory: sigma_w^2, the variance of a weight times the fan-in. It is 2 that keeps the gradient of a
// ReLU net.
func ExampleInitializer_SigmaW2() {
	for _, i := range []initializer.Initializer{initializer.LeCun(), initializer.GlorotNormal(1), initializer.He(), initializer.HeFanOut(), initializer.Orthogonal(1)} {
		fmt.Printf("%-22s first layer %.3f   hidden layer %.3f\n", i, i.SigmaW2(784, 100), i.SigmaW2(100, 100))
	}
	// Output:
	// lecun(gain 1)          first layer 1.000   hidden layer 1.000
	// glorot_normal(gain 1)  first layer 1.774   hidden layer 1.000
	// he(gain 1)             first layer 2.000   hidden layer 2.000
	// he_fan_out(gain 1)     first layer 15.680   hidden layer 2.000
	// orthogonal(gain 1)     first layer 1.000   hidden layer 1.000
}

// One more layer leaves the weights of the others as they were, as each variable has a stream of its own.
func ExampleStream() {
	for _, layers := range [][]string{{"h1", "out"}, {"h1", "h2", "out"}} {
		for _, layer := range layers {
			fmt.Printf("%s %.3f; ", layer, initializer.Stream(1, layer+"/W").NormFloat64())
		}
		fmt.Println("...")
	}
	// Output:
	// h1 1.287; out 0.927; ...
	// h1 1.287; h2 0.340; out 0.927; ...
}

// Initializers are plain values that print and marshal.
func ExampleInitializer_MarshalJSON() {
	text, err := json.Marshal(map[string]initializer.Initializer{"default": {}, "tanh": initializer.GlorotNormal(1.5), "gates": initializer.Orthogonal(1)})
	fmt.Println(string(text), err)
	// Output:
	// {"default":{"kind":"normal","gain":1},"gates":{"kind":"orthogonal","gain":1},"tanh":{"kind":"glorot_normal","gain":1.5}} <nil>
}

// Kernels count their taps: a 3x3 convolution from 16 to 32 channels.
func ExampleFans() {
	fanIn, fanOut, err := initializer.Fans(3, 3, 16, 32)
	fmt.Println(fanIn, fanOut, err)
	// Output:
	// 144 288 <nil>
}
