package meanfield

import (
	"fmt"
	"math"

	"github.com/pkg/errors"
)

// Input is what theory needs to know of the inputs of a net: two of them, if correlations are asked for.
type Input struct {
	// MeanSquare is |x|^2/n_0, the mean square of one input's entries.
	MeanSquare float64 `json:"mean_square"`
	// Other is that of a second input; 0 means the same as MeanSquare.
	Other float64 `json:"other,omitempty"`
	// Cosine is that of the angle between the two inputs, from -1 to 1.
	Cosine float64 `json:"cosine,omitempty"`
	// FanRatio is n_0/n, the number of inputs over the width of the hidden layers; 0 means 1. It only enters the norm of the first layer's dL/dW.
	FanRatio float64 `json:"fan_ratio,omitempty"`
}

// Inputs returns the Input of a pair of examples for a net whose hidden layers have the given width. It is an error if they are empty, differ in length,
// hold a NaN or an infinity or nothing but zeros (there is no angle to them), or if width is below 1.
func Inputs(x, other []float64, width int) (Input, error) {
	if len(x) == 0 || len(x) != len(other) {
		return Input{}, errors.Errorf("a pair of inputs of %d and %d entries: both must have the same number, 1 or more", len(x), len(other))
	}
	if width < 1 {
		return Input{}, errors.Errorf("width %d: it must be 1 or more", width)
	}
	var xx, yy, xy float64
	for i := range x {
		xx, yy, xy = xx+x[i]*x[i], yy+other[i]*other[i], xy+x[i]*other[i]
	}
	if sum := xx + yy; sum != sum || math.IsInf(sum, 0) {
		return Input{}, errors.New("an input holds a NaN or an infinity: theory needs finite entries")
	}
	if xx == 0 || yy == 0 {
		return Input{}, errors.New("an input is all zeros: there is no angle to it; give inputs that are not, or an Input by hand")
	}
	n := float64(len(x))
	cosine := min(max(xy/math.Sqrt(xx)/math.Sqrt(yy), -1), 1)
	return Input{MeanSquare: xx / n, Other: yy / n, Cosine: cosine, FanRatio: n / float64(width)}, nil
}

// check fills in the defaults.
func (in Input) check() (Input, error) {
	if err := variance("Input.MeanSquare", in.MeanSquare); err != nil {
		return in, err
	}
	if err := variance("Input.Other", in.Other); err != nil {
		return in, err
	}
	if err := variance("Input.FanRatio", in.FanRatio); err != nil {
		return in, err
	}
	if !(in.Cosine >= -1 && in.Cosine <= 1) {
		return in, errors.Errorf("Input.Cosine is %g: it must be from -1 to 1", in.Cosine)
	}
	if in.Other == 0 {
		in.Other = in.MeanSquare
	}
	if in.FanRatio == 0 {
		in.FanRatio = 1
	}
	return in, nil
}

func checkDepth(depth int) error {
	if depth < 1 {
		return errors.Errorf("depth %d: a trajectory needs 1 hidden layer or more", depth)
	}
	return nil
}

// Layer is what theory predicts of hidden layer l = Index, counted from 1, for one example. Norms are relative to the last hidden layer's, since that one's
// depends on the loss; under some 1e-308 they are 0.
type Layer struct {
	Index int `json:"index"`
	// Q is the mean square of z over the units.
	Q float64 `json:"q"`
	// HSquare is the mean square of h = phi(z).
	HSquare float64 `json:"h_square"`
	// Chi is the factor of the mean squared norm of delta = dL/dz from layer l+1 to l. For the last layer it is what it would be with another layer on top.
	Chi float64 `json:"chi"`
	// DeltaNorm is |delta^l| / |delta^L|.
	DeltaNorm float64 `json:"delta_norm"`
	// WGradNorm is |dL/dW^l| / |dL/dW^L|, of one example: |delta^l| |h^(l-1)|, so that it stays level where h shrinks from layer to layer as delta does the
	// other way. The first layer's has the input in place of h.
	WGradNorm float64 `json:"w_grad_norm"`
	// Correlation is that of the z of two inputs, NaN where theory here has none; Gap is 1-Correlation, to relative precision also when that has rounded to 1.
	Correlation float64 `json:"correlation"`
	Gap         float64 `json:"gap"`
}

// String writes the layer in one line.
func (l Layer) String() string {
	return fmt.Sprintf("layer %d: q %.6g, chi %.6g, |delta| x %.6g, |dL/dW| x %.6g, correlation %.6g", l.Index, l.Q, l.Chi, l.DeltaNorm, l.WGradNorm, l.Correlation)
}

