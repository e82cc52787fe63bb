// Package initializer draws the weights and biases that a net starts from.
//
//	w, err := initializer.GlorotUniform(1).Draw(initializer.Stream(seed, "h1/W"), 784, 100)
//
// Numbers are drawn on the host in float64, row by row, so that a seed gives the same bits whatever backend computes with them later: GoMLX's own
// initialisers draw on the device, and differ from one backend to the next. Each variable should have a [Stream] of its own, by its name: then a layer more
// or less leaves the weights of the others as they were.
//
// Weights are of shape [fan-in, fan-out] for a dense layer (z = h W + b) and [height, width, in, out] for a convolution; [Fans] counts.
//
//	name              variance of an entry              source
//	normal            sigma_w^2 / fan_in                Poole et al. 2016; Schoenholz et al. 2017
//	uniform           the same, within sqrt(3) sigma    LeCun et al. 1998, Efficient BackProp, section 4.6, for sigma_w = 1
//	glorot_normal     gain^2 2/(fan_in+fan_out)         Glorot, Bengio 2010, eq. 12
//	glorot_uniform    the same, within sqrt(3) sigma    Glorot, Bengio 2010, eq. 16 (their 'normalized initialization')
//	he                gain^2 2/fan_in                   He et al. 2015, eq. 10
//	he_fan_out        gain^2 2/fan_out                  He et al. 2015, eq. 14
//	lecun             gain^2/fan_in                     LeCun et al. 1998, eq. 16; Klambauer et al. 2017 for SELU
//	orthogonal        gain^2/max(rows, columns)         Saxe, McClelland, Ganguli 2014; Mezzadri 2007 for the draw
//	identity          (no draw) gain on the diagonal    Le, Jaitly, Hinton 2015
//
// All normals are full ones, not truncated. The package knows neither layers nor activations: which gain suits which activation is for package meanfield to
// say.
package initializer

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"github.com/pkg/errors"
)

// Kind names a distribution of weights; the package's table defines them. The zero value is KindNormal.
type Kind int

// The kinds of initialisers.
const (
	KindNormal        Kind = iota // N(0, gain^2/fan_in)
	KindUniform                   // uniform with the variance of KindNormal
	KindGlorotNormal              // N(0, 2 gain^2/(fan_in+fan_out))
	KindGlorotUniform             // uniform with the variance of KindGlorotNormal
	KindHe                        // N(0, 2 gain^2/fan_in)
	KindHeFanOut                  // N(0, 2 gain^2/fan_out)
	KindLeCun                     // N(0, gain^2/fan_in)
	KindOrthogonal                // orthonormal rows or columns, times gain
	KindIdentity                  // gain on the diagonal, 0 elsewhere
)

var kindNames = [...]string{"normal", "uniform", "glorot_normal", "glorot_uniform", "he", "he_fan_out", "lecun", "orthogonal", "identity"}

// Kinds returns all kinds in the order of the package's table.
func Kinds() []Kind {
	kinds := make([]Kind, len(kindNames))
	for i := range kinds {
		kinds[i] = Kind(i)
	}
	return kinds
}

// String returns the kind's name, for example "glorot_normal".
func (k Kind) String() string {
	if k < 0 || int(k) >= len(kindNames) {
		return "kind(" + strconv.Itoa(int(k)) + ")"
	}
	return kindNames[k]
}

// ParseKind reads what String writes, whatever the case. The error for any other name lists the kinds.
func ParseKind(name string) (Kind, error) {
	text := strings.ToLower(strings.TrimSpace(name))
	for i, known := range kindNames {
		if known == text {
			return Kind(i), nil
		}
	}
	return 0, errors.Errorf("unknown initializer %q: choose one of %s", name, strings.Join(kindNames[:], ", "))
}

// MarshalText writes the kind's name.
func (k Kind) MarshalText() ([]byte, error) {
	if k < 0 || int(k) >= len(kindNames) {
		return nil, errors.Errorf("unknown initializer kind %d: choose one of %s", int(k), strings.Join(kindNames[:], ", "))
	}
	return []byte(kindNames[k]), nil
}

