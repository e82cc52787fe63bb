package program

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// localPrefix names the local copy of a variable that a loop works on.
const localPrefix = "gradbook_local_"

// promotion lets one loop among a cell's statements work on local copies of variables. Each
// write goes to the variable too, so that it is right at any time, also after a panic.
type promotion struct {
	o      *output
	vars   map[*types.Var][]*ast.Ident // candidates and where they stand
	refuse map[*types.Var]bool
	writes []write
}

// write is a statement that assigns to candidates.
type write struct {
	stmt ast.Stmt
	vars []*types.Var
	list bool // it stands in a list of statements, so that another may follow it
}

// promoteEdits promotes variables in the loops at the top level of the cell.
func (o *output) promoteEdits() []edit {
	stmts := o.g.shape.stmts
	for _, st := range stmts {
		if jumps(st) {
			return nil // a goto must not jump over a declaration
		}
	}
	var edits []edit
	for _, st := range stmts {
		switch unlabel(st).(type) {
		case *ast.ForStmt, *ast.RangeStmt:
			edits = append(edits, o.promoteLoop(st)...)
		}
	}
	return edits
}

// unlabel removes a statement's labels.
func unlabel(st ast.Stmt) ast.Stmt {
	for {
		l, ok := st.(*ast.LabeledStmt)
		if !ok {
			return st
		}
		st = l.Stmt
	}
}

// jumps reports whether there is a goto in a statement.
func jumps(st ast.Stmt) bool {
	found := false
	ast.Inspect(st, func(n ast.Node) bool {
		b, ok := n.(*ast.BranchStmt)
		found = found || ok && b.Tok == token.GOTO
		return !found
	})
	return found
}

// variable returns the variable that an identifier means if loops may keep it in a local.
func (o *output) variable(id *ast.Ident) *types.Var {
	obj, ok := o.g.info.Uses[id].(*types.Var)
	if !ok || obj.Parent() != o.g.pkg.Scope() {
		return nil
	}
	v := o.g.next.vars[obj.Name()]
	if v == nil || v.reached {
		return nil
	}
	switch t := obj.Type().Underlying().(type) {
	case *types.Basic:
		if t.Kind() != types.UnsafePointer {
			return obj
		}
	case *types.Slice, *types.Pointer, *types.Map, *types.Chan:
		return obj
	}
	return nil
}

// promoteLoop returns the edits for one loop.
func (o *output) promoteLoop(loop ast.Stmt) []edit {
	p := &promotion{o: o, vars: map[*types.Var][]*ast.Ident{}, refuse: map[*types.Var]bool{}}
	p.collect(loop)
	var vars []*types.Var
	for v := range p.vars {
		if !p.refuse[v] {
			vars = append(vars, v)
		}
	}
	if vars == nil {
		return nil
	}
	slices.SortFunc(vars, func(a, b *types.Var) int { return strings.Compare(a.Name(), b.Name()) })
	s := o.src
	var reads []edit
	var names, locals []string
	for _, v := range vars {
		names = append(names, v.Name())
		locals = append(locals, localPrefix+v.Name())
		for _, id := range p.vars[v] {
			reads = append(reads, edit{off: s.offset(id.Pos()), end: s.end(id), text: localPrefix + v.Name()})
		}
	}
	edits := slices.Clone(reads)
	for _, w := range p.writes {
		edits = p.through(w, edits, reads)
	}
	lo, hi := s.offset(loop.Pos()), s.end(loop)
	open := fmt.Sprintf("{ %s := %s; ", strings.Join(locals, ", "), strings.Join(names, ", "))
	return append(edits, edit{off: lo, end: lo, text: open}, edit{off: hi, end: hi, text: " }", tail: true})
}

