package program

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"maps"
	"slices"
	"strings"
)

// Sketch is an outline and the text of a cell that someone is writing, as Go files: whatever is wrong with the text, the files
// hold what can be understood of it, and it stands in them as it is.
type Sketch struct {
	Cell    File              // the file with the cell's text
	Others  []File            // the rest of the package
	Imports map[string]string // import paths by name that Cell has beside the text's own

	pieces []piece // what of the cell's text stands where in Cell
	owns   map[string]bool
	text   string // the cell's
}

// sketchedName is the function of a sketch that holds the cell's statements.
const sketchedName = reserved + "cell"

// Sketch makes the files for a cell's text (as Cell.Text has it) with a cursor at an offset. Packages that the text names
// without importing them are imported; also are those to import beside that, by name, if their names are free.
func (o *Outline) Sketch(text string, cursor int, also map[string]string) *Sketch {
	k := &sketcher{text: text, cursor: cursor, names: map[string]bool{}}
	k.chunks, _ = cut(text)
	var imports, decls, stmts, defs strings.Builder
	sk := Sketch{text: text}
	// What is written into decls and stmts moves to its place in the file at the end.
	var inImports, inDecls, inStmts []piece
	put := func(b *strings.Builder, list *[]piece, lo, hi int) {
		fixed, tail := repair(text[lo:hi])
		*list = append(*list, piece{b.Len(), lo, hi - lo})
		b.WriteString(fixed + tail + "\n")
	}
	for _, c := range k.chunks {
		switch c.kind {
		case packageChunk:
		case importChunk:
			put(&imports, &inImports, c.start, c.end)
			k.importNames(c)
		case stmtChunk:
			put(&stmts, &inStmts, c.start, c.end)
			defs.WriteString(k.definitions(c))
		default:
			put(&decls, &inDecls, c.start, c.end)
			k.declared(c)
		}
		if c.kind != stmtChunk && (k.before(c) || k.behind(c)) {
			put(&stmts, &inStmts, cursor, cursor)
		}
	}
	if len(k.chunks) == 0 {
		put(&stmts, &inStmts, cursor, cursor)
	}
	sk.Imports = k.packages(o, also)
	var b strings.Builder
	b.WriteString("package main\n")
	for _, name := range slices.Sorted(maps.Keys(sk.Imports)) {
		fmt.Fprintf(&b, "import %s %q\n", name, sk.Imports[name])
	}
	for _, path := range o.dots {
		fmt.Fprintf(&b, "import . %q\n", path)
	}
	place := func(list []piece, text string) {
		for _, p := range list {
			sk.pieces = append(sk.pieces, piece{p.syn + b.Len(), p.off, p.len})
		}
		b.WriteString(text)
	}
	place(inImports, imports.String())
	place(inDecls, decls.String())
	b.WriteString("func " + sketchedName + "() {\n")
	place(inStmts, stmts.String())
	b.WriteString("}\n" + defs.String())
	sk.Cell, sk.Others, sk.owns = File{"cell.go", b.String()}, o.files(k.names), k.names
	return &sk
}

// Offset returns where an offset of the cell's text is in the file; ok is false where the text is not in it.
func (s *Sketch) Offset(off int) (at int, ok bool) {
	for _, p := range s.pieces {
		switch {
		case p.off > off || off > p.off+p.len:
		case p.len == 0: // it was made for the cursor
			return p.syn, true
		case !ok, (p.off == off) == (off > 0 && s.text[off-1] == '\n'):
			// Where two pieces meet, a fresh line belongs to the second.
			at, ok = p.syn+off-p.off, true
		}
	}
	return at, ok
}

// Place is the inverse of Offset.
func (s *Sketch) Place(at int) (off int, ok bool) {
	for _, p := range s.pieces {
		if p.syn <= at && at <= p.syn+p.len {
			return p.off + at - p.syn, true
		}
	}
	return 0, false
}

// Declares reports whether the cell declares the name outside of its functions.
func (s *Sketch) Declares(name string) bool { return s.owns[name] }

// sketcher reads a cell's text for a sketch.
type sketcher struct {
	text   string
	cursor int
	chunks []chunk
	names  map[string]bool // what the cell declares
}

// before reports whether the cursor is in the blanks before a declaration: a statement may be begun there.
func (k *sketcher) before(c chunk) bool {
	return c.start <= k.cursor && k.cursor < c.first && strings.TrimSpace(k.text[c.start:k.cursor]) == ""
}

// behind reports whether the cursor is on a fresh line behind a declaration that ends the text.
func (k *sketcher) behind(c chunk) bool {
	return k.cursor == c.end && c.end == len(k.text) && strings.HasSuffix(k.text, "\n")
}

// importNames notes names that the cell's imports take.
func (k *sketcher) importNames(c chunk) {
	for _, d := range parsed("", k.text[c.start:c.end], "") {
		if g, ok := d.(*ast.GenDecl); ok {
			for _, spec := range g.Specs {
				s, ok := spec.(*ast.ImportSpec)
				if !ok {
					continue
				}
				name := strings.Trim(s.Path.Value, "\"`")
				name = name[strings.LastIndexByte(name, '/')+1:]
				if s.Name != nil {
					name = s.Name.Name
				}
				k.names[name] = true
			}
		}
	}
}

// parsed returns the declarations that can be made out in a text.
func parsed(before, text, after string) []ast.Decl {
	fixed, tail := repair(text)
	file, _ := parser.ParseFile(token.NewFileSet(), "", "package p;"+before+fixed+tail+"\n"+after, parser.SkipObjectResolution)
	if file == nil {
		return nil
	}
	return file.Decls
}

