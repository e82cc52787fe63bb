package meanfield

import (
	"fmt"
	"math"

	"github.com/pkg/errors"
)

// Tolerance is how close chi_1 must be to 1 for the phase to be critical.
const Tolerance = 1e-6

// Lengths are searched from shortest to longest, steps a decade; beyond them a length counts as 0 and as infinite. farAway is a z where phi' has reached its limits.
const (
	shortest = 1e-12
	longest  = 1e12
	steps    = 3
	farAway  = 1e12
	equal    = 1e-12 // a slope this close to 1 is 1
)

// Phase tells what depth does to gradients and to the difference of two inputs: chi_1 below, at or above 1 (Poole et al. 2016; Schoenholz et al. 2017).
type Phase int

const (
	// Ordered: chi_1 < 1 - Tolerance. Gradients vanish, and two inputs that are close get closer.
	Ordered Phase = iota - 1
	// Critical: chi_1 is 1 within Tolerance. Both survive to any depth.
	Critical
	// Chaotic: chi_1 > 1 + Tolerance. Gradients explode, and two inputs that are close move apart. A homogeneous activation (ReLU) has no chaos proper: gradients
	// explode along with the lengths, and two inputs still get closer.
	Chaotic
)

// String returns "ordered", "critical" or "chaotic".
func (p Phase) String() string {
	switch p {
	case Ordered:
		return "ordered"
	case Critical:
		return "critical"
	case Chaotic:
		return "chaotic"
	}
	return fmt.Sprintf("Phase(%d)", int(p))
}

// MarshalText writes what String does.
func (p Phase) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (p *Phase) UnmarshalText(text []byte) error {
	for _, known := range []Phase{Ordered, Critical, Chaotic} {
		if known.String() == string(text) {
			*p = known
			return nil
		}
	}
	return errors.Errorf("phase %q: choose ordered, critical or chaotic", text)
}

// PhaseOf returns the phase that belongs to chi_1.
func PhaseOf(chi1 float64) Phase {
	switch {
	case chi1 > 1+Tolerance:
		return Chaotic
	case chi1 < 1-Tolerance:
		return Ordered
	}
	return Critical
}

// Point is where depth takes a net: the fixed point of its length and of the correlation of two inputs, and how fast.
type Point struct {
	// Q is q*, the length that layers tend to from the start asked for. It is +Inf if lengths grow without end (ReLU with SigmaW2 > 2, or with SigmaW2 = 2
	// and biases), 0 if they die out, and the start itself if every length is kept (Kept).
	Q float64 `json:"q"`
	// Kept says that each length is a fixed point: ReLU with SigmaW2 = 2 and linear with SigmaW2 = 1, without biases.
	Kept bool `json:"kept,omitempty"`
	// Chi1 is chi_1 = sigma_w^2 E[phi'^2] at Q: the factor of the mean squared norm of delta a layer, and the slope of the correlation map at 1 (at Q = 0 and
	// Q = +Inf: its limit). +Inf for the step.
	Chi1 float64 `json:"chi_1"`
	// C is c*, the correlation that two different inputs tend to, the stable fixed point in [0, 1]. It is 1 for chi_1 <= 1 and for homogeneous activations.
	// NaN where each correlation is kept, as by linear units without biases, or by smooth ones with Q = 0.
	C float64 `json:"c"`
	// ChiC is the slope of the correlation map at C.
	ChiC float64 `json:"chi_c"`
	// XiQ, XiC and XiGradient are depths, in layers, over which the distance of the length from Q, the distance of the correlation from C, and the mean
	// SQUARED norm of delta change by a factor of e: -1/log of the slope of the length map, of ChiC and of Chi1 (Schoenholz et al. 2017).
	// +Inf: no exponential (a slope of 1); negative: growth. XiQ is 0 where one layer suffices.
	XiQ        float64 `json:"xi_q"`
	XiC        float64 `json:"xi_c"`
	XiGradient float64 `json:"xi_gradient"`
	// Phase goes by Chi1.
	Phase Phase `json:"phase"`
	// Jumps says that the activation itself jumps (step): Chi1 is then the slope of the correlation map, and no backpropagation knows it.
	Jumps bool `json:"jumps,omitempty"`
}

// GradientFactor is sqrt(chi_1): by how much the norm of delta differs from that of the layer after it. For the step it is 0, not +Inf: backpropagation takes
// phi' where it exists, and it is 0 there.
func (p Point) GradientFactor() float64 {
	if p.Jumps {
		return 0
	}
	return math.Sqrt(p.Chi1)
}

