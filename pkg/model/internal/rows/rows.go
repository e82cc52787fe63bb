// Package rows is what the nets of pkg/model do with the rows of a matrix [n, c], an example or a pixel each: adding and multiplying by a row, sums of rows, batch normalisation.
//
// On the pure-Go backend GoMLX (v0.28.4) steps through the indices of sums and broadcasts one by one; products with ones take a half to a quarter of that time, but their own gradients do
// not. So there the gradients are written by hand, as products with ones, too: a batch normalisation and its gradient take 0.6 of the time of the same from GoMLX's operations (the
// benchmark measures it). Elsewhere sums and broadcasts are GoMLX's own. The package knows nothing of layers or variables.
package rows

import (
	"github.com/gomlx/compute/gobackend"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
)

// pureGo says whether the graph of x is of the pure-Go backend.
func pureGo(x *graph.Node) bool { return x.Graph().Backend().String() == gobackend.BackendName }

// WithGradient returns forward of inputs with the gradients of backward: it gets delta, the gradient of the loss with respect to the result, and returns those with respect to the
// inputs, of their shapes. Backward should use the inputs as they were given, so that second derivatives are right, too.
//
// GoMLX lets one write the gradient of an identity only. So the inputs are fed to forward without gradient; an identity behind the result catches delta; and identities behind
// the inputs, tied to the result by a zero, give the gradients.
func WithGradient(forward func(inputs []*graph.Node) *graph.Node, backward func(delta *graph.Node) []*graph.Node, inputs ...*graph.Node) *graph.Node {
	var gradients []*graph.Node
	g := inputs[0].Graph()
	never := graph.Const(g, false)
	tie := graph.ScalarZero(g, inputs[0].DType())
	stopped := make([]*graph.Node, len(inputs))
	for i, input := range inputs {
		stopped[i] = graph.StopGradient(input)
		hook := graph.IdentityWithCustomGradient(input, func(_, _ *graph.Node) *graph.Node { return gradients[i] })
		corner := make([]graph.SliceAxisSpec, input.Rank())
		for axis := range corner {
			corner[axis] = graph.AxisElem(0)
		}
		// Where, and not a product with 0: that would make NaN of an infinite value.
		tie = graph.Where(never, graph.Reshape(graph.Slice(hook, corner...)), tie)
	}
	y := graph.Add(forward(stopped), tie)
	return graph.IdentityWithCustomGradient(y, func(_, delta *graph.Node) *graph.Node {
		gradients = backward(delta)
		return delta
	})
}

// Add adds row [c] to each row of x [n, c].
func Add(x, row *graph.Node) *graph.Node {
	c := row.Shape().Size()
	if !pureGo(x) {
		return graph.Add(x, graph.Reshape(row, 1, c))
	}
	forward := func(inputs []*graph.Node) *graph.Node { return graph.Add(inputs[0], repeat(inputs[1], x)) }
	return WithGradient(forward, func(delta *graph.Node) []*graph.Node { return []*graph.Node{delta, Sum(delta)} }, x, row)
}

// repeat is row [c] in the shape of x [n, c]; for the pure-Go backend, and without a gradient that is fit for it.
func repeat(row, x *graph.Node) *graph.Node {
	n, c := x.Shape().Dimensions[0], row.Shape().Size()
	return graph.MatMul(graph.Ones(x.Graph(), shapes.Make(x.DType(), n, 1)), graph.Reshape(row, 1, c))
}

// Sum is the sum [c] of the rows of x [n, c].
func Sum(x *graph.Node) *graph.Node {
	if !pureGo(x) {
		return graph.ReduceSum(x, 0)
	}
	n, c := x.Shape().Dimensions[0], x.Shape().Dimensions[1]
	return graph.Reshape(graph.MatMul(graph.Ones(x.Graph(), shapes.Make(x.DType(), 1, n)), x), c)
}

// Mul multiplies each row of x [n, c] by row [c].
func Mul(x, row *graph.Node) *graph.Node {
	c := row.Shape().Size()
	if !pureGo(x) {
		return graph.Mul(x, graph.Reshape(row, 1, c))
	}
	forward := func(inputs []*graph.Node) *graph.Node { return graph.Mul(inputs[0], repeat(inputs[1], x)) }
	return WithGradient(forward, func(delta *graph.Node) []*graph.Node {
		return []*graph.Node{Mul(delta, row), Sum(graph.Mul(delta, x))}
	}, x, row)
}

