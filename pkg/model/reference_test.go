package model_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gradbook/gradbook/pkg/activation"
	"github.com/gradbook/gradbook/pkg/model"
)

// The reference: the formulas of the configurations' documentation in plain Go, one number at a time.

type matrix [][]float64

func matrixOf(t *tensors.Tensor) matrix {
	values, cols := flat(t), t.Shape().Dimensions[t.Rank()-1]
	var m matrix
	for i := 0; i < len(values); i += cols {
		m = append(m, values[i:i+cols])
	}
	return m
}

func (m matrix) each(f func(i, j int, v float64) float64) matrix {
	out := make(matrix, len(m))
	for i, row := range m {
		for j, v := range row {
			out[i] = append(out[i], f(i, j, v))
		}
	}
	return out
}

func (m matrix) plus(o matrix) matrix {
	return m.each(func(i, j int, v float64) float64 { return v + o[i][j] })
}

func (m matrix) times(o matrix) matrix {
	out := make(matrix, len(m))
	for i, row := range m {
		out[i] = make([]float64, len(o[0]))
		for k, v := range row {
			for j := range o[k] {
				out[i][j] += v * o[k][j]
			}
		}
	}
	return out
}

// reference reads a net's variables.
type reference struct{ net *model.Net }

func (r reference) matrix(name string) matrix { return matrixOf(r.net.Weights(name)) }
func (r reference) row(name string) []float64 { return must(r.net.Values(name)) }

func (r reference) affine(name string, h matrix, biased bool) matrix {
	z := h.times(r.matrix(name + "/W"))
	if !biased {
		return z
	}
	b := r.row(name + "/b")
	return z.each(func(_, j int, v float64) float64 { return v + b[j] })
}

func moments(values []float64) (mean, variance float64) {
	for _, v := range values {
		mean += v / float64(len(values))
	}
	for _, v := range values {
		variance += (v - mean) * (v - mean) / float64(len(values))
	}
	return mean, variance
}

// normalise treats rows of x as examples; for images rows holds the number of rows of one example.
func (r reference) normalise(name string, norm model.Norm, m mode, rows int, x matrix) matrix {
	var standard matrix
	switch norm {
	case model.NoNorm:
		return x
	case model.BatchNorm:
		standard = x.each(func(_, j int, v float64) float64 {
			mean, variance := r.statistics(name, m, x, j)
			return (v - mean) / math.Sqrt(variance+1e-5)
		})
	case model.LayerNorm:
		standard = x.each(func(i, _ int, v float64) float64 {
			var values []float64
			for _, row := range x[i/rows*rows : (i/rows+1)*rows] {
				values = append(values, row...)
			}
			mean, variance := moments(values)
			return (v - mean) / math.Sqrt(variance+1e-5)
		})
	}
	scale, offset := r.row(name+"/norm/scale"), r.row(name+"/norm/offset")
	return standard.each(func(_, j int, v float64) float64 { return v*scale[j] + offset[j] })
}

func (r reference) statistics(name string, m mode, x matrix, j int) (mean, variance float64) {
	if m == inference {
		return r.row(name + "/norm/mean")[j], r.row(name + "/norm/variance")[j]
	}
	var column []float64
	for _, row := range x {
		column = append(column, row[j])
	}
	return moments(column)
}

func (r reference) mlp(c model.MLP, m mode, h matrix) matrix {
	scale := c.ResidualScale
	if scale == 0 {
		scale = 1
	}
	var stream matrix
	for l := 1; l <= max(c.Depth, len(c.Widths)); l++ {
		name := fmt.Sprint("h", l)
		norm := func(x matrix, here bool) matrix {
			if !here {
				return x
			}
			return r.normalise(name, c.Norm, m, 1, x)
		}
		before := c.NormPosition == model.BeforeActivation
		biased := c.Norm != model.BatchNorm || !before
		z := r.affine(name, h, biased)
		switch {
		case c.Residual == model.NoResidual:
			z = norm(z, before)
		case c.Residual == model.PostActivation:
			z = norm(z, before)
			if l > 1 {
				z = r.skip(name, h, len(z[0])).plus(z.each(func(_, _ int, v float64) float64 { return scale * v }))
			}
		default:
			if l > 1 {
				z = r.skip(name, stream, len(z[0])).plus(z.each(func(_, _ int, v float64) float64 { return scale * v }))
			}
			stream = z
			z = norm(z, before)
		}
		phi := c.Activation
		if _, learned := phi.Slope(); learned {
			phi = activation.LeakyReLU(r.row(name + "/slope")[0])
		}
		h = norm(z.each(func(_, _ int, v float64) float64 { return phi.Value(v) }), !before)
	}
	return r.affine("out", h, true)
}

func (r reference) skip(name string, x matrix, width int) matrix {
	if len(x[0]) == width {
		return x
	}
	return x.times(r.matrix(name + "/skip/W"))
}

// image is [batch, height, width, channels].
type image struct {
	h, w int
	rows matrix // one a pixel
}

func (m image) batch() int { return len(m.rows) / (m.h * m.w) }

func (m image) at(n, y, x int) []float64 {
	if y < 0 || x < 0 || y >= m.h || x >= m.w {
		return nil
	}
	return m.rows[(n*m.h+y)*m.w+x]
}

