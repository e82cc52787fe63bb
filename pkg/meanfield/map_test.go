package meanfield_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/gradbook/gradbook/pkg/activation"
	"github.com/gradbook/gradbook/pkg/meanfield"
)

var gaps = []float64{0, 1e-14, 1e-9, 1e-5, 1e-3, 0.02, 0.05, 0.07, 0.1, 0.3, 0.7, 1, 1.4, 1.9, 1.97, 2}

// Kernels in closed form.

// arcCosine is E[relu(z) relu(z')] for unit lengths: Cho and Saul 2009, degree 1.
func arcCosine(c float64) float64 {
	theta := math.Acos(c)
	return (math.Sin(theta) + (math.Pi-theta)*c) / (2 * math.Pi)
}

func TestCorrelationReLU(t *testing.T) {
	for _, q := range []float64{1e-200, 1e-6, 1, 37, 1e9} {
		n := meanfield.Net{Activation: activation.ReLU, SigmaW2: 2}
		for _, gap := range gaps {
			near(t, fmt.Sprintf("ReLU's map at q = %g, c = 1-%g", q, gap), n.Correlation(q, 1-gap), 2*arcCosine(1-gap), 2e-10)
		}
	}
	n := meanfield.Net{Activation: activation.ReLU, SigmaW2: 1.7, SigmaB2: 0.3}
	for _, gap := range gaps {
		near(t, "with biases", n.Correlation(2, 1-gap), (1.7*2*arcCosine(1-gap)+0.3)/(1.7+0.3), 2e-10)
	}
}

func TestCorrelationLeakyReLU(t *testing.T) {
	const slope = 0.2
	n := meanfield.Net{Activation: activation.LeakyReLU(slope), SigmaW2: 1}
	for _, gap := range gaps {
		c := 1 - gap // phi(z) = (1-slope) relu(z) + slope z
		want := ((1-slope)*(1-slope)*arcCosine(c) + slope*(1-slope)*c + slope*slope*c) / ((1 + slope*slope) / 2)
		near(t, fmt.Sprintf("leaky ReLU's map at c = 1-%g", gap), n.Correlation(3, c), want, 2e-10)
	}
}

func TestCorrelationLinearAndStep(t *testing.T) {
	linear, step := meanfield.Net{Activation: activation.Linear, SigmaW2: 1.3}, meanfield.Net{Activation: activation.Step, SigmaW2: 1}
	for _, gap := range gaps {
		c := 1 - gap
		near(t, "linear", linear.Correlation(2, c), c, 1e-13)
		near(t, fmt.Sprintf("step at c = 1-%g", gap), step.Correlation(2, c), (math.Pi-math.Acos(c))/math.Pi, 1e-9)
	}
}

// erf has kernels in closed form (Williams 1997); it is no activation here, but it tests the quadrature in one and two dimensions.
func TestExpectErf(t *testing.T) {
	for _, q := range []float64{1e-3, 0.5, 1, 4, 100, 1e4} {
		near(t, fmt.Sprintf("E[erf^2] at q = %g", q), meanfield.Expect(func(z float64) float64 { return math.Erf(z) * math.Erf(z) }, q), 2/math.Pi*math.Asin(2*q/(1+2*q)), 1e-11)
		near(t, fmt.Sprintf("E[erf'^2] at q = %g", q), meanfield.Expect(func(z float64) float64 { return 4 / math.Pi * math.Exp(-2*z*z) }, q), 4/math.Pi/math.Sqrt(1+4*q), 1e-11)
		for _, gap := range gaps {
			c, other := 1-gap, q/3
			want := 2 / math.Pi * math.Asin(2*c*math.Sqrt(q*other)/math.Sqrt((1+2*q)*(1+2*other)))
			got := meanfield.Expect2(func(a, b float64) float64 { return math.Erf(a) * math.Erf(b) }, q, other, c)
			near(t, fmt.Sprintf("E[erf erf] at q = %g, %g, c = 1-%g", q, other, gap), got, want, 1e-9)
		}
	}
}

func TestExpectPolynomials(t *testing.T) {
	want := 1.0
	for k := 2; k <= 12; k += 2 { // E[z^k] = (k-1)!! q^(k/2)
		want *= float64(k-1) * 2.5
		near(t, fmt.Sprintf("E[z^%d]", k), meanfield.Expect(func(z float64) float64 { return math.Pow(z, float64(k)) }, 2.5), want, 1e-11)
	}
	near(t, "limit at 0", meanfield.Expect(func(z float64) float64 { return math.Max(math.Copysign(1, z), 0) }, 0), 0.5, 0)
	near(t, "E[z z']", meanfield.Expect2(func(a, b float64) float64 { return a * b }, 2, 8, -0.3), -1.2, 1e-11)
	for _, q := range []float64{-1, math.NaN(), math.Inf(1)} {
		if v := meanfield.Expect(math.Tanh, q); !math.IsNaN(v) {
			t.Errorf("Expect at q = %g is %g, should be NaN", q, v)
		}
	}
	for _, c := range []float64{-1.1, 1.1, math.NaN()} {
		if v := meanfield.Expect2(math.Hypot, 1, 1, c); !math.IsNaN(v) {
			t.Errorf("Expect2 at c = %g is %g, should be NaN", c, v)
		}
	}
}

