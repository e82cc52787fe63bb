package meanfield_test

import (
	"fmt"
	"math"
	"testing"

	"gonum.org/v1/gonum/mathext"

	"github.com/gradbook/gradbook/pkg/activation"
	"github.com/gradbook/gradbook/pkg/meanfield"
)

// ReLU without biases: all of a trajectory in closed form.
func TestTrajectoryReLU(t *testing.T) {
	const depth, sw2 = 12, 1.2
	n := meanfield.Net{Activation: activation.ReLU, SigmaW2: sw2}
	layers, err := n.From(meanfield.Input{MeanSquare: 0.7, Other: 2.8, Cosine: -0.2, FanRatio: 4}, depth)
	if err != nil {
		t.Fatal(err)
	}
	q, c := sw2*0.7, -0.2
	for i, l := range layers {
		name := fmt.Sprintf("layer %d: ", i+1)
		near(t, name+"index", float64(l.Index), float64(i+1), 0)
		near(t, name+"q", l.Q, q, 1e-12)
		near(t, name+"|h|^2/n", l.HSquare, q/2, 1e-12)
		near(t, name+"chi", l.Chi, sw2/2, 1e-12)
		near(t, name+"|delta|", l.DeltaNorm, math.Pow(sw2/2, float64(depth-1-i)/2), 1e-12)
		near(t, name+"correlation", l.Correlation, c, 1e-9)
		near(t, name+"gap", l.Gap, 1-c, 1e-9)
		// |delta| grows towards the top as h falls: |dL/dW| is level but for the first layer
		if i > 0 {
			near(t, name+"|dL/dW|", l.WGradNorm, 1, 1e-12)
		}
		q, c = q*sw2/2, 2*arcCosine(c)
	}
	near(t, "|dL/dW| of layer 1", layers[0].WGradNorm, math.Pow(sw2/2, (depth-1)/2.0)*math.Sqrt(0.7*4/layers[depth-2].HSquare), 1e-12)
}

func TestInputs(t *testing.T) {
	in, err := meanfield.Inputs([]float64{3, 0, 0, 4}, []float64{0, 0, 0, -2}, 2)
	want := meanfield.Input{MeanSquare: 25.0 / 4, Other: 1, Cosine: -0.8, FanRatio: 2}
	if err != nil || in != want {
		t.Errorf("%+v, %v; should be %+v", in, err, want)
	}
}

// Trajectories end at the fixed point, at the rates that the depth scales say.
func TestTrajectoryReachesFixedPoint(t *testing.T) {
	n := meanfield.Net{Activation: activation.Tanh, SigmaW2: 3, SigmaB2: 0.05}
	p := fixed(t, n)
	layers, err := n.From(meanfield.Input{MeanSquare: 1, Other: 0.5, Cosine: 0.9}, 300)
	if err != nil {
		t.Fatal(err)
	}
	last := layers[299]
	near(t, "q", last.Q, p.Q, 1e-12)
	near(t, "chi", last.Chi, p.Chi1, 1e-12)
	near(t, "correlation", last.Correlation, p.C, 1e-9)
	near(t, "rate of the correlation", (layers[101].Correlation-p.C)/(layers[100].Correlation-p.C), math.Exp(-1/p.XiC), 1e-4)
	near(t, "rate of the length", (layers[8].Q-p.Q)/(layers[7].Q-p.Q), math.Exp(-1/p.XiQ), 1e-3)
	near(t, "rate of the gradient", math.Pow(layers[200].DeltaNorm/layers[201].DeltaNorm, 2), math.Exp(-1/p.XiGradient), 1e-9)
}

// Linear units stay Gaussian: residual nets of both kinds have the closed form q -> q (1 + s^2 sigma_w^2) + s^2 sigma_b^2, chi = 1 + s^2 sigma_w^2.
func TestResidualLinear(t *testing.T) {
	for _, kind := range []meanfield.ResidualKind{meanfield.PreActivation, meanfield.PostActivation} {
		for _, s := range []float64{0.1, 0.6, -1.5} {
			r := meanfield.Residual{Activation: activation.Linear, SigmaW2: 0.8, SigmaB2: 0.3, Kind: kind, Scale: s}
			layers, err := r.Trajectory(1.3, 10)
			if err != nil {
				t.Fatal(err)
			}
			q := 1.3
			for i, l := range layers {
				name := fmt.Sprintf("%s, scale %g, layer %d: ", kind, s, i+1)
				near(t, name+"q", l.Q, q, 1e-9)
				if i < 9 {
					near(t, name+"chi", l.Chi, 1+s*s*0.8, 1e-9)
				}
				near(t, name+"|delta|", l.DeltaNorm, math.Pow(1+s*s*0.8, float64(9-i)/2), 1e-8)
				q = q*(1+s*s*0.8) + s*s*0.3
			}
			// |dL/dW| of the plain first layer has no factor s, and the input in place of h
			want := layers[0].DeltaNorm * math.Sqrt((1.3-0.3)/0.8/layers[8].Q) / math.Abs(s)
			near(t, fmt.Sprintf("%s, scale %g: |dL/dW| of layer 1", kind, s), layers[0].WGradNorm, want, 1e-8)
			factor, err := r.GradientFactor()
			if err != nil {
				t.Fatal(err)
			}
			near(t, fmt.Sprintf("%s, scale %g: factor a block", kind, s), factor, math.Sqrt(1+s*s*0.8), 1e-9)
		}
	}
}