// UnmarshalText reads what MarshalText writes.
func (k *Kind) UnmarshalText(text []byte) error {
	parsed, err := ParseKind(string(text))
	if err != nil {
		return err
	}
	*k = parsed
	return nil
}

// Initializer says how weights are drawn. It is a plain comparable value; the zero value is Normal(1), N(0, 1/fan_in).
type Initializer struct {
	Kind Kind `json:"kind"`
	// Gain is a factor on every weight: sigma_w of the kinds normal and uniform. 0 means 1, so that {Kind: KindHe} is what it seems to be. It must be
	// positive and finite.
	Gain float64 `json:"gain"`
}

// Normal draws from N(0, sigmaW^2/fan_in).
func Normal(sigmaW float64) Initializer { return Initializer{KindNormal, given(sigmaW)} }

// Uniform draws uniformly, with the variance sigmaW^2/fan_in of Normal: between -sigmaW sqrt(3/fan_in) and sigmaW sqrt(3/fan_in).
func Uniform(sigmaW float64) Initializer { return Initializer{KindUniform, given(sigmaW)} }

// GlorotNormal draws from N(0, 2 gain^2/(fan_in+fan_out)).
func GlorotNormal(gain float64) Initializer { return Initializer{KindGlorotNormal, given(gain)} }

// GlorotUniform draws uniformly with the variance of GlorotNormal: within gain sqrt(6/(fan_in+fan_out)) of 0.
func GlorotUniform(gain float64) Initializer { return Initializer{KindGlorotUniform, given(gain)} }

// He draws from N(0, 2/fan_in), which keeps the mean square of z from layer to layer of a ReLU net, and the norm of delta too where widths are equal.
func He() Initializer { return Initializer{KindHe, 1} }

// HeFanOut draws from N(0, 2/fan_out), which keeps the variance of delta from layer to layer of a ReLU net; usual for convolutional residual nets.
func HeFanOut() Initializer { return Initializer{KindHeFanOut, 1} }

// LeCun draws from N(0, 1/fan_in), as Normal(1) does, under the name by which SELU nets know it.
func LeCun() Initializer { return Initializer{KindLeCun, 1} }

// Orthogonal draws a matrix with orthonormal columns (W^T W = gain^2 I, if it is at least as high as wide) or rows (W W^T = gain^2 I), uniformly among all of
// them. A convolution kernel counts as the matrix [height*width*in, out].
func Orthogonal(gain float64) Initializer { return Initializer{KindOrthogonal, given(gain)} }

// Identity is gain on the diagonal and 0 elsewhere, with as many ones as the smaller side has: a wider layer gets zeros beside, a narrower one loses the last
// entries. In a convolution kernel the centre is that matrix (of an even size, the tap at size/2), which leaves an image as it is.
func Identity(gain float64) Initializer { return Initializer{KindIdentity, given(gain)} }

// given keeps an explicit 0 apart from a Gain that nobody set: -0 is refused by Valid.
func given(gain float64) float64 {
	if gain == 0 {
		return math.Copysign(0, -1)
	}
	return gain
}

// gain is the factor to use.
func (i Initializer) gain() float64 {
	if i.Gain == 0 && !math.Signbit(i.Gain) {
		return 1
	}
	return i.Gain
}

// Valid returns nil if weights can be drawn, and else an error that says what is allowed.
func (i Initializer) Valid() error {
	if _, err := i.Kind.MarshalText(); err != nil {
		return err
	}
	if g := i.gain(); !(g > 0) || math.IsInf(2*g*g, 0) {
		return errors.Errorf("initializer %s: gain (sigma_w) must be a positive finite number, for example 1", i)
	}
	return nil
}

// String returns for example "glorot_normal(gain 1)".
func (i Initializer) String() string {
	return i.Kind.String() + "(gain " + strconv.FormatFloat(i.gain()+0, 'g', -1, 64) + ")" // +0: an explicit 0 prints without its sign
}

// MarshalJSON writes {"kind":"normal","gain":1}, with the gain that is used. An initializer that is not Valid is an error.
func (i Initializer) MarshalJSON() ([]byte, error) {
	if err := i.Valid(); err != nil {
		return nil, err
	}
	type plain Initializer // without this method
	return json.Marshal(plain{i.Kind, i.gain()})
}

