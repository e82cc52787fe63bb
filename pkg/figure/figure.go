package figure

import (
	"math"
	"slices"

	"github.com/pkg/errors"
	"gonum.org/v1/plot"
)

// View is what every kind of figure offers; *Figure, *Heat, *Ridge, *Panels, *Diagram and *Strip have it. A cell that ends with one shows it.
type View interface {
	SVG() string                // the picture, self-contained; of a figure with an error: a picture of the error
	VegaLite() any              // the same as a Vega-Lite 5 specification, nil if there is an error
	Save(path string) error     // .svg, .png or .pdf
	MIMEBundle() map[string]any // the views that a notebook chooses from (package display)
	String() string             // title and a table, for terminals
	Err() error                 // the first error of the calls that built the figure
}

// frame is what every kind of figure has.
type frame struct {
	title         string
	notes         []string
	width, height float64 // px; 0: the kind's own
	err           error   // the first
}

func (f *frame) fail(format string, args ...any) {
	if f.err == nil {
		f.err = errors.Errorf("figure %q: "+format, append([]any{f.title}, args...)...)
	}
}

func (f *frame) setSize(width, height int) {
	if width < 200 || height < 120 || width > 4000 || height > 4000 {
		f.fail("a size of %d x %d px; allowed are 200 to 4000 by 120 to 4000", width, height)
		return
	}
	f.width, f.height = float64(width), float64(height)
}

// sized returns the size in px, or the kind's own.
func (f *frame) sized(width, height float64) (w, h float64) {
	if f.width > 0 {
		return f.width, f.height
	}
	return width, height
}

// Figure holds curves, points or bars over one pair of axes. The methods that add to it return it, so that calls can be chained; the first error among
// them is kept for Err, Save and the picture. Slices are copied. A Figure is not safe for several goroutines (Live is).
type Figure struct {
	frame
	xlabel, ylabel string
	series         []*series
	marks          []mark
	logX, logY     bool
	xrange, yrange *[2]float64
	plotters       []plot.Plotter
}

// kind is how a series is drawn.
type kind string

const (
	line   kind = "line"
	theory kind = "theory"
	band   kind = "band"
	seeds  kind = "seeds"
	points kind = "points"
	bars   kind = "bars"
)

// series is data with a name.
type series struct {
	kind       kind
	name       string
	xs, ys     []float64
	low, high  []float64
	runs       [][]float64 // seeds: one for each seed
	categories []string    // bars
	style      style
}

// mark is a reference: a line (from == to) or a region.
type mark struct {
	label    string
	vertical bool // at values of x
	from, to float64
}

// New makes an empty figure. The title should say the finding ("sigmoid loses a factor of 4 a layer"); any of the texts may be empty. In texts, one letter followed by
// an underscore has a subscript: "σ_w", "W_{10}".
func New(title, xlabel, ylabel string) *Figure {
	return &Figure{frame: frame{title: title}, xlabel: xlabel, ylabel: ylabel}
}

// put adds a series, in place of one of the same name and kind.
func (f *Figure) put(s *series, options []Style) *Figure {
	for _, o := range options {
		if o != nil {
			o(&s.style)
		}
	}
	if s.name != "" {
		for i, old := range f.series {
			if old.name == s.name && old.kind == s.kind {
				f.series[i] = s
				return f
			}
		}
	}
	f.series = append(f.series, s)
	return f
}

func (f *Figure) sameLength(what, name string, xs []float64, ys []float64, ysName string) bool {
	if len(xs) == len(ys) {
		return true
	}
	f.fail("%s %q has %d xs and %d %s; give as many of each", what, name, len(xs), len(ys), ysName)
	return false
}

// Line draws ys over xs, in the order given. NaN and infinite values break the line, which is marked with a cross where it breaks. Name chooses the
// colour (see Color) and labels the line's end; "" draws it without. A name that the figure has already, for the same kind of series, gets the new data: that is how a live figure grows.
func (f *Figure) Line(name string, xs, ys []float64, style ...Style) *Figure {
	if !f.sameLength("line", name, xs, ys, "ys") {
		return f
	}
	return f.put(&series{kind: line, name: name, xs: slices.Clone(xs), ys: slices.Clone(ys)}, style)
}

