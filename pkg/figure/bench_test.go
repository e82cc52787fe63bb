package figure_test

import (
	"math"
	"testing"

	"github.com/gradbook/gradbook/pkg/figure"
)

// typical is what a slider redraws: five lines of 50 points.
func typical() *figure.Figure {
	xs := depths(50)
	f := figure.New("Five activations", "layer", "norm of δ").LogY()
	for i, name := range []string{"sigmoid", "tanh", "relu", "selu", "gelu"} {
		f.Line(name, xs, each(xs, func(x float64) float64 { return math.Pow(0.3+0.15*float64(i), x) * (1 + 0.1*math.Sin(x)) }))
	}
	return f
}

func BenchmarkSVG(b *testing.B) {
	f := typical()
	b.ReportMetric(float64(len(f.SVG())), "bytes")
	for b.Loop() {
		f.SVG()
	}
}

func BenchmarkBundle(b *testing.B) {
	f := typical()
	for b.Loop() {
		f.MIMEBundle()
	}
}

func BenchmarkHeatmap(b *testing.B) {
	h := heat()
	for b.Loop() {
		h.SVG()
	}
}
