package figure_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"

	"github.com/gradbook/gradbook/pkg/display"
	"github.com/gradbook/gradbook/pkg/figure"
)

var nan, inf = math.NaN(), math.Inf(1)

// TestErrors: what cannot be drawn is said by Err, by Save, in the picture and in the text.
func TestErrors(t *testing.T) {
	one, two := []float64{1}, []float64{1, 2}
	square := [][]float64{{1, 2}, {3, 4}}
	fig := func() *figure.Figure { return figure.New("T", "x", "y") }
	net := func() *figure.Diagram {
		return figure.Network("T", figure.Layer{Name: "a", Units: 2}, figure.Layer{Name: "b", Units: 1})
	}
	for _, c := range []struct {
		v    figure.View
		want string
	}{
		{fig(), "no data; add some"},
		{fig().Line("a", nil, nil), "its 1 series are empty"},
		{fig().Line("a", two, one), `line "a" has 2 xs and 1 ys`},
		{fig().Theory("a", two, one), `theory "a" has 2 xs and 1 ys`},
		{fig().Points("a", one, two), `points "a" has 1 xs and 2 ys`},
		{fig().Band("a", two, one, two, two), `band "a" has 2 xs and 1 lows`},
		{fig().Seeds("a", two, nil), "one slice for each seed"},
		{fig().Seeds("a", two, [][]float64{{1, 2}, {1}}), "run 1 has 1 values for 2 xs"},
		{fig().Bars("a", []string{"p"}, two), "1 categories, 2 values"},
		{fig().Bars("a", []string{"p"}, one).Bars("b", []string{"q"}, one), "must be the same"},
		{fig().Bars("a", []string{"p"}, one).Line("l", one, one), "bars and line"},
		{fig().Bars("a", []string{"p"}, one).LogX(), "categories have no logarithm"},
		{fig().Line("a", two, two).XRange(2, 1), "the smaller first"},
		{fig().Line("a", two, two).YRange(0, 1).LogY(), "logarithmic y axis cannot begin at 0"},
		{fig().Line("a", two, two).XRange(-1, 1).LogX(), "logarithmic x axis cannot begin at -1"},
		{fig().Line("a", two, two).HLine("h", nan), "give numbers"},
		{fig().Line("a", two, two).Shade("h", 2, 1), "the smaller end first"},
		{fig().Line("a", two, two).Size(10, 10), "allowed are 200 to 4000"},
		{fig().Line("a", two, one).Line("b", one, two), `line "a"`}, // the first one counts
		{figure.Heatmap("T", "x", "y", nil, two, nil), "at least one of each"},
		{figure.Heatmap("T", "x", "y", two, two, square[:1]), "1 rows of values for 2 ys"},
		{figure.Heatmap("T", "x", "y", two, two, [][]float64{{1}, {1, 2}}), "row 0 has 1 values for 2 xs"},
		{figure.Heatmap("T", "x", "y", []float64{2, 1}, two, square), "must be finite and increase"},
		{figure.Heatmap("T", "x", "y", []float64{0, 1}, two, square).LogX(), "positive xs"},
		{figure.Heatmap("T", "x", "y", two, two, square).Log().Diverging(0), "positive with Log"},
		{figure.Heatmap("T", "x", "y", two, two, square).Log().Range(-1, 1), "cannot begin at -1"},
		{figure.Heatmap("T", "x", "y", two, two, square).Range(1, 1), "the smaller first"},
		{figure.Heatmap("T", "x", "y", two, two, square).Curve("c", one, two), `"c" has 1 xs`},
		{figure.Ridges("T", "h"), "no rows"},
		{figure.Ridges("T", "h").Layer("a", two, two), "one edge more than counts"},
		{figure.Ridges("T", "h").Layer("a", []float64{2, 1}, one), "edges must be finite and increase"},
		{figure.Ridges("T", "h").Layer("a", two, []float64{-1}), "not negative"},
		{figure.Ridges("T", "h").Counts("a", 1, 1, []int{1}), "the smaller first"},
		{figure.Ridges("T", "h").Counts("a", 0, 1, nil), "at least one count"},
		{figure.Ridges("T", "h").Values("a", []float64{nan}), "no finite values among 1"},
		{figure.Grid("T", 2), "no panels"},
		{figure.Grid("T", 0, fig().Line("a", two, two)), "allowed are 1 to 8"},
		{figure.Grid("T", 2, fig().Line("a", two, one)), `line "a" has 2 xs`},
		{figure.Grid("T", 2, fig().Line("a", two, two), fig().Line("a", two, two).LogY()), "other axes"},
		{figure.Network("T"), "no layers"},
		{figure.Network("T", figure.Layer{Units: 2}), "layer 0 has no name"},
		{figure.Network("T", figure.Layer{Name: "a", Units: -1}), "-1 units"},
		{net().Layers(figure.Layer{Name: "a"}), "two layers are called"},
		{net().Weights("c", square), "there is no layer \"c\"; there are a, b"},
		{net().Weights("a", square), "is the first"},
		{net().Weights("b", square), "2 x 2; from 2 units to 1 they are 2 x 1"},
		{net().Skip("b", "a", ""), "leads to a later layer"},
		{figure.Images("T", []int{2}, []float32{1, 2}), "[height, width]"},
		{figure.Images("T", []int{2, 2}, []float32{1, 2}), "a multiple of 4"},
		{figure.Images("T", []int{1, 2}, []float32{1, 2}, "a", "b"), "2 captions for 1 pictures"},
	} {
		err := c.v.Err()
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), `"T"`) {
			t.Errorf("error %v; want the title and %q", err, c.want)
			continue
		}
		if err := c.v.Save(filepath.Join(t.TempDir(), "x.svg")); err == nil {
			t.Errorf("%q: Save succeeds", c.want)
		}
		if s := c.v.SVG(); !strings.Contains(s, "This figure cannot be drawn") {
			t.Errorf("%q: the picture does not show the error: %s", c.want, s)
		}
		if s := c.v.String(); !strings.Contains(s, c.want) {
			t.Errorf("text %q; want %q in it", s, c.want)
		}
		if c.v.VegaLite() != nil {
			t.Errorf("%q: there is a chart", c.want)
		}
		if b := c.v.MIMEBundle(); b[display.VegaLiteType] != nil || b["image/svg+xml"] == nil {
			t.Errorf("%q: bundle %v", c.want, b)
		}
	}
}

