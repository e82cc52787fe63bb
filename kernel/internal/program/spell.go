package program

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"maps"
	"slices"
	"strings"
)

// speller writes types as Go text for generated code.
type speller struct {
	imports map[string]bool // paths that the text needs
}

// spell returns the text of a type, or false if code of the program cannot write it.
func spell(t types.Type) (form, bool) {
	s := &speller{map[string]bool{}}
	text, ok := s.typ(t)
	if !ok {
		return form{}, false
	}
	return form{typ: text, imports: slices.Sorted(maps.Keys(s.imports))}, true
}

func (s *speller) typ(t types.Type) (string, bool) {
	switch t := types.Unalias(t).(type) {
	case *types.Basic:
		if t.Kind() == types.UnsafePointer {
			s.imports["unsafe"] = true
			return alias("unsafe") + ".Pointer", true
		}
		return t.Name(), t.Info()&types.IsUntyped == 0 && t.Kind() != types.Invalid
	case *types.Named:
		return s.named(t)
	case *types.Pointer:
		return s.prefix("*", t.Elem())
	case *types.Slice:
		return s.prefix("[]", t.Elem())
	case *types.Array:
		return s.prefix(fmt.Sprintf("[%d]", t.Len()), t.Elem())
	case *types.Map:
		k, ok1 := s.typ(t.Key())
		e, ok2 := s.typ(t.Elem())
		return "map[" + k + "]" + e, ok1 && ok2
	case *types.Chan:
		e, ok := s.typ(t.Elem())
		switch t.Dir() {
		case types.SendOnly:
			return "chan<- " + e, ok
		case types.RecvOnly:
			return "(<-chan " + e + ")", ok
		}
		return "chan (" + e + ")", ok
	case *types.Signature:
		sig, ok := s.signature(t)
		return "func" + sig, ok && t.TypeParams() == nil
	case *types.Struct:
		return s.structure(t)
	case *types.Interface:
		return s.iface(t)
	case *types.Union:
		return s.union(t)
	}
	return "", false
}

func (s *speller) prefix(p string, elem types.Type) (string, bool) {
	text, ok := s.typ(elem)
	return p + text, ok
}

func (s *speller) named(t *types.Named) (string, bool) {
	obj := t.Obj()
	name := obj.Name()
	switch pkg := obj.Pkg(); {
	case pkg == nil:
	case obj.Parent() != pkg.Scope():
		return "", false // declared in a function
	case pkg.Path() != packagePath:
		if !obj.Exported() {
			return "", false
		}
		s.imports[pkg.Path()] = true
		name = alias(pkg.Path()) + "." + name
	}
	var args []string
	for i := range t.TypeArgs().Len() {
		a, ok := s.typ(t.TypeArgs().At(i))
		if !ok {
			return "", false
		}
		args = append(args, a)
	}
	if args != nil {
		name += "[" + strings.Join(args, ", ") + "]"
	}
	return name, true
}

func (s *speller) signature(t *types.Signature) (string, bool) {
	list := func(vars *types.Tuple, variadic bool) (string, bool) {
		var parts []string
		for i := range vars.Len() {
			vt := vars.At(i).Type()
			dots := ""
			if variadic && i == vars.Len()-1 {
				sl, ok := vt.(*types.Slice)
				if !ok {
					return "", false
				}
				dots, vt = "...", sl.Elem()
			}
			p, ok := s.typ(vt)
			if !ok {
				return "", false
			}
			parts = append(parts, dots+p)
		}
		return "(" + strings.Join(parts, ", ") + ")", true
	}
	in, ok1 := list(t.Params(), t.Variadic())
	out, ok2 := list(t.Results(), false)
	if t.Results().Len() == 0 {
		out = ""
	}
	return in + " " + out, ok1 && ok2
}

func (s *speller) structure(t *types.Struct) (string, bool) {
	var parts []string
	for i := range t.NumFields() {
		f := t.Field(i)
		if !f.Exported() && f.Pkg() != nil && f.Pkg().Path() != packagePath {
			return "", false
		}
		ft, ok := s.typ(f.Type())
		if !ok {
			return "", false
		}
		if f.Embedded() {
			if embeddedName(f.Type()) != f.Name() {
				// An embedded alias gives the field its own name.
				if ft, ok = s.aliased(f.Type()); !ok {
					return "", false
				}
			}
			parts = append(parts, ft)
		} else {
			parts = append(parts, f.Name()+" "+ft)
		}
		if tag := t.Tag(i); tag != "" {
			parts[i] += fmt.Sprintf(" %q", tag)
		}
	}
	return "struct{ " + strings.Join(parts, "; ") + " }", true
}

