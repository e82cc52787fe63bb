package gradflow

import (
	"fmt"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
)

// isPlain reports whether the graph between x, the output of the tap before, and the tap's h is z = xW + b, W [in, out], h = phi(z), with nothing beside it: no
// residual branch, no normalisation. It reads the graph, so it holds for any model that was built so. At the first tap
// (x nil) the input is whatever depends on no variable: the model's input, or a fixed function of it.
func (s surroundings) isPlain(tap LayerTap, x *graph.Node) bool {
	if tap.Z == nil || tap.W == nil || tap.Activation.Valid() != nil {
		return false
	}
	affine := walk{ends: map[*graph.Node]bool{tap.W: true, tap.B: true}, weights: tap.W, product: true}
	affine.data = func(n *graph.Node) bool { return n == x }
	if x == nil {
		known := make(map[*graph.Node]origin)
		affine.data = func(n *graph.Node) bool { return s.origin(n, known) == origin{data: true} }
	}
	if !affine.follow(tap.Z, false) || !affine.fed || !affine.met[tap.W] {
		return false
	}
	pointwise := walk{ends: map[*graph.Node]bool{tap.Z: true}}
	return pointwise.follow(tap.H, false) && pointwise.met[tap.Z]
}

// origin says what a node is made of.
type origin struct{ data, variable bool }

func (s surroundings) origin(n *graph.Node, known map[*graph.Node]origin) origin {
	if o, ok := known[n]; ok {
		return o
	}
	_, variable := s.variables[n]
	o := origin{variable: variable, data: !variable && n.Type() == graph.NodeTypeParameter}
	for _, input := range n.Inputs() {
		of := s.origin(input, known)
		o.data, o.variable = o.data || of.data, o.variable || of.variable
	}
	known[n] = o
	return o
}

// isLast reports whether the loss acts on h with no trainable weights in between: h is what the model returned.
func (s surroundings) isLast(h *graph.Node) bool {
	if s.loss == nil {
		return false
	}
	seen := make(map[*graph.Node]bool)
	met := false
	var free func(n *graph.Node) bool
	free = func(n *graph.Node) bool {
		if n == h {
			met = true
			return true
		}
		if seen[n] {
			return true
		}
		seen[n] = true
		if v := s.variables[n]; v != nil && v.Trainable {
			return false
		}
		for _, input := range n.Inputs() {
			if !free(input) {
				return false
			}
		}
		return true
	}
	return free(s.loss) && met
}

// walk goes back through a graph until it meets one of the ends, or a constant.
type walk struct {
	ends    map[*graph.Node]bool
	weights *graph.Node              // the end that must be taken as [in, out]; may be nil
	data    func(n *graph.Node) bool // the input x; may be nil
	product bool                     // affine operations with one matrix product; else operations on single entries
	fed     bool                     // x was met
	met     map[*graph.Node]bool
	seen    map[visit]bool
}

// visit is a node on the way, and whether a product lies between it and the start.
type visit struct {
	n       *graph.Node
	product bool
}

// follow reports whether every way back from n is allowed and ends as it should. x may enter an affine layer through its product only: what adds x itself
// is a residual branch, whose Jacobian holds the identity.
func (w *walk) follow(n *graph.Node, inProduct bool) bool {
	if w.met == nil {
		w.met, w.seen = make(map[*graph.Node]bool), make(map[visit]bool)
	}
	if w.ends[n] {
		w.met[n] = true
		return true
	}
	if w.data != nil && w.data(n) {
		w.fed = true
		return inProduct
	}
	at := visit{n, inProduct}
	if w.seen[at] {
		return true
	}
	w.seen[at] = true
	if !w.allows(n) {
		return false
	}
	isProduct := n.Type() == graph.NodeTypeDotGeneral || n.Type() == graph.NodeTypeFusedDense
	for i, input := range n.Inputs() {
		before := w.met[w.weights]
		if !w.follow(input, inProduct || isProduct) {
			return false
		}
		if w.met[w.weights] != before && !turnsNot(n, i) {
			return false
		}
	}
	return true
}

// turnsNot reports whether a node takes its operand number i, which holds W, as [in, out]: the fan-in and the Jacobian of a layer that was made with [out, in]
// would be wrong.
func turnsNot(n *graph.Node, i int) bool {
	switch n.Type() {
	case graph.NodeTypeTranspose:
		return false
	case graph.NodeTypeDotGeneral:
		return strings.Contains(n.String(), [...]string{"lhsContractingAxes=[0]", "rhsContractingAxes=[0]"}[i])
	}
	return true
}

// plainDense ends the description of a fused xW + b, W [in, out], that applies no activation: a node's configuration shows in its description only.
var plainDense = fmt.Sprintf("options=%+v)", compute.DenseConfig{})

func (w *walk) allows(n *graph.Node) bool {
	switch t := n.Type(); t {
	case graph.NodeTypeFusedDense:
		return w.product && strings.Contains(n.String(), plainDense)
	case graph.NodeTypeConstant, graph.NodeTypeReshape, graph.NodeTypeBroadcastInDim, graph.NodeTypeConvertDType:
		return true
	case graph.NodeTypeDotGeneral, graph.NodeTypeAdd, graph.NodeTypeTranspose:
		return w.product || t == graph.NodeTypeAdd
	case graph.NodeTypeParameter, graph.NodeTypeConvGeneral, graph.NodeTypeGather, graph.NodeTypeConcatenate,
		graph.NodeTypeReduceSum, graph.NodeTypeReduceMax, graph.NodeTypeReduceMin, graph.NodeTypeReduceWindow,
		graph.NodeTypeFusedLayerNorm, graph.NodeTypeFusedSoftmax:
		return false
	}
	// What is left, as far as an activation is made of it, works on single entries.
	return !w.product
}
