// Package activation holds the functions phi that turn a unit's pre-activation z into its activation h = phi(z): their values and derivatives in float64
// for plots and for theory, the same functions as parts of a GoMLX graph, and what counts as a saturated or a dead unit for each.
//
//	a := activation.LeakyReLU(0.01)
//	a.Value(-2), a.Derivative(-2)   // -0.02, 0.01
//	h := a.Graph(z)                 // in a model function
//
// An [Activation] is a plain comparable value that prints, parses and marshals by its name. Its zero value is no activation: see [Activation.Valid].
//
// Derivative is what automatic differentiation of Graph gives, in every point: at a kink both take the value from the left, so that a ReLU unit with z = 0 is
// off in both its value and its derivative. NaN goes in and comes out, of Value, of Derivative and of Graph: a net that broke stays visible.
//
//	name                definition                                     max |phi'|        source
//	step                1 if z > 0, else 0                             0                 Rosenblatt 1958, the perceptron
//	linear              z                                              1
//	sigmoid             1/(1+exp(-z))                                  1/4 at 0          Rumelhart, Hinton, Williams 1986
//	tanh                tanh(z)                                        1 at 0            LeCun et al. 1998, Efficient BackProp, 4.4
//	relu                max(z, 0)                                      1                 Nair, Hinton 2010; Glorot, Bordes, Bengio 2011
//	leaky_relu(slope)   z if z > 0, else slope z                       max(1, |slope|)   Maas, Hannun, Ng 2013
//	prelu(slope)        the same, the slope being learned              max(1, |slope|)   He et al. 2015, eq. 1
//	elu                 z if z > 0, else exp(z)-1                      1                 Clevert, Unterthiner, Hochreiter 2016
//	selu                lambda times (z, or alpha (exp(z)-1))          1.7581 at 0       Klambauer et al. 2017, eq. 2
//	gelu                z Phi(z), Phi by erf (not the tanh formula)    1.1289 at 1.4142  Hendrycks, Gimpel 2016
//	silu                z sigmoid(z)                                   1.0998 at 2.3994  Elfwing, Uchibe, Doya 2018; Ramachandran et al. 2017
//	softplus            log(1+exp(z))                                  1 at +Inf         Dugas et al. 2001
//	softsign            z/(1+|z|)                                      1 at 0            Bergstra et al. 2009; Glorot, Bengio 2010
//	hard_sigmoid        0.2 z + 0.5 between 0 and 1                    0.2               as in Theano and GoMLX
//
// The package knows neither layers nor weights: the slope that a PReLU learns is a variable of its layer, handed to [Activation.GraphWith].
package activation

import (
	"math"
	"strconv"
	"strings"

	"github.com/pkg/errors"
)

type kind uint8

// The order is that of All; zero is "not set".
const (
	unset kind = iota
	step
	linear
	sigmoid
	tanh
	relu
	leakyReLU
	prelu
	elu
	selu
	gelu
	silu
	softplus
	softsign
	hardSigmoid
)

var names = [...]string{
	step: "step", linear: "linear", sigmoid: "sigmoid", tanh: "tanh", relu: "relu", leakyReLU: "leaky_relu", prelu: "prelu", elu: "elu",
	selu: "selu", gelu: "gelu", silu: "silu", softplus: "softplus", softsign: "softsign", hardSigmoid: "hard_sigmoid",
}

// Slopes that Parse takes where none is written.
const (
	defaultLeak  = 0.01 // Maas et al. 2013
	defaultPReLU = 0.25 // He et al. 2015, section 2.1: where the learned slope starts
)

// Activation is one function phi, applied to each entry of a layer's z. Values are comparable; the zero value is not an activation.
type Activation struct {
	kind  kind
	slope float64 // of LeakyReLU and PReLU for z <= 0; else 0
}

// The activations without a parameter; the package's table has their definitions and sources.
var (
	// Step is the threshold unit: 1 if z > 0, else 0. Its derivative is 0 everywhere: nothing can be learned through it.
	Step = Activation{kind: step}
	// Linear is the identity, phi(z) = z.
	Linear = Activation{kind: linear}
	// Sigmoid is the logistic function 1/(1+exp(-z)), between 0 and 1.
	Sigmoid = Activation{kind: sigmoid}
	// Tanh is the hyperbolic tangent, between -1 and 1.
	Tanh = Activation{kind: tanh}
	// ReLU is max(z, 0), with derivative 0 at z = 0.
	ReLU = Activation{kind: relu}
	// ELU is z for z > 0 and exp(z)-1 below.
	ELU = Activation{kind: elu}
	// SELU is ELU scaled such that mean 0 and variance 1 are a fixed point: see [SELULambda] and [SELUAlpha].
	SELU = Activation{kind: selu}
	// GELU is z Phi(z) with the distribution function Phi of the standard normal: the exact one, not the approximation by tanh.
	GELU = Activation{kind: gelu}
	// SiLU is z sigmoid(z), also called swish.
	SiLU = Activation{kind: silu}
	// Softplus is log(1+exp(z)), a smooth ReLU whose derivative is the sigmoid.
	Softplus = Activation{kind: softplus}
	// Softsign is z/(1+|z|), between -1 and 1 with tails that fall as 1/z^2.
	Softsign = Activation{kind: softsign}
	// HardSigmoid is 0.2 z + 0.5 cut off at 0 and 1, with derivative 0 at and beyond the cuts z = -2.5 and 2.5. PyTorch's function of that name has slope 1/6.
	HardSigmoid = Activation{kind: hardSigmoid}
)

