package program

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"maps"
	"slices"
	"strings"
)

// grow brings a cell into a copy of the program's state.
func (p *Program) grow(cell Cell) (*Step, error) {
	src, err := parse(p.fset, cell)
	if err != nil {
		return nil, err
	}
	src.list()
	src.findLocals()
	g := &growth{imp: p.imp, fset: p.fset, prior: p.state, src: src}
	g.res = resolveCell(p.imp, p.state, src)
	if len(g.res.errs) > 0 {
		return nil, g.res.errs.tidy()
	}
	g.apply()
	g.reshape()
	g.check()
	if errs := append(g.res.errs, g.errs...); len(errs) > 0 {
		return nil, errs.tidy()
	}
	if errs := g.identify(); errs != nil {
		return nil, errs
	}
	g.keep()
	g.markReached()
	g.see()
	g.markKnown()
	step := &Step{program: p, prior: p.state, next: g.next}
	g.report(step)
	g.generate(step, p.Promote)
	return step, nil
}

// apply merges what the cell declares into the next state.
func (g *growth) apply() {
	g.next = g.prior.clone()
	g.before = g.res.old
	for name := range g.res.own {
		g.redeclare(name)
	}
	for _, im := range g.src.imports {
		switch im.name {
		case "_":
			if !hasPath(g.next.blanks, im.path) {
				g.next.blanks = append(g.next.blanks, im)
			}
		case ".":
			g.next.dots = append(without(g.next.dots, im.path), im)
		default:
			if !g.res.own[im.name] {
				g.redeclare(im.name)
			}
			g.next.names[im.name] = im
		}
	}
	for _, it := range g.src.items {
		if it.once {
			continue
		}
		g.next.decls[it.key] = it
	}
	live := map[*source]bool{g.src: true}
	for _, d := range g.next.decls {
		live[d.source] = true
	}
	for name := range g.before {
		if d := g.prior.decls[name]; d != nil {
			live[d.source] = true
		}
	}
	g.next.sources = slices.DeleteFunc(append(g.next.sources, g.src), func(s *source) bool { return !live[s] })
}

func hasPath(list []*imported, path string) bool {
	return slices.ContainsFunc(list, func(im *imported) bool { return im.path == path })
}

func without(list []*imported, path string) []*imported {
	return slices.DeleteFunc(list, func(im *imported) bool { return im.path == path })
}

// redeclare takes away what the name meant. A variable's identity is dropped later, if
// it does not go on.
func (g *growth) redeclare(name string) {
	delete(g.next.vars, name)
	g.next.remove(name)
}

// identify gives the cell's variables their identities.
func (g *growth) identify() Errors {
	g.renamed = map[string]*variable{}
	values, docs := g.values(), g.src.docs()
	for _, name := range g.declared {
		obj := g.pkg.Scope().Lookup(goName(name))
		if obj.Type() == types.Typ[types.Invalid] {
			return Errors{g.src.diagnostic(g.src.offset(obj.Pos()), "initialization cycle: %s refers to itself", name)}
		}
		v := &variable{name: name, cell: g.src.cell.Name, doc: docs[name], typ: obj.Type(), shown: show(obj.Type())}
		f, ok := spell(v.typ)
		if old := g.prior.vars[name]; !ok && old != nil && old.form.skeleton != "" && carried(old.typ, v.typ) == "" {
			f, ok = old.form, true // so that it does not grow each time the cell is run
		}
		if !ok {
			f, ok = g.skeleton(values[name], v.typ)
		}
		if !ok {
			off := g.src.offset(obj.Pos())
			return Errors{g.src.diagnostic(off, "the type %s of %s cannot be kept beyond the cell: use %s inside a function, or convert it to an interface", v.shown, name, name)}
		}
		v.form = f
		old := g.prior.vars[name]
		switch {
		case old != nil && carried(old.typ, v.typ) == "":
			v.identity, v.reached = old.identity, old.reached
			delete(g.before, name)
		default:
			v.identity, v.new = g.next.identity(name), true
		}
		g.next.vars[name] = v
	}
	for name := range g.before {
		if old := g.prior.vars[name]; old != nil {
			c := *old
			c.new = false
			g.renamed[oldName(name)] = &c
		}
	}
	return nil
}

// value is where a variable's value comes from: the i-th of n that the expression gives.
type value struct {
	expr ast.Expr
	i, n int
}

