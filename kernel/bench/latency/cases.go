package main

import "fmt"

// kase is one kind of cell to time, the same text in both kernels.
type kase struct {
	name  string
	goal  float64 // of the ratio of the medians
	setup string  // a cell that runs once before
	// cell returns the i-th text and what it prints; first is a number that no earlier run has used.
	cell func(first int64, i int) (text, want string)
}

const gomlx = `import (
	"github.com/gomlx/compute"
	_ "github.com/gomlx/compute/gobackend"
	"github.com/gomlx/gomlx/core/graph"
)

func raise(backend compute.Backend, x, by float64) any {
	exec := graph.MustNewExec(backend, func(x *graph.Node) *graph.Node { return graph.AddScalar(x, by) })
	return exec.MustExec(x)[0].Value()
}

%%
fmt.Println(raise(compute.MustNew(), 1, 2))
`

// Only one blank import survives in GoNB's program, the last; so the XLA backend comes alone there.
const xla = `import (
	"github.com/gomlx/compute"
	_ "github.com/gomlx/go-xla/compute/xla"
	"github.com/gomlx/gomlx/core/graph"
)

func isGraph(x any) bool {
	_, ok := x.(*graph.Graph)
	return ok
}

func registered(name string) bool {
	for _, n := range compute.List() {
		if n == name {
			return true
		}
	}
	return false
}

%%
fmt.Println(registered("xla"), isGraph(1))
`

func cases() []kase {
	return []kase{
		{
			name: "changed, trivial", goal: 0.5,
			cell: func(first int64, i int) (string, string) {
				n := first + int64(i)
				return fmt.Sprintf("%%%%\nfmt.Println(%d)\n", n), fmt.Sprintln(n)
			},
		},
		{
			name: "changed, builds a GoMLX graph", goal: 0.15, setup: gomlx,
			cell: func(first int64, i int) (string, string) {
				n := first%1e9 + int64(i)
				text := `%%%%
exec := graph.MustNewExec(compute.MustNew(), func(x *graph.Node) *graph.Node { return graph.AddScalar(x, %d) })
fmt.Printf("%%.0f\n", exec.MustExec(1.0)[0].Value())
`
				return fmt.Sprintf(text, n), fmt.Sprintln(n + 1)
			},
		},
		{
			name: "changed, the XLA backend imported", goal: 0.06, setup: xla,
			cell: func(first int64, i int) (string, string) {
				n := first + int64(i)
				return fmt.Sprintf("%%%%\nfmt.Println(%d, registered(\"xla\"))\n", n), fmt.Sprintln(n, true)
			},
		},
		{
			name: "the same source again", goal: 0.6,
			cell: func(first int64, _ int) (string, string) {
				return fmt.Sprintf("%%%%\nfmt.Println(-%d)\n", first), fmt.Sprintln(-first)
			},
		},
	}
}