// UnmarshalJSON reads what MarshalJSON writes; without a gain it is 1. A kind must be given.
func (i *Initializer) UnmarshalJSON(data []byte) error {
	var fields struct {
		Kind *Kind    `json:"kind"`
		Gain *float64 `json:"gain"`
	}
	if err := json.Unmarshal(data, &fields); err != nil {
		return errors.WithMessage(err, "initializer")
	}
	if fields.Kind == nil {
		return errors.Errorf("initializer %s has no kind: choose one of %s", data, strings.Join(kindNames[:], ", "))
	}
	read := Initializer{*fields.Kind, 1}
	if fields.Gain != nil {
		read.Gain = given(*fields.Gain)
	}
	if err := read.Valid(); err != nil {
		return err
	}
	*i = read
	return nil
}

// Variance returns the variance of one entry of a weight matrix [fanIn, fanOut]; of a convolution kernel too, by the fans that Fans counts, but for
// orthogonal and identity, whose matrix has other sides than the fans: see [Initializer.VarianceOf]. Of identity, it is the mean square of the entries. It is
// NaN if the fans are not positive or i is not Valid.
func (i Initializer) Variance(fanIn, fanOut int) float64 {
	if fanIn <= 0 || fanOut <= 0 || i.Valid() != nil {
		return math.NaN()
	}
	g, in, out := i.gain(), float64(fanIn), float64(fanOut)
	switch i.Kind {
	case KindGlorotNormal, KindGlorotUniform:
		return 2 * g * g / (in + out)
	case KindHe:
		return 2 * g * g / in
	case KindHeFanOut:
		return 2 * g * g / out
	case KindOrthogonal, KindIdentity: // of identity: gain^2 min(in,out)/(in out)
		return g * g / max(in, out)
	}
	return g * g / in
}

// SigmaW2 returns fanIn*Variance(fanIn, fanOut): sigma_w^2 of mean field theory, where the variance of an entry is written as sigma_w^2/fan_in.
func (i Initializer) SigmaW2(fanIn, fanOut int) float64 {
	return float64(fanIn) * i.Variance(fanIn, fanOut)
}

// VarianceOf returns the variance of one entry of weights of these dimensions, right for every kind and both for dense layers and for convolutions.
func (i Initializer) VarianceOf(dims ...int) (float64, error) {
	if err := i.Valid(); err != nil {
		return 0, err
	}
	fanIn, fanOut, err := Fans(dims...)
	if err != nil {
		return 0, err
	}
	g, out := i.gain(), dims[len(dims)-1]
	switch i.Kind {
	case KindOrthogonal:
		return g * g / float64(max(fanIn, out)), nil
	case KindIdentity:
		return g * g * float64(min(dims[len(dims)-2], out)) / float64(fanIn) / float64(out), nil
	}
	return i.Variance(fanIn, fanOut), nil
}

// maxEntries keeps a mistyped dimension from taking all memory: 2^31 entries are 16 GiB.
const maxEntries = math.MaxInt32

// Fans returns how many inputs feed an output (fan-in) and how many outputs an input feeds (fan-out): of a dense layer [in, out] these; of a convolution
// [taps..., in, out], in one dimension or more, each times the number of taps. Strides and edges do not count. All dimensions must be positive and at least
// two.
func Fans(dims ...int) (fanIn, fanOut int, err error) {
	if len(dims) < 2 {
		return 0, 0, errors.Errorf("weights of shape %v: want [in, out] or [height, width, in, out] (biases have a function of their own, Bias)", dims)
	}
	entries := 1
	for _, d := range dims {
		if d <= 0 {
			return 0, 0, errors.Errorf("weights of shape %v: every dimension must be positive", dims)
		}
		if d > maxEntries/entries {
			return 0, 0, errors.Errorf("weights of shape %v: more than %d entries", dims, maxEntries)
		}
		entries *= d
	}
	in, out := dims[len(dims)-2], dims[len(dims)-1]
	return entries / out, entries / in, nil
}
