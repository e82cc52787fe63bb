package figure

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/pkg/errors"
)

// Panels are small multiples: figures side by side.
type Panels struct {
	frame
	columns int
	figures []*Figure
	free    bool
}

// Grid puts figures side by side, in rows of so many columns. Their titles stand above them; the axes are the same for all (see Free), and so are the colours of names, which are explained once.
func Grid(title string, columns int, figures ...*Figure) *Panels {
	g := &Panels{frame: frame{title: title}, columns: columns}
	if columns < 1 || columns > 8 {
		g.fail("%d columns; allowed are 1 to 8", columns)
	}
	for _, f := range figures {
		if f == nil {
			g.fail("one of the figures is nil")
			continue
		}
		g.figures = append(g.figures, f.clone())
	}
	return g
}

// Free gives each panel axes of its own.
func (g *Panels) Free() *Panels { g.free = true; return g }

// Note adds a line below the figures.
func (g *Panels) Note(text string) *Panels { g.notes = append(g.notes, text); return g }

// Size sets width and height in px of the whole; the default grows with the number of panels.
func (g *Panels) Size(width, height int) *Panels { g.setSize(width, height); return g }

// Err returns the first error among the calls that built the panels and their figures.
func (g *Panels) Err() error {
	if g.err != nil {
		return g.err
	}
	if len(g.figures) == 0 {
		return errors.Errorf("figure %q has no panels; give Grid some figures", g.title)
	}
	first := g.figures[0]
	for _, f := range g.figures {
		if err := f.Err(); err != nil {
			return errors.WithMessagef(err, "figure %q", g.title)
		}
		if !g.free && (f.logX != first.logX || f.logY != first.logY) {
			return errors.Errorf("figure %q: panel %q has other axes (logarithmic or not) than %q; make them the same, or call Free", g.title, f.title, first.title)
		}
	}
	return nil
}

func (g *Panels) rows() int { return (len(g.figures) + g.columns - 1) / g.columns }

func (g *Panels) size() (w, h float64) {
	columns := min(g.columns, len(g.figures))
	return g.sized(math.Max(480, math.Min(960, 120+250*float64(columns))), 90+200*float64(max(1, g.rows())))
}

