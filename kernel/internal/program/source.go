package program

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"regexp"
	"sort"
	"strings"
)

// source is one cell's text, cut and parsed. Its chunks are parsed together, in another order
// than they stand in the cell (imports first, all statements as one function last); pieces leads back.
type source struct {
	cell   Cell
	chunks []chunk
	lines  []int // offset of each line
	file   *token.File
	pieces []piece
	ast    *ast.File
	body   *ast.FuncDecl    // the statements; its body may be empty
	vars   []*ast.ValueSpec // the specs of the var declarations

	imports []*imported
	grown   map[*ast.Ident]int // by how much identifiers were lengthened
	renames []edit             // of predeclared names that the program has taken
	uses    []importUse        // of imports, sorted by offset
	locals  []localType        // types declared inside functions, in the order of the text
	items   []*decl            // what the cell declared beside variables, in the order of the text

	sequential bool // it has bare statements, or is a main body: initialisers run in the order of the text
}

// piece says where a chunk lies in the parsed text.
type piece struct{ syn, off, len int }

// parse cuts and parses a cell. The errors are those of the syntax.
func parse(fset *token.FileSet, cell Cell) (*source, error) {
	chunks, wrong := cut(cell.Text)
	s := &source{cell: cell, chunks: chunks, lines: []int{0}, grown: map[*ast.Ident]int{}}
	for i := range len(cell.Text) {
		if cell.Text[i] == '\n' {
			s.lines = append(s.lines, i+1)
		}
	}
	if wrong != nil {
		return nil, &SyntaxError{Errors: s.bracketErrors(fset, wrong), Probe: s.probe()}
	}
	if errs := s.parseChunks(fset, chunks); errs != nil {
		return nil, &SyntaxError{Errors: errs, Probe: s.probe()}
	}
	s.sequential = cell.Main || len(s.body.Body.List) > 0
	if errs := s.checkShape(); errs != nil {
		return nil, errs
	}
	return s, nil
}

// SyntaxError is what Grow returns for a cell that does not parse.
type SyntaxError struct {
	Errors
	// Probe holds the cell's text such that the compiler finds the same errors, and says them in its own words.
	Probe File
}

// Unwrap makes the messages an Errors.
func (e *SyntaxError) Unwrap() error { return e.Errors }

// probe writes the cell as the compiler would have it: declarations, and one function with the statements.
func (s *source) probe() File {
	var decls, stmts strings.Builder
	for _, c := range s.chunks {
		b := &decls
		if c.kind == stmtChunk {
			b = &stmts
		}
		b.WriteString(s.opening(c.start))
		b.WriteString(s.cell.Text[c.start:c.end])
		b.WriteString("\n")
	}
	return File{"probe.go", "package " + PackageName + "\n" + decls.String() + "func _() {\n" + stmts.String() + "}\n"}
}

// parseChunks parses the given chunks as one file.
func (s *source) parseChunks(fset *token.FileSet, chunks []chunk) Errors {
	var b strings.Builder
	b.WriteString("package p;")
	add := func(c chunk) {
		s.pieces = append(s.pieces, piece{b.Len(), c.start, c.end - c.start})
		text := s.cell.Text[c.start:c.end]
		b.WriteString(text)
		b.WriteString("\n")
		if toks := lex(text); c.kind != stmtChunk && (len(toks) < 2 || toks[len(toks)-2].tok != token.SEMICOLON) {
			b.WriteString(";\n") // a declaration without an end must not swallow the next
		}
	}
	s.pieces = nil
	for _, c := range chunks {
		if c.kind == importChunk {
			add(c)
		}
	}
	for _, c := range chunks {
		if c.kind > importChunk {
			add(c)
		}
	}
	start := b.Len()
	b.WriteString("func _() {\n")
	for _, c := range chunks {
		if c.kind == stmtChunk {
			add(c)
		}
	}
	end := b.Len()
	b.WriteString("}\n")
	syn := b.String()
	file, err := parser.ParseFile(fset, fmt.Sprintf("%d", s.cell.ID), syn, parser.ParseComments)
	s.ast = file
	s.file = fset.File(file.FileStart)
	if err != nil {
		return s.syntaxErrors(err, start, end)
	}
	for _, p := range s.pieces {
		// So that positions in the checker's messages are the cell's, too.
		line, col := s.place(p.off)
		s.file.AddLineColumnInfo(p.syn, s.cell.Name, line, col)
	}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && s.file.Offset(f.Pos()) == start {
			s.body = f
		}
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.VAR {
			for _, spec := range g.Specs {
				s.vars = append(s.vars, spec.(*ast.ValueSpec))
			}
		}
	}
	return nil
}

// offset returns the place in the cell's text of a position.
func (s *source) offset(pos token.Pos) int {
	return s.synOffset(s.file.Offset(pos))
}

