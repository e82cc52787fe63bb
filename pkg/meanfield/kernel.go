package meanfield

import (
	"math"

	"github.com/gradbook/gradbook/pkg/activation"
)

// maxTerms is where a Hermite series ends at the latest; beyond it two-dimensional quadrature takes over.
const maxTerms = 256

// enough is what a series may leave out of a covariance, relative to the variances.
const enough = 1e-10

// series are the coefficients a_k = E[phi(s g) He_k(g)]/sqrt(k!) of phi in normalised Hermite polynomials, so that E[phi(z) phi(z')] = sum a_k b_k c^k
// (Mehler's formula).
type series struct {
	coefficients []float64
	square       float64 // E[phi^2], the sum of all a_k^2
	tail         float64 // of it, what the coefficients leave out
}

// newSeries stops when the terms left out are below rounding, also when multiplied by k as in the derivative with respect to c. Most smooth activations need
// no more than 64; polynomials of higher degree, which oscillate faster, take more nodes.
func newSeries(a activation.Activation, s float64) series {
	ends := panels(s, 1, a.Kinks())
	if out, done := expand(a, s, inner.spread(ends), 64); done {
		return out
	}
	out, _ := expand(a, s, outer.spread(ends), maxTerms)
	return out
}

func expand(a activation.Activation, s float64, rule points, terms int) (out series, done bool) {
	n := len(rule.x)
	weighted, last, now := make([]float64, n), make([]float64, n), make([]float64, n)
	for i, g := range rule.x {
		h := a.Value(s * g)
		weighted[i] = rule.w[i] * h
		out.square += weighted[i] * h
		now[i] = 1
	}
	out.tail = out.square
	for k := 0; k < terms && !done; k++ {
		sum := 0.0
		for i, h := range now {
			sum += weighted[i] * h
		}
		out.coefficients = append(out.coefficients, sum)
		out.tail -= sum * sum
		done = k%8 == 7 && float64(k)*out.tail < 1e-13*out.square
		up, down := 1/math.Sqrt(float64(k+1)), math.Sqrt(float64(k)/float64(k+1))
		for i, g := range rule.x {
			last[i], now[i] = now[i], up*g*now[i]-down*last[i]
		}
	}
	out.tail = max(out.tail, 0)
	return out, done
}

// kernel is what the covariance of two units needs: of the same activation, of lengths qa and qb.
type kernel struct {
	activation activation.Activation
	kinks      []float64
	sa, sb     float64
	a, b       series
	scales     bool // phi is homogeneous: a closed form takes the place of the series
}

func newKernel(a activation.Activation, qa, qb float64) *kernel {
	k := &kernel{activation: a, kinks: a.Kinks(), sa: math.Sqrt(qa), sb: math.Sqrt(qb), scales: homogeneous(a)}
	if k.scales {
		square, _ := ends(a, false)
		k.a.square, k.b.square = qa*square, qb*square
		return k
	}
	k.a = newSeries(a, k.sa)
	k.b = k.a
	if qa != qb {
		k.b = newSeries(a, k.sb)
	}
	return k
}

// difference returns E[(phi(z)-phi(z'))^2]/2 for gap = 1-c, which is E[phi^2] - E[phi phi'] without the cancellation (for equal lengths).
// Its relative error is 1e-8 or less, also for a gap far below 1e-16 (with equal lengths).
func (k *kernel) difference(gap float64) float64 {
	if k.scales {
		return k.arcCosine(gap)
	}
	terms := min(len(k.a.coefficients), len(k.b.coefficients))
	leftA, leftB := k.a.beyond(terms), k.b.beyond(terms)
	left := geometric(leftA, leftB)
	scale := geometric(k.a.square, k.b.square)
	c := 1 - gap
	// What the series leaves out of the covariance is at most |c|^terms times the tails: known before summing. Its small gaps need k times the tails small, too.
	rest := left * math.Pow(math.Abs(c), float64(terms))
	if rest > enough*scale && float64(terms)*left > enough*scale {
		a := k.activation
		if gap < 1e-16 && k.sa == k.sb && !jumps(a) {
			// phi(z)-phi(z') would drown in rounding; phi' (z-z') is good to the root of the gap.
			return gap * k.sa * k.sa * momentsOf(a, k.sa*k.sa).slope
		}
		return pairs(func(z float64) func(float64) float64 {
			h := a.Value(z)
			return func(other float64) float64 { d := h - a.Value(other); return d * d / 2 }
		}, k.sa, k.sb, gap, k.kinks)
	}
	if gap > 0.5 { // no cancellation to avoid, and c may be negative
		return (k.a.square+k.b.square)/2 - k.covariance(c, terms)
	}
	sum, log := 0.0, math.Log1p(-gap)
	for i := range terms {
		a, b := k.a.coefficients[i], k.b.coefficients[i]
		sum += (a-b)*(a-b)/2 - a*b*math.Expm1(float64(i)*log)
	}
	// Of the terms left out the covariance is next to nothing, the variance is not.
	apart := math.Sqrt(leftA) - math.Sqrt(leftB)
	return sum + apart*apart/2 - left*math.Expm1(float64(terms)*log)
}

