package meanfield

import (
	"math"

	"github.com/pkg/errors"

	"github.com/gradbook/gradbook/pkg/activation"
)

// Net is a fully connected net at initialisation, in the limit of wide layers: z^l = W^l h^(l-1) + b^l, h^l = phi(z^l), with independent weights of mean 0 and
// variance SigmaW2/fan_in and biases of mean 0 and variance SigmaB2. Glorot's initialisation of equal widths is SigmaW2 = 1, He's is SigmaW2 = 2.
type Net struct {
	Activation activation.Activation `json:"activation"`
	SigmaW2    float64               `json:"sigma_w2"` // variance of a weight times the fan-in; 0 or more
	SigmaB2    float64               `json:"sigma_b2"` // variance of a bias; 0 or more
}

// Validate returns nil for a net whose activation is set and whose variances are finite and not negative, else an error that says what is wrong.
func (n Net) Validate() error {
	if err := n.Activation.Valid(); err != nil {
		return errors.WithMessage(err, "meanfield.Net")
	}
	if err := variance("SigmaW2", n.SigmaW2); err != nil {
		return err
	}
	return variance("SigmaB2", n.SigmaB2)
}

// variance checks a field that is one.
func variance(name string, v float64) error {
	if !(v >= 0) || math.IsInf(v, 1) {
		return errors.Errorf("%s is %g: a variance must be a finite number, 0 or more", name, v)
	}
	return nil
}

// moments are expectations over one unit with z ~ N(0, q).
type moments struct {
	mean, square float64 // E[phi], E[phi^2]
	slope        float64 // E[phi'^2], phi' taken almost everywhere
	growth       float64 // d E[phi^2] / dq = E[z phi phi'] / q = E[phi'^2] + E[phi phi'']
}

func momentsOf(a activation.Activation, q float64) moments {
	kinks := a.Kinks()
	if q < smallest {
		at := func(f func(float64) float64) float64 { return Expect(f, 0, kinks...) }
		m := moments{
			mean:   at(a.Value),
			square: at(func(z float64) float64 { return a.Value(z) * a.Value(z) }),
			slope:  at(func(z float64) float64 { return a.Derivative(z) * a.Derivative(z) }),
		}
		m.growth = momentsOf(a, 1e-12).growth
		return m
	}
	s := math.Sqrt(q)
	rule := outer.spread(panels(s, 2, kinks))
	var m moments
	for i, g := range rule.x {
		w, h, d := rule.w[i], a.Value(s*g), a.Derivative(s*g)
		m.mean += w * h
		m.square += w * h * h
		m.slope += w * d * d
		m.growth += w * g * h * d
	}
	m.growth /= s
	return m
}

// jumps reports whether phi itself jumps, as the step does: the derivative then holds a delta function, whose square has no finite expectation.
func jumps(a activation.Activation) bool {
	for _, k := range a.Kinks() {
		if math.Abs(a.Value(math.Nextafter(k, math.Inf(1)))-a.Value(math.Nextafter(k, math.Inf(-1)))) > 1e-9 {
			return true
		}
	}
	return false
}

// homogeneous reports whether phi(t z) = t phi(z) for t > 0 (linear, ReLU, leaky ReLU): lengths then scale and nothing else changes.
func homogeneous(a activation.Activation) bool {
	for _, z := range []float64{-1, 1} {
		for _, t := range []float64{1e-3, 2, 1e3} {
			if h := t * a.Value(z); math.Abs(a.Value(t*z)-h) > 1e-12*math.Abs(h) {
				return false
			}
		}
	}
	return a.Value(0) == 0
}

// ends returns the mean of phi'^2 just around 0, or with far at plus and minus infinity, and whether phi' is the same on both sides.
func ends(a activation.Activation, far bool) (square float64, same bool) {
	z := tiny
	if far {
		z = farAway
	}
	right, left := a.Derivative(z), a.Derivative(-z)
	return (right*right + left*left) / 2, right == left
}

// Length is the length map: the mean square of a unit's z in a layer when it is q in the layer before, sigma_w^2 E[phi(z)^2] + sigma_b^2 (Poole et al. 2016, eq. 3).
// It is NaN if q is negative or not finite, or the net is not valid ([Net.Validate] says why).
func (n Net) Length(q float64) float64 {
	if n.Validate() != nil || !(q >= 0) || math.IsInf(q, 1) {
		return math.NaN()
	}
	return n.SigmaW2*momentsOf(n.Activation, q).square + n.SigmaB2
}

// Chi is chi(q) = sigma_w^2 E[phi'(z)^2], z ~ N(0, q): the mean factor of the SQUARED norm of delta from a layer to the one before it, where that has length
// q (Schoenholz et al. 2017, whose chi_1 it is at q*). It is +Inf for the step, whose derivative is a delta function, and NaN as for [Net.Length].
func (n Net) Chi(q float64) float64 {
	if n.Validate() != nil || !(q >= 0) || math.IsInf(q, 1) {
		return math.NaN()
	}
	return n.chi(momentsOf(n.Activation, q))
}

func (n Net) chi(m moments) float64 {
	if jumps(n.Activation) && n.SigmaW2 > 0 {
		return math.Inf(1)
	}
	return n.SigmaW2 * m.slope
}

// Correlation is the correlation map: the correlation of z for two inputs in a layer when both have length q and they have correlation c in the layer before
// (Poole et al. 2016, eq. 5, divided by the new length, so that it is right away from q*, too). For q = 0 it is the limit from above. It is NaN for c outside
// [-1, 1] and as for [Net.Length], or where the next layer has length 0.
func (n Net) Correlation(q, c float64) float64 {
	if n.Validate() != nil || !(q >= 0) || math.IsInf(q, 1) || !(c >= -1 && c <= 1) {
		return math.NaN()
	}
	if q == 0 {
		q = 1e-24
	}
	gap, _ := n.gap(newKernel(n.Activation, q, q), q, 1-c)
	return 1 - gap
}

// gap is 1 minus the correlation map, for 1 minus the correlation, both to relative precision; q is the length of both.
func (n Net) gap(k *kernel, q, gap float64) (next, length float64) {
	length = n.SigmaW2*k.a.square + n.SigmaB2
	if gap == 0 && length > 0 {
		return 0, length
	}
	return n.SigmaW2 * k.difference(gap) / length, length
}
