package main_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// binary is the program, built once for all tests.
var binary string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "gradbook")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "gradbook")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	// Built here, the base library does not make the tests' standard error differ the first time.
	prepare := exec.Command(binary, "lab", "--prepare")
	prepare.Dir, prepare.Stderr = dir, os.Stderr
	if err := prepare.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "gradbook lab --prepare:", err)
		return 1
	}
	return m.Run()
}

// result is what one run of the program gave.
type result struct {
	stdout, stderr string
	code           int
}

func (r result) String() string {
	return fmt.Sprintf("exit status %d\n--- stdout\n%s\n--- stderr\n%s", r.code, clip(r.stdout), clip(r.stderr))
}

// clip keeps a failure readable when a program printed megabytes.
func clip(s string) string {
	if len(s) > 4000 {
		return s[:4000] + "..."
	}
	return s
}

// process is the program under way, in a folder of its own.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	mu     sync.Mutex
	stdout bytes.Buffer // guarded by mu
	stderr bytes.Buffer // guarded by mu
}

type locked struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func start(t *testing.T, dir string, stdin io.Reader, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(binary, args...)}
	p.cmd.Dir, p.cmd.Stdin = dir, stdin
	p.cmd.Stdout, p.cmd.Stderr = locked{&p.mu, &p.stdout}, locked{&p.mu, &p.stderr}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.cmd.Process.Kill() })
	return p
}

func (p *process) read() (stdout, stderr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stdout.String(), p.stderr.String()
}

// patience is how long a test waits for what must come: enough for a machine that is very busy.
const patience = 3 * time.Minute

// until waits for text on standard output or error.
func (p *process) until(text string) {
	p.t.Helper()
	for limit := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		stdout, stderr := p.read()
		if strings.Contains(stdout, text) || strings.Contains(stderr, text) {
			return
		}
		if time.Now().After(limit) {
			p.t.Fatalf("%q does not come; there is\n%s\n%s", text, stdout, stderr)
		}
	}
}

func (p *process) interrupt() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		p.t.Fatal(err)
	}
}

// wait returns the result; a program that does not end fails the test.
func (p *process) wait() result {
	p.t.Helper()
	timer := time.AfterFunc(patience, func() { p.cmd.Process.Kill() })
	defer timer.Stop()
	err := p.cmd.Wait()
	var status *exec.ExitError
	if err != nil && !errors.As(err, &status) {
		p.t.Fatal(err)
	}
	r := result{code: p.cmd.ProcessState.ExitCode()}
	r.stdout, r.stderr = p.read()
	return r
}

func gradbook(t *testing.T, dir, stdin string, args ...string) result {
	t.Helper()
	return start(t, dir, strings.NewReader(stdin), args...).wait()
}

