package meanfield

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/integrate/quad"
)

// Expectations are sums over Gauss-Legendre panels of g = z/sqrt(q), cut at |g| = reach, where the density is below 1e-22.
const (
	reach      = 10.0
	outerNodes = 20
	innerNodes = 12
)

var (
	outer   = legendre(outerNodes) // where moments are wanted to the last digit
	inner   = legendre(innerNodes) // elsewhere
	hermite = gaussHermite(20)     // the second of two where the integrand is smooth
)

// tiny stands for the limit q -> 0: its square underflows to 0, and its sign still tells the two sides of a kink apart. smallest is the shortest length that is not
// taken for 0.
const (
	tiny     = 1e-170
	smallest = 1e-280
)

// points are nodes and weights of a quadrature rule.
type points struct{ x, w []float64 }

func legendre(n int) points {
	p := points{make([]float64, n), make([]float64, n)}
	quad.Legendre{}.FixedLocations(p.x, p.w, -1, 1)
	return p
}

// gaussHermite is the rule for the standard normal density.
func gaussHermite(n int) points {
	p := points{make([]float64, n), make([]float64, n)}
	quad.Hermite{}.FixedLocations(p.x, p.w, math.Inf(-1), math.Inf(1))
	for i := range p.x {
		p.x[i] *= math.Sqrt2
		p.w[i] /= math.Sqrt(math.Pi)
	}
	return p
}

func density(g float64) float64 { return math.Exp(-0.5*g*g) / math.Sqrt(2*math.Pi) }

// panels returns the ends of the panels for a function of z = s g: every `width` in g, the kinks, and where z doubles. The last are for activations that
// turn within |z| of about 1 when that is a narrow strip of g: each panel is then no longer than its distance to their poles.
func panels(s, width float64, kinks []float64, extra ...float64) []float64 {
	ends := make([]float64, 0, 48)
	for g := -reach; g <= reach; g += width {
		ends = append(ends, g)
	}
	for z := 1.0; z/s < width && z < 1e12; z *= 2 {
		ends = append(ends, z/s, -z/s)
	}
	for _, k := range kinks {
		ends = append(ends, k/s)
	}
	return ordered(append(ends, extra...), -reach, reach)
}

// ordered sorts, cuts to [low, high] and drops doubles.
func ordered(ends []float64, low, high float64) []float64 {
	slices.Sort(ends)
	kept := ends[:0]
	for _, e := range ends {
		if e < low || e > high || e != e {
			continue
		}
		if n := len(kept); n > 0 && e-kept[n-1] <= 1e-14*(1+math.Abs(e)) {
			continue
		}
		kept = append(kept, e)
	}
	return kept
}

// spread puts a rule's nodes on each panel, weighted by the normal density.
func (p points) spread(ends []float64) points {
	n := len(p.x) * max(len(ends)-1, 0)
	all := points{make([]float64, 0, n), make([]float64, 0, n)}
	for i := 1; i < len(ends); i++ {
		mid, half := (ends[i]+ends[i-1])/2, (ends[i]-ends[i-1])/2
		for j, x := range p.x {
			g := mid + half*x
			all.x = append(all.x, g)
			all.w = append(all.w, half*p.w[j]*density(g))
		}
	}
	return all
}

// Expect returns E[f(z)] for z ~ N(0, q), to about 1e-10 of E|f| for an f that is analytic between the kinks, varies over |z| of about 1 or more and grows
// no faster than a polynomial. kinks are the points where f or a derivative of it jumps ([activation.Activation.Kinks]); 0 is always taken for one. For q = 0 it is
// the limit from above, the mean of f just left and just right of 0. It is NaN for a q that is negative, infinite or NaN.
func Expect(f func(z float64) float64, q float64, kinks ...float64) float64 {
	switch {
	case !(q >= 0) || math.IsInf(q, 1):
		return math.NaN()
	case q < smallest:
		return (f(-tiny) + f(tiny)) / 2
	}
	s := math.Sqrt(q)
	rule := outer.spread(panels(s, 2, kinks))
	sum := 0.0
	for i, g := range rule.x {
		sum += rule.w[i] * f(s*g)
	}
	return sum
}

// Expect2 returns E[f(z, z')] for a Gaussian pair of lengths E[z^2] = q, E[z'^2] = qOther and correlation c, -1 <= c <= 1, under the conditions of [Expect]
// in each of the two; kinks are those of f in either. It evaluates f at tens of thousands of points. It is NaN for lengths or a correlation out of range.
func Expect2(f func(z, other float64) float64, q, qOther, c float64, kinks ...float64) float64 {
	if !(q >= 0 && qOther >= 0 && c >= -1 && c <= 1) || math.IsInf(q+qOther, 1) {
		return math.NaN()
	}
	given := func(z float64) func(float64) float64 {
		return func(other float64) float64 { return f(z, other) }
	}
	return pairs(given, math.Sqrt(max(q, smallest)), math.Sqrt(max(qOther, smallest)), 1-c, kinks)
}

