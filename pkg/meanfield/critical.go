package meanfield

import (
	"math"

	"github.com/pkg/errors"

	"github.com/gradbook/gradbook/pkg/activation"
)

// EdgePoint is a point of the edge of chaos: the variances at which chi_1 = 1, and the length at which it is.
type EdgePoint struct {
	SigmaB2 float64 `json:"sigma_b2"`
	SigmaW2 float64 `json:"sigma_w2"`
	// Q is q*: +Inf for ReLU and the like with biases, and for softplus, where lengths grow without end, in proportion to depth, and gradients do not; 1, as
	// one of all, where every length is kept.
	Q float64 `json:"q"`
}

// Critical returns the sigma_w for which chi_1 = 1 with this net's SigmaB2; its SigmaW2 is not used. Where there are several, it is that of the smallest q*.
// Sigmoid units have one for each SigmaB2, but far out: sigma_w = 10.15 without biases. It is an error, with the reason, if there is none: for the step,
// whose chi_1 is infinite; for GELU with a SigmaB2 below 0.17 or so and SiLU below 0.55, where the length at which chi_1 would be 1 is an unstable fixed
// point: lengths collapse or grow away from it, and chi_1 jumps past 1 (the start is that of inputs of mean square 1). Other errors are those of
// [Net.Validate].
func (n Net) Critical() (sigmaW float64, err error) {
	p, err := n.EdgePoint()
	return math.Sqrt(p.SigmaW2), err
}

// EdgePoint is [Net.Critical] with all that belongs to it.
func (n Net) EdgePoint() (EdgePoint, error) {
	n.SigmaW2 = 1
	if err := n.Validate(); err != nil {
		return EdgePoint{}, err
	}
	a := n.Activation
	if jumps(a) {
		return EdgePoint{}, errors.Errorf("no critical sigma_w for %s: its derivative is a delta function, so that chi_1 is infinite for each sigma_w > 0; take an activation without a jump", a)
	}
	if homogeneous(a) {
		square, _ := ends(a, false)
		if square == 0 {
			return EdgePoint{}, errors.Errorf("no critical sigma_w for %s: its derivative is 0", a)
		}
		p := EdgePoint{SigmaB2: n.SigmaB2, SigmaW2: 1 / square, Q: math.Inf(1)}
		if n.SigmaB2 == 0 {
			p.Q = 1
		}
		return p, nil
	}
	// Along the edge q* is a good parameter: chi_1 = 1 gives sigma_w^2, and the length map then gives sigma_b^2.
	candidates := []float64{}
	bias := func(q float64) float64 {
		m := momentsOf(a, q)
		return 1 - m.square/m.slope/q - n.SigmaB2/q
	}
	if zero := momentsOf(a, 0); n.SigmaB2 == 0 && zero.square == 0 {
		candidates = append(candidates, 0)
	}
	low := 1e-9
	fLow := bias(low)
	for i := 1; i <= 48; i++ {
		high := 1e-9 * math.Pow(10, float64(i)/3)
		fHigh := bias(high)
		if fLow*fHigh < 0 && (math.Abs(fLow) > 1e-11 || low > 1e-3) {
			candidates = append(candidates, root(bias, low, high, fLow, fHigh, 1e-15))
		}
		low, fLow = high, fHigh
	}
	why := ""
	for _, q := range candidates {
		p := EdgePoint{SigmaB2: n.SigmaB2, SigmaW2: 1 / momentsOf(a, q).slope, Q: q}
		// It counts only if lengths go there.
		at, err := Net{a, p.SigmaW2, n.SigmaB2}.Fixed()
		if err == nil && math.Abs(at.Chi1-1) < Tolerance {
			return p, nil
		}
		why = errors.Errorf("chi_1 is 1 for sigma_w^2 = %.4g at q = %.3g, but lengths do not go there; ", p.SigmaW2, q).Error()
	}
	below, above := n.around()
	if math.IsInf(above.Q, 1) && below.Q > 1e4 && math.Abs(above.Chi1-1) < Tolerance {
		// q* grows without bound on the way, and chi_1 tends to 1 with it.
		square, _ := ends(a, true)
		return EdgePoint{SigmaB2: n.SigmaB2, SigmaW2: 1 / square, Q: above.Q}, nil
	}
	return EdgePoint{}, errors.Errorf("no critical sigma_w for %s with sigma_b^2 = %g: %sfor inputs of mean square 1, chi_1 jumps from %.3g (q* = %.3g) to %.3g (q* = %.3g) at sigma_w^2 = %.4g; take larger biases, or batch normalisation",
		a, n.SigmaB2, why, below.Chi1, below.Q, above.Chi1, above.Q, n.SigmaW2)
}

// around finds the two neighbouring sigma_w^2 where chi_1 passes from below 1 to above 1, sets the net's to them, and returns what is there.
func (n *Net) around() (below, above Point) {
	low, high := 1e-3, 1e6
	for high/low > 1+1e-9 {
		n.SigmaW2 = math.Sqrt(low * high)
		if p, _ := n.Fixed(); p.Chi1 < 1 {
			low, below = n.SigmaW2, p
		} else {
			high, above = n.SigmaW2, p
		}
	}
	return below, above
}

// Edge returns the edge of chaos: the critical sigma_w^2 for `points` values of sigma_b from 0 to maxSigmaB, evenly spaced. Values of sigma_b that have no
// critical sigma_w are left out; it is an error if none has one, if maxSigmaB is negative or not finite, or if points is below 1.
func Edge(a activation.Activation, maxSigmaB float64, points int) ([]EdgePoint, error) {
	if err := variance("maxSigmaB", maxSigmaB); err != nil {
		return nil, err
	}
	if points < 1 {
		return nil, errors.Errorf("%d points of the edge of chaos: choose 1 or more", points)
	}
	var (
		edge []EdgePoint
		last error
	)
	for i := range points {
		sigmaB := maxSigmaB * float64(i) / float64(max(points-1, 1))
		p, err := Net{Activation: a, SigmaB2: sigmaB * sigmaB}.EdgePoint()
		if err != nil {
			last = err
			continue
		}
		edge = append(edge, p)
	}
	if len(edge) == 0 {
		return nil, last
	}
	return edge, nil
}
