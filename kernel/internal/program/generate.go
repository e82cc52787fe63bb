package program

import (
	"fmt"
	"go/ast"
	"go/types"
	"maps"
	"slices"
	"sort"
	"strings"
)

// output is one generated file in the making.
type output struct {
	g       *growth
	src     *source
	edits   []edit
	covered []span // what of the cell's text is in the file
	body    strings.Builder
	live    bool // it calls package live
}

// span is a stretch of a cell's text that belongs to one function or type.
type span struct {
	lo, hi int
	owner  string
}

// generate writes the step's files.
func (g *growth) generate(step *Step, promote bool) {
	paths := map[string]bool{}
	step.Funcs = map[string]string{}
	var locals []numbered
	for _, s := range g.next.sources {
		o := &output{g: g, src: s}
		o.declEdits()
		o.importEdits()
		if s != g.src {
			pollEdits(s, nil, &o.edits)
		} else {
			pollEdits(s, g.shape.defs, &o.edits)
			o.bodyEdits()
			if promote {
				// Before the others, so that a variable is written before its loop polls.
				o.edits = append(o.promoteEdits(), o.edits...)
			}
		}
		sortEdits(o.edits)
		for i, c := range o.declarations(step) {
			part := &output{g: g, src: s, edits: o.edits}
			part.write(c.lo, c.hi, c.owner)
			part.finish(fmt.Sprintf("cell%d_%d.go", s.cell.ID, i+1), step, paths, &locals)
		}
		if s == g.src {
			o.entry(step)
			o.extras(step)
		}
		o.finish(sourceFile(s), step, paths, &locals)
	}
	g.placeLocals(step, locals)
	for _, s := range g.next.sources {
		for _, it := range s.items {
			if print := g.prints[it.key]; print != "" && g.living(it) && !g.external[it] {
				step.Funcs[it.symbol()] = print
			}
		}
	}
	vars := g.variables(false)
	for _, im := range g.next.blanks {
		paths[im.path] = true
	}
	for _, v := range g.next.vars {
		for _, p := range v.form.imports {
			paths[p] = true
		}
	}
	for _, v := range g.renamed {
		for _, p := range v.form.imports {
			paths[p] = true
		}
	}
	g.next.mention(false, paths, nil)
	step.Files = append(step.Files, File{variablesFile, vars})
	delete(paths, "unsafe") // it has no package file
	step.Imports = slices.Sorted(maps.Keys(paths))
}

// finish adds the file to the step, or to those whose local types are yet to be numbered.
func (o *output) finish(name string, step *Step, paths map[string]bool, locals *[]numbered) {
	text, used := o.file()
	if text == "" {
		return
	}
	for _, p := range used {
		paths[p] = true
	}
	file := File{name, text}
	if names := o.src.localTypes(o.covered); names != nil {
		*locals = append(*locals, numbered{file: file, names: names})
	} else {
		step.Files = append(step.Files, file)
	}
}

// named reports whether generated code has the name at package level.
func (g *growth) named(name string) bool {
	if g.next.vars[name] != nil {
		return true
	}
	d := g.next.decls[name]
	return d != nil && g.living(d)
}

// declEdits blanks out the names that are not living, and renames functions.
func (o *output) declEdits() {
	s, g := o.src, o.g
	defer func() { o.edits = append(o.edits, s.renames...) }()
	for _, it := range s.items {
		lo, hi := s.offset(it.ident.Pos()), s.end(it.ident)
		switch {
		case it.kind == Func && it.once && it.name == "init":
			o.edits = append(o.edits, edit{off: lo, end: hi, text: it.key})
		case it.kind == Func && g.ghost(it):
			o.edits = append(o.edits, edit{off: lo, end: hi, text: oldName(it.key)})
			it.selfUses(func(id *ast.Ident) {
				o.edits = append(o.edits, edit{off: s.offset(id.Pos()), end: s.end(id), text: oldName(it.key)})
			})
		case g.living(it):
		case it.kind == Const:
			if it.name != "_" {
				o.edits = append(o.edits, edit{off: lo, end: hi, text: "_"})
			}
		case it.kind == Type:
			lo, hi := s.offset(it.spec.Pos()), s.end(it.spec)
			lines := strings.Count(s.cell.Text[lo:hi], "\n")
			o.edits = append(o.edits, edit{off: lo, end: hi, text: "_ struct{}" + strings.Repeat("\n", lines), drops: true})
		}
	}
}

