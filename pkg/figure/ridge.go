package figure

import (
	"fmt"
	"image/color"
	"math"
	"slices"

	"github.com/pkg/errors"
)

// Ridge is a stack of histograms, one for each layer.
type Ridge struct {
	frame
	axes *Figure
	rows []ridgeRow
}

type ridgeRow struct {
	name, remark  string
	edges, counts []float64
	raw           []float64 // to be counted in bins that all such rows share
	strange       int       // of raw: not finite
}

// Ridges makes an empty one; add rows with Layer, Counts or Values, the first at the top.
func Ridges(title, xlabel string) *Ridge {
	return &Ridge{frame: frame{title: title}, axes: New(title, xlabel, "")}
}

// Layer adds a histogram: counts[i] values lie between edges[i] and edges[i+1], so there is one edge more than counts. Each row is drawn to its own
// height. A remark stands at the row's end ("20 % saturated").
func (r *Ridge) Layer(name string, edges, counts []float64, remark ...string) *Ridge {
	if len(edges) != len(counts)+1 || len(counts) == 0 {
		r.fail("layer %q has %d edges and %d counts; give one edge more than counts, and at least one count", name, len(edges), len(counts))
		return r
	}
	for i, e := range edges {
		if !finite(e) || i > 0 && e <= edges[i-1] {
			r.fail("layer %q: edge %d is %g; edges must be finite and increase", name, i, e)
			return r
		}
	}
	for i, c := range counts {
		if !finite(c) || c < 0 {
			r.fail("layer %q: count %d is %g; counts are finite and not negative", name, i, c)
			return r
		}
	}
	return r.add(ridgeRow{name: name, edges: slices.Clone(edges), counts: slices.Clone(counts)}, remark)
}

// Counts is Layer with bins of equal width from low to high, as gradflow's histograms have them.
func (r *Ridge) Counts(name string, low, high float64, counts []int, remark ...string) *Ridge {
	if !finite(low) || !finite(high) || low >= high {
		r.fail("layer %q: bins from %g to %g; give two finite numbers, the smaller first", name, low, high)
		return r
	}
	edges, numbers := []float64{low}, make([]float64, len(counts))
	for i, c := range counts {
		edges = append(edges, low+(high-low)*float64(i+1)/float64(len(counts)))
		numbers[i] = float64(c)
	}
	return r.Layer(name, edges, numbers, remark...)
}

// Values adds a histogram of values, in bins that are made for all such rows together. Those that are not finite are left out and counted in a footnote.
func (r *Ridge) Values(name string, values []float64, remark ...string) *Ridge {
	row := ridgeRow{name: name}
	for _, v := range values {
		if finite(v) {
			row.raw = append(row.raw, v)
		} else {
			row.strange++
		}
	}
	if len(row.raw) == 0 {
		r.fail("layer %q has no finite values among %d", name, len(values))
		return r
	}
	return r.add(row, remark)
}

func (r *Ridge) add(row ridgeRow, remark []string) *Ridge {
	if len(remark) > 0 {
		row.remark = remark[0]
	}
	for i, old := range r.rows {
		if old.name == row.name && row.name != "" {
			r.rows[i] = row
			return r
		}
	}
	r.rows = append(r.rows, row)
	return r
}

// XRange fixes the x axis.
func (r *Ridge) XRange(low, high float64) *Ridge { r.axes.XRange(low, high); return r }

// Shade shades a region of x through all rows, where units are saturated for example.
func (r *Ridge) Shade(label string, from, to float64) *Ridge { r.axes.Shade(label, from, to); return r }

// VLine draws a line at x through all rows.
func (r *Ridge) VLine(label string, x float64) *Ridge { r.axes.VLine(label, x); return r }

// Note adds a line below the figure.
func (r *Ridge) Note(text string) *Ridge { r.notes = append(r.notes, text); return r }

// Size sets width and height in px; the default grows with the number of rows.
func (r *Ridge) Size(width, height int) *Ridge { r.setSize(width, height); return r }

// Err returns the first error among the calls that built the figure, or that there are no rows.
func (r *Ridge) Err() error {
	switch {
	case r.err != nil:
		return r.err
	case r.axes.err != nil:
		return r.axes.err
	case len(r.rows) == 0:
		return errors.Errorf("figure %q has no rows; add some (Layer, Counts, Values)", r.title)
	}
	return nil
}

func (r *Ridge) size() (w, h float64) {
	return r.sized(640, math.Min(150+34*float64(len(r.rows)), 900))
}

// binned returns the rows with all counted.
func (r *Ridge) binned() []ridgeRow {
	const bins = 60
	e := noExtent()
	for _, row := range r.rows {
		for _, v := range row.raw {
			e.add(v)
		}
	}
	if e.low == e.high {
		e = extent{e.low - 0.5, e.high + 0.5}
	}
	var out []ridgeRow
	for _, row := range r.rows {
		if row.edges == nil {
			row.counts = make([]float64, bins)
			for i := range bins + 1 {
				row.edges = append(row.edges, e.low+(e.high-e.low)*float64(i)/bins)
			}
			for _, v := range row.raw {
				row.counts[min(bins-1, int((v-e.low)/(e.high-e.low)*bins))]++
			}
		}
		out = append(out, row)
	}
	return out
}

// density returns the row's heights, 1 at its peak.
func (row *ridgeRow) density() []float64 {
	out := make([]float64, len(row.counts))
	peak := 0.0
	for i, c := range row.counts {
		out[i] = c / (row.edges[i+1] - row.edges[i])
		peak = math.Max(peak, out[i])
	}
	if peak > 0 {
		for i := range out {
			out[i] /= peak
		}
	}
	return out
}

