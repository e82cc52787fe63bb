package assist

import (
	"context"
	"go/scanner"
	"go/token"
	"regexp"
	"strings"

	"github.com/gradbook/gradbook/kernel/internal/program"
)

// hover is what gopls says of a name.
type hover struct {
	Contents struct{ Value string } `json:"contents"`
}

// location is a place in a file.
type location struct {
	URI   string `json:"uri"`
	Range span   `json:"range"`
}

// Inspect describes the name at a byte offset of a cell's text; in the arguments of a call, the function. With a detail of 0 the
// description of a type is without its methods.
func (a *Assistant) Inspect(ctx context.Context, text string, pos, detail int) (i Inspection, err error) {
	i, err = a.inspect(ctx, text, pos, detail)
	if err != nil && a.gone() {
		i, err = a.inspect(ctx, text, pos, detail)
	}
	return i, err
}

func (a *Assistant) inspect(ctx context.Context, text string, pos, detail int) (Inspection, error) {
	pos = min(max(pos, 0), len(text))
	t := readText(text)
	if line, _ := t.line(pos); t.special(line) {
		for line > 0 && t.special(line-1) && strings.HasSuffix(bare(t.lines[line-1]), "\\") {
			line--
		}
		name, _, _ := strings.Cut(bare(t.lines[line]), " ")
		switch {
		case strings.HasPrefix(name, "!*"):
			name = "!*"
		case strings.HasPrefix(name, "!"):
			name = "!"
		}
		return describe(name), nil
	}
	at, _ := t.toGo(pos)
	code := t.goText()
	lo, hi, ok := nameAt(code, at)
	if !ok || !a.running(ctx, patience) {
		return Inspection{}, nil
	}
	o := a.current()
	a.mu.Lock()
	words, live, err := a.look(ctx, o, code, lo)
	a.mu.Unlock()
	if err != nil || words == "" {
		return Inspection{}, err
	}
	value := ""
	if name := code[lo:hi]; live && a.o.Value != nil {
		if v, ok := a.o.Value(name); ok {
			value = v
		}
	}
	return present(words, value, detail), nil
}

// look asks what the name that begins at an offset means, and whether it is a variable of the program. a.mu is held.
func (a *Assistant) look(ctx context.Context, o *program.Outline, code string, at int) (words string, live bool, err error) {
	_, end := wordAt(code, at)
	name := code[at:end]
	choices := a.choices(o, code, at)
	for i, choice := range choices {
		a.choose(choice)
		q := a.sync(o, code, at)
		if q.err != nil || !q.ok {
			return "", false, q.err
		}
		// The end of what stands before may be where the name begins.
		place := q.at
		if p, ok := q.sketch.Offset(end); ok {
			place = p - len(name)
		}
		var h hover
		if err := a.server.ask(ctx, "textDocument/hover", q.sketch.Cell, place, &h); err != nil && i == len(choices)-1 {
			return "", false, nil // gopls knows nothing of it, and says that as an error
		}
		if h.Contents.Value == "" {
			continue
		}
		live := strings.HasPrefix(h.Contents.Value, "```go\nvar "+name+" ") && o.Variable(name) && !strings.HasSuffix(code[:at], ".")
		if live {
			var defs []location
			if err := a.server.ask(ctx, "textDocument/definition", q.sketch.Cell, place, &defs); err != nil || len(defs) != 1 {
				return h.Contents.Value, false, err
			}
			live = a.global(q, name, defs[0])
		}
		return h.Contents.Value, live, nil
	}
	return "", false, nil
}

// global reports whether a variable is declared outside of all functions, as cells see it.
func (a *Assistant) global(q question, name string, l location) bool {
	if l.URI != a.server.uri(q.sketch.Cell.Name) {
		return true
	}
	off, ok := q.sketch.Place(offsetOf(q.sketch.Cell.Text, l.Range.Start))
	return !ok || q.sketch.Declares(name) && q.sketch.Top(off)
}

