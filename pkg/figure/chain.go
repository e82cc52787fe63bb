package figure

import (
	"fmt"
	"slices"

	"gonum.org/v1/plot/vg"
)

// hidden returns which blocks of a long chain are left out: from first up to last.
func (d *Diagram) hidden() (first, last int, cut bool) {
	n := len(d.layers)
	if n <= mostBlocks {
		return 0, 0, false
	}
	return mostBlocks - 8, n - 7, true
}

// rows returns the blocks' indices row by row; -1 stands for those left out.
func (d *Diagram) rows(w float64) [][]int {
	each := max(1, int((w-2*pad-20)/(blockW+blockGap)))
	first, last, cut := d.hidden()
	var out [][]int
	k := 0
	put := func(i int) {
		if k%each == 0 {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], i)
		k++
	}
	for i := range d.layers {
		if cut && i >= first && i < last {
			if i == first {
				put(-1)
			}
			continue
		}
		put(i)
	}
	return out
}

func (d *Diagram) rowHeight() float64 { return blockH + 24 + laneH*float64(d.lanes()) }

// placeBlocks returns each block's region; those left out share one, at -1.
func (d *Diagram) placeBlocks(area rect, w float64) map[int]rect {
	out := map[int]rect{}
	y := area.y0 + laneH*float64(d.lanes()) + 4
	for _, row := range d.rows(w) {
		for k, i := range row {
			x := area.x0 + 8 + float64(k)*(blockW+blockGap)
			out[i] = rect{x, y, x + blockW, y + blockH}
		}
		y += d.rowHeight()
	}
	return out
}

func (d *Diagram) drawBlocks(p *pen, area rect, w float64) {
	places := d.placeBlocks(area, w)
	rows := d.rows(w)
	for j, row := range rows {
		for k, i := range row {
			b := places[i]
			d.drawBlock(p, i, b)
			y := (b.y0 + b.y1) / 2
			switch {
			case k+1 < len(row):
				arrow(p, pt{b.x1, y}, pt{b.x1 + blockGap, y})
			case j+1 < len(rows): // on to the next row
				next := places[rows[j+1][0]]
				low := b.y1 + 10
				ny := (next.y0 + next.y1) / 2
				p.lines(nrgba(quiet), 1.3, nil, []pt{{b.x1, y}, {b.x1 + blockGap/2, y}, {b.x1 + blockGap/2, low}, {next.x0 - 16, low}, {next.x0 - 16, ny}, {next.x0 - 6, ny}})
				head(p, pt{next.x0, ny})
			case d.sum(i):
				arrow(p, pt{b.x1, y}, pt{b.x1 + blockGap - 4, y})
			}
		}
	}
	d.drawSkips(p, places)
}

func arrow(p *pen, a, b pt) {
	p.lines(nrgba(quiet), 1.3, nil, []pt{a, {b.x - 6, b.y}})
	head(p, b)
}

func head(p *pen, at pt) {
	p.polygons(nrgba(quiet), []pt{{at.x - 7, at.y - 3.5}, {at.x, at.y}, {at.x - 7, at.y + 3.5}})
}

func (d *Diagram) drawBlock(p *pen, i int, b rect) {
	middle := (b.x0 + b.x1) / 2
	if i < 0 {
		first, last, _ := d.hidden()
		p.text(pt{middle, b.y0 + 18}, "⋯", textStyle{size: 16, bold: true, colour: quiet, anchor: 0.5})
		p.text(pt{middle, b.y0 + 34}, fmt.Sprintf("%d more", last-first), textStyle{size: tickSize, colour: quiet, anchor: 0.5})
		return
	}
	l := d.layers[i]
	c := nrgba(d.colour(l))
	path := p.roundPath(b, 5)
	p.ink(alpha(c, 0.14))
	p.c.Fill(path)
	p.stroke(c, 1.5, nil, path)
	shape := l.Shape
	if shape == "" && l.Units > 0 {
		shape = fmt.Sprint(l.Units)
	}
	y := b.y0 + 19
	if shape == "" {
		y = (b.y0+b.y1)/2 + 4
	}
	p.text(pt{middle, y}, fit(l.Name, blockW-8, labelSize, true), textStyle{size: labelSize, bold: true, colour: ink, anchor: 0.5})
	size := tickSize
	if width(shape, size, false) > blockW-6 {
		size = 9
	}
	p.text(pt{middle, b.y0 + 34}, fit(shape, blockW-4, size, false), textStyle{size: size, colour: quiet, anchor: 0.5})
}

// sum reports whether a skip connection ends behind the layer.
func (d *Diagram) sum(layer int) bool {
	return slices.ContainsFunc(d.skips, func(s skip) bool { return s.to == layer })
}

