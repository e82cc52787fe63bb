// Package fake makes shared libraries that pass for PJRT plugins, or for what plugins need, for the tests of those who load them. It knows nothing of what
// a real plugin does.
package fake

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Plugin is the C text of the smallest library that passes for a plugin.
const Plugin = "void *GetPjrtApi(void) { return 0; }\n"

// Compile makes a shared library of C by gcc, with further flags, and fails the test if it cannot.
func Compile(t *testing.T, path, text string, flags ...string) {
	t.Helper()
	source := filepath.Join(t.TempDir(), "a.c")
	if err := os.WriteFile(source, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("gcc", append([]string{"-shared", "-fPIC", "-o", path, source}, flags...)...).CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
}
