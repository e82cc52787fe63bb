package figure

import (
	"fmt"
	"image/color"
	"math"
	"slices"

	"github.com/pkg/errors"
)

// Heat is a heat map: a value for each cell of a grid, as colours with a colour bar, and curves over it.
type Heat struct {
	frame
	axes       *Figure // labels, curves, marks
	xs, ys     []float64
	values     [][]float64
	label      string
	log        bool
	centre     *float64
	valueRange *[2]float64
}

// Heatmap makes one: values[j][i] belongs to xs[i] and ys[j], which are the middles of the cells and increase. The colours go from dark (least) to light. Values that are not finite leave their cells grey.
func Heatmap(title, xlabel, ylabel string, xs, ys []float64, values [][]float64) *Heat {
	h := &Heat{frame: frame{title: title}, axes: New(title, xlabel, ylabel), xs: slices.Clone(xs), ys: slices.Clone(ys)}
	for _, row := range values {
		h.values = append(h.values, slices.Clone(row))
	}
	if len(xs) == 0 || len(ys) == 0 {
		h.fail("a heat map of %d xs and %d ys; give at least one of each", len(xs), len(ys))
	}
	if len(values) != len(ys) {
		h.fail("%d rows of values for %d ys; give one row for each", len(values), len(ys))
	}
	for j, row := range values {
		if len(row) != len(xs) {
			h.fail("row %d has %d values for %d xs; give as many of each", j, len(row), len(xs))
		}
	}
	h.increasing("xs", xs)
	h.increasing("ys", ys)
	return h
}

func (h *Heat) increasing(what string, vs []float64) {
	for i, v := range vs {
		if !finite(v) || i > 0 && v <= vs[i-1] {
			h.fail("%s[%d] is %g; the %s must be finite and increase", what, i, v, what)
			return
		}
	}
}

// Scale names the colour bar.
func (h *Heat) Scale(label string) *Heat { h.label = label; return h }

// Log spreads the colours over the logarithms of the values. Cells that are not positive are grey.
func (h *Heat) Log() *Heat { h.log = true; return h }

// Diverging uses a map from blue over white to red whose white is at centre (1, for a factor with Log).
func (h *Heat) Diverging(centre float64) *Heat { h.centre = &centre; return h }

// Range fixes what the two ends of the colours stand for; values beyond take the end's colour.
func (h *Heat) Range(low, high float64) *Heat {
	if !finite(low) || !finite(high) || low >= high {
		h.fail("range %g to %g of the colours; give two finite numbers, the smaller first", low, high)
		return h
	}
	h.valueRange = &[2]float64{low, high}
	return h
}

// LogX makes the x axis logarithmic; its xs must be positive.
func (h *Heat) LogX() *Heat { h.axes.LogX(); return h }

// LogY makes the y axis logarithmic; its ys must be positive.
func (h *Heat) LogY() *Heat { h.axes.LogY(); return h }

// Curve draws a curve over the map, dashed on a light ground: what theory says, for example. It is cut off at the map's edges.
func (h *Heat) Curve(name string, xs, ys []float64, style ...Style) *Heat {
	h.axes.Theory(name, xs, ys, append([]Style{As("#000000")}, style...)...)
	return h
}

// VLine draws a line at x, with its label above the map.
func (h *Heat) VLine(label string, x float64) *Heat { h.axes.VLine(label, x); return h }

// Note adds a line below the figure.
func (h *Heat) Note(text string) *Heat { h.notes = append(h.notes, text); return h }

// Size sets width and height in px; 640 x 420 is the default.
func (h *Heat) Size(width, height int) *Heat { h.setSize(width, height); return h }

// Err returns the first error among the calls that built the figure.
func (h *Heat) Err() error {
	switch {
	case h.err != nil:
		return h.err
	case h.axes.err != nil:
		return h.axes.err
	case h.axes.logX && h.xs[0] <= 0 || h.axes.logY && h.ys[0] <= 0:
		return errors.Errorf("figure %q: a logarithmic axis with a cell at %g; give positive xs and ys", h.title, math.Min(h.xs[0], h.ys[0]))
	case h.centre != nil && (!finite(*h.centre) || h.log && *h.centre <= 0):
		return errors.Errorf("figure %q: the colours cannot have their middle at %g; give a finite number, positive with Log", h.title, *h.centre)
	case h.log && h.valueRange != nil && h.valueRange[0] <= 0:
		return errors.Errorf("figure %q: logarithmic colours cannot begin at %g; give Range a positive number", h.title, h.valueRange[0])
	}
	return nil
}

