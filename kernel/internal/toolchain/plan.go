package toolchain

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
)

// plan remembers which base a build list has. Unlike a record it is of no folder: whoever has the same build list
// finds the same base, in a shared cache too, and no package is compiled to find that out. There are two for each base: one is
// found by the text of go.mod, at once; the other by the packages and their versions, when go list has said which they are.
type plan struct{ Key string }

// planForm changes when plans are made or kept in another way.
const planForm = "1"

// planned returns the name of a plan's file in a cache.
func (b *Base) planned(parts ...string) string {
	over := filepath.Base(filepath.Dir(b.list.overlay)) // its content's hash
	about := []string{planForm, baseForm, b.ws.Go.identity(), over, strings.Join(b.opts.Packages, " ")}
	return filepath.Join("plans", hashOf(append(about, parts...)...)[:32]+".json")
}

// planByText returns the plan of the texts of go.mod and go.sum; "": they do not say all.
func (b *Base) planByText() string {
	if b.ws.Work != "" || b.ws.Mod == "" {
		return ""
	}
	if _, err := os.Lstat(filepath.Join(filepath.Dir(b.ws.Mod), "vendor")); err == nil {
		return ""
	}
	mod, err := os.ReadFile(b.ws.Mod)
	if err != nil {
		return ""
	}
	sum, _ := os.ReadFile(strings.TrimSuffix(b.ws.Mod, ".mod") + ".sum") // there may be none
	parts := []string{"text", string(mod), string(sum)}
	for _, path := range b.ws.frozenFiles() {
		text, err := os.ReadFile(path)
		if err == nil {
			parts = append(parts, path, string(text))
		}
	}
	return b.planned(parts...)
}

// frozenFiles are the paths at which folders that go.mod puts in modules' places would say that they do not change.
func (w *Workspace) frozenFiles() []string {
	text, err := os.ReadFile(w.Mod)
	if err != nil {
		return nil
	}
	file, err := modfile.Parse(w.Mod, text, nil) // the go command reports what is wrong with it
	if err != nil {
		return nil
	}
	var list []string
	for _, r := range file.Replace {
		dir := filepath.FromSlash(r.New.Path)
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(filepath.Dir(w.Mod), dir)
		}
		if r.New.Version == "" {
			list = append(list, filepath.Join(dir, FrozenFile))
		}
	}
	return list
}

// planByPackages returns the plan of the packages that the base is made of, paths with what they need; "": some of them may
// change in place.
func (b *Base) planByPackages(paths []string, all []*listed) string {
	byPath := map[string]*listed{}
	for _, p := range all {
		byPath[p.ImportPath] = p
	}
	part := map[string]string{}
	for next := slices.Clone(paths); len(next) > 0; {
		p := byPath[next[0]]
		next = next[1:]
		if p == nil { // C
			continue
		}
		if p.local() {
			return ""
		}
		if _, seen := part[p.ImportPath]; !seen {
			part[p.ImportPath] = p.module()
			next = append(next, p.Imports...)
		}
	}
	parts := []string{"packages"}
	for _, path := range sortedKeys(part) {
		parts = append(parts, path, part[path])
	}
	return b.planned(parts...)
}

// openPlanned opens the base of a plan, from a cache that has both.
func (b *Base) openPlanned(name string) bool {
	if name == "" {
		return false
	}
	stamps := b.ws.stamps()
	err := b.cache.first(func(c *Cache) error {
		var p plan
		if err := readSealed(c.path(name), &p); err != nil {
			return err
		}
		return b.load(p.Key)
	})
	if err != nil {
		return false
	}
	b.stamps = stamps
	return true
}

// writePlan remembers in the user's own cache which base a plan has.
func (b *Base) writePlan(name, key string) error {
	if name == "" {
		return nil
	}
	return writeSealed(b.cache.path(name), plan{key})
}
