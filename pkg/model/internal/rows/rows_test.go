package rows_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute"
	_ "github.com/gomlx/compute/gobackend"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gradbook/gradbook/pkg/model/internal/rows"
)

var engine = func() compute.Backend {
	b, err := compute.NewWithConfig("go:ops_sequential")
	if err != nil {
		panic(err)
	}
	return b
}()

func normals(seed uint64, dims ...int) *tensors.Tensor {
	r := rand.New(rand.NewPCG(seed, 2))
	size := 1
	for _, d := range dims {
		size *= d
	}
	values := make([]float64, size)
	for i := range values {
		values[i] = r.NormFloat64()
	}
	return tensors.FromFlatDataAndDimensions(values, dims...)
}

type op func(x, w, row *graph.Node) *graph.Node

// pairs are this package's operations on x w, each beside the same from GoMLX's.
var pairs = map[string][2]op{
	"Add": {
		func(x, w, row *graph.Node) *graph.Node { return rows.Add(graph.MatMul(x, w), row) },
		func(x, w, row *graph.Node) *graph.Node {
			return graph.Add(graph.MatMul(x, w), graph.ExpandLeftToRank(row, 2))
		},
	},
	"Mul": {
		func(x, w, row *graph.Node) *graph.Node { return rows.Mul(graph.MatMul(x, w), row) },
		func(x, w, row *graph.Node) *graph.Node {
			return graph.Mul(graph.MatMul(x, w), graph.ExpandLeftToRank(row, 2))
		},
	},
	"Standardise": {
		func(x, w, row *graph.Node) *graph.Node {
			y, mean, variance := rows.Standardise(graph.MatMul(x, w), row, graph.MulScalar(row, 2), 1e-5)
			return graph.Add(y, graph.StopGradient(graph.ExpandLeftToRank(graph.Mul(mean, variance), 2)))
		},
		func(x, w, row *graph.Node) *graph.Node {
			z := graph.MatMul(x, w)
			mean := graph.ReduceAndKeep(z, graph.ReduceMean, 0)
			centred := graph.Sub(z, mean)
			variance := graph.ReduceAndKeep(graph.Square(centred), graph.ReduceMean, 0)
			row = graph.ExpandLeftToRank(row, 2)
			y := graph.Add(graph.Mul(graph.Div(centred, graph.Sqrt(graph.AddScalar(variance, 1e-5))), row), graph.MulScalar(row, 2))
			return graph.Add(y, graph.StopGradient(graph.Mul(mean, variance)))
		},
	},
}

// run gives f's value, its gradients with respect to x, w and row, and the gradient of the sum of their squares: second derivatives.
func run(t *testing.T, f op, second bool, args ...any) [][]float64 {
	t.Helper()
	exec := graph.MustNewExec(engine, func(x, w, row, v *graph.Node) []*graph.Node {
		y := f(x, w, row)
		loss := graph.ReduceAllSum(graph.Mul(graph.Square(y), v))
		out := append([]*graph.Node{y}, graph.Gradient(loss, x, w, row)...)
		if second {
			sum := graph.ReduceAllSum(graph.Square(out[1]))
			for _, g := range out[2:] {
				sum = graph.Add(sum, graph.ReduceAllSum(graph.Square(g)))
			}
			out = append(out, graph.Gradient(sum, x, w, row)...)
		}
		return out
	})
	defer exec.Finalize()
	var all [][]float64
	for _, y := range exec.MustExec(args...) {
		all = append(all, tensors.MustCopyFlatData[float64](y))
	}
	return all
}

func TestGradients(t *testing.T) {
	for name, pair := range pairs {
		for _, s := range [][3]int{{5, 3, 4}, {2, 7, 6}, {7, 2, 1}, {1, 3, 4}} {
			if s[0] == 1 && name == "Standardise" {
				continue // one row has no variance
			}
			same(t, name, pair, s)
		}
	}
}

// same holds the operations of a pair against each other on x [s0, s1], w [s1, s2].
func same(t *testing.T, name string, pair [2]op, s [3]int) {
	t.Helper()
	args := []any{normals(1, s[0], s[1]), normals(2, s[1], s[2]), normals(3, s[2]), normals(4, s[0], s[2])}
	got, want := run(t, pair[0], true, args...), run(t, pair[1], true, args...)
	for i := range want {
		largest := 0.0
		for _, v := range want[i] {
			largest = math.Max(largest, math.Abs(v))
		}
		if largest == 0 {
			t.Errorf("%s %v: output %d is 0", name, s, i)
		}
		for k, v := range want[i] {
			if !(math.Abs(got[i][k]-v) <= 1e-10*largest) {
				t.Errorf("%s %v: output %d is %v, want %v", name, s, i, got[i], want[i])
				break
			}
		}
	}
}

