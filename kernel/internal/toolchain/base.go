package toolchain

import (
	"context"
	"errors"
	"fmt"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Options say what to open.
type Options struct {
	// Source is the live program's source: folders "live", "live/host" and so on, which
	// become the packages gradbook/live, gradbook/live/host. Without it there is no worker.
	Source fs.FS
	// Packages are the patterns of the base list; nil: [BasePackages]. Those that the workspace's build list
	// cannot provide are left out, and so are the user's own (of the main module, or replaced by a folder): they are
	// added by Extend, so that an edit does not build the base anew, nor a mistake in them keep it from being built.
	Packages []string
	// CacheDir is where all that is built is kept; "": GRADBOOK_CACHE, else the user's cache folder.
	CacheDir string
	// Progress is told what takes long; it may be nil.
	Progress func(Progress)
}

// Package is one package of the base or of an extension.
type Package struct {
	Path, Name string
	Standard   bool
	Module     string `json:",omitempty"` // which module's, at which version
	Content    string // names what was compiled
	Export     string // file of its export data
	library    int    // which of the base's libraries holds it
}

// Base is an open base library with the extensions that were added to it. It is safe for concurrent use.
type Base struct {
	Library string // path of libbase.so
	Worker  string // path of the worker program; "" without Options.Source
	Key     string // hash of all that went into it

	ws    *Workspace
	opts  Options
	cache *Cache
	tmp   string // scratch folder, in memory where that can be had
	list  *lister

	mu       sync.Mutex
	libs     []*library          // guarded by mu; the base, then extensions in the order of loading
	packages map[string]*Package // guarded by mu
	byName   map[string][]string // guarded by mu
	stamps   []stamp             // guarded by mu; what the base and its extensions were built from
	keys     []string            // guarded by mu; keys of the libraries

	typesMu sync.Mutex
	fset    *token.FileSet            // guarded by typesMu
	types   map[string]*types.Package // guarded by typesMu

	extendMu sync.Mutex // held while an extension is built
}

// OpenBase opens the base library for a workspace, and builds it when it is not in the cache: that
// takes a minute or two, once.
func OpenBase(ctx context.Context, ws *Workspace, o Options) (*Base, error) {
	cache, err := OpenCache(o.CacheDir)
	if err != nil {
		return nil, err
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	if o.Packages == nil {
		if o.Packages, err = BasePackages(); err != nil {
			return nil, err
		}
	}
	b := &Base{ws: ws, opts: o, cache: cache, packages: map[string]*Package{}, byName: map[string][]string{}}
	over, err := overlay(ws.Go, o.Source, cache.path("overlay"))
	if err != nil {
		return nil, err
	}
	b.list = &lister{ws: ws, overlay: over}
	if err := b.open(ctx); err != nil {
		return nil, err
	}
	if b.tmp, err = scratchDir(); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// Close removes what Base keeps outside the cache. Objects already built stay.
func (b *Base) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.libs {
		l.close()
	}
	b.libs = nil
	if b.tmp == "" {
		return nil
	}
	return os.RemoveAll(b.tmp)
}

// scratchDir makes a folder for what lives as long as one build, in memory where there is such a file system.
// Those that killed processes left behind are removed on the way.
func scratchDir() (string, error) {
	for _, dir := range []string{"/dev/shm", os.TempDir()} {
		old, _ := filepath.Glob(filepath.Join(dir, "gradbook-*-*"))
		for _, path := range old {
			var pid int
			_, err := fmt.Sscanf(filepath.Base(path), "gradbook-%d-", &pid)
			if err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) && unusedFor(path, time.Hour) {
				os.RemoveAll(path)
			}
		}
		if path, err := os.MkdirTemp(dir, fmt.Sprintf("gradbook-%d-*", os.Getpid())); err == nil {
			return path, nil
		}
	}
	return os.MkdirTemp("", fmt.Sprintf("gradbook-%d-*", os.Getpid()))
}

// unusedFor says whether nothing was made in a folder for that long: another container's processes are not seen here.
func unusedFor(dir string, t time.Duration) bool {
	info, err := os.Stat(dir)
	return err == nil && time.Since(info.ModTime()) > t
}

// record remembers which base a workspace had, and what would show that it is another now.
type record struct {
	Key    string
	Stamps []stamp
}

// open opens the base that the workspace had last, if nothing changed since; else it lists, compiles and links.
func (b *Base) open(ctx context.Context) error {
	id := hashOf(b.ws.Go.identity(), b.ws.Dir, b.ws.Mod, b.ws.Work, b.list.overlay, strings.Join(b.opts.Packages, " "))
	file := b.cache.path("workspaces", id+".json")
	if b.openRecorded(file) || b.openPlanned(b.planByText()) {
		return nil
	}
	unlock, err := Lock(ctx, b.cache.path("locks", "base"), func() {
		b.opts.Progress(Progress{Stage: "waiting for another process that builds the base library"})
	})
	if err != nil {
		return err
	}
	defer unlock()
	if b.openRecorded(file) {
		return nil
	}
	return b.build(ctx, file)
}

// openRecorded opens the recorded base unless something changed or it is damaged.
func (b *Base) openRecorded(file string) bool {
	var r record
	if err := readSealed(file, &r); err != nil {
		return false
	}
	for i := range r.Stamps {
		if r.Stamps[i].changed() {
			return false
		}
	}
	if err := b.load(r.Key); err != nil {
		return false
	}
	b.stamps = r.Stamps
	return true
}

// load opens the base of that key from the cache.
func (b *Base) load(key string) error {
	return b.cache.first(func(c *Cache) error {
		dir := c.path("base", key)
		m, err := c.readManifest(dir)
		if err != nil {
			return err
		}
		return b.attach(dir, m)
	})
}

// attach makes a library of the cache part of the base.
func (b *Base) attach(dir string, m *manifest) error {
	l, err := openLibrary(filepath.Join(dir, m.Library), filepath.Join(dir, pointersFile))
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.libs) == 0 {
		b.Key, b.Library = m.Key, l.path
		if m.Worker != "" {
			b.Worker = filepath.Join(dir, m.Worker)
		}
	}
	for _, p := range m.Packages {
		p.Export = filepath.Join(dir, p.Export)
		p.library = len(b.libs)
		b.packages[p.Path] = p
		b.byName[p.Name] = append(b.byName[p.Name], p.Path)
	}
	b.libs = append(b.libs, l)
	b.keys = append(b.keys, m.Key)
	return nil
}