// Append adds one point to the line of that name, which is made if there is none.
func (f *Figure) Append(name string, x, y float64) *Figure {
	for _, s := range f.series {
		if s.name == name && s.kind == line {
			s.xs, s.ys = append(s.xs, x), append(s.ys, y)
			return f
		}
	}
	return f.Line(name, []float64{x}, []float64{y})
}

// Theory draws what theory says: dashed, in the colour of its name, so that it goes with what was measured under that name.
func (f *Figure) Theory(name string, xs, ys []float64, style ...Style) *Figure {
	if !f.sameLength("theory", name, xs, ys, "ys") {
		return f
	}
	return f.put(&series{kind: theory, name: name, xs: slices.Clone(xs), ys: slices.Clone(ys)}, style)
}

// Band draws mid as a line and what lies between low and high as a band around it.
func (f *Figure) Band(name string, xs, low, mid, high []float64, style ...Style) *Figure {
	if !f.sameLength("band", name, xs, low, "lows") || !f.sameLength("band", name, xs, mid, "mids") || !f.sameLength("band", name, xs, high, "highs") {
		return f
	}
	return f.put(&series{kind: band, name: name, xs: slices.Clone(xs), ys: slices.Clone(mid), low: slices.Clone(low), high: slices.Clone(high)}, style)
}

// Seeds draws the mean over seeds with a band of one standard deviation (n-1) on each side; runs[s][i] is what seed s gave at xs[i]. On a logarithmic y axis both are those of the
// logarithms. Values that are not finite (or not positive, on a logarithmic axis) are left out, and a footnote counts them.
func (f *Figure) Seeds(name string, xs []float64, runs [][]float64, style ...Style) *Figure {
	if len(runs) == 0 {
		f.fail("seeds %q has no runs; give one slice for each seed", name)
		return f
	}
	s := &series{kind: seeds, name: name, xs: slices.Clone(xs)}
	for i, r := range runs {
		if len(r) != len(xs) {
			f.fail("seeds %q: run %d has %d values for %d xs; give as many of each", name, i, len(r), len(xs))
			return f
		}
		s.runs = append(s.runs, slices.Clone(r))
	}
	return f.put(s, style)
}

// Points draws a dot for each pair.
func (f *Figure) Points(name string, xs, ys []float64, style ...Style) *Figure {
	if !f.sameLength("points", name, xs, ys, "ys") {
		return f
	}
	return f.put(&series{kind: points, name: name, xs: slices.Clone(xs), ys: slices.Clone(ys)}, style)
}

// Bars draws one bar for each category. Further calls with the same categories stand beside it. Figures with bars have no other curves and no logarithmic x axis; reference lines at
// values of y are fine.
func (f *Figure) Bars(name string, categories []string, values []float64, style ...Style) *Figure {
	return f.BarsRange(name, categories, nil, values, nil, style...)
}

// BarsRange draws bars with an interval for each, from low to high. Both may be nil.
func (f *Figure) BarsRange(name string, categories []string, low, values, high []float64, style ...Style) *Figure {
	if len(categories) != len(values) || (low != nil || high != nil) && (len(low) != len(values) || len(high) != len(values)) {
		f.fail("bars %q has %d categories, %d values, %d lows and %d highs; give as many of each (no interval: nil, nil)", name, len(categories), len(values), len(low), len(high))
		return f
	}
	s := &series{kind: bars, name: name, categories: slices.Clone(categories), ys: slices.Clone(values), low: slices.Clone(low), high: slices.Clone(high)}
	for i := range values {
		s.xs = append(s.xs, float64(i))
	}
	for _, old := range f.series {
		if old.kind == bars && !slices.Equal(old.categories, s.categories) {
			f.fail("bars %q has the categories %q, those before have %q; they must be the same", name, categories, old.categories)
			return f
		}
	}
	return f.put(s, style)
}

// LogX makes the x axis logarithmic. Values that are not positive are left out, and a footnote says how many.
func (f *Figure) LogX() *Figure { f.logX = true; return f }

// LogY makes the y axis logarithmic; see LogX.
func (f *Figure) LogY() *Figure { f.logY = true; return f }

