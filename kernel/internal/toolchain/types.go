package toolchain

import (
	"bufio"
	"fmt"
	"go/token"
	"go/types"
	"os"
	"slices"

	"golang.org/x/tools/go/gcexportdata"
)

// Package returns a package of the base or of an extension.
func (b *Base) Package(path string) (*Package, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p, ok := b.packages[path]
	return p, ok
}

// ByName returns the import paths of the known packages of that name: the standard library's first, then
// the shorter paths. Packages that a program cannot import are not among them.
func (b *Base) ByName(name string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []string
	for _, path := range b.byName[name] {
		if importable(path) {
			list = append(list, path)
		}
	}
	slices.SortFunc(list, func(x, y string) int {
		switch a, c := b.packages[x].Standard, b.packages[y].Standard; {
		case a && !c:
			return -1
		case c && !a:
			return 1
		case len(x) != len(y):
			return len(x) - len(y)
		case x < y:
			return -1
		}
		return 1
	})
	return list
}

// Import returns the types of a package of the base or of an extension. All packages are of one world: a
// type that two of them mention is one.
func (b *Base) Import(path string) (*types.Package, error) {
	if path == "unsafe" {
		return types.Unsafe, nil
	}
	p, ok := b.Package(path)
	if !ok {
		return nil, fmt.Errorf("package %s is not in the base library", path)
	}
	b.typesMu.Lock()
	defer b.typesMu.Unlock()
	if b.types == nil {
		b.types, b.fset = map[string]*types.Package{}, token.NewFileSet()
	}
	if known := b.types[path]; known != nil && known.Complete() {
		return known, nil
	}
	f, err := os.Open(p.Export)
	if err != nil {
		return nil, fmt.Errorf("the types of %s: %w; run the cell again after a restart to have the base library built again", path, err)
	}
	defer f.Close()
	r, err := gcexportdata.NewReader(bufio.NewReader(f))
	if err != nil {
		return nil, fmt.Errorf("the types of %s: %w", path, err)
	}
	pkg, err := gcexportdata.Read(r, b.fset, b.types, path)
	if err != nil {
		return nil, fmt.Errorf("the types of %s: %w", path, err)
	}
	return pkg, nil
}

// All returns the import paths of all known packages, sorted.
func (b *Base) All() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return sortedKeys(b.packages)
}
