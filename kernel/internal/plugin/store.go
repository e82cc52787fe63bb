package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/gradbook/gradbook/internal/pjrt"
)

// Store is the folder with what was installed; each package has a folder of its own in it.
type Store struct {
	Dir    string
	Report func(text string)                // what is under way
	Free   func(dir string) (uint64, error) // bytes that can be written there; nil: ask the system
}

// Open returns the user's store; its folder need not exist.
func Open() (*Store, error) {
	dir, err := pjrt.InstallDir()
	if err != nil {
		return nil, fmt.Errorf("no home folder: %w; set XDG_DATA_HOME", err)
	}
	return &Store{Dir: dir}, nil
}

// Installed is a package in the store.
type Installed struct {
	Name    string `json:"name"`    // of the package
	Version string `json:"version"` // of the plugin, with its name in the index
	Device  string `json:"device"`
	Path    string `json:"path"`  // the plugin's file
	Bytes   int64  `json:"bytes"` // of all files
	Err     error  `json:"-"`     // why it cannot be used here
}

// receipt is what Install leaves in the package's folder.
type receipt struct {
	Version string   `json:"version"`
	Device  string   `json:"device"`
	Library int64    `json:"library"` // bytes of the plugin's file
	Bytes   int64    `json:"bytes"`   // of all files
	Wheels  []string `json:"wheels"`  // as pip's requirements
}

const receiptName = "installed.json"

// Installed returns what is in the store, by name.
func (s *Store) Installed() []Installed {
	entries, err := os.ReadDir(s.Dir)
	if err != nil {
		return nil
	}
	var list []Installed
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			i, _ := s.installed(e.Name())
			list = append(list, i)
		}
	}
	return list
}

// installed reads what there is of a package, which has a folder.
func (s *Store) installed(name string) (Installed, receipt) {
	i := Installed{Name: name, Version: "?"}
	var r receipt
	text, err := os.ReadFile(filepath.Join(s.Dir, name, receiptName))
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil || r.Device == "" {
		i.Path = filepath.Join(s.Dir, name)
		i.Err = fmt.Errorf("%s holds no plugin that was installed whole; remove it: gradbook backend remove %s", i.Path, name)
		return i, r
	}
	i.Version, i.Device, i.Bytes = r.Version, r.Device, r.Bytes
	i.Path = filepath.Join(s.Dir, name, pjrt.Folder, pjrt.FileName(r.Device))
	if err := intact(i.Path, r); err != nil {
		i.Err = fmt.Errorf("%w; install it again: gradbook backend install %s", err, name)
	} else {
		i.Err = pjrt.Check(i.Path)
	}
	return i, r
}

// intact says what has happened to the plugin's file since it was installed.
func intact(path string, r receipt) error {
	if err := pjrt.CheckFile(path); err != nil {
		return err
	}
	if info, err := os.Stat(path); err == nil && info.Size() != r.Library {
		return fmt.Errorf("PJRT plugin %s is not as it was installed: it has %d bytes, not %d", path, info.Size(), r.Library)
	}
	return nil
}

// Has tells whether exactly this package is there, undamaged.
func (s *Store) Has(p Package) bool {
	if _, err := os.Stat(filepath.Join(s.Dir, p.Name)); err != nil {
		return false
	}
	i, r := s.installed(p.Name)
	return slices.Equal(r.Wheels, lines(p)) && intact(i.Path, r) == nil
}

func lines(p Package) (list []string) {
	for _, w := range p.Wheels {
		list = append(list, strings.TrimSpace(w.line()))
	}
	return list
}

// Install puts a package into the store, in place of what is there under its name. Its wheels come from the folder from or, if that is empty, by pip. After an error the store is
// as it was. Unavailable tells whether another package may do better.
func (s *Store) Install(ctx context.Context, p Package, from string) (Installed, error) {
	if err := pjrt.CheckPath(filepath.Join(s.Dir, p.Name, pjrt.Folder, pjrt.FileName(p.Device))); err != nil {
		return Installed{}, fmt.Errorf("%w: set XDG_DATA_HOME to another folder", err)
	}
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return Installed{}, fmt.Errorf("plugins cannot be kept in %s: %w; set XDG_DATA_HOME to a folder that can be written", s.Dir, reason(err))
	}
	unlock, err := s.lock(ctx)
	if err != nil {
		return Installed{}, err
	}
	defer unlock()
	stale, _ := filepath.Glob(filepath.Join(s.Dir, ".new-*"))
	old, _ := filepath.Glob(filepath.Join(s.Dir, ".old-*"))
	for _, dir := range append(stale, old...) { // what was killed has left: nobody else holds the lock
		os.RemoveAll(dir)
	}
	if err := s.room(p, from); err != nil {
		return Installed{}, err
	}
	stage, err := os.MkdirTemp(s.Dir, ".new-*")
	if err != nil {
		return Installed{}, err
	}
	defer os.RemoveAll(stage)
	made := filepath.Join(stage, "made")
	if err := s.make(ctx, p, from, stage, made); err != nil {
		return Installed{}, err
	}
	if err := s.replace(p.Name, made); err != nil {
		return Installed{}, err
	}
	i, _ := s.installed(p.Name)
	return i, nil
}

// Unavailable tells whether an error of Install means that the package cannot be had, now or ever.
func Unavailable(err error) bool {
	var u unavailable
	return errors.As(err, &u)
}

