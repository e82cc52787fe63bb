package model

import (
	"slices"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	mlmodel "github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"
	"github.com/gradbook/gradbook/pkg/initializer"
	"github.com/pkg/errors"
)

// Net is a net with weights. Make one with the New method of its [Config]. While a training or a prediction runs on it, it must not be used elsewhere: GoMLX's
// variables have no lock.
type Net struct {
	config Config
	seed   uint64
	dtype  dtypes.DType
	plan   *plan
	store  *mlmodel.Store
}

// newNet makes a net with weights drawn from seed.
func newNet(c Config, dtype dtypes.DType, seed uint64) (*Net, error) {
	n, err := emptyNet(c, dtype, seed)
	if err != nil {
		return nil, err
	}
	for _, l := range n.plan.layers {
		for _, v := range l.variables {
			values, err := v.draw(seed)
			if err != nil {
				return nil, errors.WithMessagef(err, "drawing %s %v of %s", v.path, v.dims, c)
			}
			if err := n.create(v, values); err != nil {
				return nil, err
			}
		}
	}
	return n, nil
}

// emptyNet makes a net whose store has no variables yet.
func emptyNet(c Config, dtype dtypes.DType, seed uint64) (*Net, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	n := &Net{config: c, seed: seed, dtype: dtypeOr32(dtype), plan: c.plan(), store: mlmodel.NewStore()}
	return n, errors.WithMessage(n.plan.check(), c.Kind())
}

func (n *Net) create(v variable, values []float64) error {
	t, err := initializer.Tensor(values, n.dtype, v.dims...)
	if err != nil {
		return errors.WithMessagef(err, "%s of %s", v.path, n.config)
	}
	made, err := n.store.CreateVariable("/"+v.path, t)
	if err != nil {
		return errors.WithMessagef(err, "%s of %s", v.path, n.config)
	}
	made.SetTrainable(v.trainable)
	return nil
}

// Config is what the net was made from.
func (n *Net) Config() Config { return n.config }

// Seed is what its first weights were drawn from.
func (n *Net) Seed() uint64 { return n.seed }

// DType is the type of its weights and logits.
func (n *Net) DType() dtypes.DType { return n.dtype }

// Store holds the variables: /<layer>/W, /<layer>/b, and what [MLP], [ConvNet], [Recurrent] and [Norm] name besides.
func (n *Net) Store() *mlmodel.Store { return n.store }

// Names lists the layers in the order of the forward pass. In an [MLP] or a [ConvNet] they are also the names of the taps.
func (n *Net) Names() []string {
	names := make([]string, len(n.plan.layers))
	for i, l := range n.plan.layers {
		names[i] = l.name
	}
	return names
}

// Variables lists the names that [Net.Weights] and [Net.SetWeights] take in full: "h1/W", "h1/b", ...
func (n *Net) Variables() []string {
	var names []string
	for _, l := range n.plan.layers {
		for _, v := range l.variables {
			names = append(names, v.path)
		}
	}
	return names
}

// Parameters is the number of trainable scalars; running averages do not count.
func (n *Net) Parameters() int {
	total := 0
	for _, l := range n.plan.layers {
		total += l.parameters()
	}
	return total
}

// Logits is the net's model function: it builds the forward pass of x and returns the outputs of the last layer, before any softmax. What x may be is said at
// the net's configuration; other floating-point types are converted. It calls gradflow.Layer for each layer. As graph building does, it panics if x does not fit, and if
// scope's store lacks the net's variables.
func (n *Net) Logits(scope *mlmodel.Scope, x *graph.Node) *graph.Node {
	training := scope.IsTraining(x.Graph())
	return n.config.forward(&flow{net: n, scope: scope, g: x.Graph(), ownBatch: training, update: training}, x)
}

// LogitsOfBatch is Logits with each batch normalisation by the mean and variance of the batch itself, as in training, but without a change to the running averages: for measuring a
// net as it is, above all at initialisation. For nets without batch normalisation it is Logits.
func (n *Net) LogitsOfBatch(scope *mlmodel.Scope, x *graph.Node) *graph.Node {
	return n.config.forward(&flow{net: n, scope: scope, g: x.Graph(), ownBatch: true}, x)
}

