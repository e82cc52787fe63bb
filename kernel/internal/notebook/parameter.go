package notebook

import (
	"fmt"
	"go/parser"
	"go/scanner"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Setting is one value for a variable that the cell tagged "parameters" declares.
type Setting struct{ Name, Value string }

// ParseSetting reads "name=value".
func ParseSetting(text string) (Setting, error) {
	name, value, ok := strings.Cut(text, "=")
	name = strings.TrimSpace(name)
	if !ok || !token.IsIdentifier(name) {
		return Setting{}, fmt.Errorf("%q sets nothing; write name=value, as in rate=0.1", text)
	}
	return Setting{name, strings.TrimSpace(value)}, nil
}

// Parameters returns the names of the variables that the cell tagged "parameters" declares,
// and the cell; nil when there is none.
func (n *Notebook) Parameters() ([]string, *Cell) {
	for _, c := range n.Cells {
		if c.Kind == Code && c.HasTag(TagParameters) {
			return declared(c.Source), c
		}
	}
	return nil, nil
}

// declared returns the variables that a cell's text declares at its top level, in order. It
// works on tokens, since a cell may mix declarations and statements.
func declared(text string) []string {
	var kept strings.Builder
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "%") || strings.HasPrefix(line, "!") {
			line = "\n" // a special command
		}
		kept.WriteString(line)
	}
	src := []byte(kept.String())
	var s scanner.Scanner
	s.Init(token.NewFileSet().AddFile("", -1, len(src)), src, nil, 0)
	d := declarations{leading: true}
	for prev := token.SEMICOLON; ; {
		_, tok, lit := s.Scan()
		if tok == token.EOF {
			return d.names
		}
		d.token(tok, prev, lit)
		prev = tok
	}
}

// declarations reads tokens and keeps the names that var and := declare outside of brackets.
type declarations struct {
	names   []string
	list    []string // the identifiers that the statement under way begins with
	leading bool     // nothing but those, and commas, has come yet
	isVar   bool     // it is a var declaration
	group   bool     // inside of var ( ... )
	depth   int      // of brackets, those of var ( ... ) not counted
}

func (d *declarations) next() { d.list, d.leading, d.isVar = nil, true, d.group }

// take ends the leading list; its identifiers are declared.
func (d *declarations) take() {
	for _, name := range d.list {
		if name != "_" && !slices.Contains(d.names, name) {
			d.names = append(d.names, name)
		}
	}
	d.list, d.leading = nil, false
}

func (d *declarations) token(tok, prev token.Token, lit string) {
	switch tok {
	case token.LPAREN, token.LBRACK, token.LBRACE:
		if tok == token.LPAREN && prev == token.VAR && d.depth == 0 {
			d.group = true
			d.next()
			return
		}
		d.other(tok)
		d.depth++
	case token.RPAREN, token.RBRACK, token.RBRACE:
		if d.depth > 0 {
			d.depth--
			return
		}
		d.other(tok)
		d.group = false
		d.next()
	default:
		if d.depth > 0 {
			return
		}
		switch tok {
		case token.SEMICOLON:
			d.other(tok)
			d.next()
		case token.VAR:
			d.next()
			d.isVar = true
		case token.IDENT:
			if d.leading && (len(d.list) == 0 || prev == token.COMMA) {
				d.list = append(d.list, lit)
				return
			}
			d.other(tok)
		case token.COMMA:
		default:
			d.other(tok)
		}
	}
}

// other is any token that ends the leading list.
func (d *declarations) other(tok token.Token) {
	if d.depth == 0 && d.leading && (d.isVar || tok == token.DEFINE) {
		d.take()
	}
	d.leading = false
}

// checkSettings tells, before anything runs, what cannot be set.
func (n *Notebook) checkSettings(settings []Setting) error {
	names, cell := n.Parameters()
	if cell == nil {
		return fmt.Errorf("the notebook has no cell tagged %q, so nothing can be set; "+
			"tag the code cell that declares its parameters (in JupyterLab: the gear at the top right)", TagParameters)
	}
	if !cell.runs() {
		return fmt.Errorf("the cell tagged %q is empty or tagged %q, so nothing can be set", TagParameters, TagSkip)
	}
	seen := map[string]bool{}
	for _, set := range settings {
		if seen[set.Name] {
			return fmt.Errorf("%s is set twice; set it once", set.Name)
		}
		seen[set.Name] = true
		if !slices.Contains(names, set.Name) {
			list := "it declares none"
			if len(names) > 0 {
				list = "its parameters are " + strings.Join(names, ", ")
			}
			return fmt.Errorf("no parameter %q in the cell tagged %q; %s", set.Name, TagParameters, list)
		}
	}
	return nil
}

// inject puts the cell that will hold the settings behind the cell tagged "parameters". One
// that an earlier run has left is moved there and used again.
func (n *Notebook) inject(settings []Setting) *Cell {
	cell := &Cell{Kind: Code, ID: TagInjected, Metadata: map[string]any{"tags": []any{TagInjected}}}
	n.Cells = slices.DeleteFunc(n.Cells, func(c *Cell) bool {
		if c.Kind == Code && c.HasTag(TagInjected) {
			cell = c
			return true
		}
		return false
	})
	_, parameters := n.Parameters()
	n.Cells = slices.Insert(n.Cells, slices.Index(n.Cells, parameters)+1, cell)
	// What stands here if the run does not come this far.
	cell.Source = "// to be set:"
	for _, set := range settings {
		cell.Source += " " + set.Name + "=" + set.Value
	}
	return cell
}

// assignments returns the settings as Go statements; typeOf knows the variables by then.
func assignments(settings []Setting, typeOf func(string) (string, bool)) (string, error) {
	var text []string
	for _, set := range settings {
		typ, ok := typeOf(set.Name)
		if !ok {
			return "", fmt.Errorf("cannot set %s: it is no variable of the program; declare it by var or := in the cell tagged %q",
				set.Name, TagParameters)
		}
		value, err := literal(typ, set.Value)
		if err != nil {
			return "", fmt.Errorf("cannot set %s: %w", set.Name, err)
		}
		text = append(text, set.Name+" = "+value)
	}
	return strings.Join(text, "\n"), nil
}

// literal writes a value as Go source for a variable of type typ.
func literal(typ, value string) (string, error) {
	switch typ {
	case "string":
		if _, err := strconv.Unquote(value); err == nil && (value[0] == '"' || value[0] == '`') {
			return value, nil
		}
		return strconv.Quote(value), nil
	case "bool":
		if value != "true" && value != "false" {
			return "", fmt.Errorf("it is a bool, and %q is neither true nor false", value)
		}
		return value, nil
	case "time.Duration":
		if d, err := time.ParseDuration(value); err == nil && value != "0" {
			return fmt.Sprintf("%d // %s", int64(d), value), nil
		}
	}
	if _, err := parser.ParseExpr(value); err != nil {
		return "", fmt.Errorf("it is of type %s, and %q is no Go expression", typ, value)
	}
	return value, nil
}