func TestSave(t *testing.T) {
	f := few()
	for ending, magic := range map[string]string{"svg": "<svg ", "png": "\x89PNG", "pdf": "%PDF-", "PNG": "\x89PNG"} {
		path := filepath.Join(t.TempDir(), "x."+ending)
		if err := f.Save(path); err != nil {
			t.Error(err)
			continue
		}
		data, err := os.ReadFile(path)
		if err != nil || !strings.HasPrefix(string(data), magic) {
			t.Errorf("x.%s begins with %.8q (%v)", ending, data, err)
		}
	}
	for path, want := range map[string]string{"x.jpg": "can be saved as .svg, .png or .pdf", "x": "can be saved as", filepath.Join(t.TempDir(), "no", "x.svg"): "give a folder that exists"} {
		if err := f.Save(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Save(%q): %v; want %q", path, err, want)
		}
	}
}

// TestEveryKindInEveryFormat: PNG and PDF are drawn by other canvases than SVG.
func TestEveryKindInEveryFormat(t *testing.T) {
	for name, v := range gallery() {
		if v.Err() != nil {
			continue
		}
		for _, ending := range []string{"png", "pdf"} {
			path := filepath.Join(t.TempDir(), "x."+ending)
			if err := v.Save(path); err != nil {
				t.Errorf("%s.%s: %v", name, ending, err)
			} else if info, err := os.Stat(path); err != nil || info.Size() < 3000 {
				t.Errorf("%s.%s is empty: %v", name, ending, err)
			}
		}
	}
}

