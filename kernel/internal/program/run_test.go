package program_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradbook/gradbook/kernel/internal/program"
)

// TestRun runs single cells as ordinary programs and compares what they print.
func TestRun(t *testing.T) {
	const archive = "testdata/run.txt"
	comment, sections := readArchive(t, archive)
	lib := newLibrary(t)
	got := comment
	for i, s := range sections {
		if s.name != "cell" {
			continue
		}
		var outputs [2]string
		for k, promote := range []bool{true, false} {
			p := program.New(lib)
			p.Promote = promote
			step, err := p.Grow(program.Cell{ID: 1, Name: "cell 1", Text: s.text})
			if err != nil {
				t.Fatalf("section %d: %v", i, err)
			}
			outputs[k] = runStep(t, lib, step)
		}
		if outputs[0] != outputs[1] {
			t.Errorf("section %d prints with local copies:\n%s\nand without:\n%s", i, outputs[0], outputs[1])
		}
		got += "-- cell --\n" + s.text + "-- output --\n" + outputs[0]
	}
	if *update {
		if err := os.WriteFile(archive, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs:\n%s", archive, firstDifference(string(want), got))
	}
}

// runStep links a step's package as a program whose main calls the cell's function.
func runStep(t *testing.T, lib *library, step *program.Step) string {
	t.Helper()
	var files []program.File
	for _, f := range step.Files {
		f.Text = strings.Replace(f.Text, "package "+program.PackageName, "package main", 1)
		files = append(files, f)
	}
	call := strings.TrimPrefix(step.Entry, "main.")
	files = append(files, program.File{Name: "start.go", Text: fmt.Sprintf("package main\n\nfunc main() { %s() }\n", call)})
	object, said, err := compileFiles(t, lib, files)
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	dir := filepath.Dir(object)
	exe := filepath.Join(dir, "exe")
	link := exec.Command("go", "tool", "link", "-importcfg", filepath.Join(dir, "importcfg"), "-s", "-w", "-o", exe, object)
	if out, err := link.CombinedOutput(); err != nil {
		t.Fatalf("link: %v: %s", err, out)
	}
	out, err := exec.Command(exe).CombinedOutput()
	if err != nil {
		t.Fatalf("run: %v: %s", err, out)
	}
	return string(out)
}

func TestProgram(t *testing.T) {
	p := program.New(newLibrary(t))
	grow := func(id int, text string) *program.Step {
		t.Helper()
		step, err := p.Grow(program.Cell{ID: id, Name: fmt.Sprintf("cell %d", id), Text: text})
		if err != nil {
			t.Fatal(err)
		}
		return step
	}
	list := func() string {
		var all []string
		for _, v := range p.Variables() {
			all = append(all, fmt.Sprintf("%s %s %s", v.Name, v.Type, v.Identity))
		}
		for _, d := range p.Declarations() {
			item := fmt.Sprintf("%s %s %s", d.Kind, d.Name, d.Cell)
			if d.Aside != nil {
				item += " (" + d.Aside.String() + ")"
			}
			all = append(all, item)
		}
		return strings.Join(all, "; ")
	}
	expect := func(want string) {
		t.Helper()
		if got := list(); got != want {
			t.Errorf("the program has\n%s\nwant\n%s", got, want)
		}
	}
	grow(1, "x := 1")
	expect("") // not committed
	grow(1, "type T struct{}\nfunc (t T) M() { f() }\nfunc f() {}\nconst c = 1\nx := T{}").Commit()
	all := "x T x#1; type T cell 1; method T.M cell 1; const c cell 1; func f cell 1"
	expect(all)
	if _, err := p.Grow(program.Cell{ID: 2, Name: "cell 2", Text: "type T int\nfunc f(a int) {}\nundefined"}); err == nil {
		t.Error("a cell with an error grew")
	}
	grow(3, "type T int\nfunc f(a int) {}\ny := 1")
	expect(all)
	if p.Remove("nothing") {
		t.Error("Remove of a name that does not exist returned true")
	}
	if !p.Remove("f") || !p.Remove("c") {
		t.Error("Remove returned false")
	}
	grow(4, "1").Commit()
	expect("x T x#1; type T cell 1; method T.M cell 1 (cell 1:2:18: undefined: f)")
	step := grow(5, "func f() {}")
	if len(step.Restored) != 1 || step.Restored[0] != "T.M" {
		t.Errorf("Restored = %v, want T.M", step.Restored)
	}
	step.Commit()
	p.Reset()
	expect("")
	step = grow(6, "x := 1")
	if len(step.Dropped) != 1 || step.Dropped[0] != "x#1" {
		t.Errorf("Dropped = %v, want x#1", step.Dropped)
	}
	step.Commit()
	expect("x int x#2")
}
