package toolchain_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/gradbook/gradbook/kernel/internal/toolchain"
)

// cacheDir is one cache for all tests, so that the small base is built once.
var cacheDir string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "toolchain-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	cacheDir = dir
	os.Setenv("XDG_DATA_HOME", filepath.Join(dir, "data"))
	os.Setenv("GOWORK", "")
	status := m.Run()
	os.RemoveAll(dir)
	os.Exit(status)
}

// source is a live program that shows whether the hooks are there.
var source = fstest.MapFS{
	"live/live.go": {Data: []byte(`package live

import "internal/poll"

func Hook() {
	poll.WriteHook = func(fd int, p []byte) (int, error, bool) {
		if string(p) != "asked\n" {
			return 0, nil, false
		}
		println("hooked", fd)
		return len(p), nil, true
	}
}
`)},
	"live/host/main.go": {Data: []byte(`package main

import (
	"fmt"

	"gradbook/live"
)

func main() {
	live.Hook()
	fmt.Println("asked")
	fmt.Println("passed")
}
`)},
}

var small = []string{"fmt", "os", "strings", "strconv", "sort", "sync", "errors", "io", "bufio", "time", "bytes", "math", "math/rand", "crypto/rand"}

// writeFiles writes files into dir; a name's folders are made.
func writeFiles(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// module makes a module of the given files.
func module(t *testing.T, files map[string]string) *toolchain.Workspace {
	t.Helper()
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"go.mod": "module example.com/nb\n\ngo 1.26\n"})
	writeFiles(t, dir, files)
	return workspace(t, dir)
}

func workspace(t *testing.T, dir string) *toolchain.Workspace {
	t.Helper()
	ws, err := findGo(t).Workspace(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return ws
}

func findGo(t *testing.T) *toolchain.Go {
	t.Helper()
	g, err := toolchain.Find(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// stages collects the stages of progress.
type stages struct {
	mu   sync.Mutex
	list []string
}

func (s *stages) add(p toolchain.Progress) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.list); n == 0 || s.list[n-1] != p.Stage {
		s.list = append(s.list, p.Stage)
	}
	if p.Total > 0 && p.Done == 0 {
		s.list = append(s.list, p.String())
	}
}

func (s *stages) has(part string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Contains(strings.Join(s.list, "\n"), part)
}

func open(t *testing.T, ws *toolchain.Workspace, o toolchain.Options) *toolchain.Base {
	t.Helper()
	if o.CacheDir == "" {
		o.CacheDir = cacheDir
	}
	if o.Packages == nil {
		o.Packages = small
	}
	if o.Source == nil {
		o.Source = source
	}
	b, err := toolchain.OpenBase(context.Background(), ws, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// unit is one file of package ᵹb.
func unit(body string, imports ...string) toolchain.Unit {
	text := "package " + toolchain.PackageName + "\n\n"
	for _, path := range imports {
		text += fmt.Sprintf("import %q\n", path)
	}
	return toolchain.Unit{Files: []toolchain.File{{Name: "cell", Text: text + body}}, Imports: imports}
}

func build(t *testing.T, b *toolchain.Base, u toolchain.Unit) *toolchain.Object {
	t.Helper()
	o, err := b.Build(context.Background(), u)
	if err != nil {
		t.Fatal(err)
	}
	return o
}