// TestTickLabels: labels are those that a person would write.
func TestTickLabels(t *testing.T) {
	for _, c := range []struct {
		low, high float64
		log       bool
		want      []string
	}{
		{1e-6, 1, true, []string{"1", "0.1", "0.01", "0.001", "1e-4", "1e-5", "1e-6"}},
		{1e-4, 1e6, true, []string{"1", "100", "10000", "1e6", "0.01", "1e-4"}},
		{1e-38, 1, true, []string{"1", "1e-10", "1e-20", "1e-30"}},
		{1e-300, 1e300, true, []string{"1", "1e200", "1e-200"}},
		{1, 60, true, []string{"1", "2", "5", "10", "20", "50"}},
		{2, 3, true, []string{"2.0", "2.2", "2.4", "2.6", "2.8", "3.0"}},
		{0, 1, false, []string{"0", "0.2", "0.4", "0.6", "0.8", "1.0"}},
		{-1, 1, false, []string{"−1.0", "−0.5", "0", "0.5", "1.0"}},
		{0, 0.0003, false, []string{"0", "1e-4", "2e-4", "3e-4"}},
		{0, 3e6, false, []string{"0", "1e6", "2e6", "3e6"}},
		{0, 60000, false, []string{"0", "20000", "40000", "60000"}},
		{0.1, 0.7, false, []string{"0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7"}},
		{5, 5, false, []string{"5.0"}},
		{0, 0, false, []string{"0"}},
	} {
		f := figure.New("", "", "").Line("", []float64{0, 1}, []float64{c.low, c.high})
		if c.log {
			f.LogY()
		}
		if c.low < c.high {
			f.YRange(c.low, c.high)
		}
		got := texts(t, f.SVG())
		labels := map[string]bool{}
		for _, l := range got {
			labels[l.content] = true
			if strings.Contains(l.content, "999") || strings.Contains(l.content, "000001") {
				t.Errorf("%g to %g: label %q", c.low, c.high, l.content)
			}
		}
		for _, w := range c.want {
			if !labels[w] {
				t.Errorf("%g to %g (log %v): no label %q among %v", c.low, c.high, c.log, w, got)
			}
		}
	}
}

// rowsOf returns the data of the first layer of a chart that has all the given fields; "high", which bands have, only if it is asked for.
func rowsOf(t *testing.T, v figure.View, fields ...string) []map[string]any {
	t.Helper()
	data, err := json.Marshal(v.VegaLite())
	if err != nil {
		t.Fatal(err)
	}
	var spec struct {
		Layer []struct {
			Data struct{ Values []map[string]any }
		}
	}
	if err := json.Unmarshal(data, &spec); err != nil {
		t.Fatal(err)
	}
next:
	for _, l := range spec.Layer {
		if len(l.Data.Values) > 0 && l.Data.Values[0]["high"] != nil && !slices.Contains(fields, "high") {
			continue
		}
		for _, f := range fields {
			if len(l.Data.Values) == 0 || l.Data.Values[0][f] == nil {
				continue next
			}
		}
		return l.Data.Values
	}
	t.Fatalf("no layer has %v", fields)
	return nil
}

