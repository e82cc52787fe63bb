package figure_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"

	"github.com/gradbook/gradbook/pkg/figure"
)

// depths returns 1, 2, ..., n.
func depths(n int) []float64 {
	xs := make([]float64, n)
	for i := range xs {
		xs[i] = float64(i + 1)
	}
	return xs
}

func each(xs []float64, f func(float64) float64) []float64 {
	ys := make([]float64, len(xs))
	for i, x := range xs {
		ys[i] = f(x)
	}
	return ys
}

// decays makes runs that lose a factor a layer, with noise that grows.
func decays(r *rand.Rand, xs []float64, start, factor float64, n int) [][]float64 {
	runs := make([][]float64, n)
	for s := range runs {
		v := start
		for range xs {
			runs[s] = append(runs[s], v)
			v *= factor * math.Exp(0.12*r.NormFloat64())
		}
	}
	return runs
}

func curves() *figure.Figure {
	r := rand.New(rand.NewPCG(1, 2))
	xs := depths(30)
	f := figure.New("A sigmoid net loses a factor of 4.2 a layer; He's initialisation holds the gradient", "layers below the output", "norm of δ").LogY()
	for _, a := range []struct {
		name   string
		factor float64
	}{{"sigmoid", 0.236}, {"tanh", 0.93}, {"relu", 0.703}, {"relu (He)", 0.995}} {
		name := a.name
		var style []figure.Style
		if name == "relu (He)" {
			style = append(style, figure.As("residual"))
		}
		f.Seeds(name, xs, decays(r, xs, 0.3, a.factor, 10), style...)
		f.Theory(name, xs, each(xs, func(x float64) float64 { return 0.3 * math.Pow(a.factor, x-1) }), style...)
	}
	return f.HLine("smallest normal float32", 1.2e-38)
}

func few() *figure.Figure {
	xs := depths(10)
	return figure.New("δ falls, dL/dW is flat: the activations shrink by the same factor", "layer", "norm").
		Line("δ", xs, each(xs, func(x float64) float64 { return 0.4 * math.Pow(0.703, 10-x) })).
		Line("dL/dW", xs, each(xs, func(x float64) float64 { return 0.21 + 0.01*math.Sin(3*x) })).
		Line("h", xs, each(xs, func(x float64) float64 { return math.Pow(0.703, x) }))
}

func derivative() *figure.Figure {
	xs := each(make([]float64, 121), func(float64) float64 { return 0 })
	for i := range xs {
		xs[i] = -6 + float64(i)/10
	}
	s := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	return figure.New("The sigmoid's derivative is at most 1/4", "pre-activation z", "φ′(z)").
		Shade("saturated", math.Inf(-1), -2.94).Shade("saturated", 2.94, math.Inf(1)).
		Line("sigmoid", xs, each(xs, func(x float64) float64 { return s(x) * (1 - s(x)) })).
		Line("tanh", xs, each(xs, func(x float64) float64 { return 1 - math.Tanh(x)*math.Tanh(x) })).
		HLine("1/4", 0.25).VLine("half of its maximum at 1.763", 1.763)
}

func exploding() *figure.Figure {
	xs := depths(40)
	f := figure.New("Without clipping the loss explodes at step 27", "step", "loss").LogY()
	f.Line("clipped", xs, each(xs, func(x float64) float64 { return 2.3 * math.Exp(-x/15) }))
	f.Line("not clipped", xs, each(xs, func(x float64) float64 {
		if x > 26 {
			return math.NaN()
		}
		return 2.3 * math.Exp(-x/30) * (1 + math.Exp(x-20))
	}))
	return f.Line("regulariser", xs, each(xs, func(x float64) float64 { return 0.5 - x/60 }))
}

func cloud() *figure.Figure {
	r := rand.New(rand.NewPCG(3, 4))
	f := figure.New("Two spirals: no line parts them", "x₁", "x₂").Size(480, 400)
	for c, name := range []string{"class 0", "class 1"} {
		var xs, ys []float64
		for i := range 90 {
			t := float64(i) / 90 * 3 * math.Pi
			a := t + math.Pi*float64(c)
			xs = append(xs, t/9*math.Cos(a)+0.03*r.NormFloat64())
			ys = append(ys, t/9*math.Sin(a)+0.03*r.NormFloat64())
		}
		f.Points(name, xs, ys)
	}
	return f
}

