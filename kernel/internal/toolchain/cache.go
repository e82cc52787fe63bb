package toolchain

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"
)

// Cache is the folder where all that is built is kept. It may be removed at any time that no kernel runs.
//
//	base/KEY/        a base library: libbase.so, worker, export data
//	extension/KEY/   a library of packages outside the base
//	cells/XX/KEY.*   objects of cells
//	gopls/KEY/       what completes names, which package assist builds
//	workspaces/      which base a module had last
//	plans/           which base a build list has, wherever the module is
//	overlay/         patched files of the standard library
//	locks/           one builds, the others wait
//
// Keys say what a thing was made of, and nothing of the folder or the user it was made for.
type Cache struct {
	Dir string
	// Shared is looked into first, and nothing is ever written there; nil: there is none. Whatever it lacks, or holds damaged,
	// is looked up in Dir, and built there.
	Shared *Cache
	// PassedOver says why the shared cache that GRADBOOK_SHARED_CACHE names is not used.
	PassedOver error

	readOnly bool // it is another one's Shared
}

// SharedDir is where a machine or an image keeps what all its users share, unless GRADBOOK_SHARED_CACHE names another folder.
// Whoever can write there decides what code everyone's cells run.
const SharedDir = "/usr/local/share/gradbook/cache"

// OpenCache opens the cache in dir; "": GRADBOOK_CACHE, else gradbook in the user's cache folder, and with it the shared one.
func OpenCache(dir string) (*Cache, error) {
	named := dir != ""
	if dir == "" {
		dir = os.Getenv("GRADBOOK_CACHE")
	}
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("no cache folder: %w; set GRADBOOK_CACHE to a folder that can be written", err)
		}
		dir = filepath.Join(user, "gradbook")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("the cache folder cannot be made: %w; set GRADBOOK_CACHE to a folder that can be written", err)
	}
	c := &Cache{Dir: dir}
	if !named {
		c.openShared()
	}
	return c, nil
}

// openShared finds the shared cache. That there is none is no error.
func (c *Cache) openShared() {
	dir, asked := os.LookupEnv("GRADBOOK_SHARED_CACHE")
	switch {
	case dir == "off":
		return
	case dir == "":
		dir, asked = SharedDir, false
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		c.PassedOver = err
		return
	}
	info, err := os.Stat(dir)
	if err == nil && info.IsDir() {
		_, err = os.ReadDir(dir)
	} else if err == nil {
		err = fmt.Errorf("%s is not a folder", dir)
	}
	if err != nil {
		if asked || !errors.Is(err, fs.ErrNotExist) {
			c.PassedOver = fmt.Errorf("the shared cache is passed over: %w; set GRADBOOK_SHARED_CACHE to a folder that can be read, or to off", err)
		}
		return
	}
	if own, err := os.Stat(c.Dir); err == nil && os.SameFile(own, info) { // it is being filled
		return
	}
	c.Shared = &Cache{Dir: dir, readOnly: true}
}

// ReadOnly says that nothing is written into this cache: it is a shared one.
func (c *Cache) ReadOnly() bool { return c.readOnly }

// layers are the caches to look into, in this order.
func (c *Cache) layers() []*Cache {
	if c.Shared != nil {
		return []*Cache{c.Shared, c}
	}
	return []*Cache{c}
}

func (c *Cache) path(parts ...string) string {
	return filepath.Join(append([]string{c.Dir}, parts...)...)
}

// first calls f for each layer until it succeeds; its last error is the user's own cache's.
func (c *Cache) first(f func(*Cache) error) (err error) {
	for _, layer := range c.layers() {
		if err = f(layer); err == nil {
			return nil
		}
	}
	return err
}

// used notes that files were used, for pruning. A cache that cannot be written works too.
func (c *Cache) used(paths ...string) {
	if c.readOnly {
		return
	}
	now := time.Now()
	for _, path := range paths {
		_ = os.Chtimes(path, now, now)
	}
}

// begin makes the folder in which a new entry grows.
func (c *Cache) begin(kind, key string) (string, error) {
	if err := os.MkdirAll(c.path(kind), 0o755); err != nil {
		return "", err
	}
	return os.MkdirTemp(c.path(kind), ".new-"+key[:8]+"-*")
}

// finish makes the folder the entry of its key, in place of a damaged one.
func (c *Cache) finish(dir, kind string, m *manifest) error {
	if err := m.seal(dir); err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	to := c.path(kind, m.Key)
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	return os.Rename(dir, to)
}

// goplsKind is the name of the folder, and of the program in each of its folders.
const goplsKind = "gopls"

// Usage is what one kind of thing takes in the cache.
type Usage struct {
	Kind    string // "base", "extension", "cells", "gopls", "other"
	Entries int
	Bytes   int64
}

// Entry is one library of the cache.
type Entry struct {
	Kind, Key string
	GoVersion string // "" when the entry is damaged
	Packages  int
	Bytes     int64
	Used      time.Time
}

// Usage returns the size of the cache by kind.
func (c *Cache) Usage() ([]Usage, error) {
	list := []Usage{{Kind: "base"}, {Kind: "extension"}, {Kind: "cells"}, {Kind: goplsKind}, {Kind: "other"}}
	err := filepath.WalkDir(c.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return ignoreGone(err)
		}
		info, err := d.Info()
		if err != nil {
			return ignoreGone(err)
		}
		name, err := filepath.Rel(c.Dir, path)
		if err != nil {
			return err
		}
		first, _, _ := strings.Cut(name, string(filepath.Separator))
		at := len(list) - 1
		for i, u := range list {
			if u.Kind == first {
				at = i
			}
		}
		list[at].Bytes += info.Size()
		if base := filepath.Base(name); base == manifestFile || first == "cells" && strings.HasSuffix(base, ".json") || first == goplsKind && base == goplsKind {
			list[at].Entries++
		}
		return nil
	})
	return list, err
}

