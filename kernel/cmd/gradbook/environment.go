package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/gradbook/gradbook/kernel/internal/plugin"
)

// labRequirements are JupyterLab, ipywidgets and all that they need: versions and hashes.
//
//go:embed requirements-lab.txt
var labRequirements string

// privateLab returns Gradbook's own jupyter-lab, and installs it first where it is not there yet.
func privateLab(ctx context.Context, data string) (lab string, err error) {
	sum := sha256.Sum256([]byte(labRequirements))
	dir := filepath.Join(data, "lab-"+hex.EncodeToString(sum[:6])) // another version has another folder: the old one may be in use
	lab = filepath.Join(dir, "bin", "jupyter-lab")
	done := filepath.Join(dir, "complete")
	if err := os.MkdirAll(data, 0o755); err != nil {
		return "", fmt.Errorf("no place for JupyterLab: %w; set XDG_DATA_HOME to a folder that can be written", err)
	}
	lock, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer lock.Close() // which unlocks it
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	if _, err := os.Stat(done); err == nil {
		return lab, nil
	}
	python, err := findPython(ctx)
	if err != nil {
		return "", err
	}
	if err := os.RemoveAll(dir); err != nil { // what an interrupted attempt has left
		return "", err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := interrupts(cancel, cancel)
	defer stop()
	show := newStatus()
	err = installLab(ctx, python, dir, show)
	show.clear()
	if ctx.Err() != nil {
		return "", exit{exitInterrupted, "interrupted while JupyterLab was being installed"}
	}
	if err != nil {
		return "", fmt.Errorf("JupyterLab could not be installed into %s: %w", dir, err)
	}
	show.line("JupyterLab is installed in " + dir)
	return lab, os.WriteFile(done, nil, 0o644)
}

// oldestPython is the first version that the requirements are for.
const oldestPython = 10 // of 3

// passBackend hands what the user chose to compute on to the program that is about to start; complain is told where it cannot be had.
func passBackend(complain func(string)) {
	set, err := plugin.Environment()
	if err != nil {
		complain("gradbook: " + err.Error())
	}
	for _, variable := range set {
		name, value, _ := strings.Cut(variable, "=")
		os.Setenv(name, value) // which fails for no such name
	}
}

// findPython returns a Python that is new enough.
func findPython(ctx context.Context) (string, error) {
	names := []string{"python3", "python"}
	for minor := 14; minor >= oldestPython; minor-- {
		names = append(names, fmt.Sprintf("python3.%d", minor))
	}
	var seen []string
	for _, name := range names {
		out, err := exec.CommandContext(ctx, name, "-c", "import sys; print(*sys.version_info[:2])").Output()
		var major, minor int
		if err != nil {
			continue
		}
		if _, err := fmt.Sscan(string(out), &major, &minor); err != nil {
			continue
		}
		if major == 3 && minor >= oldestPython {
			return name, nil
		}
		seen = append(seen, fmt.Sprintf("%s is Python %d.%d", name, major, minor))
	}
	found := "there is none in PATH"
	if len(seen) > 0 {
		found = strings.Join(seen, ", ")
	}
	return "", fmt.Errorf("JupyterLab needs Python 3.%d or later, and %s; install one (Debian, Ubuntu: apt install python3-venv), "+
		"or run notebooks without JupyterLab: gradbook run NOTEBOOK.ipynb", oldestPython, found)
}

// installLab makes the virtual environment.
func installLab(ctx context.Context, python, dir string, show *status) error {
	show.doing("Making a Python environment for JupyterLab")
	if out, err := exec.CommandContext(ctx, python, "-m", "venv", dir).CombinedOutput(); err != nil {
		return fmt.Errorf("%s -m venv: %w\n%s\n(on Debian and Ubuntu this takes the package python3-venv)", python, err, strings.TrimSpace(string(out)))
	}
	pip := exec.CommandContext(ctx, filepath.Join(dir, "bin", "python"), "-m", "pip", "install", "--disable-pip-version-check", "--no-input",
		"--progress-bar", "off", "--require-hashes", "--only-binary", ":all:", "-r", "/dev/stdin")
	pip.Stdin = strings.NewReader(labRequirements)
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	pip.Stdout, pip.Stderr = w, w
	err = pip.Start()
	w.Close()
	if err != nil {
		return err
	}
	var last []string // what it said, for when it fails
	count := 0
	for lines := bufio.NewScanner(r); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		switch {
		case strings.HasPrefix(line, "Collecting "):
			count++
			name, _, _ := strings.Cut(strings.Fields(line)[1], "==")
			show.doing(fmt.Sprintf("Fetching JupyterLab: package %d, %s", count, name))
		case strings.HasPrefix(line, "Installing "):
			show.doing(fmt.Sprintf("Installing JupyterLab: %d packages", count))
		}
		if last = append(last, line); len(last) > 20 {
			last = last[1:]
		}
	}
	if err := pip.Wait(); err != nil {
		if slices.ContainsFunc(last, func(line string) bool { return strings.Contains(line, "No matching distribution found") }) {
			last = append(last, "the package index could not be reached, or lacks the package: JupyterLab is fetched from it once, and needs no network later")
		}
		return errors.Join(fmt.Errorf("pip: %w", err), errors.New(strings.Join(last, "\n")))
	}
	return quietLab(dir)
}

// quietLab keeps JupyterLab from asking newcomers whether it may fetch news.
func quietLab(dir string) error {
	settings := filepath.Join(dir, "share", "jupyter", "lab", "settings")
	if err := os.MkdirAll(settings, 0o755); err != nil {
		return err
	}
	const overrides = `{"@jupyterlab/apputils-extension:notification": {"fetchNews": "false"}}` + "\n"
	return os.WriteFile(filepath.Join(settings, "overrides.json"), []byte(overrides), 0o644)
}