// end returns where a node ends in the cell's text. Identifiers that were given
// longer names do not count as longer.
func (s *source) end(n ast.Node) int {
	return s.offset(n.End() - token.Pos(s.grown[lastIdent(n)]))
}

// lastIdent returns the identifier with which a node ends, or nil if it ends otherwise.
func lastIdent(n ast.Node) *ast.Ident {
	switch n := n.(type) {
	case *ast.Ident:
		return n
	case *ast.SelectorExpr:
		return n.Sel
	case *ast.BinaryExpr:
		return lastIdent(n.Y)
	case *ast.UnaryExpr:
		return lastIdent(n.X)
	case *ast.StarExpr:
		return lastIdent(n.X)
	case *ast.KeyValueExpr:
		return lastIdent(n.Value)
	case *ast.ArrayType:
		return lastIdent(n.Elt)
	case *ast.MapType:
		return lastIdent(n.Value)
	case *ast.ChanType:
		return lastIdent(n.Value)
	case *ast.FuncType:
		if r := n.Results; r != nil && !r.Closing.IsValid() && len(r.List) > 0 {
			return lastIdent(r.List[len(r.List)-1].Type)
		}
	case *ast.TypeSpec:
		return lastIdent(n.Type)
	case *ast.ValueSpec:
		switch {
		case len(n.Values) > 0:
			return lastIdent(n.Values[len(n.Values)-1])
		case n.Type != nil:
			return lastIdent(n.Type)
		}
		return n.Names[len(n.Names)-1]
	case *ast.ExprStmt:
		return lastIdent(n.X)
	case *ast.SendStmt:
		return lastIdent(n.Value)
	case *ast.AssignStmt:
		return lastIdent(n.Rhs[len(n.Rhs)-1])
	case *ast.LabeledStmt:
		return lastIdent(n.Stmt)
	case *ast.ReturnStmt:
		if len(n.Results) > 0 {
			return lastIdent(n.Results[len(n.Results)-1])
		}
	}
	return nil
}

// synOffset is offset for a place in the parsed text.
func (s *source) synOffset(off int) int {
	i := sort.Search(len(s.pieces), func(i int) bool { return s.pieces[i].syn > off }) - 1
	if i < 0 {
		return 0
	}
	p := s.pieces[i]
	return p.off + min(off-p.syn, p.len)
}

// place returns line and column, from 1, of an offset of the cell's text.
func (s *source) place(off int) (line, col int) {
	i := sort.Search(len(s.lines), func(i int) bool { return s.lines[i] > off }) - 1
	return i + 1, off - s.lines[i] + 1
}

// diagnostic makes a message at an offset.
func (s *source) diagnostic(off int, format string, args ...any) Diagnostic {
	line, col := s.place(off)
	return Diagnostic{Cell: s.cell.Name, Line: line, Col: col, Msg: fmt.Sprintf(format, args...)}
}

// bracketErrors says what is wrong in a cell whose brackets do not match: what the
// parser finds before, else the bracket itself.
func (s *source) bracketErrors(fset *token.FileSet, wrong *bracketError) Errors {
	own := s.diagnostic(wrong.off, "syntax error: unexpected EOF, expected %s", wrong.want)
	if wrong.want == "" {
		own = s.diagnostic(wrong.off, "syntax error: unexpected %s", wrong.got)
	}
	errs := Errors{own}
	last := len(s.chunks) - 1
	for i, c := range s.chunks {
		if c.start <= wrong.off && wrong.off < c.end {
			last = i
		}
	}
	groups := [][]chunk{s.chunks[:last], {s.chunks[last]}}
	for _, g := range groups {
		for _, e := range s.parseChunks(fset, g) {
			if e.Line < own.Line {
				errs = append(errs, e)
			}
		}
	}
	return errs.tidy()
}

// syntaxErrors turns the parser's errors into the cell's, in the compiler's words. The function
// around the statements begins at start and ends at end.
func (s *source) syntaxErrors(err error, start, end int) Errors {
	list, ok := err.(scanner.ErrorList)
	if !ok {
		return Errors{s.diagnostic(0, "%v", err)}
	}
	var errs, strays Errors
	for _, e := range list {
		msg := compilerWords(e.Msg)
		if s.past(e.Pos.Offset) {
			msg = strings.Replace(msg, "unexpected semicolon", "unexpected newline", 1)
		}
		d := s.diagnostic(s.synOffset(e.Pos.Offset), "%s", msg)
		if e.Pos.Offset >= end || e.Pos.Offset >= start && e.Pos.Offset < start+len("func _() {") {
			strays = append(strays, d)
		} else {
			errs = append(errs, d)
		}
	}
	if errs == nil {
		errs = strays
	}
	return errs.tidy()
}

// past reports whether an offset of the parsed text is right after a chunk.
func (s *source) past(off int) bool {
	for _, p := range s.pieces {
		if off >= p.syn+p.len && off <= p.syn+p.len+2 {
			return true
		}
	}
	return false
}

