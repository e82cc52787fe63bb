package toolchain_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradbook/gradbook/kernel/internal/toolchain"
)

// sharedFiles are the files of the module that the users of the shared cache have, each in a folder of their own.
var sharedFiles = map[string]string{"box/box.go": "package box\n\nvar Full = true\n"}

// sharedUnit is what they run.
var sharedUnit = unit("var E = errors.New(`a`); func Cell() { println(E.Error(), box.Full) }\n", "errors", "example.com/nb/box")

// fill fills a shared cache as whoever makes an image does, and returns its folder.
func fill(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "shared")
	t.Setenv("GRADBOOK_CACHE", dir)
	t.Setenv("GRADBOOK_SHARED_CACHE", dir) // which is the same folder, and so no other
	b, seen := openShared(t, module(t, sharedFiles))
	if !seen.has("linking") || !strings.HasPrefix(b.Library, dir) {
		t.Fatalf("%s was not built into %s: %q", b.Library, dir, seen.list)
	}
	work(t, b)
	return dir
}

// as makes a user of the shared cache, who has an empty cache, and returns its folder.
func as(t *testing.T, shared string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "own")
	t.Setenv("GRADBOOK_CACHE", dir)
	t.Setenv("GRADBOOK_SHARED_CACHE", shared)
	return dir
}

func openShared(t *testing.T, ws *toolchain.Workspace) (*toolchain.Base, *stages) {
	t.Helper()
	seen := new(stages)
	b, err := toolchain.OpenBase(t.Context(), ws, toolchain.Options{Source: source, Packages: []string{"errors"}, Progress: seen.add})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b, seen
}