// lock keeps two installations apart.
func (s *Store) lock(ctx context.Context) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(s.Dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("plugins cannot be kept in %s: %w; set XDG_DATA_HOME to a folder that can be written", s.Dir, reason(err))
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		s.report("Another gradbook is installing: waiting for it")
		select {
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// reason is an error without the path that the message names already.
func reason(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// room looks whether the disk has room for the files and, where they are fetched, for the largest wheel.
func (s *Store) room(p Package, from string) error {
	free := s.Free
	if free == nil {
		free = freeBytes
	}
	n, err := free(s.Dir)
	if err != nil {
		return nil // not every file system says
	}
	need := p.Unpacked()
	if from == "" {
		var largest int64
		for _, w := range p.Wheels {
			largest = max(largest, w.Bytes)
		}
		need += largest
	}
	if uint64(need) > n {
		return fmt.Errorf("%s takes %s while it is installed, and %s has only %s left: make room, or set XDG_DATA_HOME to a folder elsewhere", p.Name, size(need), s.Dir, size(int64(n)))
	}
	return nil
}

func freeBytes(dir string) (uint64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return st.Bavail * uint64(st.Bsize), nil
}

func size(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// make builds the package's folder; stage is for what is needed meanwhile.
func (s *Store) make(ctx context.Context, p Package, from, stage, made string) error {
	if err := os.MkdirAll(filepath.Join(made, pjrt.Folder), 0o755); err != nil {
		return err
	}
	var by *pip
	var before int64 // bytes of the wheels that were dealt with
	if from == "" {
		s.report("Looking for pip")
		var err error
		if by, err = findPip(ctx, stage); err != nil {
			return err
		}
		by.report = func(done int64) {
			done = min(before+done, p.Bytes())
			s.report(fmt.Sprintf("Fetching %s: %s of %s", p.Name, size(done), size(p.Bytes())))
		}
	}
	library := p.Library
	for k, w := range p.Wheels {
		file, here := "", filepath.Join(stage, fmt.Sprint("wheel", k))
		err := os.Mkdir(here, 0o755)
		switch {
		case err != nil:
		case from != "":
			s.report(fmt.Sprintf("Checking %s: %s %s", p.Name, w.Name, w.Version))
			file, err = w.in(from)
		default:
			by.report(0)
			file, err = by.fetch(ctx, w, here)
		}
		if err == nil {
			s.report(fmt.Sprintf("Unpacking %s: %s", p.Name, w.Name))
			err = w.unpack(ctx, file, made, p.Device, library)
		}
		if err != nil {
			return err
		}
		if err := os.RemoveAll(here); err != nil {
			return err
		}
		library = "" // the plugin is in the first
		before += w.Bytes
	}
	return seal(p, made)
}

// seal checks what was unpacked and writes the receipt.
func seal(p Package, made string) error {
	path := filepath.Join(made, pjrt.Folder, pjrt.FileName(p.Device))
	if err := pjrt.CheckFile(path); err != nil {
		return fmt.Errorf("the wheel of %s holds no plugin for this machine: %w", p.Version(), err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	r := receipt{p.Version(), p.Device, info.Size(), folderSize(made), lines(p)}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(made, receiptName), append(text, '\n'), 0o644)
}

// replace puts a finished folder where the package belongs; what was there comes back if that fails.
func (s *Store) replace(name, made string) error {
	to := filepath.Join(s.Dir, name)
	old, err := s.aside(name)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Rename(made, to); err != nil {
		if old != "" {
			err = errors.Join(err, os.Rename(old, to))
		}
		return err
	}
	if old == "" {
		return nil
	}
	return os.RemoveAll(filepath.Dir(old))
}

// aside moves a package out of the way, into a new folder.
func (s *Store) aside(name string) (old string, err error) {
	from := filepath.Join(s.Dir, name)
	if _, err := os.Lstat(from); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(s.Dir, ".old-*")
	if err != nil {
		return "", err
	}
	old = filepath.Join(dir, name)
	if err := os.Rename(from, old); err != nil {
		os.Remove(dir)
		return "", err
	}
	return old, nil
}

// Remove takes a package out of the store. Programs that have loaded it are not disturbed.
func (s *Store) Remove(ctx context.Context, name string) error {
	if !filepath.IsLocal(name) || filepath.Base(name) != name || strings.HasPrefix(name, ".") {
		return fmt.Errorf("%q is not the name of a package", name)
	}
	if _, err := os.Lstat(filepath.Join(s.Dir, name)); err != nil {
		return s.missing(name)
	}
	unlock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	old, err := s.aside(name)
	if err != nil {
		return fmt.Errorf("%s cannot be removed: %w", filepath.Join(s.Dir, name), reason(err))
	}
	return os.RemoveAll(filepath.Dir(old))
}

// missing says that a package is not installed, and what is.
func (s *Store) missing(name string) error {
	var names []string
	for _, i := range s.Installed() {
		names = append(names, i.Name)
	}
	if names == nil {
		return fmt.Errorf("%s is not installed, and neither is anything else", name)
	}
	return fmt.Errorf("%s is not installed; installed is %s", name, strings.Join(names, ", "))
}

func (s *Store) report(text string) {
	if s.Report != nil {
		s.Report(text)
	}
}
