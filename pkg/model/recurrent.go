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
	"github.com/gradbook/gradbook/pkg/model/internal/rows"
	"github.com/pkg/errors"
)

// Recurrent is a net of one recurrent layer, unrolled over Steps time steps, and a linear layer out on the last hidden state (or on each). With h_0 = c_0 = 0,
// s the logistic function and * the product of entries, step t computes
//
//	Vanilla:  h_t = phi(W x_t + U h_(t-1) + b)
//	LSTM:     i, f, o = s(W_k x_t + U_k h_(t-1) + b_k) for k = i, f, o;  g = phi(W_g x_t + U_g h_(t-1) + b_g)
//	          c_t = f * c_(t-1) + i * g;  h_t = o * phi(c_t)
//	GRU:      r, u = s(W_k x_t + U_k h_(t-1) + b_k) for k = r, u;  n = phi(W_n x_t + b_n + r * (U_n h_(t-1)))
//	          h_t = n + u * (h_(t-1) - n)
//
// The GRU applies its reset gate after the product with U, as most libraries do, so that one product serves all gates. Weights are in /h/W [Inputs, gates Hidden],
// /h/U [Hidden, gates Hidden] and /h/b [gates Hidden], with the gates in the order i, f, o, g and r, u, n.
//
// Taps are h/t001, h/t002, ..., where H is h_t and Z the pre-activation of phi (of g and n in gated cells), so that dL/dh_t is seen through time; the last of them has U and b as its W and B.
//
// Inputs are [batch, Steps, Inputs]; logits are [batch, Outputs], or [batch, Steps, Outputs] with PerStep.
type Recurrent struct {
	Cell    Cell `json:"cell,omitempty"`
	Inputs  int  `json:"inputs"`  // features of one time step
	Hidden  int  `json:"hidden"`  // units
	Outputs int  `json:"outputs"` // logits
	Steps   int  `json:"steps"`   // time steps
	// Activation is phi; the zero value is tanh.
	Activation activation.Activation `json:"activation,omitzero"`
	// Weights draws W, RecurrentWeights U and OutputWeights the last layer, gate by gate. The zero value of Weights is initializer.Normal(1); the others' nil means like W.
	Weights          initializer.Initializer  `json:"weights,omitzero"`
	RecurrentWeights *initializer.Initializer `json:"recurrent_weights,omitempty"`
	OutputWeights    *initializer.Initializer `json:"output_weights,omitempty"`
	// SigmaB is the standard deviation of the biases. ForgetBias is added to those of the LSTM's forget gate: 1 keeps the cell's memory open at first (Gers et
	// al. 2000, Jozefowicz et al. 2015).
	SigmaB     float64 `json:"sigma_b,omitempty"`
	ForgetBias float64 `json:"forget_bias,omitempty"`
	// PerStep gives an output at each time step.
	PerStep bool `json:"per_step,omitempty"`
	// TapCell also taps the LSTM's cell state c_t, as c/t001, ...: along it the gradient is multiplied by the forget gate alone.
	TapCell bool `json:"tap_cell,omitempty"`
	// DType is Float32 (also the zero value) or Float64.
	DType dtypes.DType `json:"dtype,omitzero"`
}

// Kind is "recurrent".
func (c Recurrent) Kind() string { return kindRecurrent }

type recurrentFields Recurrent

// MarshalJSON writes the fields that are set, and the kind.
func (c Recurrent) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Kind string `json:"kind"`
		recurrentFields
	}{kindRecurrent, recurrentFields(c)})
}

// UnmarshalJSON reads what MarshalJSON writes; unknown fields are errors.
func (c *Recurrent) UnmarshalJSON(data []byte) error {
	var all struct {
		Kind string `json:"kind"`
		recurrentFields
	}
	if err := unmarshal(data, &all, kindRecurrent, &all.Kind); err != nil {
		return err
	}
	*c = Recurrent(all.recurrentFields)
	return nil
}

// Validate says what is wrong with the configuration, if anything.
func (c Recurrent) Validate() error { return errors.WithMessage(c.validate(), "Recurrent") }

