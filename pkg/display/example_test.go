package display_test

import (
	"errors"

	"github.com/gradbook/gradbook/pkg/display"
)

type polynomial struct{ formula string }

func (p polynomial) LaTeX() string { return "$" + p.formula + "$" }

// In a notebook each of these is shown at its richest; in a terminal they are text.
func ExampleShow() {
	display.Show("plain text")
	display.Show(display.HTML("<b>bold</b> text"))
	display.Show(display.SVG("<svg xmlns='http://www.w3.org/2000/svg'><title>loss by step</title></svg>"))
	display.Show(polynomial{"x^2 + 1"})
	display.Show(3, errors.New("no more"))
	// Output:
	// plain text
	// bold text
	// (SVG picture: loss by step)
	// $x^2 + 1$
	// 3, no more
}

func ExampleShow_table() {
	type run struct {
		Activation string
		Depth      int
		Loss       float64
	}
	var runs []run
	for depth := range 30 {
		runs = append(runs, run{"tanh", depth, 1 / float64(depth+1)})
	}
	display.Show(runs)
	// Output:
	//     Activation  Depth       Loss
	// 0   tanh            0          1
	// 1   tanh            1        0.5
	// 2   tanh            2   0.333333
	// 3   tanh            3       0.25
	// 4   tanh            4        0.2
	// 5   tanh            5   0.166667
	// 6   tanh            6   0.142857
	// 7   tanh            7      0.125
	// 8   tanh            8   0.111111
	// 9   tanh            9        0.1
	// …   …               …          …
	// 25  tanh           25  0.0384615
	// 26  tanh           26   0.037037
	// 27  tanh           27  0.0357143
	// 28  tanh           28  0.0344828
	// 29  tanh           29  0.0333333
	// (30 rows × 3 columns of display_test.run)
}

func ExampleHandle_Update() {
	h := display.Show("step 1")
	h.Update("step 2")
	h.Update("step 2") // a terminal is not told twice
	// Output:
	// step 1
	// step 2
}

func ExampleVegaLite() {
	display.Show(display.VegaLite(map[string]any{
		"title": "loss",
		"mark":  "line",
		"data":  map[string]any{"values": []map[string]any{{"step": 0, "loss": 2.3}, {"step": 1, "loss": 0.7}}},
	}, "<svg xmlns='http://www.w3.org/2000/svg'/>"))
	// Output:
	// (chart: loss)
}
