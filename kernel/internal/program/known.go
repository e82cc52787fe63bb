package program

import (
	"crypto/sha256"
	"fmt"
	"go/ast"
	"go/types"
	"slices"
	"sort"
	"strings"
)

// A large function that is as it was when it was loaded, down to all that it uses, need not be compiled again: the cell's object refers
// to the code that the live program has. So the time of a cell does not grow with the notebook. Small functions are compiled
// again all the same, so that they can be inlined into the cell.

// inlinable is a bound for what the compiler may inline, in the measure of large.
const inlinable = 120

// fingerprints say what a function's code depends on: the hash of its text and of all that it uses, transitively.
type fingerprints struct {
	g    *growth
	uses map[string][]string // of a declaration or variable, by key
	text map[string]string
}

// markKnown gives each function of the step its fingerprint, and finds those that the live program has.
func (g *growth) markKnown() {
	p := &fingerprints{g: g, uses: map[string][]string{}, text: map[string]string{}}
	p.collect()
	g.external = map[*decl]bool{}
	g.prints = map[string]string{}
	for _, s := range g.next.sources {
		for _, it := range s.items {
			if it.fn == nil || it.once || g.ghost(it) || !g.living(it) || it.fn.Type.TypeParams != nil || it.fn.Body == nil || !g.plainReceiver(it) {
				continue
			}
			print := p.of(it.key)
			g.prints[it.key] = print
			if s != g.src && it.key != "main" && g.prior.compiled[it.key] == print && large(it.fn) && !directed(s, it.fn) {
				g.external[it] = true
			}
		}
	}
	g.next.compiled = g.prints
}

// plainReceiver reports whether the declaration is a function, or a method whose receiver is a type without parameters by its own name.
func (g *growth) plainReceiver(d *decl) bool {
	if d.kind != Method {
		return d.kind == Func
	}
	if t, ok := g.pkg.Scope().Lookup(goName(receiver(d.fn))).(*types.TypeName); !ok || t.IsAlias() {
		return false
	}
	t := ast.Unparen(d.fn.Recv.List[0].Type)
	if p, ok := t.(*ast.StarExpr); ok {
		t = ast.Unparen(p.X)
	}
	_, ok := t.(*ast.Ident)
	return ok
}

// symbol is the linker's name of a function or method.
func (d *decl) symbol() string {
	if d.kind != Method {
		return symbol(goName(d.name))
	}
	base := goName(receiver(d.fn))
	if _, pointer := ast.Unparen(d.fn.Recv.List[0].Type).(*ast.StarExpr); pointer {
		base = "(*" + base + ")"
	}
	return symbol(base + "." + d.fn.Name.Name)
}

// large reports whether a function is too large to be inlined: by its syntax nodes, of which a call weighs as many more.
func large(f *ast.FuncDecl) bool {
	weight := 0
	ast.Inspect(f.Body, func(n ast.Node) bool {
		if n != nil {
			weight++
		}
		if _, call := n.(*ast.CallExpr); call {
			weight += 20
		}
		return true
	})
	return weight > inlinable
}

// known writes a function whose code the live program has: without a body. A method has to have one: it passes its
// arguments on to that code, which takes the receiver as a function takes its first parameter.
func (o *output) known(lo int, d *decl, step *Step) {
	s, f := o.src, d.fn
	hi := s.offset(f.Body.Pos())
	o.covered = append(o.covered, span{lo, hi, d.key})
	if d.kind != Method {
		o.body.WriteString(s.render(lo, hi, o.edits) + "\n")
		step.Known = append(step.Known, d.symbol())
		step.Funcs[d.symbol()] = o.g.prints[d.key]
		return
	}
	text := func(e ast.Expr) string { return s.splice(s.offset(e.Pos()), s.end(e), o.edits) }
	name := fmt.Sprintf("gradbook_known_%d", len(step.Known))
	recv := "r " + text(f.Recv.List[0].Type)
	params, args := []string{recv}, []string{"r"}
	for _, p := range f.Type.Params.List {
		for range max(len(p.Names), 1) {
			arg := fmt.Sprintf("p%d", len(args))
			params = append(params, arg+" "+text(p.Type))
			if _, more := p.Type.(*ast.Ellipsis); more {
				arg += "..."
			}
			args = append(args, arg)
		}
	}
	var results []string
	if f.Type.Results != nil {
		for _, p := range f.Type.Results.List {
			for range max(len(p.Names), 1) {
				results = append(results, text(p.Type))
			}
		}
	}
	call := name + "(" + strings.Join(args, ", ") + ")"
	if results != nil {
		call = "return " + call
	}
	signature := "(" + strings.Join(results, ", ") + ") "
	// In traces the place of what only passes on is not the user's.
	fmt.Fprintf(&o.body, "func (%s) %s(%s) %s/*line gradbook:1:1*/ { %s }\n", recv, f.Name.Name, strings.Join(params[1:], ", "), signature, call)
	fmt.Fprintf(&o.body, "func %s(%s) %s\n", name, strings.Join(params, ", "), signature)
	step.Known = append(step.Known, symbol(name))
	step.Funcs[symbol(name)] = o.g.prints[d.key]
}

