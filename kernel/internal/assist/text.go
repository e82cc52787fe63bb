package assist

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/gradbook/gradbook/kernel/internal/dialect"
)

func letter(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

// cellText is a cell's text taken apart: Go, and special commands.
type cellText struct {
	lines   []string // as they were written
	plain   []string // the Go of each line
	command []bool   // the line is one of a special command
	other   bool     // the first line gives the rest to another reader than Go
}

// readText takes a text apart that may be unfinished: a special command that is not right is one all the same.
func readText(text string) cellText {
	t := cellText{lines: strings.Split(text, "\n")}
	t.plain, t.command = slices.Clone(t.lines), make([]bool, len(t.lines))
	known := slices.Clone(t.lines)
	for i, line := range known {
		if bare(line) == "%" || bare(line) == "!" {
			known[i] = harmless
		}
	}
	c, err := dialect.Parse(strings.Join(known, "\n"))
	for range known {
		var line int
		if err == nil {
			break
		}
		if _, bad := fmt.Sscanf(err.Error(), "line %d:", &line); bad != nil || line < 1 || line > len(known) || known[line-1] == harmless {
			return t
		}
		known[line-1] = harmless
		c, err = dialect.Parse(strings.Join(known, "\n"))
	}
	if err != nil {
		return t
	}
	t.other = c.Magic != nil
	read := strings.Split(c.Go, "\n")
	for i := range t.lines {
		first := bare(known[i])
		begins := strings.HasPrefix(first, "%") || strings.HasPrefix(first, "!")
		goesOn := i > 0 && t.command[i-1] && strings.HasSuffix(bare(known[i-1]), "\\")
		switch {
		case t.other:
			t.plain[i], t.command[i] = "", i == 0
		case (begins || goesOn) && i < len(read) && read[i] != known[i]:
			t.plain[i], t.command[i] = "", true
		}
	}
	return t
}

// harmless stands for a special command that is not known or not right.
const harmless = "%help"

// bare is a line without what makes a special command a comment.
func bare(line string) string {
	return strings.TrimSuffix(strings.TrimPrefix(line, dialect.Prefix), "\r")
}

// goText is all of the text's Go; lines keep their numbers.
func (t cellText) goText() string { return strings.Join(t.plain, "\n") }

// line returns the line that an offset of the text is in, and where in it.
func (t cellText) line(off int) (line, col int) {
	for line < len(t.lines)-1 && off > len(t.lines[line]) {
		off -= len(t.lines[line]) + 1
		line++
	}
	return line, min(off, len(t.lines[line]))
}

// special reports whether a line is a special command's.
func (t cellText) special(line int) bool { return t.command[line] }

// toGo returns where an offset of the text is in its Go, and back what to add to that to be in the text again.
func (t cellText) toGo(off int) (at, shift int) {
	line, col := t.line(off)
	start := 0
	for _, l := range t.plain[:line] {
		start += len(l) + 1
	}
	at = start + min(col, len(t.plain[line]))
	return at, off - at
}