// work extends the base and builds a unit.
func work(t *testing.T, b *toolchain.Base) (*toolchain.Extension, *toolchain.Object) {
	t.Helper()
	e, err := b.Extend(context.Background(), []string{"example.com/nb/box"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return e, build(t, b, sharedUnit)
}

// picture is all that is in a folder: names, times and contents.
func picture(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		b.WriteString(path + " " + info.Mode().String() + " " + info.ModTime().String() + "\n")
		if d.Type().IsRegular() {
			data, err := os.ReadFile(path)
			b.Write(data)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestShared(t *testing.T) {
	shared := fill(t)
	before := picture(t, shared)
	for _, user := range []struct {
		name, mod string
		said      []string // while the base is opened
	}{
		{"the same build list elsewhere", "module example.com/nb\n\ngo 1.26\n", nil},
		{"another text of the same build list", "module example.com/nb // mine\n\ngo 1.26\n", []string{"looking up the packages of the base library"}},
	} {
		t.Run(user.name, func(t *testing.T) {
			own := as(t, shared)
			dir := t.TempDir()
			writeFiles(t, dir, map[string]string{"go.mod": user.mod})
			writeFiles(t, dir, sharedFiles)
			b, seen := openShared(t, workspace(t, dir))
			if got, want := strings.Join(seen.list, "\n"), strings.Join(user.said, "\n"); got != want {
				t.Errorf("it was said %q, want %q", got, want)
			}
			other := t.TempDir()
			writeFiles(t, other, map[string]string{"go.mod": user.mod})
			writeFiles(t, other, sharedFiles)
			if _, seen := openShared(t, workspace(t, other)); len(seen.list) != 0 {
				t.Errorf("in another folder with the same text it was said %q", seen.list)
			}
			e, o := work(t, b)
			for _, path := range []string{b.Library, b.Worker, e.Library, o.Path} {
				if !strings.HasPrefix(path, shared) {
					t.Errorf("%s is not the shared one", path)
				}
			}
			if !e.Cached || !o.Cached {
				t.Errorf("found: extension %t, unit %t", e.Cached, o.Cached)
			}
			fresh := build(t, b, unit("var Own = errors.New(`own`)\n", "errors"))
			if fresh.Cached || !strings.HasPrefix(fresh.Path, own) {
				t.Errorf("the user's own cell: %+v", fresh)
			}
			if again := build(t, b, unit("var Own = errors.New(`own`)\n", "errors")); !again.Cached {
				t.Errorf("and again: %+v", again)
			}
			edited := sharedFiles["box/box.go"] + "\nvar Mine int\n"
			writeFiles(t, dir, map[string]string{"box/box.go": edited})
			b, _ = openShared(t, workspace(t, dir))
			if e, _ := work(t, b); e.Cached || !strings.HasPrefix(e.Library, own) {
				t.Errorf("the user's edited package: %+v", e)
			}
		})
	}
	if picture(t, shared) != before {
		t.Error("the shared cache was written")
	}
}

// TestSharedDamaged damages each kind of thing in a shared cache: the user builds it instead, and leaves the damaged one alone.
func TestSharedDamaged(t *testing.T) {
	shared := fill(t)
	const base, extension, cell = "base/*/libbase.so", "extension/*/lib*.so", "cells/*/*.o"
	for _, test := range []struct {
		name, files string
		damage      func(path string) error
		kept        string // of what is opened, which is still the shared one
	}{
		{"plans garbled", "plans/*.json", func(path string) error { return os.WriteFile(path, []byte("{}"), 0o644) }, base},
		{"cell cut short", cell, func(path string) error { return os.Truncate(path, 100) }, base},
		{"extension cut short", extension, func(path string) error { return os.Truncate(path, 100) }, base},
		{"base cut short", base, func(path string) error { return os.Truncate(path, 100) }, ""},
		{"manifests of another form", "base/*/manifest.json", func(path string) error { return os.WriteFile(path, []byte("form 99\n"), 0o644) }, ""},
		{"nothing known", "*", os.RemoveAll, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			files, err := filepath.Glob(filepath.Join(shared, test.files))
			if err != nil || len(files) == 0 {
				t.Fatalf("no %s: %v", test.files, err)
			}
			for _, path := range files {
				if err := test.damage(path); err != nil {
					t.Fatal(err)
				}
			}
			before := picture(t, shared)
			own := as(t, shared)
			b, _ := openShared(t, module(t, sharedFiles))
			e, o := work(t, b)
			if got := strings.HasPrefix(b.Library, shared); got != (test.kept == base) {
				t.Errorf("the base is %s", b.Library)
			}
			if strings.HasPrefix(test.files, "extension") && !strings.HasPrefix(e.Library, own) {
				t.Errorf("the extension is %s", e.Library)
			}
			if test.files == cell && !strings.HasPrefix(o.Path, own) {
				t.Errorf("the unit is %s", o.Path)
			}
			if picture(t, shared) != before {
				t.Error("the shared cache was written")
			}
		})
	}
}

func TestSharedVerify(t *testing.T) {
	shared := fill(t)
	libraries, err := filepath.Glob(filepath.Join(shared, "base/*/libbase.so"))
	if err != nil || len(libraries) != 1 {
		t.Fatal(libraries, err)
	}
	garble(t, libraries[0])
	as(t, shared)
	c, err := toolchain.OpenCache("")
	if err != nil || c.Shared == nil || !c.Shared.ReadOnly() {
		t.Fatalf("%+v, %v", c, err)
	}
	before := picture(t, shared)
	checked, damaged, err := c.Shared.Verify()
	if err != nil || checked < 3 || len(damaged) != 1 || !strings.Contains(damaged[0].Error(), libraries[0]) {
		t.Errorf("%d checked, damaged %v, %v", checked, damaged, err)
	}
	if _, err := c.Prune(0, 0); err != nil {
		t.Error(err)
	}
	if picture(t, shared) != before {
		t.Error("the shared cache was written")
	}
}

func TestSharedPassedOver(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	writeFiles(t, filepath.Dir(file), map[string]string{"file": ""})
	for _, test := range []struct{ name, why string }{
		{"off", ""},
		{"", ""},
		{file, file + " is not a folder"},
		{file + "/none", "not a directory"},
		{filepath.Join(t.TempDir(), "none"), "no such file"},
	} {
		as(t, test.name)
		c, err := toolchain.OpenCache("")
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case c.Shared != nil && c.Shared.Dir != toolchain.SharedDir:
			t.Errorf("%q: %s is used", test.name, c.Shared.Dir)
		case test.why == "" && c.PassedOver != nil:
			t.Errorf("%q: %v", test.name, c.PassedOver)
		case test.why != "" && (c.PassedOver == nil || !strings.Contains(c.PassedOver.Error(), test.why) || !strings.Contains(c.PassedOver.Error(), "GRADBOOK_SHARED_CACHE")):
			t.Errorf("%q: %v", test.name, c.PassedOver)
		}
	}
}

// TestFrozen replaces a module by a folder: its packages are no part of the base, unless the folder says that it does not change.
// Then they are those of the version that the folder says it is.
func TestFrozen(t *testing.T) {
	dir := t.TempDir()
	own := as(t, "off")
	writeFiles(t, dir, map[string]string{"go.mod": "module example.com/lib\n\ngo 1.26\n", "lib.go": "package lib\n\nvar Here = true\n"})
	ws := module(t, map[string]string{
		"go.mod": "module example.com/nb\n\ngo 1.26\n\nrequire example.com/lib v0.0.0\n\nreplace example.com/lib => " + dir + "\n",
		"nb.go":  "package nb\n\nimport _ \"example.com/lib\"\n",
	})
	keys := map[string]bool{}
	for _, change := range []map[string]string{
		{},
		{toolchain.FrozenFile: "version 1\n"},
		{toolchain.FrozenFile: "version 2\n", "lib.go": "package lib\n\nvar Here, There = true, true\n"},
	} {
		writeFiles(t, dir, change)
		b, err := toolchain.OpenBase(t.Context(), ws, toolchain.Options{CacheDir: own, Packages: []string{"errors", "example.com/lib"}})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		if _, ok := b.Package("example.com/lib"); ok != (len(change) > 0) {
			t.Errorf("%v: part of the base %t", change, ok)
		}
		if keys[b.Key] {
			t.Errorf("%v: the base is that of another version", change)
		}
		keys[b.Key] = true
		if stale, err := b.Stale(t.Context()); err != nil || len(stale) > 0 {
			t.Errorf("%v: stale %v, %v", change, stale, err)
		}
	}
}