// aliased returns the text of an alias, or of a pointer to one, by the alias's name.
func (s *speller) aliased(t types.Type) (string, bool) {
	if p, ok := t.(*types.Pointer); ok {
		text, ok := s.aliased(p.Elem())
		return "*" + text, ok
	}
	a, ok := t.(*types.Alias)
	if !ok || a.TypeArgs().Len() > 0 || a.Obj().Pkg() == nil || a.Obj().Parent() != a.Obj().Pkg().Scope() {
		return "", false
	}
	if a.Obj().Pkg().Path() == packagePath {
		return a.Obj().Name(), true
	}
	s.imports[a.Obj().Pkg().Path()] = true
	return alias(a.Obj().Pkg().Path()) + "." + a.Obj().Name(), a.Obj().Exported()
}

// embeddedName is the field name that embedding a type gives.
func embeddedName(t types.Type) string {
	t = types.Unalias(t)
	if p, ok := t.(*types.Pointer); ok {
		t = types.Unalias(p.Elem())
	}
	switch t := t.(type) {
	case *types.Named:
		return t.Obj().Name()
	case *types.Basic:
		return t.Name()
	}
	return ""
}

func (s *speller) iface(t *types.Interface) (string, bool) {
	var parts []string
	for i := range t.NumExplicitMethods() {
		m := t.ExplicitMethod(i)
		if !m.Exported() && m.Pkg() != nil && m.Pkg().Path() != packagePath {
			return "", false
		}
		sig, ok := s.signature(m.Type().(*types.Signature))
		if !ok {
			return "", false
		}
		parts = append(parts, m.Name()+sig)
	}
	for i := range t.NumEmbeddeds() {
		e, ok := s.typ(t.EmbeddedType(i))
		if !ok {
			return "", false
		}
		parts = append(parts, e)
	}
	return "interface{ " + strings.Join(parts, "; ") + " }", true
}

func (s *speller) union(t *types.Union) (string, bool) {
	var parts []string
	for i := range t.Len() {
		e, ok := s.typ(t.Term(i).Type())
		if !ok {
			return "", false
		}
		if t.Term(i).Tilde() {
			e = "~" + e
		}
		parts = append(parts, e)
	}
	return strings.Join(parts, " | "), true
}

// text returns what stands behind the name in a variable's declaration; functions
// that it needs are noted in zeros.
func (f form) text(zeros map[string]bool) string {
	if f.skeleton == "" {
		return f.typ
	}
	for rest := f.skeleton; ; {
		i := strings.Index(rest, zeroName)
		if i < 0 {
			break
		}
		rest = rest[i:]
		j := strings.IndexByte(rest, '(')
		zeros[rest[:j]] = true
		rest = rest[j:]
	}
	return "= " + f.skeleton
}

// zeroCall names the function that returns the zero value of its i-th of n arguments; of
// none, it is the one that returns a nil pointer to its argument's type.
func zeroCall(n, i int) string { return fmt.Sprintf("%s_%d_%d", zeroName, n, i) }

// zeroFunc declares the function that zeroCall named. The compiler must not see through it,
// as a variable may not depend on what its declaration mentions.
func zeroFunc(name string) string {
	var n, i int
	fmt.Sscanf(name, zeroName+"_%d_%d", &n, &i)
	if n == 0 {
		return fmt.Sprintf("//go:noinline\nfunc %s[T interface{}](T) (z *T) { return }\n", name)
	}
	var params, args []string
	for k := range n {
		params = append(params, fmt.Sprintf("T%d interface{}", k))
		args = append(args, fmt.Sprintf("T%d", k))
	}
	return fmt.Sprintf("//go:noinline\nfunc %s[%s](%s) (z T%d) { return }\n", name, strings.Join(params, ", "), strings.Join(args, ", "), i)
}

// skeleton writes an expression that has the type of a cell's expression, and mentions nothing
// of the program but types and constants: all else is replaced by zero values.
type skeleton struct {
	speller
	info *types.Info
	vars func(obj types.Object) *variable // variables whose types cannot be spelled
}

// zero returns the zero value of a type.
func (k *skeleton) zero(t types.Type) (string, bool) {
	if b, ok := t.(*types.Basic); ok && b.Kind() == types.UntypedNil {
		return "nil", true
	}
	text, ok := k.typ(types.Default(t))
	return "(*new(" + text + "))", ok
}

