// Command gradbook runs Go notebooks whose program stays alive between cells. Its commands are
// thin: they read the command line and print; the work is done by the packages under
// kernel/internal, which know nothing of command lines and terminals.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gradbook/gradbook/kernel/internal/version"
)

// Exit statuses that are not a program's own.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitPanic       = 2 // as the Go runtime has it
	exitInterrupted = 130
)

// exit is an error that ends the program with a status; what there was to say has been said
// where msg is empty.
type exit struct {
	code int
	msg  string
}

func (e exit) Error() string { return e.msg }

func main() { os.Exit(gradbook(os.Args[1:], os.Stderr)) }

// gradbook runs one command line and returns the exit status.
func gradbook(args []string, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(context.Background())
	var status exit
	switch {
	case err == nil:
		return 0
	case errors.As(err, &status):
		if status.msg != "" {
			fmt.Fprintln(stderr, "gradbook: "+status.msg)
		}
		return status.code
	}
	// What is left are cobra's own complaints about the command line.
	fmt.Fprintf(stderr, "gradbook: %s\nSee '%s --help'.\n", strings.TrimSpace(err.Error()), cmd.CommandPath())
	return exitUsage
}

func failed(err error) error { return exit{exitFailed, err.Error()} }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "gradbook",
		Short: "Go notebooks whose program stays alive between cells",
		Long: `Gradbook runs Go notebooks. All cells of a notebook are one Go program, which stays
alive between them: a cell is compiled and loaded into the running program, so the
variables of earlier cells are there, with their values.

The first run builds a library of the packages that cells import (the standard
library, GoMLX, ...). That takes a minute or two, once.`,
		Example: `  gradbook doctor                      what is installed, what is missing
  gradbook exec hello.go               run a file as one cell
  gradbook run lesson.ipynb            run a notebook, write lesson.out.ipynb`,
		Version:       version.Number,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetVersionTemplate(version.String() + "\n")
	root.AddCommand(newRun(), newExec(), newDoctor(), newCache(), newLab(), newVersion(), newInstall(), newKernel(), newBackend())
	return root
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			fmt.Fprintln(cmd.OutOrStdout(), version.String())
			return nil
		},
	}
}
