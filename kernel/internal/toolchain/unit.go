package toolchain

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// File is one Go file of a unit. Its package clause names [PackageName].
type File struct{ Name, Text string }

// Unit is what is compiled at once: one version of the notebook's package.
type Unit struct {
	Files   []File
	Imports []string // all packages that the files import
	Known   []string // symbols of functions that have no body in Files: the live program has their code
}

// Timings says where the time of a build went.
type Timings struct {
	Lookup, Compile, Thin, Link, Total time.Duration
}

// Object is a unit, compiled and linked against the base library.
type Object struct {
	Path       string            // a relocatable ELF object in the cache
	Cached     bool              // it was there already
	LocalTypes map[string]string // of types declared inside functions: linked symbol -> full name, "type:main.row·1"
	Timings    Timings
}

// Diagnostic is one message of the compiler.
type Diagnostic struct {
	File      string // as //line directives name it
	Line, Col int    // Col is 0 when the compiler gave none
	Msg       string // more lines than one where the compiler wrote so
}

// CompileError is what Build returns for files that do not compile.
type CompileError struct{ Diagnostics []Diagnostic }

func (e *CompileError) Error() string {
	var b strings.Builder
	for i, d := range e.Diagnostics {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s:%d:%d: %s", d.File, d.Line, d.Col, d.Msg)
	}
	return b.String()
}

// objectForm changes when the way in which units are compiled and linked changes.
const objectForm = "2"

// Build compiles a unit and links it against the base library and its extensions, or finds it in the cache.
// Files that do not compile are a *CompileError.
func (b *Base) Build(ctx context.Context, u Unit) (*Object, error) {
	start := time.Now()
	v, err := b.view(u.Imports)
	if err != nil {
		return nil, err
	}
	imports := slices.Compact(slices.Sorted(slices.Values(u.Imports)))
	parts := append([]string{objectForm}, v.keys...)
	parts = append(append(parts, "imports"), imports...)
	parts = append(append(parts, "known"), u.Known...)
	for _, f := range u.Files {
		if i := strings.Index(f.Text, PackageName); i >= 0 && strings.Contains(f.Text[i+len(PackageName):], PackageName) {
			return nil, fmt.Errorf("%s holds the text %s, which Gradbook keeps for itself: write it in another way, as \"\\u1d79b\" in a string", f.Name, PackageName)
		}
		parts = append(parts, f.Name, f.Text)
	}
	key := hashOf(parts...)[:40]
	var o *Object
	if err := b.cache.first(func(c *Cache) (err error) {
		o, err = c.readCell(c.path("cells", key[:2], key[2:]))
		return err
	}); err == nil {
		o.Timings.Lookup = time.Since(start)
		o.Timings.Total = o.Timings.Lookup
		return o, nil
	}
	if err := os.MkdirAll(b.tmp, 0o700); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(b.tmp, "unit-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	o = &Object{Timings: Timings{Lookup: time.Since(start)}}
	archive, err := b.compile(ctx, dir, u, imports, v, &o.Timings)
	if err != nil {
		return nil, err
	}
	data, err := b.linkUnit(ctx, dir, archive, u.Known, v, o)
	if err != nil {
		return nil, err
	}
	if err := writeCell(b.cache.path("cells", key[:2], key[2:]), data, o); err != nil {
		return nil, err
	}
	o.Timings.Total = time.Since(start)
	return o, nil
}

// view is what the base and its extensions were when a build began.
type view struct {
	libs     []*library
	keys     []string
	packages map[string]*Package // those that are imported
	also     []string            // of those, the ones that the unit's files do not import
	known    func(path string) (*Package, bool)
}

// defines says whether one of the libraries defines the symbol.
func (v *view) defines(name string) bool {
	for _, l := range v.libs {
		if _, ok := l.lookup(name); ok {
			return true
		}
	}
	return false
}

func (b *Base) view(imports []string) (*view, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.libs) == 0 {
		return nil, errors.New("the base library is closed")
	}
	v := &view{libs: slices.Clone(b.libs), packages: map[string]*Package{}, known: b.Package}
	used := map[int]bool{0: true}
	for _, path := range imports {
		p, ok := b.packages[path]
		if !ok {
			return nil, fmt.Errorf("package %s is not in the base library: extend it with the package first", path)
		}
		v.packages[path] = p
		used[p.library] = true
	}
	// The linker opens the libraries of packages that are imported, and not the libraries that those need: so one package of each is.
	last := slices.Max(slices.Collect(maps.Keys(used)))
	for _, path := range sortedKeys(b.packages) {
		if p := b.packages[path]; p.library <= last && !used[p.library] && p.Export != "" && p.Name != "main" {
			v.packages[path] = p
			v.also = append(v.also, path)
			used[p.library] = true
		}
	}
	// What was linked against an extension is found again only where that extension is: its key is part of the object's.
	for i, key := range b.keys {
		if used[i] {
			v.keys = append(v.keys, key)
		}
	}
	return v, nil
}

