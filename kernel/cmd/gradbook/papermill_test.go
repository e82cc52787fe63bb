package main_test

import (
	"encoding/json"
	"go/parser"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// papermill's parameters, as the file beside the kernelspec writes them in Go. papermill itself is no part of the tests' Python: what
// there is of it here takes the translator and asks it as papermill does.
func TestPapermill(t *testing.T) {
	python := os.Getenv("GRADBOOK_TEST_PYTHON")
	if python == "" {
		t.Fatal("GRADBOOK_TEST_PYTHON is not set: run 'make test', which sets it")
	}
	parameters := []struct{ json, want string }{
		{`3`, `3`},
		{`-2.5`, `-2.5`},
		{`1e-07`, `1e-07`},
		{`NaN`, `math.NaN()`},
		{`-Infinity`, `math.Inf(-1)`},
		{`true`, `true`},
		{`null`, `nil`},
		{`"relu"`, `"relu"`},
		{`"a \"quote\", a \\ and\na line \u0007 \ufeff \ud83d\ude00 é"`, `"a \"quote\", a \\ and\na line \u0007 \ufeff 😀 é"`},
		{`[1, 2]`, `[]int{1, 2}`},
		{`[1, 2.5]`, `[]float64{1, 2.5}`},
		{`[true, false]`, `[]bool{true, false}`},
		{`["a", "b"]`, `[]string{"a", "b"}`},
		{`["a", 1, null]`, `[]any{"a", 1, nil}`},
		{`[]`, `[]any{}`},
		{`[[1], [2, 3]]`, `[]any{[]int{1}, []int{2, 3}}`},
		{`{"a": 1, "b": 2}`, `map[string]int{"a": 1, "b": 2}`},
		{`{"a": {"b": ["c"]}}`, `map[string]any{"a": map[string]any{"b": []string{"c"}}}`},
	}
	var values []string
	for _, p := range parameters {
		values = append(values, p.json)
	}
	const script = `import json, sys, types
registered = {}
class Translator: pass
class Registry:
    def register(self, name, translator): registered[name] = translator
sys.modules["papermill"] = types.ModuleType("papermill")
sys.modules["papermill.models"] = types.SimpleNamespace(Parameter=lambda *values: values)
sys.modules["papermill.translators"] = types.SimpleNamespace(Translator=Translator, papermill_translators=Registry())
sys.path.insert(0, "kernelspec")
sys.dont_write_bytecode = True
import gradbook_papermill
gradbook_papermill.register()
go = registered["go"]
assert registered["gradbook"] is go
cell = {"source": "layers := 10 // how deep\nvar rate float32 = 1e-3\nname = \"a\"\nfunc f() int { return 1 }\n\n// nothing"}
json.dump([[go.translate(v) for v in json.load(sys.stdin)], go.comment("Parameters"), go.inspect(cell)], sys.stdout)`
	cmd := exec.Command(python, "-c", script)
	cmd.Stdin, cmd.Stderr = strings.NewReader("["+strings.Join(values, ",")+"]"), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		literals []string
		comment  string
		cell     [][]string
	}
	if err := json.Unmarshal(out, &[]any{&got.literals, &got.comment, &got.cell}); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for i, p := range parameters {
		if got.literals[i] != p.want {
			t.Errorf("%s: got %s, want %s", p.json, got.literals[i], p.want)
		}
		if _, err := parser.ParseExpr(got.literals[i]); err != nil {
			t.Errorf("%s: %s is no Go: %v", p.json, got.literals[i], err)
		}
	}
	if got.comment != "// Parameters" {
		t.Errorf("a comment is %q", got.comment)
	}
	want := [][]string{{"layers", "None", "10", "how deep"}, {"rate", "float32", "1e-3", ""}, {"name", "None", `"a"`, ""}}
	if !slices.EqualFunc(got.cell, want, slices.Equal[[]string]) {
		t.Errorf("the cell declares %q, want %q", got.cell, want)
	}
}