// The correlation map by its series, and by quadrature in two dimensions where the series fails: for each activation, both agree with Expect2 and with a
// plain fine grid.
func TestCorrelationRoutes(t *testing.T) {
	for _, a := range activation.All() {
		for _, q := range []float64{0.01, 1, 90} {
			n := meanfield.Net{Activation: a, SigmaW2: 1.3, SigmaB2: 0.1}
			for _, gap := range []float64{1e-6, 0.01, 0.06, 0.2, 0.6, 1, 1.5} {
				e := meanfield.Expect2(func(z, other float64) float64 { return a.Value(z) * a.Value(other) }, q, q, 1-gap, a.Kinks()...)
				near(t, fmt.Sprintf("%v at q = %g, c = 1-%g", a, q, gap), n.Correlation(q, 1-gap), (1.3*e+0.1)/n.Length(q), 1e-9)
			}
		}
	}
}

func TestExpectAgainstFineGrid(t *testing.T) {
	for _, a := range activation.All() {
		for _, q := range []float64{0.3, 25} {
			// Midpoints of 400000 cells: error of the order of the cell's square, 2e-9 of the curvature.
			const cells = 400000
			sum, s := 0.0, math.Sqrt(q)
			for i := range cells {
				g := -10 + 20*(float64(i)+0.5)/cells
				sum += math.Exp(-g*g/2) * a.Value(s*g) * a.Value(s*g)
			}
			n := meanfield.Net{Activation: a, SigmaW2: 1}
			near(t, fmt.Sprintf("%v's length map at %g", a, q), n.Length(q), sum*20/cells/math.Sqrt(2*math.Pi), 1e-8)
		}
	}
}

// Close to 1, the map of a smooth activation is a line of slope chi: to relative precision, however close.
func TestCorrelationNearOne(t *testing.T) {
	for _, a := range []activation.Activation{activation.Tanh, activation.Sigmoid, activation.GELU, activation.ReLU, activation.SELU, activation.HardSigmoid} {
		n := meanfield.Net{Activation: a, SigmaW2: 1.5, SigmaB2: 0.2}
		for _, gap := range []float64{1e-9, 1e-13} {
			q := 0.7
			layers, err := n.From(meanfield.Input{MeanSquare: (q - 0.2) / 1.5, Cosine: 1 - gap*q/(q-0.2)}, 2)
			if err != nil {
				t.Fatal(err)
			}
			want := n.Chi(q) * q / n.Length(q)
			near(t, fmt.Sprintf("%v: ratio of the gaps at %.3g", a, layers[0].Gap), layers[1].Gap/layers[0].Gap, want, 1e-4)
		}
		layers, err := n.Trajectory(0.7, 40)
		if err != nil {
			t.Fatal(err)
		}
		p, err := n.Fixed()
		if err != nil {
			t.Fatal(err)
		}
		if p.Phase == meanfield.Ordered && p.Chi1 < 0.9 { // far below 1e-16 the gap goes on falling by chi_1 a layer
			near(t, a.String()+": ratio of the gaps deep down", layers[39].Gap/layers[38].Gap, p.Chi1, 2e-3)
		}
	}
}

// The correlation's fall from chi_1 = 1 agrees with the derivative by Price's theorem: slope of the map by differences.
func TestChiIsTheSlope(t *testing.T) {
	for _, a := range activation.All() {
		if a == activation.Step {
			continue
		}
		n := meanfield.Net{Activation: a, SigmaW2: 1.4, SigmaB2: 0.1}
		const q, h = 0.8, 1e-3
		numeric := (n.Length(q+h) - n.Length(q-h)) / (2 * h)
		kinks := a.Kinks()
		want := 1.4 * meanfield.Expect(func(z float64) float64 { return z * a.Value(z) * a.Derivative(z) }, q, kinks...) / q
		near(t, a.String()+": slope of the length map", numeric, want, 1e-6)
		near(t, a.String()+": chi", n.Chi(q), 1.4*meanfield.Expect(func(z float64) float64 { return a.Derivative(z) * a.Derivative(z) }, q, kinks...), 1e-13)
	}
	if chi := (meanfield.Net{Activation: activation.Step, SigmaW2: 1}).Chi(1); !math.IsInf(chi, 1) {
		t.Errorf("chi of the step is %g, should be +Inf", chi)
	}
}

// Hard sigmoid units, two kinks away from 0: the second unit's mean given the first is a closed form, and a fine sum does the rest.
func TestCorrelationHardSigmoid(t *testing.T) {
	a := activation.HardSigmoid
	cdf := func(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }
	positive := func(m, s float64) float64 { // E[relu(m + s g)]
		return m*cdf(m/s) + s*math.Exp(-m*m/s/s/2)/math.Sqrt(2*math.Pi)
	}
	for _, q := range []float64{1.5, 60} {
		n := meanfield.Net{Activation: a, SigmaW2: 1}
		for _, gap := range []float64{1e-4, 0.01, 0.06, 0.3} {
			c := 1 - gap
			s, spread := math.Sqrt(q), math.Sqrt(q*gap*(2-gap))
			const cells = 400000
			sum := 0.0
			for i := range cells {
				g := -10 + 20*(float64(i)+0.5)/cells
				sum += math.Exp(-g*g/2) * a.Value(s*g) * 0.2 * (positive(c*s*g+2.5, spread) - positive(c*s*g-2.5, spread))
			}
			want := sum * 20 / cells / math.Sqrt(2*math.Pi) / n.Length(q)
			near(t, fmt.Sprintf("hard sigmoid's map at q = %g, c = 1-%g", q, gap), n.Correlation(q, c), want, 2e-9)
		}
	}
}
