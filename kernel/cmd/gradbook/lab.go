package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/gradbook/gradbook/kernel/internal/assist"
	"github.com/gradbook/gradbook/kernel/internal/session"
	"github.com/gradbook/gradbook/kernel/internal/toolchain"
)

// labOptions are the flags of gradbook lab.
type labOptions struct {
	prepare bool // open nothing
	private bool // use our own JupyterLab even where there is another
}

func newLab() *cobra.Command {
	var o labOptions
	cmd := &cobra.Command{
		Use:   "lab [FOLDER] [-- JUPYTERLAB'S ARGUMENTS]",
		Short: "Open JupyterLab on a folder, with the Go kernel",
		Long: `Build the library that cells are linked against, unless that is done, and open JupyterLab on a
folder (default: this one), with the kernel "Go (Gradbook)".

The JupyterLab is the one in PATH. Where there is none, JupyterLab and ipywidgets are installed into a Python environment of
Gradbook's own, once: their versions are fixed, and each file is checked against its hash. That environment is
$XDG_DATA_HOME/gradbook/lab-... (default: ~/.local/share) and can be deleted at any time.`,
		Example: `  gradbook lab
  gradbook lab notebooks
  gradbook lab notebooks -- --no-browser --port 9000
  gradbook lab --private                           not the JupyterLab in PATH
  gradbook lab --prepare                           build all that is built once, open nothing`,
		Args: func(cmd *cobra.Command, args []string) error {
			if n := cmd.ArgsLenAtDash(); n > 1 || n < 0 && len(args) > 1 {
				return errors.New("more than one folder was given; what is for JupyterLab goes behind --")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			folder, rest := ".", args
			if cmd.ArgsLenAtDash() != 0 && len(args) > 0 {
				folder, rest = args[0], args[1:]
			}
			return openLab(cmd.Context(), folder, rest, o)
		},
	}
	cmd.Flags().BoolVar(&o.prepare, "prepare", false, "only build what is built once (the library, and gopls for completion); JupyterLab is neither needed nor opened")
	cmd.Flags().BoolVar(&o.private, "private", false, "use a JupyterLab of Gradbook's own, not the one in PATH")
	return cmd
}

func openLab(ctx context.Context, folder string, args []string, o labOptions) error {
	if info, err := os.Stat(folder); err != nil {
		return failed(err)
	} else if !info.IsDir() {
		return failed(fmt.Errorf("%s is no folder; name the folder that the notebooks are in", folder))
	}
	if o.prepare {
		if err := prepare(ctx, folder); err != nil {
			return err
		}
		return prepareAssist(ctx)
	}
	data, err := dataDir()
	if err != nil {
		return failed(err)
	}
	lab, err := exec.LookPath("jupyter-lab")
	private := err != nil || o.private
	env := os.Environ()
	if private {
		if lab, err = privateLab(ctx, data); err == nil {
			_, err = installKernel(filepath.Join(filepath.Dir(filepath.Dir(lab)), "share", "jupyter"))
		}
	} else {
		// Nothing is written into an environment that is not ours: it is shown where the kernelspec is.
		jupyter := filepath.Join(data, "jupyter")
		_, err = installKernel(jupyter)
		env = append(env, "JUPYTER_PATH="+strings.TrimSuffix(jupyter+string(os.PathListSeparator)+os.Getenv("JUPYTER_PATH"), string(os.PathListSeparator)))
		if !hasWidgets(lab) {
			fmt.Fprintf(os.Stderr, "%s has no ipywidgets, without which it shows no sliders and buttons: install them beside it "+
				"(python3 -m pip install ipywidgets), or use Gradbook's own: gradbook lab --private\n", lab)
		}
	}
	if err != nil {
		var status exit
		if errors.As(err, &status) {
			return err
		}
		return failed(err)
	}
	if err := prepare(ctx, folder); err != nil {
		return err
	}
	promptly, env, err := promptServer(data, env)
	if err != nil {
		return failed(err)
	}
	return failed(syscall.Exec(lab, append([]string{lab, folder, promptly}, args...), env))
}

//go:embed server/gradbook_server.py
var serverExtension []byte

// promptServer returns what makes JupyterLab's server send small messages at once: an argument, and the environment with the way to it.
func promptServer(data string, env []string) (argument string, with []string, err error) {
	dir := filepath.Join(data, "server")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "gradbook_server.py"), serverExtension, 0o644); err != nil {
		return "", nil, err
	}
	path := dir
	if rest := os.Getenv("PYTHONPATH"); rest != "" {
		path += string(os.PathListSeparator) + rest
	}
	return "--ServerApp.jpserver_extensions=gradbook_server=True", append(env, "PYTHONPATH="+path), nil
}

// hasWidgets tells whether a JupyterLab can draw widgets. What cannot be found out is taken for a yes.
func hasWidgets(lab string) bool {
	if real, err := filepath.EvalSymlinks(lab); err == nil {
		lab = real
	}
	extensions := filepath.Join(filepath.Dir(filepath.Dir(lab)), "share", "jupyter", "labextensions")
	if _, err := os.Stat(extensions); err != nil {
		return true
	}
	_, err := os.Stat(filepath.Join(extensions, "@jupyter-widgets", "jupyterlab-manager"))
	return err == nil
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

// prepareAssist builds what completes names. Without it all else works.
func prepareAssist(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := interrupts(cancel, cancel)
	defer stop()
	show := newStatus()
	g, err := toolchain.Find(ctx)
	if err == nil {
		_, err = assist.Build(ctx, g, "", func(format string, args ...any) { show.doing(fmt.Sprintf(format, args...)) })
	}
	show.clear()
	switch {
	case ctx.Err() != nil:
		return exit{exitInterrupted, "interrupted while gopls was being built"}
	case err != nil:
		show.line("Notebooks will have no completion for now: " + err.Error())
	default:
		show.line("Completion is ready.")
	}
	return nil
}
