package toolchain_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/semver"

	"github.com/gradbook/gradbook"
	"github.com/gradbook/gradbook/kernel/internal/toolchain"
)

func TestWorkspace(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	root := t.TempDir()
	writeFiles(t, root, map[string]string{
		"mod/go.mod":       "module example.com/m\n\ngo 1.26\n",
		"mod/sub/x.txt":    "",
		"work/go.work":     "go 1.26\n\nuse ./a\n",
		"work/a/go.mod":    "module example.com/a\n\ngo 1.26\n",
		"work/books/x.txt": "",
		"none/x.txt":       "",
	})
	in := func(parts ...string) string { return filepath.Join(append([]string{root}, parts...)...) }
	scratch := filepath.Join(os.Getenv("XDG_DATA_HOME"), "gradbook", "scratch")
	for _, test := range []struct {
		dir                string
		wantDir, mod, work string
		scratch            bool
	}{
		{in("mod"), in("mod"), in("mod", "go.mod"), "", false},
		{in("mod", "sub"), in("mod", "sub"), in("mod", "go.mod"), "", false},
		{in("work", "a"), in("work", "a"), in("work", "a", "go.mod"), in("work", "go.work"), false},
		{in("work", "books"), in("work", "books"), "", in("work", "go.work"), false},
		{in("none"), scratch, filepath.Join(scratch, "go.mod"), "", true},
	} {
		ws := workspace(t, test.dir)
		if ws.Dir != test.wantDir || ws.Mod != test.mod || ws.Work != test.work || ws.Scratch != test.scratch {
			t.Errorf("%s: got %+v, want %+v", test.dir, *ws, test)
		}
	}
	if _, err := findGo(t).Workspace(context.Background(), in("missing")); err == nil {
		t.Error("a folder that is not there has a workspace")
	}
}

func TestScratchModule(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	dir := t.TempDir()
	ws := workspace(t, dir)
	versions := func() map[string]string {
		text, err := os.ReadFile(ws.Mod)
		if err != nil {
			t.Fatal(err)
		}
		file, err := modfile.Parse(ws.Mod, text, nil)
		if err != nil {
			t.Fatal(err)
		}
		list := map[string]string{}
		for _, r := range file.Require {
			list[r.Mod.Path] = r.Mod.Version
		}
		for _, r := range file.Replace {
			list["replace "+r.Old.Path] = r.New.Path
		}
		return list
	}
	own, err := modfile.Parse("go.mod", []byte(gradbook.Mod), nil)
	if err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		got := versions()
		for _, r := range own.Require {
			if got[r.Mod.Path] != r.Mod.Version {
				t.Errorf("scratch requires %s %q, Gradbook %q", r.Mod.Path, got[r.Mod.Path], r.Mod.Version)
			}
		}
		if root := gradbook.Root(); got["replace "+gradbook.Path] != root {
			t.Errorf("%s is replaced by %q, want %q", gradbook.Path, got["replace "+gradbook.Path], root)
		}
	}
	check()
	before, err := os.ReadFile(ws.Mod)
	if err != nil {
		t.Fatal(err)
	}
	// What the user added stays; what is older than Gradbook's is raised.
	i := slices.IndexFunc(own.Require, func(r *modfile.Require) bool { return semver.Compare(r.Mod.Version, "v0.0.1") > 0 })
	old := own.Require[i].Mod
	text := strings.Replace(string(before), old.Path+" "+old.Version, old.Path+" v0.0.1", 1) + "\nrequire example.com/added v1.2.3\n"
	if err := os.WriteFile(ws.Mod, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	workspace(t, dir)
	check()
	if v := versions()["example.com/added"]; v != "v1.2.3" {
		t.Errorf("what go get added is at %q", v)
	}
}

func TestImportAndNames(t *testing.T) {
	b := open(t, module(t, nil), toolchain.Options{})
	if got := b.ByName("rand"); len(got) < 2 || got[0] != "math/rand" || got[1] != "crypto/rand" {
		t.Errorf("packages named rand: %q", got)
	}
	if got := b.ByName("poll"); len(got) > 0 {
		t.Errorf("packages named poll that a cell may import: %q", got)
	}
	fmts, err := b.Import("fmt")
	if err != nil {
		t.Fatal(err)
	}
	ios, err := b.Import("io")
	if err != nil {
		t.Fatal(err)
	}
	writer := ios.Scope().Lookup("Writer")
	var met bool
	for _, p := range fmts.Imports() {
		met = met || p == ios
	}
	if writer == nil || !met {
		t.Errorf("io of fmt is not io: %v in %v", ios, fmts.Imports())
	}
	for path, ok := range map[string]bool{"fmt": true, "internal/poll": false, "gradbook/live": false, "example.com/nb/internal/x": true, "example.com/other/internal/x": false} {
		if err := b.Allowed(path); (err == nil) != ok {
			t.Errorf("import of %s allowed: %v, want %t", path, err, ok)
		}
	}
}

