package model

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gradbook/gradbook/pkg/activation"
	"github.com/gradbook/gradbook/pkg/gradflow"
	"github.com/gradbook/gradbook/pkg/initializer"
	"github.com/pkg/errors"
)

// MLP is a fully connected net: Depth hidden layers h1, h2, ... and a linear layer out. With h_0 = x and F_l = W_l h_(l-1) + b_l, layer l computes
//
//	plain:           z_l = F_l                       h_l = phi(z_l)
//	PostActivation:  z_l = h_(l-1) + s F_l           h_l = phi(z_l)
//	PreActivation:   z_l = z_(l-1) + s F_l           h_l = phi(z_l)
//
// for l > 1 (the first layer is plain, as its input has another width) and logits = W h_L + b, with the residual scale s. So z is always what the activation is applied to, and taps show it as Z. A
// normalisation N before the activation is put where the papers have it: h = phi(N(F)) in plain nets, z = h + s N(F) in post-activation nets, h = phi(N(z)) in
// pre-activation nets; the tapped Z is again what phi is applied to. A normalisation after the activation is h = N(phi(z)) in all of them. The tapped X, which Jacobians are
// taken with respect to, is h_(l-1), or z_(l-1) before its normalisation in a pre-activation net, where the path of the additions is what goes on.
//
// Inputs are [batch, Inputs] or of any shape with Inputs values an example; logits are [batch, Outputs].
type MLP struct {
	Inputs  int `json:"inputs"`  // values of one example
	Outputs int `json:"outputs"` // logits
	// Depth is the number of hidden layers; 0 is a linear model, for which the settings of hidden layers have no meaning. Width is the number of units of each. Instead, Widths gives them layer by layer.
	Depth  int   `json:"depth,omitempty"`
	Width  int   `json:"width,omitempty"`
	Widths []int `json:"widths,omitempty"`
	// Activation of the hidden layers; it must be set if there are any.
	Activation activation.Activation `json:"activation,omitzero"`
	// Weights draws the matrices W; the zero value is initializer.Normal(1), variance 1/fan_in. OutputWeights is for the last layer alone; nil means like the others.
	Weights       initializer.Initializer  `json:"weights,omitzero"`
	OutputWeights *initializer.Initializer `json:"output_weights,omitempty"`
	// SigmaB is the standard deviation of the biases, those of the output too.
	SigmaB float64 `json:"sigma_b,omitempty"`
	// Residual connections and their scale s; 0 means 1. Shortcut says what they do where the width changes.
	Residual      Residual `json:"residual,omitempty"`
	ResidualScale float64  `json:"residual_scale,omitempty"`
	Shortcut      Shortcut `json:"shortcut,omitempty"`
	// Norm of the hidden layers. Batch normalisation before the activation cancels any bias, so those layers have none.
	Norm         Norm         `json:"norm,omitempty"`
	NormPosition NormPosition `json:"norm_position,omitempty"`
	// DType is Float32 (also the zero value) or Float64.
	DType dtypes.DType `json:"dtype,omitzero"`
}

// Kind is "mlp".
func (c MLP) Kind() string { return kindMLP }

type mlpFields MLP

// MarshalJSON writes the fields that are set, and the kind.
func (c MLP) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Kind string `json:"kind"`
		mlpFields
	}{kindMLP, mlpFields(c)})
}

// UnmarshalJSON reads what MarshalJSON writes; unknown fields are errors.
func (c *MLP) UnmarshalJSON(data []byte) error {
	var all struct {
		Kind string `json:"kind"`
		mlpFields
	}
	if err := unmarshal(data, &all, kindMLP, &all.Kind); err != nil {
		return err
	}
	*c = MLP(all.mlpFields)
	return nil
}

// widths returns the widths of the hidden layers.
func (c MLP) widths() []int {
	if len(c.Widths) > 0 {
		return c.Widths
	}
	return slices.Repeat([]int{c.Width}, c.Depth)
}

