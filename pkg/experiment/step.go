package experiment

import (
	"context"
	"iter"
	"math"
	"runtime/debug"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	mlmodel "github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/loss"
	"github.com/gomlx/gomlx/ml/train/optimizer"
	"github.com/pkg/errors"

	"github.com/gradbook/gradbook/pkg/backend"
	"github.com/gradbook/gradbook/pkg/dataset"
	"github.com/gradbook/gradbook/pkg/model"
)

// stepper is a compiled training step. It does what GoMLX's train.Trainer does, but leaves the loss on the device until it is read.
type stepper struct {
	backend compute.Backend
	exec    *mlmodel.Exec
}

// newStepper builds the step of a training: forward pass, loss, gradients, update. clip, if not nil, is asked for the norm.
func newStepper(f *Fit, opt optimizer.Interface, clip *clipped) (*stepper, error) {
	lossFn := lossOf(f.Loss, f.Train)
	exec, err := mlmodel.NewExec(f.Backend, f.Net.Store(), func(scope *mlmodel.Scope, x, y *graph.Node) []*graph.Node {
		g := x.Graph()
		scope.Store().SetTraining(g, true)
		logits := f.Net.Logits(scope, x)
		train.AddMainLoss(scalarLoss(lossFn, y, logits))
		total := train.TotalLoss(g)
		opt.UpdateGraph(scope, g, total)
		train.ExecPerStepUpdateGraphFn(g)
		norm := graph.Const(g, math.NaN())
		if clip != nil {
			norm = clip.norm(g)
		}
		return []*graph.Node{total, norm}
	})
	if err != nil {
		return nil, err
	}
	return &stepper{f.Backend, exec}, nil
}

// step does one step; it takes over the batch. GoMLX's panics (shapes that do not fit) are errors.
func (s *stepper) step(batch train.Batch) (*outputs, error) {
	list, err := call(s.backend, s.exec, batch.Inputs[0], batch.Labels[0])
	if err != nil {
		return nil, err
	}
	return &outputs{list[0], list[1]}, nil
}

// call runs an exec on two tensors and gives their memory to it.
func call(b compute.Backend, exec *mlmodel.Exec, x, y *tensors.Tensor) (list []*tensors.Tensor, err error) {
	defer func() {
		if p := recover(); p != nil {
			var ok bool
			if err, ok = p.(error); !ok {
				err = errors.Errorf("panic: %v\n%s", p, debug.Stack())
			}
		}
	}()
	args := make([]any, 2)
	for i, t := range []*tensors.Tensor{x, y} {
		if args[i], err = graph.DonateTensorBuffer(t, b, 0); err != nil {
			args[i] = t
			defer t.FinalizeAll()
		}
	}
	return exec.Call(args...)
}

// outputs are what a step returned, on the device until they are read.
type outputs struct{ loss, norm *tensors.Tensor }

// read returns the numbers the first time that it is called; then and for no outputs ok is false.
func (o *outputs) read() (loss, norm float64, ok bool, err error) {
	if o == nil || o.loss == nil {
		return 0, 0, false, nil
	}
	if loss, err = number64(o.loss); err != nil {
		return 0, 0, false, err
	}
	if norm, err = number64(o.norm); err != nil {
		return 0, 0, false, err
	}
	o.loss.FinalizeAll()
	o.norm.FinalizeAll()
	*o = outputs{}
	return loss, norm, true, nil
}

// number64 is the value of a scalar.
func number64(t *tensors.Tensor) (float64, error) {
	v, err := t.ValueSafe()
	if err != nil {
		return 0, err
	}
	switch v := v.(type) {
	case float32:
		return float64(v), nil
	case float64:
		return v, nil
	}
	return 0, errors.Errorf("the loss is a %s: it must be a scalar of float32 or float64", t.Shape())
}

// scalar is a tensor of a value, of the shape's type.
func scalar(v float64, shape shapes.Shape) *tensors.Tensor {
	if shape.DType == dtypes.Float64 {
		return tensors.FromScalar(v)
	}
	return tensors.FromScalar(float32(v))
}

// lossOf is the loss of a data set, unless one is given.
func lossOf(given train.LossFn, s *dataset.Set) train.LossFn {
	switch {
	case given != nil:
		return given
	case s.Labels != nil:
		return func(labels, logits []*graph.Node) *graph.Node {
			if dims := logits[0].Shape().Dimensions; len(dims) != 2 || dims[1] < len(s.Classes) {
				panic(errors.Errorf("the net's logits are %s, but data set %q has %d classes: they must be [batch, %d] (or give a Loss)", logits[0].Shape(), s.Name, len(s.Classes), len(s.Classes)))
			}
			return loss.SparseCategoricalCrossEntropyLogits(labels, logits)
		}
	}
	return func(targets, outputs []*graph.Node) *graph.Node {
		if !slices.Equal(outputs[0].Shape().Dimensions, targets[0].Shape().Dimensions) {
			panic(errors.Errorf("the net's outputs are %s, but the targets of data set %q are %s: they must be of one shape (or give a Loss)", outputs[0].Shape(), s.Name, targets[0].Shape()))
		}
		return graph.Square(graph.Sub(outputs[0], graph.ConvertDType(targets[0], outputs[0].DType())))
	}
}

