package meanfield

import (
	"math"

	"github.com/pkg/errors"

	"github.com/gradbook/gradbook/pkg/activation"
)

// ResidualKind says where a residual net applies its activation. The texts are those of pkg/model.
type ResidualKind string

const (
	// PostActivation is z^l = h^(l-1) + s (W^l h^(l-1) + b^l), h^l = phi(z^l): the activation after the addition (He et al. 2016, Deep Residual Learning).
	PostActivation ResidualKind = "post"
	// PreActivation is z^l = z^(l-1) + s (W^l h^(l-1) + b^l), h^l = phi(z^l): the path of the additions is free of activations (He et al. 2016, Identity Mappings).
	PreActivation ResidualKind = "pre"
)

// Residual is a wide fully connected residual net at initialisation, without normalisation. Its first layer is plain, z^1 = W^1 x + b^1; each further layer
// is a block of Kind with the factor s = Scale.
type Residual struct {
	Activation activation.Activation `json:"activation"`
	SigmaW2    float64               `json:"sigma_w2"` // as in Net
	SigmaB2    float64               `json:"sigma_b2"`
	Kind       ResidualKind          `json:"kind"`
	Scale      float64               `json:"scale,omitempty"` // s; 0 means 1
}

// leastScale is the smallest scale for which the density of a post-activation net is followed: below it, that needs too fine a grid.
const leastScale = 0.02

// Validate returns an error that says what is wrong with the configuration, or nil.
func (r Residual) Validate() error {
	if err := r.net().Validate(); err != nil {
		return err
	}
	if math.IsNaN(r.Scale) || math.IsInf(r.Scale, 0) {
		return errors.Errorf("Residual.Scale is %g: it must be a finite number; 0 means 1", r.Scale)
	}
	switch r.Kind {
	case PreActivation:
		return nil
	case PostActivation:
		if math.Abs(r.scale()) < leastScale {
			return errors.Errorf("Residual.Scale is %g: post-activation nets are followed down to %g; take that, or %q", r.Scale, leastScale, PreActivation)
		}
		return nil
	}
	return errors.Errorf("Residual.Kind is %q: choose %q or %q", string(r.Kind), PostActivation, PreActivation)
}

func (r Residual) net() Net { return Net{r.Activation, r.SigmaW2, r.SigmaB2} }

func (r Residual) scale() float64 {
	if r.Scale == 0 {
		return 1
	}
	return r.Scale
}

// From returns the layers 1 to depth for the given inputs. Both kinds are exact for wide nets, under the assumption that weights on the way back are
// independent of those on the way forward (Schoenholz et al. 2017).
//
// PreActivation, after Yang and Schoenholz 2017 (Mean field residual networks: on the edge of chaos): z stays Gaussian, q grows by s^2 (sigma_w^2 E[phi^2] + sigma_b^2) a block, and Chi = 1 + s^2
// sigma_w^2 E[phi'^2]. It is never below 1: gradients do not vanish, and explode exponentially for ReLU (as do lengths), more slowly for saturating
// activations, whose q grows in proportion to depth.
//
// PostActivation: what is added to h^(l-1) is Gaussian, but h^(l-1) is not; the density of z is followed on a grid, forward, and so is the mean of delta^2
// given z, backward (about 1 ms a layer). Correlations are NaN, and so is Chi of the last layer: delta there knows nothing of z.
//
// Errors: those of [Residual.Validate], inputs out of range, a depth below 1.
func (r Residual) From(in Input, depth int) ([]Layer, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	in, err := in.check()
	if err != nil {
		return nil, err
	}
	if err := checkDepth(depth); err != nil {
		return nil, err
	}
	// dL/dW of a block has a factor s that the first, plain layer's has not.
	in.FanRatio /= r.scale() * r.scale()
	if r.Kind == PostActivation {
		return r.post(in, depth)
	}
	n, s := r.net(), r.scale()
	layers := make([]Layer, depth)
	p := n.first(in)
	for i := range layers {
		var m moments
		m, layers[i], p = n.step(p, 1, s, pair{})
		layers[i].Index, layers[i].Chi = i+1, 1+s*s*n.SigmaW2*m.slope // of a step, backpropagation sees the path of the additions only
	}
	backward(layers, in, false)
	return layers, nil
}

// Trajectory is [Residual.From] by the length q1 of the first layer, as [Net.Trajectory] is.
func (r Residual) Trajectory(q1 float64, depth int) ([]Layer, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	in, err := r.net().inputOf(q1)
	if err != nil {
		return nil, err
	}
	return r.From(in, depth)
}

// GradientFactor returns the factor of the norm of delta a block, from a block to the one before it, deep in a deep net. PreActivation: sqrt(1 + s^2
// sigma_w^2 times the mean of phi'^2 at plus and minus infinity), which for saturating activations is 1: gradients then grow, but more slowly than
// exponentially. PostActivation: the geometric mean over the middle blocks of a net of 48. Errors are those of [Residual.Validate].
func (r Residual) GradientFactor() (float64, error) {
	if err := r.Validate(); err != nil {
		return 0, err
	}
	s := r.scale()
	if r.Kind == PreActivation {
		square, _ := ends(r.Activation, true)
		if r.SigmaW2 == 0 && r.SigmaB2 == 0 {
			square = 0
		}
		return math.Sqrt(1 + s*s*r.SigmaW2*square), nil
	}
	layers, err := r.From(Input{MeanSquare: 1}, 48)
	if err != nil {
		return 0, err
	}
	return math.Pow(layers[20].DeltaNorm/layers[28].DeltaNorm, 1.0/8), nil
}

// cloud is the distribution of one unit's z: the nodes of a quadrature rule, its weights, and the density times them.
type cloud struct{ z, weight, mass []float64 }

