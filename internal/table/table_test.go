package table_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gradbook/gradbook/internal/table"
)

func TestQuartiles(t *testing.T) {
	for _, c := range []struct {
		xs        []float64
		q1, m, q3 float64
	}{
		{[]float64{7}, 7, 7, 7},
		{[]float64{4, 1, 3, 2}, 1.75, 2.5, 3.25},
		{[]float64{5, 1, 2, 4, 3}, 2, 3, 4},
	} {
		first := c.xs[0]
		q1, m, q3 := table.Quartiles(c.xs)
		if q1 != c.q1 || m != c.m || q3 != c.q3 || table.Median(c.xs) != c.m {
			t.Errorf("Quartiles(%v) = %v, %v, %v; want %v, %v, %v", c.xs, q1, m, q3, c.q1, c.m, c.q3)
		}
		if c.xs[0] != first {
			t.Errorf("Quartiles sorted its argument: %v", c.xs)
		}
	}
}

func TestMarkdown(t *testing.T) {
	tab := table.Table{Head: []string{"case", "ours"}, Note: "Twenty runs.", Rows: []table.Row{
		{Cells: []string{"a", "1 ms"}, Got: 0.5, Goal: 0.5, Unit: "x"},
		{Cells: []string{"b", "2 ms"}, Got: 0.51, Goal: 0.5, Unit: "x"},
	}}
	got := tab.Markdown(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	want := "| case | ours | measured | goal | |\n|---|---:|---:|---:|---|\n" +
		"| a | 1 ms | 0.5x | <= 0.5x | met |\n| b | 2 ms | 0.51x | <= 0.5x | **missed** |\n\nTwenty runs. Measured on "
	if !strings.HasPrefix(got, want) || !strings.HasSuffix(got, ", 2026-01-02.\n") {
		t.Errorf("got\n%s\nwant it to start with\n%s", got, want)
	}
}

func TestFinish(t *testing.T) {
	readme := filepath.Join(t.TempDir(), "README.md")
	write := func(text string) {
		if err := os.WriteFile(readme, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	tab := table.Table{Head: []string{"case"}, Note: "n.", Rows: []table.Row{{Cells: []string{"fast"}, Got: 1, Goal: 2}}}
	write("a\n<!-- x -->\nold\n<!-- /x -->\nz\n")
	if err := tab.Finish("x", readme); err != nil {
		t.Fatal(err)
	}
	text, _ := os.ReadFile(readme)
	if s := string(text); !strings.HasPrefix(s, "a\n<!-- x -->\n| case |") || !strings.HasSuffix(s, ".\n<!-- /x -->\nz\n") || strings.Contains(s, "old") {
		t.Errorf("README is\n%s", s)
	}
	if info, _ := os.Stat(readme); info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, want it kept", info.Mode())
	}
	tab.Rows[0].Got = 3
	if err := tab.Finish("x", ""); err == nil || !strings.Contains(err.Error(), "fast: 3, the goal is 2") {
		t.Errorf("a missed goal gives %v", err)
	}
	write("no marks")
	if err := tab.Finish("x", readme); err == nil || !strings.Contains(err.Error(), "<!-- /x -->") {
		t.Errorf("a README without marks gives %v", err)
	}
	if text, _ := os.ReadFile(readme); string(text) != "no marks" {
		t.Errorf("README without marks was changed to %q", text)
	}
}
