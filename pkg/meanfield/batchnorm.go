package meanfield

import (
	"math"

	"github.com/pkg/errors"

	"github.com/gradbook/gradbook/pkg/activation"
)

// BatchNorm is a wide fully connected net with batch normalisation in each layer, at initialisation: the learned scale is 1, the learned shift 0, and epsilon
// is small beside the variances.
type BatchNorm struct {
	Activation activation.Activation `json:"activation"`
	// SigmaW2 and SigmaB2 are as in Net. Neither counts where the normalisation is before the activation: it divides by the one and subtracts the other.
	SigmaW2 float64 `json:"sigma_w2"`
	SigmaB2 float64 `json:"sigma_b2"`
	// Batch is the number of examples in a batch, 4 or more; 0 is the limit of large batches.
	Batch int `json:"batch,omitempty"`
	// After puts the normalisation after the activation, h = N(phi(z)); else it is before, h = phi(N(z)). After is known for large batches only.
	After bool `json:"after,omitempty"`
}

// BatchNormPoint is what a batch-normalised net of many layers tends to.
type BatchNormPoint struct {
	// Q is the mean square of what the activation is applied to, and C its correlation for two examples of the batch: 1 and -1/(Batch-1) where the
	// normalisation is before.
	Q float64 `json:"q"`
	C float64 `json:"c"`
	// Chi is the factor of the mean squared norm of dL/dz a layer, z being what comes out of the weights, summed over the examples of the batch.
	Chi float64 `json:"chi"`
}

// GradientFactor is sqrt(Chi): the factor of the norm of dL/dz a layer, from a layer to the one before it. For large batches, and normalisation before the
// activation, it is 1 or more: by Poincaré's inequality, Var(phi) <= E[phi'^2] for a Gaussian unit, with equality for linear units only.
func (p BatchNormPoint) GradientFactor() float64 { return math.Sqrt(p.Chi) }

// Validate returns an error that says what is wrong with the configuration, or nil.
func (b BatchNorm) Validate() error {
	if err := (Net{b.Activation, b.SigmaW2, b.SigmaB2}).Validate(); err != nil {
		return err
	}
	switch {
	case b.Batch != 0 && b.Batch < 4:
		return errors.Errorf("BatchNorm.Batch is %d: the mean squared gradient is finite from 4 examples on; 0 stands for a large batch", b.Batch)
	case b.After && b.Batch != 0:
		return errors.Errorf("BatchNorm.Batch is %d with After: theory here knows normalisation after the activation for large batches only; set Batch to 0", b.Batch)
	case b.After && b.SigmaW2 == 0:
		return errors.New("BatchNorm.SigmaW2 is 0 with After: z must vary for its activation to be normalised")
	}
	return nil
}

// Fixed returns where a net of many layers tends to. Before the activation and for large batches, examples are as good as independent and Chi = E[phi'^2] /
// Var(phi) at q = 1 (Yang et al. 2019, A mean field theory of batch normalization: pi/(pi-1) for ReLU, 1 for linear units). For a Batch of B examples, the
// normalised z of a unit are uniform on a sphere of B-1 dimensions, and the expectations are over two of its coordinates; linear units have Chi =
// (B-2)/(B-3). Both are exact for wide nets if, as there, all examples of a batch stay alike (their BSB1 fixed point) and weights on the way back are
// independent of those on the way forward. Simulated nets of each activation of this module go there, with 8 examples; that they
// do for all activations and batches is not known here.
//
// After the activation, for large batches: Chi = sigma_w^2 E[phi'^2] / Var(phi) at q = sigma_w^2, in the mean over the units' biases.
//
// It is an error if the activation jumps (step), since its derivative has no finite square, or if it does not vary, and those of [BatchNorm.Validate].
// SigmaW2 and SigmaB2 may be 0 before the activation.
func (b BatchNorm) Fixed() (BatchNormPoint, error) {
	if err := b.Validate(); err != nil {
		return BatchNormPoint{}, err
	}
	a := b.Activation
	if jumps(a) {
		return BatchNormPoint{}, errors.Errorf("batch normalisation with %s: its derivative is a delta function, whose square has no finite mean; backpropagation takes it as 0", a)
	}
	var p BatchNormPoint
	switch {
	case b.After:
		p = BatchNormPoint{Q: b.SigmaW2 + b.SigmaB2, Chi: b.chiAfter()}
		p.C = b.SigmaB2 / p.Q
	case b.Batch == 0:
		m := momentsOf(a, 1)
		p = BatchNormPoint{Q: 1, Chi: m.slope / (m.square - m.mean*m.mean)}
	default:
		p = BatchNormPoint{Q: 1, C: -1 / float64(b.Batch-1), Chi: b.chiBatch()}
	}
	if math.IsNaN(p.Chi) || math.IsInf(p.Chi, 0) {
		return BatchNormPoint{}, errors.Errorf("batch normalisation with %s: its output does not vary over a batch and cannot be normalised", a)
	}
	return p, nil
}