// importEdits renames imports where their names mean something else in the package.
func (o *output) importEdits() {
	for _, u := range o.src.uses {
		switch {
		case u.dot != "" && o.clashes(u.imp):
			o.edits = append(o.edits, edit{off: u.off, end: u.off, text: dotName(u.imp) + "."})
		case u.dot == "" && o.g.named(u.imp.name):
			o.edits = append(o.edits, edit{off: u.off, end: u.off + len(u.imp.name), text: importName(u.imp.name)})
		}
	}
}

// clashes reports whether a dot import has an exported name that the program has too.
func (o *output) clashes(im *imported) bool {
	for name := range o.g.next.vars {
		if exports(im.pkg, name) {
			return true
		}
	}
	for name, d := range o.g.next.decls {
		if d.kind != Method && o.g.living(d) && exports(im.pkg, name) {
			return true
		}
	}
	return false
}

// bodyEdits turns the cell's statements into what runs: definitions into assignments,
// the last expression into a call that shows it.
func (o *output) bodyEdits() {
	s, g := o.src, o.g
	for _, a := range g.shape.defs {
		off := s.offset(a.TokPos)
		o.edits = append(o.edits, edit{off: off, end: off + 2, text: " ="})
	}
	for _, id := range g.res.early {
		name := strings.TrimPrefix(id.Name, oldPrefix)
		if g.renamed[oldName(name)] != nil || g.before[name] {
			off := s.offset(id.Pos())
			o.edits = append(o.edits, edit{off: off, end: off + len(name), text: oldName(name)})
		}
	}
	if last := g.shape.last; last != nil && g.shows(last.X) {
		lo, hi := s.offset(last.X.Pos()), s.end(last.X)
		o.edits = append(o.edits, edit{off: lo, end: lo, text: liveName + ".Show("}, edit{off: hi, end: hi, text: ")", tail: true})
		o.live = true
	}
}

// shows reports whether the value of the cell's last expression is to be shown.
func (g *growth) shows(e ast.Expr) bool {
	tv := g.info.Types[e]
	if tv.IsVoid() || tv.Type == nil {
		return false
	}
	if t, ok := tv.Type.(*types.Tuple); ok && t.Len() == 0 {
		return false
	}
	call, ok := ast.Unparen(e).(*ast.CallExpr)
	if !ok {
		return true
	}
	var id *ast.Ident
	switch f := ast.Unparen(call.Fun).(type) {
	case *ast.Ident:
		id = f
	case *ast.SelectorExpr:
		id = f.Sel
	}
	if id == nil {
		return true
	}
	f, ok := g.info.Uses[id].(*types.Func)
	if !ok || f.Pkg() == nil || f.Pkg().Path() != "fmt" {
		return true
	}
	res := f.Signature().Results()
	return res.Len() != 2 || show(res.At(0).Type()) != "int" || show(res.At(1).Type()) != "error"
}

// declarations writes the living declarations of the cell, chunk by chunk. It returns those that
// want a file of their own.
func (o *output) declarations(step *Step) (apart []span) {
	s := o.src
	for _, c := range s.chunks {
		if c.kind != constChunk && c.kind != typeChunk && c.kind != funcChunk {
			continue
		}
		owner, living := "", false
		var known *decl
		for _, it := range s.items {
			at := s.offset(it.ident.Pos())
			if c.start <= at && at < c.end && o.g.living(it) {
				owner, living = it.key, true
				if o.g.external[it] {
					known = it
				}
			}
		}
		switch {
		case !living:
		case known != nil:
			o.known(c.start, known, step)
		case s.within(c.start, c.end):
			apart = append(apart, span{c.start, c.end, owner})
		default:
			o.write(c.start, c.end, owner)
		}
	}
	return apart
}

// write adds a stretch of the cell's text, edited, to the file.
func (o *output) write(lo, hi int, owner string) {
	o.body.WriteString(o.src.render(lo, hi, o.edits))
	o.body.WriteString("\n")
	o.covered = append(o.covered, span{lo, hi, owner})
}

