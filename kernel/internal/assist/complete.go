package assist

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/gradbook/gradbook/kernel/internal/dialect"
	"github.com/gradbook/gradbook/kernel/internal/program"
)

// item is what gopls says of one completion.
type item struct {
	Label  string `json:"label"`
	Kind   int    `json:"kind"`
	Detail string `json:"detail"`
	Insert string `json:"insertText"`
	Edit   *struct {
		Range span   `json:"range"`
		Text  string `json:"newText"`
	} `json:"textEdit"`
	More []json.RawMessage `json:"additionalTextEdits"` // it wants an import
}

// kinds are Jupyter's words for the protocol's kinds of completions.
var kinds = map[int]string{
	2: "function", 3: "function", 4: "function", 5: "property", 6: "instance", 7: "class", 8: "class", 9: "module", 10: "property",
	14: "keyword", 20: "constant", 21: "constant", 22: "class", 25: "class",
}

// Complete returns what could stand at a byte offset of a cell's text.
func (a *Assistant) Complete(ctx context.Context, text string, pos int) (c Completion, err error) {
	c, err = a.complete(ctx, text, pos)
	if err != nil && a.gone() {
		c, err = a.complete(ctx, text, pos)
	}
	return c, err
}

func (a *Assistant) complete(ctx context.Context, text string, pos int) (Completion, error) {
	pos = min(max(pos, 0), len(text))
	t := readText(text)
	o := a.current()
	if line, col := t.line(pos); t.special(line) {
		return completeSpecial(o, t.lines[line], col, pos), nil
	}
	none := Completion{Start: pos, End: pos}
	at, shift := t.toGo(pos)
	code := t.goText()
	if t.other || !a.running(ctx, patience) {
		return none, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	choices := a.choices(o, code, at)
	for i, choice := range choices {
		a.choose(choice)
		q := a.sync(o, code, at)
		if q.err != nil || !q.ok {
			return none, q.err
		}
		var list struct{ Items []item }
		if err := a.server.ask(ctx, "textDocument/completion", q.sketch.Cell, q.at, &list); err != nil {
			return none, err
		}
		c := matches(o, q, code, list.Items)
		if len(c.Matches) > 0 || i == len(choices)-1 {
			c.Start, c.End = c.Start+shift, c.End+shift
			return c, nil
		}
	}
	return none, nil
}

// choice says what package a name means.
type choice struct{ name, path string }

// choices returns the packages that the name before the selector at the cursor may mean, where that is not settled.
func (a *Assistant) choices(o *program.Outline, code string, at int) []choice {
	lo, _ := wordAt(code, at)
	if lo == 0 || code[lo-1] != '.' {
		return []choice{{}}
	}
	start, _ := wordAt(code, lo-1)
	name := code[start : lo-1]
	paths := o.Packages(name)
	if len(paths) < 2 || slices.Contains(o.Names(), name) {
		return []choice{{}}
	}
	var all []choice
	for _, path := range paths {
		c := choice{name, path}
		if a.also[name] == path { // what it meant last, first
			all = slices.Insert(all, 0, c)
		} else {
			all = append(all, c)
		}
	}
	return all
}

func (a *Assistant) choose(c choice) {
	if c.name != "" {
		a.also[c.name] = c.path
	}
}

// matches turns gopls's answer into ours.
func matches(o *program.Outline, q question, code string, items []item) Completion {
	c := Completion{}
	c.Start, c.End = wordAt(code, q.cursor)
	c.End = max(q.cursor, c.Start)
	first := true
	for _, it := range items {
		text := it.Insert
		if it.Edit != nil {
			text = it.Edit.Text
		}
		if text == "" {
			text = it.Label
		}
		if strings.HasPrefix(text, reserved) || len(it.More) > 0 && !offered(o, it) {
			continue
		}
		if it.Edit != nil {
			lo, ok := q.sketch.Place(offsetOf(q.sketch.Cell.Text, it.Edit.Range.Start))
			hi, ok2 := q.sketch.Place(offsetOf(q.sketch.Cell.Text, it.Edit.Range.End))
			if !ok || !ok2 || lo > q.cursor {
				continue
			}
			if first {
				c.Start, c.End = lo, max(hi, q.cursor)
			} else if lo != c.Start {
				continue // of another stretch; the protocol has one for all
			}
		}
		first = false
		m := Match{Text: text, Type: kinds[it.Kind], Signature: signature(it.Detail)}
		if !slices.ContainsFunc(c.Matches, func(k Match) bool { return k.Text == m.Text }) {
			c.Matches = append(c.Matches, m)
		}
	}
	return c
}

// reserved begins the names of generated code.
const reserved = "gradbook_"

var from = regexp.MustCompile(`from "([^"]+)"|^"([^"]+)"$`)

// signature is a completion's detail as JupyterLab shows it behind the text.
func signature(detail string) string {
	if rest, ok := strings.CutPrefix(detail, "func("); ok {
		return "(" + rest
	}
	return detail
}

// offered reports whether a cell would import by itself what a completion of a package that is not imported wants.
func offered(o *program.Outline, it item) bool {
	m := from.FindStringSubmatch(it.Detail)
	if m == nil {
		return false
	}
	path := m[1] + m[2]
	name := it.Label
	if m[1] != "" {
		name = path[strings.LastIndexByte(path, '/')+1:]
	}
	return slices.Contains(o.Packages(name), path)
}

// completeSpecial completes a line with a special command: its name, or what %rm or %backend takes.
func completeSpecial(o *program.Outline, line string, col, pos int) Completion {
	if rest, ok := strings.CutPrefix(line, dialect.Prefix); ok {
		line, col = rest, max(0, col-len(dialect.Prefix))
	}
	before := line[:col]
	start := strings.LastIndexAny(before, " \t") + 1
	word := before[start:]
	c := Completion{Start: pos - len(word), End: pos}
	if start > 0 {
		for _, value := range dialect.Values(strings.TrimSpace(before[:start])) {
			if strings.HasPrefix(value, word) {
				c.Matches = append(c.Matches, Match{Text: value, Type: "instance"})
			}
		}
		if c.Matches != nil {
			return c
		}
		if !strings.HasPrefix(before, "%rm ") && !strings.HasPrefix(before, "%remove ") {
			return Completion{Start: pos, End: pos}
		}
		for _, name := range o.Names() {
			if strings.HasPrefix(name, word) {
				c.Matches = append(c.Matches, Match{Text: name, Type: "instance"})
			}
		}
		return c
	}
	if rest := line[col:]; rest != "" {
		if end := strings.IndexAny(rest, " \t"); end >= 0 {
			c.End += end
		} else {
			c.End += len(rest)
		}
	}
	for _, name := range dialect.Names() {
		if strings.HasPrefix(name, word) {
			c.Matches = append(c.Matches, Match{Text: name, Type: "magic", Signature: dialect.About(name)})
		}
	}
	return c
}

// describe says a special command's help as a bundle.
func describe(name string) Inspection {
	if !slices.Contains(dialect.Names(), name) {
		return Inspection{}
	}
	text := dialect.About(name)
	return Inspection{Data: map[string]any{
		"text/plain":    fmt.Sprintf("%s\n\n%s\n", name, text),
		"text/markdown": fmt.Sprintf("`%s`\n\n%s\n", name, text),
	}}
}
