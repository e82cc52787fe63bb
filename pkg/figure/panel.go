package figure

import (
	"fmt"
	"image/color"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// panel is a pair of axes with what is drawn between them.
type panel struct {
	f          *Figure
	all        []*prepared
	x, y       axis
	box        rect     // of the data
	left       float64  // px where the y axis's label begins
	strip      [][]mark // labels above the plot, in rows from the lowest
	column     []*entry // labels beside the plot
	bareX      bool     // no tick labels and no label below
	bareY      bool
	noGrid     bool
	alone      bool // in its chart: there is room beside it
	categories []string
}

const (
	pad       = 16.0
	tickSize  = 11.0
	labelSize = 12.0
	noteSize  = 11.0
	rowHeight = 15.0
)

func (f *Figure) size() (w, h float64) { return f.sized(640, 400) }

// draw is of drawable.
func (f *Figure) draw(p *pen) {
	w, h := f.size()
	all := f.prepare(colours(f.names()))
	area := drawFrame(p, w, h, f.title, f.footnotes(all))
	pa := newPanel(f, all)
	x, y := f.extents(all)
	pa.scale(x, y)
	pa.entries()
	area.x1 -= pa.columnWidth(0.4 * area.w())
	pa.layout(area)
	pa.draw(p)
}

// headHeight is what drawFrame takes above the plot.
func headHeight(title string, w float64) float64 {
	if title == "" {
		return pad
	}
	return pad + 20*float64(len(wrap(title, w-2*pad, 15, true))) + 4
}

// drawFrame writes title and notes and returns what is left for the plot.
func drawFrame(p *pen, w, h float64, title string, notes []string) rect {
	area := rect{pad, pad, w - pad, h - pad + 4}
	for _, l := range wrap(title, area.w(), 15, true) {
		p.text(pt{area.x0, area.y0 + 11}, l, textStyle{size: 15, bold: true, colour: ink})
		area.y0 += 20
	}
	if title != "" {
		area.y0 += 4
	}
	var lines []string
	for _, n := range notes {
		lines = append(lines, wrap(n, area.w(), noteSize, false)...)
	}
	if room := max(2, int((area.h()-120)/14)); len(lines) > room {
		lines = append(lines[:room-1], "…")
	}
	for i, l := range lines {
		p.text(pt{area.x0, area.y1 - 4 - 14*float64(len(lines)-1-i)}, l, textStyle{size: noteSize, colour: quiet})
	}
	if len(lines) > 0 {
		area.y1 -= 14*float64(len(lines)) + 6
	}
	return area
}

func newPanel(f *Figure, all []*prepared) *panel {
	pa := &panel{f: f, all: all}
	for _, p := range all {
		p.over = p.kind == theory && slices.ContainsFunc(all, func(q *prepared) bool { return q.kind != theory && q.colour == p.colour })
		if p.kind == bars {
			pa.categories = p.series.categories
		}
	}
	return pa
}

// scale chooses the ends of the axes.
func (pa *panel) scale(x, y extent) {
	f := pa.f
	pa.x.log, pa.y.log = f.logX, f.logY
	pa.x.whole = len(pa.all) > 0
	for _, p := range pa.all {
		pa.x.whole = pa.x.whole && !slices.ContainsFunc(p.xs, func(x float64) bool { return x != math.Trunc(x) })
	}
	if pa.categories != nil {
		pa.x.low, pa.x.high = -0.5, float64(len(pa.categories))-0.5
	} else {
		pa.x.setRange(x, f.xrange, 0.015)
	}
	margin := 0.05
	if pa.categories != nil {
		margin = 0.1 // for the values on the bars
	}
	pa.y.setRange(y, f.yrange, margin)
	if pa.categories != nil && !f.logY && f.yrange == nil { // bars stand on the axis
		if y.low >= 0 {
			pa.y.low = 0
		}
		if y.high <= 0 {
			pa.y.high = 0
		}
	}
}

// layout finds places for all within area, the column of labels excepted.
func (pa *panel) layout(area rect) {
	b := area
	pa.left = area.x0
	if pa.f.ylabel != "" {
		b.y0 += rowHeight + 5
	}
	pa.y.setTicks(max(3, int((area.h()-60)/46)))
	left := 0.0
	if !pa.bareY {
		for _, t := range pa.y.ticks {
			left = math.Max(left, width(t.label, tickSize, false))
		}
		left += 8
	}
	b.x0 += left
	pa.x.from, pa.x.to = b.x0, b.x1
	pa.strips(b)
	b.y0 += rowHeight * float64(len(pa.strip))
	if !pa.bareX {
		b.y1 -= 20
		if pa.f.xlabel != "" {
			b.y1 -= 18
		}
	}
	if pa.categories != nil {
		b.y1 -= pa.categoryHeight(b) - 14
	} else {
		pa.x.setTicks(max(2, int(b.w()/72)))
	}
	pa.box = b
	pa.y.from, pa.y.to = b.y1, b.y0
}

// strips puts labels of vertical marks into as few rows as they need.
func (pa *panel) strips(b rect) {
	var ends []float64
	for _, m := range slices.SortedStableFunc(slices.Values(pa.f.marks), func(a, b mark) int {
		return int(math.Copysign(1, a.from-b.from))
	}) {
		if !m.vertical || m.label == "" || !pa.visible(m) {
			continue
		}
		at, w := pa.markCentre(m, b), width(m.label, tickSize, false)
		row := 0
		for row < len(ends) && ends[row] > at-w/2-6 {
			row++
		}
		if row == len(ends) {
			ends = append(ends, 0)
			pa.strip = append(pa.strip, nil)
		}
		ends[row] = at + w/2
		pa.strip[row] = append(pa.strip[row], m)
	}
}

// visible reports whether any of a mark lies within the axes.
func (pa *panel) visible(m mark) bool {
	a := &pa.y
	if m.vertical {
		a = &pa.x
	}
	return m.from <= a.high && m.to >= a.low && (m.from != m.to || a.shows(m.from))
}

// markCentre is where the label of a vertical mark has its middle: over the mark, but within the panel.
func (pa *panel) markCentre(m mark, b rect) float64 {
	from, to := pa.clamped(&pa.x, m.from), pa.clamped(&pa.x, m.to)
	half := math.Min(width(m.label, tickSize, false), b.w()) / 2
	return math.Max(b.x0+half, math.Min((from+to)/2, b.x1-half))
}

// clamped is the place of v, or the end of the axis beyond which it lies.
func (pa *panel) clamped(a *axis, v float64) float64 {
	if v <= a.low {
		return a.from
	}
	if v >= a.high {
		return a.to
	}
	return a.at(v)
}

// slant is the angle of categories' names that do not fit below their bars.
const slant = 0.9

// categoryLabel breaks a category's name into lines that fit its slot; fits is false if something is cut.
func categoryLabel(name string, slot float64) (lines []string, fits bool) {
	lines = wrap(name, math.Max(slot-6, 20), tickSize, false)
	return lines, len(lines) <= 3 && strings.Join(lines, " ") == strings.Join(strings.Fields(name), " ")
}

// slanted reports whether the names of the categories are written at an angle.
func (pa *panel) slanted(slot float64) bool {
	return slices.ContainsFunc(pa.categories, func(c string) bool { _, fits := categoryLabel(c, slot); return !fits })
}

// slantedName cuts a name so that it stays within the picture; x is where it ends.
func slantedName(name string, x float64) string {
	return fit(name, math.Min(140, (x-6)/math.Cos(slant)), tickSize, false)
}

func (pa *panel) categoryHeight(b rect) float64 {
	slot := b.w() / float64(len(pa.categories))
	most := 14.0
	for i, c := range pa.categories {
		if pa.slanted(slot) {
			most = math.Max(most, 6+math.Sin(slant)*width(slantedName(c, b.x0+slot*(float64(i)+0.5)), tickSize, false))
			continue
		}
		lines, _ := categoryLabel(c, slot)
		most = math.Max(most, 14*float64(len(lines)))
	}
	return most
}

// drawCategories writes the categories' names.
func (pa *panel) drawCategories(p *pen) {
	b := pa.box
	slot := b.w() / float64(len(pa.categories))
	for i, c := range pa.categories {
		x := pa.x.at(float64(i))
		if pa.slanted(slot) {
			p.text(pt{x + 3, b.y1 + 13}, slantedName(c, x), textStyle{size: tickSize, colour: ink, anchor: 1, turn: slant})
			continue
		}
		lines, _ := categoryLabel(c, slot)
		for j, l := range lines {
			p.text(pt{x, b.y1 + 17 + 14*float64(j)}, l, textStyle{size: tickSize, colour: ink, anchor: 0.5})
		}
	}
}

func (pa *panel) draw(p *pen) {
	b := pa.box
	for _, m := range pa.f.marks {
		if m.from != m.to {
			pa.drawRegion(p, m)
		}
	}
	pa.drawAxes(p)
	for _, m := range pa.f.marks {
		if m.from == m.to {
			pa.drawReference(p, m)
		}
	}
	for _, s := range pa.all {
		for _, belt := range s.bands {
			if s.kind != bars {
				pa.drawBelt(p, s, belt)
			}
		}
	}
	pa.drawBars(p)
	for _, s := range pa.all {
		switch s.kind {
		case points:
			pa.drawPoints(p, s)
		case line, band, seeds:
			pa.drawLine(p, s)
		}
	}
	for _, s := range pa.all {
		if s.kind == theory {
			pa.drawLine(p, s)
		}
	}
	for _, s := range pa.all {
		if s.kind != points && s.kind != bars {
			pa.drawCrosses(p, s)
		}
	}
	pa.drawPlotters(p)
	if pa.y.low < 0 && pa.y.high > 0 && pa.categories != nil {
		y := pa.y.at(0)
		p.lines(nrgba(hair), 1, nil, []pt{{b.x0, y}, {b.x1, y}})
	}
	for i, row := range pa.strip {
		for _, m := range row {
			p.text(pt{pa.markCentre(m, b), b.y0 - 5 - rowHeight*float64(i)}, fit(m.label, b.w(), tickSize, false), textStyle{size: tickSize, colour: quiet, anchor: 0.5})
		}
	}
	pa.drawColumn(p)
}

// place maps a point of the data.
func (pa *panel) place(q xy) pt { return pt{pa.x.at(q.x), pa.y.at(q.y)} }

func (pa *panel) drawRegion(p *pen, m mark) {
	r := pa.box
	if m.vertical {
		r.x0, r.x1 = pa.clamped(&pa.x, m.from), pa.clamped(&pa.x, m.to)
	} else {
		r.y1, r.y0 = pa.clamped(&pa.y, m.from), pa.clamped(&pa.y, m.to)
	}
	if r.w() > 0 && r.h() > 0 {
		p.rect(nrgba(shadow), r)
	}
}

func (pa *panel) drawReference(p *pen, m mark) {
	a := &pa.y
	if m.vertical {
		a = &pa.x
	}
	if !pa.visible(m) {
		return
	}
	v, b := a.at(m.from), pa.box
	l := []pt{{b.x0, v}, {b.x1, v}}
	if m.vertical {
		l = []pt{{v, b.y1}, {v, b.y0 - 3}}
	}
	p.lines(nrgba(quiet), 1, nil, l)
}

// drawAxes draws grid lines, ticks and labels.
func (pa *panel) drawAxes(p *pen) {
	b := pa.box
	var grid, minor [][]pt
	for _, t := range pa.y.ticks {
		y := pa.y.at(t.value)
		if t.label == "" {
			minor = append(minor, []pt{{b.x0 - 3, y}, {b.x0, y}})
			continue
		}
		grid = append(grid, []pt{{b.x0, y}, {b.x1, y}})
		if !pa.bareY {
			p.text(pt{b.x0 - 7, y + 4}, t.label, textStyle{size: tickSize, colour: quiet, anchor: 1})
		}
	}
	if !pa.noGrid {
		p.lines(nrgba(rule), 1, nil, grid...)
	}
	if !pa.bareY {
		p.lines(nrgba(hair), 0.7, nil, minor...)
	}
	minor = nil
	var major [][]pt
	for _, t := range pa.x.ticks {
		x := pa.x.at(t.value)
		if t.label == "" {
			minor = append(minor, []pt{{x, b.y1}, {x, b.y1 + 3}})
			continue
		}
		major = append(major, []pt{{x, b.y1}, {x, b.y1 + 5}})
		if !pa.bareX {
			p.text(pt{x, b.y1 + 17}, t.label, textStyle{size: tickSize, colour: quiet, anchor: 0.5})
		}
	}
	p.lines(nrgba(hair), 0.7, nil, minor...)
	p.lines(nrgba(hair), 1, nil, append(major, []pt{{b.x0, b.y1}, {b.x1, b.y1}})...)
	if pa.f.ylabel != "" && !pa.bareY {
		p.text(pt{pa.left, b.y0 - 10 - rowHeight*float64(len(pa.strip))}, pa.f.ylabel, textStyle{size: labelSize, colour: ink})
	}
	bottom := b.y1 + 17
	if pa.categories != nil {
		pa.drawCategories(p)
		bottom += pa.categoryHeight(b) - 14
	}
	if pa.f.xlabel != "" && !pa.bareX {
		p.text(pt{(b.x0 + b.x1) / 2, bottom + 18}, pa.f.xlabel, textStyle{size: labelSize, colour: ink, anchor: 0.5})
	}
}

// clipped draws lines no further than the box.
func (pa *panel) clipped(p *pen, c color.NRGBA, width float64, dash []float64, lines ...[]pt) {
	canvas := p.canvas(pa.box)
	var path vg.Path
	for _, l := range lines {
		var points []vg.Point
		for _, q := range l {
			points = append(points, p.to(q))
		}
		for _, piece := range canvas.ClipLinesXY(points) {
			for i, q := range piece {
				if i == 0 {
					path.Move(q)
				} else {
					path.Line(q)
				}
			}
		}
	}
	p.stroke(c, width, dash, path)
}

func (pa *panel) drawBelt(p *pen, s *prepared, belt []interval) {
	var ps []vg.Point
	for _, i := range belt {
		ps = append(ps, p.to(pa.place(xy{i.x, i.high})))
	}
	for _, i := range slices.Backward(belt) {
		ps = append(ps, p.to(pa.place(xy{i.x, i.low})))
	}
	if len(belt) == 1 { // a whisker
		q := belt[0]
		pa.clipped(p, alpha(nrgba(s.colour), 0.5), 3, nil, []pt{pa.place(xy{q.x, q.low}), pa.place(xy{q.x, q.high})})
		return
	}
	canvas := p.canvas(pa.box)
	ps = canvas.ClipPolygonXY(ps)
	var path vg.Path
	for i, q := range ps {
		if i == 0 {
			path.Move(q)
		} else {
			path.Line(q)
		}
	}
	if len(path) > 2 {
		path.Close()
		p.ink(alpha(nrgba(s.colour), 0.2))
		p.c.Fill(path)
	}
}

// within reports whether a place is in the box, give or take a hair.
func (pa *panel) within(q pt) bool {
	return q.x >= pa.box.x0-0.5 && q.x <= pa.box.x1+0.5 && q.y >= pa.box.y0-0.5 && q.y <= pa.box.y1+0.5
}

var theoryDash = []float64{6, 4}

func (s *prepared) lineStyle() (width float64, dash []float64) {
	width = 2
	if s.dashed() {
		width, dash = 1.5, theoryDash
	}
	if s.style.width > 0 {
		width = s.style.width
	}
	return width, dash
}

// ink is the colour of a line: theory over a line of its colour is darker, so that its dashes show where the two agree.
func (s *prepared) ink() color.NRGBA {
	c := nrgba(s.colour)
	if s.over {
		for _, part := range []*uint8{&c.R, &c.G, &c.B} {
			*part = uint8(float64(*part) * 0.5)
		}
	}
	return c
}

func (pa *panel) drawLine(p *pen, s *prepared) {
	var lines [][]pt
	var dots, single []pt
	for _, l := range s.lines {
		var ps []pt
		for _, q := range l {
			at := pa.place(q)
			ps = append(ps, at)
			if pa.within(at) {
				dots = append(dots, at)
			}
		}
		if len(ps) > 1 {
			lines = append(lines, ps)
		} else if pa.within(ps[0]) {
			single = append(single, ps[0])
		}
	}
	w, dash := s.lineStyle()
	c := s.ink()
	pa.clipped(p, c, w, dash, lines...)
	if s.style.marked || !s.dashed() && s.style.width == 0 && len(s.xs) <= 16 {
		p.circles(c, w+0.8, dots...)
	} else {
		p.circles(c, w+0.4, single...)
	}
}

func (pa *panel) drawPoints(p *pen, s *prepared) {
	var dots []pt
	for _, l := range s.lines {
		for _, q := range l {
			if at := pa.place(q); pa.within(at) {
				dots = append(dots, at)
			}
		}
	}
	radius := pa.dotRadius(len(s.xs))
	switch {
	case radius == loneDot: // it may lie on a line
		p.circles(nrgba(paper), radius+1.5, dots...)
		p.circles(nrgba(s.colour), radius, dots...)
	case radius < 3:
		p.circles(alpha(nrgba(s.colour), 0.55), radius, dots...)
	default:
		p.circles(alpha(nrgba(s.colour), 0.85), radius, dots...)
	}
}

// loneDot is the radius of the dot of a series that has no more: "here it is".
const loneDot = 4.5

// dotRadius is the radius of the dots of a series of n; it is one for all series of a panel with more than a dot, and small where dots crowd it.
func (pa *panel) dotRadius(n int) float64 {
	if n == 1 {
		return loneDot
	}
	all := 0
	for _, s := range pa.all {
		if s.kind == points {
			all += len(s.xs)
		}
	}
	w, h := pa.box.w(), pa.box.h()
	if w <= 0 { // a chart's, which lays itself out
		w, h = pa.f.size()
	}
	return min(max(0.28*math.Sqrt(w*h/float64(all)), 2), 3.2)
}

// drawCrosses marks where a line breaks.
func (pa *panel) drawCrosses(p *pen, s *prepared) {
	const r = 4.5
	var lines [][]pt
	for _, q := range s.breaks {
		at := pa.place(q)
		if pa.within(at) {
			lines = append(lines, []pt{{at.x - r, at.y - r}, {at.x + r, at.y + r}}, []pt{{at.x - r, at.y + r}, {at.x + r, at.y - r}})
		}
	}
	p.lines(nrgba(paper), 4, nil, lines...)
	p.lines(nrgba(s.colour), 2, nil, lines...)
}

// drawBars draws the bars of all series side by side, with their values if there are few.
func (pa *panel) drawBars(p *pen) {
	var series []*prepared
	count := 0
	for _, s := range pa.all {
		if s.kind == bars {
			series = append(series, s)
			count += len(s.all)
		}
	}
	if len(series) == 0 {
		return
	}
	slot := pa.box.w() / float64(len(pa.categories))
	bar := math.Min(slot*0.76/float64(len(series)), 54)
	foot := pa.box.y1
	if !pa.y.log {
		foot = pa.clamped(&pa.y, 0)
	}
	for i, s := range series {
		offset := (float64(i) - float64(len(series)-1)/2) * bar
		var shapes [][]pt
		var whiskers [][]pt
		for k, q := range s.all {
			if !pa.y.shows(q.y) {
				continue
			}
			x, y := pa.x.at(q.x)+offset, pa.clamped(&pa.y, q.y)
			shapes = append(shapes, corners(rect{x - bar/2 + 1, math.Min(y, foot), x + bar/2 - 1, math.Max(y, foot)}))
			top := y
			if s.low != nil && finite(s.low[k]) && finite(s.high[k]) {
				l, h := pa.clamped(&pa.y, s.low[k]), pa.clamped(&pa.y, s.high[k])
				whiskers = append(whiskers, []pt{{x, l}, {x, h}}, []pt{{x - 4, l}, {x + 4, l}}, []pt{{x - 4, h}, {x + 4, h}})
				top = math.Min(top, h)
			}
			text := minus(number(rounded(q.y)))
			if count <= 24 && width(text, tickSize, false) <= bar+8 {
				at := pt{x, top - 4}
				if q.y < 0 {
					at.y = math.Max(y, foot) + 12
				}
				p.text(at, text, textStyle{size: tickSize, colour: ink, anchor: 0.5})
			}
		}
		p.polygons(nrgba(s.colour), shapes...)
		p.lines(nrgba(ink), 1.2, nil, whiskers...)
	}
}

// rounded keeps three digits.
func rounded(v float64) float64 {
	if v == 0 || !finite(v) {
		return v
	}
	scale := math.Pow(10, 2-math.Floor(math.Log10(math.Abs(v))))
	if r := math.Round(v*scale) / scale; finite(r) {
		return r
	}
	return v
}

// drawPlotters hands the box to plotters of gonum.
func (pa *panel) drawPlotters(p *pen) {
	if len(pa.f.plotters) == 0 {
		return
	}
	g := plot.New()
	g.X.Min, g.X.Max, g.Y.Min, g.Y.Max = pa.x.low, pa.x.high, pa.y.low, pa.y.high
	if pa.x.log {
		g.X.Scale = plot.LogScale{}
	}
	if pa.y.log {
		g.Y.Scale = plot.LogScale{}
	}
	for _, one := range pa.f.plotters {
		var canvas draw.Canvas = p.canvas(pa.box)
		one.Plot(canvas, g)
	}
}

// description is for people who do not see the picture.
func (f *Figure) description() string {
	out := ""
	switch {
	case f.xlabel != "" && f.ylabel != "":
		out = fmt.Sprintf("%s over %s. ", f.ylabel, f.xlabel)
	case f.ylabel != "":
		out = f.ylabel + ". "
	}
	for _, p := range f.prepare(colours(f.names())) {
		out += p.sentence() + " "
	}
	return out
}
