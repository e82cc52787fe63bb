package main_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gradbook/gradbook/kernel/internal/notebook"
)

// book returns the text of a notebook of code cells; "tag|text" gives a cell a tag.
func book(t *testing.T, cells ...string) string {
	t.Helper()
	var list []any
	for _, source := range cells {
		tags := []string{}
		if tag, rest, ok := strings.Cut(source, "|"); ok {
			tags, source = append(tags, tag), rest
		}
		list = append(list, map[string]any{"cell_type": "code", "metadata": map[string]any{"tags": tags},
			"source": source, "outputs": []any{}, "execution_count": nil})
	}
	text, err := json.Marshal(map[string]any{"nbformat": 4, "nbformat_minor": 4, "metadata": map[string]any{}, "cells": list})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// shown returns what the cells of a notebook show, in a line for each output.
func shown(t *testing.T, path ...string) string {
	t.Helper()
	n, err := notebook.Read(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, c := range n.Cells {
		for _, o := range c.Outputs {
			switch o.Type {
			case "stream":
				fmt.Fprintf(&b, "%d %s %q\n", c.ExecutionCount, o.Name, o.Text())
			case "error":
				fmt.Fprintf(&b, "%d %s\n", c.ExecutionCount, o.ErrorName)
			default:
				fmt.Fprintf(&b, "%d %s %v\n", c.ExecutionCount, o.Type, o.Data["text/plain"])
			}
		}
	}
	return b.String()
}

func TestRun(t *testing.T) {
	text := book(t, "parameters|x := 40\nname := \"nobody\"", "\n// the answer\nx += 2", "fmt.Println(name, x)")
	for _, test := range []struct {
		args, out, want string
	}{
		{"", "a.out.ipynb", "3 stdout \"nobody 42\\n\"\n"},
		{"-o b.ipynb", "b.ipynb", "3 stdout \"nobody 42\\n\"\n"},
		{"--inplace", "a.ipynb", "3 stdout \"nobody 42\\n\"\n"},
		{"--set x=1 --set name=Ada", "a.out.ipynb", "4 stdout \"Ada 3\\n\"\n"},
	} {
		t.Run(test.args, func(t *testing.T) {
			dir := files(t, "a.ipynb", text)
			r := gradbook(t, dir, "", append([]string{"run", "a.ipynb"}, strings.Fields(test.args)...)...)
			if r.code != 0 || r.stdout != "" {
				t.Errorf("%s", r)
			}
			if got := shown(t, dir, test.out); got != test.want {
				t.Errorf("the notebook shows\n%s", got)
			}
			if test.out != "a.ipynb" && read(t, dir, "a.ipynb") != text {
				t.Error("the notebook itself was changed")
			}
			if !strings.HasSuffix(r.stderr, "wrote "+test.out+"\n") {
				t.Errorf("%s", r)
			}
			if test.args == "" {
				steps := regexp.MustCompile(`(?m)^\[1/3\] \d+\.\d\ds  x := 40\n\[2/3\] \d+\.\d\ds  // the answer\n\[3/3\] \d+\.\d\ds  fmt\.Println\(name, x\)$`)
				if !steps.MatchString(r.stderr) {
					t.Errorf("progress: %s", r)
				}
			}
			left, err := filepath.Glob(filepath.Join(dir, ".*"))
			if err != nil || len(left) > 0 {
				t.Errorf("left behind: %v %v", left, err)
			}
		})
	}
}

func TestRunCheck(t *testing.T) {
	dir := files(t, "a.ipynb", book(t, "x := 0.25", "fmt.Println(\"loss\", x)"))
	if r := gradbook(t, dir, "", "run", "a.ipynb", "--inplace"); r.code != 0 {
		t.Fatalf("%s", r)
	}
	if r := gradbook(t, dir, "", "run", "a.ipynb", "--check"); r.code != 0 {
		t.Errorf("unchanged:\n%s", r)
	}
	files := strings.Replace(read(t, dir, "a.ipynb"), "x := 0.25", "x := 0.26", 1)
	if err := os.WriteFile(filepath.Join(dir, "a.ipynb"), []byte(files), 0o644); err != nil {
		t.Fatal(err)
	}
	r := gradbook(t, dir, "", "run", "a.ipynb", "--check")
	if r.code != 1 || !strings.Contains(r.stderr, "0.25 became 0.26") || !strings.Contains(r.stderr, "from those on record: 1") {
		t.Errorf("changed:\n%s", r)
	}
}

func TestRunFails(t *testing.T) {
	for _, test := range []struct {
		name  string
		cells []string
		args  string
		code  int
		shows string
		want  string // regular expression of standard error
	}{
		{"panic", []string{"fmt.Println(1)", "fmt.Println(2)\npanic(\"boom\")", "fmt.Println(3)"}, "", 1,
			"1 stdout \"1\\n\"\n2 stdout \"2\\n\"\n2 panic\n", `panic: boom(.|\n)*cell 2, line 2(.|\n)*gradbook: cell 2 of 3 \(fmt\.Println\(2\)\) failed: panic: boom\n$`},
		{"compile error", []string{"y := 1\nz = y"}, "", 1,
			"1 compile error\n", `cell 1:2(.|\n)*undefined: z(.|\n)*gradbook: cell 1 of 1 \(y := 1\) failed: compile error: `},
		{"allowed", []string{"panic(\"boom\")", "fmt.Println(2)"}, "--allow-errors", 0,
			"1 panic\n2 stdout \"2\\n\"\n", `FAILED \(panic\)`},
		{"expected", []string{"raises-exception|panic(\"boom\")", "fmt.Println(2)"}, "", 0,
			"1 panic\n2 stdout \"2\\n\"\n", ``},
		{"exit", []string{"fmt.Println(1)\nos.Exit(3)", "fmt.Println(2)"}, "", 1,
			"1 stdout \"1\\n\"\n1 worker died\n", `gradbook: cell 1 of 2 \(fmt\.Println\(1\)\) ended the program: `},
		{"timeout, busy", []string{"fmt.Println(1)\ni := 0\nfor {\n\ti++\n}", "fmt.Println(2)"}, "--timeout 2s --allow-errors", 1,
			"1 stdout \"1\\n\"\n1 interrupt\n", `cell 1 of 2 \(fmt\.Println\(1\)\) took longer than the timeout of 2s and was interrupted`},
		{"timeout, asleep", []string{"fmt.Println(1)\ntime.Sleep(time.Hour)"}, "--timeout 2s", 1,
			"1 stdout \"1\\n\"\n1 interrupt\n", `took longer than the timeout of 2s`},
		{"unknown parameter", []string{"parameters|rate := 1\ndepth := 2"}, "--set rat=2", 1,
			"none", `no parameter "rat" in the cell tagged "parameters"; its parameters are rate, depth`},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := book(t, test.cells...)
			dir := files(t, "a.ipynb", text)
			r := gradbook(t, dir, "", append([]string{"run", "a.ipynb"}, strings.Fields(test.args)...)...)
			if r.code != test.code || !regexp.MustCompile(test.want).MatchString(r.stderr) {
				t.Errorf("want exit status %d and %s; got %s", test.code, test.want, r)
			}
			if read(t, dir, "a.ipynb") != text {
				t.Error("the notebook itself was changed")
			}
			if test.shows == "none" {
				if _, err := os.Stat(filepath.Join(dir, "a.out.ipynb")); !os.IsNotExist(err) {
					t.Errorf("something was written: %v", err)
				}
				return
			}
			if got := shown(t, dir, "a.out.ipynb"); got != test.shows {
				t.Errorf("the result shows\n%s\nwant\n%s", got, test.shows)
			}
		})
	}
}