// nameAt returns the name that a question at an offset is about: the one there, else the function whose arguments these are.
func nameAt(code string, at int) (lo, hi int, ok bool) {
	var open []int // for each open bracket where the name before it begins; -1 where there is none
	before := -1
	var s scanner.Scanner
	file := token.NewFileSet().AddFile("", -1, len(code))
	s.Init(file, []byte(code), nil, 0)
	for {
		pos, tok, lit := s.Scan()
		off := file.Offset(pos)
		if tok == token.EOF || off > at {
			break
		}
		if tok == token.IDENT && at <= off+len(lit) {
			return off, off + len(lit), true
		}
		if off == at {
			break
		}
		switch tok {
		case token.LPAREN:
			open = append(open, before)
		case token.LBRACK, token.LBRACE:
			open = append(open, -1)
		case token.RPAREN, token.RBRACK, token.RBRACE:
			open = open[:max(0, len(open)-1)]
		}
		before = -1
		if tok == token.IDENT {
			before = off
		}
	}
	for i := len(open) - 1; i >= 0; i-- {
		if open[i] >= 0 {
			_, hi = wordAt(code, open[i])
			return open[i], hi, true
		}
	}
	return 0, 0, false
}

var (
	fileLink = regexp.MustCompile(`\[((?:\\.|[^\]\\])*)\]\(file://[^)]*\)`)
	webLink  = regexp.MustCompile(`\[([^\]]*)\]\((https?://[^)]*)\)`)
	escaped  = regexp.MustCompile("\\\\([!\"#$%&'()*+,./:;<=>?@\\[\\\\\\]^_`{|}~-])")
	ownPath  = regexp.MustCompile(`\bgradbook_path_\w+_[0-9a-f]{8}\b`)
)

// present makes a bundle of what gopls says, in Markdown, and of a variable's value.
func present(words, value string, detail int) Inspection {
	sections := strings.Split(words, "\n\n---\n\n")
	if detail == 0 {
		for i, s := range sections[1:] {
			sections[i+1] = withoutCode(s)
		}
	}
	words = fileLink.ReplaceAllString(strings.Join(sections, "\n\n"), "$1")
	words = strings.TrimRight(words, "\n") + "\n"
	rich, bare := words, unmark(words)
	if value != "" {
		value = shorten(strings.TrimRight(value, "\n"))
		fence := "```"
		for strings.Contains(value, fence) {
			fence += "`"
		}
		rich += "\nValue:\n\n" + fence + "\n" + value + "\n" + fence + "\n"
		bare += "\nValue: " + value + "\n"
	}
	return Inspection{Data: map[string]any{"text/markdown": rich, "text/plain": bare}}
}

// maxValue bounds how much of a value is shown.
const maxValue = 4000

func shorten(value string) string {
	if len(value) <= maxValue {
		return value
	}
	return strings.ToValidUTF8(value[:maxValue], "") + "..."
}

// withoutCode removes the blocks of code behind a type's documentation, which list its methods.
func withoutCode(section string) string {
	if i := strings.Index(section, "\n\n\n```go\n"); i >= 0 {
		return section[:i]
	}
	if strings.HasPrefix(section, "```go\n") {
		return ""
	}
	return section
}

// unmark makes plain text of gopls's Markdown.
func unmark(words string) string {
	var b strings.Builder
	code := false
	for line := range strings.Lines(words) {
		if strings.HasPrefix(line, "```") {
			code = !code
			continue
		}
		if !code {
			line = webLink.ReplaceAllStringFunc(line, func(s string) string {
				m := webLink.FindStringSubmatch(s)
				if m[1] == m[2] {
					return m[1]
				}
				return m[1] + " (" + m[2] + ")"
			})
			line = escaped.ReplaceAllString(strings.TrimPrefix(line, "### "), "$1")
		}
		b.WriteString(line)
	}
	return b.String()
}