// Predict runs Logits (not in training) on a batch and returns the logits. It compiles the net at each call: for many calls, make an Exec over Store.
func (n *Net) Predict(backend compute.Backend, x *tensors.Tensor) (*tensors.Tensor, error) {
	exec, err := mlmodel.NewExec(backend, n.store, n.Logits)
	if err != nil {
		return nil, errors.WithMessagef(err, "%s", n.config)
	}
	defer exec.Finalize()
	var outputs []*tensors.Tensor
	if caught := exceptions.TryCatch[error](func() { outputs, err = exec.Exec(x) }); caught != nil {
		return nil, caught
	}
	if err != nil {
		return nil, err
	}
	return outputs[0], nil
}

// find returns the plan's entry and the variable of a name: a layer's name stands for its W.
func (n *Net) find(name string) (variable, *mlmodel.Variable, error) {
	want := strings.TrimPrefix(name, "/")
	for _, l := range n.plan.layers {
		for _, v := range l.variables {
			if v.path != want && v.path != want+"/W" {
				continue
			}
			held := n.store.GetVariable("/" + v.path)
			if held == nil || !held.HasValue() {
				return v, nil, errors.Errorf("variable %q of %s has no value: it was deleted from the store, or lost in a run that failed", v.path, n.config)
			}
			return v, held, nil
		}
	}
	return variable{}, nil, errors.Errorf("%s has no layer or variable %q; layers are %s; a variable is named like %q", n.config, name, some(n.Names()), n.plan.layers[0].variables[0].path)
}

// some joins names, leaving out the middle of long lists.
func some(names []string) string {
	if len(names) > 12 {
		names = slices.Concat(names[:5], []string{"..."}, names[len(names)-5:])
	}
	return strings.Join(names, ", ")
}

// Weights returns a copy of a layer's matrix or kernel W ("h1"), or of any variable by its full name ("h1/b"). A copy, since GoMLX frees a variable's tensor when the next
// training step replaces it. It panics on a name that the net does not have, saying which it has; [Net.Values] returns an error instead.
func (n *Net) Weights(name string) *tensors.Tensor {
	_, v, err := n.find(name)
	if err != nil {
		panic(err)
	}
	t, err := snapshot(v)
	if err != nil {
		panic(errors.WithMessagef(err, "copying %q", name))
	}
	return t
}

// Values returns the values of a variable, named as for [Net.Weights], in float64 and row by row.
func (n *Net) Values(name string) ([]float64, error) {
	_, v, err := n.find(name)
	if err != nil {
		return nil, err
	}
	return floats(v.MustValue())
}

// SetWeights replaces a variable, named as for [Net.Weights], by a copy of t. The shape must be the variable's; float32 and float64 are converted.
func (n *Net) SetWeights(name string, t *tensors.Tensor) error {
	entry, v, err := n.find(name)
	if err != nil {
		return err
	}
	if t == nil || !slices.Equal(t.Shape().Dimensions, entry.dims) {
		got := "nothing"
		if t != nil {
			got = t.Shape().String()
		}
		return errors.Errorf("SetWeights(%q): got %s, want %s", name, got, shapes.Make(n.dtype, entry.dims...))
	}
	values, err := floats(t)
	if err != nil {
		return errors.WithMessagef(err, "SetWeights(%q)", name)
	}
	copied, err := initializer.Tensor(values, n.dtype, entry.dims...)
	if err != nil {
		return errors.WithMessagef(err, "SetWeights(%q)", name)
	}
	return v.SetValue(copied)
}

// Clone returns a net of its own with the same configuration and the weights and running averages as they are now. What a trainer put into the store besides (an optimizer's
// state, the global step) is not copied.
func (n *Net) Clone() (*Net, error) {
	twin, err := emptyNet(n.config, n.dtype, n.seed)
	if err != nil {
		return nil, err
	}
	for _, l := range n.plan.layers {
		for _, v := range l.variables {
			values, err := n.Values(v.path)
			if err != nil {
				return nil, err
			}
			if err := twin.create(v, values); err != nil {
				return nil, err
			}
		}
	}
	return twin, nil
}

// floats copies a tensor's values to float64.
func floats(t *tensors.Tensor) ([]float64, error) {
	switch t.DType() {
	case dtypes.Float64:
		return tensors.CopyFlatData[float64](t)
	case dtypes.Float32:
		flat, err := tensors.CopyFlatData[float32](t)
		values := make([]float64, len(flat))
		for i, v := range flat {
			values[i] = float64(v)
		}
		return values, err
	}
	return nil, errors.Errorf("a tensor of %s; want Float32 or Float64", t.DType())
}
