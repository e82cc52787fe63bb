package activation_test

import (
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	mlactivation "github.com/gomlx/gomlx/ml/layers/activation"

	"github.com/gradbook/gradbook/pkg/activation"
)

// BenchmarkGraph times value and gradient of 256x256 float32 entries on the pure-Go backend, ours beside GoMLX's own where it has one.
func BenchmarkGraph(b *testing.B) {
	theirs := map[string]func(*graph.Node) *graph.Node{
		"relu": mlactivation.Relu, "selu": mlactivation.Selu, "gelu": mlactivation.Gelu, "hard_sigmoid": mlactivation.HardSigmoid, "silu": mlactivation.Swish,
		"leaky_relu(0.01)": func(z *graph.Node) *graph.Node { return mlactivation.LeakyReluWith(z, 0.01) },
		"sigmoid":          func(z *graph.Node) *graph.Node { return byTanh(z) },
	}
	values := make([]float32, 256*256)
	for i := range values {
		values[i] = float32(i%641)/64 - 5
	}
	for _, a := range activation.All() {
		b.Run(a.String(), func(b *testing.B) { run(b, a.Graph, values) })
		if their := theirs[a.String()]; their != nil {
			b.Run(a.String()+"/other", func(b *testing.B) { run(b, their, values) })
		}
	}
}

// byTanh is sigmoid as (1+tanh(z/2))/2.
func byTanh(z *graph.Node) *graph.Node {
	return graph.AddScalar(graph.MulScalar(graph.Tanh(graph.MulScalar(z, 0.5)), 0.5), 0.5)
}

func run(b *testing.B, phi func(*graph.Node) *graph.Node, values []float32) {
	exec, err := graph.NewExec(goBackend, func(z, v *graph.Node) (h, gradient *graph.Node) {
		h = phi(z)
		return h, graph.Gradient(graph.ReduceAllSum(graph.Mul(h, v)), z)[0]
	})
	if err != nil {
		b.Fatal(err)
	}
	z, v := tensors.FromFlatDataAndDimensions(values, 256, 256), tensors.FromFlatDataAndDimensions(values, 256, 256)
	for b.Loop() {
		out, err := exec.Exec(z, v)
		if err != nil {
			b.Fatal(err)
		}
		for _, t := range out {
			if err := t.FinalizeAll(); err != nil {
				b.Fatal(err)
			}
		}
	}
}
