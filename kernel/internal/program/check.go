package program

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// growth is one cell on its way into the program.
type growth struct {
	imp   Imports
	fset  *token.FileSet
	prior *state
	next  *state
	src   *source
	res   *resolution

	declared []string        // variables that the cell declares, in the order of the text
	before   map[string]bool // old names that the cell still uses

	// What checking found.
	info  *types.Info
	pkg   *types.Package
	gone  map[string]string // variables whose types are no more, and why
	shape *bodyShape
	errs  Errors

	external map[*decl]bool       // functions that the live program has
	prints   map[string]string    // of functions, by name
	renamed  map[string]*variable // old variables that the generated code calls by their old names
	lost     []Loss
	convert  []Conversion
	dropped  []string
}

// bodyShape is the cell's function as it is checked.
type bodyShape struct {
	decls []ast.Decl        // variables at package level
	defs  []*ast.AssignStmt // the definitions that became those
	stmts []ast.Stmt        // the statements as they stand in the cell
	last  *ast.ExprStmt     // the last statement, if it is an expression to show
}

// importer lets the checker import what Imports knows.
type importer struct{ imp Imports }

// Import implements types.Importer.
func (i importer) Import(path string) (*types.Package, error) { return importPackage(i.imp, path) }

// check type-checks the program with the cell in it, and sets aside what no longer checks in
// other cells, until nothing more falls out.
func (g *growth) check() {
	g.gone = map[string]string{}
	defer g.renameGhosts()()
	for {
		gone := len(g.gone)
		problems := g.checkOnce()
		more := len(g.gone) > gone
		g.errs = nil
		for _, p := range problems {
			if g.place(p) {
				more = true
			}
		}
		if !more {
			break
		}
	}
	g.explain()
	g.errs = slices.DeleteFunc(g.errs, func(d Diagnostic) bool {
		// Of a label that is used in a wrong way only that is worth saying.
		m := labelUnused.FindStringSubmatch(d.Msg)
		return m != nil && slices.ContainsFunc(g.errs, func(o Diagnostic) bool {
			return o.Msg == "invalid break label "+m[1] || o.Msg == "invalid continue label "+m[1]
		})
	})
	g.errs = g.errs.tidy()
}

var labelUnused = regexp.MustCompile(`^label (\S+) defined and not used$`)

// problem is one error of the checker, with its continuation lines.
type problem struct {
	pos token.Pos
	msg string
}

// checkOnce checks once and returns the errors.
func (g *growth) checkOnce() []problem {
	files, vars := g.files()
	defer g.fset.RemoveFile(g.fset.File(vars.FileStart))
	g.info = &types.Info{
		Types:      map[ast.Expr]types.TypeAndValue{},
		Defs:       map[*ast.Ident]types.Object{},
		Uses:       map[*ast.Ident]types.Object{},
		Selections: map[*ast.SelectorExpr]*types.Selection{},
	}
	var problems []problem
	conf := types.Config{
		GoVersion:                "go1.26",
		Importer:                 importer{g.imp},
		Sizes:                    types.SizesFor("gc", runtime.GOARCH),
		DisableUnusedImportCheck: true,
		Error: func(err error) {
			e := err.(types.Error)
			if rest, ok := strings.CutPrefix(e.Msg, "\t"); ok && len(problems) > 0 {
				// A continuation of the message before, at another place.
				problems[len(problems)-1].msg += "\n\t" + g.where(e.Pos) + rest
				return
			}
			problems = append(problems, problem{e.Pos, e.Msg})
		},
	}
	g.pkg, _ = conf.Check(packagePath, g.fset, files, g.info)
	out := problems[:0]
	for _, p := range problems {
		if g.harmless(p.msg) || g.vars(vars, p) {
			continue
		}
		out = append(out, p)
	}
	return out
}

var initCycle = regexp.MustCompile(`^initialization cycle(?:: | for )(\w+)`)

// harmless reports whether a message is about a cycle of initialisers. Variables are
// declared without these, so there is none; constants can have one.
func (g *growth) harmless(msg string) bool {
	m := initCycle.FindStringSubmatch(msg)
	if m == nil {
		return false
	}
	switch g.pkg.Scope().Lookup(m[1]).(type) {
	case *types.Var, *types.Func:
		return true
	}
	return false
}

// where returns a position as "cell 2:3:4: ".
func (g *growth) where(pos token.Pos) string {
	if s := g.sourceAt(pos); s != nil {
		return s.diagnostic(s.offset(pos), "").String()
	}
	return ""
}