// collect finds the candidates of a loop and what is done to them.
func (p *promotion) collect(loop ast.Stmt) {
	var stack []ast.Node
	ast.Inspect(loop, func(n ast.Node) bool {
		if n == nil {
			stack = stack[:len(stack)-1]
			return true
		}
		var parent ast.Node
		if len(stack) > 0 {
			parent = stack[len(stack)-1]
		}
		switch n := n.(type) {
		case *ast.GoStmt, *ast.FuncLit:
			ast.Inspect(n, func(m ast.Node) bool {
				if id, ok := m.(*ast.Ident); ok {
					if v := p.o.variable(id); v != nil {
						p.refuse[v] = true
					}
				}
				return true
			})
		case *ast.AssignStmt:
			if n.Tok != token.DEFINE {
				p.write(n, n.Lhs, parent)
			}
		case *ast.IncDecStmt:
			p.write(n, []ast.Expr{n.X}, parent)
		case *ast.RangeStmt:
			if n.Tok == token.ASSIGN {
				p.write(n, []ast.Expr{n.Key, n.Value}, parent)
			}
		case *ast.Ident:
			if v := p.o.variable(n); v != nil {
				p.vars[v] = append(p.vars[v], n)
			}
		}
		stack = append(stack, n)
		return true
	})
}

// write notes an assignment to the candidates among the targets, or refuses them.
func (p *promotion) write(stmt ast.Stmt, targets []ast.Expr, parent ast.Node) {
	w := write{stmt: stmt, list: inList(stmt, parent)}
	for _, t := range targets {
		id, ok := t.(*ast.Ident)
		if !ok {
			if par, ok := t.(*ast.ParenExpr); ok {
				if id, ok := ast.Unparen(par).(*ast.Ident); ok && p.o.variable(id) != nil {
					p.refuse[p.o.variable(id)] = true
				}
			}
			continue
		}
		v := p.o.variable(id)
		if v == nil {
			continue
		}
		if !w.list && !simple(stmt) {
			p.refuse[v] = true
			continue
		}
		w.vars = append(w.vars, v)
	}
	if w.vars != nil {
		p.writes = append(p.writes, w)
	}
}

// inList reports whether another statement can follow the statement.
func inList(stmt ast.Stmt, parent ast.Node) bool {
	if _, ok := stmt.(*ast.RangeStmt); ok {
		return true // the write goes to the start of its body
	}
	switch parent := parent.(type) {
	case *ast.BlockStmt, *ast.CaseClause, *ast.LabeledStmt:
		return true
	case *ast.CommClause:
		return parent.Comm != stmt
	}
	return false
}

// simple reports whether the statement assigns to one variable a value that may be computed twice.
func simple(stmt ast.Stmt) bool {
	switch stmt := stmt.(type) {
	case *ast.IncDecStmt:
		return true
	case *ast.AssignStmt:
		return len(stmt.Lhs) == 1 && len(stmt.Rhs) == 1 && pure(stmt.Rhs[0])
	}
	return false
}

// pure reports whether an expression has no effect.
func pure(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident, *ast.BasicLit:
		return true
	case *ast.ParenExpr:
		return pure(e.X)
	case *ast.UnaryExpr:
		return e.Op != token.ARROW && pure(e.X)
	case *ast.BinaryExpr:
		return pure(e.X) && pure(e.Y)
	case *ast.SelectorExpr:
		return pure(e.X)
	case *ast.IndexExpr:
		return pure(e.X) && pure(e.Index)
	}
	return false
}