// values returns where the values of the cell's variables come from.
func (g *growth) values() map[string]value {
	all := map[string]value{}
	add := func(spec *ast.ValueSpec) {
		for i, id := range spec.Names {
			switch {
			case len(spec.Values) == len(spec.Names):
				all[plain(id.Name)] = value{spec.Values[i], 0, 1}
			case len(spec.Values) == 1:
				all[plain(id.Name)] = value{spec.Values[0], i, len(spec.Names)}
			}
		}
	}
	for _, spec := range g.src.vars {
		add(spec)
	}
	for _, d := range g.shape.decls {
		add(d.(*ast.GenDecl).Specs[0].(*ast.ValueSpec))
	}
	return all
}

// skeleton returns the form of a variable whose type cannot be spelled.
func (g *growth) skeleton(v value, t types.Type) (form, bool) {
	if v.expr == nil {
		return form{}, false
	}
	k := &skeleton{speller: speller{map[string]bool{}}, info: g.info}
	k.vars = func(obj types.Object) *variable {
		o, ok := obj.(*types.Var)
		if !ok || o.Parent() != g.pkg.Scope() {
			return nil
		}
		var found *variable
		if w := g.next.vars[plain(o.Name())]; w != nil {
			found = w
		} else if len(o.Name()) > len(oldPrefix) {
			found = g.prior.vars[o.Name()[len(oldPrefix):]]
		}
		if found == nil || found.form.skeleton == "" {
			return nil
		}
		return found
	}
	if id, is := ast.Unparen(v.expr).(*ast.Ident); is {
		if w := k.vars(g.info.Uses[id]); w != nil {
			return w.form, true
		}
	}
	n := v.n
	text, ok := k.expr(v.expr)
	if !ok {
		// A function of the program can only have the type from one of its arguments.
		n, v.i = 1, 0
		ast.Inspect(v.expr, func(m ast.Node) bool {
			if e, is := m.(ast.Expr); is && !ok && e != v.expr && g.info.Types[e].IsValue() && types.Identical(g.info.Types[e].Type, t) {
				text, ok = k.expr(e)
			}
			return !ok
		})
	}
	if !ok {
		return form{}, false
	}
	if call, isCall := v.expr.(*ast.CallExpr); n > 1 && !(isCall && g.info.Types[call].Type != nil && isTuple(g.info.Types[call].Type, n)) {
		n = 1 // v, ok := x[k] and the like
	}
	return form{skeleton: zeroCall(n, v.i) + "(" + text + ")", imports: slices.Sorted(maps.Keys(k.imports))}, true
}

func isTuple(t types.Type, n int) bool {
	tuple, ok := t.(*types.Tuple)
	return ok && tuple.Len() == n
}

// keep decides about the variables that the cell does not declare: they go on, are converted, or are lost.
func (g *growth) keep() {
	for _, name := range slices.Sorted(maps.Keys(g.next.vars)) {
		v := g.next.vars[name]
		if slices.Contains(g.declared, name) {
			continue
		}
		if why, gone := g.gone[name]; gone {
			g.lost = append(g.lost, Loss{Var: v.public(goName(name)), Why: g.whyGone(v, why)})
			delete(g.next.vars, name)
			g.drop(v)
			continue
		}
		obj := g.pkg.Scope().Lookup(goName(name))
		why := carried(v.typ, obj.Type())
		if why != "" {
			old := *v
			v.identity, v.new = g.next.identity(name), true
			kept, parts := convertible(old.typ, obj.Type())
			if kept {
				g.convert = append(g.convert, Conversion{old.identity, v.identity})
			}
			if len(parts) > 0 {
				g.lost = append(g.lost, Loss{Var: old.public(goName(name)), Why: strings.Join(parts, "; ") + "; the rest is kept"})
			} else if !kept {
				g.lost = append(g.lost, Loss{Var: old.public(goName(name)), Why: why})
			}
			g.drop(&old)
		}
		v.typ, v.shown = obj.Type(), show(obj.Type())
	}
	for name, v := range g.prior.vars {
		if now := g.next.vars[name]; now != nil && (now.identity == v.identity || !slices.Contains(g.declared, name)) {
			continue
		}
		if _, gone := g.gone[name]; gone && !slices.Contains(g.declared, name) {
			continue
		}
		switch {
		case !g.before[name]:
			g.drop(v)
		case !v.reached:
			// The cell still reads it: it goes with the next step.
			g.next.dropped = append(g.next.dropped, v.identity)
		}
	}
}

