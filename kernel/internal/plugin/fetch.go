package plugin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// unavailable says that a package cannot be had, so that another may be taken instead.
type unavailable struct{ error }

func (u unavailable) Unwrap() error { return u.error }

// pip is a Python that has pip.
type pip struct {
	python string
	report func(done int64) // bytes fetched so far
}

// findPip returns a Python 3 with pip. Where none of them has pip, it makes a virtual environment in dir, which has.
func findPip(ctx context.Context, dir string) (*pip, error) {
	var bare string
	for _, name := range []string{"python3", "python"} {
		python, err := exec.LookPath(name)
		if err != nil || exec.CommandContext(ctx, python, "-c", "import sys; sys.exit(sys.version_info < (3, 8))").Run() != nil {
			continue
		}
		if exec.CommandContext(ctx, python, "-m", "pip", "--version").Run() == nil {
			return &pip{python: python}, nil
		}
		if bare == "" {
			bare = python
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if bare == "" {
		return nil, errors.New("plugins are fetched by Python's pip, and there is no Python 3.8 or later in PATH; install one (Debian, Ubuntu: apt install python3-pip), " +
			"or bring the wheels from elsewhere: --from FOLDER")
	}
	env := filepath.Join(dir, "python")
	if out, err := exec.CommandContext(ctx, bare, "-m", "venv", env).CombinedOutput(); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%s has no pip and cannot make an environment that has (%s); install one (Debian, Ubuntu: apt install python3-pip), or bring the wheels from elsewhere: --from FOLDER",
			bare, lastLine(out, err))
	}
	return &pip{python: filepath.Join(env, "bin", "python")}, nil
}

// fetch brings a wheel into dir, which is empty, and checks it.
func (p *pip) fetch(ctx context.Context, w Wheel, dir string) (file string, err error) {
	list, temp, into := filepath.Join(dir, "requirements.txt"), filepath.Join(dir, "temp"), filepath.Join(dir, "wheel")
	if err := errors.Join(os.WriteFile(list, []byte(w.line()), 0o644), os.Mkdir(temp, 0o755), os.Mkdir(into, 0o755)); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, p.python, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--require-hashes", "--no-cache-dir", "--disable-pip-version-check", "--no-input",
		"--progress-bar=off", "--retries=2", "-d", into, "-r", list)
	// The folder is no place to install into, so the user's wish to install into environments only does not matter.
	cmd.Env = append(os.Environ(), "TMPDIR="+temp, "PIP_REQUIRE_VIRTUALENV=false")
	// In a process group of its own: a terminal's Ctrl-C is for this program, which then ends pip and what pip has started.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	watched := make(chan struct{})
	ctx, stop := context.WithCancel(ctx)
	go func() {
		defer close(watched)
		p.watch(ctx, dir)
	}()
	err = cmd.Run()
	interrupted := ctx.Err()
	stop()
	<-watched
	if interrupted != nil {
		return "", interrupted
	}
	if err != nil {
		return "", complaint(w, said.Bytes(), err)
	}
	found, _ := filepath.Glob(filepath.Join(into, "*.whl"))
	if len(found) != 1 {
		return "", unavailable{fmt.Errorf("pip says that it has fetched %s %s, and it is not there", w.Name, w.Version)}
	}
	return found[0], w.verify(found[0])
}

// watch reports how much has come.
func (p *pip) watch(ctx context.Context, dir string) {
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			p.report(folderSize(dir))
		}
	}
}

// folderSize adds up the files in a folder, which may change meanwhile.
func folderSize(dir string) (n int64) {
	filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			if info, err := e.Info(); err == nil {
				n += info.Size()
			}
		}
		return nil
	})
	return n
}

// complaint says in one sentence why pip has failed.
func complaint(w Wheel, said []byte, err error) error {
	text, name := string(said), w.Name+" "+w.Version
	has := func(words ...string) bool {
		for _, word := range words {
			if strings.Contains(text, word) {
				return true
			}
		}
		return false
	}
	switch {
	case has("No space left on device"):
		return fmt.Errorf("%s cannot be fetched: no space left on the device", name)
	case has("DO NOT MATCH THE HASHES"):
		return fmt.Errorf("%s is refused: the package index offers a file with another sha256 than the one that was checked for Gradbook (%s)", name, w.SHA256)
	case has("NewConnectionError", "Temporary failure in name resolution", "Connection refused", "Network is unreachable", "ConnectTimeout", "ReadTimeout", "ProxyError", "SSLError", "Max retries exceeded"):
		return unavailable{fmt.Errorf("%s cannot be fetched: the package index cannot be reached; try again, or bring the wheels from elsewhere: --from FOLDER", name)}
	case has("No matching distribution found", "not a supported wheel"):
		return unavailable{fmt.Errorf("%s cannot be fetched: the package index has no such file for this Python and this machine", name)}
	}
	return unavailable{fmt.Errorf("%s cannot be fetched: pip says: %s", name, lastLine(said, err))}
}

// lastLine is the last line of what a program said, or how it ended if it said nothing.
func lastLine(said []byte, err error) string {
	lines := strings.Split(strings.TrimSpace(string(said)), "\n")
	if last := strings.TrimSpace(lines[len(lines)-1]); last != "" {
		return last
	}
	return err.Error()
}
