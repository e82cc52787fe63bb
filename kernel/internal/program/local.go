package program

import (
	"crypto/sha256"
	"fmt"
	"go/ast"
	"sort"
)

// localType is a type declared inside a function.
type localType struct {
	off  int
	name string
	hash string
}

// locals returns the types declared inside functions, in the order of the text. Aliases
// do not count, as the compiler does not number them.
func (s *source) locals() []localType {
	var all []localType
	var inside func(n ast.Node) bool
	inside = func(n ast.Node) bool {
		if spec, ok := n.(*ast.TypeSpec); ok && !spec.Assign.IsValid() {
			lo, hi := s.offset(spec.Pos()), s.end(spec)
			all = append(all, localType{lo, spec.Name.Name, fmt.Sprintf("%x", sha256.Sum256([]byte(s.cell.Text[lo:hi])))[:16]})
		}
		return true
	}
	ast.Inspect(s.ast, func(n ast.Node) bool {
		if b, ok := n.(*ast.BlockStmt); ok {
			ast.Inspect(b, inside)
			return false
		}
		return true
	})
	sort.SliceStable(all, func(i, j int) bool { return all[i].off < all[j].off })
	return all
}

// localTypes returns stable names for the types declared inside the functions of a
// generated file, in the order in which the compiler numbers them.
func (s *source) localTypes(covered []span, edits []edit) []string {
	locals := s.locals()
	count := map[string]int{}
	var names []string
	for _, c := range covered {
		for _, l := range locals {
			if l.off < c.lo || l.off >= c.hi {
				continue
			}
			key := c.owner + "." + l.name
			count[key]++
			names = append(names, fmt.Sprintf("%s.%s#%d@%s", symbol(c.owner), l.name, count[key], l.hash))
		}
	}
	return names
}