func columns() *figure.Figure {
	cats := []string{"sigmoid", "tanh", "tanh (normalised)", "softsign", "softsign (normalised)"}
	return figure.New("Glorot's initialisation helps tanh, not softsign", "", "test error (%)").
		BarsRange("measured", cats, []float64{2.1, 1.7, 1.6, 1.62, 1.6}, []float64{2.25, 1.8, 1.66, 1.7, 1.66}, []float64{2.4, 1.9, 1.72, 1.78, 1.72}).
		Bars("Glorot and Bengio", cats, []float64{2.21, 1.76, 1.64, 1.64, 1.72}, figure.As("theory"))
}

func rates() *figure.Figure {
	f := figure.New("Deeper nets need smaller rates", "learning rate", "accuracy").LogX().YRange(0, 1)
	var xs []float64
	for e := -4.0; e <= 0; e += 0.25 {
		xs = append(xs, math.Pow(10, e))
	}
	for i, d := range []int{2, 5, 10, 20, 40} {
		best := 0.3 / float64(d)
		f.Line("depth "+strconv.Itoa(d), xs, each(xs, func(x float64) float64 {
			l := math.Log(x / best)
			return 0.1 + 0.85*math.Exp(-l*l/6)
		}), figure.Step(i, 5))
	}
	return f
}

func heat() *figure.Heat {
	sigmas := make([]float64, 41)
	for i := range sigmas {
		sigmas[i] = 0.8 + 0.04*float64(i)
	}
	layers := depths(40)
	values := make([][]float64, len(layers))
	for j, l := range layers {
		for _, s := range sigmas {
			values[j] = append(values[j], math.Min(1, math.Exp(-l*math.Abs(s-1.45)*0.6+1)))
		}
	}
	values[39][0] = math.NaN()
	return figure.Heatmap("A net trains where depth is below six depth scales", "σ_w", "depth", sigmas, layers, values).Scale("accuracy").
		Curve("6 ξ_c, theory", sigmas, each(sigmas, func(s float64) float64 { return 6 / (0.6*math.Abs(s-1.45) + 0.02) / 4 }))
}

func factors() *figure.Heat {
	xs, ys := []float64{16, 32, 64, 128, 256}, []float64{0.25, 0.5, 1, 2, 4, 8}
	values := make([][]float64, len(ys))
	for j, y := range ys {
		for _, x := range xs {
			values[j] = append(values[j], math.Pow(y, 1+4/x))
		}
	}
	return figure.Heatmap("The factor a layer crosses one at σ_w² = 1", "width", "σ_w²", xs, ys, values).LogX().LogY().Log().Diverging(1).Scale("factor").Size(480, 340)
}

func ridges() *figure.Ridge {
	r := rand.New(rand.NewPCG(5, 6))
	f := figure.Ridges("With gain 5/3 the activations of tanh keep their spread; without, they shrink", "activation h").XRange(-1, 1).Shade("saturated", -1, -0.97).Shade("saturated", 0.97, 1)
	for l := range 6 {
		var vs []float64
		saturated := 0
		for range 3000 {
			v := math.Tanh(r.NormFloat64() * 1.6 * math.Pow(0.75, float64(l)))
			vs = append(vs, v)
			if math.Abs(v) > 0.97 {
				saturated++
			}
		}
		f.Values("layer "+strconv.Itoa(l+1), vs, strconv.Itoa(saturated*100/3000)+" % saturated")
	}
	return f
}

func multiples() *figure.Panels {
	r := rand.New(rand.NewPCG(7, 8))
	xs := depths(20)
	var panels []*figure.Figure
	for i, w := range []int{64, 256, 1024} {
		f := figure.New("width "+strconv.Itoa(w), "layer", "norm of δ").LogY()
		noise := 0.1 / math.Sqrt(float64(i*i*i*3+1))
		for name, factor := range map[string]float64{"sigmoid": 0.4} {
			f.Seeds(name, xs, decays(r, xs, 0.3, factor*(1-noise), 8))
			f.Theory(name, xs, each(xs, func(x float64) float64 { return 0.3 * math.Pow(factor, x-1) }))
		}
		f.Seeds("relu", xs, decays(r, xs, 0.3, 0.95-noise, 8))
		f.Theory("relu", xs, each(xs, func(x float64) float64 { return 0.3 * math.Pow(0.95, x-1) }))
		panels = append(panels, f)
	}
	return figure.Grid("The gap to theory shrinks with width", 3, panels...)
}

