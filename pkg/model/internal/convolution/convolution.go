// Package convolution is the two-dimensional convolution of the nets of pkg/model: images [batch, height, width,
// channels], odd kernels, and the padding of CIFAR's residual nets.
//
// It exists because GoMLX's own convolution visits one number at a time on the pure-Go backend, where a product of
// matrices is several times as quick: there the convolution becomes one, and so do both its gradients. On any other
// backend it is GoMLX's own, which is right in value and gradient for what is allowed here (for even kernels with
// stride 2 its gradient is wrong). BenchmarkStep measures one against the other. Gradients of gradients exist on the
// pure-Go backend with stride 1; elsewhere GoMLX lacks a part of them, and says so.
//
// The package knows nothing of layers, weights or data.
package convolution

import (
	"github.com/gomlx/compute/gobackend"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// Convolve convolves x, [batch, height, width, in], with kernel, [kh, kw, in, out] with kh and kw odd, and returns
// [batch, ceil(height/stride), ceil(width/stride), out]. It pads x with (kh-1)/2 rows and (kw-1)/2 columns of zeros on
// each side, so that stride 1 keeps height and width, and moves by stride, 1 or 2 (He et al. 2016, section 4.2). As
// everywhere in the field the kernel is not flipped: mathematicians call it a cross-correlation.
//
// It panics, with the shapes, on anything else.
func Convolve(x, kernel *graph.Node, stride int) *graph.Node {
	check(x, kernel, stride)
	if x.Graph().Backend().String() == gobackend.BackendName {
		return asProduct(x, kernel, stride)
	}
	return native(x, kernel, stride)
}

func check(x, kernel *graph.Node, stride int) {
	switch {
	case x.Rank() != 4 || kernel.Rank() != 4:
		exceptions.Panicf("convolution: x is %s and the kernel %s; want [batch, height, width, in] and [kh, kw, in, out]", x.Shape(), kernel.Shape())
	case x.DType() != kernel.DType():
		exceptions.Panicf("convolution: x %s and the kernel %s differ in data type", x.Shape(), kernel.Shape())
	case x.Shape().Dimensions[3] != kernel.Shape().Dimensions[2]:
		exceptions.Panicf("convolution: x %s has %d channels, but the kernel %s takes %d", x.Shape(), x.Shape().Dimensions[3], kernel.Shape(), kernel.Shape().Dimensions[2])
	case kernel.Shape().Dimensions[0]%2 == 0 || kernel.Shape().Dimensions[1]%2 == 0:
		exceptions.Panicf("convolution: the kernel %s is even in height or width; only odd ones can be padded alike on both sides", kernel.Shape())
	case stride != 1 && stride != 2:
		exceptions.Panicf("convolution: stride %d (x %s, kernel %s); allowed are 1 and 2", stride, x.Shape(), kernel.Shape())
	}
}

// native is GoMLX's own convolution.
func native(x, kernel *graph.Node, stride int) *graph.Node {
	return graph.Convolve(x, kernel).PadSame().Strides(stride).Done()
}

// asProduct is the convolution as the product of patches [positions, kh*kw*in] and the kernel [kh*kw*in, out].
//
// Its gradients are written out, since what automatic differentiation makes of them is slow on the pure-Go backend: the
// kernel's would transpose the patches number by number, and x's would add up kh*kw padded images. For this a backward
// pass leaves dLoss/dy in delta on its way to x and the kernel, and what it brings them along that way is not used (and so
// never computed). The gradients use x itself, not the node whose gradient is replaced, so that they can be
// differentiated in turn.
func asProduct(x, kernel *graph.Node, stride int) *graph.Node {
	d, k := x.Shape().Dimensions, kernel.Shape().Dimensions
	kh, kw, in, out := k[0], k[1], k[2], k[3]
	rows, columns := (d[1]+stride-1)/stride, (d[2]+stride-1)/stride

	var delta *graph.Node // [positions, out]
	tracked := x
	if stride == 1 { // with a larger stride the padded images are few enough
		tracked = graph.IdentityWithCustomGradient(x, func(_, _ *graph.Node) *graph.Node {
			v := graph.Reshape(delta, d[0], rows, columns, out)
			return graph.Reshape(graph.MatMul(patches(v, kh, kw, 1), flipped(kernel)), d...)
		})
	}
	weights := graph.IdentityWithCustomGradient(graph.Reshape(kernel, kh*kw*in, out), func(_, _ *graph.Node) *graph.Node {
		return graph.Transpose(graph.MatMul(graph.Transpose(delta, 0, 1), patches(x, kh, kw, stride)), 0, 1)
	})
	y := graph.MatMul(patches(tracked, kh, kw, stride), weights)
	y = graph.IdentityWithCustomGradient(y, func(_, v *graph.Node) *graph.Node {
		delta = v
		return v
	})
	return graph.Reshape(y, d[0], rows, columns, out)
}

// patches lays out what the kernel sees at each of its positions as a row ("im2col"): [batch*rows*columns, kh*kw*in].
func patches(x *graph.Node, kh, kw, stride int) *graph.Node {
	d := x.Shape().Dimensions
	rows, columns := (d[1]+stride-1)/stride, (d[2]+stride-1)/stride
	x = pad(pad(x, 1, (kh-1)/2), 2, (kw-1)/2)
	var shifted []*graph.Node
	for i := range kh {
		for j := range kw {
			shifted = append(shifted, graph.Slice(x,
				graph.AxisRange(),
				graph.AxisRange(i, i+(rows-1)*stride+1).Stride(stride),
				graph.AxisRange(j, j+(columns-1)*stride+1).Stride(stride)))
		}
	}
	return graph.Reshape(graph.Concatenate(shifted, 3), d[0]*rows*columns, kh*kw*d[3])
}

// pad puts n zeros on both ends of an axis. GoMLX's Pad has no gradient; Concatenate has.
func pad(x *graph.Node, axis, n int) *graph.Node {
	if n == 0 {
		return x
	}
	shape := x.Shape().Clone()
	shape.Dimensions[axis] = n
	zeros := graph.Zeros(x.Graph(), shape)
	return graph.Concatenate([]*graph.Node{zeros, x, zeros}, axis)
}

// flipped returns the kernel that carries a gradient back, [kh*kw*out, in]: [kh, kw, in, out] turned by half a turn, with
// its channels exchanged. GoMLX's Reverse has no gradient; Slice and Concatenate have.
func flipped(kernel *graph.Node) *graph.Node {
	k := kernel.Shape().Dimensions
	flat := graph.Reshape(kernel, k[0]*k[1], k[2], k[3])
	var turned []*graph.Node
	for i := k[0]*k[1] - 1; i >= 0; i-- {
		turned = append(turned, graph.SliceAxis(flat, 0, graph.AxisRange(i, i+1)))
	}
	return graph.Reshape(graph.Transpose(graph.Concatenate(turned, 0), 1, 2), k[0]*k[1]*k[3], k[2])
}
