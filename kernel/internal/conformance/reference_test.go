package conformance_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradbook/gradbook/kernel/internal/conformance"
)

// TestReferences checks the go command's side: what counts, and that the cache gives it back.
func TestReferences(t *testing.T) {
	root := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	if dir, err := os.UserCacheDir(); err != nil || strings.HasPrefix(dir, root) {
		t.Fatal(dir, err)
	}
	files := map[string]string{
		"sub/ok.go":    "// run\npackage main\nfunc main() { println(`err`); print(); os() }\nfunc os() {}\n",
		"out.go":       "// run\npackage main\nimport `os`\nfunc main() { os.Stdout.WriteString(`a`); print(`b`) }\n",
		"out.out":      "ab",
		"wrong.go":     "// run\npackage main\nfunc main() { print(`b`) }\n",
		"wrong.out":    "c",
		"status.go":    "// run\npackage main\nimport `os`\nfunc main() { os.Exit(3) }\n",
		"panics.go":    "// run\npackage main\nfunc main() { panic(1) }\n",
		"broken.go":    "// run\npackage main\nfunc main() { x }\n",
		"flags.go":     "// run -race\npackage main\nfunc main() {}\n",
		"errors.go":    "// errorcheck\npackage main\n",
		"no.txt":       "// run\n",
		"empty.go":     "",
		"sub/later.go": "\n// run\npackage main\nfunc main() {}\n",
	}
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	programs, err := conformance.Programs(root)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(programs, " "), "broken.go out.go panics.go status.go sub/ok.go wrong.go"; got != want {
		t.Fatalf("programs %q, want %q", got, want)
	}
	want := map[string]struct {
		conformance.Outcome
		counts bool
	}{
		"out.go":    {conformance.Outcome{Stdout: "a", Stderr: "b"}, true},
		"sub/ok.go": {conformance.Outcome{Stderr: "err\n"}, true},
		"wrong.go":  {conformance.Outcome{Stderr: "b"}, false},
		"status.go": {conformance.Outcome{Status: 3}, false},
		"panics.go": {conformance.Outcome{Status: 2}, false},
		"broken.go": {conformance.Outcome{}, false},
	}
	for round := range 2 {
		refs, err := conformance.OpenReferences(root)
		if err != nil {
			t.Fatal(err)
		}
		if round == 1 { // the second round must come from the cache
			t.Setenv("PATH", t.TempDir())
		}
		for name, w := range want {
			got, counts, err := refs.Of(t.Context(), name)
			if err != nil {
				t.Fatal(name, err)
			}
			if name == "panics.go" {
				got.Stderr = ""
			}
			if name == "broken.go" {
				if !strings.Contains(got.Problem, "undefined: x") {
					t.Errorf("%s: problem %q", name, got.Problem)
				}
				got.Problem = ""
			}
			if got != w.Outcome || counts != w.counts {
				t.Errorf("round %d, %s: %+v, counts %v; want %+v", round, name, got, counts, w)
			}
		}
		if err := refs.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