// String writes the point in one line.
func (p Point) String() string {
	return fmt.Sprintf("%v: q* %.6g, chi_1 %.6g (gradient x %.6g a layer), c* %.6g, depth scales: length %.4g, correlation %.4g, gradient %.4g",
		p.Phase, p.Q, p.Chi1, p.GradientFactor(), p.C, p.XiQ, p.XiC, p.XiGradient)
}

// GradientFactor is that of [Net.Fixed].
func (n Net) GradientFactor() (float64, error) {
	p, err := n.Fixed()
	return p.GradientFactor(), err
}

// FixedLength is one fixed point of the length map.
type FixedLength struct {
	Q     float64 `json:"q"`
	Slope float64 `json:"slope"` // of the length map; lengths nearby tend to Q if it is below 1 and leave it if above
}

// Lengths returns all fixed points of the length map between 0 and 1e12 in rising order, stable ones and not; none if every length grows. With GELU,
// SiLU and the like there may be an unstable one between 0 and +Inf: what becomes of a net then depends on its inputs. Where every length is kept (see
// [Point]) it is the one with Q = 1. An error is that of [Net.Validate].
func (n Net) Lengths() ([]FixedLength, error) {
	if err := n.Validate(); err != nil {
		return nil, err
	}
	list, _ := n.lengths()
	return list, nil
}

// excess is V(q)/q - 1 for the length map V: its sign says where q goes, and relative to q it keeps its digits.
func (n Net) excess(q float64) float64 {
	s := math.Sqrt(q)
	rule := inner.spread(panels(s, 1.5, n.Activation.Kinks()))
	square := 0.0
	for i, g := range rule.x {
		h := n.Activation.Value(s * g)
		square += rule.w[i] * h * h
	}
	v := (n.SigmaW2*square+n.SigmaB2)/q - 1
	if math.Abs(v) < 2e-15 {
		return 0
	}
	return v
}

// lengths also says whether every length is kept. The map rises with q for each activation there is, so that a start moves one way, to the next fixed point.
func (n Net) lengths() (list []FixedLength, kept bool) {
	a := n.Activation
	if homogeneous(a) {
		square, _ := ends(a, false) // phi = phi' z
		slope := n.SigmaW2 * square
		switch {
		case math.Abs(slope-1) < equal && n.SigmaB2 == 0:
			return []FixedLength{{1, 1}}, true
		case n.SigmaB2 == 0:
			return []FixedLength{{0, slope}}, false
		case slope < 1-equal:
			return []FixedLength{{n.SigmaB2 / (1 - slope), slope}}, false
		}
		return nil, false
	}
	if n.SigmaW2 == 0 {
		return []FixedLength{{n.SigmaB2, 0}}, false
	}
	low, fLow := shortest, 0.0
	if zero := momentsOf(a, 0); n.SigmaB2 == 0 && zero.square == 0 {
		slope := n.SigmaW2 * zero.slope
		list = append(list, FixedLength{0, slope})
		if math.Abs(slope-1) > equal {
			fLow = slope - 1
		}
	} else {
		fLow = 1
	}
	decades := int(math.Round(math.Log10(longest / shortest)))
	for i := 1; i <= steps*decades; i++ {
		high := shortest * math.Pow(10, float64(i)/steps)
		fHigh := n.excess(high)
		if fHigh == 0 {
			continue // a zero to rounding: the next sign tells
		}
		if fLow*fHigh < 0 {
			if fAt := n.excess(low); fAt*fHigh < 0 {
				q := root(n.excess, low, high, fAt, fHigh, 1e-15)
				list = append(list, FixedLength{q, n.SigmaW2 * momentsOf(a, q).growth})
			}
		}
		low, fLow = high, fHigh
	}
	return list, false
}

// Fixed is [Net.FixedFrom] for inputs whose entries have mean square 1, so that the first layer's length is sigma_w^2 + sigma_b^2.
func (n Net) Fixed() (Point, error) {
	if err := n.Validate(); err != nil {
		return Point{}, err
	}
	return n.FixedFrom(n.SigmaW2 + n.SigmaB2)
}