// panels prepares all with common colours and, unless they are free, common axes.
func (g *Panels) panels() []*panel {
	var names []string
	for _, f := range g.figures {
		for _, n := range f.names() {
			if !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
	}
	colour := colours(names)
	var out []*panel
	x, y := noExtent(), noExtent()
	for _, f := range g.figures {
		pa := newPanel(f, f.prepare(colour))
		fx, fy := f.extents(pa.all)
		for _, v := range []float64{fx.low, fx.high} {
			if finite(v) {
				x.add(v)
			}
		}
		for _, v := range []float64{fy.low, fy.high} {
			if finite(v) {
				y.add(v)
			}
		}
		out = append(out, pa)
	}
	for i, pa := range out {
		px, py := x, y
		if g.free {
			px, py = g.figures[i].extents(pa.all)
		}
		pa.scale(px, py)
		if !g.free { // ranges that one panel asks for hold for all
			for _, f := range g.figures {
				if f.xrange != nil {
					pa.x.low, pa.x.high = f.xrange[0], f.xrange[1]
				}
				if f.yrange != nil {
					pa.y.low, pa.y.high = f.yrange[0], f.yrange[1]
				}
			}
		}
	}
	return out
}

// footnotes are those of all panels, each once.
func (g *Panels) footnotes(panels []*panel) []string {
	out := slices.Clone(g.notes)
	for _, pa := range panels {
		for _, n := range pa.f.footnotes(pa.all) {
			if strings.HasPrefix(n, "Bands:") || strings.HasPrefix(n, "One seed") {
				if !slices.Contains(out, n) {
					out = append(out, n)
				}
			} else if pa.f.title != "" {
				out = append(out, pa.f.title+": "+n)
			} else {
				out = append(out, n)
			}
		}
	}
	return out
}

// legend lists the names of all panels once.
func legend(panels []*panel) *panel {
	all := &panel{f: New("", "", "")}
	seen := map[string]bool{}
	for _, pa := range panels {
		pa.entries()
		for _, e := range pa.column {
			if key := string(e.kind) + "\x00" + strings.Join(e.lines, " "); !seen[key] {
				seen[key] = true
				e.want, e.last = math.NaN(), false
				all.column = append(all.column, e)
			}
		}
		pa.column = nil
	}
	slices.SortStableFunc(all.column, func(a, b *entry) int { // "theory" comes last
		return b2i(a.kind == theory && a.lines[0] == "theory") - b2i(b.kind == theory && b.lines[0] == "theory")
	})
	return all
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// draw is of drawable.
func (g *Panels) draw(p *pen) {
	w, h := g.size()
	panels := g.panels()
	area := drawFrame(p, w, h, g.title, g.footnotes(panels))
	names := legend(panels)
	area.x1 -= names.columnWidth(0.3 * area.w())
	columns, rows := min(g.columns, len(panels)), g.rows()
	ylabel, xlabel := g.common(func(f *Figure) string { return f.ylabel }), g.common(func(f *Figure) string { return f.xlabel })
	if ylabel != "" {
		p.text(pt{area.x0, area.y0 + 11}, ylabel, textStyle{size: labelSize, colour: ink})
		area.y0 += rowHeight + 4
	}
	if xlabel != "" {
		area.y1 -= 18
	}
	left := 0.0 // room for tick labels
	for _, pa := range panels {
		pa.y.setTicks(max(3, int(area.h()/float64(rows)/46)))
		for _, t := range pa.y.ticks {
			left = math.Max(left, width(t.label, tickSize, false)+8)
		}
	}
	const gap = 16.0
	cellW := (area.w() - left - gap*float64(columns-1)) / float64(columns)
	if g.free {
		cellW = (area.w() - (gap+left)*float64(columns) + gap) / float64(columns)
	}
	cellH := area.h() / float64(rows)
	for i, pa := range panels {
		r, c := i/columns, i%columns
		x := area.x0 + left + (cellW+gap)*float64(c)
		if g.free {
			x = area.x0 + left + (cellW+gap+left)*float64(c)
		}
		cell := rect{x, area.y0 + cellH*float64(r), x + cellW, area.y0 + cellH*float64(r+1) - 4}
		pa.bareX = !g.free && i+columns < len(panels)
		pa.bareY = !g.free && c > 0
		g.drawPanel(p, pa, cell, xlabel != "", ylabel != "")
	}
	if xlabel != "" {
		middle := panels[0].box.x0 + ((cellW+gap)*float64(columns)-gap)/2
		if g.free {
			middle = (panels[0].box.x0 + panels[columns-1].box.x1) / 2
		}
		p.text(pt{middle, area.y1 + 12}, xlabel, textStyle{size: labelSize, colour: ink, anchor: 0.5})
	}
	names.box = rect{0, area.y0 + 24, area.x1, area.y1 - 30}
	names.drawColumn(p)
}

// common returns a text that all figures share, "" if they do not.
func (g *Panels) common(text func(*Figure) string) string {
	s := text(g.figures[0])
	for _, f := range g.figures {
		if text(f) != s {
			return ""
		}
	}
	return s
}

func (g *Panels) drawPanel(p *pen, pa *panel, cell rect, xShared, yShared bool) {
	f := pa.f.clone()
	if xShared {
		f.xlabel = ""
	}
	if yShared {
		f.ylabel = ""
	}
	pa.f = f
	if f.title != "" {
		p.text(pt{cell.x0, cell.y0 + 12}, fit(f.title, cell.w(), labelSize, true), textStyle{size: labelSize, bold: true, colour: ink})
		cell.y0 += 20
	}
	bare := pa.bareY
	pa.bareY = true // the cell begins at the axis
	pa.layout(cell)
	pa.bareY = bare
	pa.left = cell.x0
	// pa.bareX leaves no room for tick labels; panels of one row must be as high, so all have it.
	if pa.bareX {
		pa.box.y1 -= 20
		pa.y.from = pa.box.y1
	}
	pa.draw(p)
}

// body is of drawable.
func (g *Panels) body() []string {
	var lines []string
	for _, f := range g.figures {
		lines = append(lines, "")
		if f.title != "" {
			lines = append(lines, plain(f.title))
		}
		lines = append(lines, f.body()...)
	}
	for _, n := range g.notes {
		lines = append(lines, plain(n))
	}
	return lines
}

func (g *Panels) description() string {
	out := fmt.Sprintf("%d panels. ", len(g.figures))
	for _, f := range g.figures {
		out += f.title + ": " + f.description()
	}
	return out
}

// SVG returns the picture.
func (g *Panels) SVG() string { return svgOf(g) }

// VegaLite returns the same as a Vega-Lite 5 specification.
func (g *Panels) VegaLite() any { return vegaOf(g) }

// Save writes the picture to a file: .svg, .png or .pdf.
func (g *Panels) Save(path string) error { return save(g, path) }

// MIMEBundle returns Vega-Lite, SVG and text.
func (g *Panels) MIMEBundle() map[string]any { return bundle(g) }

// String returns the titles and the tables of all panels.
func (g *Panels) String() string { return textOf(g) }
