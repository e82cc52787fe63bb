package dialect

import (
	"fmt"
	"go/parser"
	goscanner "go/scanner"
	"go/token"
	"strings"
)

// What Complete says of a text.
const (
	Whole      = "complete"   // it can be run
	Incomplete = "incomplete" // more must follow
	Invalid    = "invalid"    // whatever follows, it is not Go
)

// Complete says whether a cell's text can be run as it stands, and, if more must follow, how far the next line is indented.
func Complete(text string) (state, indent string) {
	cell, err := Parse(text)
	if err != nil {
		return Invalid, ""
	}
	lines := strings.Split(text, "\n")
	last := lines[len(lines)-1]
	if strings.HasSuffix(last, "\\") && isCommandTail(lines) {
		return Incomplete, ""
	}
	toks, state := tokens(cell.Go)
	var open []token.Token
	for _, t := range toks {
		switch t.tok {
		case token.LPAREN, token.LBRACK, token.LBRACE:
			open = append(open, t.tok)
		case token.RPAREN, token.RBRACK, token.RBRACE:
			if len(open) == 0 || partner[open[len(open)-1]] != t.tok {
				return Invalid, ""
			}
			open = open[:len(open)-1]
		}
	}
	switch {
	case state == Invalid:
		return Invalid, ""
	case state == Incomplete: // inside a raw string or a comment: its lines are no business of ours
		return Incomplete, ""
	case len(open) > 0:
		if !hopeful(cell.Go, toks, open) {
			return Invalid, ""
		}
		return Incomplete, strings.Repeat("\t", len(open))
	}
	return wholeChunks(cell.Go, toks)
}

// Expression returns an error if text is not one Go expression.
func Expression(text string) error {
	if _, err := parser.ParseExpr(text); err != nil {
		return fmt.Errorf("%q is not a Go expression: %w", text, err)
	}
	return nil
}

var partner = map[token.Token]token.Token{token.LPAREN: token.RPAREN, token.LBRACK: token.RBRACK, token.LBRACE: token.RBRACE}

// isCommandTail tells whether the last line belongs to a special command.
func isCommandTail(lines []string) bool {
	i := len(lines) - 1
	for i > 0 && strings.HasSuffix(lines[i-1], "\\") {
		i--
	}
	return strings.HasPrefix(lines[i], "!") || strings.HasPrefix(lines[i], "%")
}

// lexeme is a token and where it begins.
type lexeme struct {
	tok token.Token
	lit string
	off int
}

// tokens scans Go text. The state is Incomplete if the end is inside a raw string or a comment.
func tokens(text string) (toks []lexeme, state string) {
	file := token.NewFileSet().AddFile("", -1, len(text))
	state = Whole
	var s goscanner.Scanner
	s.Init(file, []byte(text), func(_ token.Position, msg string) {
		if strings.Contains(msg, "raw string literal not terminated") || strings.Contains(msg, "comment not terminated") {
			state = Incomplete
		} else if state == Whole {
			state = Invalid
		}
	}, 0)
	for {
		pos, tok, lit := s.Scan()
		if tok == token.EOF {
			return toks, state
		}
		toks = append(toks, lexeme{tok, lit, file.Offset(pos)})
	}
}

// hopeful tells whether text with open brackets can still become Go: it is tried with the brackets closed, and must not be
// wrong before its end.
func hopeful(text string, toks []lexeme, open []token.Token) bool {
	var b strings.Builder
	b.WriteString(text)
	b.WriteString("\n")
	for i := len(open) - 1; i >= 0; i-- {
		b.WriteString(partner[open[i]].String())
	}
	end := len(text)
	for i := len(toks) - 1; i >= 0; i-- { // an error at the last token comes from what was added
		if toks[i].tok != token.SEMICOLON || toks[i].lit != "\n" {
			end = toks[i].off
			break
		}
	}
	closed := b.String()
	again, _ := tokens(closed)
	for _, c := range chunks(closed, again) {
		if at := c.wrong(closed); at >= 0 && at < end {
			return false
		}
	}
	return true
}

// wholeChunks parses text whose brackets all have partners.
func wholeChunks(text string, toks []lexeme) (state, indent string) {
	all := chunks(text, toks)
	for i, c := range all {
		at := c.wrong(text)
		if at < 0 {
			continue
		}
		if i == len(all)-1 && at >= len(strings.TrimRight(text, " \t\r\n")) {
			return Incomplete, "\t"
		}
		return Invalid, ""
	}
	return Whole, ""
}

// chunk is a declaration, or statements, from one offset to another.
type chunk struct {
	start, end  int
	declaration bool
}

// chunks cuts text at top level, so that the parser can take it: what may stand only in a file, and all else.
func chunks(text string, toks []lexeme) []chunk {
	var out []chunk
	start, depth, fresh, declaration := 0, 0, true, false
	for i, t := range toks {
		if fresh && depth == 0 && t.tok != token.SEMICOLON {
			if d := fileOnly(toks[i:]); d || declaration {
				if t.off > start {
					out = append(out, chunk{start, t.off, declaration})
				}
				start, declaration = t.off, d
			}
		}
		fresh = t.tok == token.SEMICOLON
		switch t.tok {
		case token.LPAREN, token.LBRACK, token.LBRACE:
			depth++
		case token.RPAREN, token.RBRACK, token.RBRACE:
			depth--
		}
	}
	return append(out, chunk{start, len(text), declaration})
}

// fileOnly tells whether the tokens begin what may stand in a file and not in a function.
func fileOnly(toks []lexeme) bool {
	switch toks[0].tok {
	case token.PACKAGE, token.IMPORT:
		return true
	case token.FUNC:
	default:
		return false
	}
	if len(toks) == 1 || toks[1].tok != token.LPAREN {
		return true
	}
	depth := 0
	for i, t := range toks[1:] {
		switch t.tok {
		case token.LPAREN:
			depth++
		case token.RPAREN:
			if depth--; depth == 0 { // behind a receiver comes a name and what is in parentheses
				rest := toks[1+i+1:]
				return len(rest) > 1 && rest[0].tok == token.IDENT && rest[1].tok == token.LPAREN
			}
		}
	}
	return false
}

// wrong parses a chunk and returns the offset of the first error in text, or -1.
func (c chunk) wrong(text string) int {
	head, tail := "package p;", ""
	body := text[c.start:c.end]
	if !c.declaration {
		head, tail = "package p; func _() {\n", "\n}"
	} else if strings.HasPrefix(body, "package") {
		head = ""
	}
	_, err := parser.ParseFile(token.NewFileSet(), "", head+body+tail, parser.SkipObjectResolution)
	list, ok := err.(goscanner.ErrorList)
	if !ok || len(list) == 0 {
		return -1
	}
	at := list[0].Pos.Offset - len(head)
	return c.start + max(0, min(at, len(body)))
}