func TestFindRefusesOtherGo(t *testing.T) {
	fake := filepath.Join(t.TempDir(), "go")
	for version, want := range map[string]string{"go1.25.1": "GOTOOLCHAIN=" + toolchain.Wanted, "devel go1.27-abc": "GOTOOLCHAIN"} {
		text := "#!/bin/sh\necho '{\"GOVERSION\": \"" + version + "\", \"GOROOT\": \"/\", \"GOTOOLDIR\": \"/\"}'\n"
		if err := os.WriteFile(fake, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		t.Setenv("GRADBOOK_GO", fake)
		if _, err := toolchain.Find(context.Background()); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), version) {
			t.Errorf("%s: %v", version, err)
		}
	}
	t.Setenv("GRADBOOK_GO", filepath.Join(t.TempDir(), "none"))
	if _, err := toolchain.Find(context.Background()); err == nil || !strings.Contains(err.Error(), "GRADBOOK_GO") {
		t.Errorf("a go command that is not there: %v", err)
	}
	t.Setenv("GRADBOOK_GO", "")
	t.Setenv("CC", "no-such-compiler")
	if _, err := toolchain.Find(context.Background()); err == nil || !strings.Contains(err.Error(), "install gcc") {
		t.Errorf("a C compiler that is not there: %v", err)
	}
}

func TestCache(t *testing.T) {
	dir := t.TempDir()
	b := open(t, module(t, nil), toolchain.Options{CacheDir: dir, Packages: []string{"errors"}})
	o := build(t, b, unit("func Cell() {}\n"))
	c, err := toolchain.OpenCache(dir)
	if err != nil {
		t.Fatal(err)
	}
	usage, err := c.Usage()
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range usage {
		if want := map[string]int{"base": 1, "cells": 1}[u.Kind]; u.Entries != want || want > 0 && u.Bytes == 0 {
			t.Errorf("%+v, want %d entries", u, want)
		}
	}
	if n, damaged, err := c.Verify(); n != 2 || damaged != nil || err != nil {
		t.Errorf("verify: %d, %v, %v", n, damaged, err)
	}
	if _, err := c.Prune(1, time.Hour); err != nil {
		t.Fatal(err)
	}
	if !build(t, b, unit("func Cell() {}\n")).Cached {
		t.Error("pruning took what was just used")
	}
	old, used := filepath.Join(dir, "gopls", "old", "gopls"), filepath.Join(dir, "gopls", "used", "gopls")
	for _, path := range []string{old, used} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("a program"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(old, time.Time{}, time.Now().Add(-2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if usage, err = c.Usage(); err != nil || !slices.Contains(usage, toolchain.Usage{Kind: "gopls", Entries: 2, Bytes: 18}) {
		t.Errorf("with two gopls: %+v, %v", usage, err)
	}
	if freed, err := c.Prune(1, time.Hour); freed != 9 || err != nil {
		t.Errorf("pruning an old gopls frees %d bytes, %v", freed, err)
	}
	if _, err := os.Stat(filepath.Dir(old)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the old gopls: %v", err)
	}
	if _, err := os.Stat(used); err != nil {
		t.Error(err)
	}
	garble(t, o.Path)
	garble(t, b.Library)
	if n, damaged, err := c.Verify(); n != 2 || len(damaged) != 2 || err != nil {
		t.Errorf("verify of damaged: %d, %v, %v", n, damaged, err)
	}
	if n, damaged, err := c.Verify(); n != 0 || damaged != nil || err != nil {
		t.Errorf("verify after damage was removed: %d, %v, %v", n, damaged, err)
	}
}

// garble flips a bit in the middle of a file, so that its size stays. The file is replaced: it may be mapped.
func garble(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o755); err != nil {
		t.Fatal(err)
	}
}

// TestConcurrentUse is for the race detector, and for what two cells that are compiled at once make of each other.
func TestConcurrentUse(t *testing.T) {
	b := open(t, module(t, map[string]string{"box/box.go": box}), toolchain.Options{})
	var group sync.WaitGroup
	for i := range 6 {
		group.Go(func() {
			path := small[i]
			if pkg, err := b.Import(path); err != nil || len(pkg.Scope().Names()) == 0 {
				t.Errorf("%s: %v, %v", path, pkg, err)
			}
			o, err := b.Build(context.Background(), unit(fmt.Sprintf("var V%d int\n", i/2)))
			if err != nil {
				t.Error(err)
			} else if !dataHas(t, o.Path, fmt.Sprintf("main.V%d", i/2)) {
				t.Errorf("%s is not the object of V%d", o.Path, i/2)
			}
			if _, err := b.Extend(context.Background(), []string{"example.com/nb/box"}, nil); err != nil {
				t.Error(err)
			}
			if _, err := b.Stale(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if got := b.ByName("box"); !slices.Equal(got, []string{"example.com/nb/box"}) {
		t.Errorf("packages named box: %q", got)
	}
}

func dataHas(t *testing.T, path, text string) bool {
	data, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
	}
	return strings.Contains(string(data), text)
}
