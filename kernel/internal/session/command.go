package session

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gradbook/gradbook/kernel/internal/dialect"
	"github.com/gradbook/gradbook/kernel/internal/version"
	"github.com/gradbook/gradbook/kernel/internal/worker"
)

// GonbVersion is the version of GoNB whose dialect the session speaks.
const GonbVersion = "v0.11.5"

// settings are what special commands set for the cells that follow.
type settings struct {
	flags   dialect.Flags
	hasArgs bool            // the program has arguments, of an earlier cell
	goflags []string        // as %goflags was given them
	autoget *bool           // nil: the default
	tracked map[string]bool // by %track; false for %untrack
	backend chosenBackend   // by %backend
}

// cellCommands are the special commands of one cell.
type cellCommands struct {
	s        *Session
	d        *dialect.Cell
	input    bool // the next shell command asks for its input
	password bool
	capture  *os.File
}

// run runs the commands that come before the cell's Go: all but those that say how that is run.
func (c *cellCommands) run(ctx context.Context) Result {
	if c.d.Magic != nil {
		return c.magic(ctx)
	}
	for _, cmd := range c.d.Commands {
		if result := c.command(ctx, cmd); result.Status != OK {
			return result
		}
	}
	return Result{}
}

func (c *cellCommands) close() {
	if c.capture != nil {
		c.capture.Close()
	}
}

// begin prepares the live program for the cell's Go.
func (c *cellCommands) begin() error {
	s := c.s
	c.tee()
	defined := s.set.flags.Add(c.d.Go)
	if c.d.HasArgs || len(defined) > 0 || c.d.Test || strings.Contains(c.d.Go, "flag") {
		if _, err := s.do(worker.Request{Op: "flags", Args: defined}); err != nil {
			return err
		}
	}
	if c.d.HasArgs || s.set.hasArgs {
		s.set.hasArgs = c.d.HasArgs
		if _, err := s.do(worker.Request{Op: "args", Args: c.d.Args}); err != nil {
			return err
		}
	}
	return nil
}

// command runs one special command.
func (c *cellCommands) command(ctx context.Context, cmd dialect.Command) Result {
	s := c.s
	var err error
	switch cmd.Name {
	case "!":
		return c.shell(ctx, cmd.Rest, s.o.Dir)
	case "!*":
		if result := c.shell(ctx, cmd.Rest, s.ws.Dir); result.Status != OK {
			return result
		}
		err = s.refresh(ctx)
	case "with_inputs", "with_password":
		c.input, c.password = true, cmd.Name == "with_password"
		err = s.canAsk(cmd.Name)
	case "capture":
		err = c.openCapture(cmd)
	case "env":
		err = s.setenv(cmd)
	case "cd":
		err = s.chdir(cmd)
	case "list", "ls":
		s.list()
	case "rm", "remove":
		s.remove(cmd.Words)
	case "reset":
		err = s.reset(ctx, cmd.Words)
	case "restart":
		err = s.refreshAndRestart(ctx)
	case "memory":
		err = s.memory()
	case "backend":
		return c.backend(ctx, cmd)
	case "autoget", "noautoget":
		on := cmd.Name == "autoget"
		s.set.autoget = &on
	case "goflags":
		s.goflags(cmd)
	case "goworkfix":
		err = s.goworkfix(ctx)
	case "track":
		err = s.track(ctx, cmd.Words)
	case "untrack":
		err = s.untrack(ctx, cmd.Words)
	case "widgets":
		err = s.widgets.connect(ctx)
	case "widgets_hb":
		s.heartbeat(ctx)
	case "wasm":
		err = errors.New("%wasm is not supported: the program of this notebook lives in a process, and a cell that is compiled for the page shares nothing with it; GoNB can run this cell")
	case "version":
		s.print("%s\nspeaks the dialect of GoNB %s\n", version.String(), GonbVersion)
	case "help":
		s.help()
	}
	if err != nil {
		return failed(CommandError, fmt.Errorf("line %d: %w", cmd.Line, err))
	}
	return Result{}
}

// print shows text of a command on standard output.
func (s *Session) print(format string, args ...any) {
	s.out.show(Output{Kind: Stream, Name: "stdout", Text: fmt.Sprintf(format, args...)})
}

func (s *Session) setenv(c dialect.Command) error {
	var name, value string
	if len(c.Words) > 0 {
		name, value = c.Words[0], strings.Join(c.Words[1:], " ")
	}
	if n, v, ok := strings.Cut(name, "="); ok && len(c.Words) == 1 { // %env NAME=VALUE too
		name, value = n, v
	} else if len(c.Words) < 2 {
		name = ""
	}
	if name == "" {
		return errors.New("%env wants a name and a value: %env NAME VALUE")
	}
	if err := s.putenv(name, value); err != nil {
		return err
	}
	s.print("Set: %s=%q\n", name, value)
	return nil
}

func (s *Session) putenv(name, value string) error {
	if s.o.Env == nil {
		s.o.Env = os.Environ()
	}
	s.o.Env = append(s.o.Env, name+"="+value)
	return s.tell(worker.Request{Op: "setenv", Name: name, Value: value})
}

// tell passes a setting on to the live program; one that is not there gets it at its start.
func (s *Session) tell(q worker.Request) error {
	if _, err := s.do(q); err != nil && !errors.Is(err, worker.ErrDied) {
		return err
	}
	return nil
}

// expand replaces ~ and environment variables in the name of a file, and makes it absolute.
func (s *Session) expand(path string) string {
	if home, err := os.UserHomeDir(); err == nil && (path == "~" || strings.HasPrefix(path, "~/")) {
		path = filepath.Join(home, path[1:])
	}
	env := s.environment()
	path = os.Expand(path, func(name string) string {
		for _, e := range slices.Backward(env) {
			if n, v, _ := strings.Cut(e, "="); n == name {
				return v
			}
		}
		return ""
	})
	if !filepath.IsAbs(path) {
		path = filepath.Join(s.o.Dir, path)
	}
	return path
}

func (s *Session) chdir(c dialect.Command) error {
	if c.Rest == "" {
		s.print("Current directory: %q\n", s.o.Dir)
		return nil
	}
	if len(c.Words) != 1 {
		return fmt.Errorf("%%cd wants one folder and was given %d words; put a name with blanks between double quotes", len(c.Words))
	}
	dir := s.expand(c.Words[0])
	if st, err := os.Stat(dir); err != nil || !st.IsDir() {
		return fmt.Errorf("%s is no folder", dir)
	}
	s.o.Dir = dir
	s.print("Changed directory to %q\n", dir)
	if err := s.tell(worker.Request{Op: "setenv", Name: "GONB_DIR", Value: dir}); err != nil {
		return err
	}
	return s.tell(worker.Request{Op: "chdir", Name: dir})
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
	s.print("live program: %s resident, %s of it Go heap in use, %d goroutines\ncompiled cells: %d, %s of code and data, %s each\n",
		megabytes(m.Resident), megabytes(m.Heap), m.Goroutines, m.Libraries, megabytes(m.Mapped), megabytes(each))
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
	b.WriteString("A cell is Go: declarations and statements, in any order. What they declare lives on.\nThe last expression is shown. Lines that begin with % or ! (or //gonb:% or //gonb:!) are special commands,\nrun before the cell's Go. Those that begin with %% and a name take the whole cell:\n\n")
	for _, name := range dialect.Names() {
		fmt.Fprintf(&b, "  %-14s %s\n", name, dialect.About(name))
	}
	s.print("%s", b.String())
}