// sourceAt returns the cell to which a position belongs.
func (g *growth) sourceAt(pos token.Pos) *source {
	file := g.fset.File(pos)
	for _, s := range g.next.sources {
		if s.file == file {
			return s
		}
	}
	return nil
}

// vars takes an error in the file of the variables: the variable's type is gone.
func (g *growth) vars(vars *ast.File, p problem) bool {
	if g.fset.File(p.pos) != g.fset.File(vars.FileStart) {
		return false
	}
	for _, d := range vars.Decls {
		gd, ok := d.(*ast.GenDecl)
		if !ok || gd.Pos() > p.pos || p.pos >= gd.End() || gd.Tok != token.VAR {
			continue
		}
		name := plain(gd.Specs[0].(*ast.ValueSpec).Names[0].Name)
		if g.gone[name] == "" {
			g.gone[name] = g.clean(p.msg)
		}
	}
	return true
}

// place gives an error to the declaration it is in. It reports whether the
// program must be checked again without that.
func (g *growth) place(p problem) bool {
	s := g.sourceAt(p.pos)
	if s == nil {
		return false
	}
	off := s.offset(p.pos)
	if s == g.src {
		msg := g.mismatch(p, g.clean(p.msg))
		if !g.spurious(p, msg) {
			g.errs = append(g.errs, s.diagnostic(off, "%s", msg))
		}
		return false
	}
	var hit *decl
	for _, it := range s.items {
		if !g.living(it) {
			continue
		}
		if n := it.node(); n.Pos() <= p.pos && p.pos < n.End() {
			// Of several names in one const spec, the one that is meant.
			if hit == nil || it.ident.Pos() <= p.pos {
				hit = it
			}
		}
	}
	if hit == nil {
		return false
	}
	if g.ghost(hit) {
		delete(g.before, hit.key)
		return true
	}
	why := s.diagnostic(off, "%s", g.clean(p.msg))
	why.Name = hit.key
	g.next.aside[hit.key] = why
	return true
}

// living reports whether a declaration takes part in this step.
func (g *growth) living(it *decl) bool {
	if it.once || it.source == g.src {
		return it.source == g.src
	}
	if _, aside := g.next.aside[it.key]; aside && g.next.decls[it.key] == it {
		return false
	}
	return g.next.decls[it.key] == it || g.ghost(it)
}

// ghost reports whether the cell redeclares the function but still calls the old one.
func (g *growth) ghost(it *decl) bool {
	return g.before[it.key] && g.prior.decls[it.key] == it
}

// selfUses calls f for each identifier by which a function calls itself.
func (d *decl) selfUses(f func(*ast.Ident)) {
	ast.Inspect(d.fn, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && id != d.ident && id.Obj != nil && id.Obj.Decl == d.fn {
			f(id)
		}
		return true
	})
}

// renameGhosts lets old functions call themselves by their old names, and returns what undoes that.
func (g *growth) renameGhosts() (undo func()) {
	var all []*decl
	for name := range g.before {
		if d := g.prior.decls[name]; d != nil && d.kind == Func {
			all = append(all, d)
			d.selfUses(func(id *ast.Ident) { id.Name = oldName(d.name) })
		}
	}
	return func() {
		for _, d := range all {
			d.selfUses(func(id *ast.Ident) { id.Name = goName(d.name) })
		}
	}
}

// mismatch says of a definition of one variable by a call with more results what the compiler says of it; the checker
// sees a variable at package level.
func (g *growth) mismatch(p problem, msg string) string {
	if !strings.HasPrefix(msg, "multiple-value ") {
		return msg
	}
	for _, a := range g.shape.defs {
		call, ok := ast.Unparen(a.Rhs[0]).(*ast.CallExpr)
		if !ok || len(a.Lhs) != 1 || a.Rhs[0].Pos() != p.pos {
			continue
		}
		if t, ok := g.info.Types[call].Type.(*types.Tuple); ok {
			return g.clean(fmt.Sprintf("assignment mismatch: 1 variable but %s returns %d values", types.ExprString(call.Fun), t.Len()))
		}
	}
	return msg
}

// spurious reports errors that are due to the form in which a cell is checked.
func (g *growth) spurious(p problem, msg string) bool {
	return g.shape.last != nil && p.pos == g.shape.last.Pos() && strings.HasSuffix(msg, "(no value) used as value")
}

