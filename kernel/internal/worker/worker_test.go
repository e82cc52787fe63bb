package worker_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/gradbook/gradbook/kernel/internal/toolchain"
	"github.com/gradbook/gradbook/kernel/internal/worker"
)

// live is a worker with the text that it printed.
type live struct {
	*worker.Worker
	base *toolchain.Base

	mu  sync.Mutex
	out strings.Builder
}

var opened = sync.OnceValues(func() (*toolchain.Base, error) {
	ctx := context.Background()
	g, err := toolchain.Find(ctx)
	if err != nil {
		return nil, err
	}
	ws, err := g.Workspace(ctx, ".")
	if err != nil {
		return nil, err
	}
	return toolchain.OpenBase(ctx, ws, toolchain.Options{Source: worker.Source()})
})

func start(t *testing.T) *live {
	t.Helper()
	base, err := opened()
	if err != nil {
		t.Fatal(err)
	}
	l := &live{base: base}
	l.Worker, err = worker.Start(worker.Options{Program: base.Worker, Sink: func(e worker.Event) {
		l.mu.Lock()
		defer l.mu.Unlock()
		switch e.Kind {
		case worker.Stdout, worker.Stderr, worker.Runtime:
			l.out.Write(e.Data)
		case worker.Value:
			var v map[string]string
			json.Unmarshal(e.Data, &v)
			l.out.WriteString("=> " + v["text/plain"] + "\n")
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// cell compiles text and runs its function Cell; vars give symbols their identities.
func (l *live) cell(t *testing.T, n int, text string, vars map[string]string) worker.Reply {
	t.Helper()
	text = "package " + toolchain.PackageName + "\n" + text
	o, err := l.base.Build(context.Background(), toolchain.Unit{Files: []toolchain.File{{Name: "cell.go", Text: text}}, Imports: []string{"fmt", "runtime"}})
	if err != nil {
		t.Fatal(err)
	}
	plan := worker.Plan{Object: o.Path, Cell: n, Vars: map[string]string{}}
	for name, id := range vars {
		plan.Vars["main."+name] = id
	}
	r, err := l.Do(context.Background(), worker.Request{Op: "cell", Plan: plan, Entry: "main.Cell"})
	if err != nil {
		t.Fatal(err, l.Death())
	}
	return r
}

func (l *live) printed() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.out.String()
	l.out.Reset()
	return s
}

// A variable has one size for as long as it lives: an object that thinks otherwise is refused, and nothing has happened.
func TestLoadRefused(t *testing.T) {
	l := start(t)
	if r := l.cell(t, 1, "import \"fmt\"\nvar x int\nvar gone [100]int\nfunc Cell() { x = 7; fmt.Println(x) }", map[string]string{"x": "x#1"}); r.Err != "" {
		t.Fatal(r.Err)
	}
	r := l.cell(t, 2, "import \"fmt\"\nvar x [3]int\nfunc Cell() { x[0] = 1; fmt.Println(x) }", map[string]string{"x": "x#1"})
	if want := "variable main.x (x#1) has 8 bytes, and 24 in this object"; r.Err != want {
		t.Errorf("got %q, want %q", r.Err, want)
	}
	l.cell(t, 3, "import \"fmt\"\nvar x int\nfunc Cell() { x++; fmt.Println(x) }", map[string]string{"x": "x#1"})
	if got, want := l.printed(), "7\n8\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
}

// What a plan does not name is private: two loads do not share code, closures, static data or variables.
func TestPrivateByDefault(t *testing.T) {
	l := start(t)
	text := `import "fmt"
var n int
var kept func() []int
func numbers() []int { return []int{%1, %2} }
func Cell() {
	old := kept
	kept = func() []int { return append(numbers(), []int{%1, %2, n}...) }
	n++
	if old != nil {
		fmt.Println("old", old())
	}
	fmt.Println("new", kept(), n)
}`
	vars := map[string]string{"kept": "kept#1"}
	l.cell(t, 1, strings.NewReplacer("%1", "1", "%2", "2").Replace(text), vars)
	l.cell(t, 2, strings.NewReplacer("%1", "30", "%2", "40").Replace(text), vars)
	if got, want := l.printed(), "new [1 2 1 2 1] 1\nold [1 2 1 2 1]\nnew [30 40 30 40 1] 1\n"; got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
}

// A type is itself again when its text is again what it was, and another one in between, whatever its name.
func TestTypesByContent(t *testing.T) {
	l := start(t)
	text := `import "fmt"
type T struct{ a %t }
var held []any
func Cell() {
	held = append(held, T{}, []T{}, map[string]*T{})
	var same []bool
	for i := range held {
		switch held[i].(type) {
		case T, []T, map[string]*T:
			same = append(same, true)
		default:
			same = append(same, false)
		}
	}
	fmt.Println(same)
}`
	for i, typ := range []string{"int", "float64", "int"} {
		if r := l.cell(t, i+1, strings.ReplaceAll(text, "%t", typ), map[string]string{"held": "held#1"}); r.Err != "" {
			t.Fatal(r.Err)
		}
	}
	const want = "[true true true]\n" +
		"[false false false true true true]\n" +
		"[true true true false false false true true true]\n"
	if got := l.printed(); got != want {
		t.Errorf("printed %q, want %q", got, want)
	}
}

// A damaged object is refused, and the program goes on.
func TestDamagedObject(t *testing.T) {
	l := start(t)
	r, err := l.Do(context.Background(), worker.Request{Op: "cell", Plan: worker.Plan{Object: "worker_test.go"}, Entry: "main.Cell"})
	if want := "worker_test.go is not a relocatable 64-bit ELF file"; err != nil || r.Err != want {
		t.Errorf("got %q %v, want %q", r.Err, err, want)
	}
	if r := l.cell(t, 1, "func Cell() {}", nil); r.Err != "" {
		t.Error(r.Err)
	}
}

// A worker that is told to end ends, whatever it is doing.
func TestClose(t *testing.T) {
	l := start(t)
	l.cell(t, 1, "import \"runtime\"\nfunc Cell() { go func() { for { runtime.Gosched() } }() }", nil)
	l.Close()
	<-l.Done()
	if _, err := l.Do(context.Background(), worker.Request{Op: "memory"}); err != worker.ErrDied {
		t.Errorf("got %v, want %v", err, worker.ErrDied)
	}
}
