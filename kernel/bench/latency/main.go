// Command latency measures how long cells take in Gradbook and in GoNB, side by
// side in one run. GoNB is driven over the wire: from the request until both the reply
// and the idle status have come. Gradbook is driven through its session, in this process.
// It exits with 1 when a goal is missed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/gradbook/gradbook/internal/table"
	"github.com/gradbook/gradbook/kernel/bench/gonb"
	"github.com/gradbook/gradbook/kernel/bench/live"
)

func main() {
	runs := flag.Int("runs", 20, "how often each cell is timed in each kernel, after 3 for warming up")
	write := flag.Bool("write", false, "put the table into the module's README.md")
	bin := flag.String("gonb", "", "folder with the programs gonb and goimports; built when empty")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *runs, *write, *bin); err != nil {
		fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1)
	}
}

// run measures all cases and finishes the table.
func run(ctx context.Context, runs int, write bool, bin string) error {
	if runs < 1 {
		return fmt.Errorf("-runs is %d; give 1 or more", runs)
	}
	dir, err := live.Module()
	if err != nil {
		return err
	}
	if bin == "" {
		temp, err := os.MkdirTemp("", "latency")
		if err != nil {
			return err
		}
		defer os.RemoveAll(temp)
		fmt.Fprintln(os.Stderr, "building GoNB", gonb.Version)
		if err := gonb.Build(ctx, temp); err != nil {
			return err
		}
		bin = temp
	}
	t := table.Table{
		Head: []string{"cell", "Gradbook", "quartiles", "GoNB " + gonb.Version, "quartiles"},
		Note: fmt.Sprintf("Medians of %d after 3 for warming up, in turns; measured is the ratio of the medians.", runs),
	}
	for _, c := range cases() {
		fmt.Fprintln(os.Stderr, "measuring:", c.name)
		row, err := c.measure(ctx, runs, dir, bin)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		t.Rows = append(t.Rows, row)
	}
	readme := ""
	if write {
		readme = filepath.Join(dir, "README.md")
	}
	return t.Finish("latency", readme)
}

// measure times one case in a fresh session and a fresh GoNB.
func (c kase) measure(ctx context.Context, runs int, dir, bin string) (row table.Row, err error) {
	ours, err := live.Open(ctx, dir)
	if err != nil {
		return row, err
	}
	defer func() { err = errors.Join(err, ours.Close()) }()
	theirs, err := gonb.Start(ctx, bin)
	if err != nil {
		return row, err
	}
	defer func() { err = errors.Join(err, theirs.Close()) }()
	if c.setup != "" {
		// Only here: GoNB takes longer over each cell when its module requires others.
		if err := theirs.Require(ctx, dir); err != nil {
			return row, err
		}
		if _, _, err := ours.Run(ctx, c.setup); err != nil {
			return row, err
		}
		if _, err := theirs.Execute(ctx, c.setup); err != nil {
			return row, err
		}
	}
	// A number that no earlier run has used: the caches of both outlive a run.
	first := time.Now().UnixMilli()
	var a, b []float64
	for i := range 3 + runs {
		text, want := c.cell(first, i)
		got, took, err := ours.Run(ctx, text)
		if err != nil {
			return row, err
		}
		reply, err := theirs.Execute(ctx, text)
		if err != nil {
			return row, err
		}
		if got != want || reply.Stdout != want {
			return row, fmt.Errorf("a cell printed %q in Gradbook and %q in GoNB, want %q; the cell was\n%s", got, reply.Stdout, want, text)
		}
		if i >= 3 {
			a, b = append(a, took.Seconds()), append(b, reply.Took.Seconds())
		}
	}
	q1, m, q3 := table.Quartiles(a)
	p1, n, p3 := table.Quartiles(b)
	ms := func(s float64) string { return fmt.Sprintf("%.0f ms", 1000*s) }
	return table.Row{Cells: []string{c.name, ms(m), ms(q1) + " to " + ms(q3), ms(n), ms(p1) + " to " + ms(p3)}, Got: m / n, Goal: c.goal, Unit: "x"}, nil
}
