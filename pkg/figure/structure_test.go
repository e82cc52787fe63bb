package figure_test

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"testing"

	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"

	"github.com/gradbook/gradbook/pkg/figure"
)

// text is a text element of an SVG.
type text struct {
	x, y, size float64
	turn       float64 // degrees, clockwise
	bold       bool
	anchor     string
	fill       string
	content    string
}

func (t text) String() string { return t.content }

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func number(t *testing.T, s string, other float64) float64 {
	if s == "" {
		return other
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Errorf("%q is no number", s)
	}
	return v
}

// elements calls f for each start of an element, and fails if the SVG is no XML.
func elements(t *testing.T, svg string, f func(e xml.StartElement)) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		tok, err := d.Token()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatalf("%v in %s", err, svg)
		}
		if e, ok := tok.(xml.StartElement); ok {
			f(e)
		}
	}
}

// texts returns the text elements.
func texts(t *testing.T, svg string) []text {
	t.Helper()
	var out []text
	in := false
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		tok, err := d.Token()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatalf("%v in %s", err, svg)
		}
		switch e := tok.(type) {
		case xml.StartElement:
			if e.Name.Local == "text" {
				in = true
				one := text{x: number(t, attribute(e, "x"), 0), y: number(t, attribute(e, "y"), 0), size: number(t, attribute(e, "font-size"), 12), bold: attribute(e, "font-weight") == "bold", anchor: attribute(e, "text-anchor"), fill: attribute(e, "fill")}
				if turned := attribute(e, "transform"); turned != "" {
					if _, err := fmt.Sscanf(turned, "translate(%g %g) rotate(%g)", &one.x, &one.y, &one.turn); err != nil {
						t.Errorf("transform %q: %v", turned, err)
					}
				}
				out = append(out, one)
			}
		case xml.EndElement:
			in = in && e.Name.Local != "text"
		case xml.CharData:
			if in {
				out[len(out)-1].content += string(e)
			}
		}
	}
}

// TestStructure: whatever the kind, the SVG stands alone, says what it is, has its fonts, and all text lies within it.
func TestStructure(t *testing.T) {
	all := crowded()
	for name, v := range gallery() {
		all[name] = v
		if n := len(v.SVG()); n > 40_000 {
			t.Errorf("%s has %d bytes", name, n)
		}
	}
	for name, v := range all {
		s := v.SVG()
		if again := v.SVG(); again != s {
			t.Errorf("%s: two drawings differ", name)
		}
		for _, bad := range []string{"NaN", "Inf", " id=", "<style", "url(", "http://www.w3.org/1999", "<script"} {
			if strings.Contains(s, bad) {
				t.Errorf("%s has %q", name, bad)
			}
		}
		for _, want := range []string{`role="img"`, `font-family="Liberation Sans,Arial,Helvetica,sans-serif"`, "<title>", "<desc>"} {
			if !strings.Contains(s, want) {
				t.Errorf("%s has no %q", name, want)
			}
		}
		if strings.Contains(s, "<desc></desc>") || strings.Contains(s, "<title></title>") {
			t.Errorf("%s has an empty title or description", name)
		}
		checkBox(t, name, s)
	}
}