// drop gives a variable's value up, unless code or pointers of earlier cells may still hold the variable.
func (g *growth) drop(v *variable) {
	if !v.reached {
		g.dropped = append(g.dropped, v.identity)
	}
}

// whyGone says why a variable's type is no more.
func (g *growth) whyGone(v *variable, msg string) string {
	why := fmt.Sprintf("its type %s is no more: %s", v.shown, msg)
	for name, d := range g.next.aside {
		if msg == "undefined: "+name {
			why = fmt.Sprintf("its type %s is set aside: %s", v.shown, d)
		}
	}
	return why
}

// public returns what a step says of a variable.
func (v *variable) public(name string) Var {
	return Var{Name: v.name, Symbol: symbol(name), Identity: v.identity, New: v.new, Type: v.shown}
}

// report fills in what the step means for values and declarations.
func (g *growth) report(step *Step) {
	for _, name := range slices.Sorted(maps.Keys(g.next.vars)) {
		step.Vars = append(step.Vars, g.next.vars[name].public(goName(name)))
	}
	for _, name := range slices.Sorted(maps.Keys(g.renamed)) {
		step.Vars = append(step.Vars, g.renamed[name].public(name))
	}
	step.Lost, step.Convert = g.lost, g.convert
	step.Dropped = append(slices.Clone(g.prior.dropped), g.dropped...)
	slices.Sort(step.Dropped)
	for key := range g.next.aside {
		if g.next.decls[key] == nil {
			delete(g.next.aside, key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(g.next.aside)) {
		if _, before := g.prior.aside[key]; !before {
			step.SetAside = append(step.SetAside, g.next.aside[key])
		}
	}
	for _, key := range slices.Sorted(maps.Keys(g.prior.aside)) {
		_, still := g.next.aside[key]
		if !still && g.next.decls[key] == g.prior.decls[key] {
			step.Restored = append(step.Restored, key)
		}
	}
	for _, it := range g.src.items {
		if !it.once {
			step.Declared = append(step.Declared, it.key)
		}
	}
	step.Declared = append(step.Declared, g.declared...)
}

// changed returns the names of the types whose own declaration or methods are not those of the step before.
func (g *growth) changed() map[string]bool {
	members := func(st *state) map[string]map[*decl]bool {
		all := map[string]map[*decl]bool{}
		for key, d := range st.decls {
			if _, aside := st.aside[key]; aside {
				continue
			}
			name := ""
			switch d.kind {
			case Type:
				name = d.name
			case Method:
				name = receiver(d.fn)
			default:
				continue
			}
			if all[name] == nil {
				all[name] = map[*decl]bool{}
			}
			all[name][d] = true
		}
		return all
	}
	old, now := members(g.prior), members(g.next)
	out := map[string]bool{}
	for name, m := range now {
		if !maps.Equal(m, old[name]) {
			out[name] = true
		}
	}
	return out
}

// described returns the names of types whose descriptors the cell's file has to bring about.
func (g *growth) described() []string {
	changed := g.changed()
	var out []string
	for _, name := range slices.Sorted(maps.Keys(g.next.decls)) {
		d := g.next.decls[name]
		if _, aside := g.next.aside[name]; d.kind != Type || aside {
			continue
		}
		spec := d.spec.(*ast.TypeSpec)
		obj, ok := g.pkg.Scope().Lookup(goName(name)).(*types.TypeName)
		if !ok || spec.Assign.IsValid() || spec.TypeParams != nil {
			continue
		}
		if i, ok := obj.Type().Underlying().(*types.Interface); ok && !i.IsMethodSet() {
			continue
		}
		if touches(obj.Type(), changed, map[types.Type]bool{}) {
			out = append(out, goName(name))
		}
	}
	return out
}

// forget lets go of the files that were added to the file set from base on.
func (p *Program) forget(base int) {
	var files []*token.File
	p.fset.Iterate(func(f *token.File) bool {
		if f.Base() >= base {
			files = append(files, f)
		}
		return true
	})
	for _, f := range files {
		p.fset.RemoveFile(f)
	}
}
