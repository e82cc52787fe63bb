package session

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"

	"github.com/gradbook/gradbook"
	"github.com/gradbook/gradbook/kernel/internal/dialect"
)

// unprovided are the go command's words for a package that go get can help with.
var unprovided = []string{"no required module provides package", "cannot find module providing package", "missing go.sum entry", "updates to go.mod needed"}

// fetch gets the module of a package that no module provides, where %autoget is in force; it reports whether to try again. A module of the user's own is
// left alone unless the notebook says %autoget.
func (s *Session) fetch(path string, missing error) (bool, error) {
	if !slices.ContainsFunc(unprovided, func(text string) bool { return strings.Contains(missing.Error(), text) }) {
		return false, nil
	}
	if on := s.set.autoget; on == nil && !s.ws.Scratch || on != nil && !*on {
		return false, nil
	}
	s.progressText("go get " + path)
	cmd := exec.CommandContext(s.cellContext(), s.ws.Go.Command, "get", path)
	cmd.Dir, cmd.Env = s.ws.Dir, s.environment()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return false, fmt.Errorf("go get %s: %w\n%s", path, err, strings.TrimSpace(string(out)))
	}
	return true, nil
}

// cellContext ends when the running cell is interrupted.
func (s *Session) cellContext() context.Context {
	s.state.Lock()
	defer s.state.Unlock()
	if s.cellCtx == nil {
		return context.Background()
	}
	return s.cellCtx
}

const noCover = "coverage is written when a program ends, and this one lives on; for a package: !*go test -cover PACKAGE"

// flagReasons says of flags of go build why they have no effect, by the word before "=".
var flagReasons = map[string]string{
	"race":      "the race detector needs a program that was built for it as a whole",
	"msan":      "it needs a program that was built for it as a whole",
	"asan":      "it needs a program that was built for it as a whole",
	"cover":     noCover,
	"covermode": noCover,
	"coverpkg":  noCover,
	"tags":      "build tags hold for all packages of the live program: set GOFLAGS=-tags=... before the kernel starts",
	"gcflags":   "cells are compiled with the flags that let them join the live program; to see what the compiler says of a package: !*go build -gcflags=-m PACKAGE",
	"ldflags":   "cells are linked by the live program itself",
	"mod":       "set GOFLAGS=-mod=... before the kernel starts",
}

// goflags keeps and shows flags of go build.
func (s *Session) goflags(c dialect.Command) {
	if c.Rest != "" {
		s.set.goflags = slices.DeleteFunc(c.Words, func(w string) bool { return w == "" })
	}
	s.print("%%goflags=%q\n", s.set.goflags)
	if c.Rest == "" {
		return
	}
	said := map[string][]string{}
	var reasons []string
	for _, flag := range s.set.goflags {
		name, _, _ := strings.Cut(strings.TrimLeft(flag, "-"), "=")
		reason, ok := flagReasons[name]
		if !ok {
			reason = "cells are not built by go build"
		}
		if said[reason] == nil {
			reasons = append(reasons, reason)
		}
		said[reason] = append(said[reason], flag)
	}
	for _, reason := range reasons {
		s.out.note("no effect here: %s (%s)", strings.Join(said[reason], " "), reason)
	}
}

// goCommand runs the go command in the notebook's module.
func (s *Session) goCommand(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, s.ws.Go.Command, args...)
	cmd.Dir, cmd.Env = s.ws.Dir, s.environment()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(string(out)), nil
}

// used returns the folders of the modules that go.work uses, other than the notebook's own, by module path.
func (s *Session) used(ctx context.Context) (map[string]string, error) {
	path, err := s.goCommand(ctx, "env", "GOWORK")
	if err != nil || path == "" || path == "off" {
		return nil, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	work, err := modfile.ParseWork(path, data, nil)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, use := range work.Use {
		dir := filepath.FromSlash(use.Path)
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(filepath.Dir(path), dir)
		}
		if dir == filepath.Dir(s.ws.Mod) {
			continue
		}
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err != nil {
			return nil, fmt.Errorf("%s uses %s: %w", path, use.Path, err)
		}
		out[modfile.ModulePath(mod)] = dir
	}
	return out, nil
}

