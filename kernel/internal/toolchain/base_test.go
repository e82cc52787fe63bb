package toolchain_test

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gradbook/gradbook/kernel/internal/toolchain"
)

func TestWorkerStartsAndIsHooked(t *testing.T) {
	b := open(t, module(t, nil), toolchain.Options{})
	cmd := exec.Command(b.Worker)
	cmd.Env = []string{} // nothing tells it where the base library is
	var out, words bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &words
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, words.String())
	}
	if out.String() != "passed\n" || words.String() != "hooked 1\n" {
		t.Errorf("standard output %q, error %q", out.String(), words.String())
	}
}

// TestOpenTwiceAtOnce starts from an empty cache: one builds, the other waits.
func TestOpenTwiceAtOnce(t *testing.T) {
	dir := t.TempDir()
	ws := module(t, nil)
	var seen [2]stages
	var keys [2]string
	var group sync.WaitGroup
	for i := range seen {
		group.Go(func() {
			b, err := toolchain.OpenBase(context.Background(), ws, toolchain.Options{CacheDir: dir, Packages: []string{"errors"}, Progress: seen[i].add})
			if err != nil {
				t.Error(err)
				return
			}
			keys[i] = b.Key
			b.Close()
		})
	}
	group.Wait()
	if keys[0] != keys[1] {
		t.Errorf("keys differ: %v", keys)
	}
	linked, waited := 0, 0
	for i := range seen {
		if seen[i].has("linking") {
			linked++
		}
		if seen[i].has("waiting") {
			waited++
		}
		if seen[i].has(": 0 of ") { // what is compiled already is not said to be under way
			t.Errorf("%q", seen[i].list)
		}
	}
	if linked != 1 || waited != 1 {
		t.Errorf("%d linked and %d waited, want one each: %q, %q", linked, waited, seen[0].list, seen[1].list)
	}
}

func TestDamagedBaseIsBuiltAgain(t *testing.T) {
	dir := t.TempDir()
	ws := module(t, nil)
	o := toolchain.Options{CacheDir: dir, Packages: []string{"errors"}}
	first := open(t, ws, o)
	for _, test := range []struct {
		name   string
		damage func() error
	}{
		{"library cut short", func() error { return os.Truncate(first.Library, 1000) }},
		{"export data gone", func() error { return os.Remove(filepath.Join(filepath.Dir(first.Library), "export", "errors.a")) }},
		{"manifest garbled", func() error {
			return os.WriteFile(filepath.Join(filepath.Dir(first.Library), "manifest.json"), []byte("{}"), 0o644)
		}},
		{"no manifest", func() error { return os.Remove(filepath.Join(filepath.Dir(first.Library), "manifest.json")) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := test.damage(); err != nil {
				t.Fatal(err)
			}
			var seen stages
			o.Progress = seen.add
			b := open(t, ws, o)
			if !seen.has("linking") {
				t.Errorf("the damage was not noticed: %q", seen.list)
			}
			build(t, b, unit("var E = errors.New(`a`)\n", "errors"))
			seen = stages{}
			open(t, ws, o)
			if len(seen.list) > 0 {
				t.Errorf("a whole base was not simply opened: %q", seen.list)
			}
		})
	}
}