var showArgument = regexp.MustCompile(` in argument to ` + showName)

// otherWords are messages that go/types says in other words than the compiler.
var otherWords = []struct {
	ours   *regexp.Regexp
	theirs string
}{
	{regexp.MustCompile(`^break not in for, switch, or select statement$`), "break is not in a loop, switch, or select"},
	{regexp.MustCompile(`^continue not in for statement$`), "continue is not in a loop"},
	{regexp.MustCompile(`^label (\S+) not declared$`), "label $1 not defined"},
	{regexp.MustCompile(`^label (\S+) declared and not used$`), "label $1 defined and not used"},
}

// clean removes generated names from a message.
func (g *growth) clean(msg string) string {
	for _, w := range otherWords {
		msg = w.ours.ReplaceAllString(msg, w.theirs)
	}
	if !strings.Contains(msg, reserved) {
		return msg
	}
	msg = showArgument.ReplaceAllString(msg, "")
	for _, im := range g.src.imports {
		msg = strings.ReplaceAll(msg, dotName(im)+".", "")
	}
	msg = strings.ReplaceAll(msg, importPrefix, "")
	msg = strings.ReplaceAll(msg, ownPrefix, "")
	return strings.ReplaceAll(msg, oldPrefix, "")
}

var noMethod = regexp.MustCompile(`\.(\w+) undefined \(type \*?(\w+) has no field or method`)

// explain adds to messages about unknown names that these are set aside.
func (g *growth) explain() {
	for i, d := range g.errs {
		name, ok := strings.CutPrefix(d.Msg, "undefined: ")
		if m := noMethod.FindStringSubmatch(d.Msg); m != nil {
			name, ok = m[2]+"."+m[1], true
		}
		if !ok {
			continue
		}
		if why, aside := g.next.aside[name]; aside {
			g.errs[i].Msg += fmt.Sprintf("\n\t%s is set aside: %s", name, why)
		}
	}
}

// files makes the files to check; the second result is the one of the variables.
func (g *growth) files() ([]*ast.File, *ast.File) {
	var files []*ast.File
	for _, s := range g.next.sources {
		files = append(files, g.file(s))
	}
	vars, err := parser.ParseFile(g.fset, variablesFile, g.variables(true), 0)
	if err != nil {
		panic(fmt.Sprintf("program: internal error: the variables' file does not parse: %v", err))
	}
	return append(files, vars), vars
}

// file makes the file to check of one cell.
func (g *growth) file(s *source) *ast.File {
	f := &ast.File{Package: s.ast.Package, Name: &ast.Ident{NamePos: s.ast.Name.NamePos, Name: PackageName}, FileStart: s.ast.FileStart, FileEnd: s.ast.FileEnd}
	seen := map[string]bool{}
	for _, im := range s.imports {
		name := importName(im.name)
		switch im.name {
		case "_":
			name = "_"
		case ".":
			name = dotName(im)
		}
		if seen[name] && name != "_" {
			continue
		}
		seen[name] = true
		spec := &ast.ImportSpec{Name: ast.NewIdent(name), Path: &ast.BasicLit{Kind: token.STRING, Value: strconv.Quote(im.path)}}
		f.Decls = append(f.Decls, &ast.GenDecl{Tok: token.IMPORT, Specs: []ast.Spec{spec}})
	}
	for _, d := range s.ast.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if fd := g.checkedFunc(s, d); fd != nil {
				f.Decls = append(f.Decls, fd)
			}
		case *ast.GenDecl:
			if gd := g.checkedGen(s, d); gd != nil {
				f.Decls = append(f.Decls, gd)
			}
		}
	}
	if s == g.src {
		f.Decls = append(f.Decls, g.shape.decls...)
		// In the order of the text, so that of two declarations the second is the one too many.
		imports := len(s.imports)
		for imports > 0 && (imports > len(f.Decls) || !isImport(f.Decls[imports-1])) {
			imports--
		}
		slices.SortStableFunc(f.Decls[imports:], func(a, b ast.Decl) int { return s.offset(a.Pos()) - s.offset(b.Pos()) })
		f.Decls = append(f.Decls, s.body)
	}
	return f
}

func isImport(d ast.Decl) bool {
	g, ok := d.(*ast.GenDecl)
	return ok && g.Tok == token.IMPORT
}

