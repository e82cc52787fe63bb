package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/gradbook/gradbook/kernel/internal/jupyter"
)

func newKernel() *cobra.Command {
	return &cobra.Command{
		Use:   "kernel CONNECTION_FILE",
		Short: "Serve one notebook as a Jupyter kernel",
		Long: `Serve one notebook to Jupyter's front ends. Jupyter starts this by itself, as the kernelspec that
"gradbook install" writes says; the connection file holds the ports and the key.

The program's working directory is the notebook's folder. What was run is kept in
$XDG_DATA_HOME/gradbook/history.jsonl (default: ~/.local/share), for the history of consoles.`,
		Example: "  gradbook kernel /run/user/1000/jupyter/kernel-1234.json",
		Args:    exactly("connection file"),
		Hidden:  true,
		RunE:    func(cmd *cobra.Command, args []string) error { return serveKernel(cmd.Context(), args[0]) },
	}
}

// exactly wants one argument, and says what it is.
func exactly(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("%d arguments were given; give one, the %s", len(args), what)
		}
		return nil
	}
}

func serveKernel(ctx context.Context, file string) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go watchParent(ctx, cancel)
	tellJupyter(file)
	passBackend(func(text string) { fmt.Fprintln(os.Stderr, text) })
	options := jupyter.Options{
		ConnectionFile: file,
		Interrupts:     interrupts,
		Assist:         openAssistant,
	}
	if data, err := dataDir(); err == nil {
		options.HistoryFile = filepath.Join(data, "history.jsonl")
	}
	if err := jupyter.Run(ctx, options); err != nil {
		return failed(err)
	}
	return nil
}

// tellJupyter sets the environment variables by which GoNB's packages find the kernel and the files that Jupyter serves. Jupyter
// names the connection file after the kernel, and starts it from where it was started itself.
func tellJupyter(file string) {
	if id, ok := strings.CutPrefix(strings.TrimSuffix(filepath.Base(file), ".json"), "kernel-"); ok {
		os.Setenv("GONB_JUPYTER_KERNEL_ID", id)
	}
	if os.Getenv("JPY_PARENT_PID") == "" {
		return
	}
	if root, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", os.Getppid())); err == nil {
		os.Setenv("GONB_JUPYTER_ROOT", root)
	}
}

// watchParent ends the kernel when the Jupyter that started it has ended without a word. Jupyter says by
// JPY_PARENT_PID whether it wants that.
func watchParent(ctx context.Context, end func()) {
	if pid, err := strconv.Atoi(os.Getenv("JPY_PARENT_PID")); err != nil || pid <= 1 {
		return
	}
	for parent := os.Getppid(); os.Getppid() == parent; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
	}
	fmt.Fprintln(os.Stderr, "gradbook kernel: the process that started this kernel has ended; so does the kernel")
	end()
}

// dataDir is the user's folder for what Gradbook keeps.
func dataDir() (string, error) {
	data := os.Getenv("XDG_DATA_HOME")
	if data == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("no home folder: %w; set XDG_DATA_HOME", err)
		}
		data = filepath.Join(home, ".local", "share")
	}
	return filepath.Join(data, "gradbook"), nil
}
