package figure

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/pkg/errors"
)

// xy is a point of the data.
type xy struct{ x, y float64 }

// interval is a point of a band.
type interval struct{ x, low, high float64 }

// prepared is a series as it can be drawn: without what has no place on the axes.
type prepared struct {
	*series
	colour   string
	label    string       // "" if it has none
	all      []xy         // as given, or the means over seeds; may hold what cannot be drawn
	lines    [][]xy       // pieces without breaks
	bands    [][]interval // likewise
	breaks   []xy         // the last points before, or first after, a value that is not finite
	strange  int          // points that are not finite
	negative int          // points that a logarithmic axis cannot show
	over     bool         // theory that a line of the same colour is drawn below
}

func (p *prepared) dashed() bool { return p.kind == theory || p.style.dashed }

// check finds what only the whole figure shows.
func (f *Figure) check() error {
	if len(f.series) == 0 && len(f.plotters) == 0 {
		if len(f.marks) == 0 {
			return errors.Errorf("figure %q has no data; add some (Line, Seeds, Theory, Points, Bars, ...)", f.title)
		}
		return nil
	}
	barred, other, empty := false, "", true
	for _, s := range f.series {
		if s.kind == bars {
			barred = true
		} else {
			other = fmt.Sprintf("%s %q", s.kind, s.name)
		}
		empty = empty && len(s.xs) == 0
	}
	switch {
	case barred && other != "":
		return errors.Errorf("figure %q has bars and %s; give each a figure of its own (Grid puts them side by side)", f.title, other)
	case barred && f.logX:
		return errors.Errorf("figure %q has bars and a logarithmic x axis; categories have no logarithm", f.title)
	case empty && len(f.series) > 0:
		return errors.Errorf("figure %q has no data: its %d series are empty", f.title, len(f.series))
	case f.logX && f.xrange != nil && f.xrange[0] <= 0:
		return errors.Errorf("figure %q: the logarithmic x axis cannot begin at %g; give XRange a positive number", f.title, f.xrange[0])
	case f.logY && f.yrange != nil && f.yrange[0] <= 0:
		return errors.Errorf("figure %q: the logarithmic y axis cannot begin at %g; give YRange a positive number", f.title, f.yrange[0])
	}
	return nil
}

