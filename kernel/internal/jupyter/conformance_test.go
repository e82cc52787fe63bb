package jupyter_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// python returns an interpreter that has jupyter_kernel_test and nbclient.
func python(t *testing.T) string {
	t.Helper()
	interpreter := os.Getenv("GRADBOOK_TEST_PYTHON")
	if interpreter == "" {
		t.Fatal("GRADBOOK_TEST_PYTHON is not set: it names a Python that has jupyter_kernel_test; run 'make test', which makes one and sets it")
	}
	return interpreter
}

// runPython runs a program that finds this test program as a kernel by the name of "tested".
func runPython(t *testing.T, args ...string) (string, error) {
	t.Helper()
	start(t) // builds what is to be built: Python's tests have timeouts
	dir := t.TempDir()
	spec := filepath.Join(dir, "kernels", "tested")
	if err := os.MkdirAll(spec, 0o755); err != nil {
		t.Fatal(err)
	}
	text := encode(t, object{
		"argv": []string{os.Args[0], "{connection_file}"}, "display_name": "tested", "language": "go", "interrupt_mode": "message",
		"env": object{kernelVariable: "1", "GRADBOOK_TEST_HISTORY": filepath.Join(dir, "history.jsonl")},
	})
	if err := os.WriteFile(filepath.Join(spec, "kernel.json"), text, 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, python(t), args...)
	cmd.Env = append(os.Environ(), "JUPYTER_PATH="+dir, "GRADBOOK_TEST_KERNELSPEC=tested", "JUPYTER_RUNTIME_DIR="+dir, "IPYTHONDIR="+dir)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// nbclient runs a notebook, as nbconvert and papermill do it.
func TestNbclient(t *testing.T) {
	out, err := runPython(t, "-c", `
import json, nbformat, nbclient
cells = ["x := 20\nfmt.Println(x)", "x *= 2\nx", "fmt.Fprintln(os.Stderr, \"e\"); panic(\"ouch\")", "x + 2"]
nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
nbclient.NotebookClient(nb, kernel_name="tested", allow_errors=True, timeout=600).execute()
nbformat.validate(nb)
out = [[(o.output_type, o.get("text") or o.get("evalue") or o["data"]["text/plain"]) for o in c.outputs] for c in nb.cells]
print(json.dumps([out, [c.execution_count for c in nb.cells], nb.metadata.language_info.name]))
`)
	want := `[[[["stream", "20\n"]], [["execute_result", "40"]], [["stream", "e\n"], ["error", "ouch"]], [["execute_result", "42"]]], [1, 2, 3, 4], "go"]`
	if got := strings.TrimSpace(out); err != nil || got != want {
		t.Errorf("%v\ngot  %s\nwant %s", err, got, want)
	}
}