// edges returns the borders of cells around their middles.
func edges(middles []float64, log bool) []float64 {
	vs := slices.Clone(middles)
	if log {
		for i := range vs {
			vs[i] = math.Log(vs[i])
		}
	}
	n := len(vs)
	out := make([]float64, n+1)
	for i := 1; i < n; i++ {
		out[i] = (vs[i-1] + vs[i]) / 2
	}
	if n == 1 {
		out[0], out[1] = vs[0]-0.5, vs[0]+0.5
	} else {
		out[0], out[n] = vs[0]-(out[1]-vs[0]), vs[n-1]+(vs[n-1]-out[n-1])
	}
	if log {
		for i := range out {
			out[i] = math.Exp(out[i])
		}
	}
	return out
}

// shades is how values become colours.
type shades struct {
	low, high float64
	log       bool
	centre    *float64
	grey      int // cells without a colour
}

func (h *Heat) shades() *shades {
	s := &shades{log: h.log, centre: h.centre}
	e := noExtent()
	for _, row := range h.values {
		for _, v := range row {
			if !finite(v) || h.log && v <= 0 {
				s.grey++
				continue
			}
			e.add(v)
		}
	}
	if h.valueRange != nil {
		e = extent{h.valueRange[0], h.valueRange[1]}
	}
	if e.empty() {
		e = extent{1, 2}
	}
	if s.centre != nil && h.valueRange == nil { // as far to one side as to the other
		if h.log {
			most := math.Max(e.high / *s.centre, *s.centre/e.low)
			e = extent{*s.centre / most, *s.centre * most}
		} else {
			most := math.Max(e.high-*s.centre, *s.centre-e.low)
			e = extent{*s.centre - most, *s.centre + most}
		}
	}
	if e.low == e.high {
		if h.log {
			e = extent{e.low / 1.1, e.high * 1.1}
		} else {
			e = extent{e.low - 0.5, e.high + 0.5}
		}
	}
	s.low, s.high = math.Max(e.low, -math.MaxFloat64/4), math.Min(e.high, math.MaxFloat64/4) // so that differences are finite
	if s.low >= s.high {
		s.low = s.high / 10
	}
	return s
}

// levels is how many colours are told apart.
const levels = 64

// level returns a value's colour as a number, -1 for none.
func (s *shades) level(v float64) int {
	if math.IsNaN(v) || math.IsInf(v, 0) || s.log && v <= 0 {
		return -1
	}
	scale := func(v float64) float64 {
		if s.log {
			return math.Log(v)
		}
		return v
	}
	low, high, x := scale(s.low), scale(s.high), scale(v)
	t := (x - low) / (high - low)
	if s.centre != nil {
		c := scale(*s.centre)
		if t = 0.5 + 0.5*(x-c)/(high-c); x < c {
			t = 0.5 - 0.5*(c-x)/(c-low)
		}
	}
	return int(math.Round(math.Min(1, math.Max(0, t)) * (levels - 1)))
}

func (s *shades) colour(level int) color.NRGBA {
	t := float64(level) / (levels - 1)
	switch {
	case level < 0:
		return nrgba("#bdbdbd")
	case s.centre != nil:
		return blueRed.at(t)
	}
	return viridis.at(t)
}

func (h *Heat) size() (w, height float64) { return h.sized(640, 420) }

func (h *Heat) footnotes(s *shades) []string {
	out := slices.Clone(h.notes)
	if s.grey > 0 {
		why := "not finite"
		if h.log {
			why = "not finite or not positive"
		}
		out = append(out, fmt.Sprintf("Grey: %s %s.", values(s.grey), why))
	}
	return out
}

// panel returns the map's axes.
func (h *Heat) panel() (pa *panel, xe, ye []float64) {
	xe, ye = edges(h.xs, h.axes.logX), edges(h.ys, h.axes.logY)
	f := h.axes.clone()
	f.xrange, f.yrange = &[2]float64{xe[0], xe[len(xe)-1]}, &[2]float64{ye[0], ye[len(ye)-1]}
	pa = newPanel(f, f.prepare(colours(f.names())))
	pa.noGrid = true
	pa.scale(noExtent(), noExtent())
	return pa, xe, ye
}

// draw is of drawable.
func (h *Heat) draw(p *pen) {
	w, height := h.size()
	s := h.shades()
	area := drawFrame(p, w, height, h.title, h.footnotes(s))
	pa, xe, ye := h.panel()
	pa.entries()
	bar := axis{log: h.log, low: s.low, high: s.high}
	bar.setTicks(5)
	column := 40.0
	for _, t := range bar.ticks {
		column = math.Max(column, 34+width(t.label, tickSize, false))
	}
	full := area
	area.x1 -= math.Max(column, pa.columnWidth(0.35*area.w()))
	pa.layout(area)
	h.drawCells(p, pa, s, xe, ye)
	for _, c := range pa.all {
		for _, l := range c.lines {
			var ps []pt
			for _, q := range l {
				ps = append(ps, pa.place(q))
			}
			pa.clipped(p, alpha(nrgba(paper), 0.85), 4.5, nil, ps)
		}
	}
	column1 := pa.column
	pa.column = nil
	pa.draw(p)
	h.drawBar(p, pa.box, full.x1, bar, s, column1)
}