// checkBox fails where a text reaches out of the picture, or two texts cover one another.
func checkBox(t *testing.T, name, svg string) {
	t.Helper()
	var w, h float64
	elements(t, svg, func(e xml.StartElement) {
		if e.Name.Local == "svg" {
			w, h = number(t, attribute(e, "width"), 0), number(t, attribute(e, "height"), 0)
			if want := fmt.Sprintf("0 0 %g %g", w, h); attribute(e, "viewBox") != want {
				t.Errorf("%s: viewBox %q; want %q", name, attribute(e, "viewBox"), want)
			}
		}
	})
	type box struct {
		x0, y0, x1, y1 float64
		content        string
	}
	var boxes []box
	for _, one := range texts(t, svg) {
		f := font.Font{Typeface: "Liberation", Variant: "Sans"}
		if one.bold {
			f.Weight = xfont.WeightBold
		}
		face := font.DefaultCache.Lookup(f, vg.Length(one.size))
		width := float64(face.Width(one.content))
		x := one.x
		switch one.anchor {
		case "middle":
			x -= width / 2
		case "end":
			x -= width
		}
		if one.turn != 0 {
			sin, cos := math.Sincos(one.turn * math.Pi / 180)
			if x, y := one.x+width*cos, one.y+width*sin; min(x, one.x) < 0 || max(x, one.x) > w || min(y, one.y) < 0 || max(y, one.y) > h {
				t.Errorf("%s: %q from (%.0f, %.0f) to (%.0f, %.0f) reaches out of %g x %g", name, one.content, one.x, one.y, x, y, w, h)
			}
			continue
		}
		b := box{x, one.y - 0.72*one.size, x + width, one.y + 0.2*one.size, one.content}
		if b.x0 < 0 || b.y0 < 0 || b.x1 > w || b.y1 > h {
			t.Errorf("%s: %q at %.1f..%.1f, %.1f..%.1f reaches out of %g x %g", name, b.content, b.x0, b.x1, b.y0, b.y1, w, h)
		}
		for _, o := range boxes {
			if b.x0 < o.x1-1 && o.x0 < b.x1-1 && b.y0 < o.y1-1 && o.y0 < b.y1-1 {
				t.Errorf("%s: %q covers %q", name, b.content, o.content)
			}
		}
		boxes = append(boxes, b)
	}
}

// contrast is the ratio of WCAG 2.1 between a colour and white.
func contrast(t *testing.T, hex string) float64 {
	t.Helper()
	v, err := strconv.ParseUint(strings.TrimPrefix(hex, "#"), 16, 32)
	if err != nil || len(hex) != 7 {
		t.Fatalf("%q is no colour", hex)
	}
	l := 0.0
	for i, weight := range []float64{0.0722, 0.7152, 0.2126} {
		c := float64(v>>(8*i)&0xff) / 255
		if c <= 0.03928 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		l += weight * c
	}
	return 1.05 / (l + 0.05)
}

// TestContrast: text has 4.5:1 on the picture's ground, lines that carry data have 3:1, as WCAG 2.1 asks.
func TestContrast(t *testing.T) {
	for name, v := range gallery() {
		s := v.SVG()
		for _, one := range texts(t, s) {
			if c := contrast(t, one.fill); c < 4.5 {
				t.Errorf("%s: %q has contrast %.2f", name, one.content, c)
			}
		}
	}
	names := strings.Fields("sigmoid tanh relu leaky_relu elu selu gelu silu softplus softsign plain residual glorot he lecun orthogonal lstm gru train test theory δ h")
	for i := range 40 {
		names = append(names, fmt.Sprint("any other ", i))
	}
	for _, n := range append(names, "batch norm", "layer norm", "residual + norm") {
		if c := contrast(t, figure.Color(n)); c < 3 {
			t.Errorf("%q has contrast %.2f", n, c)
		}
	}
	xs := []float64{1, 2}
	for i := range 12 {
		s := figure.New("", "", "").Line("a", xs, xs, figure.Step(i, 12)).SVG()
		head := s[:strings.Index(s, `stroke-width="2"`)]
		if c := contrast(t, head[strings.LastIndex(head, "#"):][:7]); c < 3 {
			t.Errorf("step %d of 12 has contrast %.2f", i, c)
		}
	}
}

// TestVegaLite: charts are JSON without null data, and each field that a layer shows is in its data.
func TestVegaLite(t *testing.T) {
	for name, v := range gallery() {
		if v.Err() != nil {
			continue
		}
		data, err := json.Marshal(v.VegaLite())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var spec map[string]any
		if err := json.Unmarshal(data, &spec); err != nil {
			t.Fatal(err)
		}
		if spec["$schema"] != "https://vega.github.io/schema/vega-lite/v5.json" || spec["background"] != "#ffffff" || spec["description"] == "" {
			t.Errorf("%s: %.200s", name, data)
		}
		charts := []any{any(spec)}
		if panels, ok := spec["concat"].([]any); ok {
			charts = panels
		}
		for _, c := range charts {
			layers, ok := c.(map[string]any)["layer"].([]any)
			if !ok || len(layers) == 0 {
				t.Errorf("%s has no layers", name)
			}
			for i, l := range layers {
				checkLayer(t, fmt.Sprintf("%s, layer %d", name, i), l.(map[string]any))
			}
		}
	}
}