// through adds to edits what makes a write reach the variable as well as its copy.
func (p *promotion) through(w write, edits, reads []edit) []edit {
	var names, locals []string
	for _, v := range w.vars {
		if !p.refuse[v] && !slices.Contains(names, v.Name()) {
			names = append(names, v.Name())
			locals = append(locals, localPrefix+v.Name())
		}
	}
	if names == nil {
		return edits
	}
	s := p.o.src
	store := strings.Join(names, ", ") + " = " + strings.Join(locals, ", ")
	if r, ok := w.stmt.(*ast.RangeStmt); ok {
		at := s.offset(r.Body.Lbrace) + 1
		return append(edits, edit{off: at, end: at, text: store + "; "})
	}
	lo, hi := s.offset(w.stmt.Pos()), s.end(w.stmt)
	if w.list {
		return append(edits, edit{off: hi, end: hi, text: "; " + store, tail: true})
	}
	// One statement must do both, so the value is computed twice.
	local, value := locals[0], ""
	switch st := w.stmt.(type) {
	case *ast.IncDecStmt:
		value = local + " " + st.Tok.String()[:1] + " 1"
	case *ast.AssignStmt:
		from, to := s.offset(st.Rhs[0].Pos()), s.end(st.Rhs[0])
		var inner []edit
		for _, e := range slices.Concat(reads, p.o.edits) {
			if e.within(from, to) {
				inner = append(inner, e)
			}
		}
		sortEdits(inner)
		value = s.splice(from, to, inner)
		if st.Tok != token.ASSIGN {
			value = local + " " + strings.TrimSuffix(st.Tok.String(), "=") + " (" + value + ")"
		}
	}
	edits = slices.DeleteFunc(edits, func(e edit) bool { return lo <= e.off && e.end <= hi })
	return append(edits, edit{off: lo, end: hi, text: fmt.Sprintf("%s, %s = %s, %s", local, names[0], value, value)})
}

// markReached finds the variables that code other than statements at the top level of cells can
// reach. Once reached, a variable stays so: old code may go on running.
func (g *growth) markReached() {
	mark := func(id *ast.Ident) {
		if obj, ok := g.info.Uses[id].(*types.Var); ok && obj.Parent() == g.pkg.Scope() {
			if v := g.next.vars[plain(obj.Name())]; v != nil {
				v.reached = true
			}
		}
	}
	markAll := func(n ast.Node) {
		ast.Inspect(n, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok {
				mark(id)
			}
			return true
		})
	}
	for _, s := range g.next.sources {
		for _, it := range s.items {
			if it.fn != nil && g.living(it) {
				markAll(it.fn)
			}
		}
	}
	if g.src.cell.Peek {
		return
	}
	address := func(e ast.Expr) {
		if id := g.root(e); id != nil {
			mark(id)
		}
	}
	look := func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			markAll(n)
			return false
		case *ast.UnaryExpr:
			if n.Op == token.AND {
				address(n.X)
			}
		case *ast.SliceExpr:
			if t := g.info.Types[n.X].Type; t != nil {
				if _, ok := t.Underlying().(*types.Array); ok {
					address(n.X)
				}
			}
		case *ast.SelectorExpr:
			if sel := g.info.Selections[n]; sel != nil && sel.Kind() == types.MethodVal && takesAddress(sel) {
				address(n.X)
			}
		}
		return true
	}
	for _, st := range g.shape.stmts {
		ast.Inspect(st, look)
	}
	for _, d := range g.shape.decls {
		ast.Inspect(d, look)
	}
	for _, spec := range g.src.vars {
		ast.Inspect(spec, look)
	}
}

// takesAddress reports whether a method value or call takes its operand's address.
func takesAddress(sel *types.Selection) bool {
	f, ok := sel.Obj().(*types.Func)
	if !ok || f.Signature().Recv() == nil {
		return false
	}
	_, wants := f.Signature().Recv().Type().(*types.Pointer)
	_, has := sel.Recv().Underlying().(*types.Pointer)
	return wants && !has
}

// root returns the variable in whose memory an operand lies, or nil if that is reached by a pointer.
func (g *growth) root(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.ParenExpr:
			e = x.X
		case *ast.SelectorExpr:
			if t := g.info.Types[x.X].Type; t != nil {
				if _, ok := t.Underlying().(*types.Pointer); ok {
					return nil
				}
			}
			e = x.X
		case *ast.IndexExpr:
			if t := g.info.Types[x.X].Type; t != nil {
				if _, ok := t.Underlying().(*types.Array); !ok {
					return nil
				}
			}
			e = x.X
		default:
			return nil
		}
	}
}
