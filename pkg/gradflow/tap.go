package gradflow

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
	"github.com/gradbook/gradbook/pkg/activation"
)

// LayerTap says where one layer of a model can be measured. All but Name and H may be left out;
// what is left out is not measured (its numbers are NaN in a report).
type LayerTap struct {
	// Name names the layer in reports; unique within one graph.
	Name string
	// H is the layer's output h, the activation: [batch, units] or [batch, ..., channels].
	H *graph.Node
	// Z is the pre-activation z, of H's shape: h = phi(z) in a plain layer. Without it delta = dL/dz,
	// the saturated and the dead share are not measured.
	Z *graph.Node
	// W is the value of the layer's weights, [in, out] for a dense layer. It must be the very node that
	// the layer multiplied with (a variable's NodeValue), or its gradient would be 0.
	W *graph.Node
	// B is the value of the layer's bias.
	B *graph.Node
	// X is what the layer was fed with; nil stands for the output of the tap before, and for the
	// model's first input at the first tap. Jacobians are taken with respect to it.
	X *graph.Node
	// Activation is phi. It says which pre-activations count as saturated or dead.
	Activation activation.Activation
}

// TapOption tells Tap more about the layer that it marks.
type TapOption func(*LayerTap)

// PreActivation gives the layer's z, of the same shape as h.
func PreActivation(z *graph.Node) TapOption { return func(l *LayerTap) { l.Z = z } }

// Weights gives the layer's weights, the very node that the layer multiplied with.
func Weights(w *graph.Node) TapOption { return func(l *LayerTap) { l.W = w } }

// Bias gives the layer's bias, the very node that the layer added.
func Bias(b *graph.Node) TapOption { return func(l *LayerTap) { l.B = b } }

// Input gives what the layer was fed with, where that is not the output of the tap before.
func Input(x *graph.Node) TapOption { return func(l *LayerTap) { l.X = x } }

// Activation gives the layer's phi.
func Activation(a activation.Activation) TapOption {
	return func(l *LayerTap) { l.Activation = a }
}

// Tap marks node, a layer's output h [batch, units] or [batch, ..., channels], as a place to measure, and
// returns it to go on with. It adds nothing to the graph: a model with taps that nobody looks at costs
// what it costs without them.
//
//	z := graph.Add(graph.MatMul(x, w), b)
//	h := gradflow.Tap(graph.Tanh(z), "h1", gradflow.PreActivation(z), gradflow.Weights(w),
//		gradflow.Activation(activation.Tanh))
//
// It panics where Layer does.
func Tap(node *graph.Node, name string, options ...TapOption) *graph.Node {
	tap := LayerTap{Name: name, H: node}
	for _, option := range options {
		option(&tap)
	}
	Layer(tap)
	return node
}

// Layer marks a layer as Tap does, given all at once.
//
// It panics, as graph building does, if the name is empty or already taken in this graph, if h is missing or has no
// batch axis, if z is of another shape than h, or if a node belongs to another graph or to a closure (the body of
// graph.While or graph.If), where no gradient can be taken.
func Layer(l LayerTap) {
	if l.Name == "" {
		exceptions.Panicf("gradflow.Layer: the tap of %s has no name; give it the layer's", describe(l.H))
	}
	if l.H == nil {
		exceptions.Panicf("gradflow.Layer: tap %q has no H; give the layer's output node", l.Name)
	}
	if l.H.Rank() < 1 || !l.H.DType().IsFloat() {
		exceptions.Panicf("gradflow.Layer: H of tap %q is %s; it must be floating point with the batch as its first axis, "+
			"[batch, ..., units]", l.Name, l.H.Shape())
	}
	if l.Z != nil && !l.Z.Shape().Equal(l.H.Shape()) {
		exceptions.Panicf("gradflow.Layer: Z of tap %q is %s and H is %s; both must have one shape", l.Name, l.Z.Shape(), l.H.Shape())
	}
	g := l.H.Graph()
	if !g.IsMainFunc() {
		exceptions.Panicf("gradflow.Layer: tap %q lies inside a closure (the body of graph.While or graph.If), where no gradient can be taken; "+
			"tap what the closure returns", l.Name)
	}
	for part, node := range map[string]*graph.Node{"H": l.H, "Z": l.Z, "W": l.W, "B": l.B, "X": l.X} {
		if node == nil {
			continue
		}
		if node.Graph() != g {
			exceptions.Panicf("gradflow.Layer: %s of tap %q belongs to another graph than H does", part, l.Name)
		}
	}
	r := registryOf(g)
	if first, taken := r.byName[l.Name]; taken {
		exceptions.Panicf("gradflow.Layer: two taps are named %q in one graph, %s and then %s; give each its own name",
			l.Name, describe(first), describe(l.H))
	}
	if r.byName == nil {
		r.byName = make(map[string]*graph.Node)
	}
	r.byName[l.Name] = l.H
	r.taps = append(r.taps, l)
}

// registry holds the taps of one graph, in the order in which the model was built.
type registry struct {
	taps   []LayerTap
	byName map[string]*graph.Node
}

// registryKey finds the registry in the graph's own state, so that it goes when the graph goes.
type registryKey struct{}

func registryOf(g *graph.Graph) *registry {
	if r, ok := g.State(registryKey{}).(*registry); ok {
		return r
	}
	r := &registry{}
	g.AttachState(registryKey{}, r)
	return r
}

// Taps returns the taps of a graph, in the order in which the model was built.
func Taps(g *graph.Graph) []LayerTap {
	r, ok := g.State(registryKey{}).(*registry)
	if !ok {
		return nil
	}
	return append([]LayerTap(nil), r.taps...)
}

func describe(n *graph.Node) string {
	if n == nil {
		return "nothing"
	}
	return fmt.Sprintf("node #%d %s", n.Id(), n.Shape())
}
