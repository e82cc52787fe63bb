package dialect

import "strings"

// scanner knows where a line of Go may begin: not inside a raw string, a
// comment or parentheses, where ! and % at a line's start are Go.
type scanner struct {
	raw, comment bool
	depth        int
	seen         bool // something other than blanks and comments
}

func (s *scanner) atStatement() bool { return !s.raw && !s.comment && s.depth <= 0 }

func (s *scanner) line(text string) {
	for i := 0; i < len(text); i++ {
		rest := text[i:]
		switch {
		case s.raw:
			if text[i] == '`' {
				s.raw = false
			}
		case s.comment:
			if strings.HasPrefix(rest, "*/") {
				s.comment = false
				i++
			}
		case strings.HasPrefix(rest, "//"):
			return
		case strings.HasPrefix(rest, "/*"):
			s.comment = true
			i++
		case text[i] == '`':
			s.raw, s.seen = true, true
		case text[i] == '"' || text[i] == '\'':
			s.seen = true
			i = closing(text, i)
		case text[i] == '(' || text[i] == '[':
			s.depth++
			s.seen = true
		case text[i] == ')' || text[i] == ']':
			s.depth--
			s.seen = true
		case text[i] != ' ' && text[i] != '\t' && text[i] != '\r':
			s.seen = true
		}
	}
}

// closing returns where the string or rune that begins at i ends.
func closing(text string, i int) int {
	for j := i + 1; j < len(text); j++ {
		switch text[j] {
		case '\\':
			j++
		case text[i]:
			return j
		}
	}
	return len(text)
}
