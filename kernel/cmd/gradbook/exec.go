package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gradbook/gradbook/kernel/internal/session"
)

func newExec() *cobra.Command {
	return &cobra.Command{
		Use:   "exec FILE.go ...",
		Short: "Run Go files, each as one cell of one session",
		Long: `Run each file as one cell: what an earlier file declares, the later ones can use. A file may be a
whole program (package clause, imports, func main), or just declarations and statements, as in
a notebook. "-" reads standard input.

The program's output goes to standard output and standard error, as it comes. What a notebook
would display is shown as text.

Exit status: that of the program if it calls os.Exit; 1 if a file does not compile; 2 after a panic, as Go has
it; 130 after Ctrl-C. The files behind one that fails are not run.`,
		Example: `  gradbook exec hello.go
  gradbook exec net.go train.go look.go
  echo 'fmt.Println("hello")' | gradbook exec -`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("no file was given; give one or more, as in: gradbook exec hello.go")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return execFiles(cmd.Context(), args) },
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"go"}, cobra.ShellCompDirectiveFilterFileExt
		},
	}
}

// readCells reads the files; stdin tells whether the program may read standard input.
func readCells(files []string) (cells []session.Request, stdin bool, err error) {
	stdin = true
	for _, name := range files {
		var text []byte
		switch {
		case name != "-":
			text, err = os.ReadFile(name)
		case !stdin:
			return nil, false, exit{exitUsage, `"-" is given twice, and standard input can be read once`}
		default:
			stdin = false
			name = "<stdin>"
			text, err = io.ReadAll(os.Stdin)
		}
		if err != nil {
			return nil, false, failed(err)
		}
		cells = append(cells, session.Request{Name: name, Text: string(text)})
	}
	return cells, stdin, nil
}

func execFiles(ctx context.Context, files []string) error {
	cells, stdin, err := readCells(files)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := interrupts(cancel, cancel)
	defer stop()
	show := newStatus()
	passBackend(show.line)
	options := session.Options{Agree: true, Dir: ".", Progress: show.doing}
	if stdin {
		options.Stdin = os.Stdin
	}
	s, err := session.Open(ctx, options)
	show.clear()
	if err != nil {
		if ctx.Err() != nil {
			return exit{exitInterrupted, "interrupted before the first file ran"}
		}
		return failed(err)
	}
	defer s.Close()
	for _, cell := range cells {
		if err := outcome(s.Execute(ctx, cell, printOutput)); err != nil {
			return err
		}
	}
	return nil
}

// outcome turns how a cell ended into what ends the program, and prints what went wrong.
func outcome(res session.Result) error {
	code := exitFailed
	switch res.Status {
	case session.OK:
		return nil
	case session.Failed:
		if res.Name == session.PanicError {
			code = exitPanic
		}
	case session.Interrupted:
		code = exitInterrupted
	case session.Died:
		code = res.ExitCode
	}
	if res.Status == session.Died && strings.HasPrefix(res.Message, "os.Exit(") {
		return exit{code: code} // the program has said what it had to say
	}
	for _, line := range res.Traceback {
		fmt.Fprintln(os.Stderr, strings.TrimSuffix(line, "\n"))
	}
	return exit{code: code}
}

// printOutput shows one output on the terminal.
func printOutput(out session.Output) {
	switch out.Kind {
	case session.Stream:
		if out.Name == "stderr" {
			io.WriteString(os.Stderr, out.Text)
		} else {
			io.WriteString(os.Stdout, out.Text)
		}
	case session.Display, session.Update, session.Value:
		fmt.Fprintln(os.Stdout, asText(out.Data))
	}
}

// asText shows a MIME bundle as text, or names what it holds.
func asText(data map[string]any) string {
	for _, mime := range []string{"text/plain", "text/markdown"} {
		switch text := data[mime].(type) {
		case string:
			return strings.TrimSuffix(text, "\n")
		case []byte:
			return strings.TrimSuffix(string(text), "\n")
		}
	}
	return "[" + strings.Join(slices.Sorted(maps.Keys(data)), ", ") + "]"
}