// replaced returns the rules of go.mod that replace a module by a folder.
func (s *Session) replaced() (map[string]string, error) {
	if s.ws.Mod == "" {
		return nil, nil
	}
	data, err := os.ReadFile(s.ws.Mod)
	if err != nil {
		return nil, err
	}
	file, err := modfile.Parse(s.ws.Mod, data, nil)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, r := range file.Replace {
		if r.New.Version != "" || r.Old.Path == gradbook.Path {
			continue
		}
		dir := filepath.FromSlash(r.New.Path)
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(filepath.Dir(s.ws.Mod), dir)
		}
		out[r.Old.Path] = dir
	}
	return out, nil
}

// goworkfix lets go.mod say what go.work says, for "go get", which reads go.mod only.
func (s *Session) goworkfix(ctx context.Context) error {
	used, err := s.used(ctx)
	if err != nil {
		return err
	}
	if used == nil {
		return errors.New("there is no go.work here, and nothing to do; !*go work init makes one")
	}
	if s.ws.Mod == "" {
		return errors.New("the notebook's folder has a go.work and no go.mod that rules could be added to; !*go mod init makes one")
	}
	old, err := s.replaced()
	if err != nil {
		return err
	}
	for _, module := range slices.Sorted(maps.Keys(used)) {
		dir := used[module]
		if old[module] == dir {
			s.print("\t- Replace rule for module %q to local directory %q already exists.\n", module, dir)
			continue
		}
		if _, err := s.goCommand(ctx, "mod", "edit", "-replace="+module+"="+dir); err != nil {
			return err
		}
		if old[module] != "" {
			s.out.note("\t- WARNING: replace rule for module %q mapping to %q, updated to `go.work` location %q", module, old[module], dir)
		} else {
			s.print("\t- Added replace rule for module %q to local directory %q.\n", module, dir)
		}
	}
	return s.refresh(ctx)
}

// trackedNow lists what is being developed beside the notebook: what %track was told, and what go.mod and go.work point to.
func (s *Session) trackedNow(ctx context.Context) ([]string, error) {
	used, err := s.used(ctx)
	if err != nil {
		return nil, err
	}
	replaced, err := s.replaced()
	if err != nil {
		return nil, err
	}
	all := maps.Clone(s.set.tracked)
	if all == nil {
		all = map[string]bool{}
	}
	for _, dirs := range []map[string]string{used, replaced} {
		for _, dir := range dirs {
			if _, said := all[dir]; !said {
				all[dir] = true
			}
		}
	}
	maps.DeleteFunc(all, func(_ string, on bool) bool { return !on })
	return slices.Sorted(maps.Keys(all)), nil
}

func (s *Session) track(ctx context.Context, paths []string) error {
	if len(paths) == 0 {
		now, err := s.trackedNow(ctx)
		if err != nil {
			return err
		}
		if len(now) == 0 {
			s.print("No files or directory being tracked yet\n")
		} else {
			s.print("List of files/directories being tracked:\n  %s\n", strings.Join(now, "\n  "))
		}
		return nil
	}
	for _, path := range paths {
		if _, err := os.Stat(s.expand(path)); err != nil {
			s.out.note("path %q cannot be tracked: %v", path, err)
			continue
		}
		s.setTracked(s.expand(path), true)
		s.print("\tTracking %q\n", path)
	}
	return nil
}

func (s *Session) setTracked(path string, on bool) {
	if s.set.tracked == nil {
		s.set.tracked = map[string]bool{}
	}
	s.set.tracked[path] = on
}

func (s *Session) untrack(ctx context.Context, paths []string) error {
	if len(paths) == 0 {
		return s.track(ctx, nil)
	}
	now, err := s.trackedNow(ctx)
	if err != nil {
		return err
	}
	for _, path := range paths {
		found := false
		prefix, many := strings.CutSuffix(path, "...")
		for _, t := range now {
			if many && strings.HasPrefix(t, s.expand(prefix)) || t == s.expand(path) {
				s.setTracked(t, false)
				found = true
			}
		}
		if found || many {
			s.print("\tUntracked %q\n", path)
		} else {
			s.out.note("file or directory %q is not tracked, cannot untrack", path)
		}
	}
	return nil
}
