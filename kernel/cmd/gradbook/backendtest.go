package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/template"

	"github.com/spf13/cobra"

	root "github.com/gradbook/gradbook"
	"github.com/gradbook/gradbook/kernel/internal/plugin"
	"github.com/gradbook/gradbook/kernel/internal/session"
)

//go:embed backendprobe.tmpl
var probeText string

// probeTemplate is a cell that computes on a backend whose configuration it is given.
var probeTemplate = template.Must(template.New("probe").Parse(probeText))

func newBackendTest() *cobra.Command {
	var verbose bool
	cmd := &cobra.Command{
		Use:   "test [BACKEND]",
		Short: "Compute a graph, a gradient and a small training on a backend",
		Long: `Start a backend in a program of its own and compute on it: a product of matrices that is known exactly, a gradient that is
known, and a small training whose losses have to be those of pure Go. Without an argument, the backend that is in use.

The times are those of a first run: they hold what it takes to compile a graph.

Exit status: 0 if all is as it should be, else 1.`,
		Example: `  gradbook backend test
  gradbook backend test xla:cpu
  gradbook backend test xla-cpu                          an installed package
  gradbook backend test xla:/opt/xla/pjrt_c_api_cpu_plugin.so`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := plugin.Automatic
			if len(args) == 1 {
				name = args[0]
			}
			config, why, err := backendToTest(name)
			if err != nil {
				return failed(err)
			}
			return testBackend(cmd.Context(), cmd.OutOrStdout(), config, why, verbose)
		},
		ValidArgs: []string{"go", "xla:cpu", "xla:cuda"},
	}
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "show what the backend itself writes")
	return cmd
}

// backendToTest returns the configuration of what a user calls a backend; of what is in use, also why. A choice that cannot be had is not passed over: the test is to say so.
func backendToTest(name string) (config, why string, err error) {
	if name == plugin.Automatic {
		config, why = plugin.InUse()
		if chosen, err := plugin.Chosen(); err != nil {
			return "", "", err
		} else if strings.HasPrefix(chosen, "xla") && strings.HasPrefix(config, "go") && !strings.Contains(why, "environment") {
			config = chosen
		}
		return config, why, nil
	}
	store, err := plugin.Open()
	if err != nil {
		return "", "", err
	}
	config, err = store.Config(name)
	return config, "", err
}

func testBackend(ctx context.Context, w io.Writer, config, why string, verbose bool) error {
	fmt.Fprintf(w, "backend   %s\n", config)
	if why != "" {
		fmt.Fprintf(w, "why       %s\n", why)
	}
	// What can be seen without starting anything is said at once.
	if strings.HasPrefix(config, "xla") {
		if _, _, err := plugin.Resolve(config); err != nil {
			return failed(err)
		}
	}
	var cell strings.Builder
	if err := probeTemplate.Execute(&cell, config); err != nil {
		return failed(err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := interrupts(cancel, cancel)
	defer stop()
	dir, err := probeDir()
	if err != nil {
		return failed(err)
	}
	show := newStatus()
	s, err := session.Open(ctx, session.Options{Agree: true, Dir: dir, Progress: show.doing})
	show.clear()
	if ctx.Err() != nil {
		return exit{exitInterrupted, "interrupted before the test"}
	}
	if err != nil {
		return failed(err)
	}
	defer s.Close()
	o := probeOutput{w: w, verbose: verbose}
	return o.verdict(config, s.Execute(ctx, session.Request{Name: "test", Text: cell.String()}, o.take))
}

// probeDir is where the cell is compiled: here, if this folder's module has the library, so that its base library is used; else outside of any module.
func probeDir() (string, error) {
	for dir := "."; ; dir += "/.." {
		text, err := os.ReadFile(dir + "/go.mod")
		if err == nil {
			if strings.Contains(string(text), root.Path) {
				return ".", nil
			}
			return os.TempDir(), nil
		}
		if info, err := os.Stat(dir); err != nil {
			return os.TempDir(), nil
		} else if up, err := os.Stat(dir + "/.."); err != nil || os.SameFile(info, up) {
			return os.TempDir(), nil
		}
	}
}

// probeOutput passes on what the cell reports, and keeps what it says of a failure.
type probeOutput struct {
	w       io.Writer
	verbose bool
	line    string // not complete yet
	failure string
}

const failureMark = "FAILED: "

func (o *probeOutput) take(out session.Output) {
	if out.Kind != session.Stream {
		return
	}
	if out.Name == "stderr" {
		if o.verbose {
			io.WriteString(os.Stderr, out.Text)
		}
		return
	}
	o.line += out.Text
	for {
		line, rest, whole := strings.Cut(o.line, "\n")
		if !whole {
			return
		}
		o.line = rest
		if failure, ok := strings.CutPrefix(line, failureMark); ok {
			o.failure = failure
		} else {
			fmt.Fprintln(o.w, line)
		}
	}
}

// verdict is what ends the command.
func (o *probeOutput) verdict(config string, res session.Result) error {
	const after = "; pure Go goes on working: gradbook backend use go"
	switch {
	case o.failure != "":
		return failed(errors.New(o.failure + after))
	case res.Status == session.OK:
		fmt.Fprintln(o.w, "All is as it should be.")
		return nil
	case res.Status == session.Interrupted:
		return exit{exitInterrupted, "interrupted"}
	case res.Status == session.Died:
		return failed(fmt.Errorf("the backend %s has killed the program that it was loaded into: %s%s", config, res.Message, after))
	}
	return failed(fmt.Errorf("the backend %s could not be tested: %s: %s", config, res.Name, res.Message))
}