func TestBuild(t *testing.T) {
	b := open(t, module(t, nil), toolchain.Options{})
	u := unit(`type Net struct {
	W  []float64
	mu sync.Mutex
	sb strings.Builder
}

func (l *Net) String() string { return l.sb.String() }

var (
	layers [3]Net
	one    fmt.Stringer
	m      = map[string]*os.File{}
)

func Cell() {
	type row struct{ a int }
	one = &layers[0]
	fmt.Println(row{1}, one, m)
}
`, "fmt", "os", "strings", "sync")
	o := build(t, b, u)
	if o.Cached {
		t.Error("a first build came from the cache")
	}
	again := build(t, b, u)
	if !again.Cached || again.Path != o.Path {
		t.Errorf("the second build: %+v, want %s from the cache", again, o.Path)
	}
	for name, locals := range map[string]map[string]string{"first": o.LocalTypes, "cached": again.LocalTypes} {
		found := false
		for _, full := range locals {
			found = found || full == "type:main.row·1"
		}
		if !found {
			t.Errorf("%s: local types %v, want type:main.row·1", name, locals)
		}
	}
	f, err := elf.Open(o.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	symbols, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	base := dynamic(t, b.Library)
	has := map[string]bool{}
	for _, s := range symbols {
		has[s.Name] = true
		if s.Section == elf.SHN_UNDEF && s.Name != "" && !base[s.Name] && !strings.HasPrefix(s.Name, "_GLOBAL_OFFSET_TABLE_") && s.Name != "go:link.abihash.libbase.so" {
			t.Errorf("the object needs %q, which the base library does not define", s.Name)
		}
	}
	for _, name := range []string{"main.Cell.abiinternal", "main.layers", "type:main.Net"} {
		if !has[name] {
			t.Errorf("the object has no symbol %q", name)
		}
	}
	data, err := os.ReadFile(o.Path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(data, []byte(toolchain.PackageName)) {
		t.Errorf("the object mentions %s", toolchain.PackageName)
	}
	if !bytes.Contains(data, []byte("main.Net")) {
		t.Error("no type of the object prints as main.Net")
	}
}

func dynamic(t *testing.T, path string) map[string]bool {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	symbols, err := f.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	list := map[string]bool{}
	for _, s := range symbols {
		if s.Section != elf.SHN_UNDEF {
			list[s.Name] = true
		}
	}
	return list
}

// TestThinLink compares each object with what the linker makes of the whole base library.
func TestThinLink(t *testing.T) {
	ws := module(t, map[string]string{"box/box.go": box})
	b := open(t, ws, toolchain.Options{})
	if _, err := b.Extend(context.Background(), []string{"example.com/nb/box"}, nil); err != nil {
		t.Fatal(err)
	}
	for name, u := range map[string]toolchain.Unit{
		"nothing":       unit("func Cell() {}\n"),
		"plain":         unit("func Cell() { println(1) }\n"),
		"variables":     unit("var a [7]strings.Builder; var b struct{ m sync.Map; w *bufio.Writer; e error }; var c [2][3]bytes.Buffer; func Cell() { a[0].Reset(); _ = b; _ = c[1][2] }\n", "bufio", "bytes", "strings", "sync"),
		"interfaces":    unit("var r io.Reader = strings.NewReader(`a`); func Cell() { fmt.Println(r, any(r).(io.Seeker)) }\n", "fmt", "io", "strings"),
		"generics":      unit("type pair[K comparable, V any] struct{ k K; v V }; var p pair[string, []time.Time]; var n sync.Pool; func Cell() { fmt.Println(p, &n) }\n", "fmt", "sync", "time"),
		"goroutines":    unit("var done = make(chan error); func Cell() { go func() { defer close(done); done <- errors.New(`x`) }(); <-done }\n", "errors"),
		"extension":     unit("var x box.Box[string]; var y [2]box.Plain; func Cell() { fmt.Println(x, y, box.Strings()) }\n", "example.com/nb/box", "fmt"),
		"borrowed type": unit("func Cell() { fmt.Println(box.Strings(), box.Held.B) }\n", "example.com/nb/box", "fmt"),
		"rand and sort": unit("var s *rand.Rand; func Cell() { sort.Ints([]int{s.Int()}) }\n", "math/rand", "sort"),
	} {
		t.Run(name, func(t *testing.T) {
			thin, err := os.ReadFile(build(t, b, u).Path)
			if err != nil {
				t.Fatal(err)
			}
			other := open(t, ws, toolchain.Options{})
			if _, err := other.Extend(context.Background(), []string{"example.com/nb/box"}, nil); err != nil {
				t.Fatal(err)
			}
			u.Files[0].Name += " whole" // another key, so that it is not found in the cache
			defer toolchain.LinkWhole()()
			whole, err := os.ReadFile(build(t, other, u).Path)
			if err != nil {
				t.Fatal(err)
			}
			if name == "extension" || name == "borrowed type" { // the order of symbols differs there
				thin, whole = summary(t, thin), summary(t, whole)
			}
			if !bytes.Equal(thin, whole) {
				t.Errorf("the object differs from the one linked against the whole library: %d and %d bytes", len(thin), len(whole))
			}
		})
	}
}

// summary lists what an object holds and refers to, whatever its order.
func summary(t *testing.T, object []byte) []byte {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(object))
	if err != nil {
		t.Fatal(err)
	}
	symbols, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, s := range symbols {
		lines = append(lines, fmt.Sprintln("symbol", s.Name, s.Size, s.Info, s.Section))
	}
	for _, s := range f.Sections {
		lines = append(lines, fmt.Sprintln("section", s.Name, s.Size))
		if s.Type != elf.SHT_RELA {
			continue
		}
		data, err := s.Data()
		if err != nil {
			t.Fatal(err)
		}
		for ; len(data) > 0; data = data[24:] {
			info := binary.LittleEndian.Uint64(data[8:])
			lines = append(lines, fmt.Sprintln("relocation", s.Name, elf.R_X86_64(uint32(info)), symbols[info>>32-1].Name))
		}
	}
	slices.Sort(lines)
	return []byte(strings.Join(lines, ""))
}

func TestCompileErrors(t *testing.T) {
	b := open(t, module(t, nil), toolchain.Options{})
	u := unit("\n//line cell 3:7:1\nfunc f() int { return \"a\" }\nvar x int = nope\nfunc g(a int) {}\nvar _ = g(1, 2)\n//line cell 12:1:1\nvar s string = 1\n")
	u.Files = append(u.Files, toolchain.File{Name: "plain", Text: "package " + toolchain.PackageName + "\n\nfunc h() { y := 1 }\n"})
	_, err := b.Build(context.Background(), u)
	var failed *toolchain.CompileError
	if !errors.As(err, &failed) {
		t.Fatalf("got %v, want a CompileError", err)
	}
	want := []toolchain.Diagnostic{
		{File: "cell 3", Line: 7, Col: 23, Msg: `cannot use "a" (untyped string constant) as int value in return statement`},
		{File: "cell 3", Line: 8, Col: 13, Msg: "undefined: nope"},
		{File: "cell 3", Line: 10, Col: 9, Msg: "g(1, 2) (no value) used as value"},
		{File: "cell 3", Line: 10, Col: 14, Msg: "too many arguments in call to g\n\thave (number, number)\n\twant (int)"},
		{File: "cell 12", Line: 1, Col: 16, Msg: "cannot use 1 (untyped int constant) as string value in variable declaration"},
		{File: "plain", Line: 3, Col: 12, Msg: "declared and not used: y"},
	}
	if !slices.Equal(failed.Diagnostics, want) {
		t.Errorf("got  %+v\nwant %+v", failed.Diagnostics, want)
	}
}

func TestRefusals(t *testing.T) {
	b := open(t, module(t, nil), toolchain.Options{})
	for _, test := range []struct {
		name string
		unit toolchain.Unit
		want string
	}{
		{"reserved name", unit("var s = `" + toolchain.PackageName + "`\n"), "keeps for itself"},
		{"unknown package", unit("", "net/http"), "net/http is not in the base library"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := b.Build(context.Background(), test.unit)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestDamagedObjectIsBuiltAgain(t *testing.T) {
	b := open(t, module(t, nil), toolchain.Options{})
	u := unit("func Damaged() {}\n")
	o := build(t, b, u)
	data, err := os.ReadFile(o.Path)
	if err != nil {
		t.Fatal(err)
	}
	bad := bytes.Clone(data)
	bad[len(bad)/2] ^= 1
	for name, content := range map[string][]byte{"a bit": bad, "half": data[:len(data)/2], "empty": nil} {
		if err := os.WriteFile(o.Path, content, 0o644); err != nil {
			t.Fatal(err)
		}
		again := build(t, b, u)
		if now, err := os.ReadFile(again.Path); err != nil || again.Cached || !bytes.Equal(now, data) {
			t.Errorf("%s damaged: cached %t, %v, the same content: %t", name, again.Cached, err, bytes.Equal(now, data))
		}
	}
}