func scalarLoss(f train.LossFn, y, logits *graph.Node) *graph.Node {
	l := f([]*graph.Node{y}, []*graph.Node{logits})
	if !l.IsScalar() {
		l = graph.ReduceAllMean(l)
	}
	return l
}

// ahead serves a data set's batches from a goroutine that makes them while the step before runs.
func ahead(ctx context.Context, ds train.Dataset) iter.Seq2[train.Batch, error] {
	type item struct {
		batch train.Batch
		err   error
	}
	return func(yield func(train.Batch, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		items := make(chan item, 1)
		go func() {
			defer close(items)
			for batch, err := range ds.Iter() {
				select {
				case items <- item{batch, err}:
				case <-ctx.Done():
					batch.Finalize()
					return
				}
			}
		}()
		for i := range items {
			if !yield(i.batch, i.err) {
				return
			}
		}
	}
}

// forget deletes all variables of the net's store that are not the net's.
func forget(n *model.Net) error {
	own := map[string]bool{}
	for _, name := range n.Variables() {
		own["/"+name] = true
	}
	var others []string
	for v := range n.Store().IterVariables() {
		if !own[v.Path()] {
			others = append(others, v.Path())
		}
	}
	for _, path := range others {
		if err := n.Store().DeleteVariable(path); err != nil {
			return err
		}
	}
	return nil
}

// Tester measures a net on a data set, as often as it is asked, with one compiled graph. The net is used as in prediction: batch normalisation by its running averages.
type Tester struct {
	backend compute.Backend
	set     *dataset.Set
	exec    *mlmodel.Exec
	size    int
}

// NewTester makes a Tester; b nil means backend.Default(), lossFn nil cross-entropy for labels and mean squared error for targets. Close it when it is done with. Errors: a set that is
// not valid, no backend.
func NewTester(b compute.Backend, n *model.Net, s *dataset.Set, lossFn train.LossFn) (*Tester, error) {
	if n == nil {
		return nil, errors.New("experiment.NewTester: the net is nil")
	}
	if err := s.Validate(); err != nil {
		return nil, err
	}
	if b == nil {
		var err error
		if b, err = backend.Default(); err != nil {
			return nil, err
		}
	}
	lossFn = lossOf(lossFn, s)
	exec, err := mlmodel.NewExec(b, n.Store(), func(scope *mlmodel.Scope, x, y *graph.Node) []*graph.Node {
		scope.Store().SetTraining(x.Graph(), false)
		logits := n.Logits(scope, x)
		right := graph.Const(x.Graph(), int32(0))
		if s.Labels != nil && logits.Rank() == 2 {
			hits := graph.Equal(graph.ArgMax(logits, -1, dtypes.Int32), graph.Reshape(y, -1))
			right = graph.ReduceAllSum(graph.ConvertDType(hits, dtypes.Int32))
		}
		return []*graph.Node{scalarLoss(lossFn, y, logits), right}
	})
	if err != nil {
		return nil, err
	}
	return &Tester{b, s, exec, testBatch(s.Len())}, nil
}

// testBatch is a batch size that divides n, if there is one of a good size: another last batch would have another graph compiled.
func testBatch(n int) int {
	const least, most = 100, 1000
	for size := min(n, most); size >= least; size-- {
		if n%size == 0 {
			return size
		}
	}
	return min(n, most/2)
}

// Test measures the net as it is now. Step is 0.
func (t *Tester) Test() (Test, error) {
	total, right := 0.0, 0
	for batch, err := range ahead(context.Background(), t.set.Epoch(t.size)) {
		if err != nil {
			return Test{}, err
		}
		n := batch.Inputs[0].Shape().Dimensions[0]
		list, err := call(t.backend, t.exec, batch.Inputs[0], batch.Labels[0])
		if err != nil {
			return Test{}, err
		}
		l, err := number64(list[0])
		if err != nil {
			return Test{}, err
		}
		total += l * float64(n)
		right += int(tensors.ToScalar[int32](list[1]))
		list[0].FinalizeAll()
		list[1].FinalizeAll()
	}
	test := Test{Loss: total / float64(t.set.Len()), Accuracy: unknown()}
	if t.set.Labels != nil {
		test.Accuracy = Proportion(right, t.set.Len())
	}
	return test, nil
}

// Close frees the compiled graph.
func (t *Tester) Close() { t.exec.Finalize() }