// FixedFrom returns where a net tends to whose first layer has length q1. No iteration is involved: fixed points are bracketed and solved for, so that slow
// convergence near criticality costs nothing. Where lengths diverge this is said by Q, not by an error; errors are those of [Net.Validate] and a q1 that is
// negative or not finite.
func (n Net) FixedFrom(q1 float64) (Point, error) {
	if err := n.Validate(); err != nil {
		return Point{}, err
	}
	if err := variance("the first layer's length q1", q1); err != nil {
		return Point{}, err
	}
	list, kept := n.lengths()
	p := Point{Kept: kept, Jumps: jumps(n.Activation)}
	slope := 0.0
	switch {
	case kept:
		p.Q, slope = q1, 1
	default:
		p.Q, slope = n.attractor(list, q1)
	}
	p.XiQ = depthScale(slope)
	n.correlate(&p)
	p.XiGradient = depthScale(p.Chi1)
	p.Phase = PhaseOf(p.Chi1)
	return p, nil
}

// attractor picks the fixed point that q1 moves to, and the slope of the length map there.
func (n Net) attractor(list []FixedLength, q1 float64) (q, slope float64) {
	below, above := -1, -1
	for i, f := range list {
		if math.Abs(f.Q-q1) <= 1e-12*q1 {
			return f.Q, f.Slope
		}
		if f.Q < q1 {
			below = i
		} else if above < 0 {
			above = i
		}
	}
	grows := q1 == 0 || n.excess(q1) > 0
	switch {
	case grows && above >= 0:
		return list[above].Q, list[above].Slope
	case !grows && below >= 0:
		return list[below].Q, list[below].Slope
	}
	square, _ := ends(n.Activation, true)
	return math.Inf(1), n.SigmaW2 * square
}

// depthScale is -1/log(slope).
func depthScale(slope float64) float64 {
	switch {
	case slope <= 0:
		return 0
	case math.Abs(slope-1) < 1e-12:
		return math.Inf(1)
	case math.IsInf(slope, 1):
		return math.Copysign(0, -1)
	}
	return -1 / math.Log(slope)
}

// correlate fills in chi_1 and all that concerns the correlation of two inputs.
func (n Net) correlate(p *Point) {
	if scaleFree := p.Q == 0 || math.IsInf(p.Q, 1) || p.Kept; scaleFree {
		// Only the slopes of phi on the two sides of 0 count: the correlation map is that of a leaky ReLU, or of a linear unit.
		square, linear := ends(n.Activation, p.Q != 0)
		if p.Chi1 = n.SigmaW2 * square; p.Jumps {
			p.Chi1 = math.Inf(1)
		}
		p.C, p.ChiC = 1, 1
		if linear {
			p.C = math.NaN()
		}
		p.XiC = math.Inf(1)
		return
	}
	p.Chi1 = n.chi(momentsOf(n.Activation, p.Q))
	if n.SigmaW2 == 0 {
		p.C, p.XiC = 1, 0
		return
	}
	if homogeneous(n.Activation) || p.Chi1 <= 1+1e-10 {
		// All coefficients of the map are positive, so that it is convex on [0, 1]: with a slope of at most 1 at 1 it has no other fixed point.
		p.C, p.ChiC, p.XiC = 1, p.Chi1, depthScale(p.Chi1)
		return
	}
	k := newKernel(n.Activation, p.Q, p.Q)
	gap := n.fixedGap(k, p.Q, p.Chi1)
	p.C = 1 - gap
	p.ChiC = n.SigmaW2 * k.slope(gap) / p.Q
	p.XiC = depthScale(p.ChiC)
}

// fixedGap returns 1-c* for chi_1 > 1. The ratio of 1-c after a layer and before falls from chi_1 at c = 1 to 1 at most at c = 0; its square root of the gap as
// the variable makes it smooth also for kinked activations.
func (n Net) fixedGap(k *kernel, q, chi1 float64) float64 {
	ratio := func(t float64) float64 {
		next, _ := n.gap(k, q, t*t)
		return next/(t*t) - 1
	}
	low, high := 1e-9, 1.0
	fHigh := ratio(high)
	if fHigh > -1e-12 {
		return 1
	}
	fLow, precision := min(chi1-1, 1e3), 1e-9
	// The series is a thousand times cheaper than quadrature in two dimensions: see first whether it holds the answer.
	if t := math.Sqrt(k.reach() * (1 + 1e-9)); t > low {
		if f := ratio(t); f > 0 {
			low, fLow, precision = t, f, 1e-12
		} else {
			high, fHigh = t, f
		}
	}
	t := root(ratio, low, high, fLow, fHigh, precision)
	return t * t
}