func (c Recurrent) validate() error {
	err := first(choice("Cell", c.Cell, "vanilla", LSTM, GRU), positive("Inputs", c.Inputs), positive("Hidden", c.Hidden), positive("Outputs", c.Outputs),
		positive("Steps", c.Steps), c.phi().Valid(), finite("SigmaB", c.SigmaB, false), finite("ForgetBias", c.ForgetBias, true), validDType(c.DType),
		validInitializers(c.Weights, c.RecurrentWeights, c.OutputWeights))
	switch {
	case err != nil:
		return err
	case c.Steps > maxDepth:
		return errors.Errorf("Steps is %d; at most %d are allowed", c.Steps, maxDepth)
	case c.Cell != LSTM && c.ForgetBias != 0:
		return errors.Errorf("ForgetBias is %g, but only an LSTM has a forget gate; leave it out, or set Cell to %q", c.ForgetBias, string(LSTM))
	case c.Cell != LSTM && c.TapCell:
		return errors.Errorf("TapCell is set, but only an LSTM has a cell state; leave it out, or set Cell to %q", string(LSTM))
	}
	return nil
}

func (c Recurrent) phi() activation.Activation { return orActivation(c.Activation, activation.Tanh) }
func (c Recurrent) initial() initializer.Initializer {
	return orInitializer(c.Weights, initializer.Normal(1))
}

// like returns i, or what W is drawn by.
func (c Recurrent) like(i *initializer.Initializer) initializer.Initializer {
	if i == nil {
		return c.initial()
	}
	return *i
}

// gates names the blocks of columns of W, U and b, for the streams that they are drawn from.
func (c Recurrent) gates() []string {
	switch c.Cell {
	case LSTM:
		return []string{"/i", "/f", "/o", "/g"}
	case GRU:
		return []string{"/r", "/u", "/n"}
	}
	return []string{""}
}

func (c Recurrent) cell() string {
	if c.Cell == Vanilla {
		return "vanilla"
	}
	return string(c.Cell)
}

// String is one line such as "lstm 2-64-1 over 100 steps tanh normal(gain 1), recurrent orthogonal(gain 1)".
func (c Recurrent) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %d-%d-%d over %d steps %s %s", c.cell(), c.Inputs, c.Hidden, c.Outputs, c.Steps, c.phi(), c.initial())
	if c.RecurrentWeights != nil {
		fmt.Fprintf(&b, ", recurrent %s", *c.RecurrentWeights)
	}
	if c.OutputWeights != nil {
		fmt.Fprintf(&b, ", out %s", *c.OutputWeights)
	}
	if c.SigmaB != 0 {
		fmt.Fprintf(&b, ", sigma_b %g", c.SigmaB)
	}
	if c.ForgetBias != 0 {
		fmt.Fprintf(&b, ", forget bias %g", c.ForgetBias)
	}
	if c.PerStep {
		b.WriteString(", an output a step")
	}
	b.WriteString(precision(c.DType))
	return b.String()
}

// New makes the net and draws its weights from seed.
func (c Recurrent) New(seed uint64) (*Net, error) { return newNet(c, c.DType, seed) }

func (c Recurrent) plan() *plan {
	gates := c.gates()
	u := c.like(c.RecurrentWeights)
	h := layer{name: "h", kind: c.cell(), in: []int{c.Steps, c.Inputs}, out: []int{c.Steps, c.Hidden}, initial: c.initial().String()}
	if u != c.initial() {
		h.initial += ", " + u.String()
	}
	h.gates("h/W", c.initial(), c.Inputs, c.Hidden, gates...)
	h.gates("h/U", u, c.Hidden, c.Hidden, gates...)
	h.bias("h/b", c.SigmaB, len(gates)*c.Hidden)
	if c.ForgetBias != 0 {
		bias := &h.variables[len(h.variables)-1]
		zeroed := bias.draw
		bias.draw = func(seed uint64) ([]float64, error) {
			values, err := zeroed(seed)
			for i := c.Hidden; err == nil && i < 2*c.Hidden; i++ {
				values[i] += c.ForgetBias
			}
			return values, err
		}
	}
	h.activated(c.phi())
	init := c.like(c.OutputWeights)
	out := layer{name: "out", kind: "dense", in: []int{c.Hidden}, out: []int{c.Outputs}, activation: activation.Linear.String(), initial: init.String()}
	if c.PerStep {
		out.in, out.out = h.out, []int{c.Steps, c.Outputs}
	}
	out.weights("out/W", init, c.Hidden, c.Outputs)
	out.bias("out/b", c.SigmaB, c.Outputs)
	return &plan{layers: []layer{h, out}}
}

