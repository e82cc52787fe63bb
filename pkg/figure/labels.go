package figure

import (
	"fmt"
	"math"
	"slices"
)

// entry is a label beside a plot: a sample of what is drawn and its name.
type entry struct {
	lines  []string
	colour string
	dash   []float64
	width  float64
	kind   kind
	banded bool
	want   float64 // the value of y that it names; NaN: none, then it stands at the top
	last   bool    // at the bottom
	y      float64 // px of its middle
}

const (
	sample    = 18.0 // px of the sample
	entrySize = 12.0
	entryLine = 14.0
)

func (e *entry) height() float64 { return entryLine*float64(len(e.lines)) + 2 }

// entries lists what stands beside the plot.
func (pa *panel) entries() {
	measured := map[string]bool{}
	shared := false // theory that goes with what was measured
	for _, s := range pa.all {
		if s.kind != theory {
			measured[s.name] = true
		}
	}
	seen := map[string]bool{}
	for _, s := range pa.all {
		if s.kind == theory && measured[s.name] && !s.style.quiet {
			shared = true
		}
		if s.label == "" || seen[s.label] {
			continue
		}
		seen[s.label] = true
		e := &entry{lines: []string{s.label}, colour: hex(s.ink()), kind: s.kind, want: math.NaN(), banded: len(s.bands) > 0}
		e.width, e.dash = s.lineStyle()
		if s.kind != bars && s.kind != points {
			if q, ok := s.end(); ok {
				e.want = q.y
			}
		}
		pa.column = append(pa.column, e)
	}
	for _, m := range pa.f.marks {
		if m.vertical || m.label == "" || !pa.visible(m) {
			continue
		}
		middle := (math.Max(m.from, pa.y.low) + math.Min(m.to, pa.y.high)) / 2
		e := &entry{lines: []string{m.label}, colour: quiet, width: 1, kind: line, want: middle}
		if m.from != m.to {
			e.colour, e.kind = shadow, bars
		}
		pa.column = append(pa.column, e)
	}
	if shared {
		pa.column = append(pa.column, &entry{lines: []string{"theory"}, colour: quiet, width: 1.5, dash: theoryDash, kind: theory, want: math.NaN(), last: true})
	}
}

// columnWidth breaks the labels into lines and returns how much room the column takes, at most limit.
func (pa *panel) columnWidth(limit float64) float64 {
	if len(pa.column) == 0 {
		return 6
	}
	room := math.Min(limit-sample-20, 170)
	widest := 0.0
	for _, e := range pa.column {
		e.lines = wrap(e.lines[0], room, entrySize, false)
		for _, l := range e.lines {
			widest = math.Max(widest, width(l, entrySize, false))
		}
	}
	return widest + sample + 18
}

// arrange gives each label the place nearest to its line's end at which none covers another.
func (pa *panel) arrange() {
	top, bottom := pa.box.y0-6, pa.box.y1+8
	total := 0.0
	for i, e := range pa.column {
		total += e.height()
		if left := len(pa.column) - i - 1; total+entryLine > bottom-top && left > 0 {
			pa.column = append(pa.column[:i], &entry{lines: []string{fmt.Sprintf("… %d more", left+1)}, kind: "", last: true, want: math.NaN()})
			break
		}
	}
	for _, e := range pa.column {
		switch {
		case e.last:
			e.y = bottom
		case !finite(e.want):
			e.y = top
		default:
			e.y = pa.clamped(&pa.y, e.want)
		}
	}
	slices.SortStableFunc(pa.column, func(a, b *entry) int {
		switch {
		case a.y < b.y:
			return -1
		case a.y > b.y:
			return 1
		}
		return 0
	})
	edge := top
	for _, e := range pa.column {
		e.y = math.Max(e.y, edge+e.height()/2)
		edge = e.y + e.height()/2
	}
	edge = bottom
	for _, e := range slices.Backward(pa.column) {
		e.y = math.Min(e.y, edge-e.height()/2)
		edge = e.y - e.height()/2
	}
}

func (pa *panel) drawColumn(p *pen) {
	pa.arrange()
	for _, e := range pa.column {
		e.draw(p, pa.box.x1+10)
	}
}

// draw writes an entry from x on.
func (e *entry) draw(p *pen, x float64) {
	first := e.y - entryLine*float64(len(e.lines)-1)/2
	c := nrgba(e.colour)
	switch e.kind {
	case bars:
		p.rect(c, rect{x + 4, first - 5, x + 14, first + 5})
		if e.colour == shadow {
			b := rect{x + 4, first - 5, x + 14, first + 5}
			p.lines(nrgba(hair), 0.7, nil, append(corners(b), pt{b.x0, b.y0}))
		}
	case points:
		p.circles(c, 3.2, pt{x + sample/2, first})
	case "":
	default:
		if e.banded {
			p.rect(alpha(c, 0.2), rect{x, first - 5, x + sample, first + 5})
		}
		p.lines(c, e.width, e.dash, []pt{{x, first}, {x + sample, first}})
	}
	for i, l := range e.lines {
		p.text(pt{x + sample + 6, first + 4 + entryLine*float64(i)}, l, textStyle{size: entrySize, colour: ink})
	}
}
