package gradflow_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/gradbook/gradbook/pkg/gradflow"
)

// What ReadFile reads, WriteFile writes so that it reads the same.
func FuzzReadFile(f *testing.F) {
	const head = `{"format":"gradbook gradflow reports","version":1}` + "\n"
	for _, seed := range []string{"", "{", head, head + `{"step":3,"loss":"NaN","batch":2,"layers":[{"name":"h1","activation":"tanh","delta_norm":"-Infinity","shape":[2,3]}]}` + "\n",
		head + `{"step":3,"layers":[{"name":"h1","singular_values":{"values":[2,1],"examples":1}}]}`, head + `{"step":`, head + "\n", head + `{"loss":"many"}` + "\n",
		`{"format":"gradbook gradflow reports","version":2}` + "\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		file := filepath.Join(t.TempDir(), "run.jsonl")
		must(t, os.WriteFile(file, []byte(text), 0o644))
		reports, err := gradflow.ReadFile(file)
		if err != nil {
			return
		}
		must(t, gradflow.WriteFile(file, reports))
		again, err := gradflow.ReadFile(file)
		must(t, err)
		if diff := differ(again, reports, 0); diff != "" {
			t.Errorf("read, written and read again: %s", diff)
		}
	})
}