// drawSkips draws arcs from behind one block to behind another, where a small circle stands for the sum.
func (d *Diagram) drawSkips(p *pen, places map[int]rect) {
	lane, _ := d.lane()
	c := nrgba(green)
	for k, s := range d.skips {
		a, okA := places[s.from]
		b, okB := places[s.to]
		if !okA && !okB {
			continue
		}
		x := func(r rect) float64 { return r.x1 + blockGap/2 - 4 }
		rise := 8 + laneH*float64(lane[k])
		const bend = 7.0
		up := func(r rect, to float64) vg.Path { // from behind the block to the lane, and on
			var path vg.Path
			y := r.y0 - rise
			path.Move(p.to(pt{x(r), (r.y0 + r.y1) / 2}))
			path.Line(p.to(pt{x(r), y + bend}))
			path.QuadTo(p.to(pt{x(r), y}), p.to(pt{x(r) + bend, y}))
			path.Line(p.to(pt{to, y}))
			return path
		}
		down := func(path *vg.Path, r rect) {
			y := r.y0 - rise
			path.Line(p.to(pt{x(r) - bend, y}))
			path.QuadTo(p.to(pt{x(r), y}), p.to(pt{x(r), y + bend}))
			path.Line(p.to(pt{x(r), (r.y0+r.y1)/2 - 5}))
		}
		switch {
		case okA && okB && a.y0 == b.y0:
			path := up(a, x(b)-bend)
			down(&path, b)
			p.stroke(c, 1.8, nil, path)
			d.skipLabel(p, s, pt{(x(a) + x(b)) / 2, a.y0 - rise})
		default: // it goes on in another row
			if okA {
				p.stroke(c, 1.8, nil, up(a, x(a)+blockGap/2+6))
				p.lines(c, 1.8, []float64{2, 3}, []pt{{x(a) + blockGap/2 + 6, a.y0 - rise}, {x(a) + blockGap/2 + 24, a.y0 - rise}})
			}
			if okB {
				left := pad + 4.0
				p.lines(c, 1.8, []float64{2, 3}, []pt{{left, b.y0 - rise}, {left + 18, b.y0 - rise}})
				var path vg.Path
				path.Move(p.to(pt{left + 18, b.y0 - rise}))
				down(&path, b)
				p.stroke(c, 1.8, nil, path)
			}
		}
		if okB {
			at := pt{x(b), (b.y0 + b.y1) / 2}
			p.circles(nrgba(paper), 5, at)
			p.stroke(c, 1.5, nil, p.circlePath(5, at))
			p.lines(c, 1.5, nil, []pt{{at.x - 3, at.y}, {at.x + 3, at.y}}, []pt{{at.x, at.y - 3}, {at.x, at.y + 3}})
		}
		if okA && !d.sum(s.from) {
			p.circles(c, 2.2, pt{x(a), (a.y0 + a.y1) / 2})
		}
	}
}

// body is of drawable.
func (d *Diagram) body() []string {
	rows := [][]string{{"layer", "units", "shape", "kind"}}
	for _, l := range d.layers {
		units := "-"
		if l.Units > 0 {
			units = fmt.Sprint(l.Units)
		}
		rows = append(rows, []string{plain(l.Name), units, orElse(l.Shape, "-"), orElse(l.Kind, "-")})
	}
	lines := table(rows)
	for _, s := range d.skips {
		text := fmt.Sprintf("%s is added to %s", d.layers[s.from].Name, d.layers[s.to].Name)
		if s.label != "" {
			text += " (" + s.label + ")"
		}
		lines = append(lines, plain(text))
	}
	for _, n := range d.notes {
		lines = append(lines, plain(n))
	}
	return lines
}

func (d *Diagram) description() string {
	return fmt.Sprintf("Diagram of a net of %d layers, from %s to %s, with %d skip connections.", len(d.layers), d.layers[0].Name, d.layers[len(d.layers)-1].Name, len(d.skips))
}

// SVG returns the picture.
func (d *Diagram) SVG() string { return svgOf(d) }

// VegaLite returns the same as a Vega-Lite 5 specification, whose tooltips give weights and shapes.
func (d *Diagram) VegaLite() any { return vegaOf(d) }

// Save writes the picture to a file: .svg, .png or .pdf.
func (d *Diagram) Save(path string) error { return save(d, path) }

// MIMEBundle returns Vega-Lite, SVG and text.
func (d *Diagram) MIMEBundle() map[string]any { return bundle(d) }

// String returns the title and a table of the layers.
func (d *Diagram) String() string { return textOf(d) }
