package conformance

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/gradbook/gradbook/kernel/internal/session"
)

// grace is how long a cell that ran past Limit may take to give up before it counts as hung.
const grace = 15 * time.Second

// RunCell runs a file as the one cell of a fresh session in folder dir. The cell is called by the file's
// path, as "gradbook exec" would.
func RunCell(ctx context.Context, dir, file string) (Outcome, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return Outcome{}, err
	}
	s, err := session.Open(ctx, session.Options{Dir: dir})
	if err != nil {
		return Outcome{}, fmt.Errorf("open a session: %w", err)
	}
	limited, cancel := context.WithTimeout(ctx, Limit)
	defer cancel()
	done := make(chan Outcome, 1)
	go func() { done <- execute(limited, s, session.Request{Name: file, Text: string(text)}) }()
	var o Outcome
	select {
	case o = <-done:
	case <-afterDone(limited, grace):
		o = Outcome{Problem: fmt.Sprintf("hangs: ran past %v and did not give up within %v", Limit, grace)}
	}
	if err := s.Close(); err != nil && o.Problem == "" {
		o.Problem = "close the session: " + err.Error()
	}
	return o, ctx.Err()
}

// execute runs the cell and says what it did as a program would have.
func execute(ctx context.Context, s *session.Session, r session.Request) Outcome {
	var stdout, stderr strings.Builder
	var shown int
	result := s.Execute(ctx, r, func(o session.Output) {
		switch {
		case o.Kind == session.Stream && o.Name == "stdout":
			stdout.WriteString(o.Text)
		case o.Kind == session.Stream:
			stderr.WriteString(o.Text)
		default:
			shown++
		}
	})
	o := Outcome{Stdout: stdout.String(), Stderr: stderr.String()}
	switch {
	case ctx.Err() != nil:
		o.Problem = fmt.Sprintf("ran past %v", Limit)
	case shown > 0:
		o.Problem = fmt.Sprintf("showed %d results, which a program cannot", shown)
	case result.Status == session.OK:
	case result.Status == session.Died && result.ExitCode == 0: // os.Exit(0) ends a program well
	case result.Status == session.Died:
		o.Status = result.ExitCode
		o.Problem = describe(result)
	default:
		o.Status = 2
		o.Problem = describe(result)
	}
	return o
}

// describe says how a cell failed. Programs that count end with status 0, so any failure is a difference.
func describe(r session.Result) string {
	text := fmt.Sprintf("%s (exit status %d): %s", r.Name, r.ExitCode, r.Message)
	if len(r.Traceback) > 0 {
		text += "\n" + strings.Join(r.Traceback, "\n")
	}
	if len(text) > 4000 {
		text = text[:4000] + "..."
	}
	return text
}

// afterDone fires d after ctx has ended.
func afterDone(ctx context.Context, d time.Duration) <-chan time.Time {
	fire := make(chan time.Time, 1)
	go func() {
		<-ctx.Done()
		time.Sleep(d)
		fire <- time.Now()
	}()
	return fire
}
