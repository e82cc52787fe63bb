package toolchain_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gradbook/gradbook/kernel/internal/toolchain"
)

// box is a package with a generic type of which an instance is part of its interface.
const box = `package box

import (
	"container/list"
	"fmt"
)

type Box[T any] struct{ V []T }

func (b *Box[T]) Len() int      { return len(b.V) }
func (b Box[T]) String() string { return fmt.Sprint(b.V) }

type Plain struct {
	List list.List
	Next *Plain
}

type Holder struct{ B *Box[int] }

var Held = &Holder{&Box[int]{[]int{1}}}

func Strings() Box[string] { return Box[string]{[]string{"a"}} }
`

func TestExtend(t *testing.T) {
	ctx := context.Background()
	ws := module(t, map[string]string{
		"box/box.go":  box + "\nvar Extended = true\n",
		"user/use.go": "package user\n\nimport \"example.com/nb/box\"\n\nvar Kept any = box.Strings()\n",
		"csum/c.go":   "package csum\n\n// static int add(int a, int b) { return a + b; }\nimport \"C\"\n\nfunc Add(a, b int) int { return int(C.add(C.int(a), C.int(b))) }\n",
	})
	b := open(t, ws, toolchain.Options{})
	if _, err := b.Import("example.com/nb/box"); err == nil {
		t.Fatal("the package is in the base already")
	}
	e, err := b.Extend(ctx, []string{"example.com/nb/box"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"container/list", "example.com/nb/box"}; !slices.Equal(e.Packages, want) || e.Cached {
		t.Errorf("got %+v, want packages %q, not from the cache", e, want)
	}
	if !dynamic(t, e.Library)["example.com/nb/box.Strings.abiinternal"] {
		t.Errorf("%s does not define box.Strings", e.Library)
	}
	pkg, err := b.Import("example.com/nb/box")
	if err != nil || pkg.Scope().Lookup("Box") == nil {
		t.Errorf("the types of box: %v, %v", pkg, err)
	}
	build(t, b, unit("var x = box.Strings(); func Cell() { fmt.Println(x.String(), list.New()) }\n", "example.com/nb/box", "fmt", "container/list"))

	if more, err := b.Extend(ctx, []string{"example.com/nb/box", "fmt"}, nil); err != nil || more.Library != "" {
		t.Errorf("extending with what is there: %+v, %v", more, err)
	}
	second, err := b.Extend(ctx, []string{"example.com/nb/user", "example.com/nb/csum"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"example.com/nb/csum", "example.com/nb/user"}; !slices.Equal(slices.Sorted(slices.Values(second.Packages)), want) {
		t.Errorf("got %q, want %q", second.Packages, want)
	}
	build(t, b, unit("func Cell() { fmt.Println(user.Kept, csum.Add(1, 2)) }\n", "example.com/nb/user", "example.com/nb/csum", "fmt"))

	again, err := open(t, ws, toolchain.Options{}).Extend(ctx, []string{"example.com/nb/box"}, nil)
	if err != nil || !again.Cached || again.Library != e.Library {
		t.Errorf("a second program: %+v, %v", again, err)
	}
}

func TestExtendErrors(t *testing.T) {
	b := open(t, module(t, map[string]string{
		"bad/bad.go":   "package bad\n\nvar x int = \"a\"\n",
		"prog/main.go": "package main\n\nfunc main() {}\n",
	}), toolchain.Options{})
	for _, test := range []struct {
		path string
		want []string
	}{
		{"C", []string{"put the C code into a package"}},
		{"nosuch", []string{"package nosuch is not in std"}},
		{"example.com/nb/none", []string{"example.com/nb/none"}},
		{"github.com/nobody/nothing", []string{"no required module provides package github.com/nobody/nothing", "run !*go get github.com/nobody/nothing"}},
		{"example.com/nb/bad", []string{"bad/bad.go:3:13: cannot use \"a\""}},
		{"example.com/nb/prog", []string{"is a program, not an importable package"}},
	} {
		t.Run(test.path, func(t *testing.T) {
			_, err := b.Extend(context.Background(), []string{test.path}, nil)
			for _, want := range test.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q", err, want)
				}
			}
			if err != nil && strings.Contains(err.Error(), "\tgo get") {
				t.Errorf("advice for a shell in %q", err)
			}
		})
	}
}

func TestStale(t *testing.T) {
	ctx := context.Background()
	ws := module(t, map[string]string{"box/box.go": box, "other/o.go": "package other\n"})
	b := open(t, ws, toolchain.Options{})
	if _, err := b.Extend(ctx, []string{"example.com/nb/box"}, nil); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(ws.Dir, "box", "box.go")
	later := time.Now().Add(time.Hour)
	for _, step := range []struct {
		name   string
		change func() error
		want   []string
	}{
		{"nothing", func() error { return nil }, nil},
		{"times only", func() error { return os.Chtimes(file, later, later) }, nil},
		{"a package that is not loaded", func() error {
			return os.WriteFile(filepath.Join(ws.Dir, "other", "o.go"), []byte("package other\n\nvar X int\n"), 0o644)
		}, nil},
		{"a test file", func() error {
			return os.WriteFile(filepath.Join(ws.Dir, "box", "box_test.go"), []byte("package box\n"), 0o644)
		}, nil},
		{"go.mod, without effect", func() error {
			return os.WriteFile(ws.Mod, []byte("module example.com/nb\n\ngo 1.26\n\n// a word\n"), 0o644)
		}, nil},
		{"a new file", func() error {
			return os.WriteFile(filepath.Join(ws.Dir, "box", "more.go"), []byte("package box\n"), 0o644)
		}, []string{"example.com/nb/box"}},
		{"the file taken away", func() error { return os.Remove(filepath.Join(ws.Dir, "box", "more.go")) }, nil},
		{"an edit", func() error { return os.WriteFile(file, []byte(box+"\nvar More int\n"), 0o644) }, []string{"example.com/nb/box"}},
	} {
		if err := step.change(); err != nil {
			t.Fatal(err)
		}
		got, err := b.Stale(ctx)
		if err != nil || !slices.Equal(got, step.want) {
			t.Errorf("%s: %q, %v, want %q", step.name, got, err, step.want)
		}
	}
	writeFiles(t, ws.Dir, map[string]string{"third/t.go": "package third\n\nimport _ \"example.com/nb/box\"\n"})
	if _, err := b.Extend(ctx, []string{"example.com/nb/third"}, nil); err == nil || !strings.Contains(err.Error(), "restart the program") {
		t.Errorf("loading beside another version of a loaded package: %v", err)
	}
}