// Trajectory returns the layers 1 to depth of a net whose first layer has length q1. For the second input's part, it takes another input of the same length
// at a right angle; use [Net.From] for other pairs. Errors: those of [Net.Validate], a q1 that is negative or not finite, and a depth below 1. Lengths that
// overflow are +Inf, and what depends on them NaN.
func (n Net) Trajectory(q1 float64, depth int) ([]Layer, error) {
	if err := n.Validate(); err != nil {
		return nil, err
	}
	in, err := n.inputOf(q1)
	if err != nil {
		return nil, err
	}
	return n.From(in, depth)
}

// inputOf returns inputs that give the first layer the length q1.
func (n Net) inputOf(q1 float64) (Input, error) {
	if err := variance("the first layer's length q1", q1); err != nil {
		return Input{}, err
	}
	switch {
	case math.Abs(q1-n.SigmaB2) <= 1e-12*q1: // a sum that was rounded
		return Input{}, nil
	case n.SigmaW2 > 0 && q1 > n.SigmaB2:
		return Input{MeanSquare: (q1 - n.SigmaB2) / n.SigmaW2}, nil
	}
	return Input{}, errors.Errorf("the first layer's length q1 is %g: with these variances it is sigma_w^2 |x|^2/n_0 + sigma_b^2, %g or more", q1, n.SigmaB2)
}

// From returns the layers 1 to depth of a net with the given inputs: the length of the first layer is sigma_w^2 |x|^2/n_0 + sigma_b^2. It takes about 0.1 ms
// a layer, for kinked activations other than ReLU's kind up to 0.4 ms where a correlation is close to 1. Errors: those of [Net.Validate], inputs out of range,
// and a depth below 1.
func (n Net) From(in Input, depth int) ([]Layer, error) {
	if err := n.Validate(); err != nil {
		return nil, err
	}
	in, err := in.check()
	if err != nil {
		return nil, err
	}
	if err := checkDepth(depth); err != nil {
		return nil, err
	}
	layers := make([]Layer, depth)
	p := n.first(in)
	for i := range layers {
		var m moments
		m, layers[i], p = n.step(p, 0, 1, pair{})
		layers[i].Index, layers[i].Chi = i+1, n.chi(m)
	}
	backward(layers, in, jumps(n.Activation))
	return layers, nil
}

// pair is the state of a layer for two inputs: the lengths of z and half the mean squared difference of the two z, which unlike their covariance keeps its
// digits when they get close.
type pair struct{ qa, qb, half float64 }

// first returns the state of the first layer.
func (n Net) first(in Input) pair {
	half := (in.MeanSquare+in.Other)/2 - in.Cosine*math.Sqrt(in.MeanSquare*in.Other)
	return pair{n.SigmaW2*in.MeanSquare + n.SigmaB2, n.SigmaW2*in.Other + n.SigmaB2, n.SigmaW2 * max(half, 0)}
}

// gap returns 1 minus the correlation; NaN if a length is 0.
func (p pair) gap() float64 {
	a, b := math.Sqrt(p.qa), math.Sqrt(p.qb)
	return min(max((p.half-(a-b)*(a-b)/2)/(a*b), 0), 2)
}

// step returns the expectations in a layer, what is seen there, and the next layer's state: carry times this one's, plus scale^2 times what the layer's
// weights and biases give, plus extra.
func (n Net) step(p pair, carry, scale float64, extra pair) (moments, Layer, pair) {
	m := momentsOf(n.Activation, p.qa)
	gap := p.gap()
	seen := Layer{Q: p.qa, HSquare: m.square, Gap: gap, Correlation: 1 - gap}
	squareB, half := m.square, 0.0
	if p.qb != p.qa {
		squareB = momentsOf(n.Activation, p.qb).square
	}
	if p.half > 0 {
		half = newKernel(n.Activation, p.qa, p.qb).difference(gap)
	}
	s2 := scale * scale
	return m, seen, pair{
		carry*p.qa + s2*(n.SigmaW2*m.square+n.SigmaB2) + extra.qa,
		carry*p.qb + s2*(n.SigmaW2*squareB+n.SigmaB2) + extra.qb,
		carry*p.half + s2*n.SigmaW2*half + extra.half,
	}
}

// backward fills in the norms of gradients, from the top down. Through a jump nothing passes.
func backward(layers []Layer, in Input, blocked bool) {
	delta := 1.0
	for i := len(layers) - 1; i >= 0; i-- {
		if i < len(layers)-1 {
			delta *= math.Sqrt(layers[i].Chi)
			if blocked {
				delta = 0
			}
		}
		below := in.MeanSquare * in.FanRatio
		if i > 0 {
			below = layers[i-1].HSquare
		}
		layers[i].DeltaNorm, layers[i].WGradNorm = delta, delta*math.Sqrt(below)
	}
	last := layers[len(layers)-1].WGradNorm
	for i := range layers {
		layers[i].WGradNorm /= last
	}
}