// compile compiles the unit and returns the archive, made package main.
func (b *Base) compile(ctx context.Context, dir string, u Unit, imports []string, v *view, t *Timings) ([]byte, error) {
	start := time.Now()
	defer func() { t.Compile = time.Since(start) }()
	var cfg strings.Builder
	for _, path := range append(slices.Clone(imports), v.also...) {
		if p := v.packages[path]; p.Export != "" {
			fmt.Fprintf(&cfg, "packagefile %s=%s\n", path, p.Export)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "importcfg"), []byte(cfg.String()), 0o600); err != nil {
		return nil, err
	}
	args := []string{"-o", "unit.a", "-p", "main", "-buildid", buildID, "-lang=go1.26", "-installsuffix", "dynlink", "-dynlink", "-linkshared",
		"-nolocalimports", "-dwarf=false", "-e", "-c=" + compileWorkers, "-trimpath", dir + "=>", "-importcfg", "importcfg", "-pack"}
	// The first function's name in a library's table is taken for no name at all: so it is one that no one asks for.
	first := "package " + PackageName + "\n"
	for _, path := range v.also {
		first += fmt.Sprintf("import _ %q\n", path)
	}
	first += "\n//go:noinline\nfunc gradbook_first() {}\n"
	if err := os.WriteFile(filepath.Join(dir, "first.go"), []byte(first), 0o600); err != nil {
		return nil, err
	}
	args = append(args, "first.go")
	for i, f := range u.Files {
		name := strconv.Itoa(i) + ".go"
		if err := os.WriteFile(filepath.Join(dir, name), []byte(f.Text), 0o600); err != nil {
			return nil, err
		}
		args = append(args, name)
	}
	if len(u.Known) == 0 {
		args = append([]string{"-complete"}, args...)
	}
	out, err := command{dir: dir, env: append(b.ws.Go.toolEnv(), quick...)}.run(ctx, b.ws.Go.tool("compile"), args...)
	if err != nil {
		var failed *toolError
		if errors.As(err, &failed) {
			if list := diagnostics(failed.text, u.Files); len(list) > 0 {
				return nil, &CompileError{list}
			}
		}
		return nil, fmt.Errorf("compile: %w\n%s", err, out)
	}
	archive, err := os.ReadFile(filepath.Join(dir, "unit.a"))
	if err != nil {
		return nil, err
	}
	return archive, makeMain(archive)
}

// quick makes a tool that runs for some milliseconds spend none of them on collecting garbage, unless the unit is huge.
var quick = []string{"GOGC=off", "GOMEMLIMIT=1GiB"}

// compileWorkers is how many functions the compiler compiles at once.
var compileWorkers = strconv.Itoa(min(runtime.NumCPU(), 4))

// linkUnit runs the Go linker as far as its relocatable object; no C linker runs.
func (b *Base) linkUnit(ctx context.Context, dir string, archive []byte, known []string, v *view, o *Object) ([]byte, error) {
	start := time.Now()
	obj, err := parseObject(archive)
	if err != nil {
		return nil, err
	}
	o.LocalTypes = obj.localTypes()
	obj.borrowTypes(v.defines)
	if err := os.WriteFile(filepath.Join(dir, "unit.a"), archive, 0o600); err != nil {
		return nil, err
	}
	var cfg strings.Builder
	t := newThin(v.libs, obj.refs)
	for _, name := range known {
		t.addFunc(name)
	}
	var paths []string // of import libraries
	for _, path := range append(obj.imports, "runtime", "runtime/cgo") {
		p, ok := v.known(path)
		if !ok {
			return nil, fmt.Errorf("the unit uses package %s, which is not in the base library", path)
		}
		if p.Path == "unsafe" {
			continue
		}
		for i := len(paths); i <= p.library; i++ { // a library's own libraries come before it
			to, err := t.write(i, dir)
			if err != nil {
				return nil, err
			}
			paths = append(paths, to)
		}
		fmt.Fprintf(&cfg, "packageshlib %s=%s\n", path, paths[p.library])
	}
	fmt.Fprintf(&cfg, "packagefile main=unit.a\n")
	if err := os.WriteFile(filepath.Join(dir, "importcfg.link"), []byte(cfg.String()), 0o600); err != nil {
		return nil, err
	}
	if err := os.Mkdir(filepath.Join(dir, "link"), 0o700); err != nil {
		return nil, err
	}
	o.Timings.Thin = time.Since(start)
	start = time.Now()
	defer func() { o.Timings.Link = time.Since(start) }()
	args := []string{"-o", "unit.so", "-importcfg", "importcfg.link", "-installsuffix", "dynlink", "-linkshared", "-buildmode=shared",
		"-tmpdir", "link", "-extld", "true", "-w", "-checklinkname=0", "-buildid=gradbook"}
	args = append(append(args, searchFlags(paths)...), "main=unit.a")
	if _, err = (command{dir: dir, env: append(b.ws.Go.toolEnv(), quick...)}).run(ctx, b.ws.Go.tool("link"), args...); err != nil {
		return nil, fmt.Errorf("link: %w", err)
	}
	return os.ReadFile(filepath.Join(dir, "link", "go.o"))
}

// searchFlags tells the linker where the libraries are that other libraries need.
func searchFlags(libs []string) []string {
	var flags []string
	for _, path := range libs {
		flags = append(flags, "-L", filepath.Dir(path))
	}
	return flags
}

var message = regexp.MustCompile(`^(.+?):(\d+)(?::(\d+))?: (.*)$`)

// diagnostics reads the compiler's messages. Lines that begin with a tab belong to the message before.
func diagnostics(text string, files []File) []Diagnostic {
	var list []Diagnostic
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		m := message.FindStringSubmatch(line)
		if n := len(list); strings.HasPrefix(line, "\t") && n > 0 {
			list[n-1].Msg += "\n" + line
			continue
		}
		if m == nil {
			continue
		}
		d := Diagnostic{File: strings.TrimPrefix(m[1], "./"), Msg: m[4]}
		d.Line, _ = strconv.Atoi(m[2])
		d.Col, _ = strconv.Atoi(m[3])
		if i, err := strconv.Atoi(strings.TrimSuffix(d.File, ".go")); err == nil && strings.HasSuffix(d.File, ".go") && i < len(files) {
			d.File = files[i].Name // no //line directive there
		}
		list = append(list, d)
	}
	return list
}
