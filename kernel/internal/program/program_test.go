package program_test

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/gradbook/gradbook/kernel/internal/program"
)

var update = flag.Bool("update", false, "write the golden sections of testdata anew")

// std is the part of the standard library that the tests' cells import.
var std = []string{
	"bytes", "container/list", "embed", "encoding/binary", "errors", "fmt", "io", "log", "maps", "math", "math/rand", "net/http",
	"os", "reflect", "runtime", "slices", "sort", "strconv", "strings", "sync", "sync/atomic", "time",
}

// exports returns the export data files of std and what it needs, by import path.
var exports = sync.OnceValues(func() (map[string]string, error) {
	out, err := exec.Command("go", append([]string{"list", "-export", "-deps", "-f", "{{if .Export}}{{.ImportPath}}={{.Export}}{{end}}"}, std...)...).Output()
	if err != nil {
		return nil, fmt.Errorf("go list -export: %w", err)
	}
	files := map[string]string{}
	for _, line := range strings.Fields(string(out)) {
		path, file, _ := strings.Cut(line, "=")
		files[path] = file
	}
	return files, nil
})

// library is Imports over export data.
type library struct {
	types types.Importer
	files map[string]string
}

func newLibrary(t testing.TB) *library {
	t.Helper()
	files, err := exports()
	if err != nil {
		t.Fatal(err)
	}
	l := &library{files: files}
	l.types = importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) {
		if l.files[path] == "" {
			return nil, fmt.Errorf("no such package")
		}
		return os.Open(l.files[path])
	})
	return l
}

func (l *library) Import(path string) (*types.Package, error) {
	if l.files[path] == "" {
		return nil, fmt.Errorf("package %s is not known", path)
	}
	return l.types.Import(path)
}

func (l *library) ByName(name string) []string {
	var all []string
	for _, path := range std {
		if path == name || strings.HasSuffix(path, "/"+name) {
			all = append(all, path)
		}
	}
	return all
}

// section is one file of an archive.
type section struct{ name, text string }

// readArchive reads "-- name --" sections; what stands before the first is its comment.
func readArchive(t *testing.T, file string) (comment string, sections []section) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.SplitAfter(string(data), "\n") {
		name, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "-- ")
		if name, end := strings.CutSuffix(name, " --"); ok && end {
			sections = append(sections, section{name: name})
			continue
		}
		if sections == nil {
			comment += line
		} else {
			sections[len(sections)-1].text += line
		}
	}
	return comment, sections
}

// describe writes a step as the golden sections show it.
func describe(step *program.Step) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	if step.Entry != "" {
		line("entry %s", step.Entry)
	}
	for _, v := range step.Vars {
		mark := ""
		if v.New {
			mark = " new"
		}
		line("var %s %s = %s %s%s", v.Name, v.Type, v.Symbol, v.Identity, mark)
	}
	if step.VarsFunc != "" {
		line("vars func %s", step.VarsFunc)
	}
	for _, l := range step.LocalTypes {
		line("local %s", l)
	}
	for _, l := range step.Lost {
		line("lost %s %s: %s", l.Var.Name, l.Var.Identity, l.Why)
	}
	for _, c := range step.Convert {
		line("convert %s -> %s", c.From, c.To)
	}
	if len(step.Dropped) > 0 {
		line("dropped %s", strings.Join(step.Dropped, " "))
	}
	for _, d := range step.SetAside {
		line("set aside %s %s", d.Name, d)
	}
	for _, name := range step.Restored {
		line("restored %s", name)
	}
	if len(step.Declared) > 0 {
		line("declared %s", strings.Join(step.Declared, " "))
	}
	if len(step.Imports) > 0 {
		line("imports %s", strings.Join(step.Imports, " "))
	}
	return b.String()
}

// cellOf makes the n-th cell of an archive from a section named "cell", with " main" for a main body, which begins
// at the line "// main" if there is one, and " peek" for a cell that keeps no addresses.
func cellOf(n int, s section) program.Cell {
	text := strings.ReplaceAll(s.text, "⏎\n", "") // a cell without a newline at its end
	c := program.Cell{ID: n, Name: fmt.Sprintf("cell %d", n), Text: text}
	c.Peek = strings.HasSuffix(s.name, " peek")
	if strings.HasSuffix(s.name, " main") {
		c.Main, c.MainLine = true, 1
		if before, _, ok := strings.Cut(text, "// main\n"); ok {
			c.MainLine = strings.Count(before, "\n") + 1
		}
	}
	return c
}

// TestCells grows the cells of each archive in turn and compares what comes of each; every
// generated package must compile.
func TestCells(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			lib := newLibrary(t)
			comment, sections := readArchive(t, file)
			p := program.New(lib)
			p.Promote = strings.HasPrefix(filepath.Base(file), "promote")
			got := bytes.NewBufferString(comment)
			n := 0
			texts := map[string]string{}
			for _, s := range sections {
				verb, rest, _ := strings.Cut(s.name, " ")
				switch verb {
				case "cell":
					n++
					fmt.Fprintf(got, "-- %s --\n%s", s.name, s.text)
					step, err := p.Grow(cellOf(n, s))
					if err != nil {
						fmt.Fprintf(got, "-- errors --\n%s\n", err)
						continue
					}
					texts[fmt.Sprintf("cell %d", n)] = cellOf(n, s).Text
					checkPositions(t, step, texts)
					compilePackage(t, lib, step)
					fmt.Fprintf(got, "-- step --\n%s", describe(step))
					for _, f := range step.Files {
						if f.Name == fmt.Sprintf("cell%d.go", n) || slices.Contains(strings.Fields(comment), "all-files") {
							fmt.Fprintf(got, "-- file %s --\n%s", f.Name, f.Text)
						}
					}
					step.Commit()
				case "remove":
					fmt.Fprintf(got, "-- %s --\n", s.name)
					if !p.Remove(rest) {
						t.Errorf("Remove(%q) = false", rest)
					}
				case "reset":
					fmt.Fprintf(got, "-- %s --\n", s.name)
					p.Reset()
				}
			}
			if *update {
				if err := os.WriteFile(file, got.Bytes(), 0o666); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != string(want) {
				t.Errorf("%s differs (run with -update and look at the change):\n%s", file, firstDifference(string(want), got.String()))
			}
		})
	}
}