// names returns the names that need colours, in order. A style's own colour stands for itself.
func (f *Figure) names() []string {
	var out []string
	for _, s := range f.series {
		n := s.name
		if s.style.colour != "" {
			n = s.style.colour
		}
		if !strings.HasPrefix(n, "#") && !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// prepare makes the series ready to draw.
func (f *Figure) prepare(colour map[string]string) []*prepared {
	measured := map[string]bool{}
	for _, s := range f.series {
		if s.kind != theory {
			measured[s.name] = true
		}
	}
	var out []*prepared
	for _, s := range f.series {
		p := &prepared{series: s, label: s.name}
		key := s.name
		if s.style.colour != "" {
			key = s.style.colour
		}
		if strings.HasPrefix(key, "#") {
			p.colour = hex(nrgba(key))
		} else {
			p.colour = colour[key]
		}
		if s.style.quiet || s.kind == theory && measured[s.name] {
			p.label = ""
		}
		p.clean(f.logX, f.logY)
		out = append(out, p)
	}
	return out
}

// clean fills what is drawn.
func (p *prepared) clean(logX, logY bool) {
	low, high := p.low, p.high
	ys := p.ys
	if p.kind == seeds {
		ys, low, high = p.overSeeds(logY)
	}
	ok := func(v float64, log bool) bool { return finite(v) && (!log || v > 0) }
	var current []xy
	var belt []interval
	cut := func() {
		if len(current) > 0 {
			p.lines = append(p.lines, current)
		}
		if len(belt) > 0 {
			p.bands = append(p.bands, belt)
		}
		current, belt = nil, nil
	}
	broken := false // by a value that is not finite, since the last point
	for i, x := range p.xs {
		y := ys[i]
		p.all = append(p.all, xy{x, y})
		switch {
		case !finite(x) || !finite(y):
			if p.kind != seeds {
				p.strange++
			}
			if len(current) > 0 {
				p.breaks = append(p.breaks, current[len(current)-1])
			}
			broken = true
			cut()
			continue
		case logX && x <= 0 || logY && y <= 0:
			p.negative++
			cut()
			continue
		}
		if broken {
			p.breaks = append(p.breaks, xy{x, y})
			broken = false
		}
		current = append(current, xy{x, y})
		if low == nil {
			continue
		}
		l, h := low[i], high[i]
		if logY && h > 0 && l <= 0 {
			l = math.SmallestNonzeroFloat64 // down to the edge
		}
		if ok(h, logY) && ok(l, logY) {
			belt = append(belt, interval{x, math.Min(l, h), math.Max(l, h)})
		} else if len(belt) > 0 {
			p.bands = append(p.bands, belt)
			belt = nil
		}
	}
	cut()
}

// overSeeds returns mean and one standard deviation to each side at each x; of the logarithms if log is set. It counts what it leaves out.
func (p *prepared) overSeeds(log bool) (mean, low, high []float64) {
	for i := range p.xs {
		var vs []float64
		for _, r := range p.runs {
			switch v := r[i]; {
			case !finite(v):
				p.strange++
			case log && v <= 0:
				p.negative++
			case log:
				vs = append(vs, math.Log(v))
			default:
				vs = append(vs, v)
			}
		}
		m, d := math.NaN(), math.NaN()
		if len(vs) > 0 {
			m, d = 0, 0
			for _, v := range vs {
				m += v / float64(len(vs))
			}
			for _, v := range vs {
				d += (v - m) * (v - m)
			}
			if len(vs) > 1 {
				d = math.Sqrt(d / float64(len(vs)-1))
			}
		}
		l, h := m-d, m+d
		if log {
			m, l, h = math.Exp(m), math.Exp(l), math.Exp(h)
		}
		mean, low, high = append(mean, m), append(low, l), append(high, h)
	}
	return mean, low, high
}

// end returns the last point that is drawn.
func (p *prepared) end() (xy, bool) {
	if len(p.lines) == 0 {
		return xy{}, false
	}
	l := p.lines[len(p.lines)-1]
	return l[len(l)-1], true
}

// footnotes says what the picture leaves out and what its bands are.
func (f *Figure) footnotes(all []*prepared) []string {
	out := slices.Clone(f.notes)
	counts := map[int]bool{}
	for _, p := range all {
		if p.kind == seeds {
			counts[len(p.runs)] = true
		}
	}
	if len(counts) == 1 {
		for n := range counts {
			switch {
			case n == 1:
				out = append(out, "One seed only: there is no band.")
			case f.logY:
				out = append(out, fmt.Sprintf("Bands: geometric mean over %d seeds, times and divided by one standard deviation.", n))
			default:
				out = append(out, fmt.Sprintf("Bands: mean over %d seeds ± one standard deviation.", n))
			}
		}
	} else if len(counts) > 1 {
		out = append(out, "Bands: mean over the seeds ± one standard deviation (of the logarithms, on a logarithmic axis).")
	}
	for _, p := range all {
		name := p.name
		if name == "" {
			name = string(p.kind)
		}
		if p.strange > 0 {
			cross := "× "
			if len(p.breaks) == 0 || p.kind == points || p.kind == bars {
				cross = ""
			}
			out = append(out, fmt.Sprintf("%s%s: %s not finite.", cross, name, values(p.strange)))
		}
		if p.negative > 0 {
			out = append(out, fmt.Sprintf("%s: %s not positive and left out on the logarithmic axis.", name, values(p.negative)))
		}
	}
	return out
}

func values(n int) string {
	if n == 1 {
		return "1 value is"
	}
	return fmt.Sprintf("%d values are", n)
}

// extents returns the ranges of what is drawn.
func (f *Figure) extents(all []*prepared) (x, y extent) {
	x, y = noExtent(), noExtent()
	for _, p := range all {
		for _, l := range p.lines {
			for _, q := range l {
				x.add(q.x)
				y.add(q.y)
			}
		}
		for _, b := range p.bands {
			for _, i := range b {
				if i.low != math.SmallestNonzeroFloat64 {
					y.add(i.low)
				}
				y.add(i.high)
			}
		}
		if p.kind == bars && !f.logY {
			y.add(0)
		}
	}
	for _, m := range f.marks {
		e, log := &y, f.logY
		if m.vertical {
			e, log = &x, f.logX
		}
		for _, v := range []float64{m.from, m.to} {
			if finite(v) && (!log || v > 0) {
				e.add(v)
			}
		}
	}
	return x, y
}