// TestSeeds: the band is the mean and one standard deviation, of the logarithms on a logarithmic axis.
func TestSeeds(t *testing.T) {
	xs, runs := []float64{1}, [][]float64{{1}, {2}, {6}}
	sd := math.Sqrt((4 + 1 + 9) / 2.0)
	m := math.Log(12) / 3
	a, b, c := math.Log(1)-m, math.Log(2)-m, math.Log(6)-m
	ls := math.Sqrt((a*a + b*b + c*c) / 2)
	for _, k := range []struct {
		f               *figure.Figure
		low, mean, high float64
	}{
		{figure.New("", "", "").Seeds("s", xs, runs), 3 - sd, 3, 3 + sd},
		{figure.New("", "", "").Seeds("s", xs, runs).LogY(), math.Exp(m - ls), math.Exp(m), math.Exp(m + ls)},
		{figure.New("", "", "").LogY().Seeds("s", xs, append(runs, []float64{nan}, []float64{-1})), math.Exp(m - ls), math.Exp(m), math.Exp(m + ls)},
	} {
		band, mid := rowsOf(t, k.f, "high")[0], rowsOf(t, k.f, "x", "y", "k")[0]
		for what, pair := range map[string][2]float64{"mean": {mid["y"].(float64), k.mean}, "low": {band["y"].(float64), k.low}, "high": {band["high"].(float64), k.high}} {
			if math.Abs(pair[0]-pair[1]) > 1e-5*math.Abs(pair[1]) {
				t.Errorf("%s is %g; want %g", what, pair[0], pair[1])
			}
		}
		if !strings.Contains(k.f.String(), "seeds") {
			t.Errorf("nothing says what the band is: %s", k.f)
		}
	}
	strange := figure.New("", "", "").LogY().Seeds("s", xs, append(runs, []float64{nan}, []float64{-1})).String()
	for _, want := range []string{"s: 1 value is not finite", "s: 1 value is not positive"} {
		if !strings.Contains(strange, want) {
			t.Errorf("%q is not said in %s", want, strange)
		}
	}
}

// TestBreaks: a line that meets a NaN is in two pieces, and crosses stand at their ends.
func TestBreaks(t *testing.T) {
	f := figure.New("", "", "").Line("a", []float64{1, 2, 3, 4, 5, 6}, []float64{1, 2, nan, 4, 5, inf})
	s := f.SVG()
	line := between(t, s, `<path d="`, `" stroke="`+figure.Color("a")+`" stroke-width="2"/>`)
	if n := strings.Count(line, "M"); n != 2 {
		t.Errorf("the line %q has %d pieces; want 2", line, n)
	}
	if rows := rowsOf(t, f, "x", "y", "k"); len(rows) != 4 {
		t.Errorf("%d points; want 4", len(rows))
	}
	for _, want := range []string{"× a: 2 values are not finite", "▁▃×▇█×"} {
		if !strings.Contains(f.String(), want) {
			t.Errorf("no %q in\n%s", want, f)
		}
	}
	log := figure.New("", "", "").LogY().Line("a", []float64{1, 2, 3}, []float64{1, 0, -1})
	if want := "a: 2 values are not positive and left out on the logarithmic axis."; !strings.Contains(log.String(), want) || !strings.Contains(log.SVG(), want) {
		t.Errorf("no %q in\n%s", want, log)
	}
	if none := figure.New("", "", "").Line("a", []float64{1, 2}, []float64{nan, nan}); none.Err() != nil || !strings.Contains(none.SVG(), "2 values are not finite") {
		t.Errorf("a line of NaN: %v\n%s", none.Err(), none)
	}
}

// between returns what stands between the last start before end and end.
func between(t *testing.T, s, start, end string) string {
	t.Helper()
	j := strings.Index(s, end)
	if j < 0 {
		t.Fatalf("no %q in %s", end, s)
	}
	i := strings.LastIndex(s[:j], start)
	if i < 0 {
		t.Fatalf("no %q before %q", start, end)
	}
	return s[i+len(start) : j]
}

// TestNames: a name given again is replaced, so that a live figure does not grow; another kind under the same name stays.
func TestNames(t *testing.T) {
	xs := []float64{1, 2}
	f := figure.New("", "", "").Line("a", xs, xs).Theory("a", xs, xs).Line("a", []float64{1, 2, 3}, []float64{7, 8, 9}).Append("a", 4, 10).Append("b", 1, 1).HLine("h", 1).HLine("h", 2)
	got := f.String()
	for _, want := range []string{"a                4", "a (theory)       2", "b                1", "h: y = 2"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "h: y = 1") {
		t.Errorf("the old line is there:\n%s", got)
	}
	xs[0] = 99 // the figure has its own copy
	if strings.Contains(f.String(), "99") {
		t.Errorf("the figure follows the caller's slice:\n%s", f)
	}
}