func (c Recurrent) forward(f *flow, x *graph.Node) *graph.Node {
	x = f.input(x, c.Steps, c.Inputs)
	batch := x.Shape().Dimensions[0]
	u, b := f.value("h/U"), f.value("h/b")
	// Time first, so that the slice of a step is one block; then one product for all gates of all steps.
	x = graph.Reshape(graph.TransposeAllAxes(x, 1, 0, 2), c.Steps*batch, c.Inputs)
	fromInput := addRow(graph.MatMul(x, f.value("h/W")), b)
	var h, cell *graph.Node
	states := make([]*graph.Node, c.Steps)
	for i, fed := range rows.Split(fromInput, 0, slices.Repeat([]int{batch}, c.Steps)...) {
		tap := gradflow.LayerTap{Name: fmt.Sprintf("h/t%03d", i+1), X: h, Activation: c.phi()}
		switch c.Cell {
		case LSTM:
			tap.Z, cell, h = c.lstm(f, fed, h, cell, u)
		case GRU:
			tap.Z, h = c.gru(f, fed, h, u)
		default:
			tap.Z = fed
			if h != nil {
				tap.Z = graph.Add(fed, graph.MatMul(h, u))
			}
			h = f.activate("h", tap.Z, c.phi())
		}
		tap.H = h
		if i == c.Steps-1 {
			tap.B = b
			if i > 0 { // the first step has no h_(t-1), and does not use U
				tap.W = u
			}
		}
		gradflow.Layer(tap)
		if c.TapCell {
			gradflow.Layer(gradflow.LayerTap{Name: fmt.Sprintf("c/t%03d", i+1), H: cell})
		}
		states[i] = h
	}
	if c.PerStep {
		return c.perStep(f, states)
	}
	return f.output(h)
}

// lstm is one step; h and cell are nil at the first.
func (c Recurrent) lstm(f *flow, fed, h, cell, u *graph.Node) (z, nextCell, nextH *graph.Node) {
	if h != nil {
		fed = graph.Add(fed, graph.MatMul(h, u))
	}
	n := c.Hidden
	parts := rows.Split(fed, 1, 3*n, n)
	gates, z := rows.Split(activation.Sigmoid.Graph(parts[0]), 1, n, n, n), parts[1]
	nextCell = graph.Mul(gates[0], f.activate("h", z, c.phi()))
	if cell != nil {
		nextCell = graph.Add(graph.Mul(gates[1], cell), nextCell)
	}
	nextH = graph.Mul(gates[2], f.activate("h", nextCell, c.phi()))
	return z, nextCell, nextH
}

// gru is one step; h is nil at the first.
func (c Recurrent) gru(f *flow, fed, h, u *graph.Node) (z, next *graph.Node) {
	size := c.Hidden
	parts := rows.Split(fed, 1, 2*size, size)
	z = parts[1]
	if h == nil {
		update := rows.Split(activation.Sigmoid.Graph(parts[0]), 1, size, size)[1]
		return z, graph.Mul(graph.OneMinus(update), f.activate("h", z, c.phi()))
	}
	recurrent := rows.Split(graph.MatMul(h, u), 1, 2*size, size)
	gates := rows.Split(activation.Sigmoid.Graph(graph.Add(parts[0], recurrent[0])), 1, size, size)
	reset, update := gates[0], gates[1]
	z = graph.Add(z, graph.Mul(reset, recurrent[1]))
	n := f.activate("h", z, c.phi())
	return z, graph.Add(n, graph.Mul(update, graph.Sub(h, n)))
}

// perStep is the output layer on all states at once.
func (c Recurrent) perStep(f *flow, states []*graph.Node) *graph.Node {
	batch := states[0].Shape().Dimensions[0]
	all := graph.Reshape(graph.Stack(states, 1), batch*c.Steps, c.Hidden)
	w, b := f.value("out/W"), f.value("out/b")
	z := graph.Reshape(addRow(graph.MatMul(all, w), b), batch, c.Steps, c.Outputs)
	gradflow.Layer(gradflow.LayerTap{Name: "out", Z: z, H: z, X: states[len(states)-1], W: w, B: b, Activation: activation.Linear})
	return z
}