func (r reference) convolve(name string, in image, k, stride int) image {
	kernel := r.matrix(name) // rows are (dy k + dx) channels + c
	out := image{h: (in.h + stride - 1) / stride, w: (in.w + stride - 1) / stride}
	for n := range in.batch() {
		for y := range out.h {
			for x := range out.w {
				sum := make([]float64, len(kernel[0]))
				for dy := range k {
					for dx := range k {
						for c, v := range in.at(n, y*stride+dy-k/2, x*stride+dx-k/2) {
							channels := len(in.rows[0])
							for o, w := range kernel[(dy*k+dx)*channels+c] {
								sum[o] += v * w
							}
						}
					}
				}
				out.rows = append(out.rows, sum)
			}
		}
	}
	return out
}

// convNet follows He et al.: 1 + 6n convolutions, blocks of two.
func (r reference) convNet(c model.ConvNet, m mode, h image) matrix {
	phi := activation.ReLU
	layer := func(name string, in image, stride int, skip *image) image {
		z := r.convolve(name+"/W", in, 3, stride)
		if c.Norm != model.BatchNorm {
			b := r.row(name + "/b")
			z.rows = z.rows.each(func(_, j int, v float64) float64 { return v + b[j] })
		}
		z.rows = r.normalise(name, c.Norm, m, z.h*z.w, z.rows)
		if skip != nil {
			s := *skip
			if len(s.rows[0]) != len(z.rows[0]) {
				s = r.shortcut(c, m, name, s, z)
			}
			z.rows = z.rows.plus(s.rows)
		}
		z.rows = z.rows.each(func(_, _ int, v float64) float64 { return phi.Value(v) })
		return z
	}
	h = layer("h1", h, 1, nil)
	l := 1
	for stage := range 3 {
		for block := range c.N {
			stride, input := 1, h
			if stage > 0 && block == 0 {
				stride = 2
			}
			skip := &input
			if !c.Residual {
				skip = nil
			}
			h = layer(fmt.Sprint("h", l+1), h, stride, nil)
			h = layer(fmt.Sprint("h", l+2), h, 1, skip)
			l += 2
		}
	}
	pooled := make(matrix, h.batch())
	for n := range pooled {
		pooled[n] = make([]float64, len(h.rows[0]))
		for _, row := range h.rows[n*h.h*h.w : (n+1)*h.h*h.w] {
			for j, v := range row {
				pooled[n][j] += v / float64(h.h*h.w)
			}
		}
	}
	return r.affine("out", pooled, true)
}

// shortcut halves the image and doubles the channels.
func (r reference) shortcut(c model.ConvNet, m mode, name string, s, like image) image {
	if c.Shortcut == model.ProjectionShortcut {
		s = r.convolve(name+"/skip/W", s, 1, 2)
		s.rows = r.normalise(name+"/skip", c.Norm, m, s.h*s.w, s.rows)
		return s
	}
	out := image{h: like.h, w: like.w}
	for n := range s.batch() {
		for y := range out.h {
			for x := range out.w {
				row := make([]float64, len(like.rows[0]))
				copy(row, s.at(n, 2*y, 2*x))
				out.rows = append(out.rows, row)
			}
		}
	}
	return out
}

// recurrent returns the logits at every step: [step][batch][output].
func (r reference) recurrent(c model.Recurrent, x *tensors.Tensor) []matrix {
	w, u, b := r.matrix("h/W"), r.matrix("h/U"), r.row("h/b")
	batch, values := x.Shape().Dimensions[0], flat(x)
	phi := activation.Tanh.Value
	if c.Activation != (activation.Activation{}) {
		phi = c.Activation.Value
	}
	s := activation.Sigmoid.Value
	h, cell := make(matrix, batch), make(matrix, batch)
	for n := range batch {
		h[n], cell[n] = make([]float64, c.Hidden), make([]float64, c.Hidden)
	}
	var logits []matrix
	for t := range c.Steps {
		next := make(matrix, batch)
		for n := range batch {
			fed := matrix{values[(n*c.Steps+t)*c.Inputs : (n*c.Steps+t+1)*c.Inputs]}.times(w)[0]
			back := matrix{h[n]}.times(u)[0]
			gate := func(k, j int) float64 { i := k*c.Hidden + j; return fed[i] + b[i] + back[i] }
			next[n] = make([]float64, c.Hidden)
			for j := range next[n] {
				switch c.Cell {
				case model.Vanilla:
					next[n][j] = phi(gate(0, j))
				case model.LSTM:
					i, f, o, g := s(gate(0, j)), s(gate(1, j)), s(gate(2, j)), phi(gate(3, j))
					cell[n][j] = f*cell[n][j] + i*g
					next[n][j] = o * phi(cell[n][j])
				case model.GRU:
					reset, update, i := s(gate(0, j)), s(gate(1, j)), 2*c.Hidden+j
					candidate := phi(fed[i] + b[i] + reset*back[i])
					next[n][j] = (1-update)*candidate + update*h[n][j]
				}
			}
		}
		h = next
		logits = append(logits, r.affine("out", h, true))
	}
	return logits
}

// near fails unless got is want within 1e-12 of the largest entry.
func near(t *testing.T, got *tensors.Tensor, want matrix) {
	t.Helper()
	values := flat(got)
	largest, i := 0.0, 0
	for _, row := range want {
		for _, v := range row {
			largest = math.Max(largest, math.Abs(v))
		}
	}
	if largest < 1e-3 || len(values) != len(want)*len(want[0]) {
		t.Fatalf("got %s; the reference is %d x %d, its largest entry %g", got.Shape(), len(want), len(want[0]), largest)
	}
	for _, row := range want {
		for _, v := range row {
			if !(math.Abs(values[i]-v) <= 1e-12*largest) {
				t.Fatalf("entry %d is %.17g, want %.17g", i, values[i], v)
			}
			i++
		}
	}
}