// pairs is Expect2 of given(z)(other), by the standard deviations and by gap = 1-c, which keeps its digits where c is close to 1. The first coordinate is g
// of the first unit; around each kink of the second its panels are as fine as the second's spread given the first.
func pairs(given func(z float64) func(other float64) float64, sa, sb, gap float64, kinks []float64) float64 {
	c, r := 1-gap, math.Sqrt(max(gap*(2-gap), 0))
	if r < 1e-30 {
		rule := outer.spread(panels(sa, 2, kinks))
		sum := 0.0
		for i, g := range rule.x {
			sum += rule.w[i] * given(sa*g)(sb*c*g)
		}
		return sum
	}
	var extra []float64
	if c != 0 {
		centres := kinks
		if len(centres) == 0 {
			centres = []float64{0} // where an activation without kinks turns
		}
		for _, k := range centres {
			at, width := k/(sb*c), r/math.Abs(c)
			extra = append(extra, at)
			for _, step := range []float64{1.5, 4, 8} {
				if step*width < 2 {
					extra = append(extra, at-step*width, at+step*width)
				}
			}
		}
	}
	rule := inner.spread(panels(sa, 2, kinks, extra...))
	sum := 0.0
	for i, g := range rule.x {
		if rule.w[i] < 1e-20 {
			continue
		}
		sum += rule.w[i] * conditional(given(sa*g), sb*c*g, sb*r, kinks)
	}
	return sum
}

// normalPanels are the ends of conditional's panels, and their nodes with the density: the same for each call, but for the panels that are split.
var (
	normalEnds   = []float64{-8.5, -5, -2.5, 0, 2.5, 5, 8.5}
	normalPoints = inner.spread(normalEnds)
)

// conditional returns E[f(z)] over z ~ N(mean, s^2).
func conditional(f func(z float64) float64, mean, s float64, kinks []float64) float64 {
	const far = 8.5 // density below 1e-16
	smooth := s < 0.5
	for _, k := range kinks {
		smooth = smooth && math.Abs(k-mean) > far*s
	}
	sum := 0.0
	if smooth {
		for i, g := range hermite.x {
			sum += hermite.w[i] * f(mean+s*g)
		}
		return sum
	}
	var space [64]float64
	splits := space[:0]
	for z := 1.0; z < 2*s && len(splits) < 40; z *= 2 {
		splits = append(splits, (z-mean)/s, (-z-mean)/s)
	}
	if s >= 0.5 {
		splits = append(splits, -mean/s)
	}
	for _, k := range kinks {
		splits = append(splits, (k-mean)/s)
	}
	slices.Sort(splits)
	for i := 1; i < len(normalEnds); i++ {
		low, high := normalEnds[i-1], normalEnds[i]
		for len(splits) > 0 && splits[0] <= low {
			splits = splits[1:]
		}
		if len(splits) == 0 || splits[0] >= high {
			for j := (i - 1) * innerNodes; j < i*innerNodes; j++ {
				sum += normalPoints.w[j] * f(mean+s*normalPoints.x[j])
			}
			continue
		}
		for low < high {
			end := high
			if len(splits) > 0 && splits[0] < high {
				end, splits = splits[0], splits[1:]
			}
			mid, half := (end+low)/2, (end-low)/2
			for j, x := range inner.x {
				g := mid + half*x
				sum += half * inner.w[j] * density(g) * f(mean+s*g)
			}
			low = end
		}
	}
	return sum
}

// root returns where a continuous f with f(low) and f(high) of different sign is zero, to the relative precision given: Chandrupatla 1997, inverse quadratic
// interpolation where it is safe and bisection where not.
func root(f func(float64) float64, low, high, fLow, fHigh, precision float64) float64 {
	if fLow == 0 {
		return low
	}
	if fHigh == 0 {
		return high
	}
	a, b, c, fa, fb, fc := high, low, high, fHigh, fLow, fHigh
	t := 0.5
	for range 200 {
		x := a + t*(b-a)
		fx := f(x)
		if math.Signbit(fx) == math.Signbit(fa) {
			c, fc = a, fa
		} else {
			c, b, fc, fb = b, a, fb, fa
		}
		a, fa = x, fx
		best, fBest := a, fa
		if math.Abs(fb) < math.Abs(fa) {
			best, fBest = b, fb
		}
		tolerance := precision*math.Abs(best) + 1e-300
		limit := tolerance / math.Abs(b-c)
		if fBest == 0 || limit > 0.5 {
			return best
		}
		xi, phi := (a-b)/(c-b), (fa-fb)/(fc-fb)
		t = 0.5
		if phi*phi < xi && (1-phi)*(1-phi) < 1-xi {
			t = fa/(fb-fa)*fc/(fb-fc) + (c-a)/(b-a)*fa/(fc-fa)*fb/(fc-fb)
		}
		t = min(max(t, limit), 1-limit)
	}
	return a
}