// entry writes the cell's function, if there is something to run.
func (o *output) entry(step *Step) {
	g, s := o.g, o.src
	before := o.body.Len()
	name := entryName(s.cell.ID)
	fmt.Fprintf(&o.body, "func %s() {\n", name)
	start := o.body.Len()
	if s.sequential {
		o.sequence(name)
	} else {
		o.initialisers(name)
		o.inits()
	}
	if d := g.next.decls["main"]; d != nil && d.source == s && d.kind == Func {
		line, col := s.place(s.offset(d.ident.Pos()))
		fmt.Fprintf(&o.body, "%smain()\n", directive(s.cell.Name, line, col))
	}
	if o.body.Len() == start {
		text := o.body.String()[:before]
		o.body.Reset()
		o.body.WriteString(text)
		return
	}
	o.body.WriteString("}\n")
	step.Entry = symbol(name)
}

// inits calls the cell's init functions.
func (o *output) inits() {
	for _, it := range o.src.items {
		if it.once && it.kind == Func && it.name == "init" {
			fmt.Fprintf(&o.body, "%s()\n", it.key)
		}
	}
}

// sequence writes statements and initialisers in the order of the text. Functions named init
// run before the first statement, or before what a main body begins with.
func (o *output) sequence(name string) {
	specs := o.src.vars
	next, begun := 0, false
	for _, c := range o.src.chunks {
		line, _ := o.src.place(c.first)
		body := o.src.cell.Main && c.kind == varChunk && line >= o.src.cell.MainLine
		if !begun && (body || c.kind == stmtChunk && c.first < c.end) {
			begun = true
			o.inits()
		}
		switch {
		case c.kind == stmtChunk && c.first < c.end:
			o.write(c.start, c.end, name)
		case c.kind == varChunk:
			for ; next < len(specs) && o.src.offset(specs[next].Pos()) < c.end; next++ {
				o.assign(specs[next], name)
			}
		}
	}
	if !begun {
		o.inits()
	}
}

// assign writes what a var spec does when it is run.
func (o *output) assign(spec *ast.ValueSpec, owner string) {
	s := o.src
	names := span{s.offset(spec.Names[0].Pos()), s.end(spec.Names[len(spec.Names)-1]), owner}
	if len(spec.Values) == 0 {
		o.reset(spec, owner)
		return
	}
	if !slices.ContainsFunc(spec.Names, func(id *ast.Ident) bool { return id.Name != "_" }) {
		lo, hi := s.offset(spec.Pos()), s.end(spec)
		fmt.Fprintf(&o.body, "var %s%s\n", s.inline(lo), s.splice(lo, hi, o.edits))
		o.covered = append(o.covered, span{lo, hi, owner})
		return
	}
	lo, hi := s.offset(spec.Values[0].Pos()), s.end(spec.Values[len(spec.Values)-1])
	fmt.Fprintf(&o.body, "%s%s = %s%s\n", s.inline(names.lo), s.splice(names.lo, names.hi, o.edits), s.inline(lo), s.splice(lo, hi, o.edits))
	o.covered = append(o.covered, span{lo, hi, owner})
}

// inline returns the directive for text in the middle of a line.
func (s *source) inline(off int) string {
	line, col := s.place(off)
	return directive(s.cell.Name, line, col)
}

// reset writes the assignment of zero values that running `var x T` again means.
func (o *output) reset(spec *ast.ValueSpec, owner string) {
	s := o.src
	var names, zeros []string
	for _, id := range spec.Names {
		if id.Name != "_" {
			names = append(names, goName(plain(id.Name)))
			zeros = append(zeros, "gradbook_z")
		}
	}
	if names == nil || spec.Type == nil {
		return
	}
	lo, hi := s.offset(spec.Type.Pos()), s.end(spec.Type)
	fmt.Fprintf(&o.body, "{ var gradbook_z %s%s; %s = %s }\n", s.inline(lo), s.splice(lo, hi, o.edits), strings.Join(names, ", "), strings.Join(zeros, ", "))
	o.covered = append(o.covered, span{lo, hi, owner})
}

