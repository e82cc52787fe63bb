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
	updated                    *graph.Node // the weights after the step; nil if not known
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

// sums returns all sums of the flows, float64 [n], and for each the cell that it belongs in: flow*columns + column. Sums that a tap does
// not have are left out. Most is the largest fold on XLA.
func sums(flows []flow, most int) (values *graph.Node, cells []int) {
	if onGo(flows[0].H.Graph()) {
		return sumsByDot(flows)
	}
	return sumsByFolding(flows, most)
}

// parts are the tensors of a flow of which only the sum of the squares is wanted, by their columns; nil where there is none.
func (f flow) parts() map[int]*graph.Node {
	parts := map[int]*graph.Node{squaresDelta: f.delta, squaresHGrad: f.hGrad, squaresWGrad: f.wGrad, squaresBGrad: f.bGrad, squaresW: f.W, squaresB: f.B}
	if f.updated != nil {
		parts[squaresUpdate] = graph.Sub(f.updated, f.W)
	}
	return parts
}

// regions returns where z saturates and where it is dead.
func (f flow) regions() (saturated, dead region) {
	low, high := f.Activation.Saturation()
	saturated = region{low: low, high: high}
	low, high = f.Activation.Dead()
	return saturated, region{low: low, high: high, closed: true}
}

// sumsByDot makes each sum a dot product.
func sumsByDot(flows []flow) (values *graph.Node, cells []int) {
	r := newReducer(flows[0].H.Graph())
	var scalars []*graph.Node
	for i, f := range flows {
		put := func(column int, scalar *graph.Node) {
			scalars = append(scalars, graph.Reshape(scalar, 1))
			cells = append(cells, i*columns+column)
		}
		put(squaresH, r.squares(f.H))
		units, sumOfUnits := f.H, sumH
		if f.Z != nil {
			units, sumOfUnits = f.Z, sumZ
			put(squaresZ, r.squares(f.Z))
			put(sumH, r.sum(f.H))
			if f.Activation.Valid() == nil {
				saturated, dead := f.regions()
				put(saturatedEntries, r.entriesIn(saturated, f.Z))
				put(deadUnits, r.unitsIn(dead, f.Z))
			}
		}
		perUnit := r.columnSums(matrix(units, true))
		put(unitSquares, r.squares(perUnit))
		put(sumOfUnits, r.sum(perUnit))
		parts := f.parts()
		for _, column := range []int{squaresDelta, squaresHGrad, squaresWGrad, squaresBGrad, squaresW, squaresB, squaresUpdate} {
			if x := parts[column]; x != nil {
				put(column, r.squares(x))
			}
		}
	}
	return graph.Concatenate(scalars, 0), cells
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
