package program

import (
	"go/ast"
	"go/token"
	"strings"
)

// pollText reads the flag by which the live process asks a loop to look up.
const pollText = "if " + pollName + " != 0 { " + liveName + ".Poll() }; "

// pollEdits puts a poll at the start of each loop's body and before each jump back. Definitions are statements that the cell's body no
// longer has, as they are checked as declarations.
func pollEdits(s *source, definitions []*ast.AssignStmt, edits *[]edit) {
	done := map[int]bool{}
	at := func(pos token.Pos) {
		if off := s.offset(pos); !done[off] {
			done[off] = true
			*edits = append(*edits, edit{off: off, end: off, text: pollText})
		}
	}
	poll := func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ForStmt:
			at(n.Body.Lbrace + 1)
		case *ast.RangeStmt:
			at(n.Body.Lbrace + 1)
		case *ast.BranchStmt:
			if n.Tok != token.GOTO || n.Label == nil || n.Label.Obj == nil {
				break
			}
			if l, ok := n.Label.Obj.Decl.(*ast.LabeledStmt); ok && l.Pos() < n.Pos() {
				at(n.Pos())
			}
		}
		return true
	}
	for _, d := range s.ast.Decls {
		if f, ok := d.(*ast.FuncDecl); !ok || !nosplit(f) {
			ast.Inspect(d, poll)
		}
	}
	for _, a := range definitions {
		ast.Inspect(a, poll)
	}
}

// nosplit reports whether a function must not call others that grow the stack.
func nosplit(f *ast.FuncDecl) bool {
	if f.Doc == nil {
		return false
	}
	for _, c := range f.Doc.List {
		if strings.HasPrefix(c.Text, "//go:nosplit") {
			return true
		}
	}
	return false
}
