package figure_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/*.golden.svg anew")

// TestGolden holds each kind of figure to its bytes. Look at the pictures before you -update them.
func TestGolden(t *testing.T) {
	for name, v := range gallery() {
		got := v.SVG()
		path := filepath.Join("testdata", name+".golden.svg")
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s differs from %s; run with -update and look at it", name, path)
		}
	}
}
