package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// median of values, of which there must be some.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// replace puts text between the marks "<!-- name -->" and "<!-- /name -->" of a file, which is replaced as a whole.
func replace(file, name, text string) error {
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	open, shut := "<!-- "+name+" -->", "<!-- /"+name+" -->"
	before, rest, ok := strings.Cut(string(old), open)
	_, after, ok2 := strings.Cut(rest, shut)
	if !ok || !ok2 {
		return fmt.Errorf("%s has no place for the table: add the lines %s and %s", file, open, shut)
	}
	fresh, err := os.CreateTemp(filepath.Dir(file), ".table")
	if err != nil {
		return err
	}
	defer os.Remove(fresh.Name()) // fails harmlessly once it is renamed
	_, err = fresh.WriteString(before + open + "\n" + text + shut + after)
	err = errors.Join(err, fresh.Chmod(0o644), fresh.Close())
	if err != nil {
		return err
	}
	return os.Rename(fresh.Name(), file)
}