func four() *figure.Panels {
	xs := depths(50)
	var panels []*figure.Figure
	for i, name := range []string{"plain", "residual", "batch norm", "residual + norm"} {
		f := figure.New(name, "step", "accuracy").YRange(0, 1)
		for k, d := range []int{10, 30} {
			f.Line("depth "+strconv.Itoa(d), xs, each(xs, func(x float64) float64 {
				return 0.1 + 0.8*(1-math.Exp(-x/(4+3*float64(i*k))))*math.Pow(0.7, float64(k)/(float64(i)+0.5))
			}), figure.Step(k, 2))
		}
		panels = append(panels, f)
	}
	return figure.Grid("Depth hurts the plain net most", 2, panels...)
}

func smallNet() *figure.Diagram {
	r := rand.New(rand.NewPCG(9, 10))
	draw := func(in, out int) [][]float64 {
		w := make([][]float64, in)
		for i := range w {
			for range out {
				w[i] = append(w[i], r.NormFloat64())
			}
		}
		return w
	}
	return figure.Network("Signs and sizes of the weights after training", figure.Layer{Name: "input", Units: 3}, figure.Layer{Name: "h1", Units: 5, Kind: "tanh", Shape: "5, tanh"},
		figure.Layer{Name: "h2", Units: 5, Kind: "tanh", Shape: "5, tanh"}, figure.Layer{Name: "out", Units: 2}).
		Weights("h1", draw(3, 5)).Weights("h2", draw(5, 5)).Weights("out", draw(5, 2)).Skip("h1", "h2", "identity")
}

func mnistNet() *figure.Diagram {
	return figure.Network("A net with two hidden layers", figure.Layer{Name: "input", Units: 784, Shape: "784 pixels"}, figure.Layer{Name: "h1", Units: 30, Kind: "sigmoid", Shape: "30, sigmoid"},
		figure.Layer{Name: "h2", Units: 30, Kind: "sigmoid", Shape: "30, sigmoid"}, figure.Layer{Name: "out", Units: 10, Shape: "10 classes"})
}

func resnet() *figure.Diagram {
	layers := []figure.Layer{{Name: "input", Shape: "[32, 32, 3]"}, {Name: "conv", Shape: "[32, 32, 16]", Kind: "he"}}
	for i := range 9 {
		shape := []string{"[32, 32, 16]", "[16, 16, 32]", "[8, 8, 64]"}[i/3]
		layers = append(layers, figure.Layer{Name: "b" + strconv.Itoa(i+1) + "a", Shape: shape, Kind: "he"}, figure.Layer{Name: "b" + strconv.Itoa(i+1) + "b", Shape: shape, Kind: "he"})
	}
	layers = append(layers, figure.Layer{Name: "pool", Shape: "[64]"}, figure.Layer{Name: "out", Shape: "[10]"})
	d := figure.Network("ResNet-20: each block adds its input to its output", layers...)
	before := "conv"
	for i := range 9 {
		to := "b" + strconv.Itoa(i+1) + "b"
		d.Skip(before, to, "")
		before = to
	}
	return d
}

func block() *figure.Diagram {
	return figure.Network("A residual block: F(x) + x", figure.Layer{Name: "x"}, figure.Layer{Name: "conv 1", Shape: "3 x 3", Kind: "he"}, figure.Layer{Name: "ReLU", Kind: "relu"}, figure.Layer{Name: "conv 2", Shape: "3 x 3", Kind: "he"}).
		Skip("x", "conv 2", "identity")
}

func digits() *figure.Strip {
	var pixels []float32
	var captions []string
	for d := range 10 {
		for y := range 28 {
			for x := range 28 {
				r := math.Hypot(float64(x)-13.5, (float64(y)-13.5)*0.7)
				pixels = append(pixels, float32(math.Exp(-(r-float64(d))*(r-float64(d))/3)))
			}
		}
		captions = append(captions, "label "+strconv.Itoa(d))
	}
	return figure.Images("Rings of ten sizes", []int{28, 28}, pixels, captions...)
}

// gallery holds a figure of each kind.
func gallery() map[string]figure.View {
	return map[string]figure.View{
		"curves": curves(), "few": few(), "derivative": derivative(), "exploding": exploding(), "points": cloud(), "bars": columns(), "rates": rates(),
		"heat": heat(), "factors": factors(), "ridges": ridges(), "multiples": multiples(), "four": four(),
		"net": smallNet(), "mnist": mnistNet(), "resnet": resnet(), "block": block(), "digits": digits(),
		"error": figure.New("Broken", "x", "y").Line("a", []float64{1, 2}, []float64{1}),
	}
}

