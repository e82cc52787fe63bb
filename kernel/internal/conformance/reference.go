package conformance

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// References are the outcomes of programs under the go command, kept in a file
// of the user's cache, since a thousand builds cost minutes.
type References struct {
	root string

	mu   sync.Mutex // guards file and done
	file *os.File
	done map[string]record
}

// record is one line of the cache file; the last one for a path counts.
type record struct {
	Path    string
	Source  string // hash of the program's text
	Outcome Outcome
	Counts  bool // it passes under the go command as it stands
}

// OpenReferences opens the cache for the go command in PATH and the programs under root.
func OpenReferences(root string) (*References, error) {
	version, err := exec.Command("go", "env", "GOVERSION").Output()
	if err != nil {
		return nil, fmt.Errorf("go env GOVERSION: %w; is Go in PATH?", err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(cache, "gradbook", "conformance")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	name := fmt.Sprintf("%s-%s-%s.jsonl", strings.TrimSpace(string(version)), runtime.GOOS, runtime.GOARCH)
	file, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		return nil, err
	}
	r := &References{root: root, file: file, done: map[string]record{}}
	for dec := json.NewDecoder(file); ; {
		var rec record
		if err := dec.Decode(&rec); err != nil {
			break // the end, or a line cut short by a crash: what follows is done again
		}
		r.done[rec.Path] = rec
	}
	return r, nil
}

// Close closes the cache file.
func (r *References) Close() error { return r.file.Close() }

// Of returns what the program at path (relative to the root) does under the go
// command, and whether it counts: it ends with status 0, and prints what the .out file
// beside it says, if there is one.
func (r *References) Of(ctx context.Context, path string) (Outcome, bool, error) {
	source, err := os.ReadFile(filepath.Join(r.root, path))
	if err != nil {
		return Outcome{}, false, err
	}
	sum := sha256.Sum256(source)
	hash := hex.EncodeToString(sum[:])
	r.mu.Lock()
	rec, ok := r.done[path]
	r.mu.Unlock()
	if ok && rec.Source == hash {
		return rec.Outcome, rec.Counts, nil
	}
	rec = record{Path: path, Source: hash}
	if rec.Outcome, rec.Counts, err = r.run(ctx, path); err != nil {
		return Outcome{}, false, err
	}
	line, err := json.Marshal(rec)
	if err != nil {
		return Outcome{}, false, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done[path] = rec
	if _, err := r.file.Write(append(line, '\n')); err != nil {
		return Outcome{}, false, err
	}
	return rec.Outcome, rec.Counts, nil
}

// run builds a program and runs it in the root, where some of them look for files.
func (r *References) run(ctx context.Context, path string) (Outcome, bool, error) {
	dir, err := os.MkdirTemp("", "conformance")
	if err != nil {
		return Outcome{}, false, err
	}
	defer os.RemoveAll(dir)
	exe := filepath.Join(dir, "program")
	build := exec.CommandContext(ctx, "go", "build", "-o", exe, filepath.Join(r.root, path))
	build.Dir = r.root
	if out, err := build.CombinedOutput(); err != nil {
		return Outcome{Problem: "go build: " + string(out)}, false, ctx.Err()
	}
	var stdout, stderr bytes.Buffer
	o, err := runProgram(ctx, exe, r.root, &stdout, &stderr)
	if err != nil {
		return Outcome{}, false, err
	}
	o.Stdout, o.Stderr = stdout.String(), stderr.String()
	if o.Problem != "" || o.Status != 0 {
		return o, false, nil
	}
	want, err := os.ReadFile(strings.TrimSuffix(filepath.Join(r.root, path), ".go") + ".out")
	if errors.Is(err, os.ErrNotExist) {
		return o, true, nil
	}
	if err != nil {
		return Outcome{}, false, err
	}
	var both bytes.Buffer // the .out files hold the two streams as they come
	again, err := runProgram(ctx, exe, r.root, &both, &both)
	return o, again.Status == 0 && bytes.Equal(both.Bytes(), want), err
}

// runProgram runs exe with a limit, and ends what it started with it.
func runProgram(ctx context.Context, exe, dir string, stdout, stderr *bytes.Buffer) (Outcome, error) {
	limited, cancel := context.WithTimeout(ctx, Limit)
	defer cancel()
	cmd := exec.CommandContext(limited, exe)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, stdout, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	if ctx.Err() != nil {
		return Outcome{}, ctx.Err()
	}
	if limited.Err() != nil {
		return Outcome{Problem: fmt.Sprintf("ran past %v", Limit)}, nil
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return Outcome{}, err
	}
	status := cmd.ProcessState.ExitCode()
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		status = 128 + int(ws.Signal())
	}
	return Outcome{Status: status}, nil
}