// Nothing of this starts a program, writes a file or changes the notebook.
func TestRunBadInput(t *testing.T) {
	code := func(metadata, source string) string {
		return `{"nbformat":4,"nbformat_minor":5,"metadata":{` + metadata + `},"cells":[{"cell_type":"code","id":"a","metadata":{},"source":` +
			source + `,"outputs":[],"execution_count":null}]}`
	}
	for _, test := range []struct{ name, text, want string }{
		{"not JSON", "{\n \"cells\": oops\n}", `a.ipynb: not JSON: line 2, column 11`},
		{"empty", "", `a.ipynb: the file is empty`},
		{"no notebook", `{"a": 1}`, `a.ipynb: JSON, but no notebook`},
		{"v3", `{"nbformat":3,"nbformat_minor":0,"worksheets":[]}`, `a.ipynb: nbformat 3, and 4.0 to 4.5 can be read`},
		{"of the future", `{"nbformat":5,"cells":[]}`, `a.ipynb: nbformat 5.0, and 4.0 to 4.5 can be read`},
		{"Python", code(`"kernelspec":{"language":"python","name":"python3","display_name":"Python 3"}`, `"print(1)"`), `a.ipynb: the notebook is for Python 3`},
		{"a Python cell", code(``, `"%%python\nprint(1)"`), `a.ipynb: cell 1 of 1 ("%%python") is for another kernel: its language is python`},
		{"invalid UTF-8", code(``, "\"x := '\xff'\""), `a.ipynb: cell 1 of 1: invalid UTF-8: byte 0xff after`},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := files(t, "a.ipynb", test.text)
			r := gradbook(t, dir, "", "run", "a.ipynb", "--inplace")
			if r.code != 1 || !strings.HasPrefix(r.stderr, "gradbook: "+test.want) {
				t.Errorf("want exit status 1 and %q; got %s", test.want, r)
			}
			if read(t, dir, "a.ipynb") != test.text {
				t.Error("the notebook was changed")
			}
			all, err := os.ReadDir(dir)
			if err != nil || len(all) != 1 {
				t.Errorf("the folder holds %v %v", all, err)
			}
		})
	}
	dir := t.TempDir()
	for args, want := range map[string]string{
		"none.ipynb": "none.ipynb: no such file or directory",
		".":          "is a directory",
	} {
		if r := gradbook(t, dir, "", "run", args); r.code != 1 || !strings.Contains(r.stderr, want) {
			t.Errorf("%s: %s", args, r)
		}
	}
	dir = files(t, "a.ipynb", book(t, "x := 1"))
	if r := gradbook(t, dir, "", "run", "a.ipynb", "-o", "no/such/folder.ipynb"); r.code != 1 || !strings.Contains(r.stderr, "cannot write no/such/folder.ipynb: no such file") {
		t.Errorf("%s", r)
	}
}