func (c cloud) mean(f func(z float64) float64) float64 {
	sum := 0.0
	for i, z := range c.z {
		sum += c.mass[i] * f(z)
	}
	return sum
}

// post follows the density forward and the conditional mean of delta^2 backward.
func (r Residual) post(in Input, depth int) ([]Layer, error) {
	a, s := r.Activation, r.scale()
	layers := make([]Layer, depth)
	clouds, spreads := make([]cloud, depth), make([]float64, depth) // spreads[l]: standard deviation of what block l adds
	q1 := r.SigmaW2*in.MeanSquare + r.SigmaB2
	if q1 == 0 {
		return nil, errors.Errorf("the first layer's length is 0: a post-activation net needs inputs that are not all 0, or biases")
	}
	clouds[0] = gaussian(q1, a.Kinks())
	square := func(z float64) float64 { return a.Value(z) * a.Value(z) }
	for i := range layers {
		h2 := clouds[i].mean(square)
		layers[i] = Layer{Index: i + 1, Q: clouds[i].mean(func(z float64) float64 { return z * z }), HSquare: h2, Correlation: math.NaN(), Gap: math.NaN()}
		if i+1 < depth {
			spreads[i+1] = math.Abs(s) * math.Sqrt(r.SigmaW2*h2+r.SigmaB2)
			next, err := clouds[i].add(a, spreads[i+1])
			if err != nil {
				return nil, errors.WithMessagef(err, "layer %d", i+2)
			}
			clouds[i+1] = next
		}
	}
	// b is the mean of delta^2 given z, at the nodes. On top, delta is phi'(z) times what comes from the output, which does not know z.
	b := make([]float64, len(clouds[depth-1].z))
	for j, z := range clouds[depth-1].z {
		b[j] = a.Derivative(z) * a.Derivative(z)
	}
	total := dot(clouds[depth-1].mass, b)
	if total == 0 {
		return nil, errors.Errorf("backpropagation finds no gradient at all through %s; take %q, or another activation", a, PreActivation)
	}
	layers[depth-1].Chi = math.NaN()
	for i := depth - 2; i >= 0; i-- {
		above := b
		b = make([]float64, len(clouds[i].z))
		for j, z := range clouds[i].z {
			if d := a.Derivative(z); d != 0 {
				b[j] = d * d * (clouds[i+1].given(a.Value(z), spreads[i+1], above) + s*s*r.SigmaW2*total)
			}
		}
		now := dot(clouds[i].mass, b)
		layers[i].Chi = now / total
		total = 1 // scaled anew in each layer, so that nothing overflows
		for j := range b {
			b[j] /= now
		}
	}
	backward(layers, in, false)
	return layers, nil
}

func dot(a, b []float64) float64 {
	sum := 0.0
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}

// gaussian is the cloud of N(0, q).
func gaussian(q float64, kinks []float64) cloud {
	s := math.Sqrt(q)
	rule := inner.spread(panels(s, 1.5, kinks))
	c := cloud{z: rule.x, mass: rule.w, weight: make([]float64, len(rule.x))}
	for i, g := range rule.x {
		c.z[i], c.weight[i] = s*g, s*rule.w[i]/density(g)
	}
	return c.trimmed()
}

// trimmed drops the ends that no longer count.
func (c cloud) trimmed() cloud {
	low, high := 0, len(c.z)
	for low < high && c.mass[low] < 1e-18 {
		low++
	}
	for high > low && c.mass[high-1] < 1e-18 {
		high--
	}
	return cloud{c.z[low:high], c.weight[low:high], c.mass[low:high]}
}

const farSpreads = 8.5 // in standard deviations; beyond, the normal density is below 1e-16

// add returns the cloud of phi(z) + spread g. Adding the Gaussian makes the density smooth over about spread, so that panels of that length do.
func (c cloud) add(a activation.Activation, spread float64) (cloud, error) {
	h := make([]float64, len(c.z))
	low, high := math.Inf(1), math.Inf(-1)
	for i, z := range c.z {
		h[i] = a.Value(z)
		low, high = min(low, h[i]), max(high, h[i])
	}
	low, high = low-farSpreads*spread, high+farSpreads*spread
	width := 1.5 * spread
	if !(spread > 0) || math.IsInf(high-low, 0) || (high-low)/width > 400 {
		return cloud{}, errors.Errorf("the density of z cannot be followed: the block adds a standard deviation of %.3g to a range of %.3g; take a larger Scale, or %q", spread, high-low, PreActivation)
	}
	ends := []float64{low, high, 0}
	for z := low + width; z < high; z += width {
		ends = append(ends, z)
	}
	for z := 1.0; z < 2*width && !homogeneous(a); z *= 2 {
		ends = append(ends, z, -z)
	}
	ends = ordered(append(ends, a.Kinks()...), low, high)
	var out cloud
	for i := 1; i < len(ends); i++ {
		mid, half := (ends[i]+ends[i-1])/2, (ends[i]-ends[i-1])/2
		for j, x := range inner.x {
			z := mid + half*x
			sum := 0.0
			for k, hk := range h {
				if t := (z - hk) / spread; t < farSpreads && t > -farSpreads {
					sum += c.mass[k] * density(t)
				}
			}
			w := half * inner.w[j]
			out.z, out.weight, out.mass = append(out.z, z), append(out.weight, w), append(out.mass, w*sum/spread)
		}
	}
	return out.trimmed(), nil
}

// given returns the mean of values, known at the nodes of c, over z ~ N(h, spread^2).
func (c cloud) given(h, spread float64, values []float64) float64 {
	sum := 0.0
	for i, z := range c.z {
		if t := (z - h) / spread; t < farSpreads && t > -farSpreads {
			sum += c.weight[i] * density(t) * values[i]
		}
	}
	return sum / spread
}
