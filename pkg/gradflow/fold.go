package gradflow

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
)

// On XLA CPU a kernel costs some microseconds before it adds the first number, and a reduction twice as much as one that works
// entry by entry; a layer of 64 units at batch 256 has 64 KB, which is read in less. So what counts is the number of kernels, and that reductions
// are few. A tensor is folded: cut into up to 16 slices, which are added entry by entry; that fuses with what feeds it, and the folds of several sums
// (of h and its squares, of z and its squares, ...) come out of one kernel, as its concatenation. What is left, a sixteenth of the entries, is
// stacked for all layers and reduced once.
const (
	// maxFold and onceFold are the largest numbers of slices, in a graph that runs many times and in one that runs a few times: each slice adds
	// some nodes to the graph, and time to its compilation.
	maxFold  = 16
	onceFold = 4
	// maxStacked is the largest number of terms of one sum, after folding, that are copied into a common stack; more are reduced where they are.
	maxStacked = 2048
)

// foldsOf returns the largest number of equal slices, at most f.most, that n rows can be cut into.
func (f *folding) foldsOf(n int) int {
	for f := min(n, f.most); f > 1; f-- {
		if n%f == 0 {
			return f
		}
	}
	return 1
}

// term is what is summed: terms of the entries of a tensor.
type term struct {
	column int
	of     *graph.Node                   // nil if there is nothing to sum
	minus  *graph.Node                   // what is subtracted from it; may be nil
	value  func(*graph.Node) *graph.Node // of entries; flags are counted
}

// square is widened first: the square of 1e-30, well inside float32, is not.
func square(x *graph.Node) *graph.Node { return graph.Square(wide(x)) }

// itself is the term of a plain sum. Up to maxFold of them are added in float32, more at a time, before the sum is widened.
func itself(x *graph.Node) *graph.Node {
	if x.DType() == dtypes.Float32 {
		return x
	}
	return wide(x)
}

// folding gathers the sums of all flows.
type folding struct {
	*reducer
	most    int
	slices  map[cut][]*graph.Node
	stacks  []*stack // of rows whose totals are wanted
	byUnit  []*stack // of rows that are first summed over the batch, for sums of squares of units
	alive   []*stack // of rows that count, in float32, the entries that pass a gradient; a unit that has none is dead
	values  []*graph.Node
	cells   []int
	known   []float64 // sums that are the same for all z
	ofKnown []int     // their cells
}

// cut is a tensor and the number of slices that it is cut into.
type cut struct {
	x     *graph.Node
	folds int
}

// stack holds rows of one length, which are reduced together if they are short.
type stack struct {
	length, width int
	rows          []*graph.Node // flat, one or several rows each
	cells         []int
	squares       []int // of the sums of squares of the columns' sums; may be nil
}

// push puts len(cells) rows, given flat, on the stack of their kind, and returns that.
func push(stacks *[]*stack, x *graph.Node, width int, cells ...int) *stack {
	length := x.Shape().Size() / len(cells)
	for _, s := range *stacks {
		if s.length == length && s.width == width && length <= maxStacked {
			s.rows, s.cells = append(s.rows, x), append(s.cells, cells...)
			return s
		}
	}
	s := &stack{length: length, width: width, rows: []*graph.Node{x}, cells: cells}
	*stacks = append(*stacks, s)
	return s
}

// matrix returns [rows, length].
func (s *stack) matrix() *graph.Node {
	x := s.rows[0]
	if len(s.rows) > 1 {
		x = graph.Concatenate(s.rows, 0)
	}
	return graph.Reshape(x, len(s.cells), s.length)
}

// columnSums returns [rows, width]: the sums of the rows' terms, whose columns repeat after width of them.
func (s *stack) columnSums() *graph.Node {
	x := s.matrix()
	if s.length == s.width {
		return x
	}
	return graph.ReduceSum(graph.Reshape(x, len(s.cells), s.length/s.width, s.width), 1)
}

// sliced returns the slices [1, size/folds] of x along its first axis.
func (f *folding) sliced(x *graph.Node, folds int) []*graph.Node {
	at := cut{x, folds}
	if f.slices[at] == nil {
		rows := graph.Reshape(x, folds, x.Shape().Size()/folds)
		for k := range folds {
			f.slices[at] = append(f.slices[at], graph.SliceAxis(rows, 0, graph.AxisElem(k)))
		}
	}
	return f.slices[at]
}

// fold returns [1, size/folds]: the sums over the slices of a tensor.
func (f *folding) fold(t term, folds int) *graph.Node {
	var total *graph.Node
	for k, slice := range f.sliced(t.of, folds) {
		if t.minus != nil {
			slice = graph.Sub(slice, f.sliced(t.minus, folds)[k])
		}
		x := t.value(slice)
		if x.DType() == dtypes.Bool {
			x = graph.ConvertDType(x, dtypes.Float32) // exact up to maxFold and far beyond, and half as wide
		}
		if total == nil {
			total = x
		} else {
			total = graph.Add(total, x)
		}
	}
	return total
}

