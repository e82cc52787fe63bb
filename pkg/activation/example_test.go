package activation_test

import (
	"encoding/json"
	"fmt"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/gradbook/gradbook/pkg/activation"
)

// How much of a gradient is left, at most, behind ten layers: the derivatives alone, without the weights.
func Example() {
	fmt.Printf("%-17s %8s %8s %11s\n", "activation", "max |f'|", "at z", "ten layers")
	for _, a := range activation.All() {
		value, at := a.MaxDerivative()
		ten := 1.0
		for range 10 {
			ten *= value
		}
		fmt.Printf("%-17s %8.4f %8.4f %11.4g\n", a, value, at, ten)
	}
	// Output:
	// activation        max |f'|     at z  ten layers
	// step                0.0000   0.0000           0
	// linear              1.0000   0.0000           1
	// sigmoid             0.2500   0.0000   9.537e-07
	// tanh                1.0000   0.0000           1
	// relu                1.0000   0.0000           1
	// leaky_relu(0.01)    1.0000   0.0000           1
	// prelu(0.25)         1.0000   0.0000           1
	// elu                 1.0000   0.0000           1
	// selu                1.7581   0.0000       282.1
	// gelu                1.1289   1.4142       3.362
	// silu                1.0998   2.3994        2.59
	// softplus            1.0000     +Inf           1
	// softsign            1.0000   0.0000           1
	// hard_sigmoid        0.2000   0.0000   1.024e-07
}

// An activation in a GoMLX graph, and its gradient beside Derivative.
func ExampleActivation_Graph() {
	exec := graph.MustNewExec(goBackend, func(z *graph.Node) (h, slope *graph.Node) {
		h = activation.Sigmoid.Graph(z)
		return h, graph.Gradient(graph.ReduceAllSum(h), z)[0]
	})
	out := exec.MustExec([]float64{-5, 0, 5})
	fmt.Printf("h    %.4f\n", out[0].Value())
	fmt.Printf("h'   %.4f\n", out[1].Value())
	fmt.Printf("by formula %.4f\n", activation.Sigmoid.Derivative(5))
	// Output:
	// h    [0.0067 0.5000 0.9933]
	// h'   [0.0066 0.2500 0.0066]
	// by formula 0.0066
}

// Activations are plain values: in a configuration they read and write as their names.
func ExampleActivation_MarshalText() {
	type layer struct {
		Width      int
		Activation activation.Activation
	}
	text, _ := json.Marshal(layer{64, activation.LeakyReLU(0.01)})
	fmt.Println(string(text))
	var l layer
	fmt.Println(json.Unmarshal([]byte(`{"Width":64,"Activation":"gelu"}`), &l), l)
	fmt.Println(json.Unmarshal([]byte(`{"Width":64,"Activation":"gellu"}`), &l))
	// Output:
	// {"Width":64,"Activation":"leaky_relu(0.01)"}
	// <nil> {64 gelu}
	// unknown activation "gellu": choose one of step, linear, sigmoid, tanh, relu, leaky_relu(slope), prelu(slope), elu, selu, gelu, silu, softplus, softsign, hard_sigmoid
}

// Where a unit counts as saturated, and where as dead.
func ExampleActivation_Saturation() {
	for _, a := range []activation.Activation{activation.Sigmoid, activation.Tanh, activation.ReLU} {
		low, high := a.Saturation()
		none, all := a.Dead()
		fmt.Printf("%-8s saturated outside (%.2f, %.2f), dead outside (%.2f, %.2f)\n", a, low, high, none, all)
	}
	// Output:
	// sigmoid  saturated outside (-2.94, 2.94), dead outside (-5.99, 5.99)
	// tanh     saturated outside (-2.09, 2.09), dead outside (-2.99, 2.99)
	// relu     saturated outside (-Inf, +Inf), dead outside (0.00, +Inf)
}
