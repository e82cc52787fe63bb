package experiment_test

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/gradbook/gradbook/pkg/experiment"
)

// finished are results without randomness: score 10 depth + length of the name + 1/seed.
func finished(t *testing.T) *experiment.Results[setting] {
	t.Helper()
	g := grid(t.TempDir())
	g.Seeds = []uint64{1, 2}
	r, _, err := counted(g)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSeries(t *testing.T) {
	r := finished(t)
	tanh := r.Filter(func(s setting) bool { return s.Name == "tanh" })
	s := tanh.Series(func(s setting) float64 { return -float64(s.Depth) }, "score")
	// 24 + 1 and 24 + 1/2 at depth 2, 44 + ... at depth 4; the interval of two values with difference 1/2 is ± 12.706/4.
	if !reflect.DeepEqual(s.X, []float64{-4, -2}) || !reflect.DeepEqual(s.Mean, []float64{44.75, 24.75}) || !near(s.High[0], 44.75+12.7062/4, 1e-4) || !near(s.Low[1], 24.75-12.7062/4, 1e-4) {
		t.Errorf("series %+v", s)
	}
	if !reflect.DeepEqual(s.Seeds, [][]float64{{45, 25}, {44.5, 24.5}}) || !reflect.DeepEqual(s.All, [][]float64{{45, 44.5}, {25, 24.5}}) {
		t.Errorf("seeds %v, all %v", s.Seeds, s.All)
	}
	geometric := tanh.GeometricSeries(func(s setting) float64 { return float64(s.Depth) }, "score")
	if want := 24.7487; !near(geometric.Mean[0], want, 1e-4) { // sqrt(25*24.5)
		t.Errorf("geometric mean %v, want %v", geometric.Mean[0], want)
	}
	one := r.Filter(func(s setting) bool { return s == setting{"relu", 2} })
	one.Runs = one.Runs[:1]
	if s := one.Series(func(s setting) float64 { return 0 }, "score"); s.Low[0] != s.Mean[0] || s.High[0] != s.Mean[0] {
		t.Errorf("a single run: %+v", s)
	}
	incomplete := r.Filter(func(s setting) bool { return s.Name == "relu" })
	incomplete.Runs = incomplete.Runs[:3] // seed 2 is missing at depth 4
	if s := incomplete.Series(func(s setting) float64 { return float64(s.Depth) }, "score"); len(s.Seeds) != 1 || len(s.All[1]) != 1 {
		t.Errorf("incomplete: %+v", s)
	}
	if s := r.Series(func(setting) float64 { return 0 }, "unknown"); len(s.X) != 0 {
		t.Errorf("a value that nobody has: %+v", s)
	}
	if got := r.Traces("trace"); len(got) != 8 || got[1][0] != 2 {
		t.Errorf("traces %v", got)
	}
	if i := one.Mean("score"); i.N != 1 || i.Mean != 25 {
		t.Errorf("mean %v", i)
	}
}

func TestGroupBy(t *testing.T) {
	groups := experiment.GroupBy(finished(t), func(s setting) string { return s.Name })
	if len(groups) != 2 || groups[0].Key != "tanh" || groups[1].Key != "relu" || len(groups[0].Runs) != 4 || groups[1].Runs[3].Setting.Depth != 4 {
		t.Errorf("groups %+v", groups)
	}
}

func TestCSV(t *testing.T) {
	r := finished(t).Filter(func(s setting) bool { return s == setting{"tanh", 2} })
	path := t.TempDir() + "/tables/out.csv"
	if err := r.SaveCSV(path); err != nil {
		t.Fatal(err)
	}
	data, _ := os.ReadFile(path)
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	if len(lines) != 3 || lines[0] != "name,depth,seed,score,seconds" || !strings.HasPrefix(lines[1], "tanh,2,1,25,0.") || !strings.HasPrefix(lines[2], "tanh,2,2,24.5,0.") {
		t.Errorf("CSV:\n%s", data)
	}
}

func TestTable(t *testing.T) {
	g := experiment.Grid[any]{Name: "t", Settings: []any{map[string]any{"a|b": "<x>", "list": []int{1, 2}}, map[string]any{"c": nil}}, Seeds: experiment.Seeds(1), Folder: t.TempDir(), Quiet: true}
	r, err := g.Run(context.Background(), func(context.Context, any, uint64) (experiment.Values, error) { return experiment.Values{"v": 0.5}, nil })
	if err != nil {
		t.Fatal(err)
	}
	table := r.Table()
	if want := []string{"a|b", "list", "c", "n", "v"}; !reflect.DeepEqual(table.Columns, want) || !reflect.DeepEqual(table.Rows, [][]string{{"<x>", "[1,2]", "", "1", "0.5"}, {"", "", "null", "1", "0.5"}}) {
		t.Errorf("table %+v", table)
	}
	if md := table.Markdown(); !strings.HasPrefix(md, "| a\\|b | list | c | n | v |\n|---|---|---|---|---|\n| <x> | [1,2] |") {
		t.Errorf("Markdown:\n%s", md)
	}
	if page := r.MIMEBundle()["text/html"].(string); !strings.Contains(page, "<th>a|b</th>") || !strings.Contains(page, "<td>&lt;x&gt;</td>") {
		t.Errorf("HTML:\n%s", page)
	}
}

// A grid over depths: what was found is kept in results/depths.jsonl, and the second Run reads it from there.
func ExampleGrid() {
	folder, _ := os.MkdirTemp("", "")
	defer os.RemoveAll(folder)
	type Setting struct {
		Depth int
		Sigma float64
	}
	grid := experiment.Grid[Setting]{
		Name: "depths", Folder: folder, Version: "1", Fixed: "width 64", Seeds: experiment.Seeds(3), Quiet: true,
		Settings: []Setting{{5, 1}, {10, 1}, {20, 1}},
	}
	runs := 0
	measure := func(_ context.Context, s Setting, seed uint64) (experiment.Values, error) {
		runs++ // here a net would be trained
		return experiment.Values{"factor": s.Sigma * 0.2 * (1 + 0.01*float64(seed)), "depth": s.Depth}, nil
	}
	grid.Workers = 1 // runs is no concurrent counter
	for range 2 {
		results, err := grid.Run(context.Background(), measure)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(runs, "runs")
		fmt.Println(results.Table("factor"))
	}
	// Output:
	// 9 runs
	// Depth  Sigma  n  factor
	// 5      1      3  0.2040 ± 0.0050
	// 10     1      3  0.2040 ± 0.0050
	// 20     1      3  0.2040 ± 0.0050
	// 9 runs
	// Depth  Sigma  n  factor
	// 5      1      3  0.2040 ± 0.0050
	// 10     1      3  0.2040 ± 0.0050
	// 20     1      3  0.2040 ± 0.0050
}
