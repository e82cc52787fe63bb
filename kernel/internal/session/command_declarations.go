package session

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

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
	s.print("%s", b.String())
}

// remove takes declarations and variables out of the program; as in GoNB, a name that is not there is no failure.
func (s *Session) remove(names []string) {
	kinds := map[string]string{}
	for _, d := range s.program.Declarations() {
		kinds[d.Name] = string(d.Kind)
	}
	for _, v := range s.program.Variables() {
		kinds[v.Name] = "var"
	}
	for _, name := range names {
		key := strings.ReplaceAll(name, "~", ".") // GoNB's T~M is our T.M
		if s.program.Remove(key) {
			s.print(". removed %s %s\n", kinds[key], key)
		} else {
			s.out.note(". key %q not found in any definition, not removed", name)
		}
	}
}

// reset empties the program, or the scratch module.
func (s *Session) reset(ctx context.Context, words []string) error {
	switch {
	case len(words) == 0:
		s.program.Reset()
		if err := s.restart(); err != nil {
			return err
		}
		s.print("* State reset: all memorized declarations discarded.\n")
		return nil
	case len(words) > 1 || words[0] != "go.mod":
		return fmt.Errorf("%%reset %s: it takes nothing, or go.mod", strings.Join(words, " "))
	case !s.ws.Scratch:
		return fmt.Errorf("%%reset go.mod would empty %s, which is yours: it is for the scratch module, which notebooks outside of any module have", s.ws.Mod)
	}
	for _, name := range []string{"go.mod", "go.sum", "go.work", "go.work.sum"} {
		if err := os.Remove(filepath.Join(s.ws.Dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	ws, err := s.ws.Go.Workspace(ctx, os.TempDir())
	if err != nil {
		return err
	}
	if !ws.Scratch {
		return fmt.Errorf("the folder for temporary files, %s, is in a module: %s; set TMPDIR to another", os.TempDir(), ws.Dir)
	}
	return s.refresh(ctx)
}
