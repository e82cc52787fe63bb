package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/gradbook/gradbook/kernel/internal/notebook"
	"github.com/gradbook/gradbook/kernel/internal/session"
)

// runFlags are the flags of gradbook run.
type runFlags struct {
	output      string
	inPlace     bool
	set         []string
	allowErrors bool
	timeout     time.Duration
	times       bool
	check       bool
}

func newRun() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run NOTEBOOK.ipynb",
		Short: "Run a notebook and write it with its outputs",
		Long: `Run the code cells of a notebook in order, as "Restart and run all" does in Jupyter, and
write the notebook with their outputs. Neither Jupyter nor Python is needed.

The result goes to NOTEBOOK.out.ipynb beside the notebook, or to what -o names; the notebook
itself is changed only by --inplace. It is also written when a cell fails, so that
one can look at what came before.

Tags of cells that mean something:
  parameters          declares the variables that --set can change
  raises-exception    the run goes on if this cell fails
  skip-execution      is not run

--set adds a cell behind the one tagged "parameters" that assigns the values, as papermill does. A
value is Go: 0.1, true, []int{1, 2}. For a string, the quotes can be left out; for a
time.Duration, 90s will do.

--check compares what the cells give with the outputs that the notebook holds: words exactly, and
numbers within the tolerance that a cell's metadata states, as in
  "gradbook": {"tolerance": 0.01, "absolute": 1e-6}   (the wider of the two)
  "gradbook": {"varies": true}                        (not compared)

Ctrl-C interrupts the cell that runs, and the run stops there (with --allow-errors it goes on with the
next cell). A second Ctrl-C within a second ends the run.

Exit status: 0 if all cells ran; 1 if one failed, took too long, or gave something else under --check, or
the notebook cannot be read or written; 2 for a wrong command line; 130 after Ctrl-C.`,
		Example: `  gradbook run lesson.ipynb                        writes lesson.out.ipynb
  gradbook run lesson.ipynb -o done.ipynb          writes done.ipynb
  gradbook run lesson.ipynb --inplace              writes lesson.ipynb
  gradbook run lesson.ipynb --set layers=20 --set activation=relu
  gradbook run lesson.ipynb --timeout 10m          no cell may take longer
  gradbook run lesson.ipynb --check                fails if a result has drifted`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("%d notebooks were given; give one, as in: gradbook run lesson.ipynb", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return runNotebook(cmd.Context(), args[0], f) },
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"ipynb"}, cobra.ShellCompDirectiveFilterFileExt
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.output, "output", "o", "", "write the result to `FILE` (default NOTEBOOK.out.ipynb)")
	flags.BoolVar(&f.inPlace, "inplace", false, "write the result over the notebook")
	flags.StringArrayVar(&f.set, "set", nil, "give a parameter a value: `NAME=VALUE`; may be repeated")
	flags.BoolVar(&f.allowErrors, "allow-errors", false, "go on after a cell that fails")
	flags.DurationVar(&f.timeout, "timeout", 0, "interrupt a cell that takes longer, and fail; as in 30s, 10m (default none)")
	flags.BoolVar(&f.times, "times", false, "record in the result when each cell ran")
	flags.BoolVar(&f.check, "check", false, "fail if the outputs differ from those in the notebook")
	cmd.MarkFlagsMutuallyExclusive("check", "inplace")
	cmd.MarkFlagsMutuallyExclusive("output", "inplace")
	return cmd
}

// outputPath decides where the result goes.
func outputPath(input string, f runFlags) (string, error) {
	switch {
	case f.inPlace:
		return input, nil
	case f.output == "":
		return strings.TrimSuffix(input, ".ipynb") + ".out.ipynb", nil
	}
	in, inErr := os.Stat(input)
	out, outErr := os.Stat(f.output)
	if inErr == nil && outErr == nil && os.SameFile(in, out) {
		return "", fmt.Errorf("-o %s is the notebook itself; use --inplace to write over it", f.output)
	}
	return f.output, nil
}