// geometric is the root of a b, also where that underflows.
func geometric(a, b float64) float64 {
	if a == b {
		return a
	}
	return math.Sqrt(a) * math.Sqrt(b)
}

// beyond returns the part of E[phi^2] that is not in the first terms.
func (s series) beyond(terms int) float64 {
	if terms == len(s.coefficients) {
		return s.tail
	}
	sum := s.square
	for _, a := range s.coefficients[:terms] {
		sum -= a * a
	}
	return max(sum, 0)
}

// arcCosine is difference for phi(z) = l z + (r-l) relu(z): Cho and Saul 2009, degree 1.
func (k *kernel) arcCosine(gap float64) float64 {
	r, l := k.activation.Derivative(1), k.activation.Derivative(-1)
	theta := 2 * math.Asin(math.Sqrt(min(gap/2, 1)))
	relu := (math.Pi*gap + theta*(1-gap) - math.Sin(theta)) / (2 * math.Pi) // of E[relu^2] = 1/2, what the pair lacks
	apart := k.sa - k.sb
	return (r*r+l*l)/4*apart*apart + k.sa*k.sb*(l*r*gap+(r-l)*(r-l)*relu)
}

// reach returns the smallest gap from which on the series alone suffices.
func (k *kernel) reach() float64 {
	left, terms := k.a.tail/k.a.square, float64(len(k.a.coefficients))
	if terms*left <= enough {
		return 0
	}
	return -math.Expm1(math.Log(enough/left) / terms)
}

func (k *kernel) covariance(c float64, terms int) float64 {
	sum := 0.0
	for i := terms - 1; i >= 0; i-- {
		sum = sum*c + k.a.coefficients[i]*k.b.coefficients[i]
	}
	return sum
}

// slope returns the derivative of the covariance with respect to c, at 1-gap: sqrt(qa qb) E[phi'(z) phi'(z')] (Price's theorem).
func (k *kernel) slope(gap float64) float64 {
	terms := min(len(k.a.coefficients), len(k.b.coefficients))
	c := 1 - gap
	left := geometric(k.a.tail, k.b.tail)
	// The terms left out fall with k, so that k c^(k-1) times all of them bounds their sum once k log(1/c) > 1; else they are not small enough anyhow.
	if rest := float64(terms) * left * math.Pow(math.Abs(c), float64(terms-1)); rest > enough*geometric(k.a.square, k.b.square) {
		a := k.activation
		if jumps(a) { // phi' holds a delta function: differences instead, of five points
			h := gap / 100
			at := func(i float64) float64 { return k.difference(gap + i*h) }
			return (8*(at(1)-at(-1)) - at(2) + at(-2)) / (12 * h)
		}
		return k.sa * k.sb * pairs(func(z float64) func(float64) float64 {
			d := a.Derivative(z)
			return func(other float64) float64 { return d * a.Derivative(other) }
		}, k.sa, k.sb, gap, k.kinks)
	}
	sum := 0.0
	for i := terms - 1; i >= 1; i-- {
		sum = sum*c + float64(i)*k.a.coefficients[i]*k.b.coefficients[i]
	}
	return sum
}
