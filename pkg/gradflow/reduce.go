package gradflow

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
)

// The reductions are written twice, once for each kind of backend, because the quick way on one is a slow way on the
// other. The pure-Go backend's ReduceSum steps an iterator at every element (3 ns each), while its dot product is an unrolled loop
// (0.5 ns): there a sum is a dot product. XLA turns a sum over the first axis into vector instructions and fuses whatever feeds
// it, while a dot product would make it write its operands to memory first.
//
// All of them accumulate in float64: a gradient of 1e-30, well inside float32, has a square that is not.

// reducer sums on one graph in the way that its backend does quickly. It makes its own constants: graph.Scalar, and what
// is built on it, keeps one node a value for the whole graph, even one made inside a closure, where the rest of the graph cannot use it.
type reducer struct {
	g      *graph.Graph
	byDot  bool
	filled map[int]*graph.Node
}

func newReducer(g *graph.Graph) *reducer {
	return &reducer{g: g, byDot: onGo(g), filled: make(map[int]*graph.Node)}
}

// onGo reports whether a graph is one of the pure-Go backend.
func onGo(g *graph.Graph) bool { return g.Backend().String() == "go" }

func (r *reducer) constant(dtype dtypes.DType, value float64) *graph.Node {
	return graph.ConstAsDType(r.g, dtype, value)
}

// ones returns float64 [n].
func (r *reducer) ones(n int) *graph.Node {
	if r.filled[n] == nil {
		values := make([]float64, n)
		for i := range values {
			values[i] = 1
		}
		r.filled[n] = graph.Const(r.g, values)
	}
	return r.filled[n]
}

// matrix returns x [rows, ..., units] as float64 [rows, the rest] if byBatch, else as [all others, units].
func matrix(x *graph.Node, byBatch bool) *graph.Node {
	dims := x.Shape().Dimensions
	switch {
	case len(dims) == 0:
		x = graph.Reshape(x, 1, 1)
	case len(dims) == 1:
		x = graph.Reshape(x, dims[0], 1)
	case len(dims) > 2 && byBatch:
		x = graph.Reshape(x, dims[0], x.Shape().Size()/dims[0])
	case len(dims) > 2:
		last := dims[len(dims)-1]
		x = graph.Reshape(x, x.Shape().Size()/last, last)
	}
	return x
}

func wide(x *graph.Node) *graph.Node {
	if x.DType() == dtypes.Float64 {
		return x
	}
	return graph.ConvertDType(x, dtypes.Float64)
}

// columnSums returns the sums over the first axis of x [rows, n] as float64 [n].
func (r *reducer) columnSums(x *graph.Node) *graph.Node {
	if r.byDot {
		rows := x.Shape().Dimensions[0]
		product := graph.Dot(graph.Reshape(r.ones(rows), 1, rows), wide(x)).Product()
		return graph.Reshape(product, x.Shape().Dimensions[1])
	}
	return graph.ReduceSum(wide(x), 0)
}

// columnSquares returns the sums of the squares over the first axis of x [rows, n] as float64 [n].
func (r *reducer) columnSquares(x *graph.Node) *graph.Node {
	return graph.ReduceSum(graph.Square(wide(x)), 0)
}

// sum returns the sum of all entries of x as a float64 scalar.
func (r *reducer) sum(x *graph.Node) *graph.Node {
	if r.byDot {
		x = wide(graph.Reshape(x, x.Shape().Size()))
		return graph.Dot(x, r.ones(x.Shape().Size())).Product()
	}
	return graph.ReduceAllSum(r.columnSums(matrix(x, false)))
}

// squares returns the sum of the squares of all entries of x as a float64 scalar.
func (r *reducer) squares(x *graph.Node) *graph.Node {
	if r.byDot {
		x = wide(graph.Reshape(x, x.Shape().Size()))
		return graph.Dot(x, x).Product()
	}
	return graph.ReduceAllSum(graph.ReduceSum(graph.Square(wide(matrix(x, false))), 0))
}

// outside counts the entries of z with z < low or z > high, or z <= low or z >= high if closed; low > high stands for all of them.
func (r *reducer) outside(z *graph.Node, low, high float64, closed bool) *graph.Node {
	if low > high {
		return r.constant(dtypes.Float64, float64(z.Shape().Size()))
	}
	below, above := graph.LessThan, graph.GreaterThan
	if closed {
		below, above = graph.LessOrEqual, graph.GreaterOrEqual
	}
	// One comparison where one is enough: with |z - middle| the two-sided ranges need no more than the one-sided ones.
	var out *graph.Node
	switch {
	case math.IsInf(low, -1) && math.IsInf(high, 1):
		return r.constant(dtypes.Float64, 0)
	case math.IsInf(low, -1):
		out = above(z, r.constant(z.DType(), high))
	case math.IsInf(high, 1):
		out = below(z, r.constant(z.DType(), low))
	default:
		if middle := low + (high-low)/2; middle != 0 {
			z = graph.Sub(z, r.constant(z.DType(), middle))
		}
		out = above(graph.Abs(z), r.constant(z.DType(), (high-low)/2))
	}
	return r.count(out)
}

// count returns the number of true entries as a float64 scalar.
func (r *reducer) count(flags *graph.Node) *graph.Node {
	if r.byDot {
		// Counts of up to 2^24 are exact in float32, and half as much memory to write.
		size := flags.Shape().Size()
		dtype := dtypes.Float64
		if size < 1<<24 {
			dtype = dtypes.Float32
		}
		ones := graph.ConvertDType(graph.Reshape(flags, size), dtype)
		return wide(graph.Dot(ones, ones).Product())
	}
	return r.sum(graph.ConvertDType(flags, dtypes.Float32))
}

// deadUnits counts the units, the last axis of z, that lie outside (low, high) in all examples and positions.
func (r *reducer) deadUnits(z *graph.Node, low, high float64) *graph.Node {
	z = matrix(z, false)
	units := z.Shape().Dimensions[1]
	if low > high {
		return r.constant(dtypes.Float64, float64(units))
	}
	var dead *graph.Node
	switch {
	case math.IsInf(low, -1) && math.IsInf(high, 1):
		return r.constant(dtypes.Float64, 0)
	case math.IsInf(low, -1):
		dead = graph.GreaterOrEqual(graph.ReduceMin(z, 0), r.constant(z.DType(), high))
	case math.IsInf(high, 1):
		dead = graph.LessOrEqual(graph.ReduceMax(z, 0), r.constant(z.DType(), low))
	default:
		if middle := low + (high-low)/2; middle != 0 {
			z = graph.Sub(z, r.constant(z.DType(), middle))
		}
		dead = graph.GreaterOrEqual(graph.ReduceMin(graph.Abs(z), 0), r.constant(z.DType(), (high-low)/2))
	}
	return r.count(dead)
}
