package figure_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/gradbook/gradbook/pkg/figure"
)

// layer is a layer of a chart, as Vega-Lite is told of it.
type layer struct {
	Data     struct{ Values []map[string]any }
	Mark     map[string]any
	Encoding map[string]any
}

// chart returns the layers of a figure's chart, or of all its panels.
func chart(t *testing.T, v figure.View) (layers []layer, text string) {
	t.Helper()
	data, err := json.Marshal(v.VegaLite())
	if err != nil {
		t.Fatal(err)
	}
	var spec struct {
		Layer  []layer
		Concat []struct{ Layer []layer }
	}
	if err := json.Unmarshal(data, &spec); err != nil {
		t.Fatal(err)
	}
	for _, panel := range spec.Concat {
		spec.Layer = append(spec.Layer, panel.Layer...)
	}
	return spec.Layer, string(data)
}

// of picks the layers of a kind.
func of(layers []layer, kind string) (list []layer) {
	for _, l := range layers {
		if l.Mark["type"] == kind {
			list = append(list, l)
		}
	}
	return list
}

// at follows keys into JSON.
func at(t *testing.T, v any, keys ...string) any {
	t.Helper()
	for _, k := range keys {
		m, ok := v.(map[string]any)
		if !ok {
			t.Fatalf("no %q in %v", k, v)
		}
		v = m[k]
	}
	return v
}

// TestChartLegend: each name is in the legend once, whatever is drawn first, with the sign that it has in the chart.
func TestChartLegend(t *testing.T) {
	xs := []float64{1, 2, 3, 4, 5}
	f := figure.New("", "x", "y").Theory("sigmoid", xs, xs).Points("sigmoid", xs, xs).Line("tanh", xs, xs).Theory("bound", xs, xs)
	layers, _ := chart(t, f)
	legend := at(t, layers[0].Encoding, "color", "legend")
	if got := at(t, legend, "values"); !slices.Equal(got.([]any), []any{"sigmoid", "tanh", "bound"}) {
		t.Errorf("the legend has %v", got)
	}
	shape := at(t, legend, "encoding", "symbols", "shape", "value", "signal").(string)
	if !strings.Contains(shape, `"sigmoid"`) || strings.Contains(shape, `"tanh"`) {
		t.Errorf("dots stand for %s", shape)
	}
	dash := at(t, legend, "encoding", "symbols", "strokeDash", "value", "signal").(string)
	if !strings.Contains(dash, `"bound"`) || strings.Contains(dash, `"sigmoid"`) {
		t.Errorf("dashes stand for %s", dash)
	}
}

// TestChartBands: bands are told not to be stacked, which Vega-Lite 5.6 would do along x.
func TestChartBands(t *testing.T) {
	xs := []float64{1, 2, 3}
	layers, _ := chart(t, figure.New("", "x", "y").Seeds("a", xs, [][]float64{{1, 2, 3}, {2, 3, 5}}).Seeds("b", xs, [][]float64{{1, 2, 3}, {2, 3, 5}}))
	bands := of(layers, "area")
	if len(bands) != 1 {
		t.Fatalf("%d layers of bands", len(bands))
	}
	for _, channel := range []string{"x", "y"} {
		if stack, told := bands[0].Encoding[channel].(map[string]any)["stack"]; !told || stack != nil {
			t.Errorf("%s: stack is %v (told: %v)", channel, stack, told)
		}
	}
}

// TestChartLines: theory is as dark as in the picture, thin lines are thin, and dots mark the lines of few points only.
func TestChartLines(t *testing.T) {
	few, many := []float64{1, 2, 3}, make([]float64, 40)
	for i := range many {
		many[i] = float64(i + 1)
	}
	layers, _ := chart(t, figure.New("", "x", "y").Line("few", few, few).Line("many", many, many).Line("thin", many, many, figure.Thin).Theory("few", few, few))
	for _, l := range of(layers, "line") {
		name, marked := l.Data.Values[0]["s"], l.Mark["point"] != nil
		switch {
		case l.Mark["strokeDash"] != nil:
			if l.Encoding["stroke"] == nil || l.Data.Values[0]["c"] == nil {
				t.Errorf("theory has no ink of its own: %v", l.Encoding)
			}
		case l.Mark["opacity"] == 0.0: // for the legend
		case name == "thin":
			if w, _ := l.Data.Values[0]["w"].(float64); w <= 0 || w >= 2 || l.Encoding["strokeWidth"] == nil {
				t.Errorf("the thin line is %v wide", w)
			}
		case marked != (name == "few"):
			t.Errorf("%v: marked %v", name, marked)
		}
	}
}

