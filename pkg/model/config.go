package model

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gradbook/gradbook/pkg/activation"
	"github.com/gradbook/gradbook/pkg/initializer"
	"github.com/pkg/errors"
)

// Config describes a net: [MLP], [ConvNet] or [Recurrent]. Values marshal to JSON with their kind, {"kind":"mlp",...}; [ParseConfig] reads that back.
type Config interface {
	// Kind is the name that JSON has: "mlp", "convnet" or "recurrent".
	Kind() string
	// Validate returns nil for a net that can be made, and else an error that says what was given and what is allowed.
	Validate() error
	// New makes the net and draws its weights from seed. The error is Validate's, or says which weights could not be drawn.
	New(seed uint64) (*Net, error)
	// String is one line that tells nets apart.
	String() string

	// plan lists the layers and their variables without making any.
	plan() *plan
	// forward builds the graph from x to the logits.
	forward(f *flow, x *graph.Node) *graph.Node
}

// ParseConfig reads what marshalling a [Config] to JSON writes. Unknown fields, kinds and names are errors, and so is a configuration that does
// not pass Validate.
func ParseConfig(data []byte) (Config, error) {
	var head struct {
		Kind string `json:"kind"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, errors.Wrap(err, `a net's configuration must be a JSON object such as {"kind":"mlp","inputs":2,"outputs":1}`)
	}
	var c Config
	var err error
	switch head.Kind {
	case kindMLP:
		c, err = parse[MLP](data)
	case kindConvNet:
		c, err = parse[ConvNet](data)
	case kindRecurrent:
		c, err = parse[Recurrent](data)
	default:
		return nil, errors.Errorf("a net of kind %q is unknown; allowed are %q, %q and %q", head.Kind, kindMLP, kindConvNet, kindRecurrent)
	}
	if err != nil {
		return nil, err
	}
	return c, c.Validate()
}

const (
	kindMLP       = "mlp"
	kindConvNet   = "convnet"
	kindRecurrent = "recurrent"
)

func parse[T any](data []byte) (T, error) {
	var c T
	err := json.Unmarshal(data, &c)
	return c, err
}

// unmarshal reads the fields of a configuration into fields, which holds a pointer and the kind that the object may name.
func unmarshal(data []byte, fields any, kind string, got *string) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(fields); err != nil {
		return errors.Wrapf(err, "the configuration of a net of kind %q", kind)
	}
	if *got != "" && *got != kind {
		return errors.Errorf("the configuration of a net of kind %q was read into one of kind %q; ParseConfig reads any kind", *got, kind)
	}
	return nil
}

// Norm is what a layer is normalised by. Both kinds then scale and shift by learned values (scale starts at 1, offset at 0; one for each feature or
// channel) and add 1e-5 to the variance.
type Norm string

const (
	// NoNorm normalises nothing.
	NoNorm Norm = ""
	// BatchNorm standardises each feature (or channel) over the batch (and the positions of the image): Ioffe and Szegedy 2015. In training by the batch's mean and its biased variance; the running
	// averages take the batch's mean and unbiased variance (their algorithm 2) with weight 1/t at training step t, but at least 0.1: so they are right after a
	// few steps already. Otherwise the running averages are used.
	BatchNorm Norm = "batch"
	// LayerNorm standardises each example over its features (of an image: over all positions and channels): Ba, Kiros and Hinton 2016.
	LayerNorm Norm = "layer"
)

// NormPosition is where a layer is normalised.
type NormPosition string

const (
	// BeforeActivation, the zero value, normalises what goes into the activation, as Ioffe and Szegedy 2015 do.
	BeforeActivation NormPosition = ""
	// AfterActivation normalises what comes out of it.
	AfterActivation NormPosition = "after"
)

// Residual is the kind of residual connection of an [MLP].
type Residual string

const (
	// NoResidual is a plain net.
	NoResidual Residual = ""
	// PostActivation applies the activation after the addition, as He et al. 2016 (Deep Residual Learning) do.
	PostActivation Residual = "post"
	// PreActivation leaves the path of the additions free of activations, as He et al. 2016 (Identity Mappings) do.
	PreActivation Residual = "pre"
)

// Shortcut is how a residual connection passes from one width to another: He et al. 2016, section 3.3.
type Shortcut string

const (
	// IdentityShortcut adds the input as it is. In a [ConvNet] new channels are filled with zeros and strides skip pixels (their option A); in an [MLP]
	// a change of width is an error.
	IdentityShortcut Shortcut = ""
	// ProjectionShortcut multiplies by a learned matrix, without bias, where the width changes, and adds the input as it is elsewhere (their option B).
	ProjectionShortcut Shortcut = "projection"
)

// Cell is the kind of unit of a [Recurrent] net.
type Cell string

const (
	// Vanilla, the zero value, is Elman's: h_t = phi(W x_t + U h_(t-1) + b).
	Vanilla Cell = ""
	// LSTM is the long short-term memory with a forget gate: Hochreiter and Schmidhuber 1997, Gers et al. 2000.
	LSTM Cell = "lstm"
	// GRU is the gated recurrent unit: Cho et al. 2014.
	GRU Cell = "gru"
)

// choice reports a value that is none of the allowed ones; "" stands for what the zero value is called.
func choice[T ~string](field string, got T, zero string, others ...T) error {
	if got == "" {
		return nil
	}
	allowed := []string{`"" (` + zero + `)`}
	for _, other := range others {
		if got == other {
			return nil
		}
		allowed = append(allowed, `"`+string(other)+`"`)
	}
	return errors.Errorf("%s is %q; allowed are %s", field, string(got), strings.Join(allowed, ", "))
}

func positive(field string, value int) error {
	if value <= 0 {
		return errors.Errorf("%s is %d; it must be at least 1", field, value)
	}
	return nil
}

// finite checks a standard deviation or a scale.
func finite(field string, value float64, negative bool) error {
	if value-value != 0 || value < 0 && !negative {
		allowed := "a finite number"
		if !negative {
			allowed += ", 0 or more"
		}
		return errors.Errorf("%s is %g; it must be %s", field, value, allowed)
	}
	return nil
}

func validDType(d dtypes.DType) error {
	if d != dtypes.InvalidDType && d != dtypes.Float32 && d != dtypes.Float64 {
		return errors.Errorf("DType is %s; allowed are Float32 (the default) and Float64", d)
	}
	return nil
}

func dtypeOr32(d dtypes.DType) dtypes.DType {
	if d == dtypes.InvalidDType {
		return dtypes.Float32
	}
	return d
}

// precision is what a configuration's line says of its type.
func precision(d dtypes.DType) string {
	if d == dtypes.Float64 {
		return ", float64"
	}
	return ""
}

// first returns the first error.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func orInitializer(i, fallback initializer.Initializer) initializer.Initializer {
	if unset := (initializer.Initializer{}); i == unset && !math.Signbit(i.Gain) { // Normal(0) is not unset: its gain is -0
		return fallback
	}
	return i
}

// validInitializers checks those that are set.
func validInitializers(weights initializer.Initializer, others ...*initializer.Initializer) error {
	if err := weights.Valid(); err != nil {
		return errors.WithMessage(err, "Weights")
	}
	for _, i := range others {
		if i == nil {
			continue
		}
		if err := i.Valid(); err != nil {
			return errors.WithMessage(err, "OutputWeights or RecurrentWeights")
		}
	}
	return nil
}

func orActivation(a, fallback activation.Activation) activation.Activation {
	if a == (activation.Activation{}) {
		return fallback
	}
	return a
}

func orOne(scale float64) float64 {
	if scale == 0 {
		return 1
	}
	return scale
}
