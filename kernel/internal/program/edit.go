package program

import (
	"fmt"
	"sort"
	"strings"
)

// edit replaces the bytes [off, end) of a cell's text by text.
type edit struct {
	off, end int
	text     string
	drops    bool // imports that the old text names are not in the new
	tail     bool // an insertion that belongs to what stands before it
}

// within reports whether the edit belongs to the bytes [lo, hi).
func (e edit) within(lo, hi int) bool {
	if e.off == e.end {
		if e.tail {
			return lo < e.off && e.off <= hi
		}
		return lo <= e.off && e.off < hi
	}
	return lo <= e.off && e.end <= hi
}

// directive returns the comment after which the compiler counts from a place of a cell.
func directive(name string, line, col int) string {
	return fmt.Sprintf("/*line %s:%d:%d*/", fileName(name), line, col)
}

// fileName returns name as it can stand in a line directive.
func fileName(name string) string {
	name = strings.ReplaceAll(name, "*/", "* /")
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\r' {
			return ' '
		}
		return r
	}, name)
}

// render returns the bytes [lo, hi) of the source's text with the edits that
// fall into it, and directives that keep all positions what they are in the cell.
func (s *source) render(lo, hi int, edits []edit) string {
	var b strings.Builder
	b.WriteString(s.opening(lo))
	b.WriteString(s.splice(lo, hi, edits))
	return b.String()
}

// opening returns the directive for text that begins on a new line of the output.
func (s *source) opening(off int) string {
	line, col := s.place(off)
	if col == 1 {
		// In this form directives such as //go:noinline stay at the start of their line.
		return fmt.Sprintf("//line %s:%d:1\n", fileName(s.cell.Name), line)
	}
	return directive(s.cell.Name, line, col)
}

// sortEdits brings edits into the order in which splice wants them; those at one place
// stay in the order in which they were made.
func sortEdits(edits []edit) {
	sort.SliceStable(edits, func(i, j int) bool {
		if edits[i].off != edits[j].off {
			return edits[i].off < edits[j].off
		}
		if edits[i].tail != edits[j].tail {
			return edits[i].tail
		}
		return edits[i].end < edits[j].end
	})
}

// splice applies sorted edits to the bytes [lo, hi) of the text.
func (s *source) splice(lo, hi int, edits []edit) string {
	first := sort.Search(len(edits), func(i int) bool { return edits[i].off >= lo })
	var in []edit
	for _, e := range edits[first:] {
		if e.off > hi {
			break
		}
		if e.within(lo, hi) {
			in = append(in, e)
		}
	}
	text := s.cell.Text
	var b strings.Builder
	at, moved := lo, false
	for _, e := range in {
		if e.off < at {
			continue // inside a stretch that is gone already
		}
		if e.off > at && moved {
			b.WriteString(s.resume(at, hi))
		}
		b.WriteString(text[at:e.off])
		b.WriteString(e.text)
		if e.off > at {
			moved = false
		}
		at = e.end
		if len(e.text) != e.end-e.off || strings.Contains(e.text, "\n") || strings.Contains(e.text, "/*line") {
			moved = true
		}
	}
	if moved && at < hi {
		b.WriteString(s.resume(at, hi))
	}
	b.WriteString(text[at:hi])
	return b.String()
}

// resume returns the directive to stand before the text at off, if one is needed.
func (s *source) resume(off, hi int) string {
	rest := s.cell.Text[off:hi]
	if strings.HasPrefix(rest, "\n") || strings.HasPrefix(rest, "\r\n") {
		return ""
	}
	line, col := s.place(off)
	return directive(s.cell.Name, line, col)
}