func (r *Ridge) footnotes() []string {
	out := append(slices.Clone(r.notes), "Each row is drawn to its own height.")
	for _, row := range r.rows {
		if row.strange > 0 {
			out = append(out, fmt.Sprintf("%s: %s not finite and left out.", row.name, values(row.strange)))
		}
	}
	return out
}

// extent is of the rows' edges, without empty bins at the ends.
func (r *Ridge) extent(rows []ridgeRow) extent {
	e := noExtent()
	for _, row := range rows {
		for i, c := range row.counts {
			if c > 0 {
				e.add(row.edges[i])
				e.add(row.edges[i+1])
			}
		}
	}
	return e
}

// draw is of drawable.
func (r *Ridge) draw(p *pen) {
	w, h := r.size()
	rows := r.binned()
	area := drawFrame(p, w, h, r.title, r.footnotes())
	names, remarks := 0.0, 0.0
	for _, row := range rows {
		names = math.Max(names, width(row.name, labelSize, false))
		remarks = math.Max(remarks, width(row.remark, tickSize, false))
	}
	names, remarks = math.Min(names, 160), math.Min(remarks, 160)
	area.x0 += names + 10
	area.x1 -= remarks + 12
	pa := newPanel(r.axes, nil)
	pa.bareY, pa.noGrid = true, true
	pa.scale(r.extent(rows), noExtent())
	pa.layout(area)
	step := pa.box.h() / (float64(len(rows)) + 0.5)
	pa.y.ticks = nil
	pa.draw(p)
	var base [][]pt
	for i := range rows {
		y := pa.box.y0 + step*(float64(i)+1.5)
		base = append(base, []pt{{pa.box.x0, y}, {pa.box.x1, y}})
	}
	p.lines(nrgba(rule), 1, nil, base[:len(base)-1]...)
	for i, row := range rows {
		y := base[i][0].y
		r.drawRow(p, pa, row, ordered(i, len(rows)), y, 1.35*step)
		p.text(pt{pa.box.x0 - 8, y - 2}, fit(row.name, 160, labelSize, false), textStyle{size: labelSize, colour: ink, anchor: 1})
		p.text(pt{pa.box.x1 + 8, y - 2}, fit(row.remark, 160, tickSize, false), textStyle{size: tickSize, colour: quiet})
	}
}

func (r *Ridge) drawRow(p *pen, pa *panel, row ridgeRow, c color.NRGBA, base, height float64) {
	left := pa.clamped(&pa.x, row.edges[0])
	outline := []pt{{left, base}}
	for k, d := range row.density() {
		x0, x1 := pa.clamped(&pa.x, row.edges[k]), pa.clamped(&pa.x, row.edges[k+1])
		if x1 <= x0 {
			continue
		}
		y := base - d*height
		outline = append(outline, pt{x0, y}, pt{x1, y})
	}
	outline = append(outline, pt{outline[len(outline)-1].x, base})
	p.polygons(alpha(c, 0.85), simplified(outline))
	p.lines(nrgba(paper), 1.2, nil, simplified(outline)[1:])
}

// simplified drops points between two others on one level, which are many in histograms.
func simplified(ps []pt) []pt {
	var out []pt
	for i, q := range ps {
		if i > 0 && i < len(ps)-1 && math.Abs(ps[i-1].y-q.y) < 0.05 && math.Abs(ps[i+1].y-q.y) < 0.05 {
			continue
		}
		out = append(out, q)
	}
	return out
}

// body is of drawable.
func (r *Ridge) body() []string {
	lines := []string{plain("histograms of " + orElse(r.axes.xlabel, "values"))}
	rows := [][]string{{"", "from", "to", ""}}
	binned := r.binned()
	all := r.extent(binned)
	for _, row := range binned {
		own := r.extent([]ridgeRow{row})
		// The same stretch of x for each row, so that the widths compare.
		const n = 24
		heights := make([]xy, n)
		density := row.density()
		step := (all.high - all.low) / n
		for k := range heights {
			from := all.low + step*float64(k)
			for i, d := range density {
				if row.edges[i] < from+step*0.999 && row.edges[i+1] > from+step*0.001 {
					heights[k].y = math.Max(heights[k].y, d)
				}
			}
		}
		rows = append(rows, []string{plain(row.name), number(rounded(own.low)), number(rounded(own.high)), spark(heights, extent{0, 1}, false)})
		if row.remark != "" {
			rows[len(rows)-1][3] += "  " + plain(row.remark)
		}
	}
	lines = append(lines, table(rows)...)
	for _, n := range r.footnotes() {
		lines = append(lines, plain(n))
	}
	return lines
}

func (r *Ridge) description() string {
	return fmt.Sprintf("Histograms of %s for %d layers, from %s to %s.", orElse(r.axes.xlabel, "values"), len(r.rows), r.rows[0].name, r.rows[len(r.rows)-1].name)
}

// SVG returns the picture.
func (r *Ridge) SVG() string { return svgOf(r) }

// VegaLite returns the same as a Vega-Lite 5 specification.
func (r *Ridge) VegaLite() any { return vegaOf(r) }

// Save writes the picture to a file: .svg, .png or .pdf.
func (r *Ridge) Save(path string) error { return save(r, path) }

// MIMEBundle returns Vega-Lite, SVG and text.
func (r *Ridge) MIMEBundle() map[string]any { return bundle(r) }

// String returns the title and the histograms as lines of letters.
func (r *Ridge) String() string { return textOf(r) }