var expectedFound = regexp.MustCompile(`^expected (.+), found (.+)$`)

// compilerWords says a message of go/parser as cmd/compile would.
func compilerWords(msg string) string {
	m := expectedFound.FindStringSubmatch(msg)
	if m == nil {
		return "syntax error: " + msg
	}
	want, got := strings.Trim(m[1], "'"), found(m[2])
	switch want {
	case ";":
		return "syntax error: unexpected " + got + " at end of statement"
	case "operand":
		want = "expression"
	case "IDENT":
		want = "name"
	}
	return "syntax error: unexpected " + got + ", expected " + want
}

// found names a token as cmd/compile does.
func found(tok string) string {
	bare := strings.Trim(tok, "'")
	switch {
	case bare == "newline" || bare == "EOF":
		return bare
	case bare == ";":
		return "semicolon"
	case token.IsKeyword(bare):
		return "keyword " + bare
	case tok != bare:
		return bare
	case token.IsIdentifier(strings.TrimSuffix(bare, " (")):
		return "name " + bare
	}
	return "literal " + bare
}

// checkShape finds what the parser lets pass and a cell must not have.
func (s *source) checkShape() Errors {
	var errs Errors
	for _, d := range s.ast.Decls {
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.IMPORT {
			for _, spec := range g.Specs {
				if spec.(*ast.ImportSpec).Path.Value == `"C"` {
					errs = append(errs, s.diagnostic(s.offset(spec.Pos()), "cgo is not possible in a cell: put it into a package and import that"))
				}
			}
		}
		f, ok := d.(*ast.FuncDecl)
		if !ok || f == s.body {
			continue
		}
		off := s.offset(f.Name.Pos())
		if f.Recv == nil && (f.Name.Name == "main" || f.Name.Name == "init") {
			if f.Type.TypeParams != nil {
				errs = append(errs, s.diagnostic(off, "func %s must have no type parameters", f.Name.Name))
			}
			if f.Type.Params.NumFields() > 0 || f.Type.Results.NumFields() > 0 {
				errs = append(errs, s.diagnostic(off, "func %s must have no arguments and no return values", f.Name.Name))
			}
		}
		if f.Body == nil && !s.linkname(f.Name.Name) {
			if next := s.nextToken(s.end(f)); next >= 0 && s.cell.Text[next] == '{' {
				errs = append(errs, s.diagnostic(next, "syntax error: unexpected semicolon or newline before {"))
			} else {
				errs = append(errs, s.diagnostic(off, "missing function body"))
			}
		}
	}
	ast.Inspect(s.ast, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && strings.HasPrefix(id.Name, reserved) && id.Pos() != s.body.Name.Pos() {
			errs = append(errs, s.diagnostic(s.offset(id.Pos()), "%s: names that begin with %s are Gradbook's own; choose another", id.Name, reserved))
		}
		return true
	})
	for _, g := range s.ast.Comments {
		for _, c := range g.List {
			if strings.HasPrefix(c.Text, "//go:embed ") {
				errs = append(errs, s.diagnostic(s.offset(c.Pos()), "go:embed is not possible in a cell: put the variable into a package and import that, or read the file with os.ReadFile"))
			}
		}
	}
	if errs == nil {
		return nil
	}
	return errs.tidy()
}

// linkname reports whether a directive gives the function name its body elsewhere.
func (s *source) linkname(name string) bool {
	for _, g := range s.ast.Comments {
		for _, c := range g.List {
			if f := strings.Fields(c.Text); len(f) > 1 && f[0] == "//go:linkname" && f[1] == name {
				return true
			}
		}
	}
	return false
}

// nextToken returns the offset of the first token that begins at or after off, or -1.
func (s *source) nextToken(off int) int {
	for _, c := range s.chunks {
		if c.first >= off && c.first < c.end {
			return c.first
		}
	}
	return -1
}

// Error lists the messages one a line, as the go command prints them.
func (e Errors) Error() string {
	var b strings.Builder
	for i, d := range e {
		if i > 0 {
			b.WriteString("\n")
		}
		b.WriteString(d.String())
	}
	return b.String()
}

// String gives the place and the message, as the go command prints them.
func (d Diagnostic) String() string {
	return fmt.Sprintf("%s:%d:%d: %s", d.Cell, d.Line, d.Col, d.Msg)
}

// tidy sorts messages by place, and drops those said already and those beyond ten.
func (e Errors) tidy() Errors {
	sort.SliceStable(e, func(i, j int) bool {
		if e[i].Line != e[j].Line {
			return e[i].Line < e[j].Line
		}
		return e[i].Col < e[j].Col
	})
	var out Errors
	seen := map[Diagnostic]bool{}
	for _, d := range e {
		if !seen[d] && len(out) < 10 {
			seen[d] = true
			out = append(out, d)
		}
	}
	return out
}
