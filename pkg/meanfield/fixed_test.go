package meanfield_test

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/gradbook/gradbook/pkg/activation"
	"github.com/gradbook/gradbook/pkg/meanfield"
)

func fixed(t *testing.T, n meanfield.Net) meanfield.Point {
	t.Helper()
	p, err := n.Fixed()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// q* and c* solve their equations, are where iteration of the maps goes, and the depth scales are how fast.
func TestFixedSolves(t *testing.T) {
	for _, a := range activation.All() {
		for _, v := range [][2]float64{{0.3, 0.2}, {0.9, 0.01}, {1.3, 0.3}, {1.7, 0}, {30, 1}} {
			n := meanfield.Net{Activation: a, SigmaW2: v[0], SigmaB2: v[1]}
			p := fixed(t, n)
			name := fmt.Sprintf("%v, sigma_w^2 %g, sigma_b^2 %g: ", a, v[0], v[1])
			q := n.SigmaW2 + n.SigmaB2
			for range 400 {
				if q = n.Length(q); !(q < 1e15) {
					break
				}
			}
			switch {
			case math.IsInf(p.Q, 1):
				if q < 1e6 {
					t.Errorf("%sq* is +Inf, but 400 layers lead to %g", name, q)
				}
				continue
			default:
				near(t, name+"q*, by 400 layers", q, p.Q, 1e-9)
			}
			if p.Q == 0 {
				continue
			}
			near(t, name+"q* in the length map", n.Length(p.Q), p.Q, 1e-12)
			near(t, name+"c* in the correlation map", n.Correlation(p.Q, p.C), p.C, 3e-9)
			if p.C < 1 && p.ChiC < 0.95 {
				c := 0.9
				for range 600 {
					c = n.Correlation(p.Q, c)
				}
				near(t, name+"c*, by 600 layers", c, p.C, 1e-8)
			}
			if h := 1e-5; p.C < 0.999 && p.C > h {
				slope := (n.Correlation(p.Q, p.C+h) - n.Correlation(p.Q, p.C-h)) / (2 * h)
				near(t, name+"chi at c*", p.ChiC, slope, 2e-5)
			}
			near(t, name+"xi_c", p.XiC, -1/math.Log(p.ChiC), 1e-12)
			h := 1e-4 * p.Q
			if slope := (n.Length(p.Q+h) - n.Length(p.Q-h)) / (2 * h); p.XiQ > 0 {
				near(t, name+"slope of the length map by xi_q", math.Exp(-1/p.XiQ), slope, 1e-6)
			}
		}
	}
}

func TestFixedHomogeneous(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct {
		a        activation.Activation
		sw2, sb2 float64
		q, chi   float64
		c        float64
		kept     bool
		phase    meanfield.Phase
	}{
		{activation.ReLU, 1, 0, 0, 0.5, 1, false, meanfield.Ordered},
		{activation.ReLU, 1, 0.5, 1, 0.5, 1, false, meanfield.Ordered},
		{activation.ReLU, 2, 0, 2, 1, 1, true, meanfield.Critical},
		{activation.ReLU, 2, 0.1, inf, 1, 1, false, meanfield.Critical},
		{activation.ReLU, 2.5, 0, inf, 1.25, 1, false, meanfield.Chaotic},
		{activation.ReLU, 2.5, 1, inf, 1.25, 1, false, meanfield.Chaotic},
		{activation.Linear, 0.5, 0.1, 0.2, 0.5, 1, false, meanfield.Ordered},
		{activation.Linear, 1, 0, 1, 1, math.NaN(), true, meanfield.Critical},
		{activation.Linear, 1.5, 0, inf, 1.5, math.NaN(), false, meanfield.Chaotic},
		{activation.LeakyReLU(0.5), 1.6, 0, 1.6, 1, 1, true, meanfield.Critical},
	} {
		p := fixed(t, meanfield.Net{Activation: c.a, SigmaW2: c.sw2, SigmaB2: c.sb2})
		same := func(a, b float64) bool { return a == b || math.Abs(a-b) < 1e-12 || a != a && b != b }
		if !same(p.Q, c.q) || !same(p.Chi1, c.chi) || !same(p.C, c.c) || p.Kept != c.kept || p.Phase != c.phase {
			t.Errorf("%v with %g, %g: %+v, should be %+v", c.a, c.sw2, c.sb2, p, c)
		}
	}
}

// Near criticality iteration would take millions of layers. For tanh without biases and sigma_w^2 = 1+e, q* = e/2 and chi_1 = 1+e-2q*+... to first order: a
// Taylor series by hand.
func TestFixedNearCriticality(t *testing.T) {
	for _, e := range []float64{1e-3, 1e-5, 1e-8} {
		p := fixed(t, meanfield.Net{Activation: activation.Tanh, SigmaW2: 1 + e})
		if math.Abs(p.Q/(e/2)-1) > 4*e+1e-6 {
			t.Errorf("tanh with sigma_w^2 = 1+%g: q* is %g, should be near %g", e, p.Q, e/2)
		}
		// chi_1 - 1 = 14/3 q*^2 - ...: the orders of q* cancel
		if math.Abs(p.Chi1-1) > 20*e*e+1e-11 {
			t.Errorf("tanh with sigma_w^2 = 1+%g: chi_1-1 is %g", e, p.Chi1-1)
		}
	}
	if p := fixed(t, meanfield.Net{Activation: activation.Tanh, SigmaW2: 1}); p.Q != 0 || p.Phase != meanfield.Critical || !math.IsInf(p.XiQ, 1) {
		t.Errorf("tanh with sigma_w^2 = 1: %+v, should be critical at q* = 0, reached slower than exponentially", p)
	}
}

// GELU nets can collapse or diverge, depending on the input: there is an unstable fixed point between.
func TestSeveralFixedPoints(t *testing.T) {
	n := meanfield.Net{Activation: activation.GELU, SigmaW2: 2.1}
	list, err := n.Lengths()
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 2 || list[0].Q != 0 || !(list[0].Slope < 1) || !(list[1].Slope > 1) {
		t.Fatalf("fixed points %+v, should be a stable 0 and an unstable one", list)
	}
	below, err1 := n.FixedFrom(list[1].Q * 0.99)
	above, err2 := n.FixedFrom(list[1].Q * 1.01)
	if err1 != nil || err2 != nil || below.Q != 0 || !math.IsInf(above.Q, 1) {
		t.Errorf("from either side of %g: %v (%v), %v (%v); should be 0 and +Inf", list[1].Q, below, err1, above, err2)
	}
}

func TestStep(t *testing.T) {
	p := fixed(t, meanfield.Net{Activation: activation.Step, SigmaW2: 2, SigmaB2: 0.1})
	if !p.Jumps || !math.IsInf(p.Chi1, 1) || p.GradientFactor() != 0 || p.Phase != meanfield.Chaotic {
		t.Errorf("%+v: chi_1 should be +Inf, and backpropagation's factor 0", p)
	}
	// closed form: q* c = sigma_w^2 (pi-acos c)/(2 pi) + sigma_b^2
	near(t, "q*", p.Q, 1.1, 1e-12)
	near(t, "c*", p.C, (2*(math.Pi-math.Acos(p.C))/(2*math.Pi)+0.1)/1.1, 1e-9)
	near(t, "slope at c*", p.ChiC, 2/(2*math.Pi*math.Sqrt(1-p.C*p.C))/1.1, 1e-6)
	layers, err := meanfield.Net{Activation: activation.Step, SigmaW2: 2}.Trajectory(2, 3)
	if err != nil || layers[0].DeltaNorm != 0 || layers[2].DeltaNorm != 1 {
		t.Errorf("%v, %v: nothing should pass back through a step", layers, err)
	}
}

func TestCritical(t *testing.T) {
	for _, a := range activation.All() {
		for _, sb2 := range []float64{0, 0.05, 1, 4} {
			n := meanfield.Net{Activation: a, SigmaB2: sb2}
			sigmaW, err := n.Critical()
			if gelu := a == activation.GELU || a == activation.SiLU; a == activation.Step || gelu && sb2 < 0.1 {
				if err == nil {
					t.Errorf("%v, sigma_b^2 %g: critical at sigma_w = %g, should be nowhere", a, sb2, sigmaW)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			n.SigmaW2 = sigmaW * sigmaW
			p := fixed(t, n)
			near(t, fmt.Sprintf("%v, sigma_b^2 %g: chi_1 at the critical sigma_w %g", a, sb2, sigmaW), p.Chi1, 1, 1e-9)
			if p.Phase != meanfield.Critical {
				t.Errorf("%v, sigma_b^2 %g: %v at sigma_w = %g", a, sb2, p, sigmaW)
			}
			for _, side := range []float64{-1, 1} {
				n.SigmaW2 = sigmaW * sigmaW * (1 + side*1e-2)
				if p := fixed(t, n); float64(p.Phase) != side {
					t.Errorf("%v, sigma_b^2 %g: %v one percent from the edge", a, sb2, p)
				}
			}
		}
	}
}

// Known points of the edge: ReLU, linear and tanh in closed form; SELU without biases at q* = 0 has the mean of its slopes there.
func TestCriticalKnown(t *testing.T) {
	const l, a = activation.SELULambda, activation.SELUAlpha
	for _, c := range []struct {
		a        activation.Activation
		sb2, sw2 float64
	}{
		{activation.ReLU, 0, 2}, {activation.ReLU, 1, 2}, {activation.Linear, 0, 1}, {activation.Tanh, 0, 1}, {activation.LeakyReLU(0.1), 0, 2 / 1.01}, {activation.Softplus, 0.1, 2},
		{activation.SELU, 0, 2 / (l * l * (1 + a*a))},
	} {
		sigmaW, err := meanfield.Net{Activation: c.a, SigmaB2: c.sb2}.Critical()
		if err != nil {
			t.Fatal(err)
		}
		near(t, c.a.String(), sigmaW*sigmaW, c.sw2, 1e-12)
	}
	// Values for tanh that papers use, as they print them: Schoenholz et al. 2017 (1.76, 0.05), Xiao et al. 2018 (1.05, 2.01e-5).
	for _, v := range [][3]float64{{1.76, 0.05, 0.005}, {1.05, 2.01e-5, 0.0005}} {
		sigmaW, err := meanfield.Net{Activation: activation.Tanh, SigmaB2: v[1]}.Critical()
		if err != nil || math.Abs(sigmaW*sigmaW-v[0]) > v[2] {
			t.Errorf("tanh with sigma_b^2 = %g: critical at sigma_w^2 = %g (%v), published %g", v[1], sigmaW*sigmaW, err, v[0])
		}
	}
}

func TestNoCritical(t *testing.T) {
	for _, c := range []struct {
		a     activation.Activation
		sb2   float64
		words string
	}{
		{activation.Step, 0.1, "delta function"},
		{activation.GELU, 0, "jumps from"},
		{activation.GELU, 0.15, "lengths do not go there"},
		{activation.GELU, 0.25, ""},
		{activation.SiLU, 0, "jumps from"},
		{activation.SiLU, 0.5, "lengths do not go there"},
		{activation.SiLU, 0.7, ""},
	} {
		_, err := meanfield.Net{Activation: c.a, SigmaB2: c.sb2}.Critical()
		if c.words == "" && err == nil {
			continue
		}
		if err == nil || c.words == "" || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%v with sigma_b^2 = %g: error %v, should say %q", c.a, c.sb2, err, c.words)
		}
	}
}

func TestEdge(t *testing.T) {
	edge, err := meanfield.Edge(activation.Tanh, 1, 11)
	if err != nil || len(edge) != 11 {
		t.Fatalf("%d points, error %v", len(edge), err)
	}
	for i, p := range edge {
		near(t, "sigma_b^2", p.SigmaB2, float64(i*i)/100, 1e-12)
		if i > 0 && (p.SigmaW2 <= edge[i-1].SigmaW2 || p.Q <= edge[i-1].Q) {
			t.Errorf("tanh's edge does not rise at %+v", p)
		}
		if i > 0 {
			near(t, "length on the edge", meanfield.Net{Activation: activation.Tanh, SigmaW2: p.SigmaW2, SigmaB2: p.SigmaB2}.Length(p.Q), p.Q, 1e-11)
		}
	}
	if edge, err = meanfield.Edge(activation.GELU, 2, 5); err != nil || len(edge) == 0 || len(edge) == 5 {
		t.Errorf("GELU's edge: %v, %v; it should begin at some sigma_b > 0", edge, err)
	}
}

func TestErrors(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	tanh := activation.Tanh
	bad := map[string]func() error{
		"activation not set":  func() error { _, err := meanfield.Net{SigmaW2: 1}.Fixed(); return err },
		"SigmaW2 is -1":       func() error { _, err := meanfield.Net{tanh, -1, 0}.Fixed(); return err },
		"SigmaW2 is NaN":      func() error { _, err := meanfield.Net{tanh, nan, 0}.Lengths(); return err },
		"SigmaB2 is +Inf":     func() error { _, err := meanfield.Net{tanh, 1, inf}.Critical(); return err },
		"SigmaB2 is -0.1":     func() error { _, err := meanfield.Net{tanh, 1, -0.1}.GradientFactor(); return err },
		"q1 is -1":            func() error { _, err := meanfield.Net{tanh, 1, 0}.FixedFrom(-1); return err },
		"q1 is NaN":           func() error { _, err := meanfield.Net{tanh, 1, 0}.Trajectory(nan, 3); return err },
		"q1 is 0.1":           func() error { _, err := meanfield.Net{tanh, 1, 0.2}.Trajectory(0.1, 3); return err },
		"depth 0":             func() error { _, err := meanfield.Net{tanh, 1, 0}.Trajectory(1, 0); return err },
		"depth -3":            func() error { _, err := meanfield.Net{tanh, 1, 0}.From(meanfield.Input{MeanSquare: 1}, -3); return err },
		"Input.Cosine is 1.5": func() error { _, err := meanfield.Net{tanh, 1, 0}.From(meanfield.Input{Cosine: 1.5}, 3); return err },
		"Input.MeanSquare is NaN": func() error {
			_, err := meanfield.Net{tanh, 1, 0}.From(meanfield.Input{MeanSquare: nan}, 3)
			return err
		},
		"2 and 1 entries":         func() error { _, err := meanfield.Inputs([]float64{1, 2}, []float64{1}, 3); return err },
		"a NaN or an infinity":    func() error { _, err := meanfield.Inputs([]float64{1, nan}, []float64{1, 1}, 3); return err },
		"all zeros":               func() error { _, err := meanfield.Inputs([]float64{0}, []float64{1}, 3); return err },
		"width 0":                 func() error { _, err := meanfield.Inputs([]float64{1}, []float64{1}, 0); return err },
		"maxSigmaB is -1":         func() error { _, err := meanfield.Edge(tanh, -1, 3); return err },
		"0 points":                func() error { _, err := meanfield.Edge(tanh, 1, 0); return err },
		`Residual.Kind is ""`:     func() error { return meanfield.Residual{Activation: tanh, SigmaW2: 1}.Validate() },
		"Residual.Scale is NaN":   func() error { return meanfield.Residual{tanh, 1, 0, meanfield.PreActivation, nan}.Validate() },
		"Residual.Scale is 0.001": func() error { return meanfield.Residual{tanh, 1, 0, meanfield.PostActivation, 0.001}.Validate() },
		"first layer's length is 0": func() error {
			_, err := meanfield.Residual{tanh, 1, 0, meanfield.PostActivation, 1}.Trajectory(0, 3)
			return err
		},
		"no gradient at all": func() error {
			_, err := meanfield.Residual{activation.Step, 1, 0, meanfield.PostActivation, 1}.Trajectory(1, 3)
			return err
		},
		"depth -1": func() error {
			_, err := meanfield.Residual{tanh, 1, 0, meanfield.PreActivation, 1}.Trajectory(1, -1)
			return err
		},
		"BatchNorm.Batch is 3":  func() error { return meanfield.BatchNorm{Activation: tanh, Batch: 3}.Validate() },
		"BatchNorm.Batch is -8": func() error { return meanfield.BatchNorm{Activation: tanh, Batch: -8}.Validate() },
		"with After": func() error {
			return meanfield.BatchNorm{Activation: tanh, SigmaW2: 1, Batch: 8, After: true}.Validate()
		},
		"batch normalisation with step": func() error { _, err := meanfield.BatchNorm{Activation: activation.Step}.Fixed(); return err },
		"SigmaU2 is -1":                 func() error { _, err := meanfield.Recurrent{Activation: tanh, SigmaU2: -1}.Trajectory(3); return err },
		"no theory of fluctuations":     func() error { _, err := meanfield.Fluctuate(tanh, 10); return err },
		"width -4":                      func() error { _, err := meanfield.Fluctuate(activation.ReLU, 10, -4); return err },
		"no widths":                     func() error { _, err := meanfield.Fluctuate(activation.ReLU); return err },
	}
	for words, f := range bad {
		if err := f(); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("error %v, should say %q", err, words)
		}
	}
	n := meanfield.Net{Activation: tanh, SigmaW2: 1}
	for _, v := range []float64{n.Length(-1), n.Length(nan), n.Chi(inf), n.Correlation(1, 2), n.Correlation(-1, 0), (meanfield.Net{}).Length(1), (meanfield.Net{}).Chi(1)} {
		if !math.IsNaN(v) {
			t.Errorf("%g for bad input, should be NaN", v)
		}
	}
}

func TestJSON(t *testing.T) {
	for _, n := range []meanfield.Net{{activation.ReLU, 3, 0}, {activation.Linear, 1, 0}, {activation.Step, 1, 0.1}, {activation.Tanh, 3, 0.05}} {
		text, err := json.Marshal(n)
		var back meanfield.Net
		if err != nil || json.Unmarshal(text, &back) != nil || back != n {
			t.Errorf("%s is %v and comes back as %v (%v)", text, n, back, err)
		}
		p := fixed(t, n)
		text, err = json.Marshal(p)
		var q meanfield.Point
		if err != nil || json.Unmarshal(text, &q) != nil || fmt.Sprint(p, p.Kept, p.Jumps, p.ChiC) != fmt.Sprint(q, q.Kept, q.Jumps, q.ChiC) {
			t.Errorf("%s comes back as %v (%v)", text, q, err)
		}
	}
	steps, err := meanfield.Recurrent{Activation: activation.Tanh, SigmaW2: 1, SigmaU2: 1, Input: meanfield.Input{MeanSquare: 1}}.Trajectory(2)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(steps)
	if err != nil || !strings.Contains(string(text), `"h_grad_norm":"NaN"`) || !strings.Contains(string(text), `"delta_norm":1`) {
		t.Errorf("%s, %v", text, err)
	}
	var back []meanfield.Step
	if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(back[0], steps[0]) {
		t.Errorf("%s comes back as %+v, %v", text, back, err)
	}
	if err := json.Unmarshal([]byte(`{"q":"much"}`), &meanfield.Point{}); err == nil || !strings.Contains(err.Error(), `"NaN", "+Inf"`) {
		t.Errorf("a word for a number: error %v", err)
	}
	if err := json.Unmarshal([]byte(`{"phase":"gaseous"}`), &meanfield.Point{}); err == nil || !strings.Contains(err.Error(), "ordered, critical or chaotic") {
		t.Errorf("an unknown phase: error %v", err)
	}
}
