package program_test

import (
	"bytes"
	"runtime/debug"
	"go/ast"
	"go/parser"
	"go/token"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gradbook/gradbook/kernel/internal/program"
)

func TestZZ(t *testing.T) {
	std = []string{"std"}
	goroot, _ := exec.Command("go", "env", "GOROOT").Output()
	root := filepath.Join(strings.TrimSpace(string(goroot)), "test")
	lib := newLibrary(t)
	n, bad := 0, 0
	var grow time.Duration
	run := os.Getenv("ZZRUN") != ""
	filepath.Walk(root, func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() || !strings.HasSuffix(path, ".go") {
			return nil
		}
		data, _ := os.ReadFile(path)
		if !bytes.HasPrefix(data, []byte("// run\n")) {
			return nil
		}
		if f := os.Getenv("ZZ"); f != "" && !strings.Contains(path, f) {
			return nil
		}
		n++
		if s := os.Getenv("ZZN"); s != "" { var k int; fmt.Sscan(s, &k); if n%k != 0 { return nil } }
		rel, _ := filepath.Rel(root, path)
		p := program.New(lib)
		if os.Getenv("ZZBODY") != "" {
			fs := token.NewFileSet()
			f, err := parser.ParseFile(fs, "", data, 0)
			if err != nil { return nil }
			for _, d := range f.Decls {
				if fd, ok := d.(*ast.FuncDecl); ok && fd.Name.Name == "main" && fd.Recv == nil {
					lo, hi := fs.Position(fd.Pos()).Offset, fs.Position(fd.End()).Offset
					b0, b1 := fs.Position(fd.Body.Lbrace).Offset+1, fs.Position(fd.Body.Rbrace).Offset
					data = []byte(string(data[:lo]) + string(data[hi:]) + "\n" + string(data[b0:b1]) + "\n")
					break
				}
			}
		}
		t0 := time.Now()
		step, err := p.Grow(program.Cell{ID: 1, Name: "cell 1", Text: string(data)})
		grow += time.Since(t0)
		if err != nil {
			bad++
			fmt.Printf("GROW %s: %v\n", rel, strings.ReplaceAll(err.Error(), "\n", "\n\t"))
			return nil
		}
		if os.Getenv("ZZTWICE") != "" {
			step.Commit()
			step, err = p.Grow(program.Cell{ID: 2, Name: "cell 2", Text: string(data)})
			if err != nil {
				fmt.Printf("GROW2 %s: %v\n", rel, err)
				return nil
			}
			for _, v := range step.Vars { if v.New { fmt.Printf("NEW %s: %v\n", rel, v) } }
			if len(step.Lost)+len(step.Convert)+len(step.Dropped)+len(step.SetAside) > 0 { fmt.Printf("LOST %s: %s", rel, describe(step)) }
			step.Commit()
			step, err = p.Grow(program.Cell{ID: 3, Name: "cell 3", Text: "gxx := 1\nfor gi := 0; gi < 3; gi++ { gxx++ }\ngxx"})
			if err != nil {
				fmt.Printf("GROW3 %s: %v\n", rel, err)
				return nil
			}
			if len(step.Lost)+len(step.Convert)+len(step.Dropped)+len(step.SetAside) > 0 { fmt.Printf("LOST3 %s: %s", rel, describe(step)) }
		}
		obj, said, err := compileFiles(t, lib, step.Files)
		if err != nil {
			bad++
			fmt.Printf("COMPILE %s: %s\n", rel, said)
			return nil
		}
		checkLocalTypes(t, step, obj)
		if run {
			runOne(t, lib, rel, path, step)
		}
		return nil
	})
	fmt.Println(n, "programs", bad, "bad", grow)
}

func TestZX(t *testing.T) {
	std = []string{"std"}
	goroot, _ := exec.Command("go", "env", "GOROOT").Output()
	root := filepath.Join(strings.TrimSpace(string(goroot)), "test")
	lib := newLibrary(t)
	n, ok := 0, 0
	bad := 0
	filepath.Walk(root, func(path string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() || !strings.HasSuffix(path, ".go") || info.Size() > 100000 {
			return nil
		}
		data, _ := os.ReadFile(path)
		p := program.New(lib)
		for k := range 6 {
			text := string(data)
			if k > 0 { text = text[:len(text)*k/6] }
			if k == 3 { text = strings.ReplaceAll(string(data), "func ", "") }
			if k == 4 { text = strings.ReplaceAll(string(data), "main", "") }
			if k == 5 { text = strings.ReplaceAll(string(data), "{", "{\n") }
			n++
			func() {
				defer func() {
					if x := recover(); x != nil {
						bad++
						st := string(debug.Stack())
						if bad < 8 { fmt.Printf("PANIC %s %d: %v\n%s\n", path, k, x, st[:min(len(st), 3500)]) }
					}
				}()
				step, err := p.Grow(program.Cell{ID: k + 1, Name: "cell", Text: text})
				if err == nil { ok++
					if k > 0 {
					if _, said, err := compileFiles(t, lib, step.Files); err != nil { fmt.Printf("COMPILE %s %d %s\n", path, k, said) }
					}
					step.Commit() }
			}()
		}
		return nil
	})
	fmt.Println(n, ok, "panics", bad)
}

func runOne(t *testing.T, lib *library, rel, path string, step *program.Step) {
	var files []program.File
	for _, f := range step.Files {
		f.Text = strings.Replace(f.Text, "package ᵹb", "package main", 1)
		f.Text = strings.Replace(f.Text, "func main()", "func user_main()", 1)
		f.Text = strings.Replace(f.Text, "*/main()\n}", "*/user_main()\n}", 1)
		files = append(files, f)
	}
	entry := strings.TrimPrefix(step.Entry, "main.")
	files = append(files, program.File{Name: "zmain.go", Text: "package main\nfunc main() { " + entry + "() }\n"})
	obj, said, err := compileFiles(t, lib, files)
	if err != nil {
		fmt.Printf("RUNCOMPILE %s: %s\n", rel, said)
		return
	}
	exe := obj + ".exe"
	if out, err := exec.Command("go", "tool", "link", "-importcfg", filepath.Join(filepath.Dir(obj), "importcfg"), "-o", exe, obj).CombinedOutput(); err != nil {
		fmt.Printf("LINK %s: %s\n", rel, out)
		return
	}
	one := func(name string, args ...string) string {
		cmd := exec.Command("timeout", append([]string{"20", name}, args...)...)
		out, err := cmd.CombinedOutput()
		return fmt.Sprint(string(out), err)
	}
	got := one(exe)
	os.Remove(exe)
	want := one("go", "run", path)
	if got != want {
		if len(got) > 600 { got = got[:600] }
		if len(want) > 300 { want = want[:300] }
		fmt.Printf("RUN %s\n got %s\nwant %s\n", rel, got, want)
	}
}