func runNotebook(ctx context.Context, path string, f runFlags) error {
	if f.timeout < 0 {
		return exit{exitUsage, fmt.Sprintf("--timeout %s is negative; give a time as in 10m", f.timeout)}
	}
	r := &notebook.Runner{AllowErrors: f.allowErrors, Timeout: f.timeout, Times: f.times}
	for _, text := range f.set {
		set, err := notebook.ParseSetting(text)
		if err != nil {
			return exit{exitUsage, "--set " + err.Error()}
		}
		r.Set = append(r.Set, set)
	}
	n, err := notebook.Read(path)
	if err != nil {
		return failed(err)
	}
	// All that can be known to fail is found before the first cell runs.
	if err := r.Check(n); err != nil {
		return failed(fmt.Errorf("%s: %w", path, err))
	}
	out, err := outputPath(path, f)
	if err != nil {
		return exit{exitUsage, err.Error()}
	}
	if err := notebook.CanWrite(out); err != nil {
		return failed(err)
	}
	show := newStatus()
	if n.CodeCells() == 0 {
		show.line(path + " has no code cells: nothing to run")
	} else {
		err = execute(ctx, r, n, path, show)
		var stop exit
		if errors.As(err, &stop) {
			return err // nothing has run
		}
	}
	if writeErr := n.WriteFile(out); writeErr != nil {
		return failed(errors.Join(err, writeErr))
	}
	show.line("wrote " + out)
	if err == nil && f.check {
		return check(path, n)
	}
	return verdict(err)
}

// check compares a run with the notebook that it was made from.
func check(path string, run *notebook.Notebook) error {
	recorded, err := notebook.Read(path)
	if err != nil {
		return failed(err)
	}
	drifts, err := notebook.Compare(recorded, run)
	if err != nil {
		return failed(fmt.Errorf("%s: %w", path, err))
	}
	for _, d := range drifts {
		fmt.Fprintln(os.Stderr, d)
	}
	if len(drifts) > 0 {
		return exit{exitFailed, fmt.Sprintf("%s: results that differ from those on record: %d; if the new ones are right, record them with --inplace", path, len(drifts))}
	}
	return nil
}

// execute runs the notebook in a session of its own.
func execute(ctx context.Context, r *notebook.Runner, n *notebook.Notebook, path string, show *status) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var opened atomic.Bool
	stop := interrupts(func() {
		if opened.Load() {
			r.Interrupt()
		} else {
			cancel()
		}
	}, cancel)
	defer stop()
	passBackend(show.line)
	s, err := session.Open(ctx, session.Options{Agree: true, Dir: filepath.Dir(path), Progress: show.doing})
	show.clear()
	if err != nil {
		if ctx.Err() != nil {
			return exit{exitInterrupted, "interrupted before the first cell"}
		}
		return failed(err)
	}
	opened.Store(true)
	defer s.Close()
	r.Session = s
	r.Start = func(step notebook.Step) {
		if show.terminal {
			show.doing(fmt.Sprintf("[%d/%d] ...  %s", step.N, step.Of, step.Line))
		}
	}
	r.Done = func(step notebook.Step, res session.Result) {
		mark := ""
		if res.Status != session.OK {
			mark = "FAILED (" + res.Name + ")  "
		}
		show.line(fmt.Sprintf("[%d/%d] %.2fs  %s%s", step.N, step.Of, res.Took.Seconds(), mark, step.Line))
	}
	return r.Run(ctx, n)
}

// verdict turns what ended a run into an exit status, and shows the traceback.
func verdict(err error) error {
	var cell *notebook.CellError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, notebook.ErrStopped):
		return exit{exitInterrupted, err.Error()}
	case !errors.As(err, &cell):
		return failed(err)
	}
	for _, line := range cell.Result.Traceback {
		fmt.Fprintln(os.Stderr, line)
	}
	code := exitFailed
	if cell.Result.Status == session.Interrupted && cell.Timeout == 0 {
		code = exitInterrupted
	}
	return exit{code, cell.Error()}
}
