package activation_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/gradbook/gradbook/pkg/activation"
)

// TestGraphHalf: types of 16 bits keep their type, and value and gradient to two digits.
func TestGraphHalf(t *testing.T) {
	z := []float32{-6, -2, -0.75, 0.5, 1, 3, 8}
	for _, dtype := range []dtypes.DType{dtypes.Float16, dtypes.BFloat16} {
		for _, a := range activation.All() {
			exec, err := graph.NewExec(goBackend, func(z *graph.Node) (*graph.Node, *graph.Node) {
				z = graph.ConvertDType(z, dtype)
				h := a.Graph(z)
				if h.DType() != dtype {
					t.Errorf("%s of %s is of type %s", a, dtype, h.DType())
				}
				return graph.ConvertDType(h, dtypes.Float32), graph.ConvertDType(graph.Gradient(graph.ReduceAllSum(h), z)[0], dtypes.Float32)
			})
			if err != nil {
				t.Fatal(err)
			}
			out, err := exec.Exec(z)
			if err != nil {
				t.Errorf("%s in %s: %v", a, dtype, err)
				continue
			}
			h, gradient := tensors.MustCopyFlatData[float32](out[0]), tensors.MustCopyFlatData[float32](out[1])
			for i, z := range z {
				near(t, fmt.Sprintf("%s in %s at %g", a, dtype, z), float64(h[i]), a.Value(float64(z)), 0.02, 0.02)
				near(t, fmt.Sprintf("%s' in %s at %g", a, dtype, z), float64(gradient[i]), a.Derivative(float64(z)), 0.03, 0.03)
				if math.IsNaN(float64(h[i])) {
					t.Error("NaN")
				}
			}
		}
	}
}
