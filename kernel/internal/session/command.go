package session

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"time"

	"github.com/gradbook/gradbook/kernel/internal/dialect"
	"github.com/gradbook/gradbook/kernel/internal/worker"
)

// command runs one special command.
func (s *Session) command(ctx context.Context, c dialect.Command) Result {
	var err error
	switch c.Name {
	case "!":
		return s.shell(ctx, c.Rest, s.o.Dir)
	case "!*":
		if result := s.shell(ctx, c.Rest, s.ws.Dir); result.Status != OK {
			return result
		}
		err = s.refresh(ctx)
	case "env":
		err = s.setenv(c)
	case "cd":
		err = s.chdir(c)
	case "list", "ls":
		s.list()
	case "rm":
		err = s.remove(c.Words)
	case "reset":
		s.program.Reset()
		err = s.restart()
	case "restart":
		err = s.refreshAndRestart(ctx)
	case "memory":
		err = s.memory()
	case "help":
		s.help()
	}
	if err != nil {
		return failed(CommandError, fmt.Errorf("line %d: %w", c.Line, err))
	}
	return Result{}
}

// shell runs a command line and shows what it prints.
func (s *Session) shell(ctx context.Context, line, dir string) Result {
	cmd := exec.Command("/bin/bash", "-c", line)
	cmd.Dir, cmd.Env = dir, s.environment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stdout = streamWriter{s.out, "stdout"}
	cmd.Stderr = streamWriter{s.out, "stderr"}
	if err := cmd.Start(); err != nil {
		return failed(CommandError, fmt.Errorf("starting a shell: %w", err))
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			return failed(CommandError, fmt.Errorf("%s: %w", line, err))
		}
		return Result{}
	case <-ctx.Done():
	}
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
		syscall.Kill(-cmd.Process.Pid, sig)
		select {
		case <-done:
			return interrupted("interrupted: " + line)
		case <-time.After(time.Second):
		}
	}
	return interrupted("interrupted: " + line)
}

// streamWriter passes a subprocess's output on.
type streamWriter struct {
	o    *outlet
	name string
}

func (w streamWriter) Write(p []byte) (int, error) {
	w.o.show(Output{Kind: Stream, Name: w.name, Text: string(p)})
	return len(p), nil
}

func (s *Session) setenv(c dialect.Command) error {
	name, value, _ := strings.Cut(c.Rest, " ")
	if n, v, ok := strings.Cut(name, "="); ok { // %env NAME=VALUE too
		name, value = n, v
	}
	if name == "" {
		return errors.New("%env wants a name and a value: %env NAME VALUE")
	}
	value = strings.TrimSpace(value)
	if s.o.Env == nil {
		s.o.Env = os.Environ()
	}
	s.o.Env = append(s.o.Env, name+"="+value)
	_, err := s.do(worker.Request{Op: "setenv", Name: name, Value: value})
	return err
}

func (s *Session) chdir(c dialect.Command) error {
	if c.Rest == "" {
		s.out.show(Output{Kind: Stream, Name: "stdout", Text: s.o.Dir + "\n"})
		return nil
	}
	dir := c.Rest
	if home, err := os.UserHomeDir(); err == nil && (dir == "~" || strings.HasPrefix(dir, "~/")) {
		dir = filepath.Join(home, dir[1:])
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(s.o.Dir, dir)
	}
	if st, err := os.Stat(dir); err != nil || !st.IsDir() {
		return fmt.Errorf("%s is no folder", dir)
	}
	s.o.Dir = dir
	_, err := s.do(worker.Request{Op: "chdir", Name: dir})
	return err
}

// list shows declarations and variables.
func (s *Session) list() {
	var b strings.Builder
	for _, v := range s.program.Variables() {
		fmt.Fprintf(&b, "var %s %s\n", v.Name, v.Type)
	}
	for _, d := range s.program.Declarations() {
		fmt.Fprintf(&b, "%s %s (%s)", d.Kind, d.Name, d.Cell)
		if d.Aside != nil {
			fmt.Fprintf(&b, ", set aside: %s:%d: %s", d.Aside.Cell, d.Aside.Line, d.Aside.Msg)
		}
		b.WriteByte('\n')
	}
	s.out.show(Output{Kind: Stream, Name: "stdout", Text: b.String()})
}

func (s *Session) remove(names []string) error {
	if len(names) == 0 {
		return errors.New("%rm wants names of declarations or variables; %list shows them")
	}
	for _, name := range names {
		if !s.program.Remove(name) {
			return fmt.Errorf("%%rm %s: nothing of that name is declared; %%list shows what is", name)
		}
	}
	return nil
}

func (s *Session) memory() error {
	r, err := s.do(worker.Request{Op: "memory"})
	if err != nil {
		return err
	}
	m := r.Memory
	each := uint64(0)
	if m.Libraries > 0 {
		each = m.Mapped / uint64(m.Libraries)
	}
	s.out.show(Output{Kind: Stream, Name: "stdout", Text: fmt.Sprintf(
		"live program: %s resident, %s of it Go heap in use, %d goroutines\ncompiled cells: %d, %s of code and data, %s each\n",
		megabytes(m.Resident), megabytes(m.Heap), m.Goroutines, m.Libraries, megabytes(m.Mapped), megabytes(each))})
	return nil
}

func megabytes(n uint64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%d kB", (n+512)/1024)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
}

func (s *Session) help() {
	var b strings.Builder
	b.WriteString("A cell is Go: declarations and statements, in any order. What they declare lives on.\nThe last expression is shown. Lines that begin with % or ! are special commands:\n\n")
	names := make([]string, 0, len(dialect.Help))
	for name := range dialect.Help {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		shown := name
		if name[0] != '!' && name[0] != '%' {
			shown = "%" + name
		}
		fmt.Fprintf(&b, "  %-11s %s\n", shown, dialect.Help[name])
	}
	s.out.show(Output{Kind: Stream, Name: "stdout", Text: b.String()})
}