// build compiles what the base lacks of, links it and puts it into the cache. The caller holds the lock.
func (b *Base) build(ctx context.Context, file string) error {
	patterns := b.opts.Packages
	for _, dir := range sourceDirs(b.opts.Source) {
		patterns = append(patterns[:len(patterns):len(patterns)], "gradbook/"+dir)
	}
	const stage = "compiling the base library"
	b.opts.Progress(Progress{Stage: "looking up the packages of the base library"})
	stamps := b.ws.stamps()
	byText := b.planByText() // of what the build list is now
	paths, needed, err := b.list.resolve(ctx, append(patterns, "runtime", "runtime/cgo"))
	if err != nil {
		return fmt.Errorf("the packages of the base library: %w", err)
	}
	byPackages := b.planByPackages(paths, needed)
	if b.openPlanned(byPackages) {
		// The next folder with this text of go.mod need not look up anything.
		return errors.Join(writeSealed(file, record{Key: b.Key, Stamps: b.stamps}), b.writePlan(byText, b.Key))
	}
	pkgs, err := b.list.export(ctx, stage, len(needed), b.opts.Progress, paths)
	if err != nil {
		return fmt.Errorf("%s: %w", stage, err)
	}
	parts := []string{b.ws.Go.identity(), baseForm}
	for _, p := range pkgs {
		if p.Export == "" && p.ImportPath != "unsafe" {
			return fmt.Errorf("%s: go list says nothing of what it made of %s", stage, p.ImportPath)
		}
		parts = append(parts, p.ImportPath, p.content())
		if p.local() {
			stamps = append(stamps, p.stamps()...)
		}
	}
	key := hashOf(parts...)[:32]
	if err := b.load(key); err != nil {
		b.opts.Progress(Progress{Stage: "linking the base library"})
		if err := b.link(ctx, key, pkgs); err != nil {
			return err
		}
		if err := b.load(key); err != nil {
			return fmt.Errorf("the base library was built and cannot be opened: %w", err)
		}
	}
	b.stamps = stamps
	if byPackages == "" { // the base holds what may change in place
		byText = ""
	}
	return errors.Join(writeSealed(file, record{Key: key, Stamps: stamps}), b.writePlan(byText, key), b.writePlan(byPackages, key))
}

// baseForm changes when the way in which libraries are linked or kept changes.
const baseForm = "1"

