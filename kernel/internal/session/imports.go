package session

import (
	"context"
	"fmt"
	"go/types"
	"slices"
	"time"

	"github.com/gradbook/gradbook/kernel/internal/toolchain"
	"github.com/gradbook/gradbook/kernel/internal/worker"
)

// imports is what the program may import: the base library, and packages outside of it, which are built when a cell first asks for them.
type imports struct{ s *Session }

func (i imports) ByName(name string) []string { return i.s.base.ByName(name) }

func (i imports) Import(path string) (*types.Package, error) {
	if path == "unsafe" {
		return types.Unsafe, nil
	}
	if path == "C" {
		return nil, fmt.Errorf("cgo is not possible in a cell: put it into a package and import that")
	}
	if _, ok := i.s.base.Package(path); !ok {
		x, err := i.s.base.Extend(context.Background(), []string{path}, i.s.progress())
		if err != nil {
			again, failure := i.s.fetch(path, err)
			if failure != nil {
				return nil, failure
			} else if again {
				x, err = i.s.base.Extend(context.Background(), []string{path}, i.s.progress())
			}
		}
		if err != nil {
			return nil, err
		}
		if x.Library != "" && !slices.Contains(i.s.extensions, x.Library) {
			i.s.extensions = append(i.s.extensions, x.Library)
		}
	}
	return i.s.base.Import(path)
}

// progress shows how an extension is coming along, once it takes long.
func (s *Session) progress() func(toolchain.Progress) {
	start := time.Now()
	return func(p toolchain.Progress) {
		if time.Since(start) > slow {
			s.progressText(p.String())
			start = time.Now()
		}
	}
}

// extend loads into the worker what the base was extended by.
func (s *Session) extend() error {
	for _, x := range s.extensions {
		if slices.Contains(s.extended, x) {
			continue
		}
		if _, err := s.do(worker.Request{Op: "extend", Extension: x}); err != nil {
			return err
		}
		s.extended = append(s.extended, x)
	}
	return nil
}

// refresh tells of packages that are loaded and have changed since.
func (s *Session) refresh(ctx context.Context) error {
	changed, err := s.base.Stale(ctx)
	if err != nil {
		return err
	}
	text := enumerate(changed)
	if text == s.stale {
		return nil
	}
	if s.stale = text; text == "" {
		return nil
	}
	note := "changed since it was loaded: " + text + "; %restart makes it take effect"
	if names := s.variableNames(); names != "" {
		note += " (and gives up the values of " + names + ")"
	}
	s.out.note("%s", note)
	return nil
}

// refreshAndRestart starts the program anew, with the packages as they are now.
func (s *Session) refreshAndRestart(ctx context.Context) error {
	if err := s.openBase(ctx); err != nil {
		return err
	}
	s.extensions, s.stale = nil, ""
	return s.restart()
}
