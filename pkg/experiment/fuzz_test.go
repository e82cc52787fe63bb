package experiment_test

import (
	"os"
	"path/filepath"
	"testing"
)

// FuzzResultsFile reads files of any content: each is either refused, or holds results of the grid.
func FuzzResultsFile(f *testing.F) {
	g := grid(f.TempDir())
	if _, _, err := counted(g); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(g.Path())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-7])
	f.Add([]byte("{\"gradbook_experiment\":1}\n"))
	f.Add([]byte("{\"gradbook_experiment\":1,\"sum\":\"00000000\"}\nnull\n"))
	f.Add([]byte("\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		g := grid(t.TempDir())
		if err := os.WriteFile(filepath.Join(g.Folder, g.Name+".jsonl"), data, 0o644); err != nil {
			t.Fatal(err)
		}
		r, err := g.Load()
		if err != nil {
			return
		}
		for _, run := range r.Runs {
			if run.Values["score"] != outcome(run.Setting, run.Seed)["score"] {
				t.Errorf("%+v was never written", run)
			}
		}
	})
}
