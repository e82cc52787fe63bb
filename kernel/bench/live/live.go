// Package live runs cells in a Gradbook session for the benchmarks, in this
// process, and times them. It knows nothing of what is measured.
package live

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/gradbook/gradbook/kernel/internal/session"
)

// Session is a session in which every cell must succeed.
type Session struct{ s *session.Session }

// Module returns the folder of the module that the working directory belongs to.
func Module() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w; is Go in PATH?", err)
	}
	file := strings.TrimSpace(string(out))
	if filepath.Base(file) != "go.mod" {
		return "", fmt.Errorf("the working directory is in no module; run this in Gradbook's own, which requires GoMLX")
	}
	return filepath.Dir(file), nil
}

// Open opens a session for the module in folder dir and tells on standard error what takes long.
func Open(ctx context.Context, dir string) (*Session, error) {
	s, err := session.Open(ctx, session.Options{Dir: dir, Progress: func(msg string) { fmt.Fprintln(os.Stderr, msg) }})
	if err != nil {
		return nil, fmt.Errorf("open a session in %s: %w", dir, err)
	}
	return &Session{s}, nil
}

// Close ends the session.
func (s *Session) Close() error { return s.s.Close() }

// Run runs one cell and returns its standard output and how long it took, from the call until the result.
func (s *Session) Run(ctx context.Context, text string) (stdout string, took time.Duration, err error) {
	var out, other strings.Builder
	start := time.Now()
	r := s.s.Execute(ctx, session.Request{Text: text}, func(o session.Output) {
		if o.Kind == session.Stream && o.Name == "stdout" {
			out.WriteString(o.Text)
		} else {
			other.WriteString(o.Text)
		}
	})
	took = time.Since(start)
	if r.Status != session.OK {
		return out.String(), took, fmt.Errorf("cell failed: %s: %s\n%s\n%s\nthe cell was\n%s", r.Name, r.Message, strings.Join(r.Traceback, "\n"), other.String(), text)
	}
	return out.String(), took, nil
}