// crowded holds figures whose content leaves little room; tests look at their structure, not at their bytes.
func crowded() map[string]figure.View {
	m := map[string]figure.View{}
	xs := depths(30)
	f := figure.New("A very long title which says a finding in so many words that it cannot possibly stand on one line of the figure, so it wraps", "x", "a label of the y axis that is long")
	for i := range 30 {
		f.Line(fmt.Sprintf("series with a long name number %d of thirty", i), xs, each(xs, func(x float64) float64 { return x * float64(i) }))
	}
	m["many series"] = f
	m["small"] = figure.New("Small", "x", "y").Size(260, 180).Line("a", xs, xs).Theory("b", xs, each(xs, math.Sqrt))
	cats := []string{}
	vals := []float64{}
	for i := range 14 {
		cats = append(cats, fmt.Sprintf("leaky_relu(0.0%d) normalised", i))
		vals = append(vals, float64(i)-4)
	}
	m["slanted names"] = figure.New("Bars", "activation", "value").Bars("v", cats, vals).HLine("chance", 2)
	m["one point"] = figure.New("One point, no names", "", "").Line("", []float64{3}, []float64{0.2}).Points("", []float64{4}, []float64{0.3})
	g := []*figure.Figure{}
	for i := range 6 {
		g = append(g, figure.New(fmt.Sprint("panel ", i), "step", "loss").Line("train", xs, each(xs, func(x float64) float64 { return math.Pow(10, float64(i)) / x })).Line("test", xs, each(xs, func(x float64) float64 { return math.Pow(10, float64(i)) / math.Sqrt(x) })).HLine("ref", 1))
	}
	m["free axes"] = figure.Grid("Free axes", 3, g...).Free()
	ls := []figure.Layer{}
	for i := range 60 {
		ls = append(ls, figure.Layer{Name: fmt.Sprint("layer ", i), Shape: "[128, 56, 56, 64]", Kind: "relu"})
	}
	m["long chain"] = figure.Network("Sixty layers", ls...).Skip("layer 1", "layer 3", "").Skip("layer 3", "layer 5", "").Skip("layer 2", "layer 4", "long").Skip("layer 50", "layer 57", "")
	ls = nil
	for i := range 8 {
		ls = append(ls, figure.Layer{Name: fmt.Sprint("h", i), Units: 4})
	}
	m["nested skips"] = figure.Network("Nested skips", ls...).Skip("h1", "h3", "a").Skip("h3", "h5", "b").Skip("h0", "h7", "c").Skip("h2", "h6", "d")
	r := figure.Ridges("Thirty layers", "z")
	for i := range 30 {
		vs := []float64{}
		for k := range 400 {
			vs = append(vs, math.Sin(float64(k*k))*math.Pow(0.9, float64(i)))
		}
		r.Values(fmt.Sprint("h", i+1), vs)
	}
	m["thirty rows"] = r
	px := []float32{}
	for i := range 24 * 8 * 8 * 3 {
		px = append(px, float32(math.Sin(float64(i)*0.3)))
	}
	m["colour images"] = figure.Images("Colours", []int{8, 8, 3}, px)
	m["many marks"] = figure.New("Marks crowd", "x", "y").Line("a", xs, xs).VLine("first mark", 3).VLine("second mark", 4).VLine("third mark", 5).Shade("region one", 5, 9).HLine("h1", 10).HLine("h2", 10.5).ShadeY("band", 20, 25)
	m["early ends"] = figure.New("Lines end early and bands on log", "x", "y").LogX().LogY().Band("a", xs, each(xs, func(x float64) float64 { return 1 - x/5 }), each(xs, func(x float64) float64 { return 1 + x }), each(xs, func(x float64) float64 { return 5 * x })).Line("short", xs[:9], xs[:9]).Line("one", xs[12:13], xs[12:13])
	m["logarithmic heat map"] = figure.Heatmap("Log scale", "learning rate", "depth", []float64{0.001, 0.01, 0.1, 1}, []float64{1, 2, 4, 8}, [][]float64{{1, 1e-3, 1e-8, 1e-12}, {1, 1e-3, 0, 1e-12}, {1, 1e-3, 1e-8, 1e-12}, {1, 1e-3, 1e-8, 1e-12}}).LogX().LogY().Log().Scale("gradient of the first layer")
	return m
}