func checkLayer(t *testing.T, name string, layer map[string]any) {
	t.Helper()
	fields := map[string]bool{}
	switch values := layer["data"].(map[string]any)["values"].(type) {
	case string:
		for _, f := range strings.Split(strings.SplitN(values, "\n", 2)[0], ",") {
			fields[f] = true
		}
	case []any:
		if len(values) == 0 {
			t.Errorf("%s has no data", name)
		}
		for _, row := range values {
			for k, v := range row.(map[string]any) {
				fields[k] = true
				if v == nil {
					t.Errorf("%s: %q is null", name, k)
				}
			}
		}
	}
	if layer["mark"] == nil {
		t.Errorf("%s has no mark", name)
	}
	optional := map[string]bool{"weight": true, "caption": true}
	for channel, e := range layer["encoding"].(map[string]any) {
		list, ok := e.([]any)
		if !ok {
			list = []any{e}
		}
		for _, one := range list {
			if f, ok := one.(map[string]any)["field"].(string); ok && !fields[f] && !optional[f] {
				t.Errorf("%s: %s shows %q, which its data do not have (%v)", name, channel, f, fields)
			}
		}
	}
}

// FuzzText: any text in any place leaves the SVG well-formed and within its bounds.
func FuzzText(f *testing.F) {
	for _, s := range []string{"", "σ_w and W_{10}", "a<b>&\"c\"", "x_", "_", "é_{", "batch_norm", "\x00\xff\ufffe", strings.Repeat("long ", 80), "unbroken" + strings.Repeat("x", 300), "two\nlines"} {
		f.Add(s)
	}
	xs := []float64{1, 2, 3}
	f.Fuzz(func(t *testing.T, s string) {
		svg := figure.New(s, s, s).Line(s, xs, xs).Points("p"+s, xs, xs).HLine(s, 2).VLine(s, 2).Note(s).SVG()
		elements(t, svg, func(xml.StartElement) {})
	})
}

// FuzzData: any numbers give a picture without NaN, on any axes.
func FuzzData(f *testing.F) {
	f.Add(1.0, 2.0, 3.0, true)
	f.Add(nan, inf, -inf, false)
	f.Add(0.0, -0.0, 0.0, true)
	f.Add(5e-324, 1.0, math.MaxFloat64, true)
	f.Add(-math.MaxFloat64, 0.0, math.MaxFloat64, false)
	f.Add(1.0, 1.0+1e-15, 1.0, false)
	f.Add(1e300, 1e300, 1e300, true)
	f.Add(-1.0, -2.0, -3.0, true)
	f.Add(-1.0, -2.0, math.MaxFloat64, true)
	f.Fuzz(func(t *testing.T, a, b, c float64, log bool) {
		xs, ys := []float64{1, 2, 3}, []float64{a, b, c}
		one := figure.New("t", "x", "y").Line("l", xs, ys).Points("p", ys, ys).Band("b", xs, ys, ys, ys).Seeds("s", xs, [][]float64{ys, {c, a, b}})
		bars := figure.New("t", "x", "y").Bars("b", []string{"a", "b", "c"}, ys)
		heat := figure.Heatmap("t", "x", "y", xs, []float64{1}, [][]float64{ys})
		if log {
			one.LogX().LogY()
			bars.LogY()
			heat.Log()
		}
		for _, v := range []figure.View{one, bars, heat} {
			if v.Err() != nil {
				t.Fatal(v.Err())
			}
			svg := v.SVG()
			elements(t, svg, func(e xml.StartElement) {
				for _, attr := range e.Attr {
					if strings.Contains(attr.Value, "NaN") || strings.Contains(attr.Value, "Inf") {
						t.Errorf("%s has %s=%q", e.Name.Local, attr.Name.Local, attr.Value)
					}
				}
			})
			if _, err := json.Marshal(v.VegaLite()); err != nil {
				t.Error(err)
			}
		}
	})
}
