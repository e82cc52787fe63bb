package assist

import (
	"strings"
	"unicode"

	"github.com/gradbook/gradbook/kernel/internal/dialect"
)

func letter(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

// cellText is a cell's text taken apart: Go, and special commands.
type cellText struct {
	lines []string // as they were written
	plain []string // the Go of each line; "" where a special command stands
}

// readText takes a text apart that may be unfinished: a special command that does not exist is one all the same.
func readText(text string) cellText {
	t := cellText{lines: strings.Split(text, "\n")}
	known := make([]string, len(t.lines))
	main := false
	for i, line := range t.lines {
		known[i] = line
		if !strings.HasPrefix(line, "%") {
			continue
		}
		word, _, _ := strings.Cut(strings.TrimSuffix(line, "\r")[1:], " ")
		if strings.HasPrefix(line, "%%") {
			word = "%%"
		}
		_, ok := dialect.Help[word]
		isMain := word == "%%" || word == "main"
		if !ok || isMain && main {
			known[i] = "%help"
		}
		main = main || isMain
	}
	t.plain = known
	if c, err := dialect.Parse(strings.Join(known, "\n")); err == nil {
		t.plain = strings.Split(c.Go, "\n")
	}
	for i, line := range t.plain {
		if line != "" {
			t.plain[i] = t.lines[i] // what looked like a command and was not
		}
	}
	return t
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
func (t cellText) special(line int) bool { return t.plain[line] == "" && t.lines[line] != "" }

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
