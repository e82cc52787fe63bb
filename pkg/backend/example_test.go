package backend_test

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/gradbook/gradbook/pkg/backend"
)

// A gradient on the pure-Go backend; Default takes XLA where it is installed.
func Example() {
	b, err := backend.New("go")
	if err != nil {
		fmt.Println(err)
		return
	}
	exec := graph.MustNewExec(b, func(z *graph.Node) *graph.Node {
		return graph.Gradient(graph.ReduceAllSum(graph.Tanh(z)), z)[0]
	})
	fmt.Printf("%.3f\n", exec.MustExec([]float32{-2, 0, 2})[0].Value())
	fmt.Println(backend.IsGo(b))
	// Output:
	// [0.071 1.000 0.071]
	// true
}

// A plugin that cannot be loaded is an error that names its file.
func ExampleNew() {
	_, err := backend.New("xla:/opt/pjrt_c_api_cpu_plugin.so")
	fmt.Println(err)
	// Output:
	// PJRT plugin /opt/pjrt_c_api_cpu_plugin.so: no such file or directory
}
