package toolchain

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"syscall"
	"time"
)

// Lock takes an exclusive lock on path, across processes; waiting is called once if another holds it.
func Lock(ctx context.Context, path string, waiting func()) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		if waiting != nil {
			waiting()
			waiting = nil
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// writeFile writes a file so that others see all of it or nothing.
func writeFile(path string, data []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once renamed
	_, err = f.Write(data)
	if err := errors.Join(err, f.Chmod(mode), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func hashOf(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d\n%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func hashFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// stamp is what a file or folder was like; it is compared by size and time first, and
// by content when those differ.
type stamp struct {
	Path    string
	Package string `json:",omitempty"` // the package it belongs to; "" for go.mod and the like
	Size    int64
	Time    int64
	Hash    string // of the content; of a folder: of its source files' names; "" when it is not there
}

func newStamp(path, pkg string) stamp {
	s := stamp{Path: path, Package: pkg}
	s.Size, s.Time = s.stat()
	s.Hash = s.content()
	return s
}

func (s *stamp) stat() (size, mtime int64) {
	info, err := os.Stat(s.Path)
	if err != nil {
		return -1, 0
	}
	if info.IsDir() {
		return 0, info.ModTime().UnixNano()
	}
	return info.Size(), info.ModTime().UnixNano()
}

func (s *stamp) content() string {
	entries, err := os.ReadDir(s.Path)
	if err != nil {
		hash, _ := hashFile(s.Path)
		return hash
	}
	var names []string
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		if e.IsDir() || sourceExt[filepath.Ext(name)] {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return hashOf(names...)
}

var sourceExt = map[string]bool{".go": true, ".s": true, ".S": true, ".c": true, ".h": true, ".cc": true, ".cpp": true, ".cxx": true,
	".hh": true, ".hpp": true, ".hxx": true, ".m": true, ".f": true, ".syso": true}

// changed says whether the file is another now. Where only its times differ the stamp is renewed.
func (s *stamp) changed() bool {
	size, mtime := s.stat()
	if size == s.Size && mtime == s.Time {
		return false
	}
	if s.content() != s.Hash {
		return true
	}
	s.Size, s.Time = size, mtime
	return false
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
