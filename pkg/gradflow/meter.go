package gradflow

import (
	"reflect"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	mlmodel "github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/optimizer"
	"github.com/pkg/errors"
)

// Options says what a Meter measures beyond the numbers that it always measures. The zero value asks for nothing more.
type Options struct {
	// LearningRate, if not 0, makes UpdateRatio that of a plain gradient step: rate * |dL/dW| / |W|.
	LearningRate float64 `json:"learning_rate,omitempty"`
	// Optimizer, if not nil, makes UpdateRatio that of the optimizer's next step, which is computed and not taken. The optimizer creates
	// its own variables (moments, the learning rate, the global step) in the store, at their start values, if they are not there yet.
	Optimizer optimizer.Interface `json:"-"`
	// Inference measures the model as it is evaluated; the zero value as it is trained (with the batch's own statistics in batch normalisation).
	Inference bool `json:"inference,omitempty"`
	// Histogram asks for histograms of h and z in bins of equal width.
	Histogram Bins `json:"histogram,omitzero"`
	// Pair asks how the layers see two examples: their indices in the batch.
	Pair []int `json:"pair,omitempty"`
	// SingularValues asks for the singular values of each layer's Jacobian dh/dx at that many examples, from the first on.
	SingularValues int `json:"singular_values,omitempty"`
	// InputJacobian asks for the norm of d output/d input at that many examples, from the first on.
	InputJacobian int `json:"input_jacobian,omitempty"`
	// Probes makes InputJacobian an estimate from that many random directions (Hutchinson 1990), drawn by Seed; 0 computes it exactly,
	// with one pass per output.
	Probes int    `json:"probes,omitempty"`
	Seed   uint64 `json:"seed,omitempty"`
	// Tensors keeps the tensors behind the norms in the reports.
	Tensors bool `json:"tensors,omitempty"`
}

// Bins are Count bins of equal width from Low to High; no bins if Count is 0.
type Bins struct {
	Count int     `json:"count"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

func (o Options) check() error {
	switch {
	case o.LearningRate < 0:
		return errors.Errorf("gradflow: learning rate %g; it must be positive, or 0 for none", o.LearningRate)
	case o.LearningRate != 0 && o.Optimizer != nil:
		return errors.Errorf("gradflow: both a learning rate (%g) and an optimizer (%T) are given; give one", o.LearningRate, o.Optimizer)
	case len(o.Pair) != 0 && len(o.Pair) != 2:
		return errors.Errorf("gradflow: Pair is %v; give the indices of two examples", o.Pair)
	case o.SingularValues < 0 || o.InputJacobian < 0 || o.Probes < 0:
		return errors.Errorf("gradflow: SingularValues %d, InputJacobian %d, Probes %d; they are numbers of examples and of probes and cannot be negative",
			o.SingularValues, o.InputJacobian, o.Probes)
	}
	return o.Histogram.check()
}

func (b Bins) check() error {
	if b.Count < 0 || b.Count > 0 && !(b.Low < b.High) {
		return errors.Errorf("gradflow: histogram of %d bins from %g to %g; give at least one bin and Low < High, or the zero Bins for none",
			b.Count, b.Low, b.High)
	}
	return nil
}

// Meter measures a model on batches: forward pass, loss and one backward pass in one compiled graph, with no change to the
// model. The graph is compiled at the first batch (and again for a batch of another shape), and reads the store's variables anew at each
// measurement. A Meter is for one goroutine at a time.
type Meter struct {
	backend compute.Backend
	store   *mlmodel.Store
	model   train.ModelFn
	loss    train.LossFn
	options Options

	exec           *mlmodel.Exec
	inputs, labels int                       // how many of exec's arguments are which
	layouts        map[graph.GraphId]*layout // what each compiled graph returns
	probes         *mlmodel.Exec             // for Jacobians by autodiff; nil until they are asked for
}

// layout says what a compiled graph returns: first one vector with all numbers, then tensors.
type layout struct {
	places  []place
	cells   []int    // of the sums
	tensors []string // of each tensor, the field of Tensors that it belongs to, by layer
	layerOf []int
	outputs int // entries of the model's first output per example
}

// NewMeter returns a Meter for a model and its loss, given as to GoMLX's train.NewTrainer: the model's function in any of the forms that
// it accepts; lossFn may be nil if the model adds its loss with train.AddMainLoss. The model must have at least one Tap.
//
// Errors: options that contradict each other or are out of range.
func NewMeter[F train.ModelFnCompatible](backend compute.Backend, store *mlmodel.Store, modelFn F, lossFn train.LossFn, options Options) (*Meter, error) {
	if backend == nil || store == nil {
		return nil, errors.Errorf("gradflow.NewMeter: backend %v and store %v must both be given", backend, store)
	}
	if err := options.check(); err != nil {
		return nil, err
	}
	return &Meter{backend: backend, store: store, model: canonical(modelFn), loss: lossFn, options: options,
		layouts: make(map[graph.GraphId]*layout)}, nil
}

var (
	scopeType = reflect.TypeFor[*mlmodel.Scope]()
	graphType = reflect.TypeFor[*graph.Graph]()
	nodeType  = reflect.TypeFor[*graph.Node]()
)

// canonical turns any of the forms of train.ModelFnCompatible into the one with all arguments; GoMLX's own does not export it.
func canonical[F train.ModelFnCompatible](modelFn F) train.ModelFn {
	if f, ok := any(modelFn).(func(*mlmodel.Scope, any, []*graph.Node) []*graph.Node); ok {
		return f
	}
	f := reflect.ValueOf(modelFn)
	return func(scope *mlmodel.Scope, spec any, inputs []*graph.Node) (outputs []*graph.Node) {
		var args []reflect.Value
		next := 0
		for i := range f.Type().NumIn() {
			switch t := f.Type().In(i); {
			case t == scopeType:
				args = append(args, reflect.ValueOf(scope))
			case t == graphType:
				args = append(args, reflect.ValueOf(inputs[0].Graph()))
			case t == nodeType:
				if next == len(inputs) {
					panic(errors.Errorf("gradflow: the model takes more inputs than the %d that were given", len(inputs)))
				}
				args = append(args, reflect.ValueOf(inputs[next]))
				next++
			case t.Kind() == reflect.Slice:
				args = append(args, reflect.ValueOf(inputs))
			default:
				args = append(args, reflect.New(t).Elem()) // spec: nil
				if spec != nil {
					args[i].Set(reflect.ValueOf(spec))
				}
			}
		}
		for _, result := range f.Call(args) {
			switch r := result.Interface().(type) {
			case *graph.Node:
				outputs = append(outputs, r)
			case []*graph.Node:
				outputs = append(outputs, r...)
			}
		}
		return outputs
	}
}

// tensorsOf accepts what Measure does.
func tensorsOf(what string, values any) ([]*tensors.Tensor, error) {
	switch v := values.(type) {
	case nil:
		return nil, nil
	case *tensors.Tensor:
		if v == nil {
			return nil, errors.Errorf("gradflow: the %s are a nil tensor", what)
		}
		return []*tensors.Tensor{v}, nil
	case []*tensors.Tensor:
		for i, t := range v {
			if t == nil {
				return nil, errors.Errorf("gradflow: number %d of the %d %s is a nil tensor", i, len(v), what)
			}
		}
		return v, nil
	}
	t, err := tensors.FromAnyValue(values)
	if err != nil {
		return nil, errors.WithMessagef(err, "gradflow: the %s are a %T; give a tensor, several, or nested slices of numbers", what, values)
	}
	return []*tensors.Tensor{t}, nil
}
