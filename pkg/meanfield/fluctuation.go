package meanfield

import (
	"fmt"
	"math"

	"github.com/pkg/errors"

	"github.com/gradbook/gradbook/pkg/activation"
)

// Fluctuation is the spread, over draws of the weights, of the LOGARITHM of a norm after some layers of finite width: of |delta| at the first layer relative
// to the last, or of |h| at the last relative to the first. It is close to Gaussian for many layers: the norm itself is close to log-normal, and its typical
// value lies below the root of its mean square.
type Fluctuation struct {
	// Mean of log(norm), minus the log of the wide net's factor: it is negative.
	Mean float64 `json:"mean"`
	// Variance of log(norm). The log of the SQUARED norm has 4 times that, about 5/n a ReLU layer.
	Variance float64 `json:"variance"`
	// Dead is the probability that a layer has no unit that is on, so that the norm is 0; Mean and Variance are for nets without such a layer.
	Dead float64 `json:"dead"`
}

// String writes the spread as a factor.
func (f Fluctuation) String() string {
	return fmt.Sprintf("x %.4g typically, times or divided by %.4g (one standard deviation)", math.Exp(f.Mean), math.Exp(math.Sqrt(f.Variance)))
}

// Fluctuate returns the spread for a homogeneous activation (linear, ReLU, leaky ReLU) without biases, after one layer for each of the widths. Given the norm
// below it, the squared norm of a layer of n units is in proportion to X, the sum of D_i g_i^2 with independent standard normal g_i, and D_i the square of
// one or the other slope, with probability 1/2 each. Layers are independent, so that logs add up. Mean and variance of log X are computed exactly; to first
// order in 1/n, its variance is (3 E[D^2]/E[D]^2 - 1)/n and its mean, less log E[X], is minus half of that: 5/n for ReLU (Hanin and Nica 2018, Products of
// many large random matrices and gradients in deep neural networks) and 2/n for linear units.
//
// It is exact for h on the way forward, and on the way back under the assumption that weights there are independent of those on the way forward.
// Errors: an activation that is not homogeneous or is identically 0, no widths, or a width below 1.
func Fluctuate(a activation.Activation, widths ...int) (Fluctuation, error) {
	if err := a.Valid(); err != nil {
		return Fluctuation{}, err
	}
	if !homogeneous(a) {
		return Fluctuation{}, errors.Errorf("no theory of fluctuations for %s: it is known here for activations that scale (linear, relu, leaky_relu, prelu)", a)
	}
	if len(widths) == 0 {
		return Fluctuation{}, errors.New("no widths given: one for each layer that the gradient passes")
	}
	right, left := a.Derivative(1), a.Derivative(-1)
	if right == 0 && left == 0 {
		return Fluctuation{}, errors.Errorf("no fluctuation for %s: it is 0 throughout", a)
	}
	var (
		f     Fluctuation
		alive = 1.0
	)
	var mean, spread float64
	for i, n := range widths {
		if n < 1 {
			return Fluctuation{}, errors.Errorf("width %d: each must be 1 or more", n)
		}
		if i == 0 || n != widths[i-1] {
			mean, spread = logOfSquares(n, right*right, left*left)
		}
		f.Mean += mean / 2
		f.Variance += spread / 4
		if right == 0 || left == 0 {
			alive *= 1 - math.Exp2(-float64(n))
		}
	}
	f.Dead = 1 - alive
	return f, nil
}

// logOfSquares returns the mean of log(X/E[X]) and its variance for the sum X of n terms D g^2, D being r or l; if one of these is 0, on condition that X is
// not. With an independent exponential variable T of mean 1, T/X exceeds t with probability E[exp(-t X)], which is known: so the moments of log T - log X are
// integrals of one smooth density, and those of log T are -gamma and pi^2/6.
func logOfSquares(n int, r, l float64) (mean, spread float64) {
	const (
		gamma = 0.577215664901532860606512090082
		step  = 1.0 / 8 // the trapezoidal rule converges exponentially: the density is analytic in a strip
	)
	count, centre := float64(n), math.Log(float64(n)*(r+l)/2)
	var total, first, second float64
	for u := -45.0; u <= 90; u += step {
		t := math.Exp(u - centre)
		one := (1/math.Sqrt(1+2*r*t) + 1/math.Sqrt(1+2*l*t)) / 2
		slope := (r*math.Pow(1+2*r*t, -1.5) + l*math.Pow(1+2*l*t, -1.5)) / 2
		p := step * count * t * slope * math.Exp((count-1)*math.Log(one))
		total += p
		first += p * u
		second += p * u * u
	}
	first, second = first/total, second/total
	return -gamma - first, second - first*first - math.Pi*math.Pi/6
}
