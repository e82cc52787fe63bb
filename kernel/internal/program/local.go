package program

import (
	"crypto/sha256"
	"fmt"
	"go/ast"
	"slices"
	"sort"
	"strings"
)

// The compiler numbers the types that are declared inside functions ("row·3"), in the order in which it meets them, and the number goes
// into their descriptors' hashes. So that such a type is the same type in every compile, the numbers are made to stay: each declaration
// with local types has numbers of its own for ever, stands in a file of its own, and what is missing in between is filled up.

// localType is a type declared inside a function.
type localType struct {
	off  int
	name string
	hash string
}

// findLocals finds the types declared inside functions, in the order of the text. Aliases
// do not count, as the compiler does not number them.
func (s *source) findLocals() {
	var inside func(n ast.Node) bool
	inside = func(n ast.Node) bool {
		if spec, ok := n.(*ast.TypeSpec); ok && !spec.Assign.IsValid() {
			lo, hi := s.offset(spec.Pos()), s.end(spec)
			s.locals = append(s.locals, localType{lo, spec.Name.Name, fmt.Sprintf("%x", sha256.Sum256([]byte(s.cell.Text[lo:hi])))[:16]})
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
	sort.SliceStable(s.locals, func(i, j int) bool { return s.locals[i].off < s.locals[j].off })
}

// within reports whether types are declared inside functions between two offsets.
func (s *source) within(lo, hi int) bool {
	return slices.ContainsFunc(s.locals, func(l localType) bool { return lo <= l.off && l.off < hi })
}

// localTypes returns stable names for the types declared inside the functions of a
// generated file, in the order in which the compiler numbers them.
func (s *source) localTypes(covered []span) []string {
	count := map[string]int{}
	var names []string
	for _, c := range covered {
		for _, l := range s.locals {
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

// numbered is a generated file with local types.
type numbered struct {
	file  File
	names []string
	first int // the number of the first
}

// place gives the files with local types their order, and fills up the numbers between them.
func (g *growth) placeLocals(step *Step, files []numbered) {
	for i, f := range files {
		key := strings.Join(f.names, "\n")
		first, ok := g.next.numbers[key]
		if !ok {
			first = g.next.number + 1
			g.next.number += len(f.names)
			g.next.numbers[key] = first
		}
		files[i].first = first
	}
	sort.Slice(files, func(i, j int) bool { return files[i].first < files[j].first })
	for _, f := range files {
		if missing := f.first - 1 - len(step.LocalTypes); missing > 0 {
			var b strings.Builder
			fmt.Fprintf(&b, "package %s\nfunc gradbook_fill_%d() {\n", PackageName, f.first)
			for i := range missing {
				fmt.Fprintf(&b, "type t%d struct{}\n", i)
				step.LocalTypes = append(step.LocalTypes, "")
			}
			b.WriteString("}\n")
			step.Files = append(step.Files, File{fmt.Sprintf("fill%d.go", f.first), b.String()})
		}
		step.Files = append(step.Files, f.file)
		step.LocalTypes = append(step.LocalTypes, f.names...)
	}
}
