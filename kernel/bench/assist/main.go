// Command assist measures how long completion and inspection take in a warm Gradbook and in
// ipykernel, both over the wire. It exits with 1 when a goal is missed.
package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"

	"github.com/gradbook/gradbook/internal/table"
	"github.com/gradbook/gradbook/kernel/bench/live"
)

//go:embed assist.py
var script string

// question is asked of a kernel; N in its text is another number each time, so that no kernel has seen it.
type question struct {
	Name  string `json:"name"`
	Kind  string `json:"kind"` // "complete" or "inspect", at the text's end
	Text  string `json:"text"`
	Wants string `json:"wants"` // part of the right answer
}

// notebook is what a kernel runs before, and is asked.
type notebook struct {
	Cells     []string   `json:"cells"`
	Questions []question `json:"questions"`
}

var ours = notebook{
	Cells: []string{
		"import \"github.com/gomlx/gomlx/core/graph\"\n\nfunc Square(x *graph.Node) *graph.Node { return graph.Mul(x, x) }",
		"// Layer is one layer.\ntype Layer struct{ Weights, Bias []float64 }\n\n// Forward computes the activation.\nfunc (l *Layer) Forward(x []float64) []float64 { return x }",
		"layer := Layer{Weights: []float64{1, 2, 3}}\nnames := []string{\"a\"}",
	},
	Questions: []question{
		{"a field of a live variable", "complete", "yN := layer.We", "Weights"},
		{"a package's function", "complete", "tN := strings.Repl", "Replace"},
		{"a function of a large package", "complete", "gN := graph.ReduceS", "ReduceSum"},
		{"inspect a method", "inspect", "zN := layer.Forward", "Forward computes the activation."},
		{"inspect a package's function", "inspect", "sN := strings.Repeat", "Repeat returns a new string"},
	},
}

var theirs = notebook{
	Cells: []string{
		"import json, statistics",
		"class Layer:\n    'One layer.'\n    def __init__(self, weights):\n        self.weights, self.bias = weights, []\n    def forward(self, x):\n        'Computes the activation.'\n        return x",
		"layer = Layer([1, 2, 3])\nnames = ['a']",
	},
	Questions: []question{
		{"a field of a live variable", "complete", "yN = layer.we", "weights"},
		{"a package's function", "complete", "tN = json.lo", "loads"},
		{"a function of a large package", "complete", "gN = statistics.mea", "mean"},
		{"inspect a method", "inspect", "zN = layer.forward", "Computes the activation."},
		{"inspect a package's function", "inspect", "sN = json.dumps", "Serialize"},
	},
}

// goals are in milliseconds.
var goals = map[string]float64{"complete": 100, "inspect": 50}

func main() {
	runs := flag.Int("runs", 20, "how often each question is timed in each kernel, after 3 for warming up")
	write := flag.Bool("write", false, "put the table into the module's README.md")
	python := flag.String("python", "", "a Python with ipykernel and jupyter_client (make bench-assist makes one)")
	program := flag.String("gradbook", "bin/gradbook", "the program to measure")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *runs, *python, *program, *write); err != nil {
		fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, runs int, python, program string, write bool) error {
	if runs < 1 {
		return fmt.Errorf("-runs is %d; give 1 or more", runs)
	}
	if python == "" {
		return fmt.Errorf("-python is missing; give the path of a Python with ipykernel and jupyter_client, or run make bench-assist")
	}
	dir, err := live.Module()
	if err != nil {
		return err
	}
	if program, err = filepath.Abs(program); err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "measuring Gradbook")
	own, err := measure(ctx, python, runs, ours, program, "kernel", "{connection_file}")
	if err != nil {
		return fmt.Errorf("Gradbook: %w", err)
	}
	fmt.Fprintln(os.Stderr, "measuring ipykernel")
	other, err := measure(ctx, python, runs, theirs, python, "-m", "ipykernel_launcher", "-f", "{connection_file}")
	if err != nil {
		return fmt.Errorf("ipykernel: %w", err)
	}
	t := table.Table{
		Head: []string{"question", "Gradbook", "quartiles", "ipykernel", "quartiles"},
		Note: fmt.Sprintf("Medians of %d after 3 for warming up, over the wire; each text is new to the kernel; measured is Gradbook's median.", runs),
	}
	for _, q := range ours.Questions {
		row := table.Row{Cells: []string{q.Name}, Goal: goals[q.Kind], Unit: " ms"}
		for _, times := range []map[string][]float64{own, other} {
			q1, median, q3 := table.Quartiles(times[q.Name])
			row.Cells = append(row.Cells, fmt.Sprintf("%.1f ms", 1000*median), fmt.Sprintf("%.1f-%.1f", 1000*q1, 1000*q3))
		}
		row.Got = 1000 * table.Median(own[q.Name])
		t.Rows = append(t.Rows, row)
	}
	readme := ""
	if write {
		readme = filepath.Join(dir, "README.md")
	}
	return t.Finish("assist", readme)
}

// measure returns the seconds that answers took, by the question's name.
func measure(ctx context.Context, python string, runs int, n notebook, kernel ...string) (map[string][]float64, error) {
	cases, err := json.Marshal(n)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, python, append([]string{"-c", script, strconv.Itoa(runs), string(cases)}, kernel...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	times := map[string][]float64{}
	if err := json.Unmarshal(out, &times); err != nil {
		return nil, fmt.Errorf("the script printed %q: %w", out, err)
	}
	for _, q := range n.Questions {
		if len(times[q.Name]) != runs {
			return nil, fmt.Errorf("%d times for %q; %d were asked for", len(times[q.Name]), q.Name, runs)
		}
	}
	return times, nil
}
