package display_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomlx/gomlx/core/tensors"
	"gonum.org/v1/gonum/mat"

	"github.com/gradbook/gradbook/pkg/display"
)

var update = flag.Bool("update", false, "rewrite the expected bundles in testdata")

type layer struct {
	Name  string
	Width int
	gain  float64
}

type optimizer struct {
	Name string
	At   time.Time
	Next *layer
	_    int
}

type shy struct{ n int }

func (s shy) String() string { return fmt.Sprintf("shy %d", s.n) }

type rich struct{}

func (rich) HTML() string     { return "<b>net</b> &amp; <i>data</i>" }
func (rich) Markdown() string { return "**net**" }
func (rich) SVG() string      { return "<svg><title>a net</title></svg>" }
func (rich) JSON() any        { return "never seen, since there is more" }
func (rich) MIMEBundle() map[string]any {
	return map[string]any{"text/html": "<u>from the bundle</u>", "application/vnd.custom+json": map[string]int{"a": 1}}
}

type tree struct{ leaves []float64 }

func (t tree) JSON() any { return map[string]any{"leaves": t.leaves} }

type broken struct{ Name string }

func (b *broken) HTML() string { panic("no HTML today: " + b.Name) }

type brokenJSON struct{}

func (brokenJSON) JSON() any                    { return brokenJSON{} }
func (brokenJSON) MarshalJSON() ([]byte, error) { panic("no JSON today") }

func square(side int) image.Image {
	m := image.NewGray(image.Rect(0, 0, side, side))
	for i := range side {
		m.SetGray(i, i, color.Gray{Y: 255})
	}
	return m
}

func many(n int) (out []layer) {
	for i := range n {
		out = append(out, layer{fmt.Sprintf("layer %d", i), 1 << i, 1 / float64(i+3)})
	}
	return out
}

func ramp(n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = float64(i) / 8
	}
	return out
}

func matrixOf(rows, columns int) *mat.Dense {
	return mat.NewDense(rows, columns, ramp(rows*columns))
}

func wide(n int) map[string]float64 {
	m := map[string]float64{}
	for i := range n {
		m[fmt.Sprintf("weight %02d", i)] = float64(i)
	}
	return m
}

// bundles are values and the golden files with their views.
var bundles = []struct {
	name  string
	value any
}{
	{"nil", nil},
	{"string", "as it <is>\n"},
	{"number", 42},
	{"html", display.HTML("<p>one<br>two &lt; three</p><script>alert('no text')</script>")},
	{"markdown", display.Markdown("# Title\n*text*")},
	{"latex", display.LaTeX(`\frac{\partial L}{\partial z}`)},
	{"latex-text", display.LaTeX(`costs \$5 and $z^2$`)},
	{"svg", display.SVG("<svg xmlns='http://www.w3.org/2000/svg'><title>loss &amp; gain</title></svg>")},
	{"json", display.JSON(map[string]any{"loss": []float64{1, math.NaN(), math.Inf(1)}, "name": "<net>"})},
	{"vega", display.VegaLite(map[string]any{"title": "loss", "data": []float64{0.5, math.NaN()}}, "<svg/>")},
	{"vega-text", display.VegaLite(`{"title":{"text":"gain"}}`, "")},
	{"vega-broken", display.VegaLite(`{"title":`, "<svg/>")},
	{"mime", display.MIME{"application/x-net": []byte{1, 2}, "text/plain": "a net"}},
	{"methods", rich{}},
	{"method-json", tree{[]float64{1, 2}}},
	{"method-panics", &broken{"x"}},
	{"method-json-panics", brokenJSON{}},
	{"structs-unnamed", []struct{ A int }{{1}}},
	{"method-nil", (*broken)(nil)},
	{"stringer", shy{3}},
	{"error", fmt.Errorf("no <net>: %w", fs.ErrNotExist)},
	{"structs", []layer{{"in", 784, 1}, {"<out>", 10, math.Inf(-1)}}},
	{"structs-many", many(40)},
	{"structs-pointers", []*optimizer{{Name: "adam", At: time.Unix(0, 0).UTC(), Next: &layer{Name: "out"}}, nil}},
	{"structs-stringers", []shy{{1}, {2}}},
	{"maps", []map[string]any{{"loss": 0.5, "step": 1}, {"step": 2, "note": "a\nb"}}},
	{"maps-wide", []map[string]float64{wide(40)}},
	{"rows", [][]float64{{1, 2.5}, {3}}},
	{"rows-many", [][]int{{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, -12}}},
	{"floats", ramp(1000)},
	{"floats-odd", append(ramp(30), math.NaN())},
	{"strings", strings.Split(strings.Repeat("word ", 300), " ")},
	{"map-large", wide(500)},
	{"text-large", strings.Repeat("0123456789", 1<<13)},
	{"image-uniform", image.NewUniform(color.Black)},
	{"image-empty", image.NewGray(image.Rect(0, 0, 0, 3))},
	{"tensor", tensors.FromValue([][]float32{{1, 2, 3}, {4, 5, 6.25}})},
	{"tensor-large", tensors.FromValue(func() [][]float64 {
		rows := make([][]float64, 50)
		for i := range rows {
			rows[i] = ramp(30)
		}
		return rows
	}())},
	{"tensor-scalar", tensors.FromScalar(2.5)},
	{"matrix", matrixOf(2, 3)},
	{"matrix-large", matrixOf(100, 40).T()},
	{"matrix-vector", mat.NewVecDense(3, []float64{1, 2, 3})},
	{"matrix-empty", &mat.Dense{}},
}