// TestChartTicks: layers are counted in whole numbers, and each bar is named.
func TestChartTicks(t *testing.T) {
	xs := []float64{1, 2, 3, 4, 5}
	layers, _ := chart(t, figure.New("", "hidden layer", "y").Line("a", xs, xs))
	if got := at(t, layers[0].Encoding, "x", "axis", "values"); !slices.Equal(got.([]any), []any{1.0, 2.0, 3.0, 4.0, 5.0}) {
		t.Errorf("ticks at %v", got)
	}
	names := []string{"sigmoid, batch norm", "sigmoid, layer norm", "ReLU, He, residual", "the same, batch norm"}
	layers, _ = chart(t, figure.New("", "", "y").Bars("a", names, xs[:4]).Size(460, 400))
	axis := at(t, layers[0].Encoding, "x", "axis")
	if at(t, axis, "labelOverlap") != false {
		t.Error("names of bars are left out where they are long")
	}
	if lines := at(t, axis, "labelExpr").(string); !strings.Contains(lines, `"sigmoid, batch norm":["sigmoid,","batch norm"]`) {
		t.Errorf("long names are not broken into lines: %s", lines)
	}
}

// TestChartLabels: what labels a horizontal line stands beside a chart that stands alone, and within a panel that has a neighbour; its axis's title is above what labels a vertical one.
func TestChartLabels(t *testing.T) {
	xs := []float64{1, 2, 3}
	f := figure.New("one", "x", "y").Line("a", xs, xs).HLine("guessing at random", 2).VLine("edge", 2)
	alone, _ := chart(t, f)
	pair, _ := chart(t, figure.Grid("", 2, f, f))
	for _, c := range []struct {
		name   string
		layers []layer
		align  string
		offset bool
	}{{"alone", alone, "left", true}, {"panel", pair, "right", false}} {
		for _, l := range of(c.layers, "text") {
			if l.Data.Values[0]["label"] == "guessing at random" && l.Mark["align"] != c.align {
				t.Errorf("%s: the label is aligned %v", c.name, l.Mark["align"])
			}
		}
		line := of(c.layers, "line")[0]
		if offset := at(t, line.Encoding, "color", "legend", "offset").(float64); (offset > 60) != c.offset {
			t.Errorf("%s: the legend is %v px beside the chart", c.name, offset)
		}
		if y := at(t, line.Encoding, "y", "axis", "titleY").(float64); y >= -20 {
			t.Errorf("%s: the title of the axis is at %v px, where the label is", c.name, y)
		}
	}
}

// TestChartZoom: what moves the axes belongs to a layer that has both; Vega warns of others.
func TestChartZoom(t *testing.T) {
	xs := []float64{1, 2, 3}
	_, text := chart(t, figure.New("", "x", "y").Line("a", xs, xs).HLine("guessing", 2).LogY())
	var spec struct {
		Layer []struct {
			Params   []any
			Encoding struct{ X, Y struct{ Field any } }
		}
	}
	if err := json.Unmarshal([]byte(text), &spec); err != nil {
		t.Fatal(err)
	}
	zooms := 0
	for _, l := range spec.Layer {
		if len(l.Params) > 0 {
			zooms++
			if l.Encoding.X.Field == nil || l.Encoding.Y.Field == nil {
				t.Errorf("a layer without both axes zooms: %v", l.Encoding)
			}
		}
	}
	if zooms != 1 {
		t.Errorf("%d layers zoom", zooms)
	}
	if strings.Contains(text, `"type":"log","zero"`) {
		t.Error("a logarithmic axis is told of zero")
	}
}

// TestDots: dots are of one size in a panel, small where they are many and large where each is meant.
func TestDots(t *testing.T) {
	var xs, ys []float64
	for i := range 400 {
		xs, ys = append(xs, float64(i%20)), append(ys, float64(i/20))
	}
	size := func(f *figure.Figure) (sizes []float64) {
		layers, _ := chart(t, f)
		for _, l := range of(layers, "point") {
			if l.Mark["opacity"] != 0.0 && l.Encoding["tooltip"] != nil { // not a lone dot's white ring
				sizes = append(sizes, l.Mark["size"].(float64))
			}
		}
		return sizes
	}
	one := size(figure.New("", "x", "y").Points("here", xs[:1], ys[:1]))
	some := size(figure.New("", "x", "y").Points("some", xs[:40], ys[:40]))
	crowd := size(figure.New("", "x", "y").Points("a", xs[:100], ys[:100]).Points("b", xs[100:], ys[100:]).Size(240, 200))
	if len(one) != 1 || len(some) != 1 || len(crowd) != 1 || one[0] <= some[0] || some[0] <= crowd[0] {
		t.Errorf("sizes %v for one dot, %v for some, %v in a crowd of two series", one, some, crowd)
	}
}
