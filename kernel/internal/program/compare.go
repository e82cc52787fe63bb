package program

import (
	"fmt"
	"go/types"
	"strings"
)

// comparison compares types of two steps, which never share objects for the program's own
// types: those are compared by name and content. It says whether a value can
// be kept as it is, and if not, what stands in the way.
type comparison struct {
	seen map[[2]types.Type]bool // pairs under comparison or found alike
	at   *types.Named           // the named type in which the difference was found
}

// carried returns "" if a variable of the old type can go on as one of the new type:
// everything that is reachable keeps its memory layout, and no interface has
// changed. Else it says what differs, in words for a user.
func carried(old, new types.Type) string {
	c := &comparison{seen: map[[2]types.Type]bool{}}
	diff := c.differ(old, new)
	if diff == "" {
		return ""
	}
	text := show(old)
	switch {
	case c.at == nil:
		return fmt.Sprintf("its type has changed: %s", diff)
	case show(c.at) == text:
		return fmt.Sprintf("its type %s has changed: %s", text, diff)
	}
	return fmt.Sprintf("its type %s reaches %s, which has changed: %s", text, show(c.at), diff)
}

// show returns a type as the user would write it.
func show(t types.Type) string {
	text := types.TypeString(t, func(p *types.Package) string {
		if p.Path() == packagePath {
			return ""
		}
		return p.Name()
	})
	return strings.ReplaceAll(text, ownPrefix, "")
}

// ours reports whether a named type is declared by the program.
func ours(t *types.Named) bool {
	p := t.Obj().Pkg()
	return p != nil && p.Path() == packagePath
}

func was(old, new types.Type) string {
	if show(old) == show(new) {
		return fmt.Sprintf("%s is no longer the same type", show(old))
	}
	return fmt.Sprintf("it was %s, is %s", show(old), show(new))
}

// differ returns what differs, or "".
func (c *comparison) differ(old, new types.Type) string {
	old, new = types.Unalias(old), types.Unalias(new)
	if old == new {
		return ""
	}
	key := [2]types.Type{old, new}
	if c.seen[key] {
		return ""
	}
	c.seen[key] = true
	if o, ok := old.(*types.Named); ok {
		n, ok := new.(*types.Named)
		if !ok {
			return was(old, new)
		}
		return c.named(o, n)
	}
	if _, ok := new.(*types.Named); ok {
		return was(old, new)
	}
	switch o := old.(type) {
	case *types.Basic:
		if n, ok := new.(*types.Basic); ok && n.Kind() == o.Kind() {
			return ""
		}
	case *types.Pointer:
		if n, ok := new.(*types.Pointer); ok {
			return c.part(old, new, o.Elem(), n.Elem())
		}
	case *types.Slice:
		if n, ok := new.(*types.Slice); ok {
			return c.part(old, new, o.Elem(), n.Elem())
		}
	case *types.Array:
		if n, ok := new.(*types.Array); ok && n.Len() == o.Len() {
			return c.part(old, new, o.Elem(), n.Elem())
		}
	case *types.Chan:
		if n, ok := new.(*types.Chan); ok && n.Dir() == o.Dir() {
			return c.part(old, new, o.Elem(), n.Elem())
		}
	case *types.Map:
		if n, ok := new.(*types.Map); ok {
			if d := c.part(old, new, o.Key(), n.Key()); d != "" {
				return d
			}
			return c.part(old, new, o.Elem(), n.Elem())
		}
	case *types.Signature:
		if n, ok := new.(*types.Signature); ok {
			return c.signature(o, n)
		}
	case *types.Struct:
		if n, ok := new.(*types.Struct); ok {
			return c.structure(o, n)
		}
	case *types.Interface:
		if n, ok := new.(*types.Interface); ok {
			return c.iface(o, n)
		}
	case *types.TypeParam:
		if n, ok := new.(*types.TypeParam); ok && n.Index() == o.Index() {
			return ""
		}
	}
	return was(old, new)
}

// part compares what two composite types are made of; where the parts are not
// the same kind of thing at all, the difference is that of the composites.
func (c *comparison) part(old, new, oldPart, newPart types.Type) string {
	at := c.at
	d := c.differ(oldPart, newPart)
	if d != "" && c.at == at {
		return was(old, new)
	}
	return d
}

