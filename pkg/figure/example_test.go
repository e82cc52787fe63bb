package figure_test

import (
	"fmt"
	"math"

	"github.com/gradbook/gradbook/pkg/display"
	"github.com/gradbook/gradbook/pkg/figure"
)

// A cell that ends with a figure shows it; elsewhere display.Show does. A terminal gets a table.
func Example() {
	layers := []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	var runs [][]float64
	for seed := range 5 {
		var norms []float64
		for _, l := range layers {
			norms = append(norms, 0.3*math.Pow(0.236, l-1)*(1+0.05*float64(seed-2)))
		}
		runs = append(runs, norms)
	}
	theory := make([]float64, len(layers))
	for i, l := range layers {
		theory[i] = 0.3 * math.Pow(0.25, l-1)
	}
	display.Show(figure.New("A sigmoid net loses a factor of 4 a layer", "layers below the output", "norm of δ").LogY().
		Seeds("sigmoid", layers, runs).
		Theory("sigmoid", layers, theory).
		HLine("float32 gives up", 1.2e-38))
	// Output:
	// A sigmoid net loses a factor of 4 a layer
	// norm of δ over layers below the output (logarithmic)
	//                   points  first     last    least   most
	// sigmoid               10  0.299   6.8e-7   6.8e-7  0.299  ██▇▆▅▄▃▂▁▁
	// sigmoid (theory)      10    0.3  1.14e-6  1.14e-6    0.3  ██▇▆▅▄▃▂▁▁
	// float32 gives up: y = 1.2e-38
	// Bands: geometric mean over 5 seeds, times and divided by one standard deviation.
}

// A loss that explodes is a finding: the line breaks, the place is marked, and the figure says so.
func ExampleFigure_Line() {
	steps := []float64{1, 2, 3, 4, 5, 6}
	fmt.Println(figure.New("Without clipping training ends at step 4", "step", "loss").LogY().
		Line("clipped", steps, []float64{2.3, 1.9, 1.6, 1.4, 1.2, 1.1}).
		Line("not clipped", steps, []float64{2.3, 4, 90, 1e8, math.Inf(1), math.NaN()}))
	// Output:
	// Without clipping training ends at step 4
	// loss over step (logarithmic)
	//              points  first  last  least  most
	// clipped           6    2.3   1.1    1.1   2.3  █▆▅▃▁▁
	// not clipped       4    2.3   1e8    2.3   1e8  ▁▁▂█××
	// × not clipped: 2 values are not finite.
}

func ExampleFigure_Bars() {
	fmt.Println(figure.New("tanh beats sigmoid", "activation", "test error (%)").
		Bars("measured", []string{"sigmoid", "tanh"}, []float64{2.21, 1.76}))
	// Output:
	// tanh beats sigmoid
	// test error (%) over activation
	//          measured
	// sigmoid      2.21
	// tanh         1.76
}

// The errors of all calls come together in Err, and in the picture.
func ExampleFigure_Err() {
	fmt.Println(figure.New("loss", "step", "loss").Line("train", []float64{1, 2, 3}, []float64{0.5, 0.4}).Err())
	// Output:
	// figure "loss": line "train" has 3 xs and 2 ys; give as many of each
}

func ExampleHeatmap() {
	sigmas, depths := []float64{1, 1.5, 2, 2.5, 3}, []float64{10, 20, 30, 40}
	accuracy := [][]float64{
		{0.9, 1, 1, 0.9, 0.8},
		{0.5, 1, 0.9, 0.6, 0.4},
		{0.2, 0.9, 0.6, 0.3, 0.2},
		{0.1, 0.9, 0.3, 0.1, 0.1},
	}
	fmt.Println(figure.Heatmap("Nets train up to six depth scales", "σ_w", "depth", sigmas, depths, accuracy).Scale("accuracy").
		Curve("6 ξ, theory", sigmas, []float64{18, 60, 26, 20, 16}))
	// Output:
	// Nets train up to six depth scales
	// accuracy: 4 x 5 cells, depth from 10 to 40, σ_w from 1 to 3
	// | █░  |
	// | █▒░ |
	// |▒██▒░|
	// |████▓|
	// blank: 0.1 … full: 1
	// curve: 6 ξ, theory
}

func ExampleRidges() {
	fmt.Println(figure.Ridges("The last layers hardly move", "activation h").
		Counts("h1", -1, 1, []int{8, 4, 4, 8}, "40 % saturated").
		Counts("h2", -1, 1, []int{0, 12, 12, 0}, "0 % saturated"))
	// Output:
	// The last layers hardly move
	// histograms of activation h
	//     from   to
	// h1    -1    1  ██████▅▅▅▅▅▅▅▅▅▅▅▅██████  40 % saturated
	// h2  -0.5  0.5  ▁▁▁▁▁▁████████████▁▁▁▁▁▁  0 % saturated
	// Each row is drawn to its own height.
}

func ExampleGrid() {
	steps := []float64{1, 2, 3}
	panel := func(title string, losses ...float64) *figure.Figure {
		return figure.New(title, "step", "loss").Line("train", steps, losses)
	}
	fmt.Println(figure.Grid("Residual nets learn at depth 50", 2, panel("plain", 2.3, 2.3, 2.3), panel("residual", 2.3, 1.2, 0.6)))
	// Output:
	// Residual nets learn at depth 50
	//
	// plain
	// loss over step
	//        points  first  last  least  most
	// train       3    2.3   2.3    2.3   2.3  ▄▄▄
	//
	// residual
	// loss over step
	//        points  first  last  least  most
	// train       3    2.3   0.6    0.6   2.3  █▃▁
}

func ExampleNetwork() {
	fmt.Println(figure.Network("A residual block",
		figure.Layer{Name: "x", Shape: "[64]"},
		figure.Layer{Name: "W1", Shape: "[64, 64]", Kind: "relu"},
		figure.Layer{Name: "W2", Shape: "[64, 64]"}).
		Skip("x", "W2", "identity"))
	// Output:
	// A residual block
	// layer  units     shape  kind
	// x          -      [64]     -
	// W1         -  [64, 64]  relu
	// W2         -  [64, 64]     -
	// x is added to W2 (identity)
}

func ExampleImages() {
	one := []float32{
		0, 0, 1, 0, 0,
		0, 1, 1, 0, 0,
		0, 0, 1, 0, 0,
		0, 0, 1, 0, 0,
		0, 0, 1, 0, 0,
		0, 1, 1, 1, 0,
	}
	fmt.Println(figure.Images("A digit", []int{6, 5}, one, "label 1"))
	// Output:
	// A digit
	// 1 pictures of 6 x 5 pixels
	// | ▒█  |
	// |  █  |
	// | ▒█▒ |
	// 0: label 1
}

// In a notebook the figure follows the training, ten times a second at most; a terminal gets the last state.
func ExampleLive() {
	live := figure.Live(figure.New("loss by step", "step", "loss"))
	defer live.Done()
	for step := range 100 {
		live.Update(func(f *figure.Figure) { f.Append("train", float64(step), math.Exp(-float64(step)/30)) })
	}
	// Output:
	// loss by step
	// loss over step
	//        points  first    last   least  most
	// train     100      1  0.0369  0.0369     1  █▇▇▆▅▄▄▃▃▃▂▂▂▂▁▁▁▁▁▁▁▁▁▁
}
