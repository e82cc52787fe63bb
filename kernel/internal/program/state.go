package program

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"maps"
	"slices"
)

// Kind says what a declaration declares.
type Kind string

// The kinds of declarations.
const (
	Func   Kind = "func"
	Method Kind = "method"
	Type   Kind = "type"
	Const  Kind = "const"
)

// decl is one declared name that is no variable.
type decl struct {
	key    string // the name, "T.M" for a method; unique in the program
	name   string
	kind   Kind
	source *source
	gen    *ast.GenDecl // for Type and Const
	spec   ast.Spec     // for Type and Const
	ident  *ast.Ident
	fn     *ast.FuncDecl // for Func and Method
	once   bool          // it lives in its own cell's step only: init functions, blank names
}

// node returns the declaration's syntax.
func (d *decl) node() ast.Node {
	if d.fn != nil {
		return d.fn
	}
	return d.spec
}

// variable is one package variable.
type variable struct {
	name     string
	identity string
	cell     string // the Name of the cell that declared it
	doc      string // the comment above its declaration, as it was written
	form     form   // how its declaration is written
	typ      types.Type
	shown    string // its type as a user would write it
	reached  bool   // code other than a cell's statements refers to it, or its address was taken; for ever
	new      bool   // first seen in this step
}

// form is how a variable's type is written in generated code: as a type, or,
// when it cannot be spelled, as an expression to infer it from.
type form struct {
	typ      string
	skeleton string
	imports  []string // paths that the text names by alias(path)
}

// imported is one import of a cell.
type imported struct {
	name  string // as the cell calls it; "." and "_" as in Go
	path  string
	pkg   *types.Package
	alias bool // the name is not the package's own
	auto  bool // no cell asked for it: it was added for a name that was undefined
}

// importUse is one identifier that means an import.
type importUse struct {
	off int // in the cell's text
	imp *imported
	dot string // the name, for a dot import
}

// state is what a program holds between two cells. Grow makes a new one and leaves the old as it is.
type state struct {
	sources  []*source        // cells with living declarations, oldest first
	decls    map[string]*decl // living declarations, set aside or not
	aside    map[string]Diagnostic
	vars     map[string]*variable
	names    map[string]*imported // imports by name, the latest of each
	dots     []*imported
	blanks   []*imported
	serial   int               // of the last identity
	dropped  []string          // identities to report as dropped with the next step
	compiled map[string]string // the fingerprint of each function whose code is loaded, by name
	fresh    bool              // the live program was started anew: it knows none of the variables
	seen     []form            // types that values in interfaces may have though no declaration names them
	numbers  map[string]int    // the first number of each declaration's local types, by their names
	number   int               // the last one given
}

func newState() *state {
	return &state{
		decls:   map[string]*decl{},
		aside:   map[string]Diagnostic{},
		vars:    map[string]*variable{},
		names:   map[string]*imported{},
		numbers: map[string]int{},
	}
}

// clone copies the state; variables are copied too, as they change from step to step.
func (st *state) clone() *state {
	n := *st
	n.sources = slices.Clone(st.sources)
	n.decls = maps.Clone(st.decls)
	n.aside = map[string]Diagnostic{}
	n.vars = map[string]*variable{}
	for name, v := range st.vars {
		c := *v
		c.new = st.fresh
		n.vars[name] = &c
	}
	n.names = maps.Clone(st.names)
	n.dots = slices.Clone(st.dots)
	n.blanks = slices.Clone(st.blanks)
	n.dropped, n.fresh = nil, false
	n.seen = slices.Clone(st.seen)
	n.numbers = maps.Clone(st.numbers)
	return &n
}

// identity makes a new identity for a variable.
func (st *state) identity(name string) string {
	st.serial++
	return fmt.Sprintf("%s#%d", name, st.serial)
}

// declared reports whether the program has the name at package level.
func (st *state) declared(name string) bool {
	return st.decls[name] != nil || st.vars[name] != nil
}

// remove takes the name away. A type's methods stay: they are declarations of their own, as in GoNB.
func (st *state) remove(name string) bool {
	if v := st.vars[name]; v != nil {
		if !v.reached {
			st.dropped = append(st.dropped, v.identity)
		}
		delete(st.vars, name)
		return true
	}
	d := st.decls[name]
	if d == nil {
		return false
	}
	delete(st.decls, name)
	return true
}

// sweep forgets the cells of which nothing lives on.
func (st *state) sweep() {
	live := map[*source]bool{}
	for _, d := range st.decls {
		live[d.source] = true
	}
	st.sources = slices.DeleteFunc(st.sources, func(s *source) bool { return !live[s] })
}

// list finds the declarations of a source that are no variables.
func (s *source) list() {
	inits, blanks := 0, 0
	for _, d := range s.ast.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d == s.body {
				continue
			}
			it := &decl{name: d.Name.Name, key: d.Name.Name, kind: Func, source: s, ident: d.Name, fn: d}
			switch {
			case d.Recv != nil:
				it.kind = Method
				it.key = receiver(d) + "." + d.Name.Name
				it.name = it.key
				if d.Name.Name == "_" {
					blanks++
					it.key, it.once = fmt.Sprintf("%s %d %d", it.key, s.cell.ID, blanks), true
				}
			case d.Name.Name == "init":
				inits++
				it.key, it.once = initName(s.cell.ID, inits), true
			case d.Name.Name == "_":
				blanks++
				it.key, it.once = fmt.Sprintf("_ %d %d", s.cell.ID, blanks), true
			}
			s.items = append(s.items, it)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					it := &decl{name: spec.Name.Name, key: spec.Name.Name, kind: Type, source: s, gen: d, spec: spec, ident: spec.Name}
					if it.name == "_" {
						blanks++
						it.key, it.once = fmt.Sprintf("_ %d %d", s.cell.ID, blanks), true
					}
					s.items = append(s.items, it)
				case *ast.ValueSpec:
					if d.Tok != token.CONST {
						continue
					}
					for _, id := range spec.Names {
						it := &decl{name: id.Name, key: id.Name, kind: Const, source: s, gen: d, spec: spec, ident: id}
						if it.name == "_" {
							blanks++
							it.key, it.once = fmt.Sprintf("_ %d %d", s.cell.ID, blanks), true
						}
						s.items = append(s.items, it)
					}
				}
			}
		}
	}
}

// receiver returns the name of a method's receiver base type.
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil || len(f.Recv.List) == 0 {
		return ""
	}
	t := f.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.ParenExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return plain(x.Name)
		default:
			return ""
		}
	}
}