// GradientFactor is that of [BatchNorm.Fixed].
func (b BatchNorm) GradientFactor() (float64, error) {
	p, err := b.Fixed()
	return p.GradientFactor(), err
}

// chiAfter averages over a unit's bias, which all examples share.
func (b BatchNorm) chiAfter() float64 {
	a, s := b.Activation, math.Sqrt(b.SigmaW2)
	at := func(bias float64) float64 {
		kinks := []float64{-bias}
		for _, k := range a.Kinks() {
			kinks = append(kinks, k-bias)
		}
		ends := panels(s, 1, kinks)
		rule := outer.spread(ends)
		var mean, square, slope float64
		for i, g := range rule.x {
			w, h, d := rule.w[i], a.Value(s*g+bias), a.Derivative(s*g+bias)
			mean, square, slope = mean+w*h, square+w*h*h, slope+w*d*d
		}
		return b.SigmaW2 * slope / (square - mean*mean)
	}
	if b.SigmaB2 == 0 {
		return at(0)
	}
	return Expect(at, b.SigmaB2)
}

// chiBatch is Chi for a batch of B examples. Above a normalisation the covariance of dL/dz over the batch is proportional to P = I - 11'/B, as everything is
// alike under permutations and the mean is projected out. With u = z/|z| the normalised direction and D = diag(phi'), a layer takes P to (P - uu') D P D (P -
// uu') times the mean of 1/variance; what counts is the trace.
func (b BatchNorm) chiBatch() float64 {
	n := float64(b.Batch)
	one, two := sphere(b.Activation, b.Batch-1)
	trace := n*one.slope*(1-1/n) - (one.slope - (one.slope+(n-1)*two.slope)/n) - (one.along - (one.along+(n-1)*two.along)/n)
	inverse := n / ((one.phi - two.phi) * (n - 3)) // mean of 1/variance: B variance over the kernel is chi-squared with B-1 degrees of freedom
	return inverse * trace / (n - 1)
}

// products are expectations of f(x) f(y) for phi, phi' and z phi', over the normalised z of one unit: x and y are of the same example, or of two.
type products struct{ phi, slope, along float64 }

func (p *products) add(w, phi, slope, along float64) {
	p.phi, p.slope, p.along = p.phi+w*phi, p.slope+w*slope, p.along+w*along
}

// sphere takes them where the normalised z are sqrt(m) times coordinates of a point that is uniform on the unit sphere of R^m, the axes of two examples being
// at an angle of cosine -1/m. Points are given by two angles: x = sqrt(m) sin(psi), of density cos(psi)^(m-2), and across it theta, of density
// cos(theta)^(m-3).
func sphere(a activation.Activation, m int) (one, two products) {
	root, rho := math.Sqrt(float64(m)), -1/float64(m)
	gamma, across := math.Acos(rho), math.Sqrt(1-rho*rho)
	kinks := a.Kinks()
	var breaks []float64
	for _, k := range kinks {
		if t := k / root; math.Abs(t) < 1 {
			// The kink itself, and where the line of the second's kink meets the edge of the disc.
			breaks = append(breaks, math.Asin(t), math.Asin(math.Cos(gamma-math.Acos(t))), math.Asin(math.Cos(gamma+math.Acos(t))))
		}
	}
	first := angles(m-2, breaks)
	for i, psi := range first.x {
		x, at, radius := root*math.Sin(psi), rho*math.Sin(psi), across*math.Cos(psi)
		h, d := a.Value(x), a.Derivative(x)
		one.add(first.w[i], h*h, d*d, x*x*d*d)
		if first.w[i] < 1e-16 {
			continue
		}
		breaks = breaks[:0]
		for _, k := range kinks {
			if t := (k/root - at) / radius; math.Abs(t) < 1 {
				breaks = append(breaks, math.Asin(t))
			}
		}
		second := angles(m-3, breaks)
		var part products
		for j, theta := range second.x {
			y := root * (at + radius*math.Sin(theta))
			d := a.Derivative(y)
			part.add(second.w[j], a.Value(y), d, y*d)
		}
		two.add(first.w[i], h*part.phi, d*part.slope, x*d*part.along)
	}
	return one, two
}

// angles is quadrature on [-pi/2, pi/2] for the density cos^power, normalised.
func angles(power int, breaks []float64) points {
	width := 1.5 / math.Sqrt(float64(power)+1)
	half := min(math.Pi/2, 6*width)
	ends := []float64{-half, half, 0}
	for x := width; x < half; x += width {
		ends = append(ends, x, -x)
	}
	ends = ordered(append(ends, breaks...), -half, half)
	var p points
	total := 0.0
	for i := 1; i < len(ends); i++ {
		mid, h := (ends[i]+ends[i-1])/2, (ends[i]-ends[i-1])/2
		for j, x := range inner.x {
			psi := mid + h*x
			w := h * inner.w[j] * math.Pow(math.Cos(psi), float64(power))
			p.x, p.w = append(p.x, psi), append(p.w, w)
			total += w
		}
	}
	for i := range p.w {
		p.w[i] /= total
	}
	return p
}