// stamps returns the stamps of the files that make the build list.
func (w *Workspace) stamps() []stamp {
	var list []stamp
	for _, p := range []string{w.Mod, w.Work} {
		if p == "" {
			continue
		}
		sum := strings.TrimSuffix(p, ".mod") + ".sum"
		if p == w.Work {
			sum = p + ".sum"
		}
		list = append(list, newStamp(p, ""), newStamp(sum, ""))
	}
	for _, path := range w.frozenFiles() {
		list = append(list, newStamp(path, ""))
	}
	return list
}

// sourceDirs returns the folders of source that hold Go files.
func sourceDirs(source fs.FS) []string {
	if source == nil {
		return nil
	}
	dirs := map[string]bool{}
	fs.WalkDir(source, ".", func(name string, d fs.DirEntry, err error) error { // overlay has reported its errors
		if err == nil && strings.HasSuffix(name, ".go") {
			dirs[path.Dir(name)] = true
		}
		return nil
	})
	return sortedKeys(dirs)
}

// link links the base library and the worker, in a folder that becomes the cache's entry when it is whole.
func (b *Base) link(ctx context.Context, key string, pkgs []*listed) error {
	dir, err := b.cache.begin("base", key)
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	m := &manifest{Key: key, GoVersion: b.ws.Go.Version, Library: "libbase.so", Created: time.Now()}
	var host string
	var files, shlibs strings.Builder
	args := []string{}
	for _, p := range pkgs {
		switch {
		case p.ImportPath == hostPath:
			host = p.Export
		case p.ImportPath == "unsafe":
			m.Packages = append(m.Packages, &Package{Path: "unsafe", Name: "unsafe", Standard: true})
		default:
			fmt.Fprintf(&files, "packagefile %s=%s\n", p.ImportPath, p.Export)
			fmt.Fprintf(&shlibs, "packageshlib %s=%s\n", p.ImportPath, filepath.Join(dir, m.Library))
			args = append(args, p.ImportPath+"="+p.Export)
			entry, err := keepExport(dir, p)
			if err != nil {
				return err
			}
			m.Packages = append(m.Packages, entry)
		}
	}
	if err := b.linkShared(ctx, dir, m.Library, files.String(), nil, args); err != nil {
		return err
	}
	if host != "" {
		m.Worker = "worker"
		if err := b.linkWorker(ctx, dir, shlibs.String(), host); err != nil {
			return err
		}
	}
	return b.cache.finish(dir, "base", m)
}

// linkShared links packages into one shared library, and lists its pointers beside it. bfd does it: other
// linkers leave the bytes of GC masks out of the file, where the Go linker reads them later.
func (b *Base) linkShared(ctx context.Context, dir, name, importcfg string, libs []*library, args []string) error {
	cfg := filepath.Join(dir, "importcfg")
	if err := os.WriteFile(cfg, []byte(importcfg), 0o644); err != nil {
		return err
	}
	out := filepath.Join(dir, name)
	flags := []string{"-o", out, "-buildmode=shared", "-linkshared", "-installsuffix", "dynlink", "-importcfg", cfg, "-checklinkname=0", "-s", "-w",
		"-X", "runtime.defaultGOROOT=" + b.ws.Go.Root, "-r", "$ORIGIN", "-extld=" + b.ws.Go.CC, "-extldflags=-fuse-ld=bfd -Wl,-z,noexecstack -Wl,--hash-style=gnu -Wl,-soname=" + name}
	var paths []string
	for _, l := range libs {
		paths = append(paths, l.path)
	}
	flags = append(flags, searchFlags(paths)...)
	if _, err := (command{dir: dir, env: b.ws.Go.toolEnv()}).run(ctx, b.ws.Go.tool("link"), append(flags, args...)...); err != nil {
		return fmt.Errorf("linking %s: %w", name, err)
	}
	pointers, err := pointersOf(out)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(filepath.Join(dir, pointersFile), pointers, 0o644), os.Remove(cfg))
}

func (b *Base) linkWorker(ctx context.Context, dir, importcfg, host string) error {
	cfg := filepath.Join(dir, "importcfg")
	if err := os.WriteFile(cfg, []byte(importcfg), 0o644); err != nil {
		return err
	}
	_, err := command{dir: dir, env: b.ws.Go.toolEnv()}.run(ctx, b.ws.Go.tool("link"), "-o", filepath.Join(dir, "worker"), "-importcfg", cfg, "-installsuffix", "dynlink",
		"-linkshared", "-buildmode=exe", "-checklinkname=0", "-w", "-r", "$ORIGIN", "-extld="+b.ws.Go.CC, "-extldflags=-Wl,-z,noexecstack", host)
	if err != nil {
		return fmt.Errorf("linking the worker: %w", err)
	}
	return os.Remove(cfg)
}
