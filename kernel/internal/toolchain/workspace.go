package toolchain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/modfile"

	"github.com/gradbook/gradbook"
)

// Workspace is the module (or go.work) that a folder belongs to, as the go command would say.
type Workspace struct {
	Go      *Go
	Dir     string // where go commands run: the folder itself, or the scratch module's
	Mod     string // path of go.mod; "" in a go.work without one here
	Work    string // path of go.work, or ""
	Scratch bool   // the folder is outside of any module, and Dir is the scratch module
}

// Workspace finds out what dir belongs to; outside of any module it sets up the scratch module.
func (g *Go) Workspace(ctx context.Context, dir string) (*Workspace, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("%s is not a folder: give the folder that the notebook is in", dir)
	}
	out, err := command{dir: dir}.run(ctx, g.Command, "env", "-json", "GOMOD", "GOWORK")
	if err != nil {
		return nil, fmt.Errorf("which module does %s belong to? %w", dir, err)
	}
	var env struct{ GOMOD, GOWORK string }
	if err := json.Unmarshal(out, &env); err != nil {
		return nil, fmt.Errorf("go env in %s: %w", dir, err)
	}
	w := &Workspace{Go: g, Dir: dir, Mod: env.GOMOD, Work: env.GOWORK}
	if w.Mod == os.DevNull {
		w.Mod = ""
	}
	if w.Work == "off" {
		w.Work = ""
	}
	if w.Mod != "" || w.Work != "" {
		return w, nil
	}
	return g.scratch()
}

// scratch opens the scratch module, and sets it up when it is not there or was set up by another Gradbook.
func (g *Go) scratch() (*Workspace, error) {
	data := os.Getenv("XDG_DATA_HOME")
	if data == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, fmt.Errorf("no home folder for the scratch module: %w; set XDG_DATA_HOME", err)
		}
		data = filepath.Join(home, ".local", "share")
	}
	dir := filepath.Join(data, "gradbook", "scratch")
	w := &Workspace{Go: g, Dir: dir, Mod: filepath.Join(dir, "go.mod"), Scratch: true}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("the scratch module cannot be made: %w; set XDG_DATA_HOME to a folder that can be written", err)
	}
	unlock, err := Lock(context.Background(), filepath.Join(dir, ".lock"), nil)
	if err != nil {
		return nil, err
	}
	defer unlock()
	text, sum, err := scratchModule(w.Mod)
	if err != nil {
		return nil, err
	}
	if err := writeChanged(w.Mod, text); err != nil {
		return nil, err
	}
	return w, writeChanged(filepath.Join(dir, "go.sum"), sum)
}

// scratchModule makes the texts of the scratch module's go.mod and go.sum: what is there
// already (the user's own go get), raised to what Gradbook requires.
func scratchModule(path string) (mod, sum []byte, err error) {
	own, err := modfile.Parse("go.mod", []byte(gradbook.Mod), nil)
	if err != nil {
		return nil, nil, fmt.Errorf("Gradbook's own go.mod: %w", err)
	}
	old, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		old, err = []byte("module scratch\n"), nil
	}
	if err != nil {
		return nil, nil, err
	}
	file, err := modfile.Parse(path, old, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("the scratch module's go.mod is damaged: %w; remove %s to have it made anew", err, path)
	}
	if file.Go == nil || olderGo(file.Go.Version, own.Go.Version) {
		if err := file.AddGoStmt(own.Go.Version); err != nil {
			return nil, nil, err
		}
	}
	if err := raise(file, own); err != nil {
		return nil, nil, err
	}
	root := gradbook.Root()
	_ = file.DropReplace(gradbook.Path, "") // none there is no error to report
	if root == "" {
		_ = file.DropRequire(gradbook.Path)
	} else if err := errors.Join(file.AddRequire(gradbook.Path, "v0.0.0"), file.AddReplace(gradbook.Path, "", root, "")); err != nil {
		return nil, nil, err
	}
	file.Cleanup()
	if mod, err = file.Format(); err != nil {
		return nil, nil, err
	}
	oldSum, err := os.ReadFile(filepath.Join(filepath.Dir(path), "go.sum"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, nil, err
	}
	return mod, mergeLines(string(oldSum), gradbook.Sum), nil
}

// writeChanged writes a file by rename, unless it has that text already.
func writeChanged(path string, text []byte) error {
	if old, err := os.ReadFile(path); err == nil && string(old) == string(text) {
		return nil
	}
	return writeFile(path, text, 0o644)
}

func mergeLines(texts ...string) []byte {
	seen := map[string]bool{}
	var out strings.Builder
	for _, text := range texts {
		for line := range strings.Lines(text) {
			line = strings.TrimSuffix(line, "\n")
			if line != "" && !seen[line] {
				seen[line] = true
				out.WriteString(line + "\n")
			}
		}
	}
	return []byte(out.String())
}