func (c *comparison) named(old, new *types.Named) string {
	if show(old.Origin()) != show(new.Origin()) && old.Obj().Name() != new.Obj().Name() {
		return was(old, new)
	}
	if ours(old) != ours(new) || old.TypeArgs().Len() != new.TypeArgs().Len() {
		return was(old, new)
	}
	for i := range old.TypeArgs().Len() {
		if d := c.differ(old.TypeArgs().At(i), new.TypeArgs().At(i)); d != "" {
			return d
		}
	}
	if !ours(old) {
		if old.Obj().Pkg() != nil && (new.Obj().Pkg() == nil || old.Obj().Pkg().Path() != new.Obj().Pkg().Path()) || old.Obj().Name() != new.Obj().Name() {
			return was(old, new)
		}
		// Two versions of a package are never loaded together.
		return ""
	}
	at := c.at
	c.at = nil
	d := c.differ(old.Underlying(), new.Underlying())
	if d == "" {
		c.at = at
	} else if c.at == nil {
		c.at = old
	}
	return d
}

func (c *comparison) signature(old, new *types.Signature) string {
	if old.Params().Len() != new.Params().Len() || old.Results().Len() != new.Results().Len() || old.Variadic() != new.Variadic() {
		return was(old, new)
	}
	for _, t := range [][2]*types.Tuple{{old.Params(), new.Params()}, {old.Results(), new.Results()}} {
		for i := range t[0].Len() {
			if d := c.part(old, new, t[0].At(i).Type(), t[1].At(i).Type()); d != "" {
				return d
			}
		}
	}
	return ""
}

func (c *comparison) structure(old, new *types.Struct) string {
	fields := map[string]*types.Var{}
	for i := range new.NumFields() {
		fields[new.Field(i).Name()] = new.Field(i)
	}
	for i := range old.NumFields() {
		f := old.Field(i)
		n := fields[f.Name()]
		if i < new.NumFields() && new.Field(i).Name() == f.Name() {
			n = new.Field(i) // there can be several blank ones
		}
		if n == nil {
			return fmt.Sprintf("field %s is gone", f.Name())
		}
		at := c.at
		if d := c.differ(f.Type(), n.Type()); d != "" {
			if c.at != at {
				return d
			}
			return fmt.Sprintf("field %s was %s, is %s", f.Name(), show(f.Type()), show(n.Type()))
		}
	}
	if new.NumFields() > old.NumFields() {
		return fmt.Sprintf("field %s is new", added(old, new))
	}
	for i := range new.NumFields() {
		if old.Field(i).Name() != new.Field(i).Name() {
			return fmt.Sprintf("field %s has moved", new.Field(i).Name())
		}
		if old.Field(i).Embedded() != new.Field(i).Embedded() {
			return fmt.Sprintf("field %s is embedded in one and not in the other", new.Field(i).Name())
		}
	}
	return ""
}

// added returns the first field that only new has.
func added(old, new *types.Struct) string {
	have := map[string]bool{}
	for i := range old.NumFields() {
		have[old.Field(i).Name()] = true
	}
	for i := range new.NumFields() {
		if !have[new.Field(i).Name()] {
			return new.Field(i).Name()
		}
	}
	return "_"
}

func (c *comparison) iface(old, new *types.Interface) string {
	methods := map[string]*types.Func{}
	for i := range new.NumMethods() {
		methods[new.Method(i).Id()] = new.Method(i)
	}
	for i := range old.NumMethods() {
		o := old.Method(i)
		n := methods[o.Id()]
		if n == nil {
			return fmt.Sprintf("method %s is gone from the interface", o.Name())
		}
		delete(methods, o.Id())
		if d := c.differ(o.Type(), n.Type()); d != "" {
			return fmt.Sprintf("method %s of the interface has changed", o.Name())
		}
	}
	for i := range new.NumMethods() {
		if m := new.Method(i); methods[m.Id()] != nil {
			return fmt.Sprintf("method %s is new in the interface", m.Name())
		}
	}
	if old.IsComparable() != new.IsComparable() || old.IsMethodSet() != new.IsMethodSet() {
		return was(old, new)
	}
	return ""
}

// convertible reports whether a value of the old type, which cannot go on as it is, can be
// copied into one of the new type by field name, and names the fields that cannot be.
func convertible(old, new types.Type) (ok bool, lost []string) {
	c := &conversion{seen: map[[2]types.Type]bool{}}
	ok = c.can(old, new)
	if !ok {
		return false, nil
	}
	return true, c.lost
}

