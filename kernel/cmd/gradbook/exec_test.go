package main_test

import (
	"io"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

const hello = `package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Println("on stdout")
	fmt.Fprintln(os.Stderr, "on stderr")
}
`

func TestExec(t *testing.T) {
	dir := files(t,
		"hello.go", hello,
		"x.go", "x := 41\n",
		"inc.go", "x++\n",
		"show.go", "fmt.Println(\"x is\", x)\n",
		"typo.go", "y := 1\nfmt.Println(yy, y)\n",
		"panic.go", "fmt.Println(\"before\")\nvar list []int\n_ = list[x]\n",
		"exit.go", "fmt.Println(\"leaving\")\nos.Exit(7)\n",
		"exit0.go", "os.Exit(0)\n",
		"input.go", "var a, b int\nn, err := fmt.Scan(&a, &b)\nfmt.Println(n, err, a+b)\n",
		"lines.go", "s := bufio.NewScanner(os.Stdin)\nfor s.Scan() {\n\tfmt.Printf(\"<%s>\", s.Text())\n}\n",
		"exact.go", "fmt.Print(\"no newline, \\x00, \\xff, é\")\n",
	)
	for _, test := range []struct {
		name, args, stdin string
		code              int
		stdout            string
		stderr            string // regular expression; "" for nothing at all
	}{
		{"streams", "hello.go", "", 0, "on stdout\n", `^on stderr\n$`},
		{"cells share variables", "x.go inc.go show.go", "", 0, "x is 42\n", ``},
		{"standard input is a cell", "x.go -", "fmt.Println(x + 1)\n", 0, "42\n", ``},
		{"program from standard input", "-", hello, 0, "on stdout\n", `^on stderr\n$`},
		{"does not compile", "typo.go show.go", "", 1, "", `typo\.go:2(.|\n)*undefined: yy`},
		{"does not compile, from standard input", "-", "a b\n", 1, "", `<stdin>:1`},
		{"panics", "x.go panic.go show.go", "", 2, "before\n", `panic: runtime error: index out of range \[41\] with length 0(.|\n)*panic\.go, line 3`},
		{"exits", "exit.go hello.go", "", 7, "leaving\n", ``},
		{"exits with 0", "exit0.go hello.go", "", 0, "", ``},
		{"reads", "input.go", "20\n22\n", 0, "2 <nil> 42\n", ``},
		{"reads to the end", "lines.go", "one\ntwo", 0, "<one><two>", ``},
		{"bytes as they are", "exact.go", "", 0, "no newline, \x00, \xff, é", ``},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := gradbook(t, dir, test.stdin, append([]string{"exec"}, strings.Fields(test.args)...)...)
			if r.code != test.code || r.stdout != test.stdout {
				t.Errorf("want exit status %d and %q; got %s", test.code, test.stdout, r)
			}
			if test.stderr == "" && r.stderr != "" || !regexp.MustCompile(test.stderr).MatchString(r.stderr) {
				t.Errorf("standard error is to match %s; got %s", test.stderr, r)
			}
		})
	}
}

// Output comes when it is made, and input is not waited for: a dialogue.
func TestExecDialogue(t *testing.T) {
	dir := files(t, "talk.go", `for {
	fmt.Print("name? ")
	var name string
	if _, err := fmt.Scan(&name); err != nil {
		break
	}
	fmt.Println("hello", name)
}
`)
	cmd := exec.Command(binary, "exec", "talk.go")
	cmd.Dir = dir
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	answers := lines(out)
	for _, name := range []string{"Ada", "Rob"} {
		if _, err := io.WriteString(in, name+"\n"); err != nil {
			t.Fatal(err)
		}
		select {
		case line := <-answers:
			if line != "name? hello "+name {
				t.Fatalf("got %q", line)
			}
		case <-time.After(patience):
			t.Fatal("no answer")
		}
	}
	in.Close()
	if line := <-answers; line != "name? " {
		t.Errorf("the last line is %q", line)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func TestExecInterrupt(t *testing.T) {
	for name, text := range map[string]string{
		"busy":     "fmt.Println(\"ready\")\ni := 0\nfor {\n\ti++\n}\n",
		"sleeping": "fmt.Println(\"ready\")\ntime.Sleep(time.Hour)\n",
		"blocked":  "fmt.Println(\"ready\")\nselect {}\n",
	} {
		t.Run(name, func(t *testing.T) {
			dir := files(t, "wait.go", text, "after.go", "fmt.Println(\"after\")\n")
			p := start(t, dir, nil, "exec", "wait.go", "after.go")
			p.until("ready")
			p.interrupt()
			if r := p.wait(); r.code != 130 || r.stdout != "ready\n" {
				t.Errorf("%s", r)
			}
		})
	}
}

// The README's example does what the README says.
func TestReadme(t *testing.T) {
	text := read(t, "..", "..", "..", "README.md")
	var pairs, args []string
	var want strings.Builder
	var into *strings.Builder // what an indented line belongs to
	sources := map[string]*strings.Builder{}
	for line := range strings.Lines(text) {
		line, code := strings.CutPrefix(line, "    ")
		name, isCat := strings.CutPrefix(line, "$ cat ")
		command, isExec := strings.CutPrefix(line, "$ bin/gradbook exec ")
		switch {
		case !code:
			into = nil
		case isCat:
			into = &strings.Builder{}
			sources[strings.TrimSpace(name)] = into
		case isExec:
			args = strings.Fields(command)
			into = &want
		case into != nil:
			into.WriteString(line)
		}
	}
	for name, source := range sources {
		pairs = append(pairs, name, source.String())
	}
	if len(sources) != 2 || len(args) != 2 || want.Len() == 0 {
		t.Fatalf("the README shows files %v, arguments %q and output %q", sources, args, want.String())
	}
	r := gradbook(t, files(t, pairs...), "", append([]string{"exec"}, args...)...)
	if r.code != 0 || r.stdout != want.String() {
		t.Errorf("want %q; got %s", want.String(), r)
	}
}
