package view_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the live process's copy of this package")

// copies is where the live process of the kernel has this package.
const copies = "../../../../kernel/internal/worker/_src/live/view"

// TestCopy keeps the two copies of this package the same: a value must look the same whoever shows it.
func TestCopy(t *testing.T) {
	texts := sources(t, ".")
	if len(texts) == 0 {
		t.Fatal("no sources found")
	}
	if *update {
		if err := os.MkdirAll(copies, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, text := range texts {
			if err := os.WriteFile(filepath.Join(copies, name), text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	there := sources(t, copies)
	for name, text := range texts {
		if !bytes.Equal(text, there[name]) {
			t.Errorf("%s differs from %s: run go test with -update here, where the text is to be edited", filepath.Join(copies, name), name)
		}
		delete(there, name)
	}
	for name := range there {
		t.Errorf("%s has no counterpart here: remove it", filepath.Join(copies, name))
	}
}

func sources(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string][]byte{}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		texts[e.Name()] = text
	}
	return texts
}
