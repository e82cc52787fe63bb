package figure

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// sentence describes a series.
func (p *prepared) sentence() string {
	name := p.called(orElse(p.name, "unnamed"))
	n, e := p.heights()
	if n == 0 {
		return name + ": nothing that can be drawn."
	}
	first := p.lines[0][0]
	last, _ := p.end()
	if p.kind == points || p.kind == bars {
		return fmt.Sprintf("%s: %d values from %s to %s.", name, n, number(rounded(e.low)), number(rounded(e.high)))
	}
	return fmt.Sprintf("%s: from %s at %s to %s at %s.", name, number(rounded(first.y)), number(rounded(first.x)), number(rounded(last.y)), number(rounded(last.x)))
}

// body is of drawable.
func (f *Figure) body() []string {
	var lines []string
	if f.xlabel != "" || f.ylabel != "" {
		axes := orElse(f.ylabel, "y")
		if f.xlabel != "" {
			axes += " over " + f.xlabel
		}
		switch {
		case f.logX && f.logY:
			axes += " (both logarithmic)"
		case f.logY:
			axes += " (logarithmic)"
		case f.logX:
			axes += " (x logarithmic)"
		}
		lines = append(lines, plain(axes))
	}
	all := f.prepare(colours(f.names()))
	if len(all) > 0 && all[0].kind == bars {
		lines = append(lines, barTable(all)...)
	} else if len(all) > 0 {
		rows := [][]string{{"", "points", "first", "last", "least", "most", ""}}
		for _, p := range all {
			rows = append(rows, p.row(f.logY))
		}
		lines = append(lines, table(rows)...)
	}
	for _, m := range f.marks {
		axis := "y"
		if m.vertical {
			axis = "x"
		}
		if m.label == "" {
			continue
		}
		if m.from == m.to {
			lines = append(lines, fmt.Sprintf("%s: %s = %s", plain(m.label), axis, number(m.from)))
		} else {
			lines = append(lines, fmt.Sprintf("%s: %s from %s to %s", plain(m.label), axis, number(m.from), number(m.to)))
		}
	}
	for _, n := range f.footnotes(all) {
		lines = append(lines, plain(n))
	}
	return lines
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// called marks a name as theory where it is.
func (p *prepared) called(name string) string {
	if p.kind == theory {
		name += " (theory)"
	}
	return name
}

// heights counts the points that are drawn, and tells how far they reach.
func (p *prepared) heights() (n int, e extent) {
	e = noExtent()
	for _, l := range p.lines {
		for _, q := range l {
			e.add(q.y)
			n++
		}
	}
	return n, e
}

// row is a series as a line of the table.
func (p *prepared) row(log bool) []string {
	name := p.called(orElse(plain(p.name), "-"))
	n, e := p.heights()
	row := []string{name, fmt.Sprint(n)}
	if n == 0 {
		return append(row, "-", "-", "-", "-", "")
	}
	last, _ := p.end()
	for _, v := range []float64{p.lines[0][0].y, last.y, e.low, e.high} {
		row = append(row, number(rounded(v)))
	}
	if p.kind == points {
		return append(row, "")
	}
	return append(row, spark(p.all, e, log))
}

// spark draws a curve in at most 24 letters; what is not finite is a cross.
func spark(all []xy, e extent, log bool) string {
	const most = 24
	n := min(len(all), most)
	var b strings.Builder
	for i := range n {
		v := all[i*len(all)/n].y
		if n > 1 {
			v = all[i*(len(all)-1)/(n-1)].y
		}
		low, high := e.low, e.high
		if log {
			low, high, v = math.Log(low), math.Log(high), math.Log(v)
		}
		switch {
		case !finite(v):
			b.WriteRune('×')
		case high <= low:
			b.WriteRune('▄')
		default:
			b.WriteRune([]rune("▁▂▃▄▅▆▇█")[min(7, max(0, int((v-low)/(high-low)*8)))])
		}
	}
	return b.String()
}

// barTable has a row for each category.
func barTable(all []*prepared) []string {
	head := []string{""}
	for _, p := range all {
		head = append(head, orElse(p.name, "value"))
	}
	rows := [][]string{head}
	for i, c := range all[0].categories {
		row := []string{plain(c)}
		for _, p := range all {
			cell := number(rounded(p.ys[i]))
			if p.low != nil {
				cell += fmt.Sprintf(" [%s, %s]", number(rounded(p.low[i])), number(rounded(p.high[i])))
			}
			row = append(row, cell)
		}
		rows = append(rows, row)
	}
	return table(rows)
}

// table aligns rows: the first column and sparklines to the left, numbers to the right.
func table(rows [][]string) []string {
	if len(rows) == 0 {
		return nil
	}
	widths := make([]int, len(rows[0]))
	for _, r := range rows {
		for j, c := range r {
			widths[j] = max(widths[j], utf8.RuneCountInString(c))
		}
	}
	var out []string
	for _, r := range rows {
		var b strings.Builder
		for j, c := range r {
			space := strings.Repeat(" ", widths[j]-utf8.RuneCountInString(c))
			switch {
			case j == 0:
				b.WriteString(c + space)
			case strings.ContainsAny(c, "▁▂▃▄▅▆▇█×"):
				b.WriteString("  " + c)
			default:
				b.WriteString("  " + space + c)
			}
		}
		out = append(out, strings.TrimRight(b.String(), " "))
	}
	return out
}
