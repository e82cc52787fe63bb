package widget_test

import (
	"fmt"

	"github.com/gradbook/gradbook/pkg/display"
	"github.com/gradbook/gradbook/pkg/display/widget"
)

// In a notebook the thumb moves the picture; here code moves the thumb.
func Example() {
	depth := widget.NewIntSlider("depth", 1, 50, 10)
	plot := widget.NewFigure("a net of 10 layers")
	depth.OnChange(func(n int) { plot.Draw(display.Text(fmt.Sprintf("a net of %d layers", n))) })

	panel := widget.NewVBox(depth, plot)
	h := display.Show(panel)
	depth.SetValue(30)
	h.Update(panel)
	// Output:
	// depth: 10 (1 to 50)
	// a net of 10 layers
	// depth: 30 (1 to 50)
	// a net of 30 layers
}

func ExampleOutput() {
	out := widget.NewOutput()
	train := widget.NewButton("train")
	steps := 0
	train.OnClick(func() {
		steps++
		fmt.Fprintln(out, "step", steps)
	})
	train.Click()
	train.Click()
	display.Show(widget.NewVBox(train, out))
	// Output:
	// [train]
	// step 1
	// step 2
}