func TestRunNothing(t *testing.T) {
	for name, text := range map[string]string{
		"no cells":       `{"nbformat":4,"nbformat_minor":2,"metadata":{},"cells":[]}`,
		"no cells field": `{"nbformat":4,"nbformat_minor":2,"metadata":{}}`,
		"no code":        `{"nbformat":4,"nbformat_minor":2,"metadata":{},"cells":[{"cell_type":"markdown","metadata":{},"source":"x"}]}`,
		"blank code":     `{"nbformat":4,"nbformat_minor":2,"metadata":{},"cells":[{"cell_type":"code","metadata":{},"source":" \n","outputs":[],"execution_count":null}]}`,
	} {
		dir := files(t, "a.ipynb", text)
		r := gradbook(t, dir, "", "run", "a.ipynb")
		if r.code != 0 || r.stderr != "a.ipynb has no code cells: nothing to run\nwrote a.out.ipynb\n" {
			t.Errorf("%s: %s", name, r)
		}
		shown(t, dir, "a.out.ipynb")
	}
}

// A large output and a long cell arrive whole.
func TestRunLarge(t *testing.T) {
	var long strings.Builder
	for i := range 9998 {
		fmt.Fprintf(&long, "sum += %d\n", i)
	}
	dir := files(t, "a.ipynb", book(t,
		"line := strings.Repeat(\"x\", 1023) + \"\\n\"\nfor range 50 << 10 {\n\tfmt.Print(line)\n}",
		"sum := 0\n"+long.String()+"fmt.Println(sum)"))
	r := gradbook(t, dir, "", "run", "a.ipynb")
	if r.code != 0 {
		t.Fatalf("%s", r)
	}
	n, err := notebook.Read(filepath.Join(dir, "a.out.ipynb"))
	if err != nil {
		t.Fatal(err)
	}
	first := n.Cells[0].Outputs
	if len(first) != 1 || first[0].Text() != strings.Repeat(strings.Repeat("x", 1023)+"\n", 50<<10) {
		t.Errorf("of 50 MiB, %d outputs came, the first of %d bytes", len(first), len(first[0].Text()))
	}
	if got := n.Cells[1].Outputs[0].Text(); got != "49975003\n" {
		t.Errorf("10,000 lines give %q", got)
	}
}

func TestRunInterrupt(t *testing.T) {
	cells := []string{"x := 1\nfmt.Println(x)", "x++\nos.WriteFile(\"reached\", nil, 0o644)\ntime.Sleep(time.Hour)", "fmt.Println(x)"}
	for _, test := range []struct {
		args  string
		code  int
		shows string
	}{
		{"", 130, "1 stdout \"1\\n\"\n2 interrupt\n"},
		{"--allow-errors", 0, "1 stdout \"1\\n\"\n2 interrupt\n3 stdout \"2\\n\"\n"},
	} {
		t.Run(test.args, func(t *testing.T) {
			dir := files(t, "a.ipynb", book(t, cells...))
			p := start(t, dir, nil, append([]string{"run", "a.ipynb"}, strings.Fields(test.args)...)...)
			p.until("[1/3]")
			for limit := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
				if _, err := os.Stat(filepath.Join(dir, "reached")); err == nil {
					break
				} else if time.Now().After(limit) {
					t.Fatal("the second cell does not run")
				}
			}
			p.interrupt()
			r := p.wait()
			if r.code != test.code {
				t.Errorf("want exit status %d; got %s", test.code, r)
			}
			if got := shown(t, dir, "a.out.ipynb"); got != test.shows {
				t.Errorf("the result shows\n%s", got)
			}
		})
	}
}

// Two interrupts within a second end the run, also where errors are allowed.
func TestRunInterruptTwice(t *testing.T) {
	dir := files(t, "a.ipynb", book(t, "fmt.Println(1)", "time.Sleep(time.Hour)", "time.Sleep(time.Hour)"))
	p := start(t, dir, nil, "run", "a.ipynb", "--allow-errors")
	p.until("[1/3]")
	p.interrupt()
	time.Sleep(200 * time.Millisecond) // one signal would hide the other
	p.interrupt()
	if r := p.wait(); r.code != 130 {
		t.Errorf("%s", r)
	}
	if got := shown(t, dir, "a.out.ipynb"); !strings.HasPrefix(got, "1 stdout \"1\\n\"\n2 interrupt\n") {
		t.Errorf("the result shows\n%s", got)
	}
}