// The second layer of a post-activation ReLU net, z = relu(g) + s (W h), by hand.
func TestResidualPostReLU(t *testing.T) {
	const q1, sw2, s = 1.5, 1.8, 0.7
	layers, err := meanfield.Residual{Activation: activation.ReLU, SigmaW2: sw2, Kind: meanfield.PostActivation, Scale: s}.Trajectory(q1, 2)
	if err != nil {
		t.Fatal(err)
	}
	v := s * s * sw2 * q1 / 2
	near(t, "q", layers[1].Q, q1/2+v, 1e-10)
	// E[relu(m + spread g)^2] given m, then over m
	phi := func(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }
	density := func(x float64) float64 { return math.Exp(-x*x/2) / math.Sqrt(2*math.Pi) }
	spread := math.Sqrt(v)
	square := meanfield.Expect(func(z float64) float64 {
		m := max(z, 0)
		return (m*m+v)*phi(m/spread) + m*spread*density(m/spread)
	}, q1)
	near(t, "|h|^2/n", layers[1].HSquare, square, 1e-9)
	both := 0.25 + math.Atan(math.Sqrt(q1)/spread)/(2*math.Pi) // P(z > 0 in both layers)
	total := both + 0.25                                       // a unit that is off is on in the next layer half of the time
	near(t, "chi", layers[0].Chi, (both+s*s*sw2*total/2)/total, 1e-9)
}

// Growth in depth: Yang and Schoenholz 2017. Lengths of saturating residual nets grow linearly and gradients with the exponential of the square root of
// depth; of ReLU, both exponentially.
func TestResidualGrowth(t *testing.T) {
	relu := meanfield.Residual{Activation: activation.ReLU, SigmaW2: 2, Kind: meanfield.PreActivation, Scale: 0.5}
	layers, err := relu.Trajectory(2, 30)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "growth of q a ReLU block", layers[29].Q/layers[28].Q, 1.25, 1e-12)
	near(t, "chi of a ReLU block", layers[20].Chi, 1.25, 1e-12)
	factor, err := relu.GradientFactor()
	if err != nil {
		t.Fatal(err)
	}
	near(t, "factor of a ReLU block", factor, math.Sqrt(1.25), 1e-12)

	tanh := meanfield.Residual{Activation: activation.Tanh, SigmaW2: 1, Kind: meanfield.PreActivation}
	const depth = 6400
	if layers, err = tanh.From(meanfield.Input{MeanSquare: 1, Cosine: 1}, depth); err != nil {
		t.Fatal(err)
	}
	near(t, "q grows by sigma_w^2 a tanh block in the end", layers[depth-1].Q-layers[depth-2].Q, 1, 0.02)
	log := func(l int) float64 { return math.Log(layers[0].DeltaNorm / layers[l].DeltaNorm) }
	near(t, "four times the blocks, twice the log of the gradient", log(depth-1)/log(depth/4), 2, 0.1)
	if factor, err = tanh.GradientFactor(); err != nil || factor != 1 {
		t.Errorf("the factor of a tanh block is %g in the end (%v), should be 1", factor, err)
	}
}

