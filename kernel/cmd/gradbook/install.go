package main

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"
)

//go:embed kernelspec
var logos embed.FS

// kernelName is the kernelspec's folder, and its name in notebooks.
const kernelName = "gradbook"

func newInstall() *cobra.Command {
	var user, sysPrefix bool
	var prefix string
	cmd := &cobra.Command{
		Use:   "install (--user | --sys-prefix | --prefix FOLDER)",
		Short: "Tell Jupyter about the Go kernel",
		Long: `Write a kernelspec, by which JupyterLab, VS Code, nbconvert and all else that runs notebooks find
the kernel "Go (Gradbook)". It names this program by its path: after the program was moved, install again.
Removed it is by: jupyter kernelspec remove gradbook`,
		Example: `  gradbook install --user                 for every Jupyter of this user
  gradbook install --sys-prefix           for the Python environment that is active
  gradbook install --prefix /opt/jupyter  for the Jupyter that is installed there`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var data string
			var err error
			switch {
			case user:
				data, err = userJupyter()
			case sysPrefix:
				if prefix, err = activePrefix(); err == nil {
					data = filepath.Join(prefix, "share", "jupyter")
				}
			case prefix == "":
				return exit{exitUsage, "--prefix names no folder; give the one that Jupyter is installed in"}
			default:
				data = filepath.Join(prefix, "share", "jupyter")
			}
			if err != nil {
				return failed(err)
			}
			dir, err := installKernel(data)
			if err != nil {
				return failed(err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Installed the kernel \"Go (Gradbook)\" in %s\n", dir)
			return nil
		},
	}
	cmd.Flags().BoolVar(&user, "user", false, "for this user")
	cmd.Flags().BoolVar(&sysPrefix, "sys-prefix", false, "for the active Python environment (venv or conda)")
	cmd.Flags().StringVar(&prefix, "prefix", "", "for the Jupyter under `FOLDER`")
	cmd.MarkFlagsMutuallyExclusive("user", "sys-prefix", "prefix")
	cmd.MarkFlagsOneRequired("user", "sys-prefix", "prefix")
	return cmd
}

// userJupyter is the folder in which Jupyter looks for what is this user's.
func userJupyter() (string, error) {
	if dir := os.Getenv("JUPYTER_DATA_DIR"); dir != "" {
		return dir, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("no home folder: %w; set JUPYTER_DATA_DIR", err)
	}
	if runtime.GOOS == "darwin" {
		return filepath.Join(home, "Library", "Jupyter"), nil
	}
	if data := os.Getenv("XDG_DATA_HOME"); data != "" {
		return filepath.Join(data, "jupyter"), nil
	}
	return filepath.Join(home, ".local", "share", "jupyter"), nil
}

// activePrefix is the folder of the Python environment that is active.
func activePrefix() (string, error) {
	for _, name := range []string{"VIRTUAL_ENV", "CONDA_PREFIX"} {
		if dir := os.Getenv(name); dir != "" {
			return dir, nil
		}
	}
	out, err := exec.Command("python3", "-c", "import sys; print(sys.prefix)").Output()
	if err != nil {
		return "", fmt.Errorf("which Python environment is active? python3: %w; give its folder by --prefix", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// kernelspec is what Jupyter reads from kernel.json.
type kernelspec struct {
	Argv          []string       `json:"argv"`
	DisplayName   string         `json:"display_name"`
	Language      string         `json:"language"`
	InterruptMode string         `json:"interrupt_mode"`
	Metadata      map[string]any `json:"metadata"`
}

// installKernel writes the kernelspec below one of Jupyter's data folders, and returns its own folder.
func installKernel(data string) (dir string, err error) {
	program, err := stableProgram()
	if err != nil {
		return "", err
	}
	kernels := filepath.Join(data, "kernels")
	if err := os.MkdirAll(kernels, 0o755); err != nil {
		return "", fmt.Errorf("the kernelspec cannot be written: %w", err)
	}
	// Jupyter may look at any time: the folder appears whole.
	fresh, err := os.MkdirTemp(kernels, ".gradbook-")
	if err != nil {
		return "", fmt.Errorf("the kernelspec cannot be written: %w", err)
	}
	defer os.RemoveAll(fresh)
	if err := writeKernelspec(fresh, program); err != nil {
		return "", err
	}
	dir = filepath.Join(kernels, kernelName)
	old := fresh + "-old"
	if err := os.Rename(dir, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	defer os.RemoveAll(old)
	return dir, os.Rename(fresh, dir)
}

func writeKernelspec(dir, program string) error {
	text, err := json.MarshalIndent(kernelspec{
		Argv:          []string{program, "kernel", "{connection_file}"},
		DisplayName:   "Go (Gradbook)",
		Language:      "go",
		InterruptMode: "message",
		Metadata:      map[string]any{"debugger": false},
	}, "", "  ")
	if err != nil {
		return err
	}
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(filepath.Join(dir, "kernel.json"), append(text, '\n'), 0o644)); err != nil {
		return err
	}
	entries, err := logos.ReadDir("kernelspec")
	if err != nil {
		return err
	}
	for _, e := range entries {
		data, err := logos.ReadFile("kernelspec/" + e.Name())
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, e.Name()), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// stableProgram is the path of this program, if it will be there tomorrow.
func stableProgram() (string, error) {
	program, err := os.Executable()
	if err != nil {
		return "", err
	}
	if strings.Contains(program, string(filepath.Separator)+"go-build") {
		return "", errors.New("this program was made by 'go run' and is removed when it ends, so that Jupyter could not start it; " +
			"build it to stay (go build -o bin/gradbook ./kernel/cmd/gradbook, or go install) and run that")
	}
	return program, nil
}
