package program

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"reflect"
	"slices"
	"sort"
	"strconv"
)

// resolution finds what the identifiers of a new cell mean that its own syntax does
// not tell: imports, names of earlier cells, and names that the cell itself
// declares further down.
type resolution struct {
	imp    Imports
	prior  *state
	src    *source
	errs   Errors
	own    map[string]bool // names that the cell declares at package level
	byName map[string]*imported
	dots   []*imported
	starts map[string]int  // where a variable that the statements declare begins to exist
	short  map[string]bool // of those, the ones declared by :=
	early  []*ast.Ident    // uses before that
	old    map[string]bool // names among them that earlier cells declare
	dotted map[*ast.Ident]*imported
}

// declareImports reads the cell's import declarations.
func (r *resolution) declareImports() {
	for _, d := range r.src.ast.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.IMPORT {
			continue
		}
		for _, spec := range g.Specs {
			r.declareImport(spec.(*ast.ImportSpec))
		}
	}
}

func (r *resolution) declareImport(spec *ast.ImportSpec) {
	off := r.src.offset(spec.Path.Pos())
	path, err := strconv.Unquote(spec.Path.Value)
	if err != nil || path == "" {
		r.errs = append(r.errs, r.src.diagnostic(off, "invalid import path: %s", spec.Path.Value))
		return
	}
	pkg, err := importPackage(r.imp, path)
	if err != nil {
		r.errs = append(r.errs, r.src.diagnostic(off, "could not import %s (%v)", path, err))
		return
	}
	im := &imported{name: pkg.Name(), path: path, pkg: pkg}
	if spec.Name != nil {
		im.name = spec.Name.Name
		im.alias = im.name != pkg.Name()
	}
	r.src.imports = append(r.src.imports, im)
	switch im.name {
	case "_":
	case ".":
		r.dots = append(r.dots, im)
	default:
		if before := r.byName[im.name]; before != nil && before.path != path {
			r.errs = append(r.errs, r.src.diagnostic(r.src.offset(spec.Pos()), "%s redeclared in this block", im.name))
			return
		}
		r.byName[im.name] = im
	}
}

// importPackage returns the package at path; unsafe is the checker's own.
func importPackage(imp Imports, path string) (*types.Package, error) {
	if path == "unsafe" {
		return types.Unsafe, nil
	}
	return imp.Import(path)
}

// topStatements calls f for each statement at the top level of the cell, labels removed.
func (s *source) topStatements(f func(ast.Stmt)) {
	for _, st := range s.body.Body.List {
		for {
			l, ok := st.(*ast.LabeledStmt)
			if !ok {
				break
			}
			st = l.Stmt
		}
		f(st)
	}
}

// declareNames finds the names that the cell declares, and from where on
// variables of its statements exist.
func (r *resolution) declareNames() {
	begin := func(name string, off int) {
		if at, ok := r.starts[name]; name != "_" && (!ok || off < at) {
			r.starts[name] = off
		}
	}
	for _, it := range r.src.items {
		if it.kind != Method && !it.once {
			r.own[it.name] = true
		}
	}
	for _, spec := range r.src.vars {
		for _, id := range spec.Names {
			r.own[id.Name] = true
			begin(id.Name, r.src.end(spec))
		}
	}
	r.src.topStatements(func(st ast.Stmt) {
		a, ok := st.(*ast.AssignStmt)
		if !ok || a.Tok != token.DEFINE {
			return
		}
		for _, l := range a.Lhs {
			if id, ok := l.(*ast.Ident); ok {
				r.own[id.Name] = true
				begin(id.Name, r.src.end(a))
				r.short[id.Name] = true
			}
		}
	})
	delete(r.own, "_")
}

// inSequence reports whether the identifier is run in the order of the text.
func (r *resolution) inSequence(id *ast.Ident) bool {
	if !r.src.sequential {
		return false
	}
	if id.Pos() >= r.src.body.Pos() {
		return true
	}
	vars := r.src.vars
	i := sort.Search(len(vars), func(i int) bool { return vars[i].Pos() > id.Pos() }) - 1
	return i >= 0 && id.Pos() < vars[i].End()
}

