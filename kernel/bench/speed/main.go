// Command speed measures how fast user code runs in Gradbook against the same code under
// "go build": functions declared in one cell and called from another, and
// loops over variables declared at the top level of a cell. It exits with 1 when a goal is missed.
package main

import (
	"context"
	_ "embed"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gradbook/gradbook/internal/table"
	"github.com/gradbook/gradbook/kernel/bench/live"
)

var (
	//go:embed declarations.txt
	declarations string // one cell
	//go:embed calls.txt
	calls string // statements of another
	//go:embed loopvars.txt
	loopVars string // top-level variables, of a third
	//go:embed loops.txt
	loops string // statements of a fourth
)

// The goals: of each function, of their geometric mean, and of each loop.
const (
	functionGoal = 1.25
	meanGoal     = 1.15
	loopGoal     = 1.5
)

func main() {
	rounds := flag.Int("rounds", 5, "how often each side runs, in turns; the best time counts")
	write := flag.Bool("write", false, "put the table into the module's README.md")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *rounds, *write); err != nil {
		fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, rounds int, write bool) (err error) {
	if rounds < 1 {
		return fmt.Errorf("-rounds is %d; give 1 or more", rounds)
	}
	dir, err := live.Module()
	if err != nil {
		return err
	}
	program, remove, err := build(ctx)
	if err != nil {
		return err
	}
	defer remove()
	s, err := live.Open(ctx, dir)
	if err != nil {
		return err
	}
	defer s.Close()
	for _, cell := range []string{declarations, loopVars} {
		if _, _, err := s.Run(ctx, cell); err != nil {
			return err
		}
	}
	ours, theirs := times{}, times{}
	for range rounds {
		for _, statements := range []string{calls, loops} {
			out, _, err := s.Run(ctx, "%%\n"+statements)
			if err != nil {
				return err
			}
			if err := ours.add(out); err != nil {
				return err
			}
		}
		out, err := exec.CommandContext(ctx, program).Output()
		if err != nil {
			return fmt.Errorf("the program under go build: %w", err)
		}
		if err := theirs.add(string(out)); err != nil {
			return err
		}
	}
	t, err := compare(ours, theirs)
	if err != nil {
		return err
	}
	t.Note = fmt.Sprintf("Timed inside the program, best of %d rounds.", rounds)
	readme := ""
	if write {
		readme = filepath.Join(dir, "README.md")
	}
	return t.Finish("speed", readme)
}

// build builds the same code as an ordinary program.
func build(ctx context.Context) (program string, remove func(), err error) {
	dir, err := os.MkdirTemp("", "speed")
	if err != nil {
		return "", nil, err
	}
	remove = func() { os.RemoveAll(dir) }
	text := "package main\n\n" + declarations + "\nfunc calls() {\n" + calls + "}\n\nfunc loops() {\n" + loopVars + loops + "}\n\nfunc main() {\n\tcalls()\n\tloops()\n}\n"
	program = filepath.Join(dir, "program")
	if err = os.WriteFile(program+".go", []byte(text), 0o666); err == nil {
		cmd := exec.CommandContext(ctx, "go", "build", "-o", program, program+".go")
		cmd.Dir = dir
		var out []byte
		if out, err = cmd.CombinedOutput(); err != nil {
			err = fmt.Errorf("go build of the same code: %w\n%s", err, out)
		}
	}
	if err != nil {
		remove()
	}
	return program, remove, err
}

// timing is the best time of one piece of code, and its result.
type timing struct {
	ns     float64
	result string
}

type times map[string]timing

// add reads lines of a name, nanoseconds and a result.
func (t times) add(out string) error {
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			return fmt.Errorf("the code printed %q, want a name, a time and a result", line)
		}
		ns, err := strconv.ParseFloat(fields[1], 64)
		if err != nil {
			return fmt.Errorf("the code printed %q: %w", line, err)
		}
		old, ok := t[fields[0]]
		if ok && old.result != fields[2] {
			return fmt.Errorf("%s gave %s and then %s", fields[0], old.result, fields[2])
		}
		if !ok || ns < old.ns {
			t[fields[0]] = timing{ns, fields[2]}
		}
	}
	return nil
}

// compare makes the table.
func compare(ours, theirs times) (table.Table, error) {
	t := table.Table{Head: []string{"code", "Gradbook", "go build"}}
	logs, functions := 0.0, []string{"fib", "dot", "count", "sort"}
	row := func(name, label string, goal float64) (float64, error) {
		a, b := ours[name], theirs[name]
		if a.ns == 0 || b.ns == 0 || a.result != b.result {
			return 0, fmt.Errorf("%s: %+v in Gradbook, %+v under go build; want times, and results that agree", name, a, b)
		}
		ms := func(ns float64) string { return fmt.Sprintf("%.2f ms", ns/1e6) }
		t.Rows = append(t.Rows, table.Row{Cells: []string{label, ms(a.ns), ms(b.ns)}, Got: a.ns / b.ns, Goal: goal, Unit: "x"})
		return a.ns / b.ns, nil
	}
	for _, name := range functions {
		ratio, err := row(name, name+", called from another cell", functionGoal)
		if err != nil {
			return t, err
		}
		logs += math.Log(ratio)
	}
	t.Rows = append(t.Rows, table.Row{Cells: []string{"geometric mean of these", "", ""}, Got: math.Exp(logs / float64(len(functions))), Goal: meanGoal, Unit: "x"})
	for _, name := range []string{"integers", "floats"} {
		if _, err := row(name, "loop over top-level variables, "+name, loopGoal); err != nil {
			return t, err
		}
	}
	return t, nil
}
