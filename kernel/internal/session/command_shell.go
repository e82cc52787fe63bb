package session

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// shell runs a command line and shows what it prints. As in GoNB, one that fails says so and the cell goes on.
func (c *cellCommands) shell(ctx context.Context, line, dir string) Result {
	cmd := exec.Command("/bin/bash", "-c", line)
	cmd.Dir = dir
	done := make(chan struct{})
	defer close(done)
	started := func(int) {}
	if c.input {
		c.input = false
		if c.s.o.Ask == nil {
			cmd.Stdin = c.s.o.Stdin
		} else {
			r, w, err := os.Pipe()
			if err != nil {
				return failed(CommandError, err)
			}
			defer r.Close()
			cmd.Stdin = r
			password := c.password
			started = func(pid int) { go c.s.typeInput(pid, w, password, done) }
		}
	}
	return c.s.subprocess(ctx, cmd, line, started)
}

// subprocess runs a command that a user may interrupt.
func (s *Session) subprocess(ctx context.Context, cmd *exec.Cmd, line string, started func(pid int)) Result {
	cmd.Env = s.environment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Stdout = streamWriter{s.out, "stdout"}
	cmd.Stderr = streamWriter{s.out, "stderr"}
	if err := cmd.Start(); err != nil {
		return failed(CommandError, fmt.Errorf("starting %s: %w", cmd.Path, err))
	}
	started(cmd.Process.Pid)
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			s.out.note("%v", err)
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

// canAsk tells whether there is someone to type what a shell command reads.
func (s *Session) canAsk(name string) error {
	if s.o.Ask == nil && s.o.Stdin == nil {
		return fmt.Errorf("%%%s: there is no one here to type the input", name)
	}
	return nil
}

// inputPause is how often a shell command is looked at for whether it waits for input.
const inputPause = 20 * time.Millisecond

// typeInput asks the user for a line whenever the command waits for one.
func (s *Session) typeInput(pid int, to *os.File, password bool, done <-chan struct{}) {
	defer to.Close()
	for {
		select {
		case <-done:
			return
		case <-time.After(inputPause):
		}
		if !waitsForInput(pid) {
			continue
		}
		line, err := s.o.Ask(" ", password)
		if err != nil {
			return
		}
		if _, err := io.WriteString(to, line+"\n"); err != nil {
			return
		}
	}
}

// waitsForInput tells whether a process of the group is in the system call read on descriptor 0.
func waitsForInput(group int) bool {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		data, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:])) // state, parent, group, ...
		if len(fields) < 3 || fields[2] != fmt.Sprint(group) {
			continue
		}
		call, err := os.ReadFile(filepath.Join(filepath.Dir(path), "syscall"))
		if err != nil {
			continue
		}
		if strings.HasPrefix(string(call), fmt.Sprintf("%d 0x0 ", syscall.SYS_READ)) {
			return true
		}
	}
	return false
}
