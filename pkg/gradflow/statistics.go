package gradflow

import "github.com/gomlx/gomlx/core/graph"

// What is summed in the graph for one tap, in this order, as float64. Means, variances and norms are made of these sums
// on the host. A sum that a tap does not have is 0 there and NaN in the report.
const (
	sumH = iota
	squaresH
	sumZ
	squaresZ
	unitSquares // sum over the units of the square of the unit's sum over the batch, of z, or of h without z
	saturatedEntries
	deadUnits
	squaresDelta
	squaresHGrad
	squaresWGrad
	squaresBGrad
	squaresW
	squaresB
	squaresUpdate
	columns
)

// flow is one tap with its gradients.
type flow struct {
	LayerTap
	delta, hGrad, wGrad, bGrad *graph.Node
	update                     *graph.Node // new minus old weights; nil if not known
}

// differentiate returns the gradients of loss with respect to the given variables and to all that the taps hold, from one backward pass.
func differentiate(loss *graph.Node, variables []*graph.Node, taps []LayerTap) (ofVariables []*graph.Node, flows []flow) {
	var nodes []*graph.Node
	place := make(map[*graph.Node]int)
	want := func(n *graph.Node) {
		if n == nil {
			return
		}
		if _, known := place[n]; !known {
			place[n] = len(nodes)
			nodes = append(nodes, n)
		}
	}
	for _, v := range variables {
		want(v)
	}
	for _, t := range taps {
		want(t.H)
		want(t.Z)
		want(t.W)
		want(t.B)
	}
	if len(nodes) == 0 {
		return nil, nil
	}
	gradients := graph.Gradient(loss, nodes...)
	of := func(n *graph.Node) *graph.Node {
		if n == nil {
			return nil
		}
		return gradients[place[n]]
	}
	for _, v := range variables {
		ofVariables = append(ofVariables, of(v))
	}
	for _, t := range taps {
		flows = append(flows, flow{LayerTap: t, delta: of(t.Z), hGrad: of(t.H), wGrad: of(t.W), bGrad: of(t.B)})
	}
	return ofVariables, flows
}

// cells returns how many sums the flow has.
func (f flow) cells() int {
	n := 4 // squaresH, sumH, unitSquares, squaresHGrad
	if f.Z != nil {
		n += 3 // squaresZ, sumZ, squaresDelta
		if f.Activation.Valid() == nil {
			n += 2
		}
	}
	for _, part := range []*graph.Node{f.W, f.wGrad, f.B, f.bGrad, f.update} {
		if part != nil {
			n++
		}
	}
	return n
}

// sums returns all sums of the flows, float64 [n], and for each the cell that it belongs in: flow*columns + column. Sums that a tap does
// not have are left out.
func sums(flows []flow) (values *graph.Node, cells []int) {
	r := newReducer(flows[0].H.Graph())
	var l later
	var parts []*graph.Node
	for i, f := range flows {
		put := func(column int, scalar *graph.Node) {
			parts = append(parts, graph.Reshape(scalar, 1))
			cells = append(cells, i*columns+column)
		}
		cell := func(column int) int { return i*columns + column }
		square := func(column int, x *graph.Node) {
			if r.byDot {
				put(column, r.squares(x))
			} else {
				l.sum(r.columnSquares(matrix(x, false)), cell(column))
			}
		}
		square(squaresH, f.H)
		units := f.H
		if f.Z != nil {
			units = f.Z
			square(squaresZ, f.Z)
			if r.byDot {
				put(sumH, r.sum(f.H))
			} else {
				l.sum(r.columnSums(matrix(f.H, false)), cell(sumH))
			}
			if f.Activation.Valid() == nil {
				low, high := f.Activation.Saturation()
				put(saturatedEntries, r.outside(f.Z, low, high, false))
				low, high = f.Activation.Dead()
				put(deadUnits, r.deadUnits(f.Z, low, high))
			}
		}
		perUnit := r.columnSums(matrix(units, true))
		l.square(perUnit, cell(unitSquares))
		if f.Z != nil {
			l.sum(perUnit, cell(sumZ))
		} else {
			l.sum(perUnit, cell(sumH))
		}
		for _, norm := range []struct {
			column int
			of     *graph.Node
		}{{squaresDelta, f.delta}, {squaresHGrad, f.hGrad}, {squaresWGrad, f.wGrad}, {squaresBGrad, f.bGrad},
			{squaresW, f.W}, {squaresB, f.B}, {squaresUpdate, f.update}} {
			switch {
			case norm.of == nil:
			case norm.of.Rank() == 1:
				l.square(norm.of, cell(norm.column))
			default:
				square(norm.column, norm.of)
			}
		}
	}
	small, smallCells := l.reduce(r)
	return graph.Concatenate(append(parts, small...), 0), append(cells, smallCells...)
}

// later gathers vectors that are to be summed. There are several a layer and each is short, so that on XLA starting a kernel for each would cost more than all the
// additions: those of one length are stacked and summed together.
type later struct{ groups []group }

type group struct {
	length  int
	squared bool
	vectors []*graph.Node
	cells   []int
}

func (l *later) sum(v *graph.Node, cell int)    { l.add(v, cell, false) }
func (l *later) square(v *graph.Node, cell int) { l.add(v, cell, true) }

func (l *later) add(v *graph.Node, cell int, squared bool) {
	length := v.Shape().Size()
	for i := range l.groups {
		if g := &l.groups[i]; g.length == length && g.squared == squared {
			g.vectors, g.cells = append(g.vectors, v), append(g.cells, cell)
			return
		}
	}
	l.groups = append(l.groups, group{length, squared, []*graph.Node{v}, []int{cell}})
}

// reduce returns vectors of sums, float64, and the cells that their entries belong in.
func (l *later) reduce(r *reducer) (sums []*graph.Node, cells []int) {
	for _, g := range l.groups {
		cells = append(cells, g.cells...)
		var rows []*graph.Node
		for _, v := range g.vectors {
			switch {
			case r.byDot && g.squared:
				sums = append(sums, graph.Reshape(r.squares(v), 1))
			case r.byDot:
				sums = append(sums, graph.Reshape(r.sum(v), 1))
			default:
				rows = append(rows, graph.Reshape(wide(v), 1, g.length))
			}
		}
		if len(rows) > 0 {
			stacked := graph.Concatenate(rows, 0)
			if g.squared {
				stacked = graph.Square(stacked)
			}
			sums = append(sums, graph.ReduceSum(stacked, 1))
		}
	}
	return sums, cells
}

// spread puts the sums into their cells, 0 in those that have none.
func spread(values []float64, cells []int, flows int) [][]float64 {
	all := make([]float64, flows*columns)
	for i, cell := range cells {
		all[cell] = values[i]
	}
	rows := make([][]float64, flows)
	for i := range rows {
		rows[i] = all[i*columns : (i+1)*columns]
	}
	return rows
}