// XRange fixes the x axis; what lies outside is cut off.
func (f *Figure) XRange(low, high float64) *Figure { f.xrange = f.rangeOf("x", low, high); return f }

// YRange fixes the y axis; what lies outside is cut off.
func (f *Figure) YRange(low, high float64) *Figure { f.yrange = f.rangeOf("y", low, high); return f }

func (f *Figure) rangeOf(axis string, low, high float64) *[2]float64 {
	if !finite(low) || !finite(high) || low >= high {
		f.fail("range %g to %g of the %s axis; give two finite numbers, the smaller first", low, high, axis)
		return nil
	}
	return &[2]float64{low, high}
}

// HLine draws a grey line across at y, with its label beside the plot. One with the same label is moved.
func (f *Figure) HLine(label string, y float64) *Figure { return f.mark(mark{label, false, y, y}) }

// VLine draws a grey line at x, with its label above the plot. One with the same label is moved.
func (f *Figure) VLine(label string, x float64) *Figure { return f.mark(mark{label, true, x, x}) }

// Shade shades the region between two values of x; an infinite one means the edge of the plot.
func (f *Figure) Shade(label string, from, to float64) *Figure {
	return f.mark(mark{label, true, from, to})
}

// ShadeY shades the region between two values of y; an infinite one means the edge of the plot.
func (f *Figure) ShadeY(label string, from, to float64) *Figure {
	return f.mark(mark{label, false, from, to})
}

func (f *Figure) mark(m mark) *Figure {
	switch {
	case math.IsNaN(m.from) || math.IsNaN(m.to) || m.from == m.to && math.IsInf(m.from, 0):
		f.fail("reference %q at %g to %g; give numbers", m.label, m.from, m.to)
	case m.from > m.to:
		f.fail("shaded region %q from %g to %g; give the smaller end first", m.label, m.from, m.to)
	default:
		for i, old := range f.marks {
			if m.label != "" && m.from == m.to && old.label == m.label && old.vertical == m.vertical && old.from == old.to {
				f.marks[i] = m
				return f
			}
		}
		f.marks = append(f.marks, m)
	}
	return f
}

// Add draws plotters of gonum/plot over the data, in the picture only (Vega-Lite cannot have them). They do not widen the axes: use XRange and YRange.
func (f *Figure) Add(plotters ...plot.Plotter) *Figure {
	f.plotters = append(f.plotters, plotters...)
	return f
}

// Note adds a line below the figure.
func (f *Figure) Note(text string) *Figure { f.notes = append(f.notes, text); return f }

// Size sets width and height in px (CSS px in a notebook, points in a PDF); 640 x 400 is the default.
func (f *Figure) Size(width, height int) *Figure { f.setSize(width, height); return f }

// SetTitle changes the title, of a live figure for example.
func (f *Figure) SetTitle(title string) *Figure { f.title = title; return f }

// clone returns a copy that further calls leave as it is; data are shared but for what Append may grow.
func (f *Figure) clone() *Figure {
	c := *f
	c.notes, c.marks, c.plotters = slices.Clone(f.notes), slices.Clone(f.marks), slices.Clone(f.plotters)
	c.series = nil
	for _, s := range f.series {
		t := *s
		t.xs, t.ys = slices.Clip(s.xs), slices.Clip(s.ys)
		c.series = append(c.series, &t)
	}
	return &c
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// Err returns the first error among the calls that built the figure, or that there is nothing to draw.
func (f *Figure) Err() error {
	if f.err != nil {
		return f.err
	}
	return f.check()
}

// SVG returns the picture.
func (f *Figure) SVG() string { return svgOf(f) }

// VegaLite returns the specification of a Vega-Lite 5 chart with tooltips and zoom, as a value for encoding/json.
func (f *Figure) VegaLite() any { return vegaOf(f) }

// Save writes the picture to a file: .svg, .png (twice the size in pixels) or .pdf.
func (f *Figure) Save(path string) error { return save(f, path) }

// MIMEBundle returns Vega-Lite, SVG and text.
func (f *Figure) MIMEBundle() map[string]any { return bundle(f) }

// String returns the title and a table of the series.
func (f *Figure) String() string { return textOf(f) }