// directed reports whether a compiler directive stands at or in the function.
func directed(s *source, f *ast.FuncDecl) bool {
	lo, hi := s.offset(f.Pos()), s.end(f)
	if f.Doc != nil {
		lo = s.offset(f.Doc.Pos())
	}
	return strings.Contains(s.cell.Text[lo:hi], "//go:")
}

func (p *fingerprints) collect() {
	for _, s := range p.g.next.sources {
		var imports []string
		for _, im := range s.imports {
			imports = append(imports, im.name+" "+im.path)
		}
		sort.Strings(imports)
		for _, it := range s.items {
			if it.once || !p.g.living(it) || p.g.ghost(it) {
				continue
			}
			var node ast.Node = it.node()
			if it.gen != nil {
				node = it.gen // of a const group every name counts
			}
			p.text[it.key] = s.cell.Text[s.offset(node.Pos()):s.end(node)] + "\n" + strings.Join(imports, "\n")
			p.uses[it.key] = append(p.uses[it.key], p.used(node)...)
			if it.kind == Method { // who uses a type may depend on its methods
				base := receiver(it.fn)
				p.uses[base] = append(p.uses[base], it.key)
			}
		}
	}
	for name, v := range p.g.next.vars {
		key := "var " + name
		p.text[key] = v.identity + " " + v.shown
		p.uses[key] = named(v.typ)
	}
}

// used returns the keys of what a declaration's text refers to.
func (p *fingerprints) used(n ast.Node) []string {
	seen := map[string]bool{}
	ast.Inspect(n, func(n ast.Node) bool {
		id, ok := n.(*ast.Ident)
		if !ok {
			return true
		}
		if key := p.key(p.g.info.Uses[id]); key != "" {
			seen[key] = true
		}
		return true
	})
	var all []string
	for key := range seen {
		all = append(all, key)
	}
	return all
}

// key returns the key of an object at the program's package level, or of a method; else "".
func (p *fingerprints) key(obj types.Object) string {
	if obj == nil || obj.Pkg() != p.g.pkg {
		return ""
	}
	switch obj := obj.(type) {
	case *types.Func:
		obj = obj.Origin()
		recv := obj.Signature().Recv()
		if recv == nil {
			return plain(obj.Name())
		}
		t := types.Unalias(recv.Type())
		if ptr, ok := t.(*types.Pointer); ok {
			t = types.Unalias(ptr.Elem())
		}
		if n, ok := t.(*types.Named); ok {
			return plain(n.Obj().Name()) + "." + obj.Name()
		}
	case *types.Var:
		if obj.Parent() == p.g.pkg.Scope() {
			return "var " + plain(obj.Name())
		}
	case *types.TypeName, *types.Const:
		if obj.Parent() == p.g.pkg.Scope() {
			return plain(obj.Name())
		}
	}
	return ""
}

// named returns the names of the program's types that a type is made of.
func named(t types.Type) []string {
	var all []string
	seen := map[types.Type]bool{}
	var walk func(types.Type)
	walk = func(t types.Type) {
		t = types.Unalias(t)
		if t == nil || seen[t] {
			return
		}
		seen[t] = true
		switch t := t.(type) {
		case *types.Named:
			for i := range t.TypeArgs().Len() {
				walk(t.TypeArgs().At(i))
			}
			if ours(t) {
				all = append(all, plain(t.Obj().Name())) // its own uses lead on
			}
		case *types.Map:
			walk(t.Key())
			walk(t.Elem())
		case interface{ Elem() types.Type }:
			walk(t.Elem())
		case *types.Signature:
			walk(t.Params())
			walk(t.Results())
		case *types.Tuple:
			for i := range t.Len() {
				walk(t.At(i).Type())
			}
		case *types.Struct:
			for i := range t.NumFields() {
				walk(t.Field(i).Type())
			}
		case *types.Interface:
			for i := range t.NumMethods() {
				walk(t.Method(i).Type())
			}
		}
	}
	walk(t)
	return all
}

// of returns a declaration's fingerprint.
func (p *fingerprints) of(key string) string {
	reached := map[string]bool{key: true}
	for todo := []string{key}; len(todo) > 0; {
		k := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, u := range p.uses[k] {
			if !reached[u] {
				reached[u] = true
				todo = append(todo, u)
			}
		}
	}
	var all []string
	for k := range reached {
		all = append(all, k+"\x00"+p.text[k])
	}
	slices.Sort(all)
	return fmt.Sprintf("%x", sha256.Sum256([]byte(key+"\x01"+strings.Join(all, "\x01"))))[:32]
}
