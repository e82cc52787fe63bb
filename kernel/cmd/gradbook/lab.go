package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/gradbook/gradbook/kernel/internal/session"
)

func newLab() *cobra.Command {
	var only bool
	cmd := &cobra.Command{
		Use:   "lab [FOLDER]",
		Short: "Prepare the base library and open JupyterLab",
		Long: `Build the library that cells are linked against, unless that is done, and open JupyterLab
on a folder (default: this one).

This version has no Jupyter kernel yet: in JupyterLab you can read and edit notebooks, but not run their
cells live. Run them with "gradbook run", and open the result.`,
		Example: `  gradbook lab
  gradbook lab notebooks
  gradbook lab --prepare                           build the library, open nothing`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			folder := "."
			if len(args) > 0 {
				folder = args[0]
			}
			return openLab(cmd.Context(), folder, only)
		},
	}
	cmd.Flags().BoolVar(&only, "prepare", false, "only build the library; JupyterLab is neither needed nor opened")
	return cmd
}

func openLab(ctx context.Context, folder string, only bool) error {
	if info, err := os.Stat(folder); err != nil {
		return failed(err)
	} else if !info.IsDir() {
		return failed(fmt.Errorf("%s is no folder; name the folder that the notebooks are in", folder))
	}
	lab, err := exec.LookPath("jupyter-lab")
	if err != nil && !only {
		return failed(errors.New("jupyter-lab is not in PATH; install JupyterLab 4 (python3 -m pip install jupyterlab), " +
			"or run notebooks without it: gradbook run NOTEBOOK.ipynb"))
	}
	if err := prepare(ctx, folder); err != nil || only {
		return err
	}
	fmt.Fprintln(os.Stderr, "Opening JupyterLab. This version of Gradbook has no Jupyter kernel yet: read and edit notebooks there,\n"+
		"and run them with 'gradbook run NOTEBOOK.ipynb'.")
	return failed(syscall.Exec(lab, []string{"jupyter-lab", folder}, os.Environ()))
}

// prepare builds what a session needs, by opening one.
func prepare(ctx context.Context, folder string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := interrupts(cancel, cancel)
	defer stop()
	show := newStatus()
	s, err := session.Open(ctx, session.Options{Dir: folder, Progress: show.doing})
	show.clear()
	if err != nil {
		if ctx.Err() != nil {
			return exit{exitInterrupted, "interrupted while the library for cells was being built"}
		}
		return failed(err)
	}
	if err := s.Close(); err != nil {
		return failed(err)
	}
	show.line("The library for cells is ready.")
	return nil
}