// checkedFunc returns the function in the form to check, or nil if it is not living.
func (g *growth) checkedFunc(s *source, d *ast.FuncDecl) ast.Decl {
	for _, it := range s.items {
		if it.fn != d || !g.living(it) {
			continue
		}
		name := it.key
		switch {
		case it.once && d.Name.Name == "init":
		case g.ghost(it):
			name = oldName(it.key)
		default:
			return d
		}
		c := *d
		c.Name = &ast.Ident{NamePos: d.Name.NamePos, Name: name}
		return &c
	}
	return nil
}

// checkedGen returns a const or type declaration in the form to check: names that are
// not living are blank, or left out.
func (g *growth) checkedGen(s *source, d *ast.GenDecl) ast.Decl {
	if d.Tok == token.IMPORT {
		return nil
	}
	if d.Tok == token.VAR {
		if s == g.src {
			return d
		}
		return nil
	}
	living := map[*ast.Ident]bool{}
	for _, it := range s.items {
		if it.gen == d && g.living(it) {
			living[it.ident] = true
		}
	}
	if len(living) == 0 {
		return nil
	}
	c := *d
	c.Specs = nil
	for _, spec := range d.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			if living[spec.Name] {
				c.Specs = append(c.Specs, spec)
			}
		case *ast.ValueSpec:
			n := *spec
			n.Names = slices.Clone(spec.Names)
			for i, id := range n.Names {
				if !living[id] {
					n.Names[i] = &ast.Ident{NamePos: id.NamePos, Name: "_"}
				}
			}
			c.Specs = append(c.Specs, &n)
		}
	}
	return &c
}

// reshape brings the cell's statements into the form that is checked: variables declared by
// := stand at package level, where the cell's functions see them.
func (g *growth) reshape() {
	g.shape = &bodyShape{stmts: g.src.body.Body.List}
	body := g.src.body
	body.Name = &ast.Ident{NamePos: body.Name.NamePos, Name: entryName(g.src.cell.ID)}
	mine := map[string]bool{}
	note := func(name string) {
		name = plain(name)
		if name != "_" && !mine[name] {
			mine[name] = true
			g.declared = append(g.declared, name)
		}
	}
	type event struct {
		off int
		do  func()
	}
	var events []event
	for _, spec := range g.src.vars {
		events = append(events, event{g.src.offset(spec.Pos()), func() {
			for _, id := range spec.Names {
				note(id.Name)
			}
		}})
	}
	var list []ast.Stmt
	for _, st := range body.Body.List {
		holder, inner := (*ast.LabeledStmt)(nil), st
		for {
			l, ok := inner.(*ast.LabeledStmt)
			if !ok {
				break
			}
			holder, inner = l, l.Stmt
		}
		a, ok := inner.(*ast.AssignStmt)
		if !ok || a.Tok != token.DEFINE {
			list = append(list, st)
			continue
		}
		if holder != nil {
			list = append(list, st)
		}
		// A stand-in keeps the statement's place until its names are known.
		at := len(list)
		list = append(list, &ast.EmptyStmt{Semicolon: a.Pos(), Implicit: true})
		if holder != nil {
			holder.Stmt = &ast.EmptyStmt{Semicolon: a.Pos(), Implicit: true}
		}
		events = append(events, event{g.src.offset(a.Pos()), func() {
			if s := g.define(a, mine, note); s != nil {
				list[at] = s
			}
		}})
	}
	slices.SortStableFunc(events, func(a, b event) int { return a.off - b.off })
	for _, e := range events {
		e.do()
	}
	body.Body.List = list
	g.lastExpression()
}

// define turns `names := values` into a variable declaration, and into an assignment
// where some of the names exist in this cell already.
func (g *growth) define(a *ast.AssignStmt, mine map[string]bool, note func(string)) ast.Stmt {
	spec := &ast.ValueSpec{Values: a.Rhs}
	fresh, again := 0, false
	for _, l := range a.Lhs {
		id, ok := l.(*ast.Ident)
		if !ok {
			g.res.errs = append(g.res.errs, g.src.diagnostic(g.src.offset(l.Pos()), "non-name %s on left side of :=", types.ExprString(l)))
			return nil
		}
		if id.Name == "_" || mine[plain(id.Name)] {
			again = again || id.Name != "_"
			spec.Names = append(spec.Names, &ast.Ident{NamePos: id.NamePos, Name: "_"})
			continue
		}
		fresh++
		spec.Names = append(spec.Names, id)
	}
	if fresh == 0 {
		g.res.errs = append(g.res.errs, g.src.diagnostic(g.src.offset(a.TokPos), "no new variables on left side of :="))
		return nil
	}
	g.shape.defs = append(g.shape.defs, a)
	for _, l := range a.Lhs {
		note(l.(*ast.Ident).Name)
	}
	g.shape.decls = append(g.shape.decls, &ast.GenDecl{TokPos: a.Pos(), Tok: token.VAR, Specs: []ast.Spec{spec}})
	if !again {
		return nil
	}
	c := *a
	c.Tok = token.ASSIGN
	return &c
}