// conversion holds the pairs of types that are being looked at.
type conversion struct {
	seen map[[2]types.Type]bool
	lost []string
}

func (c *conversion) can(old, new types.Type) bool {
	old, new = types.Unalias(old), types.Unalias(new)
	if carried(old, new) == "" {
		return true
	}
	key := [2]types.Type{old, new}
	if c.seen[key] {
		return true
	}
	c.seen[key] = true
	o, ok1 := old.(*types.Named)
	n, ok2 := new.(*types.Named)
	if ok1 != ok2 {
		return false
	}
	if ok1 {
		if !ours(o) || !ours(n) || o.Obj().Name() != n.Obj().Name() {
			return false
		}
		if os, is := o.Underlying().(*types.Struct); is {
			ns, ok := n.Underlying().(*types.Struct)
			return ok && c.fields(show(o), os, ns)
		}
		return c.can(o.Underlying(), n.Underlying())
	}
	switch o := old.(type) {
	case *types.Pointer:
		n, ok := new.(*types.Pointer)
		return ok && c.can(o.Elem(), n.Elem())
	case *types.Slice:
		n, ok := new.(*types.Slice)
		return ok && c.can(o.Elem(), n.Elem())
	case *types.Array:
		n, ok := new.(*types.Array)
		return ok && n.Len() == o.Len() && c.can(o.Elem(), n.Elem())
	case *types.Map:
		n, ok := new.(*types.Map)
		return ok && c.can(o.Key(), n.Key()) && c.can(o.Elem(), n.Elem())
	case *types.Struct:
		n, ok := new.(*types.Struct)
		return ok && c.fields(show(o), o, n)
	}
	return false
}

// fields reports whether at least one field survives, or there was none to lose, and notes those that do not.
func (c *conversion) fields(name string, old, new *types.Struct) bool {
	if old.NumFields() == 0 {
		return true
	}
	survives := false
	var lost []string
	for i := range old.NumFields() {
		o := old.Field(i)
		if o.Name() == "_" {
			continue
		}
		why := fmt.Sprintf("%s loses its field %s, which is gone", name, o.Name())
		for k := range new.NumFields() {
			n := new.Field(k)
			if o.Name() != n.Name() {
				continue
			}
			if c.can(o.Type(), n.Type()) {
				why = ""
			} else if why = carried(o.Type(), n.Type()); show(o.Type()) != show(n.Type()) {
				why = fmt.Sprintf("%s loses its field %s, which was %s and is %s", name, o.Name(), show(o.Type()), show(n.Type()))
			} else {
				why = fmt.Sprintf("%s loses its field %s: %s", name, o.Name(), why)
			}
		}
		if why == "" {
			survives = true
		} else {
			lost = append(lost, why)
		}
	}
	if survives {
		c.lost = append(c.lost, lost...)
	}
	return survives
}

// touches reports whether a type is made of one of the program's types in changed.
func touches(t types.Type, changed map[string]bool, seen map[types.Type]bool) bool {
	t = types.Unalias(t)
	if seen[t] {
		return false
	}
	seen[t] = true
	some := func(ts ...types.Type) bool {
		for _, t := range ts {
			if touches(t, changed, seen) {
				return true
			}
		}
		return false
	}
	tuple := func(vars *types.Tuple) bool {
		for i := range vars.Len() {
			if some(vars.At(i).Type()) {
				return true
			}
		}
		return false
	}
	switch t := t.(type) {
	case *types.Named:
		for i := range t.TypeArgs().Len() {
			if some(t.TypeArgs().At(i)) {
				return true
			}
		}
		if !ours(t) {
			return false
		}
		if changed[plain(t.Obj().Name())] {
			return true
		}
		for i := range t.NumMethods() {
			if some(t.Method(i).Type()) {
				return true
			}
		}
		return some(t.Underlying())
	case *types.Pointer:
		return some(t.Elem())
	case *types.Slice:
		return some(t.Elem())
	case *types.Array:
		return some(t.Elem())
	case *types.Chan:
		return some(t.Elem())
	case *types.Map:
		return some(t.Key(), t.Elem())
	case *types.Signature:
		return tuple(t.Params()) || tuple(t.Results())
	case *types.Struct:
		for i := range t.NumFields() {
			if some(t.Field(i).Type()) {
				return true
			}
		}
	case *types.Interface:
		for i := range t.NumMethods() {
			if some(t.Method(i).Type()) {
				return true
			}
		}
	}
	return false
}