// row returns a fold as a flat row.
func (f *folding) row(t term, folds int) *graph.Node {
	x := f.fold(t, folds)
	return graph.Reshape(x, x.Shape().Size())
}

// pack folds terms of tensors of one size and puts them on a stack, a row each.
func (f *folding) pack(flow, folds int, terms ...term) {
	var folded []*graph.Node
	var cells []int
	for _, t := range terms {
		if t.of == nil {
			continue
		}
		folded, cells = append(folded, wide(f.fold(t, folds))), append(cells, flow*columns+t.column)
	}
	if len(folded) == 0 {
		return
	}
	rows := graph.Concatenate(folded, 0)
	// Flat, as XLA would make a concatenation of concatenations one, and not fuse the folds into it any more.
	push(&f.stacks, graph.Reshape(rows, rows.Shape().Size()), 0, cells...)
}

// add gathers the sums of flow number i.
func (f *folding) add(i int, flow flow) {
	dims := flow.H.Shape().Dimensions
	batch, size := dims[0], flow.H.Shape().Size()
	cell := func(column int) int { return i*columns + column }
	folds := f.foldsOf(batch)

	units, sumOfUnits := flow.H, sumH
	terms := []term{{column: squaresH, of: flow.H, value: square}}
	if flow.Z != nil {
		units, sumOfUnits = flow.Z, sumZ
		terms = append(terms, term{column: sumH, of: flow.H, value: itself}, term{column: squaresZ, of: flow.Z, value: square})
	}
	perUnit := push(&f.byUnit, wide(f.row(term{of: units, value: itself}, folds)), size/batch, cell(sumOfUnits))
	perUnit.squares = append(perUnit.squares, cell(unitSquares))
	if flow.Z != nil && flow.Activation.Valid() == nil {
		saturated, dead := flow.regions()
		if !f.isKnown(saturated, cell(saturatedEntries), size) {
			terms = append(terms, term{column: saturatedEntries, of: flow.Z, value: func(z *graph.Node) *graph.Node { return f.contains(saturated, z) }})
		}
		if !f.isKnown(dead, cell(deadUnits), unitsOf(dims)) {
			alive := term{of: flow.Z, value: func(z *graph.Node) *graph.Node { return graph.LogicalNot(f.contains(dead, z)) }}
			push(&f.alive, f.row(alive, folds), unitsOf(dims), cell(deadUnits))
		}
	}
	f.pack(i, folds, terms...)
	f.pack(i, folds, term{column: squaresHGrad, of: flow.hGrad, value: square}, term{column: squaresDelta, of: flow.delta, value: square})
	if flow.W != nil {
		f.pack(i, f.foldsOf(flow.W.Shape().Size()), term{column: squaresW, of: flow.W, value: square},
			term{column: squaresWGrad, of: flow.wGrad, value: square}, term{column: squaresUpdate, of: flow.updated, minus: flow.W, value: square})
	}
	if flow.B != nil {
		f.pack(i, 1, term{column: squaresB, of: flow.B, value: square}, term{column: squaresBGrad, of: flow.bGrad, value: square})
	}
}

// unitsOf returns the number of units of an h of these dimensions.
func unitsOf(dims []int) int {
	if len(dims) < 2 {
		return 1
	}
	return dims[len(dims)-1]
}

// isKnown notes the sum of a region that holds all or no entries.
func (f *folding) isKnown(a region, cell, all int) bool {
	switch {
	case a.everywhere():
		f.known = append(f.known, float64(all))
	case a.nowhere():
		f.known = append(f.known, 0)
	default:
		return false
	}
	f.ofKnown = append(f.ofKnown, cell)
	return true
}

// sumsByFolding is for XLA.
func sumsByFolding(flows []flow, most int) (values *graph.Node, cells []int) {
	g := flows[0].H.Graph()
	f := &folding{reducer: newReducer(g), most: most, slices: make(map[cut][]*graph.Node)}
	for i, flow := range flows {
		f.add(i, flow)
	}
	for _, s := range f.stacks {
		f.put(graph.ReduceSum(s.matrix(), 1), s.cells)
	}
	for _, s := range f.byUnit {
		ofUnits := s.columnSums()
		f.put(graph.ReduceSum(ofUnits, 1), s.cells)
		f.put(graph.ReduceSum(graph.Square(ofUnits), 1), s.squares)
	}
	for _, s := range f.alive {
		f.put(graph.ReduceSum(wide(graph.Equal(s.columnSums(), f.constant(dtypes.Float32, 0))), 1), s.cells)
	}
	if len(f.known) > 0 {
		f.put(graph.Const(g, f.known), f.ofKnown)
	}
	return graph.Concatenate(f.values, 0), f.cells
}

func (f *folding) put(values *graph.Node, cells []int) {
	f.values, f.cells = append(f.values, values), append(f.cells, cells...)
}