// files writes files into a new folder and returns it; names and texts alternate.
func files(t *testing.T, pairs ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(pairs); i += 2 {
		if err := os.WriteFile(filepath.Join(dir, pairs[i]), []byte(pairs[i+1]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestCommandLine(t *testing.T) {
	dir := files(t, "a.ipynb", `{"nbformat":4,"nbformat_minor":5,"metadata":{},"cells":[]}`)
	for _, test := range []struct {
		args string
		code int
		want string // on either stream
	}{
		{"", 0, "Available Commands:"},
		{"--help", 0, "run         Run a notebook and write it with its outputs"},
		{"version", 0, "gradbook 0.1.0"},
		{"--version", 0, "gradbook 0.1.0"},
		{"version x", 2, "See 'gradbook version --help'."},
		{"frobnicate", 2, `unknown command "frobnicate"`},
		{"rnu", 2, "See 'gradbook --help'."},
		{"run", 2, "0 notebooks were given; give one"},
		{"run a.ipynb b.ipynb", 2, "2 notebooks were given; give one"},
		{"run --help", 0, "--set NAME=VALUE"},
		{"run a.ipynb --frob", 2, "unknown flag: --frob"},
		{"run a.ipynb --inplace -o b.ipynb", 2, "[inplace output] were all set"},
		{"run a.ipynb -o a.ipynb", 2, "-o a.ipynb is the notebook itself; use --inplace"},
		{"run a.ipynb -o ./a.ipynb", 2, "use --inplace"},
		{"run a.ipynb --timeout soon", 2, `invalid argument "soon" for "--timeout"`},
		{"run a.ipynb --timeout -1s", 2, "--timeout -1s is negative"},
		{"run a.ipynb --set x", 2, `--set "x" sets nothing; write name=value`},
		{"run a.ipynb --set x=1", 1, `the notebook has no cell tagged "parameters"`},
		{"exec", 2, "no file was given"},
		{"exec none.go", 1, "none.go: no such file"},
		{"exec - -", 2, `"-" is given twice`},
		{"exec --help", 0, "gradbook exec hello.go"},
		{"lab a b", 2, "more than one folder was given"},
		{"lab a b -- --version", 2, "more than one folder was given"},
		{"install", 2, "at least one of the flags in the group [user sys-prefix prefix] is required"},
		{"install --user --sys-prefix", 2, "were all set"},
		{"install --prefix=", 2, "--prefix names no folder"},
		{"kernel", 2, "0 arguments were given; give one, the connection file"},
		{"kernel none.json", 1, "none.json: no such file"},
		{"lab none", 1, "none: no such file"},
		{"lab a.ipynb", 1, "a.ipynb is no folder"},
		{"completion bash", 0, "complete"},
		{"cache --help", 0, "prune"},
		{"cache prune --keep -1", 2, "neither can be negative"},
	} {
		t.Run(test.args, func(t *testing.T) {
			r := gradbook(t, dir, "", strings.Fields(test.args)...)
			if r.code != test.code || !strings.Contains(r.stdout+r.stderr, test.want) {
				t.Errorf("want exit status %d and %q; got %s", test.code, test.want, r)
			}
			if test.code != 0 && r.stdout != "" {
				t.Errorf("an error on standard output: %s", r)
			}
		})
	}
}

func TestDoctor(t *testing.T) {
	r := gradbook(t, t.TempDir(), "", "doctor")
	if r.code != 0 || !strings.Contains(r.stdout, "All that is needed is there.") {
		t.Errorf("%s", r)
	}
	for _, test := range []struct {
		without string
		env     []string
		want    []string
	}{
		{"Go", []string{"GRADBOOK_GO=/nowhere/go"}, []string{"MISSING  Go", "1 of what is needed is missing"}},
		{"a place for Go's cache", []string{"GOCACHE=/proc/none"}, []string{"MISSING  Go", "set GOCACHE to a folder that can be written"}}, // which not even root can make
		{"a C compiler", []string{"CC=no-such-compiler"}, []string{"MISSING  C compiler"}},
		{"a linker", []string{"PATH=" + t.TempDir(), "GRADBOOK_GO=" + lookPath(t, "go"), "CC=" + lookPath(t, "gcc")}, []string{"MISSING  linker", "1 of what is needed is missing"}},
	} {
		t.Run("without "+test.without, func(t *testing.T) {
			cmd := exec.Command(binary, "doctor")
			cmd.Env = append(os.Environ(), test.env...)
			out, err := cmd.CombinedOutput()
			if err == nil {
				t.Error("exit status 0")
			}
			for _, want := range test.want {
				if !strings.Contains(string(out), want) {
					t.Errorf("want %q; got\n%s", want, out)
				}
			}
		})
	}
}

// lookPath returns the path of a program that the tests need anyway.
func lookPath(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCache(t *testing.T) {
	t.Setenv("GRADBOOK_CACHE", filepath.Join(t.TempDir(), "cache"))
	for _, test := range []struct{ args, want string }{
		{"cache", "total"},
		{"cache --verify", "0 entries checked, 0 damaged"},
		{"cache prune --keep 0 --unused 0s", "removed 0 B"},
	} {
		r := gradbook(t, t.TempDir(), "", strings.Fields(test.args)...)
		if r.code != 0 || !strings.Contains(r.stdout, test.want) {
			t.Errorf("%s: want %q; got %s", test.args, test.want, r)
		}
	}
}

// A damaged base library is seen, and removed.
func TestCacheDamage(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	t.Setenv("GRADBOOK_CACHE", dir)
	entry := filepath.Join(dir, "base", strings.Repeat("ab", 32))
	if err := os.MkdirAll(entry, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(entry, "libbase.so"), []byte("half"), 0o644); err != nil {
		t.Fatal(err)
	}
	if r := gradbook(t, dir, "", "cache"); r.code != 0 || !strings.Contains(r.stdout, "damaged; 'gradbook cache --verify' removes it") {
		t.Errorf("%s", r)
	}
	if r := gradbook(t, dir, "", "cache", "--verify"); r.code != 0 || !strings.Contains(r.stdout, "1 entries checked, 1 damaged") {
		t.Errorf("%s", r)
	}
	if _, err := os.Stat(entry); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", entry, err)
	}
}

// A shared cache is shown beside the user's own, and damage in it is named and left to those who keep it.
func TestSharedCache(t *testing.T) {
	dir, shared := filepath.Join(t.TempDir(), "cache"), filepath.Join(t.TempDir(), "shared")
	t.Setenv("GRADBOOK_CACHE", dir)
	t.Setenv("GRADBOOK_SHARED_CACHE", shared)
	for _, args := range []string{"cache", "doctor"} {
		r := gradbook(t, t.TempDir(), "", args)
		if r.code != 0 || !strings.Contains(r.stdout+r.stderr, "the shared cache is passed over") || !strings.Contains(r.stdout+r.stderr, shared) {
			t.Errorf("%s, with a folder that is not there: %s", args, r)
		}
	}
	entry := filepath.Join(shared, "base", strings.Repeat("ab", 16))
	if err := os.MkdirAll(entry, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(entry, "libbase.so"), []byte("half"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ args, want string }{
		{"doctor", "shared      " + shared + ", 4 B, read only"},
		{"doctor", "cache       " + dir},
		{"cache", shared},
		{"cache", "damaged, and passed over"},
		{"cache", "this user's own:\n" + dir},
		{"cache --verify", "damaged, and passed over: open " + entry},
		{"cache --verify", "1 entries checked, 1 damaged"},
		{"cache prune --keep 0 --unused 0s", "removed 0 B"},
	} {
		r := gradbook(t, t.TempDir(), "", strings.Fields(test.args)...)
		if r.code != 0 || !strings.Contains(r.stdout, test.want) {
			t.Errorf("%s: want %q; got %s", test.args, test.want, r)
		}
	}
	if _, err := os.Stat(filepath.Join(entry, "libbase.so")); err != nil {
		t.Errorf("the shared cache was written: %v", err)
	}
}

// lines reads what a pipe gives, for programs that talk back.
func lines(r io.Reader) <-chan string {
	c := make(chan string)
	go func() {
		defer close(c)
		for s := bufio.NewScanner(r); s.Scan(); {
			c <- s.Text()
		}
	}()
	return c
}