// firstDifference shows the first lines in which two texts differ.
func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			return fmt.Sprintf("line %d\nwant: %s\ngot:  %s", i+1, w[i], g[i])
		}
	}
	return fmt.Sprintf("want %d lines, got %d", len(w), len(g))
}

// checkPositions checks that each name of the generated files stands in the cell where its position says.
func checkPositions(t *testing.T, step *program.Step, texts map[string]string) {
	t.Helper()
	for _, f := range step.Files {
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, f.Name, f.Text, parser.SkipObjectResolution)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ImportSpec:
				return false
			case *ast.FuncDecl:
				return !strings.HasPrefix(n.Name.Name, "gradbook_vars_") && !strings.HasPrefix(n.Name.Name, "gradbook_types_")
			case *ast.AssignStmt:
				return !slices.ContainsFunc(append(slices.Clone(n.Lhs), n.Rhs...), madeUp)
			case *ast.SelectorExpr:
				return !madeUp(n.X)
			case *ast.Ident:
				pos := fset.Position(n.Pos())
				text, ok := texts[pos.Filename]
				if !ok || n.Name == "_" || madeUp(n) {
					break
				}
				lines := strings.Split(text, "\n")
				if pos.Line > len(lines) || pos.Column > len(lines[pos.Line-1]) || !strings.HasPrefix(lines[pos.Line-1][pos.Column-1:], n.Name) {
					t.Errorf("%s is said to be at %v, where it is not:\n%s", n.Name, pos, f.Text)
				}
			}
			return true
		})
	}
}

// madeUp reports whether an expression is a name that no cell can have.
func madeUp(e ast.Expr) bool {
	id, ok := e.(*ast.Ident)
	return ok && strings.HasPrefix(id.Name, "gradbook_")
}

// live builds a stand-in for package gradbook/live.
var live = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "program-live")
	if err != nil {
		return "", err
	}
	src := filepath.Join(dir, "live.go")
	text := "package live\n\nfunc Show(values ...any) {}\n\nfunc Poll() {}\n"
	if err := os.WriteFile(src, []byte(text), 0o666); err != nil {
		return "", err
	}
	out := filepath.Join(dir, "live.a")
	if msg, err := exec.Command("go", "tool", "compile", "-p", "gradbook/live", "-o", out, src).CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, msg)
	}
	return out, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if file, err := live(); err == nil {
		os.RemoveAll(filepath.Dir(file))
	}
	os.Exit(code)
}

// compilePackage compiles a step's files with the Go compiler, and checks the numbers of local types.
func compilePackage(t *testing.T, lib *library, step *program.Step) {
	t.Helper()
	file, out, err := compileFiles(t, lib, step.Files)
	if err != nil {
		var all strings.Builder
		for _, f := range step.Files {
			fmt.Fprintf(&all, "--- %s\n%s", f.Name, f.Text)
		}
		t.Fatalf("the generated package does not compile: %s\n%s", out, all.String())
	}
	checkLocalTypes(t, step, file)
}

var numbered = regexp.MustCompile(`type:main\.(\w+)·(\d+)`)

// checkLocalTypes compares the names of local types with the numbers that the compiler gave them.
func checkLocalTypes(t *testing.T, step *program.Step, object string) {
	t.Helper()
	if len(step.LocalTypes) == 0 {
		return
	}
	out, err := exec.Command("go", "tool", "nm", object).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range numbered.FindAllStringSubmatch(string(out), -1) {
		n, _ := strconv.Atoi(m[2])
		if n > len(step.LocalTypes) || !strings.Contains(step.LocalTypes[n-1], "."+m[1]+"#") {
			t.Errorf("the compiler numbers the local type %s as %d; the step says %v", m[1], n, step.LocalTypes)
		}
	}
}

// compileFiles compiles files into go.a of a new folder and returns what the compiler said and that file.
func compileFiles(t *testing.T, lib *library, files []program.File) (object, said string, err error) {
	t.Helper()
	stub, err := live()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var cfg strings.Builder
	for _, path := range slices.Sorted(maps.Keys(lib.files)) {
		fmt.Fprintf(&cfg, "packagefile %s=%s\n", path, lib.files[path])
	}
	fmt.Fprintf(&cfg, "packagefile gradbook/live=%s\n", stub)
	args := []string{"tool", "compile", "-p", "main", "-o", filepath.Join(dir, "go.a"), "-lang=go1.26", "-complete",
		"-trimpath", dir + "=>", "-importcfg", filepath.Join(dir, "importcfg")}
	if err := os.WriteFile(filepath.Join(dir, "importcfg"), []byte(cfg.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(dir, f.Name), []byte(f.Text), 0o666); err != nil {
			t.Fatal(err)
		}
		args = append(args, f.Name)
	}
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return filepath.Join(dir, "go.a"), string(out), err
}