func TestBundles(t *testing.T) {
	for _, c := range bundles {
		t.Run(c.name, func(t *testing.T) {
			golden(t, filepath.Join("testdata", c.name+".golden"), describe(display.Bundle(c.value)))
		})
	}
}

// describe writes a bundle down, in the order of its types.
func describe(b map[string]any) string {
	var types []string
	for mime := range b {
		types = append(types, mime)
	}
	slices.Sort(types)
	var out strings.Builder
	for _, mime := range types {
		part := b[mime]
		if raw, ok := part.(json.RawMessage); ok {
			part = "JSON " + string(raw)
		}
		text := fmt.Sprint(part)
		if len(text) > 1<<14 {
			text = text[:100] + "\n[...]\n" + text[len(text)-100:]
		}
		fmt.Fprintf(&out, "-- %s --\n%s\n", mime, text)
	}
	return out.String()
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s\ngot:\n%s\nwant:\n%s", file, got, want)
	}
}

func TestImages(t *testing.T) {
	for _, c := range []struct {
		side, shown int
		text        string
	}{
		{1, 128, "(*image.Gray, 1×1)"},
		{28, 112, "(*image.Gray, 28×28)"},
		{100, 100, "(*image.Gray, 100×100)"},
		{5000, 1666, "(*image.Gray, 5000×5000, shown as 1666×1666)"},
	} {
		b := display.Bundle(square(c.side))
		p, _ := b["image/png"].([]byte)
		m, err := png.Decode(strings.NewReader(string(p)))
		if err != nil {
			t.Errorf("%d: %v", c.side, err)
			continue
		}
		if m.Bounds().Dx() != c.shown || b["text/plain"] != c.text {
			t.Errorf("%d: got %d pixels and %q, want %d and %q", c.side, m.Bounds().Dx(), b["text/plain"], c.shown, c.text)
		}
		at := c.shown * 3 / 4
		if bright, _, _, _ := m.At(at, at).RGBA(); bright == 0 {
			t.Errorf("%d: the diagonal is not in the picture", c.side)
		}
	}
	if text := display.Bundle(display.PNG("no picture"))["text/plain"]; !strings.Contains(fmt.Sprint(text), "cannot be read") {
		t.Errorf("PNG that is none: %q", text)
	}
}

// Whatever the user's data holds, it is text within the tables, never HTML.
func TestEscaping(t *testing.T) {
	const evil = `</td><script>alert("x")</script>&`
	type named struct{ Field any }
	for _, v := range []any{
		[]named{{evil}, {errors.New(evil)}},
		[]map[string]string{{evil: evil}},
		[][]string{{evil}},
		errors.New(evil),
	} {
		html, ok := display.Bundle(v)["text/html"].(string)
		if !ok || strings.Contains(html, "<script") || !strings.Contains(html, "&lt;script&gt;") {
			t.Errorf("%T: %s", v, html)
		}
	}
}

// A cyclic value has no JSON, and says so.
func TestCycle(t *testing.T) {
	list := []any{nil}
	list[0] = &list
	b := display.Bundle(display.MIME{"application/json": list, "text/plain": "list"})
	if _, ok := b["application/json"]; ok || !strings.Contains(fmt.Sprint(b["text/plain"]), "left out") {
		t.Errorf("%v", b)
	}
}
