package model

import (
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
	"github.com/gradbook/gradbook/pkg/model/internal/rows"
)

const (
	// normEpsilon is added to variances: Ioffe and Szegedy's epsilon, with the value that has become usual.
	normEpsilon = 1e-5
	// normShare is the least weight of a batch in the running averages.
	normShare = 0.1
)

// normalise is the normalisation of the layer name, of x [batch, features] or [batch, height, width, channels].
func (f *flow) normalise(name string, x *graph.Node, norm Norm) *graph.Node {
	switch norm {
	case BatchNorm:
		return f.batchNorm(name, x)
	case LayerNorm:
		return f.layerNorm(name, x)
	}
	return x
}

// batchNorm standardises each feature over all rows of x, or by the running averages. It is written here for the reasons in trap.go.
func (f *flow) batchNorm(name string, x *graph.Node) *graph.Node {
	flat := flatten(x)
	scale, offset := f.value(name+"/norm/scale"), f.value(name+"/norm/offset")
	if !f.ownBatch {
		factor := graph.Div(scale, deviation(f.value(name+"/norm/variance")))
		centred := rows.Add(flat, graph.Neg(f.value(name+"/norm/mean")))
		return graph.ReshapeWithShape(rows.Add(rows.Mul(centred, factor), offset), x.Shape())
	}
	n := flat.Shape().Dimensions[0]
	if n < 2 {
		exceptions.Panicf("model: batch normalisation of %q in training, or by the batch, needs at least 2 values a feature; %s has one", name, x.Shape())
	}
	y, mean, variance := rows.Standardise(flat, scale, offset, normEpsilon)
	if f.update {
		f.average(name, mean, variance, n)
	}
	return graph.ReshapeWithShape(y, x.Shape())
}

// average moves the running averages towards the statistics of a batch of n rows, with weight 1/t at step t and at least normShare.
func (f *flow) average(name string, mean, variance *graph.Node, n int) {
	steps := f.variable(name + "/norm/steps")
	t := graph.AddScalar(steps.NodeValue(f.g), 1.0)
	steps.SetNodeValue(t)
	share := graph.Max(graph.Reciprocal(t), graph.Scalar(f.g, t.DType(), normShare))
	unbiased := graph.MulScalar(variance, float64(n)/float64(n-1))
	move := func(path string, batch *graph.Node) {
		v := f.variable(name + path)
		running := v.NodeValue(f.g)
		v.SetNodeValue(graph.Add(running, graph.Mul(share, graph.Sub(batch, running))))
	}
	move("/norm/mean", mean)
	move("/norm/variance", unbiased)
}

// layerNorm standardises each example over all its features, then scales and shifts each feature (or channel).
func (f *flow) layerNorm(name string, x *graph.Node) *graph.Node {
	flat := x
	if x.Rank() > 2 {
		flat = graph.Reshape(x, x.Shape().Dimensions[0], size(x.Shape().Dimensions[1:]))
	}
	centred := graph.Sub(flat, graph.ReduceAndKeep(flat, graph.ReduceMean, 1))
	variance := graph.ReduceAndKeep(graph.Square(centred), graph.ReduceMean, 1)
	standard := graph.Div(centred, deviation(variance))
	standard = graph.ReshapeWithShape(standard, x.Shape())
	return addRow(mulRow(standard, f.value(name+"/norm/scale")), f.value(name+"/norm/offset"))
}