// expr returns the skeleton of an expression.
func (k *skeleton) expr(e ast.Expr) (string, bool) {
	tv := k.info.Types[e]
	if tv.Type != nil && !tv.IsType() && !tv.IsBuiltin() {
		if _, tuple := tv.Type.(*types.Tuple); !tuple {
			if text, ok := k.zero(tv.Type); ok {
				return text, true
			}
		}
	}
	if tv.Value != nil && tv.Value.Kind() != constant.Unknown {
		return "", false
	}
	switch e := e.(type) {
	case *ast.ParenExpr:
		return k.expr(e.X)
	case *ast.StarExpr:
		return k.wrap("(*", e.X, ")")
	case *ast.UnaryExpr:
		switch e.Op {
		case token.AND:
			return k.address(e.X)
		case token.ARROW:
			return k.wrap("(<-", e.X, ")")
		}
	case *ast.SliceExpr:
		if t := k.info.Types[e.X].Type; t != nil {
			if _, ok := t.Underlying().(*types.Array); ok {
				text, ok := k.address(e.X)
				return text + "[:]", ok
			}
		}
		return k.wrap("", e.X, "[:]")
	case *ast.IndexExpr:
		if k.info.Types[e.Index].IsType() {
			break
		}
		x, ok1 := k.expr(e.X)
		i, ok2 := k.expr(e.Index)
		return x + "[" + i + "]", ok1 && ok2
	case *ast.SelectorExpr:
		if id, ok := e.X.(*ast.Ident); ok {
			if _, ok := k.info.Uses[id].(*types.PkgName); ok {
				return k.qualified(e)
			}
		}
		if sel := k.info.Selections[e]; sel != nil && sel.Kind() == types.MethodVal && takesAddress(sel) {
			text, ok := k.address(e.X)
			return text + "." + e.Sel.Name, ok
		}
		return k.wrap("", e.X, "."+e.Sel.Name)
	case *ast.Ident:
		if v := k.vars(k.info.Uses[e]); v != nil {
			for _, p := range v.form.imports {
				k.imports[p] = true
			}
			return v.form.skeleton, true
		}
	case *ast.CallExpr:
		return k.call(e)
	}
	return "", false
}

// address returns the skeleton of a pointer to an expression, which need not be addressable.
func (k *skeleton) address(e ast.Expr) (string, bool) {
	return k.wrap(zeroCall(0, 0)+"(", e, ")")
}

func (k *skeleton) wrap(before string, e ast.Expr, after string) (string, bool) {
	text, ok := k.expr(e)
	return before + text + after, ok
}

func (k *skeleton) call(e *ast.CallExpr) (string, bool) {
	fun, ok := k.callee(e.Fun)
	if !ok {
		return "", false
	}
	var args []string
	for _, a := range e.Args {
		if tuple, ok := k.info.Types[a].Type.(*types.Tuple); ok {
			for i := range tuple.Len() {
				z, ok := k.zero(tuple.At(i).Type())
				if !ok {
					return "", false
				}
				args = append(args, z)
			}
			continue
		}
		z, ok := k.expr(a)
		if !ok {
			return "", false
		}
		args = append(args, z)
	}
	dots := ""
	if e.Ellipsis.IsValid() {
		dots = "..."
	}
	return fun + "(" + strings.Join(args, ", ") + dots + ")", true
}

// callee returns the skeleton of what is called, which keeps a generic function's type arguments.
func (k *skeleton) callee(e ast.Expr) (string, bool) {
	switch e := ast.Unparen(e).(type) {
	case *ast.IndexExpr:
		return k.instance(e.X, e.Index)
	case *ast.IndexListExpr:
		return k.instance(e.X, e.Indices...)
	case *ast.Ident:
		if _, ok := k.info.Uses[e].(*types.Builtin); ok {
			return e.Name, true
		}
	case *ast.SelectorExpr:
		if id, ok := e.X.(*ast.Ident); ok {
			if _, ok := k.info.Uses[id].(*types.PkgName); ok {
				return k.qualified(e)
			}
		}
	}
	return k.expr(e)
}

// qualified writes a qualified name as it is, generic or not.
func (k *skeleton) qualified(e *ast.SelectorExpr) (string, bool) {
	pn := k.info.Uses[e.X.(*ast.Ident)].(*types.PkgName)
	k.imports[pn.Imported().Path()] = true
	return alias(pn.Imported().Path()) + "." + e.Sel.Name, true
}

func (k *skeleton) instance(fun ast.Expr, args ...ast.Expr) (string, bool) {
	for _, a := range args {
		if !k.info.Types[a].IsType() {
			return k.expr(&ast.IndexExpr{X: fun, Index: args[0]})
		}
	}
	text, ok := k.callee(fun)
	var list []string
	for _, a := range args {
		t, ok := k.typ(k.info.Types[a].Type)
		if !ok {
			return "", false
		}
		list = append(list, t)
	}
	return text + "[" + strings.Join(list, ", ") + "]", ok
}
