package main_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/gradbook/gradbook/kernel/internal/assist"
	"github.com/gradbook/gradbook/kernel/internal/toolchain"
)

// Jupyter's own tests of a kernel, all of them, with the program as it is installed.
func TestJupyterKernelTest(t *testing.T) {
	python := os.Getenv("GRADBOOK_TEST_PYTHON")
	if python == "" {
		t.Fatal("GRADBOOK_TEST_PYTHON is not set: it names a Python that has jupyter_kernel_test; run 'make test', which makes one and sets it")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	g, err := toolchain.Find(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := assist.Build(ctx, g, "", t.Logf); err != nil { // Python's tests have timeouts
		t.Fatal(err)
	}
	dir := t.TempDir()
	spec := filepath.Join(dir, "kernels", "tested")
	if err := os.MkdirAll(spec, 0o755); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]any{
		"argv": []string{binary, "kernel", "{connection_file}"}, "display_name": "tested", "language": "go", "interrupt_mode": "message",
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(spec, "kernel.json"), text, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, python, filepath.Join("testdata", "kernel_tests.py"), "-v")
	cmd.Env = append(os.Environ(), "JUPYTER_PATH="+dir, "GRADBOOK_TEST_KERNELSPEC=tested", "JUPYTER_RUNTIME_DIR="+dir, "IPYTHONDIR="+dir, "XDG_DATA_HOME="+filepath.Join(dir, "data"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// Single lines may have the kernels' own words in them; the sum has not. Skipped tests are told behind OK.
	if !regexp.MustCompile(`(?m)^Ran 13 tests in .*\n\nOK$`).Match(out) {
		t.Errorf("not all of 13 tests passed:\n%s", out)
	}
}
