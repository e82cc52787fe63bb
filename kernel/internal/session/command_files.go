package session

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/gradbook/gradbook/kernel/internal/dialect"
)

// magic runs a cell that is not Go.
func (c *cellCommands) magic(ctx context.Context) Result {
	m := c.d.Magic
	if m.Name == "%%writefile" {
		if err := c.writeFile(m); err != nil {
			return failed(CommandError, fmt.Errorf("line 1: %w", err))
		}
		return Result{}
	}
	words := m.Words
	if m.Name != "%%script" {
		words = []string{m.Name[2:]}
	}
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Dir = c.s.o.Dir
	cmd.Stdin = strings.NewReader(c.d.Body + "\n")
	return c.s.subprocess(ctx, cmd, strings.Join(words, " "), func(int) {})
}

func (c *cellCommands) writeFile(m *dialect.Command) error {
	f, more, err := c.s.create(m)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, c.d.Body+"\n")
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	done := "written"
	if more {
		done = "appended"
	}
	c.s.out.note("Cell contents %s to %q.", done, f.Name())
	return nil
}

// create opens the file that a command's words name for writing; -a before it is for appending.
func (s *Session) create(cmd *dialect.Command) (f *os.File, more bool, err error) {
	words, how := cmd.Words, os.O_TRUNC
	if len(words) == 2 && words[0] == "-a" {
		words, how, more = words[1:], os.O_APPEND, true
	}
	if len(words) != 1 {
		return nil, false, fmt.Errorf("%%%s wants one file, and before it may have -a (to append); given were %d words", cmd.Name, len(words))
	}
	f, err = os.OpenFile(s.expand(words[0]), os.O_WRONLY|os.O_CREATE|how, 0o644)
	return f, more, err
}

func (c *cellCommands) openCapture(cmd dialect.Command) error {
	c.close()
	f, _, err := c.s.create(&cmd)
	c.capture = f
	return err
}

// tee writes what the program shows from now on into the capture file too, as far as it is text.
func (c *cellCommands) tee() {
	if c.capture == nil {
		return
	}
	o := c.s.out
	o.mu.Lock()
	defer o.mu.Unlock()
	to := o.to
	o.to = func(out Output) {
		io.WriteString(c.capture, out.Text)
		for _, v := range out.Data {
			if text, ok := v.(string); ok {
				io.WriteString(c.capture, text)
			}
		}
		to(out)
	}
}