// declared notes the names that a declaration declares.
func (k *sketcher) declared(c chunk) {
	for _, d := range parsed("", k.text[c.start:c.end], "") {
		switch d := d.(type) {
		case *ast.FuncDecl:
			name := d.Name.Name
			if d.Recv != nil {
				name = receiver(d) + "." + name
			}
			k.names[name] = true
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					k.names[spec.Name.Name] = true
				case *ast.ValueSpec:
					for _, id := range spec.Names {
						k.names[id.Name] = true
					}
				}
			}
		}
	}
	delete(k.names, "_")
	delete(k.names, "init")
}

// definitions returns declarations of the variables that a stretch of statements defines: the cell's functions see them.
// The statement that is being written, and what would be of its own type, is left out.
func (k *sketcher) definitions(c chunk) string {
	var b strings.Builder
	text := k.text[c.start:c.end]
	for _, d := range parsed("func _() {", text, "}") {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Body == nil {
			continue
		}
		shift := len("package p;func _() {") + 1
		for _, st := range f.Body.List {
			a, ok := st.(*ast.AssignStmt)
			if !ok || a.Tok != token.DEFINE || len(a.Rhs) == 0 {
				continue
			}
			lo, hi := int(a.Rhs[0].Pos())-shift, int(a.End())-shift
			if lo < 0 || hi > len(text) || int(a.Pos())-shift <= k.cursor-c.start && k.cursor-c.start <= hi {
				continue
			}
			b.WriteString(k.definition(a, text[lo:hi]))
		}
	}
	return b.String()
}

func (k *sketcher) definition(a *ast.AssignStmt, values string) string {
	var names, fresh []string
	for _, l := range a.Lhs {
		id, ok := l.(*ast.Ident)
		if !ok {
			return ""
		}
		name := id.Name
		if k.names[name] || slices.Contains(fresh, name) {
			name = "_"
		}
		if name != "_" {
			fresh = append(fresh, name)
		}
		names = append(names, name)
	}
	for _, t := range lex(values) {
		if t.tok == token.IDENT && slices.Contains(fresh, t.lit) {
			return ""
		}
	}
	def := "var " + strings.Join(names, ", ") + " = " + values + "\n"
	if _, err := parser.ParseFile(token.NewFileSet(), "", "package p;"+def, parser.SkipObjectResolution); err != nil || fresh == nil {
		return ""
	}
	for _, name := range fresh {
		k.names[name] = true
	}
	return def
}

// packages finds the imports that the text needs and does not have.
func (k *sketcher) packages(o *Outline, also map[string]string) map[string]string {
	all := map[string]string{}
	taken := maps.Clone(k.names)
	for _, name := range o.Names() {
		taken[name] = true
	}
	for _, from := range []map[string]string{o.names, also} {
		for name, path := range from {
			if !taken[name] {
				all[name] = path
			}
		}
	}
	toks := lex(k.text)
	for i, t := range toks {
		if t.tok != token.IDENT || i+1 >= len(toks) || i > 0 && toks[i-1].tok == token.PERIOD {
			continue
		}
		if next := toks[i+1]; next.tok != token.PERIOD || taken[t.lit] || all[t.lit] != "" {
			continue
		}
		if paths := o.Packages(t.lit); len(paths) > 0 {
			all[t.lit] = paths[0]
		}
	}
	return all
}

// repair makes a chunk of a cell stand alone, whatever was left open in it: brackets that close
// nothing become blanks, and the tail closes what is open.
func repair(text string) (fixed, tail string) {
	fset := token.NewFileSet()
	file := fset.AddFile("", -1, len(text))
	var s scanner.Scanner
	open, out := []token.Token{}, []byte(text)
	s.Init(file, out, func(pos token.Position, msg string) {
		switch {
		case strings.HasPrefix(msg, "string literal not terminated"):
			end := strings.IndexByte(text[pos.Offset:], '\n')
			if end < 0 {
				tail = "\""
			} else if rest := strings.TrimSpace(text[pos.Offset+end:]); rest == "" || rest[0] == ')' {
				out[pos.Offset+end] = '"' // in place of the line's end, so that all else stays where it is
			}
		case strings.HasPrefix(msg, "raw string literal not terminated"):
			tail = "`"
		case strings.HasPrefix(msg, "comment not terminated"):
			tail = "*/"
		}
	}, 0)
	for {
		pos, tok, _ := s.Scan()
		switch tok {
		case token.EOF:
			for _, t := range slices.Backward(open) {
				tail += "\n" + closer(t).String()
			}
			return string(out), tail
		case token.LPAREN, token.LBRACK, token.LBRACE:
			open = append(open, tok)
		case token.RPAREN, token.RBRACK, token.RBRACE:
			at := len(open) - 1
			for at >= 0 && closer(open[at]) != tok {
				at--
			}
			if at < 0 {
				out[file.Offset(pos)] = ' '
			} else {
				open = open[:at]
			}
		}
	}
}

// Top reports whether an offset of the cell's text is outside of all brackets.
func (s *Sketch) Top(off int) bool {
	depth := 0
	for _, t := range lex(s.text) {
		if t.off >= off {
			break
		}
		switch t.tok {
		case token.LPAREN, token.LBRACK, token.LBRACE:
			depth++
		case token.RPAREN, token.RBRACK, token.RBRACE:
			depth--
		}
	}
	return depth == 0
}