func (h *Heat) drawCells(p *pen, pa *panel, s *shades, xe, ye []float64) {
	byLevel := map[int][][]pt{}
	lap := 0.4
	if p.svg == nil {
		lap = 0.8 // the edges are blurred there
	}
	for j, row := range h.values {
		y0, y1 := pa.y.at(ye[j+1]), pa.y.at(ye[j])
		for i := 0; i < len(row); {
			l, k := s.level(row[i]), i+1
			for k < len(row) && s.level(row[k]) == l {
				k++
			}
			// Cells reach a hair over their neighbours, so that no seam shows.
			r := rect{pa.x.at(xe[i]), math.Max(y0-lap, pa.box.y0), math.Min(pa.x.at(xe[k])+lap, pa.box.x1), y1}
			byLevel[l] = append(byLevel[l], corners(r))
			i = k
		}
	}
	p.sharply(func() {
		for l := -1; l < levels; l++ {
			p.polygons(s.colour(l), byLevel[l]...)
		}
	})
}

// drawBar draws the colour bar and the curves' names below it.
func (h *Heat) drawBar(p *pen, box rect, right float64, bar axis, s *shades, names []*entry) {
	b := rect{box.x1 + 14, box.y0, box.x1 + 28, box.y1}
	for _, e := range names {
		b.y1 -= e.height() + 2
	}
	if len(names) > 0 {
		b.y1 -= 10
	}
	bar.from, bar.to = b.y1, b.y0
	step := b.h() / levels
	p.sharply(func() {
		for l := range levels {
			y := b.y1 - step*float64(l)
			p.rect(s.colour(l), rect{b.x0, math.Max(y-step-0.4, b.y0), b.x1, y})
		}
	})
	for _, t := range bar.ticks {
		y := bar.at(t.value)
		if t.label == "" || y > b.y1+1 || y < b.y0-1 {
			continue
		}
		p.lines(nrgba(hair), 1, nil, []pt{{b.x1, y}, {b.x1 + 3, y}})
		p.text(pt{b.x1 + 6, y + 4}, t.label, textStyle{size: tickSize, colour: quiet})
	}
	if h.label != "" {
		x := math.Min(b.x0, right-width(h.label, labelSize, false))
		p.text(pt{x, box.y0 - 10}, h.label, textStyle{size: labelSize, colour: ink})
	}
	y := b.y1 + 14
	for _, e := range names {
		e.y = y + e.height()/2
		e.draw(p, b.x0-4)
		y += e.height() + 2
	}
}

// body is of drawable.
func (h *Heat) body() []string {
	s := h.shades()
	lines := []string{
		plain(fmt.Sprintf("%s: %d x %d cells, %s from %s to %s, %s from %s to %s", orElse(h.label, "values"), len(h.ys), len(h.xs),
			orElse(h.axes.ylabel, "y"), number(h.ys[0]), number(h.ys[len(h.ys)-1]), orElse(h.axes.xlabel, "x"), number(h.xs[0]), number(h.xs[len(h.xs)-1]))),
	}
	const most = 60
	columns := min(len(h.xs), most)
	letters := []rune(" ░▒▓█")
	rows := min(len(h.ys), 16)
	for r := range rows {
		j := (rows - 1 - r) * len(h.ys) / rows
		text := ""
		for c := range columns {
			l := s.level(h.values[j][c*len(h.xs)/columns])
			if l < 0 {
				text += "×"
				continue
			}
			text += string(letters[l*len(letters)/levels])
		}
		lines = append(lines, "|"+text+"|")
	}
	lines = append(lines, fmt.Sprintf("blank: %s … full: %s", number(rounded(s.low)), number(rounded(s.high))))
	for _, c := range h.axes.series {
		lines = append(lines, fmt.Sprintf("curve: %s", plain(c.name)))
	}
	for _, n := range h.footnotes(s) {
		lines = append(lines, plain(n))
	}
	return lines
}

func (h *Heat) description() string {
	s := h.shades()
	return fmt.Sprintf("Heat map of %s over %s and %s, from %s to %s.", orElse(h.label, "values"), orElse(h.axes.xlabel, "x"), orElse(h.axes.ylabel, "y"), number(rounded(s.low)), number(rounded(s.high)))
}

// SVG returns the picture.
func (h *Heat) SVG() string { return svgOf(h) }

// VegaLite returns the same as a Vega-Lite 5 specification.
func (h *Heat) VegaLite() any { return vegaOf(h) }

// Save writes the picture to a file: .svg, .png or .pdf.
func (h *Heat) Save(path string) error { return save(h, path) }

// MIMEBundle returns Vega-Lite, SVG and text.
func (h *Heat) MIMEBundle() map[string]any { return bundle(h) }

// String returns the title and the map in letters.
func (h *Heat) String() string { return textOf(h) }
