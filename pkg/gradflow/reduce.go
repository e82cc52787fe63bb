package gradflow

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
)

// The sums are written twice, once for each kind of backend, because the quick way on one is a slow way on the
// other. The pure-Go backend's ReduceSum steps an iterator at every element (3 ns each), while its dot product is an unrolled loop
// (0.5 ns): there a sum is a dot product, and sumsByDot in this file's terms. On XLA see sumsByFolding.
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

// matrix returns x [rows, ..., units] as [rows, the rest] if byBatch, else as [all others, units].
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

// columnSums returns the sums over the first axis of x [rows, n] as float64 [n], on the pure-Go backend.
func (r *reducer) columnSums(x *graph.Node) *graph.Node {
	rows := x.Shape().Dimensions[0]
	product := graph.Dot(graph.Reshape(r.ones(rows), 1, rows), wide(x)).Product()
	return graph.Reshape(product, x.Shape().Dimensions[1])
}

// sum returns the sum of all entries of x as a float64 scalar.
func (r *reducer) sum(x *graph.Node) *graph.Node {
	if r.byDot {
		x = wide(graph.Reshape(x, x.Shape().Size()))
		return graph.Dot(x, r.ones(x.Shape().Size())).Product()
	}
	return graph.ReduceAllSum(wide(x))
}

// squares returns the sum of the squares of all entries of x as a float64 scalar, on the pure-Go backend.
func (r *reducer) squares(x *graph.Node) *graph.Node {
	x = wide(graph.Reshape(x, x.Shape().Size()))
	return graph.Dot(x, x).Product()
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
	return r.sum(flags)
}

// region is where z counts: z < low or z > high, with the ends themselves if closed. low > high stands for everywhere.
type region struct {
	low, high float64
	closed    bool
}

func (a region) everywhere() bool { return a.low > a.high }
func (a region) nowhere() bool    { return math.IsInf(a.low, -1) && math.IsInf(a.high, 1) }

// middle is the centre of what lies between two finite ends. With |z - middle| one comparison is enough.
func (a region) middle() float64 { return a.low + (a.high-a.low)/2 }

// contains returns which entries of z lie in the region, which is neither everywhere nor nowhere.
func (r *reducer) contains(a region, z *graph.Node) *graph.Node {
	below, above := graph.LessThan, graph.GreaterThan
	if a.closed {
		below, above = graph.LessOrEqual, graph.GreaterOrEqual
	}
	switch {
	case math.IsInf(a.low, -1):
		return above(z, r.constant(z.DType(), a.high))
	case math.IsInf(a.high, 1):
		return below(z, r.constant(z.DType(), a.low))
	}
	return above(r.distance(a, z), r.constant(z.DType(), (a.high-a.low)/2))
}

// distance returns |z - middle|.
func (r *reducer) distance(a region, z *graph.Node) *graph.Node {
	if middle := a.middle(); middle != 0 {
		z = graph.Sub(z, r.constant(z.DType(), middle))
	}
	return graph.Abs(z)
}

// entriesIn counts the entries of z in a region.
func (r *reducer) entriesIn(a region, z *graph.Node) *graph.Node {
	switch {
	case a.everywhere():
		return r.constant(dtypes.Float64, float64(z.Shape().Size()))
	case a.nowhere():
		return r.constant(dtypes.Float64, 0)
	}
	return r.count(r.contains(a, z))
}

// unitsIn counts the units, the last axis of z, that lie in a closed region in all examples and positions.
func (r *reducer) unitsIn(a region, z *graph.Node) *graph.Node {
	z = matrix(z, false)
	var dead *graph.Node
	switch {
	case a.everywhere():
		return r.constant(dtypes.Float64, float64(z.Shape().Dimensions[1]))
	case a.nowhere():
		return r.constant(dtypes.Float64, 0)
	case math.IsInf(a.low, -1):
		dead = graph.GreaterOrEqual(graph.ReduceMin(z, 0), r.constant(z.DType(), a.high))
	case math.IsInf(a.high, 1):
		dead = graph.LessOrEqual(graph.ReduceMax(z, 0), r.constant(z.DType(), a.low))
	default:
		dead = graph.GreaterOrEqual(graph.ReduceMin(r.distance(a, z), 0), r.constant(z.DType(), (a.high-a.low)/2))
	}
	return r.count(dead)
}