func TestBatchNormKnown(t *testing.T) {
	factor := func(b meanfield.BatchNorm) float64 {
		f, err := b.GradientFactor()
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	near(t, "ReLU", factor(meanfield.BatchNorm{Activation: activation.ReLU, SigmaW2: 2}), math.Sqrt(math.Pi/(math.Pi-1)), 1e-12)
	near(t, "ReLU after He without biases is as before", factor(meanfield.BatchNorm{Activation: activation.ReLU, SigmaW2: 2, After: true}), math.Sqrt(math.Pi/(math.Pi-1)), 1e-12)
	near(t, "linear", factor(meanfield.BatchNorm{Activation: activation.Linear}), 1, 1e-12)
	for _, batch := range []int{4, 5, 8, 32, 1000, 100000} {
		n := float64(batch)
		near(t, fmt.Sprintf("linear, batch %d", batch), factor(meanfield.BatchNorm{Activation: activation.Linear, Batch: batch}), math.Sqrt((n-2)/(n-3)), 1e-9)
	}
	for _, a := range activation.All() {
		if a == activation.Step {
			continue
		}
		limit := factor(meanfield.BatchNorm{Activation: a})
		if limit < 1-1e-12 {
			t.Errorf("%v: %g, against Poincaré's inequality", a, limit)
		}
		// The distance from the limit falls like 1/batch, from above.
		far, near0 := factor(meanfield.BatchNorm{Activation: a, Batch: 200})-limit, factor(meanfield.BatchNorm{Activation: a, Batch: 2000})-limit
		if !(far > 0 && near0 > 0 && math.Abs(far/near0-10) < 0.5) {
			t.Errorf("%v: %.3g and %.3g above the limit with 200 and 2000 examples, should be as 10 to 1", a, far, near0)
		}
	}
}

func TestRecurrentIsANetInTime(t *testing.T) {
	r := meanfield.Recurrent{Activation: activation.Tanh, SigmaW2: 1.5, SigmaB2: 0.25, SigmaU2: 0.5, Input: meanfield.Input{MeanSquare: 0.5, Cosine: 1}}
	p, err := r.Fixed()
	if err != nil {
		t.Fatal(err)
	}
	if q := fixed(t, meanfield.Net{Activation: activation.Tanh, SigmaW2: 1.5, SigmaB2: 0.5}); p != q {
		t.Errorf("%v, should be %v", p, q)
	}
	steps, err := r.Trajectory(60)
	if err != nil {
		t.Fatal(err)
	}
	layers, err := r.Net().Trajectory(0.5, 60)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range steps {
		near(t, "q", s.Q, layers[i].Q, 1e-13)
		near(t, "|delta|", s.DeltaNorm, layers[i].DeltaNorm, 1e-12)
		near(t, "two equal sequences", s.Correlation, 1, 0)
		if i > 0 {
			near(t, "|dL/dh|", steps[i-1].HGradNorm, math.Sqrt(1.5)*s.DeltaNorm, 1e-12)
		}
	}
	factor, err := r.GradientFactor()
	if err != nil {
		t.Fatal(err)
	}
	near(t, "factor a step", steps[29].DeltaNorm/steps[30].DeltaNorm, factor, 1e-9)
}

func trigamma(x float64) float64 { return mathext.Zeta(2, x) }

// Linear units: chi-squared with n degrees of freedom. ReLU: with a binomial number of them, summed here.
func TestFluctuationKnown(t *testing.T) {
	for _, n := range []int{1, 2, 8, 64, 1000} {
		x := float64(n)
		f, err := meanfield.Fluctuate(activation.Linear, n)
		if err != nil {
			t.Fatal(err)
		}
		near(t, fmt.Sprintf("linear, width %d, mean", n), 2*f.Mean, mathext.Digamma(x/2)-math.Log(x/2), 1e-10)
		near(t, fmt.Sprintf("linear, width %d, variance", n), 4*f.Variance, trigamma(x/2), 1e-10)

		if f, err = meanfield.Fluctuate(activation.ReLU, n); err != nil {
			t.Fatal(err)
		}
		mean, square, all := 0.0, 0.0, 0.0
		for k := 1; k <= n; k++ {
			a, _ := math.Lgamma(x + 1)
			b, _ := math.Lgamma(float64(k) + 1)
			c, _ := math.Lgamma(x - float64(k) + 1)
			p := math.Exp(a - b - c - x*math.Ln2)
			m := mathext.Digamma(float64(k)/2) - math.Log(x/4)
			all, mean, square = all+p, mean+p*m, square+p*(m*m+trigamma(float64(k)/2))
		}
		mean, square = mean/all, square/all
		near(t, fmt.Sprintf("ReLU, width %d, mean", n), 2*f.Mean, mean, 1e-9)
		near(t, fmt.Sprintf("ReLU, width %d, variance", n), 4*f.Variance, square-mean*mean, 1e-9)
		near(t, fmt.Sprintf("ReLU, width %d, dead", n), f.Dead, math.Exp2(-x), 1e-12)
	}
	// Hanin and Nica's 5/n, and its like for other slopes, to first order
	for _, slope := range []float64{0, 0.2, 1} {
		f, err := meanfield.Fluctuate(activation.LeakyReLU(slope), 4000, 4000)
		if err != nil {
			t.Fatal(err)
		}
		m2, m4 := (1+slope*slope)/2, (1+math.Pow(slope, 4))/2
		want := (3*m4/m2/m2 - 1) * 2 / 4000
		near(t, "variance to first order", 4*f.Variance/want, 1, 2e-3)
		near(t, "mean to first order", 2*f.Mean/(-want/2), 1, 2e-3)
	}
}
