package activation

import (
	"math"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// Graph returns h = phi(z) as a node of z's graph, of z's shape and (floating-point) type; PReLU takes its start as a constant slope. Every operation in it
// has a gradient on GoMLX's backends, and neither value nor gradient overflows for any finite z. As GoMLX's own operations do, it panics with z's shape in
// the message if z is not of a floating-point type, and it panics if a is not Valid. Linear returns z itself.
//
// XLA takes denormal numbers for 0, and with them the side of a kink. In float32, h near 0 has the rounding of float32 at 1 for elu, selu and hard_sigmoid, and
// the gradients of sigmoid and tanh end at 0 where 1-h does: beyond |z| of about 17 and 9.
//
// It is written here from GoMLX's primitives where GoMLX's own function would not do (v0.28.4): Relu's Max passes gradient at z = 0; Selu's gradient is NaN
// for z > 88.7 in float32, as 0 times exp(z), and its constants have 8 digits; elu, softplus and softsign do not exist there.
func (a Activation) Graph(z *graph.Node) *graph.Node {
	a.must()
	a.check(z)
	g, dtype := z.Graph(), z.DType()
	switch a.kind {
	case linear:
		return z
	case sigmoid:
		return graph.Logistic(z)
	case tanh:
		return graph.Tanh(z)
	case gelu:
		phi := graph.MulScalar(graph.AddScalar(graph.Erf(graph.MulScalar(z, 1/math.Sqrt2)), 1.0), 0.5)
		return graph.Mul(z, phi)
	case silu:
		return graph.Mul(z, graph.Logistic(z))
	case softsign:
		return graph.Div(z, graph.OnePlus(graph.Abs(z)))
	}
	zero, one := graph.ScalarZero(g, dtype), graph.ScalarOne(g, dtype)
	// The branches are written with z <= 0 so that NaN takes the other one, which passes it on.
	switch off := graph.LessOrEqual(z, zero); a.kind {
	case step:
		on := graph.GreaterThan(z, zero)
		return graph.StopGradient(graph.Where(off, zero, graph.Where(on, one, z)))
	case relu:
		return graph.Where(off, zero, z)
	case leakyReLU, prelu:
		return graph.Where(off, graph.MulScalar(z, a.slope), z)
	case elu:
		return graph.Where(off, graph.MinusOne(expBelow(off, z)), z)
	case selu:
		below := graph.MulScalar(graph.MinusOne(expBelow(off, z)), SELUAlpha)
		return graph.MulScalar(graph.Where(off, below, z), SELULambda)
	case softplus:
		// max(z,0) + log(1+exp(-|z|)), with -|z| = z - 2 max(z,0) so that the two parts agree on the side that z = 0 belongs to.
		positive := graph.Where(off, zero, z)
		return graph.Add(positive, graph.Log1p(graph.Exp(graph.Sub(graph.Sub(z, positive), positive))))
	case hardSigmoid:
		atZero := graph.LessOrEqual(z, graph.Scalar(g, dtype, -hardCut))
		atOne := graph.GreaterOrEqual(z, graph.Scalar(g, dtype, hardCut))
		line := graph.AddScalar(graph.MulScalar(z, 0.2), 0.5)
		return graph.Where(atZero, zero, graph.Where(atOne, one, line))
	}
	panic(a.Valid())
}

// expBelow is exp(z) where off holds and exp(0) elsewhere: exp of a large z would be Inf, and its gradient 0 times Inf.
func expBelow(off, z *graph.Node) *graph.Node {
	return graph.Exp(graph.Where(off, z, graph.ScalarZero(z.Graph(), z.DType())))
}

// GraphWith is Graph with the slope of a PReLU as a node of its own, so that it can be learned: a scalar, or one that broadcasts against z's last axes (one
// slope a unit of z [batch, width], or a channel of z [batch, height, width, channels]). Its type must be z's. It panics, with the shapes in the message,
// where it does not fit, and for any activation that learns no slope.
func (a Activation) GraphWith(z, slope *graph.Node) *graph.Node {
	a.must()
	a.check(z)
	if a.kind != prelu {
		exceptions.Panicf("activation %s has no slope to learn (slope is %s): use Graph, or PReLU", a, slope.Shape())
	}
	if slope.DType() != z.DType() || slope.Rank() > z.Rank() {
		exceptions.Panicf("activation %s: slope %s does not fit z %s: want a scalar or the sizes of z's last axes, of the same type", a, slope.Shape(), z.Shape())
	}
	if !slope.IsScalar() {
		offset := z.Rank() - slope.Rank()
		for axis, size := range slope.Shape().Dimensions {
			if size != 1 && size != z.Shape().Dimensions[offset+axis] {
				exceptions.Panicf("activation %s: slope %s does not fit the last axes of z %s: want size %d or 1 at axis %d", a, slope.Shape(), z.Shape(),
					z.Shape().Dimensions[offset+axis], axis)
			}
		}
		slope = graph.ExpandLeftToRank(slope, z.Rank())
	}
	off := graph.LessOrEqual(z, graph.ScalarZero(z.Graph(), z.DType()))
	return graph.Where(off, graph.Mul(z, slope), z)
}

func (a Activation) check(z *graph.Node) {
	if !z.DType().IsFloat() {
		exceptions.Panicf("activation %s of z %s: want a floating-point type", a, z.Shape())
	}
}