// maxDepth keeps a mistyped depth from filling the memory.
const maxDepth = 100_000

// Validate says what is wrong with the configuration, if anything.
func (c MLP) Validate() error {
	return errors.WithMessage(c.validate(), "MLP")
}

func (c MLP) validate() error {
	err := first(positive("Inputs", c.Inputs), positive("Outputs", c.Outputs), validDType(c.DType), finite("SigmaB", c.SigmaB, false),
		validInitializers(c.Weights, c.OutputWeights))
	if err != nil {
		return err
	}
	switch {
	case c.Depth < 0 || c.Depth > maxDepth:
		return errors.Errorf("Depth is %d; it must be between 0 (a linear model) and %d", c.Depth, maxDepth)
	case len(c.Widths) > 0 && c.Width != 0:
		return errors.Errorf("Width is %d and Widths is %v; give one of them", c.Width, c.Widths)
	case len(c.Widths) > 0 && c.Depth != 0 && c.Depth != len(c.Widths):
		return errors.Errorf("Depth is %d but Widths has %d layers: %v; leave Depth out, or make them agree", c.Depth, len(c.Widths), c.Widths)
	case len(c.Widths) == 0 && c.Depth > 0 && c.Width <= 0:
		return errors.Errorf("Width is %d with Depth %d; it must be at least 1 (or give Widths)", c.Width, c.Depth)
	}
	for i, w := range c.Widths {
		if w <= 0 {
			return errors.Errorf("Widths[%d] is %d; each must be at least 1", i, w)
		}
	}
	if len(c.widths()) == 0 {
		return nil
	}
	err = first(c.Activation.Valid(), choice("Residual", c.Residual, "none", PostActivation, PreActivation),
		choice("Shortcut", c.Shortcut, "identity", ProjectionShortcut), choice("Norm", c.Norm, "none", BatchNorm, LayerNorm),
		choice("NormPosition", c.NormPosition, "before the activation", AfterActivation), finite("ResidualScale", c.ResidualScale, true))
	if err != nil {
		return err
	}
	if c.Residual == NoResidual && (c.ResidualScale != 0 || c.Shortcut != IdentityShortcut) {
		return errors.Errorf("ResidualScale is %g and Shortcut %q without a Residual; set Residual to %q or %q, or leave them out", c.ResidualScale,
			string(c.Shortcut), string(PostActivation), string(PreActivation))
	}
	if c.Norm == NoNorm && c.NormPosition != BeforeActivation {
		return errors.Errorf("NormPosition is %q without a Norm; set Norm to %q or %q", string(c.NormPosition), string(BatchNorm), string(LayerNorm))
	}
	if widths := c.widths(); c.Residual != NoResidual && c.Shortcut == IdentityShortcut {
		for i, w := range widths {
			if w != widths[0] {
				return errors.Errorf("Residual is %q and Widths change from %d to %d at h%d; make them equal, or set Shortcut to %q", string(c.Residual),
					widths[i-1], w, i+1, string(ProjectionShortcut))
			}
		}
	}
	return nil
}

// biased is false where batch normalisation would cancel a bias.
func (c MLP) biased() bool { return c.Norm != BatchNorm || c.NormPosition == AfterActivation }

