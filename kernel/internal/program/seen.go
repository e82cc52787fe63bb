package program

import (
	"fmt"
	"go/types"
	"slices"
	"strings"
)

// Values in interfaces may have types that no declaration names: instances of generic types, and structs without a name
// that embed types of the program. The code of their methods is made anew with each compile that mentions them; so that an edited method
// reaches such values, every compile mentions all that were ever seen.

// maxSeen bounds how many types are mentioned; the oldest are forgotten first.
const maxSeen = 200

// see notes the types of the cell's expressions.
func (g *growth) see() {
	for i := len(g.next.seen) - 1; i >= 0; i-- {
		if _, gone := g.gone[seenName(i)]; gone {
			g.next.seen = slices.Delete(g.next.seen, i, i+1)
		}
	}
	var fresh []form
	for e, tv := range g.info.Types {
		if tv.Type == nil || g.sourceAt(e.Pos()) != g.src {
			continue
		}
		t := types.Unalias(tv.Type)
		if p, ok := t.(*types.Pointer); ok {
			t = types.Unalias(p.Elem())
		}
		if !g.unnamed(t) {
			continue
		}
		if f, ok := spell(t); ok && f.skeleton == "" && !known(g.next.seen, f) && !known(fresh, f) {
			fresh = append(fresh, f)
		}
	}
	slices.SortFunc(fresh, func(a, b form) int { return strings.Compare(a.typ, b.typ) })
	g.next.seen = append(g.next.seen, fresh...)
	if n := len(g.next.seen) - maxSeen; n > 0 {
		g.next.seen = g.next.seen[n:]
	}
}

func known(list []form, f form) bool {
	return slices.ContainsFunc(list, func(k form) bool { return k.typ == f.typ })
}

// unnamed reports whether a type has methods of the program and no declaration of its own.
func (g *growth) unnamed(t types.Type) bool {
	switch t := t.(type) {
	case *types.Named:
		if !ours(t) || t.TypeArgs().Len() == 0 || t.NumMethods() == 0 || parametric(t, map[types.Type]bool{}) {
			return false
		}
		return t.Obj().Parent() == g.pkg.Scope()
	case *types.Struct:
		embeds := false
		for i := range t.NumFields() {
			embeds = embeds || t.Field(i).Embedded()
		}
		return embeds && types.NewMethodSet(types.NewPointer(t)).Len() > 0 && !parametric(t, map[types.Type]bool{})
	}
	return false
}

// parametric reports whether a type mentions a type parameter.
func parametric(t types.Type, seen map[types.Type]bool) bool {
	t = types.Unalias(t)
	if seen[t] {
		return false
	}
	seen[t] = true
	switch t := t.(type) {
	case *types.TypeParam:
		return true
	case *types.Named:
		for i := range t.TypeArgs().Len() {
			if parametric(t.TypeArgs().At(i), seen) {
				return true
			}
		}
	case interface{ Elem() types.Type }:
		if m, ok := t.(*types.Map); ok && parametric(m.Key(), seen) {
			return true
		}
		return parametric(t.Elem(), seen)
	case *types.Struct:
		for i := range t.NumFields() {
			if parametric(t.Field(i).Type(), seen) {
				return true
			}
		}
	case *types.Signature:
		return parametric(t.Params(), seen) || parametric(t.Results(), seen)
	case *types.Tuple:
		for i := range t.Len() {
			if parametric(t.At(i).Type(), seen) {
				return true
			}
		}
	case *types.Interface:
		for i := range t.NumMethods() {
			if parametric(t.Method(i).Type(), seen) {
				return true
			}
		}
	}
	return false
}

func seenName(i int) string { return fmt.Sprintf("gradbook_seen_%d", i) }

// mention returns the declarations that name the types seen: for checking one variable each, so that those are found whose
// types are no more; for the compiler a function that is never called.
func (st *state) mention(checking bool, paths map[string]bool, gone map[string]string) string {
	var b strings.Builder
	var list []string
	for i, f := range st.seen {
		if _, is := gone[seenName(i)]; checking && is {
			continue
		}
		for _, p := range f.imports {
			paths[p] = true
		}
		if checking {
			fmt.Fprintf(&b, "var %s %s\n", seenName(i), f.typ)
		} else {
			list = append(list, fmt.Sprintf("(*%s)(nil)", f.typ))
		}
	}
	if list != nil {
		fmt.Fprintf(&b, "func gradbook_seen() []interface{} { return []interface{}{%s} }\n", strings.Join(list, ", "))
	}
	return b.String()
}