func TestColor(t *testing.T) {
	for _, same := range [][]string{{"leaky_relu(0.01)", "Leaky ReLU", "leaky-relu"}, {"relu", "ReLU", "relu (He)"}, {"batch norm", "Batch_Norm"}} {
		for _, n := range same[1:] {
			if figure.Color(n) != figure.Color(same[0]) {
				t.Errorf("%q is %s, %q is %s", n, figure.Color(n), same[0], figure.Color(same[0]))
			}
		}
	}
	if figure.Color("sigmoid") == figure.Color("relu") || figure.Color("plain") == figure.Color("residual") {
		t.Error("opposites have one colour")
	}
	// Eight names without a colour of their own have eight colours in one figure.
	xs := []float64{1, 2}
	f := figure.New("", "", "")
	for _, n := range strings.Fields("a b c d e f g i") {
		f.Line(n, xs, xs)
	}
	seen := map[string]bool{}
	for _, part := range strings.Split(f.SVG(), `stroke-width="2"`) {
		if i := strings.LastIndex(part, `stroke="`); i >= 0 {
			seen[part[i+8:i+15]] = true
		}
	}
	if len(seen) != 8 {
		t.Errorf("eight names have %d colours", len(seen))
	}
}

// TestPlotters: what gonum/plot has can be drawn over a figure.
func TestPlotters(t *testing.T) {
	p, err := plotter.NewScatter(plotter.XYs{{X: 1, Y: 1}, {X: 2, Y: 10}})
	if err != nil {
		t.Fatal(err)
	}
	var one plot.Plotter = p
	with := figure.New("", "", "").LogY().Line("a", []float64{1, 2}, []float64{1, 10}).Add(one).SVG()
	without := figure.New("", "", "").LogY().Line("a", []float64{1, 2}, []float64{1, 10}).SVG()
	if len(with) <= len(without) {
		t.Error("the scatter is not drawn")
	}
}

// TestBundle: a notebook gets chart, picture and text at once; no HTML, which front ends would prefer to the picture.
func TestBundle(t *testing.T) {
	for name, v := range gallery() {
		if v.Err() != nil {
			continue
		}
		b := display.Bundle(v)
		if len(b) != 3 || b[display.VegaLiteType] == nil || b["image/svg+xml"] != v.SVG() || b["text/plain"] != v.String() {
			t.Errorf("%s: %d views", name, len(b))
		}
	}
}

// TestMarks: what lies outside the axes is not drawn, nor is its label; an infinite end means the edge.
func TestMarks(t *testing.T) {
	xs := []float64{1, 2, 3}
	f := figure.New("", "", "").Line("a", xs, xs).XRange(1, 3).YRange(1, 3).VLine("v in", 2).VLine("v out", 9).HLine("h in", 2).HLine("h out", -9).Shade("s in", math.Inf(-1), 1.5).Shade("s out", 7, 8).ShadeY("y in", 2.5, inf)
	s := f.SVG()
	for _, in := range []string{"v in", "h in", "s in", "y in"} {
		if !strings.Contains(s, ">"+in+"<") {
			t.Errorf("no label %q", in)
		}
	}
	for _, out := range []string{"v out", "h out", "s out"} {
		if strings.Contains(s, ">"+out+"<") {
			t.Errorf("label %q is drawn", out)
		}
	}
}

// TestWholeTicks: an axis of layers has no tick at layer 1.5.
func TestWholeTicks(t *testing.T) {
	ys := []float64{10, 20, 30}
	for _, c := range []struct {
		xs   []float64
		want string
	}{{[]float64{1, 2, 3}, "1 2 3"}, {[]float64{1, 1.5, 2}, "1.0 1.2 1.4 1.6 1.8 2.0"}, {[]float64{0, 500, 1000}, "0 200 400 600 800 1000"}} {
		var got []string
		for _, one := range texts(t, figure.New("", "", "").Line("", c.xs, ys).SVG()) {
			if one.anchor == "middle" {
				got = append(got, one.content)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%v has ticks %q; want %q", c.xs, got, c.want)
		}
	}
}