// Entries returns the libraries of the cache, the latest used first.
func (c *Cache) Entries() ([]Entry, error) {
	var list []Entry
	for _, kind := range []string{"base", "extension"} {
		dirs, err := os.ReadDir(c.path(kind))
		if err = ignoreGone(err); err != nil {
			return nil, err
		}
		for _, d := range dirs {
			if strings.HasPrefix(d.Name(), ".") || !d.IsDir() {
				continue
			}
			e := Entry{Kind: kind, Key: d.Name()}
			dir := c.path(kind, e.Key)
			if info, err := os.Stat(filepath.Join(dir, manifestFile)); err == nil {
				e.Used = info.ModTime()
			}
			var m manifest
			if readSealed(filepath.Join(dir, manifestFile), &m) == nil {
				e.GoVersion, e.Packages = m.GoVersion, len(m.Packages)
			}
			if e.Bytes, err = sizeOf(dir); err != nil {
				return nil, err
			}
			list = append(list, e)
		}
	}
	sort.SliceStable(list, func(i, j int) bool { return list[i].Used.After(list[j].Used) })
	return list, nil
}

func sizeOf(dir string) (total int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return ignoreGone(err)
		}
		info, err := d.Info()
		if err == nil {
			total += info.Size()
		}
		return ignoreGone(err)
	})
	return total, err
}

func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Prune removes base libraries but the keep latest used, and extensions, cells and builds of gopls that were not used for that long
// (0: all of them). It returns the bytes that became free. A kernel that is running keeps its libraries mapped, but needs
// to build what it lost when it restarts.
func (c *Cache) Prune(keep int, unused time.Duration) (freed int64, err error) {
	entries, err := c.Entries()
	if err != nil {
		return 0, err
	}
	before := time.Now().Add(-unused)
	bases := 0
	for _, e := range entries {
		if e.Kind == "base" {
			if bases++; bases <= keep {
				continue
			}
		} else if e.Used.After(before) {
			continue
		}
		if err := os.RemoveAll(c.path(e.Kind, e.Key)); err != nil {
			return freed, err
		}
		freed += e.Bytes
	}
	n, err := c.pruneGopls(before)
	if freed += n; err != nil {
		return freed, err
	}
	err = filepath.WalkDir(c.path("cells"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return ignoreGone(err)
		}
		info, err := d.Info()
		if err != nil || info.ModTime().After(before) {
			return ignoreGone(err)
		}
		freed += info.Size()
		return ignoreGone(os.Remove(path))
	})
	if err != nil {
		return freed, err
	}
	return freed, c.pruneUnfinished()
}

// pruneGopls removes what was built of gopls, and not used since.
func (c *Cache) pruneGopls(before time.Time) (freed int64, err error) {
	dirs, err := os.ReadDir(c.path(goplsKind))
	if err = ignoreGone(err); err != nil {
		return 0, err
	}
	for _, d := range dirs {
		dir := c.path(goplsKind, d.Name())
		info, err := os.Stat(filepath.Join(dir, goplsKind))
		if err != nil || info.ModTime().After(before) { // it is a lock, or is being built
			continue
		}
		size, err := sizeOf(dir)
		if err == nil {
			err = os.RemoveAll(dir)
		}
		if err != nil {
			return freed, err
		}
		freed += size
	}
	return freed, nil
}

// pruneUnfinished removes what killed processes left half built.
func (c *Cache) pruneUnfinished() error {
	for _, kind := range []string{"base", "extension"} {
		dirs, err := filepath.Glob(c.path(kind, ".new-*"))
		if err != nil {
			return err
		}
		for _, dir := range dirs {
			if info, err := os.Stat(dir); err == nil && time.Since(info.ModTime()) > time.Hour {
				if err := os.RemoveAll(dir); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// Verify compares all that is in the cache with the hashes taken when it was written. Damaged entries are removed, so that
// they are built again when needed, but not from a shared cache; the errors name them.
func (c *Cache) Verify() (checked int, damaged []error, err error) {
	entries, err := c.Entries()
	if err != nil {
		return 0, nil, err
	}
	for _, e := range entries {
		checked++
		dir := c.path(e.Kind, e.Key)
		m, bad := c.readManifest(dir)
		if bad == nil {
			bad = m.verify(dir)
		}
		if bad != nil {
			damaged = append(damaged, bad)
			if c.readOnly {
				continue
			}
			if err := os.RemoveAll(dir); err != nil {
				return checked, damaged, err
			}
		}
	}
	err = filepath.WalkDir(c.path("cells"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".json") {
			return ignoreGone(err)
		}
		checked++
		stem := strings.TrimSuffix(path, ".json")
		if _, bad := c.readCell(stem); bad != nil {
			damaged = append(damaged, bad)
			if c.readOnly {
				return nil
			}
			return errors.Join(ignoreGone(os.Remove(path)), ignoreGone(os.Remove(stem+".o")))
		}
		return nil
	})
	return checked, damaged, err
}
