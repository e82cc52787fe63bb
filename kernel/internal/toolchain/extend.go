package toolchain

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Extension is a library of packages that the base lacks.
type Extension struct {
	Library  string   // path of the shared library, which the live program loads; "" when nothing was missing
	Packages []string // what it holds: the packages asked for, and those that they need
	Cached   bool     // it was there already
}

// extensionForm changes when the way in which extensions are linked or kept changes.
const extensionForm = "2"

// Extend adds packages to the base, with all that they need and the base lacks. From then on Build and Import
// know them. The packages are looked up in the workspace's build list as it is; nothing is downloaded into it.
func (b *Base) Extend(ctx context.Context, paths []string, progress func(Progress)) (*Extension, error) {
	if progress == nil {
		progress = func(Progress) {}
	}
	b.extendMu.Lock()
	defer b.extendMu.Unlock()
	var missing []string
	for _, path := range paths {
		if path == "C" {
			return nil, errors.New(`import "C" does not work in a cell: put the C code into a package of its own and import that`)
		}
		if _, ok := b.Package(path); !ok {
			missing = append(missing, path)
		}
	}
	if len(missing) == 0 {
		return &Extension{Cached: true}, nil
	}
	pkgs, err := b.list.export(ctx, "compiling "+strings.Join(missing, ", "), 0, progress, missing)
	if err != nil {
		return nil, goListError(err, missing)
	}
	fresh, key, err := b.fresh(pkgs, missing)
	if err != nil {
		return nil, err
	}
	e := &Extension{Cached: true}
	m, dir, err := b.loadExtension(key)
	if err != nil {
		progress(Progress{Stage: "linking " + strings.Join(missing, ", ")})
		e.Cached = false
		if m, err = b.linkExtension(ctx, key, fresh); err != nil {
			return nil, err
		}
		dir = b.cache.path("extension", key)
		if err := b.attach(dir, m); err != nil {
			return nil, fmt.Errorf("the library was built and cannot be opened: %w", err)
		}
	}
	e.Library = filepath.Join(dir, m.Library)
	for _, p := range m.Packages {
		e.Packages = append(e.Packages, p.Path)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range fresh {
		if p.local() {
			b.stamps = append(b.stamps, p.stamps()...)
		}
	}
	return e, nil
}

// loadExtension makes the extension of that key part of the base, if a cache has it.
func (b *Base) loadExtension(key string) (m *manifest, dir string, err error) {
	err = b.cache.first(func(c *Cache) error {
		dir = c.path("extension", key)
		if m, err = c.readManifest(dir); err != nil {
			return err
		}
		return b.attach(dir, m)
	})
	return m, dir, err
}

var noModule = regexp.MustCompile(`no required module provides package (\S+?)[;:]|missing go.sum entry for module providing package (\S+?)[ ;]|cannot find module providing package (\S+?)[:;\n]`)

// goListError is go list's own words, and what to do in a notebook.
func goListError(err error, paths []string) error {
	var failed *toolError
	if !errors.As(err, &failed) {
		return err
	}
	var lines []string
	for line := range strings.Lines(failed.text) {
		line = strings.TrimRight(line, "\n")
		// The go command's advice is for a shell, and -v's list of packages is no advice at all.
		if strings.HasPrefix(line, "\tgo get ") || line == "" || !strings.ContainsAny(line, " \t") {
			continue
		}
		lines = append(lines, strings.TrimSuffix(strings.TrimSuffix(line, "; to add it:"), "; to add:"))
	}
	text := strings.Join(lines, "\n")
	if m := noModule.FindStringSubmatch(failed.text); m != nil {
		for _, path := range m[1:] {
			if path != "" {
				text += "\nrun !*go get " + strings.Trim(path, `"'`)
			}
		}
	}
	if text == "" {
		text = fmt.Sprintf("go list of %s: %v", strings.Join(paths, ", "), failed.err)
	}
	return errors.New(text)
}

// fresh returns the packages that neither the base nor an extension holds, and the key of the library that they will be.
func (b *Base) fresh(pkgs []*listed, asked []string) (list []*listed, key string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	used := map[int]bool{0: true}
	parts := []string{extensionForm}
	for _, p := range pkgs {
		if p.Name == "main" && slices.Contains(asked, p.ImportPath) {
			return nil, "", fmt.Errorf("import %q is a program, not an importable package", p.ImportPath)
		}
		if known, ok := b.packages[p.ImportPath]; ok {
			if known.Content != p.content() && p.ImportPath != "unsafe" {
				return nil, "", fmt.Errorf("package %s is loaded, and is another now; two versions of it cannot be loaded together: restart the program to use the new one", p.ImportPath)
			}
			used[known.library] = true
			continue
		}
		list = append(list, p)
		parts = append(parts, p.ImportPath, p.content())
	}
	for i, k := range b.keys {
		if used[i] {
			parts = append(parts, k)
		}
	}
	return list, hashOf(parts...)[:32], nil
}

// linkExtension links packages into a library of the cache.
func (b *Base) linkExtension(ctx context.Context, key string, pkgs []*listed) (*manifest, error) {
	unlock, err := Lock(ctx, b.cache.path("locks", key), nil)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if m, err := b.cache.readManifest(b.cache.path("extension", key)); err == nil { // another process was here first
		return m, nil
	}
	dir, err := b.cache.begin("extension", key)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	m := &manifest{Key: key, GoVersion: b.ws.Go.Version, Library: "lib" + key[:16] + ".so", Created: time.Now()}
	var cfg strings.Builder
	known, libs := b.known()
	for path, at := range known {
		fmt.Fprintf(&cfg, "packageshlib %s=%s\n", path, libs[at].path)
	}
	v := &view{libs: libs}
	archives, err := os.MkdirTemp("", "gradbook-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(archives)
	var args []string
	for i, p := range pkgs {
		entry, err := keepExport(dir, p)
		if err != nil {
			return nil, err
		}
		m.Packages = append(m.Packages, entry)
		archive := filepath.Join(archives, fmt.Sprintf("%d.a", i))
		if err := v.borrow(p.Export, archive); err != nil {
			return nil, fmt.Errorf("%s: %w", p.ImportPath, err)
		}
		fmt.Fprintf(&cfg, "packagefile %s=%s\n", p.ImportPath, archive)
		args = append(args, p.ImportPath+"="+archive)
	}
	if err := b.linkShared(ctx, dir, m.Library, cfg.String(), libs, args); err != nil {
		return nil, err
	}
	return m, b.cache.finish(dir, "extension", m)
}

// borrow copies a package's archive, with the type descriptors that must come from another library made references.
func (v *view) borrow(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	o, err := parseObject(data)
	if err != nil {
		return err
	}
	o.borrowTypes(v.defines)
	return os.WriteFile(to, data, 0o600)
}

// known returns which library holds each package.
func (b *Base) known() (map[string]int, []*library) {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := map[string]int{}
	for path, p := range b.packages {
		if path != "unsafe" {
			list[path] = p.library
		}
	}
	return list, slices.Clone(b.libs)
}

// Stale says which packages that are loaded have changed since, by import path, and which files of the build list
// have when that changes a loaded package. It is cheap while nothing did.
func (b *Base) Stale(ctx context.Context) ([]string, error) {
	b.mu.Lock()
	var changed []string
	var build []*stamp
	for i := range b.stamps {
		s := &b.stamps[i]
		if !s.changed() {
			continue
		}
		if s.Package == "" {
			build = append(build, s)
		} else {
			changed = append(changed, s.Package)
		}
	}
	b.mu.Unlock()
	if len(build) > 0 {
		more, err := b.changedModules(ctx)
		if err != nil {
			return nil, err
		}
		b.mu.Lock()
		for _, s := range build {
			if len(more) == 0 {
				*s = newStamp(s.Path, "") // the change concerns nothing that is loaded
			}
		}
		b.mu.Unlock()
		changed = append(changed, more...)
	}
	slices.Sort(changed)
	return slices.Compact(changed), nil
}

// changedModules returns the loaded packages that come from another module version now.
func (b *Base) changedModules(ctx context.Context) ([]string, error) {
	b.mu.Lock()
	var paths []string
	was := map[string]string{}
	for path, p := range b.packages {
		if !p.Standard {
			paths = append(paths, path)
			was[path] = p.Module
		}
	}
	b.mu.Unlock()
	if len(paths) == 0 {
		return nil, nil
	}
	slices.Sort(paths)
	pkgs, err := b.list.list(ctx, nil, append([]string{"-e"}, paths...)...)
	if err != nil {
		return nil, fmt.Errorf("the build list has changed: %w", err)
	}
	var changed []string
	for _, p := range pkgs {
		if before, ok := was[p.ImportPath]; ok && before != p.module() {
			changed = append(changed, p.ImportPath)
		}
	}
	return changed, nil
}