// Constants of SELU, by which mean 0 and variance 1 map to themselves (Klambauer et al. 2017), with as many digits as float64 holds.
const (
	SELULambda = 1.0507009873554804934193349852946
	SELUAlpha  = 1.6732632423543772848170429916717
)

// LeakyReLU is z for z > 0 and slope z below; 0.01 is usual, and any finite slope is allowed.
func LeakyReLU(slope float64) Activation { return Activation{kind: leakyReLU, slope: slope} }

// PReLU is a leaky ReLU whose slope is learned and starts at slope (He et al. start at 0.25). Value, Derivative and Graph use the start; GraphWith takes the
// learned one.
func PReLU(slope float64) Activation { return Activation{kind: prelu, slope: slope} }

// All returns the fourteen activations in the order of the package's table, the leaky one with slope 0.01 and the parametric one with 0.25.
func All() []Activation {
	all := make([]Activation, 0, len(names)-1)
	for k := step; int(k) < len(names); k++ {
		a := Activation{kind: k}
		if slope, ok := defaultSlope(k); ok {
			a.slope = slope
		}
		all = append(all, a)
	}
	return all
}

func defaultSlope(k kind) (slope float64, ok bool) {
	switch k {
	case leakyReLU:
		return defaultLeak, true
	case prelu:
		return defaultPReLU, true
	}
	return 0, false
}

// allowed lists what Parse takes, for messages.
func allowed() string {
	list := make([]string, 0, len(names)-1)
	for k := step; int(k) < len(names); k++ {
		name := names[k]
		if _, ok := defaultSlope(k); ok {
			name += "(slope)"
		}
		list = append(list, name)
	}
	return strings.Join(list, ", ")
}

// Valid returns nil for an activation that can be used, and else an error that says what is allowed: the zero value was never set, and the slope of LeakyReLU
// and PReLU must be finite.
func (a Activation) Valid() error {
	if a.kind == unset || int(a.kind) >= len(names) {
		return errors.Errorf("activation not set: choose one of %s", allowed())
	}
	if math.IsNaN(a.slope) || math.IsInf(a.slope, 0) {
		return errors.Errorf("activation %s: the slope must be a finite number, for example 0.01", a)
	}
	return nil
}

// must panics if a cannot be used: for the methods that return numbers only.
func (a Activation) must() {
	if a.kind == unset || a.slope-a.slope != 0 {
		panic(a.Valid())
	}
}

// String returns the name that Parse reads, for example "tanh" or "leaky_relu(0.01)"; "unset" for the zero value.
func (a Activation) String() string {
	if a.kind == unset || int(a.kind) >= len(names) {
		return "unset"
	}
	if _, ok := defaultSlope(a.kind); ok {
		return names[a.kind] + "(" + strconv.FormatFloat(a.slope, 'g', -1, 64) + ")"
	}
	return names[a.kind]
}

// Slope returns the slope for z <= 0 of a LeakyReLU, or the start of the learned one of a PReLU; learned tells the two apart. It is 0, false for all others.
func (a Activation) Slope() (slope float64, learned bool) { return a.slope, a.kind == prelu }

// Parse reads what String writes. Case and surrounding blanks do not matter; "leaky_relu" alone has slope 0.01 and "prelu" 0.25; "identity" is linear and
// "swish" is silu. The error for an unknown name or a slope that is no finite number says what is allowed.
func Parse(name string) (Activation, error) {
	text := strings.ToLower(strings.TrimSpace(name))
	head, argument, hasArgument := text, "", false
	if i := strings.IndexByte(text, '('); i >= 0 && strings.HasSuffix(text, ")") {
		head, argument, hasArgument = strings.TrimSpace(text[:i]), strings.TrimSpace(text[i+1:len(text)-1]), true
	}
	switch head {
	case "identity":
		head = names[linear]
	case "swish":
		head = names[silu]
	}
	for k := step; int(k) < len(names); k++ {
		if names[k] != head {
			continue
		}
		a := Activation{kind: k}
		slope, takesSlope := defaultSlope(k)
		switch {
		case !takesSlope && hasArgument:
			return Activation{}, errors.Errorf("activation %q: %s takes no parameter", name, head)
		case takesSlope && hasArgument:
			parsed, err := strconv.ParseFloat(argument, 64)
			if err != nil || math.IsNaN(parsed) || math.IsInf(parsed, 0) {
				return Activation{}, errors.Errorf("activation %q: the slope %q must be a finite number, for example %s(%g)", name, argument, head, slope)
			}
			slope = parsed
		}
		a.slope = slope
		return a, nil
	}
	return Activation{}, errors.Errorf("unknown activation %q: choose one of %s", name, allowed())
}

// MarshalText writes the name, for JSON and the like. The zero value and a slope that is not finite are errors.
func (a Activation) MarshalText() ([]byte, error) {
	if err := a.Valid(); err != nil {
		return nil, err
	}
	return []byte(a.String()), nil
}

// UnmarshalText reads what MarshalText writes, by Parse.
func (a *Activation) UnmarshalText(text []byte) error {
	parsed, err := Parse(string(text))
	if err != nil {
		return err
	}
	*a = parsed
	return nil
}
