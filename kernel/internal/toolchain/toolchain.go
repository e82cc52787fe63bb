// Package toolchain builds: the base library, the worker program, packages
// outside the base, and the object of one cell. It caches all of them by
// content. It knows no cells, no sessions and no Jupyter: it is given Go files and
// returns paths.
//
// The road: [Find] the go command; (*Go).Workspace says which module a folder belongs to;
// [OpenBase] builds or opens the base library for it; (*Base).Build turns Go files into one
// relocatable object; (*Base).Extend adds packages that the base lacks.
package toolchain

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// Progress is one step of something that takes long.
type Progress struct {
	Stage string // "compiling the base library", "linking the base library", "waiting for another process that builds the base library"
	Done  int    // packages so far
	Total int    // 0 when there is nothing to count
}

// String says the step in one line.
func (p Progress) String() string {
	if p.Total == 0 {
		if p.Done == 0 {
			return p.Stage
		}
		return fmt.Sprintf("%s: %d packages", p.Stage, p.Done)
	}
	return fmt.Sprintf("%s: %d of %d packages", p.Stage, p.Done, p.Total)
}

// command is one run of a tool. Its errors carry what the tool wrote.
type command struct {
	dir    string
	env    []string // added to this process's
	stderr io.Writer
}

// run runs the tool and returns its standard output.
func (c command) run(ctx context.Context, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = c.dir
	cmd.Env = append(os.Environ(), c.env...)
	var out, words bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &words
	if c.stderr != nil {
		cmd.Stderr = io.MultiWriter(&words, c.stderr)
	}
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		said := words.String()
		if strings.TrimSpace(said) == "" { // the compiler speaks on standard output; of the go command that is data
			said = out.String()
		}
		return out.Bytes(), &toolError{name: name, err: err, text: strings.TrimSpace(said)}
	}
	return out.Bytes(), nil
}

// toolError is a tool's failure, with its own words.
type toolError struct {
	name string
	err  error
	text string
}

func (e *toolError) Error() string {
	if e.text == "" {
		return fmt.Sprintf("%s: %v", e.name, e.err)
	}
	return fmt.Sprintf("%s: %v\n%s", e.name, e.err, e.text)
}

func (e *toolError) Unwrap() error { return e.err }