// selection is a matrix that takes columns from to (exclusive) out of n, by a product: GoMLX's slices have no second derivative.
func selection(g *graph.Graph, n, from, to int) *graph.Node {
	rows := make([][]float64, n)
	for i := range rows {
		rows[i] = make([]float64, to-from)
		if i >= from && i < to {
			rows[i][i-from] = 1
		}
	}
	return graph.Const(g, rows)
}

// TestSplit treats each block in its own way, and the whole beside them; then leaves one block unused.
func TestSplit(t *testing.T) {
	ways := func(z, row *graph.Node, blocks []*graph.Node, axis int) *graph.Node {
		all := graph.Concatenate([]*graph.Node{graph.Sin(blocks[0]), graph.Square(blocks[1]), graph.Tanh(blocks[2])}, axis)
		return graph.Add(graph.Mul(all, graph.ExpandLeftToRank(row, 2)), z)
	}
	columns := [2]op{
		func(x, w, row *graph.Node) *graph.Node {
			z := graph.MatMul(x, w)
			return ways(z, row, rows.Split(z, 1, 1, z.Shape().Dimensions[1]-3, 2), 1)
		},
		func(x, w, row *graph.Node) *graph.Node {
			z, n := graph.MatMul(x, w), w.Shape().Dimensions[1]
			cut := func(from, to int) *graph.Node { return graph.MatMul(z, selection(z.Graph(), n, from, to)) }
			return ways(z, row, []*graph.Node{cut(0, 1), cut(1, n-2), cut(n-2, n)}, 1)
		},
	}
	lines := [2]op{
		func(x, w, row *graph.Node) *graph.Node {
			z := graph.MatMul(x, w)
			return ways(z, row, rows.Split(z, 0, 1, z.Shape().Dimensions[0]-3, 2), 0)
		},
		func(x, w, row *graph.Node) *graph.Node {
			z, n := graph.MatMul(x, w), x.Shape().Dimensions[0]
			cut := func(from, to int) *graph.Node {
				return graph.MatMul(graph.Transpose(selection(z.Graph(), n, from, to), 0, 1), z)
			}
			return ways(z, row, []*graph.Node{cut(0, 1), cut(1, n-2), cut(n-2, n)}, 0)
		},
	}
	unused := [2]op{
		func(x, w, row *graph.Node) *graph.Node {
			z, n := graph.MatMul(x, w), w.Shape().Dimensions[1]
			first := graph.Tanh(rows.Split(z, 1, n-1, 1)[0])
			return graph.Mul(graph.Concatenate([]*graph.Node{first, graph.StopGradient(graph.SliceAxis(z, 1, graph.AxisElem(0)))}, 1), graph.ExpandLeftToRank(row, 2))
		},
		func(x, w, row *graph.Node) *graph.Node {
			z, n := graph.MatMul(x, w), w.Shape().Dimensions[1]
			first := graph.Tanh(graph.MatMul(z, selection(z.Graph(), n, 0, n-1)))
			return graph.Mul(graph.Concatenate([]*graph.Node{first, graph.StopGradient(graph.SliceAxis(z, 1, graph.AxisElem(0)))}, 1), graph.ExpandLeftToRank(row, 2))
		},
	}
	for _, s := range [][3]int{{5, 3, 4}, {4, 7, 6}} {
		same(t, "columns", columns, s)
		same(t, "rows", lines, s)
		same(t, "one block unused", unused, s)
	}
}

// An infinite or undefined value stays where it is: others of the batch are not touched.
func TestInfinityStaysInItsRow(t *testing.T) {
	x := tensors.FromValue([][]float64{{math.Inf(1), 1}, {2, 3}})
	w, row := tensors.FromValue([][]float64{{1, 1}, {1, -1}}), tensors.FromValue([]float64{1, 2})
	exec := graph.MustNewExec(engine, func(x, w, row *graph.Node) *graph.Node { return rows.Add(graph.MatMul(x, w), row) })
	defer exec.Finalize()
	y := tensors.MustCopyFlatData[float64](exec.MustExec(x, w, row)[0])
	if !math.IsInf(y[0], 1) || !math.IsInf(y[1], 1) || y[2] != 6 || y[3] != 1 {
		t.Errorf("got %v, want [+Inf +Inf 6 1]", y)
	}
}
