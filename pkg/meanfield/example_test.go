package meanfield_test

import (
	"fmt"
	"math"

	"github.com/gradbook/gradbook/pkg/activation"
	"github.com/gradbook/gradbook/pkg/meanfield"
)

// What depth does to a sigmoid net of Glorot's initialisation: gradients fall to a quarter a layer, and all inputs end up alike.
func ExampleNet_Fixed() {
	n := meanfield.Net{Activation: activation.Sigmoid, SigmaW2: 1}
	p, err := n.Fixed()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p)
	fmt.Printf("10 layers: %.1e\n", math.Pow(p.GradientFactor(), 10))
	// Output:
	// ordered: q* 0.264687, chi_1 0.0557207 (gradient x 0.236052 a layer), c* 1, depth scales: length 0.3327, correlation 0.3463, gradient 0.3463
	// 10 layers: 5.4e-07
}

// For each activation, the initialisation that holds the gradient, and the factor at sigma_w^2 = 1.
func ExampleNet_Critical() {
	for _, a := range []activation.Activation{activation.Tanh, activation.ReLU, activation.SELU, activation.Sigmoid, activation.GELU} {
		n := meanfield.Net{Activation: a, SigmaW2: 1}
		factor, _ := n.GradientFactor()
		critical, err := n.Critical()
		if err != nil {
			fmt.Printf("%-8v factor %.3f; %v\n", a, factor, err)
			continue
		}
		fmt.Printf("%-8v factor %.3f, critical at sigma_w = %.3f\n", a, factor, critical)
	}
	// Output:
	// tanh     factor 1.000, critical at sigma_w = 1.000
	// relu     factor 0.707, critical at sigma_w = 1.414
	// selu     factor 1.035, critical at sigma_w = 0.690
	// sigmoid  factor 0.236, critical at sigma_w = 10.149
	// gelu     factor 0.500; no critical sigma_w for gelu with sigma_b^2 = 0: chi_1 is 1 for sigma_w^2 = 4 at q = 0, but lengths do not go there; for inputs of mean square 1, chi_1 jumps from 0.539 (q* = 0) to 1.08 (q* = +Inf) at sigma_w^2 = 2.155; take larger biases, or batch normalisation
}

// The whole edge of chaos, for a plot over depth and sigma_w.
func ExampleEdge() {
	edge, err := meanfield.Edge(activation.Tanh, 0.4, 5)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, p := range edge {
		fmt.Printf("sigma_b %.1f: sigma_w %.4f, q* %.4f\n", math.Sqrt(p.SigmaB2), math.Sqrt(p.SigmaW2), p.Q)
	}
	// Output:
	// sigma_b 0.0: sigma_w 1.0000, q* 0.0000
	// sigma_b 0.1: sigma_w 1.1934, q* 0.2733
	// sigma_b 0.2: sigma_w 1.3041, q* 0.5121
	// sigma_b 0.3: sigma_w 1.3956, q* 0.7635
	// sigma_b 0.4: sigma_w 1.4762, q* 1.0316
}

// A ReLU net with N(0, 1/fan_in) weights: delta vanishes, dL/dW does not show it, since h shrinks along.
func ExampleNet_From() {
	n := meanfield.Net{Activation: activation.ReLU, SigmaW2: 1}
	layers, err := n.From(meanfield.Input{MeanSquare: 0.1, Cosine: 0.4, FanRatio: 784.0 / 64}, 5)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, l := range layers {
		fmt.Println(l)
	}
	// Output:
	// layer 1: q 0.1, chi 0.5, |delta| x 0.25, |dL/dW| x 3.5, correlation 0.4
	// layer 2: q 0.05, chi 0.5, |delta| x 0.353553, |dL/dW| x 1, correlation 0.544132
	// layer 3: q 0.025, chi 0.5, |delta| x 0.5, |dL/dW| x 1, correlation 0.638781
	// layer 4: q 0.0125, chi 0.5, |delta| x 0.707107, |dL/dW| x 1, correlation 0.705184
	// layer 5: q 0.00625, chi 0.5, |delta| x 1, |dL/dW| x 1, correlation 0.753968
}

func ExampleResidual() {
	for _, kind := range []meanfield.ResidualKind{meanfield.PostActivation, meanfield.PreActivation} {
		r := meanfield.Residual{Activation: activation.ReLU, SigmaW2: 2, Kind: kind}
		factor, err := r.GradientFactor()
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%-4s: gradient x %.4f a block, x %.0f over 20\n", kind, factor, math.Pow(factor, 20))
	}
	// Output:
	// post: gradient x 1.4304 a block, x 1286 over 20
	// pre : gradient x 1.4142 a block, x 1024 over 20
}

// Batch normalisation makes gradients explode mildly at initialisation, whatever the weights' variance; more so in small batches.
func ExampleBatchNorm() {
	for _, batch := range []int{0, 256, 32, 8} {
		b := meanfield.BatchNorm{Activation: activation.ReLU, SigmaW2: 2, Batch: batch}
		factor, err := b.GradientFactor()
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("batch %3d: x %.4f a layer\n", batch, factor)
	}
	// Output:
	// batch   0: x 1.2112 a layer
	// batch 256: x 1.2138 a layer
	// batch  32: x 1.2337 a layer
	// batch   8: x 1.3372 a layer
}

// A gradient over time steps.
func ExampleRecurrent() {
	for _, sigmaW := range []float64{0.5, 1, 1.5, 2} {
		r := meanfield.Recurrent{Activation: activation.Tanh, SigmaW2: sigmaW * sigmaW, SigmaU2: 0.1, Input: meanfield.Input{MeanSquare: 1}}
		factor, err := r.GradientFactor()
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("sigma_w %.1f: x %.4f a step, x %.1e over 100\n", sigmaW, factor, math.Pow(factor, 100))
	}
	// Output:
	// sigma_w 0.5: x 0.4531 a step, x 4.2e-35 over 100
	// sigma_w 1.0: x 0.8300 a step, x 8.1e-09 over 100
	// sigma_w 1.5: x 1.0265 a step, x 1.4e+01 over 100
	// sigma_w 2.0: x 1.1504 a step, x 1.2e+06 over 100
}

// Why nets of 64 units differ from one another, and from theory's mean square.
func ExampleFluctuate() {
	for _, width := range []int{16, 64, 1024} {
		widths := make([]int, 9)
		for i := range widths {
			widths[i] = width
		}
		f, err := meanfield.Fluctuate(activation.ReLU, widths...)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("width %4d: %v\n", width, f)
	}
	// Output:
	// width   16: x 0.4521 typically, times or divided by 2.642 (one standard deviation)
	// width   64: x 0.8349 typically, times or divided by 1.541 (one standard deviation)
	// width 1024: x 0.9891 typically, times or divided by 1.111 (one standard deviation)
}

// An expectation of one's own: the share of sigmoid units with |z| > 2.94 when z has variance 4.
func ExampleExpect() {
	low, high := activation.Sigmoid.Saturation()
	share := meanfield.Expect(func(z float64) float64 {
		if z < low || z > high {
			return 1
		}
		return 0
	}, 4, low, high)
	fmt.Printf("%.4f\n", share)
	// Output:
	// 0.1410
}