// lastExpression finds the expression that the cell shows, and puts a call around it for checking.
func (g *growth) lastExpression() {
	list := g.src.body.Body.List
	if len(list) == 0 || !g.src.endsBare() {
		return
	}
	e, ok := list[len(list)-1].(*ast.ExprStmt)
	if !ok {
		return
	}
	if u, ok := ast.Unparen(e.X).(*ast.UnaryExpr); ok && u.Op == token.ARROW {
		return
	}
	g.shape.last = e
	call := &ast.CallExpr{Fun: &ast.Ident{NamePos: e.Pos(), Name: showName}, Lparen: e.Pos(), Args: []ast.Expr{e.X}, Rparen: e.End()}
	if c, ok := e.X.(*ast.CallExpr); ok {
		if id, ok := c.Fun.(*ast.Ident); ok && id.Obj == nil && !g.res.own[id.Name] && !g.prior.declared(id.Name) && silent[id.Name] {
			g.shape.last = nil
			return
		}
	}
	list[len(list)-1] = &ast.ExprStmt{X: call}
}

// silent are the builtin functions that are called for what they do.
var silent = map[string]bool{"clear": true, "close": true, "copy": true, "delete": true, "panic": true, "print": true, "println": true, "recover": true}

// endsBare reports whether the last thing that the cell runs is not ended by a semicolon and not a variable declaration.
func (s *source) endsBare() bool {
	for i := len(s.chunks) - 1; i >= 0; i-- {
		c := s.chunks[i]
		if c.kind == varChunk {
			return false
		}
		if c.kind != stmtChunk || c.first == c.end {
			continue
		}
		toks := lex(s.cell.Text[c.start:c.end])
		for j := len(toks) - 1; j >= 0; j-- {
			switch {
			case toks[j].tok == token.EOF || toks[j].tok == token.SEMICOLON && toks[j].lit == "\n":
			default:
				return toks[j].tok != token.SEMICOLON
			}
		}
	}
	return false
}

// variables writes the file that declares all variables: for checking those that the cell
// does not declare itself, for the compiler all.
func (g *growth) variables(checking bool) string {
	var decls strings.Builder
	paths := map[string]bool{}
	zeros := map[string]bool{}
	write := func(name string, v *variable) {
		for _, p := range v.form.imports {
			paths[p] = true
		}
		fmt.Fprintf(&decls, "var %s %s\n", name, v.form.text(zeros))
	}
	for _, name := range slices.Sorted(maps.Keys(g.next.vars)) {
		if _, gone := g.gone[name]; !gone && !(checking && slices.Contains(g.declared, name)) {
			write(goName(name), g.next.vars[name])
		}
	}
	olds := g.renamed
	if checking {
		olds = map[string]*variable{}
		for name := range g.before {
			if v := g.prior.vars[name]; v != nil && g.gone[oldName(name)] == "" {
				olds[oldName(name)] = v
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(olds)) {
		write(name, olds[name])
	}
	decls.WriteString(g.next.mention(checking, paths, g.gone))
	var b strings.Builder
	fmt.Fprintf(&b, "package %s\n", PackageName)
	for _, p := range slices.Sorted(maps.Keys(paths)) {
		fmt.Fprintf(&b, "import %s %q\n", alias(p), p)
	}
	if !checking {
		for _, im := range g.next.blanks {
			fmt.Fprintf(&b, "import _ %q\n", im.path)
		}
	}
	fmt.Fprintf(&b, "var %s uint32\n", pollName)
	b.WriteString(decls.String())
	for _, z := range slices.Sorted(maps.Keys(zeros)) {
		b.WriteString(zeroFunc(z))
	}
	if checking {
		fmt.Fprintf(&b, "func %s(...interface{}) {}\n", showName)
	}
	return b.String()
}