// resolve gives each identifier its meaning: those of imports are renamed in the syntax,
// and listed in uses; early uses of redeclared names are collected.
func (r *resolution) resolve() {
	r.declareImports()
	r.declareNames()
	selected := map[*ast.Ident]*ast.SelectorExpr{}
	var keys []*ast.Ident
	open := map[*ast.Ident]bool{}
	for _, id := range r.src.ast.Unresolved {
		open[id] = true
	}
	ast.Inspect(r.src.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if id, ok := n.X.(*ast.Ident); ok {
				selected[id] = n
			}
		case *ast.CompositeLit:
			keys = append(keys, r.keys(n)...)
		}
		return true
	})
	for _, id := range keys {
		if id.Obj == nil {
			open[id] = true
		}
	}
	declares := r.declaringIdents()
	for id := range declares {
		if r.own[id.Name] {
			r.rename(id)
		}
	}
	defined := map[*ast.Object]bool{}
	r.src.topStatements(func(st ast.Stmt) {
		if a, ok := st.(*ast.AssignStmt); ok && a.Tok == token.DEFINE {
			for _, l := range a.Lhs {
				if id, ok := l.(*ast.Ident); ok && id.Obj != nil && id.Obj.Decl == a {
					defined[id.Obj] = true
				}
			}
		}
	})
	ast.Inspect(r.src.ast, func(n ast.Node) bool {
		id, ok := n.(*ast.Ident)
		if !ok || id.Name == "_" || declares[id] {
			return true
		}
		global := open[id] || id.Obj != nil && id.Obj == r.src.ast.Scope.Lookup(id.Name)
		switch {
		case defined[id.Obj]:
			r.rename(id)
		case global:
			r.ident(id, selected[id])
		}
		return true
	})
	if len(r.dotted) > 0 {
		r.qualify(reflect.ValueOf(r.src.ast))
	}
	sort.Slice(r.src.uses, func(i, j int) bool { return r.src.uses[i].off < r.src.uses[j].off })
}

// declaringIdents returns the identifiers that declare a package-level name.
func (r *resolution) declaringIdents() map[*ast.Ident]bool {
	all := map[*ast.Ident]bool{}
	for _, it := range r.src.items {
		all[it.ident] = true
	}
	for _, spec := range r.src.vars {
		for _, id := range spec.Names {
			all[id] = true
		}
	}
	for _, d := range r.src.ast.Decls {
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.IMPORT {
			for _, spec := range g.Specs {
				if id := spec.(*ast.ImportSpec).Name; id != nil {
					all[id] = true
				}
			}
		}
	}
	return all
}

// keys returns the keys of a map or array literal that are plain names. Of a
// literal whose type does not show, they are taken for fields.
func (r *resolution) keys(lit *ast.CompositeLit) []*ast.Ident {
	if !r.keyed(lit.Type, 0) {
		return nil
	}
	var all []*ast.Ident
	for _, e := range lit.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			if id, ok := kv.Key.(*ast.Ident); ok {
				all = append(all, id)
			}
		}
	}
	return all
}

// keyed reports whether literals of the type have keys that are expressions.
func (r *resolution) keyed(t ast.Expr, depth int) bool {
	switch t := t.(type) {
	case *ast.MapType, *ast.ArrayType:
		return true
	case *ast.Ident:
		if depth > 10 {
			return false
		}
		if t.Obj != nil {
			if spec, ok := t.Obj.Decl.(*ast.TypeSpec); ok {
				return r.keyed(spec.Type, depth+1)
			}
		} else if d := r.prior.decls[t.Name]; d != nil && d.kind == Type {
			return r.keyed(d.spec.(*ast.TypeSpec).Type, depth+1)
		}
	}
	return false
}

// ident resolves one identifier that means something outside of functions.
func (r *resolution) ident(id *ast.Ident, sel *ast.SelectorExpr) {
	name := id.Name
	if r.own[name] {
		at, declares := r.starts[name]
		if r.ofItself(id) {
			r.early = append(r.early, id)
			r.src.lengthen(id, oldName(name))
			r.old[name] = true
			return
		}
		if !declares || !r.inSequence(id) || r.src.offset(id.Pos()) >= at {
			r.rename(id)
			return
		}
		switch {
		case r.prior.declared(name) && r.byName[name] == nil:
			r.early = append(r.early, id)
			r.src.lengthen(id, oldName(name))
			r.old[name] = true
			return
		case r.imports(id, sel):
			return
		case r.short[name] && types.Universe.Lookup(name) == nil:
			r.early = append(r.early, id)
			r.src.lengthen(id, oldName(name))
		}
		return
	}
	r.imports(id, sel)
}

// ofItself reports whether the identifier stands in the initial value of a variable of its own name that an earlier cell
// declares too: there it means that one.
func (r *resolution) ofItself(id *ast.Ident) bool {
	if r.src.sequential || r.prior.vars[id.Name] == nil {
		return false
	}
	return slices.ContainsFunc(r.src.vars, func(spec *ast.ValueSpec) bool {
		return spec.Pos() <= id.Pos() && id.Pos() < spec.End() && slices.ContainsFunc(spec.Names, func(n *ast.Ident) bool { return n.Name == id.Name })
	})
}

// rename gives a predeclared name that the program has taken its name in generated code.
func (r *resolution) rename(id *ast.Ident) {
	if name := goName(id.Name); name != id.Name {
		off := r.src.offset(id.Pos())
		r.src.renames = append(r.src.renames, edit{off: off, end: off + len(id.Name), text: name})
		r.src.lengthen(id, name)
	}
}

