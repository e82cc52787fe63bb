package model

import (
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	mlmodel "github.com/gomlx/gomlx/ml/model"
)

// What GoMLX v0.28.4 does not do, or does wrong, and what is done instead. Each has a test in trap_test.go that passes as long as the trap is there: when one fails after an
// update, its workaround can go.
//
//   - Batch normalisation in training (layers/norm.BatchNorm) does not exist on the pure-Go backend: the operation is not implemented there. With UseBackendInference(false) it runs, but
//     stops the gradient at the batch's statistics, so that the gradient is wrong without a word. Hence batchNorm in norm.go, from primitives.
//   - Rsqrt has no gradient: deviation.
//   - Pad has no gradient: appendZeros.
//   - The gradient of a slice is a tensor of the size of what was sliced: rows.Split.
//   - A variable's tensor is freed when its value is replaced, after which whoever kept it holds nothing: snapshot.

// deviation is the square root of a variance that was made positive; one divides by it, since graph.Rsqrt has no gradient.
func deviation(variance *graph.Node) *graph.Node {
	return graph.Sqrt(graph.AddScalar(variance, normEpsilon))
}

// appendZeros adds n zeros to the last axis. It concatenates, since graph.Pad has no gradient.
func appendZeros(x *graph.Node, n int) *graph.Node {
	shape := x.Shape().Clone()
	last := shape.Rank() - 1
	shape.Dimensions[last] = n
	return graph.Concatenate([]*graph.Node{x, graph.Zeros(x.Graph(), shape)}, last)
}

// snapshot copies a variable's value, since GoMLX frees the tensor when the next training step replaces it.
func snapshot(v *mlmodel.Variable) (*tensors.Tensor, error) {
	held, err := v.Value()
	if err != nil {
		return nil, err
	}
	return held.LocalClone()
}