// initialisers writes what a cell of declarations runs: resets, then initial values in Go's own order.
func (o *output) initialisers(owner string) {
	g, s := o.g, o.src
	specs := s.vars
	for _, spec := range specs {
		if len(spec.Values) > 0 || !slices.ContainsFunc(spec.Names, func(id *ast.Ident) bool {
			return id.Name != "_" && !g.next.vars[plain(id.Name)].new
		}) {
			continue
		}
		o.reset(spec, owner)
	}
	for _, in := range g.info.InitOrder {
		i := sort.Search(len(specs), func(i int) bool { return specs[i].Pos() > in.Rhs.Pos() }) - 1
		if i >= 0 && in.Rhs.Pos() < specs[i].End() {
			o.initialise(specs[i], in, owner)
		}
	}
}

func (o *output) initialise(spec *ast.ValueSpec, in *types.Initializer, owner string) {
	s := o.src
	var names []string
	blank := true
	for _, v := range in.Lhs {
		names = append(names, v.Name())
		blank = blank && v.Name() == "_"
	}
	if blank && len(spec.Names) == len(in.Lhs) {
		o.assign(spec, owner)
		return
	}
	lo, hi := s.offset(in.Rhs.Pos()), s.end(in.Rhs)
	fmt.Fprintf(&o.body, "%s%s = %s%s\n", s.inline(s.offset(in.Lhs[0].Pos())), strings.Join(names, ", "), s.inline(lo), s.splice(lo, hi, o.edits))
	o.covered = append(o.covered, span{lo, hi, owner})
}

// extras writes the functions that the loader asks for.
func (o *output) extras(step *Step) {
	g := o.g
	var refs []string
	for _, v := range step.Vars {
		if v.New {
			refs = append(refs, "&"+strings.TrimPrefix(v.Symbol, packagePath+"."))
		}
	}
	if refs != nil {
		name := varsName(o.src.cell.ID)
		fmt.Fprintf(&o.body, "func %s() []interface{} { return []interface{}{%s} }\n", name, strings.Join(refs, ", "))
		step.VarsFunc = symbol(name)
	}
	var descs []string
	for _, t := range g.described() {
		descs = append(descs, fmt.Sprintf("(*%s)(nil), []%s(nil), map[string]%s(nil)", t, t, t))
	}
	if descs != nil {
		// Never called: the compiler emits the types' descriptors for it.
		fmt.Fprintf(&o.body, "func %s() []interface{} { return []interface{}{%s} }\n", typesName(o.src.cell.ID), strings.Join(descs, ", "))
	}
}

// file returns the text of the file and the paths that it imports, or "" if there is nothing in it.
func (o *output) file() (string, []string) {
	body := o.body.String()
	if body == "" {
		return "", nil
	}
	var lines []string
	paths := map[string]bool{}
	kept := o.kept()
	for _, u := range o.src.uses {
		if !kept(u.off) {
			continue
		}
		line := fmt.Sprintf("import %s %q\n", u.imp.name, u.imp.path)
		switch {
		case u.dot != "" && o.clashes(u.imp):
			line = fmt.Sprintf("import %s %q\n", dotName(u.imp), u.imp.path)
		case u.dot == "" && o.g.named(u.imp.name):
			line = fmt.Sprintf("import %s %q\n", importName(u.imp.name), u.imp.path)
		}
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
		paths[u.imp.path] = true
	}
	if o.live || strings.Contains(body, liveName+".Poll()") {
		lines = append(lines, fmt.Sprintf("import %s %q\n", liveName, livePath))
		paths[livePath] = true
	}
	if strings.Contains(body, "//go:linkname ") && hasPath(o.src.imports, "unsafe") {
		lines = append(lines, "import _ \"unsafe\"\n") // the directive asks for it in its own file
	}
	sort.Strings(lines)
	return "package " + PackageName + "\n" + strings.Join(lines, "") + body, slices.Sorted(maps.Keys(paths))
}

// kept returns a function that reports whether the text at an offset is in the file and not edited away.
func (o *output) kept() func(off int) bool {
	var gone []edit
	for _, e := range o.edits {
		if e.drops {
			gone = append(gone, e)
		}
	}
	in := slices.Clone(o.covered)
	sort.Slice(in, func(i, j int) bool { return in[i].lo < in[j].lo })
	return func(off int) bool {
		for _, e := range gone {
			if e.off <= off && off < e.end {
				return false
			}
		}
		i := sort.Search(len(in), func(i int) bool { return in[i].lo > off }) - 1
		return i >= 0 && off < in[i].hi
	}
}