// String is one line such as "mlp 784-64x10-10 tanh normal(gain 1)".
func (c MLP) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "mlp %d-", c.Inputs)
	widths := c.widths()
	for i := 0; i < len(widths); {
		run := 1
		for i+run < len(widths) && widths[i+run] == widths[i] {
			run++
		}
		if fmt.Fprint(&b, widths[i]); run > 1 {
			fmt.Fprintf(&b, "x%d", run)
		}
		b.WriteByte('-')
		i += run
	}
	fmt.Fprint(&b, c.Outputs)
	if len(widths) > 0 {
		fmt.Fprintf(&b, " %s", c.Activation)
	}
	fmt.Fprintf(&b, " %s", orInitializer(c.Weights, initializer.Normal(1)))
	if c.OutputWeights != nil {
		fmt.Fprintf(&b, ", out %s", *c.OutputWeights)
	}
	if c.SigmaB != 0 {
		fmt.Fprintf(&b, ", sigma_b %g", c.SigmaB)
	}
	if c.Residual != NoResidual {
		fmt.Fprintf(&b, ", residual %s", string(c.Residual))
		if s := orOne(c.ResidualScale); s != 1 {
			fmt.Fprintf(&b, " x%g", s)
		}
		if c.Shortcut != IdentityShortcut {
			fmt.Fprintf(&b, " %s", string(c.Shortcut))
		}
	}
	if c.Norm != NoNorm {
		fmt.Fprintf(&b, ", %s norm", string(c.Norm))
		if c.NormPosition == AfterActivation {
			b.WriteString(" after")
		}
	}
	b.WriteString(precision(c.DType))
	return b.String()
}

// New makes the net and draws its weights from seed.
func (c MLP) New(seed uint64) (*Net, error) {
	c.Widths = slices.Clone(c.Widths)
	return newNet(c, c.DType, seed)
}

func (c MLP) plan() *plan {
	p := &plan{}
	init := orInitializer(c.Weights, initializer.Normal(1))
	in := c.Inputs
	for i, width := range c.widths() {
		l := layer{name: fmt.Sprint("h", i+1), kind: "dense", in: []int{in}, out: []int{width}, initial: init.String()}
		l.weights(l.name+"/W", init, in, width)
		if c.biased() {
			l.bias(l.name+"/b", c.SigmaB, width)
		}
		l.normalised(c.Norm, width)
		if c.Residual != NoResidual && i > 0 {
			l.skipFrom = fmt.Sprint("h", i)
			if in != width {
				l.weights(l.name+"/skip/W", init, in, width)
			}
		}
		l.activated(c.Activation)
		p.layers = append(p.layers, l)
		in = width
	}
	if c.OutputWeights != nil {
		init = *c.OutputWeights
	}
	out := layer{name: "out", kind: "dense", in: []int{in}, out: []int{c.Outputs}, activation: activation.Linear.String(), initial: init.String()}
	out.weights("out/W", init, in, c.Outputs)
	out.bias("out/b", c.SigmaB, c.Outputs)
	p.layers = append(p.layers, out)
	return p
}

func (c MLP) forward(f *flow, x *graph.Node) *graph.Node {
	h := f.flat(x, c.Inputs)
	scale := orOne(c.ResidualScale)
	var stream *graph.Node // z of the layer before
	for i, width := range c.widths() {
		name := fmt.Sprint("h", i+1)
		in, skip := h, h
		tap := gradflow.LayerTap{Name: name, Activation: c.Activation}
		if c.Residual == PreActivation {
			skip = stream
		}
		if i > 0 {
			tap.X = skip // of the first layer it is the model's input, also before it was flattened
		}
		var z *graph.Node
		z, tap.W, tap.B = f.affine(name, in, c.biased())
		before := c.Norm != NoNorm && c.NormPosition == BeforeActivation
		if before && c.Residual == PostActivation {
			z = f.normalise(name, z, c.Norm)
		}
		if c.Residual != NoResidual && i > 0 {
			if skip.Shape().Dimensions[1] != width {
				skip = graph.MatMul(skip, f.value(name+"/skip/W"))
			}
			if scale != 1 {
				z = graph.MulScalar(z, scale)
			}
			z = graph.Add(skip, z)
		}
		stream = z
		if before && c.Residual != PostActivation {
			z = f.normalise(name, z, c.Norm)
		}
		tap.Z = z
		h = f.activate(name, z, c.Activation)
		if c.NormPosition == AfterActivation {
			h = f.normalise(name, h, c.Norm)
		}
		tap.H = h
		gradflow.Layer(tap)
	}
	return f.output(h)
}