// lengthen gives an identifier another name.
func (s *source) lengthen(id *ast.Ident, name string) {
	s.grown[id] += len(name) - len(id.Name)
	id.Name = name
}

// imports resolves an identifier that the cell does not declare; it reports whether it is an import's.
func (r *resolution) imports(id *ast.Ident, sel *ast.SelectorExpr) bool {
	name := id.Name
	if im := r.byName[name]; im != nil {
		return r.use(id, im)
	}
	for _, im := range r.dots {
		if exports(im.pkg, name) {
			return r.useDot(id, im)
		}
	}
	if r.prior.declared(name) && !r.own[name] {
		r.rename(id)
		return false
	}
	if im := r.prior.names[name]; im != nil && sel != nil && (!im.auto || exports(im.pkg, sel.Sel.Name)) {
		return r.adopt(id, im)
	}
	for _, im := range r.prior.dots {
		if exports(im.pkg, name) {
			r.src.imports = append(r.src.imports, im)
			r.dots = append(r.dots, im)
			return r.useDot(id, im)
		}
	}
	if sel == nil || types.Universe.Lookup(name) != nil {
		return false
	}
	// The package that has all that the cell wants of it, else the one that has most: the checker then says what is missing.
	var best *imported
	most := -1
	for _, path := range r.imp.ByName(name) {
		pkg, err := importPackage(r.imp, path)
		if err != nil || pkg.Name() != name {
			continue
		}
		has := 0
		for sel := range r.wanted(name) {
			if exports(pkg, sel) {
				has++
			}
		}
		if has > most {
			best, most = &imported{name: name, path: path, pkg: pkg, auto: true}, has
		}
	}
	return best != nil && r.adopt(id, best)
}

// wanted returns what the cell selects from the name.
func (r *resolution) wanted(name string) map[string]bool {
	all := map[string]bool{}
	ast.Inspect(r.src.ast, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if id, ok := s.X.(*ast.Ident); ok && id.Name == name {
				all[s.Sel.Name] = true
			}
		}
		return true
	})
	return all
}

// adopt adds an import that the cell does not have.
func (r *resolution) adopt(id *ast.Ident, im *imported) bool {
	r.byName[im.name] = im
	r.src.imports = append(r.src.imports, im)
	return r.use(id, im)
}

// use marks the identifier as an import's.
func (r *resolution) use(id *ast.Ident, im *imported) bool {
	r.src.uses = append(r.src.uses, importUse{off: r.src.offset(id.Pos()), imp: im})
	r.src.lengthen(id, importName(im.name))
	return true
}

// useDot marks the identifier as one of a dot import.
func (r *resolution) useDot(id *ast.Ident, im *imported) bool {
	r.src.uses = append(r.src.uses, importUse{off: r.src.offset(id.Pos()), imp: im, dot: id.Name})
	r.dotted[id] = im
	return true
}

// exports reports whether a package has the exported name.
func exports(pkg *types.Package, name string) bool {
	return token.IsExported(name) && pkg.Scope().Lookup(name) != nil
}

// dotName is the name by which checked code calls a dot import, so that no name of the program clashes with its.
func dotName(im *imported) string { return importPrefix + "dot_" + alias(im.path) }

// qualify puts a selector in the place of each identifier of a dot import.
func (r *resolution) qualify(v reflect.Value) {
	switch v.Kind() {
	case reflect.Interface:
		if v.IsNil() {
			return
		}
		if id, ok := v.Interface().(*ast.Ident); ok {
			if im := r.dotted[id]; im != nil && v.CanSet() {
				x := &ast.Ident{NamePos: id.NamePos, Name: dotName(im)}
				v.Set(reflect.ValueOf(&ast.SelectorExpr{X: x, Sel: &ast.Ident{NamePos: id.NamePos, Name: id.Name}}))
			}
			return
		}
		r.qualify(v.Elem())
	case reflect.Pointer:
		switch v.Interface().(type) {
		case *ast.Object, *ast.Scope, *ast.Ident:
			return
		}
		if !v.IsNil() {
			r.qualify(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; name != "Unresolved" && name != "Comments" && name != "Imports" {
				r.qualify(v.Field(i))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			r.qualify(v.Index(i))
		}
	}
}

// resolveCell resolves the names of a cell against what the program has.
func resolveCell(imp Imports, prior *state, src *source) *resolution {
	r := &resolution{
		imp: imp, prior: prior, src: src,
		own: map[string]bool{}, byName: map[string]*imported{},
		starts: map[string]int{}, short: map[string]bool{},
		old: map[string]bool{}, dotted: map[*ast.Ident]*imported{},
	}
	r.resolve()
	return r
}

// oldName is the name by which a cell's code calls what name meant before the cell.
func oldName(name string) string { return fmt.Sprintf("%s%s", oldPrefix, name) }