// Standardise is batch normalisation by the batch itself: each column of x [n, c], less its mean and divided by sqrt(variance + epsilon), times scale [c], plus offset [c]. The gradient flows
// through mean and variance: Ioffe and Szegedy 2015, section 3, where the variance is the biased one. Mean and variance are returned as they are, without gradient.
func Standardise(x, scale, offset *graph.Node, epsilon float64) (y, mean, variance *graph.Node) {
	n := float64(x.Shape().Dimensions[0])
	forward := func(inputs []*graph.Node) *graph.Node {
		var centred *graph.Node
		centred, mean, variance = moments(inputs[0], n)
		factor := graph.Div(inputs[1], graph.Sqrt(graph.AddScalar(variance, epsilon)))
		return Add(Mul(centred, factor), inputs[2])
	}
	y = WithGradient(forward, func(delta *graph.Node) []*graph.Node {
		centred, _, variance := moments(x, n)
		inverse := graph.Reciprocal(graph.Sqrt(graph.AddScalar(variance, epsilon)))
		// With s = (x - mean) inverse: dx = scale inverse (delta - mean(delta) - s mean(delta s)).
		sum := Sum(delta)
		along := graph.Mul(Sum(graph.Mul(delta, centred)), inverse) // sum of delta s
		inner := Add(delta, graph.MulScalar(sum, -1/n))
		inner = graph.Sub(inner, Mul(centred, graph.MulScalar(graph.Mul(along, inverse), 1/n)))
		return []*graph.Node{Mul(inner, graph.Mul(scale, inverse)), along, sum}
	}, x, scale, offset)
	return y, mean, variance
}

// Split cuts x [a, b] into blocks of the given sizes along an axis. Its gradient is one concatenation of theirs. That of slices would be as many images of x, zeros all around:
// XLA on the CPU computes their sum number by number, without vector instructions, and with it whatever it fuses into them (the step of an LSTM takes three times as long).
//
// The way: the blocks are cut from x without gradient, and tied by a zero to a hook on x, which is reached after all of them. A block that does not act on what is
// differentiated gets zeros. A backward pass that ends at a block, and so does not come to the hook, leaves that block's gradient behind: the next pass of the same graph must
// reach this block if it reaches any. In the nets it does, for a later time step depends on all of the earlier one.
func Split(x *graph.Node, axis int, sizes ...int) []*graph.Node {
	if len(sizes) == 1 {
		return []*graph.Node{x}
	}
	g := x.Graph()
	deltas := make([]*graph.Node, len(sizes))
	blocks := make([]*graph.Node, len(sizes))
	hook := graph.IdentityWithCustomGradient(x, func(_, _ *graph.Node) *graph.Node {
		list := make([]*graph.Node, len(sizes))
		for i, delta := range deltas {
			if delta == nil {
				delta = graph.ZerosLike(blocks[i])
			}
			list[i], deltas[i] = delta, nil // nothing is left for another pass
		}
		return graph.Concatenate(list, axis)
	})
	zero := graph.ScalarZero(g, x.DType())
	tie := graph.Where(graph.Const(g, false), graph.Reshape(graph.Slice(hook, graph.AxisElem(0), graph.AxisElem(0))), zero)
	cut, from := graph.StopGradient(x), 0
	for i, size := range sizes {
		block := graph.Add(graph.SliceAxis(cut, axis, graph.AxisRange(from, from+size)), tie)
		from += size
		blocks[i] = graph.IdentityWithCustomGradient(block, func(_, delta *graph.Node) *graph.Node {
			deltas[i] = delta
			return delta
		})
	}
	return blocks
}

// moments returns x less the mean of each column, the means and the biased variances.
func moments(x *graph.Node, n float64) (centred, mean, variance *graph.Node) {
	mean = graph.MulScalar(Sum(x), 1/n)
	centred = Add(x, graph.Neg(mean))
	return centred, mean, graph.MulScalar(Sum(graph.Square(centred)), 1/n)
}
