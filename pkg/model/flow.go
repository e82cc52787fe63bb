package model

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"
	mlmodel "github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"
	"github.com/gradbook/gradbook/pkg/activation"
	"github.com/gradbook/gradbook/pkg/gradflow"
	"github.com/gradbook/gradbook/pkg/model/internal/rows"
)

// flow is one forward pass being built: the graph, and where the variables are. Its methods are what the kinds of nets share; they panic on errors, as graph
// building does.
type flow struct {
	net   *Net
	scope *mlmodel.Scope
	g     *graph.Graph
	// ownBatch normalises by the batch's statistics; update also moves the running averages.
	ownBatch, update bool
}

// variable returns the variable at path below the scope.
func (f *flow) variable(path string) *mlmodel.Variable {
	full := mlmodel.JoinPath(f.scope.Scope(), path)
	v := f.scope.Store().GetVariable(full)
	if v == nil {
		exceptions.Panicf("model.Net.Logits: the store has no variable %q, which the net %s needs; build the Exec or Trainer over the net's own store, net.Store()",
			full, f.net.config)
	}
	return v
}

// value returns the value of the variable at path; for one path it is always the same node, which gradients with respect to it rely on.
func (f *flow) value(path string) *graph.Node { return f.variable(path).NodeValue(f.g) }

// input converts x to the net's type and panics unless it is [batch, want...].
func (f *flow) input(x *graph.Node, want ...int) *graph.Node {
	dims := x.Shape().Dimensions
	fits := len(dims) == len(want)+1
	for i := 0; fits && i < len(want); i++ {
		fits = dims[i+1] == want[i]
	}
	if !fits {
		exceptions.Panicf("model.Net.Logits: the input is %s; the net %s wants [batch%s]", x.Shape(), f.net.config, commas(want))
	}
	return f.typed(x)
}

// flat makes x [batch, n].
func (f *flow) flat(x *graph.Node, n int) *graph.Node {
	if x.Rank() < 2 || size(x.Shape().Dimensions[1:]) != n {
		exceptions.Panicf("model.Net.Logits: the input is %s; the net %s wants [batch, %d], or any [batch, ...] with %d values an example", x.Shape(), f.net.config, n, n)
	}
	if x.Rank() > 2 {
		x = graph.Reshape(x, x.Shape().Dimensions[0], n)
	}
	return f.typed(x)
}

func (f *flow) typed(x *graph.Node) *graph.Node {
	if !x.DType().IsFloat() {
		exceptions.Panicf("model.Net.Logits: the input is %s; it must be floating point (convert pixels and scale them first)", x.Shape())
	}
	if x.DType() != f.net.dtype {
		x = graph.ConvertDType(x, f.net.dtype)
	}
	return x
}

// affine is W h + b of the layer name, with h [batch, in]; it returns the nodes of W and b, too (b nil without one).
func (f *flow) affine(name string, h *graph.Node, biased bool) (z, w, b *graph.Node) {
	w = f.value(name + "/W")
	z = graph.MatMul(h, w)
	if biased {
		b = f.value(name + "/b")
		z = graph.Add(z, graph.Reshape(b, 1, b.Shape().Size())) // not addRow: gradflow knows a plain layer by its operations
	}
	return z, w, b
}

// activate is phi(z), with the slope that the layer has learned if phi has one.
func (f *flow) activate(name string, z *graph.Node, a activation.Activation) *graph.Node {
	if _, learned := a.Slope(); learned {
		return a.GraphWith(z, f.value(name+"/slope"))
	}
	return a.Graph(z)
}

// output is the linear layer "out" on h [batch, in], tapped.
func (f *flow) output(h *graph.Node) *graph.Node {
	z, w, b := f.affine("out", h, true)
	gradflow.Layer(gradflow.LayerTap{Name: "out", Z: z, H: z, X: h, W: w, B: b, Activation: activation.Linear})
	return z
}

// flatten reshapes x to [n, last], which the operations of package rows want.
func flatten(x *graph.Node) *graph.Node {
	if x.Rank() == 2 {
		return x
	}
	last := x.Shape().Dimensions[x.Rank()-1]
	return graph.Reshape(x, x.Shape().Size()/last, last)
}

// addRow adds row [c] to each row of x [..., c].
func addRow(x, row *graph.Node) *graph.Node {
	return graph.ReshapeWithShape(rows.Add(flatten(x), row), x.Shape())
}

// mulRow multiplies each row of x [..., c] by row [c].
func mulRow(x, row *graph.Node) *graph.Node {
	return graph.ReshapeWithShape(rows.Mul(flatten(x), row), x.Shape())
}

// commas writes sizes as they follow the batch in a shape: ", 28, 28, 1".
func commas(dims []int) string {
	text := ""
	for _, d := range dims {
		text += fmt.Sprint(", ", d)
	}
	return text
}
