// Package conformance holds gradbook to the Go distribution's own test programs: each
// program under GOROOT/test that is marked exactly "// run" must do as one cell
// what it does under "go run". It reaches cells through package session
// alone and knows nothing of how they are compiled or loaded.
package conformance

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"
)

// Limit is how long one program may take, on either side.
const Limit = 60 * time.Second

// Outcome is what a program did.
type Outcome struct {
	Stdout, Stderr string
	Status         int    // the exit status as a shell would report it
	Problem        string // why there is no status: it did not build, or ran past Limit
}

// Programs returns the paths, relative to root (GOROOT/test), of the programs
// whose first line is exactly "// run", sorted.
func Programs(root string) ([]string, error) {
	var found []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		first, err := firstLine(path)
		if err != nil {
			return err
		}
		if first == "// run" {
			rel, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			found = append(found, filepath.ToSlash(rel))
		}
		return nil
	})
	sort.Strings(found)
	return found, err
}

func firstLine(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	line, err := bufio.NewReader(f).ReadString('\n')
	if err != nil && !errors.Is(err, os.ErrClosed) && line == "" {
		return "", nil // an empty file has no mark
	}
	return strings.TrimSuffix(line, "\n"), nil
}

// Difference says how got differs from want in a few lines, or "" where it does not.
func Difference(want, got Outcome) string {
	if got.Problem != "" {
		return got.Problem
	}
	var why []string
	if want.Status != got.Status {
		why = append(why, fmt.Sprintf("exit status %d, want %d", got.Status, want.Status))
	}
	if d := firstDifference(want.Stdout, got.Stdout); d != "" {
		why = append(why, "standard output: "+d)
	}
	if d := firstDifference(want.Stderr, got.Stderr); d != "" {
		why = append(why, "standard error: "+d)
	}
	return strings.Join(why, "\n")
}

// firstDifference shows the first line in which two texts differ.
func firstDifference(want, got string) string {
	if want == got {
		return ""
	}
	w, g := strings.SplitAfter(want, "\n"), strings.SplitAfter(got, "\n")
	for i := 0; i < len(w) || i < len(g); i++ {
		var a, b string
		if i < len(w) {
			a = w[i]
		}
		if i < len(g) {
			b = g[i]
		}
		if a != b {
			return fmt.Sprintf("line %d is %s, want %s", i+1, shorten(b), shorten(a))
		}
	}
	return ""
}

func shorten(s string) string {
	if len(s) > 300 {
		s = s[:300] + "..."
	}
	return fmt.Sprintf("%q", s)
}

// Exceptions reads a list of programs that may fail: one a line, the path, then
// after blanks the reason. Lines that start with # are comments.
func Exceptions(list []byte) (map[string]string, error) {
	reasons := map[string]string{}
	for i, line := range bytes.Split(list, []byte("\n")) {
		text := strings.TrimSpace(string(line))
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		path, reason, _ := strings.Cut(text, " ")
		reason = strings.TrimSpace(reason)
		if reason == "" || strings.Contains(strings.ToLower(reason), "unknown") {
			return nil, fmt.Errorf("line %d: %s has the reason %q; say what in a cell differs from a program", i+1, path, reason)
		}
		if _, twice := reasons[path]; twice {
			return nil, fmt.Errorf("line %d: %s is listed twice; keep one", i+1, path)
		}
		reasons[path] = reason
	}
	return reasons, nil
}
