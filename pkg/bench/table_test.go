package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReplace(t *testing.T) {
	file := filepath.Join(t.TempDir(), "README.md")
	if err := os.WriteFile(file, []byte("a\n<!-- x -->\nold\n<!-- /x -->\nb\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time changes nothing
		if err := replace(file, "x", "new\n"); err != nil {
			t.Fatal(err)
		}
		if text, _ := os.ReadFile(file); string(text) != "a\n<!-- x -->\nnew\n<!-- /x -->\nb\n" {
			t.Errorf("got %q", text)
		}
	}
	if err := replace(file, "y", "new\n"); err == nil || !strings.Contains(err.Error(), "<!-- y -->") {
		t.Errorf("a mark that is not there: %v", err)
	}
}
