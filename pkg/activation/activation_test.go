package activation_test

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"

	"gonum.org/v1/gonum/integrate/quad"

	"github.com/gradbook/gradbook/pkg/activation"
)

// variants are all activations, and those with a parameter also with uncommon ones.
func variants() []activation.Activation {
	return append(activation.All(), activation.LeakyReLU(0.2), activation.LeakyReLU(0), activation.LeakyReLU(3), activation.PReLU(-0.5))
}

// near fails unless got is within relative of want, or within absolute.
func near(t *testing.T, what string, got, want, relative, absolute float64) {
	t.Helper()
	if got == want { // infinities too
		return
	}
	if diff := math.Abs(got - want); !(diff <= max(relative*math.Abs(want), absolute)) {
		t.Errorf("%s = %.17g, want %.17g (off by %.2g)", what, got, want, diff)
	}
}

func readJSON(t *testing.T, name string, into any) {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func parse(t *testing.T, name string) activation.Activation {
	t.Helper()
	a, err := activation.Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// expect returns E[f(g)] over g ~ N(0,1), by Gauss-Legendre panels that end at the kinks.
func expect(f func(float64) float64, kinks []float64) float64 {
	ends := []float64{-12}
	for _, kink := range append(kinks, 12) {
		for from := ends[len(ends)-1]; kink-from > 1; from = ends[len(ends)-1] {
			ends = append(ends, from+1)
		}
		ends = append(ends, kink)
	}
	sum := 0.0
	for i, end := range ends[1:] {
		sum += quad.Fixed(func(g float64) float64 { return f(g) * math.Exp(-g*g/2) }, ends[i], end, 30, quad.Legendre{}, 0)
	}
	return sum / math.Sqrt(2*math.Pi)
}

func TestReference(t *testing.T) {
	var file struct {
		Facts struct {
			SigmoidMax   float64            `json:"sigmoid_prime_max"`
			SigmoidAt    map[string]float64 `json:"sigmoid_prime_at"`
			SigmoidHalf  float64            `json:"sigmoid_prime_half_max_at"`
			Sigmoid1Pct  float64            `json:"sigmoid_prime_1pct_of_max_at"`
			TanhMax      float64            `json:"tanh_prime_max"`
			TanhAt       map[string]float64 `json:"tanh_prime_at"`
			MeanPrimeSq  map[string]float64 `json:"mean_phi_prime_sq_unit_gauss"`
			MeanSquare   map[string]float64 `json:"mean_phi_sq_unit_gauss"`
			MeanUnitGaus map[string]float64 `json:"mean_phi_unit_gauss"`
		} `json:"activation_facts"`
	}
	readJSON(t, "gradient-flow.json", &file)
	facts := file.Facts
	if len(facts.SigmoidAt) < 5 || len(facts.TanhAt) < 5 || len(facts.MeanPrimeSq) < 10 || len(facts.MeanSquare) < 10 || len(facts.MeanUnitGaus) < 10 {
		t.Fatalf("the reference file lacks entries: %+v", facts)
	}
	for _, at := range []struct {
		a      activation.Activation
		values map[string]float64
	}{{activation.Sigmoid, facts.SigmoidAt}, {activation.Tanh, facts.TanhAt}} {
		for text, want := range at.values {
			z := number(t, text)
			near(t, at.a.String()+"' at "+text, at.a.Derivative(z), want, 1e-13, 1.2e-16) // the file has s(1-s), rounded
			near(t, at.a.String()+"' at -"+text, at.a.Derivative(-z), want, 1e-13, 1.2e-16)
		}
	}
	for _, m := range []struct {
		a    activation.Activation
		want float64
	}{{activation.Sigmoid, facts.SigmoidMax}, {activation.Tanh, facts.TanhMax}} {
		value, at := m.a.MaxDerivative()
		if value != m.want || at != 0 {
			t.Errorf("%s: greatest derivative %g at %g, want %g at 0", m.a, value, at, m.want)
		}
	}
	near(t, "sigmoid' where it is half its maximum", activation.Sigmoid.Derivative(facts.SigmoidHalf), 0.125, 1e-13, 0)
	_, high := activation.Sigmoid.Dead()
	near(t, "where sigmoid' is 1 % of its maximum", high, facts.Sigmoid1Pct, 1e-14, 0)
	for _, mean := range []struct {
		what   string
		values map[string]float64
		of     func(activation.Activation, float64) float64
	}{
		{"E[phi'^2]", facts.MeanPrimeSq, func(a activation.Activation, z float64) float64 { return a.Derivative(z) * a.Derivative(z) }},
		{"E[phi^2]", facts.MeanSquare, func(a activation.Activation, z float64) float64 { return a.Value(z) * a.Value(z) }},
		{"E[phi]", facts.MeanUnitGaus, activation.Activation.Value},
	} {
		for name, want := range mean.values {
			if slope, ok := strings.CutPrefix(name, "leaky_relu_"); ok {
				name = "leaky_relu(" + slope + ")"
			}
			a := parse(t, name)
			got := expect(func(z float64) float64 { return mean.of(a, z) }, a.Kinks())
			near(t, mean.what+" of "+name, got, want, 1e-11, 1e-14)
		}
	}
}

func number(t *testing.T, text string) float64 {
	t.Helper()
	var v float64
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// TestTails holds values and derivatives against numbers of high precision, far out and next to 0.
func TestTails(t *testing.T) {
	var file struct {
		Points []struct {
			Name                 string
			Z, Value, Derivative float64
		}
	}
	readJSON(t, "tails.json", &file)
	if len(file.Points) != 8*14 {
		t.Fatalf("%d points", len(file.Points))
	}
	for _, p := range file.Points {
		a := parse(t, p.Name)
		where := p.Name + " at " + jsonText(t, p.Z)
		near(t, where, a.Value(p.Z), p.Value, 2e-13, 0)
		near(t, where+", derivative", a.Derivative(p.Z), p.Derivative, 2e-13, 0)
	}
}

func jsonText(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestPiecewise has the functions of straight pieces at and beside their kinks.
func TestPiecewise(t *testing.T) {
	up := math.Nextafter(0, 1)
	for _, c := range []struct {
		a                    activation.Activation
		z, value, derivative float64
	}{
		{activation.Step, -3, 0, 0}, {activation.Step, 0, 0, 0}, {activation.Step, up, 1, 0}, {activation.Step, 1e300, 1, 0},
		{activation.Linear, -3.5, -3.5, 1}, {activation.Linear, 0, 0, 1},
		{activation.ReLU, -1, 0, 0}, {activation.ReLU, 0, 0, 0}, {activation.ReLU, up, up, 1}, {activation.ReLU, 2.5, 2.5, 1},
		{activation.LeakyReLU(0.01), -2, -0.02, 0.01}, {activation.LeakyReLU(0.01), 0, 0, 0.01}, {activation.LeakyReLU(0.01), up, up, 1},
		{activation.PReLU(0.25), -2, -0.5, 0.25}, {activation.PReLU(0.25), 3, 3, 1},
		{activation.ELU, 0, 0, 1}, {activation.SELU, 0, 0, activation.SELULambda * activation.SELUAlpha}, {activation.SELU, up, up, activation.SELULambda},
		{activation.HardSigmoid, -2.5, 0, 0}, {activation.HardSigmoid, 0, 0.5, 0.2}, {activation.HardSigmoid, 2.5, 1, 0}, {activation.HardSigmoid, 9, 1, 0},
		{activation.HardSigmoid, 1, 0.7, 0.2},
	} {
		if got := c.a.Value(c.z); got != c.value {
			t.Errorf("%s(%g) = %g, want %g", c.a, c.z, got, c.value)
		}
		if got := c.a.Derivative(c.z); got != c.derivative {
			t.Errorf("%s'(%g) = %g, want %g", c.a, c.z, got, c.derivative)
		}
	}
}

func TestInfinityAndNaN(t *testing.T) {
	inf := math.Inf(1)
	ends := map[string][2]float64{ // at -Inf and +Inf
		"step": {0, 1}, "linear": {-inf, inf}, "sigmoid": {0, 1}, "tanh": {-1, 1}, "relu": {0, inf}, "leaky_relu(0.01)": {-inf, inf}, "prelu(0.25)": {-inf, inf}, "elu": {-1, inf},
		"selu": {-activation.SELULambda * activation.SELUAlpha, inf}, "gelu": {0, inf}, "silu": {0, inf}, "softplus": {0, inf}, "softsign": {-1, 1}, "hard_sigmoid": {0, 1},
	}
	for _, a := range activation.All() {
		want, ok := ends[a.String()]
		if !ok {
			t.Fatalf("no limits known of %s", a)
		}
		if low, high := a.Value(-inf), a.Value(inf); low != want[0] || high != want[1] {
			t.Errorf("%s at -Inf, Inf: %g, %g, want %g", a, low, high, want)
		}
		for _, z := range []float64{-inf, inf, -math.MaxFloat64, math.MaxFloat64, -1e200, 1e200} {
			if d := a.Derivative(z); math.IsNaN(d) || math.IsInf(d, 0) {
				t.Errorf("%s'(%g) = %g", a, z, d)
			}
		}
		if v, d := a.Value(math.NaN()), a.Derivative(math.NaN()); !math.IsNaN(v) || !math.IsNaN(d) {
			t.Errorf("%s of NaN: value %g, derivative %g", a, v, d)
		}
	}
}

// TestDerivativeByDifferences compares with central differences of fourth order, away from the kinks.
func TestDerivativeByDifferences(t *testing.T) {
	const h = 1.0 / 1024
	for _, a := range variants() {
		largest, compared := 0.0, 0
	points:
		for z := -9.03; z < 9; z += 0.17 {
			for _, kink := range a.Kinks() {
				if math.Abs(z-kink) < 4*h {
					continue points
				}
			}
			f := a.Value
			numeric := (8*(f(z+h)-f(z-h)) - (f(z+2*h) - f(z-2*h))) / (12 * h)
			near(t, a.String()+"' at "+jsonText(t, z), a.Derivative(z), numeric, 0, 5e-11)
			largest, compared = max(largest, math.Abs(numeric)), compared+1
		}
		if compared < 100 || (largest == 0) != (a == activation.Step) {
			t.Errorf("%s: %d points, largest derivative %g", a, compared, largest)
		}
	}
}

// TestKinks finds the jumps of the first two derivatives itself.
func TestKinks(t *testing.T) {
	const h = 1e-5
	for _, a := range variants() {
		isKink := func(z float64) bool {
			jump1 := math.Abs(a.Derivative(z+h)-a.Derivative(z-h)) > 1e-3
			jump2 := math.Abs(a.Derivative(z+2*h)-2*a.Derivative(z)+a.Derivative(z-2*h)) > 1e-7 // h times the jump of the second
			jump0 := math.Abs(a.Value(z+h)-a.Value(z-h)) > 0.1
			return jump0 || jump1 || jump2
		}
		var seen []float64
		for z := -4.0; z <= 4; z += 0.25 {
			if isKink(z) {
				seen = append(seen, z)
			}
		}
		if got, want := jsonText(t, a.Kinks()), jsonText(t, seen); got != want {
			t.Errorf("%s: Kinks() = %s, seen are %s", a, got, want)
		}
	}
}

func TestMaxDerivative(t *testing.T) {
	for _, a := range variants() {
		value, at := a.MaxDerivative()
		for z := -30.0; z < 30; z += 1.0 / 64 {
			if d := math.Abs(a.Derivative(z)); d > value {
				t.Errorf("%s: |derivative| at %g is %.17g, more than %.17g", a, z, d, value)
			}
		}
		right := at + 1e-13
		if got := max(math.Abs(a.Derivative(at)), math.Abs(a.Derivative(right))); math.Abs(got-value) > 1e-12 {
			t.Errorf("%s: the derivative at %g is %g, not %g", a, at, got, value)
		}
	}
}

// TestSaturation checks what a saturated unit's h is, and that it is so on both sides of the limits.
func TestSaturation(t *testing.T) {
	inf := math.Inf(1)
	selu := activation.SELULambda * activation.SELUAlpha
	limits := map[string][2]float64{"sigmoid": {0.05, 0.95}, "tanh": {-0.97, 0.97}, "softsign": {-0.9, 0.9}, "hard_sigmoid": {0, 1}, "elu": {-0.95, inf}, "selu": {-0.95 * selu, inf}}
	for _, a := range variants() {
		low, high := a.Saturation()
		want, saturates := limits[a.String()]
		switch {
		case a == activation.Step:
			if !math.IsInf(low, 1) || !math.IsInf(high, -1) {
				t.Errorf("step: %g, %g: it should be saturated everywhere", low, high)
			}
		case !saturates:
			if !math.IsInf(low, -1) || !math.IsInf(high, 1) {
				t.Errorf("%s: %g, %g: it should never be saturated", a, low, high)
			}
		default:
			near(t, a.String()+" at its lower limit", a.Value(low), want[0], 1e-14, 0)
			near(t, a.String()+" at its upper limit", a.Value(high), want[1], 1e-14, 0)
		}
	}
}

// TestSELUConstants computes them by the closed forms of the paper's appendix.
func TestSELUConstants(t *testing.T) {
	e1, e2 := math.Erfc(1/math.Sqrt2), math.Erfc(math.Sqrt2)
	alpha := -math.Sqrt(2/math.Pi) / (e1*math.Exp(0.5) - 1)
	lambda := (1 - e1*math.Sqrt(math.E)) * math.Sqrt(2*math.Pi) /
		math.Sqrt(2*e2*math.E*math.E+math.Pi*e1*e1*math.E-2*(2+math.Pi)*e1*math.Sqrt(math.E)+math.Pi+2)
	near(t, "alpha", activation.SELUAlpha, alpha, 1e-14, 0)
	near(t, "lambda", activation.SELULambda, lambda, 1e-14, 0)
	near(t, "E[phi] of N(0,1)", expect(activation.SELU.Value, activation.SELU.Kinks()), 0, 0, 1e-14)
	near(t, "E[phi^2] of N(0,1)", expect(func(z float64) float64 { return activation.SELU.Value(z) * activation.SELU.Value(z) }, activation.SELU.Kinks()), 1, 1e-13, 0)
}

// TestDead checks the derivative at the limits and beyond.
func TestDead(t *testing.T) {
	tails := 0
	for _, a := range variants() {
		low, high := a.Dead()
		largest, _ := a.MaxDerivative()
		exact := false // whether the derivative beyond the limits is 0
		switch slope, _ := a.Slope(); a.String() {
		case "step", "relu", "hard_sigmoid", "leaky_relu(0)":
			exact = true
		case "linear", "leaky_relu(0.01)", "leaky_relu(0.2)", "leaky_relu(3)", "prelu(0.25)", "prelu(-0.5)":
			if !math.IsInf(low, -1) || !math.IsInf(high, 1) {
				t.Errorf("%s (slope %g): %g, %g: it should never be dead", a, slope, low, high)
			}
			continue
		}
		for _, end := range []float64{low, high} {
			if math.IsInf(end, 0) {
				continue
			}
			if d := math.Abs(a.Derivative(end)); exact && d != 0 {
				t.Errorf("%s: the derivative at %g is %g", a, end, d)
			} else if !exact {
				near(t, a.String()+": |derivative| at its limit", d, 0.01*largest, 1e-12, 0)
				tails++
			}
		}
		for z := -40.0; z <= 40; z += 1.0 / 64 {
			dead, d := z <= low || z >= high, math.Abs(a.Derivative(z))
			if small := d <= 0.01*largest; dead && (!small || exact && d != 0) {
				t.Errorf("%s: the derivative at %g is %g, but it counts as dead", a, z, d)
			}
		}
	}
	if tails != 3*2+5 {
		t.Errorf("%d limits of tails were checked", tails)
	}
	if low, _ := activation.ReLU.Dead(); low != 0 {
		t.Errorf("a ReLU is dead up to %g, not 0", low)
	}
}

func TestNames(t *testing.T) {
	seen := map[activation.Activation]bool{}
	for _, a := range append(variants(), activation.LeakyReLU(1e-30), activation.PReLU(1.0/3)) {
		if seen[a] {
			t.Errorf("%s comes twice", a)
		}
		seen[a] = true
		if err := a.Valid(); err != nil {
			t.Error(err)
		}
		if back := parse(t, a.String()); back != a {
			t.Errorf("%s was read back as %s", a, back)
		}
		type config struct {
			Activation activation.Activation
		}
		var back config
		text := jsonText(t, config{a})
		if text != `{"Activation":"`+a.String()+`"}` {
			t.Errorf("as JSON: %s", text)
		}
		if err := json.Unmarshal([]byte(text), &back); err != nil || back.Activation != a {
			t.Errorf("%s from JSON: %v, %v", a, back.Activation, err)
		}
	}
	if len(activation.All()) != 14 {
		t.Errorf("%d activations", len(activation.All()))
	}
	for text, want := range map[string]activation.Activation{
		" ReLU ": activation.ReLU, "swish": activation.SiLU, "identity": activation.Linear, "leaky_relu": activation.LeakyReLU(0.01), "prelu": activation.PReLU(0.25),
		"Leaky_ReLU( 2e-1 )": activation.LeakyReLU(0.2), "prelu (-1)": activation.PReLU(-1),
	} {
		if got := parse(t, text); got != want {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
	}
}

func TestMistakes(t *testing.T) {
	for text, words := range map[string]string{
		"":                     "choose one of step, linear, sigmoid",
		"unset":                "unknown activation \"unset\"",
		"sigmiod":              "hard_sigmoid",
		"relu(1)":              "takes no parameter",
		"relu()":               "takes no parameter",
		"leaky_relu()":         "must be a finite number",
		"leaky_relu(x)":        "must be a finite number, for example leaky_relu(0.01)",
		"leaky_relu(NaN)":      "must be a finite number",
		"prelu(Inf)":           "must be a finite number",
		"leaky_relu(0.1":       "unknown activation",
		"leaky_relu(1e999999)": "must be a finite number",
	} {
		if a, err := activation.Parse(text); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%q: %v, %v; want an error with %q", text, a, err, words)
		}
	}
	var zero activation.Activation
	for a, words := range map[activation.Activation]string{
		zero:                               "not set: choose one of step",
		activation.LeakyReLU(math.Inf(1)):  "slope must be a finite number",
		activation.PReLU(math.NaN()):       "slope must be a finite number",
		activation.PReLU(-math.MaxFloat64): "",
		activation.LeakyReLU(math.Inf(-1)): "leaky_relu(-Inf)",
	} {
		err := a.Valid()
		if words == "" {
			if err != nil {
				t.Error(err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s is valid: %v; want an error with %q", a, err, words)
		}
		if text, err := json.Marshal(a); err == nil {
			t.Errorf("%s as JSON: %s", a, text)
		}
		for what, f := range map[string]func(){
			"Value": func() { a.Value(0) }, "Derivative": func() { a.Derivative(0) }, "Kinks": func() { a.Kinks() }, "Saturation": func() { a.Saturation() },
			"Dead": func() { a.Dead() }, "MaxDerivative": func() { a.MaxDerivative() }, "Graph": func() { a.Graph(nil) },
		} {
			if message := panicOf(f); !strings.Contains(message, words) {
				t.Errorf("%s of %s: panic %q, want one with %q", what, a, message, words)
			}
		}
	}
	if err := json.Unmarshal([]byte(`"rleu"`), &zero); err == nil || zero != (activation.Activation{}) {
		t.Errorf("read %s, %v", zero, err)
	}
}

// panicOf returns the message of f's panic, empty if there is none.
func panicOf(f func()) (message string) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case error:
			message = r.Error()
		case string:
			message = r
		}
	}()
	f()
	return ""
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"relu", "leaky_relu(0.01)", "prelu(-1e-3)", "LEAKY_RELU( 0x1p-2 )", "leaky_relu(", "()", "swish", "gelu()", "prelu(1_0)", "\x00(1)"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := activation.Parse(text)
		if err != nil {
			if a != (activation.Activation{}) {
				t.Errorf("%q: both %s and %v", text, a, err)
			}
			return
		}
		if err := a.Valid(); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if back, err := activation.Parse(a.String()); err != nil || back != a {
			t.Errorf("%q is %s, which is read as %s, %v", text, a, back, err)
		}
	})
}
