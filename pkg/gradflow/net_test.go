package gradflow_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	mlmodel "github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train/loss"
	"github.com/gradbook/gradbook/pkg/activation"
	"github.com/gradbook/gradbook/pkg/backend"
	"github.com/gradbook/gradbook/pkg/gradflow"
	"github.com/gradbook/gradbook/pkg/initializer"
)

// mlp is a small fully connected net made of GoMLX's own parts, so that the tests say what a tap in anyone's model gives.
type mlp struct {
	sizes          []int // inputs, hidden layers, outputs
	act            activation.Activation
	weights        initializer.Initializer
	sigmaB         float64
	bias           float64 // added to each bias
	dtype          dtypes.DType
	untapped       bool
	outAct         activation.Activation    // Linear if not set
	outWeights     *initializer.Initializer // of the last layer, if not like the others
	residual, norm bool                     // pre-activation residual branches; each normalised over its units
}

func (n mlp) layers() int { return len(n.sizes) - 1 }

func (n mlp) name(l int) string {
	if l == n.layers()-1 {
		return "out"
	}
	return fmt.Sprintf("h%d", l+1)
}

// fill sets the variables of a seed: graphs of a store that has them go on with the new values.
func (n mlp) fill(store *mlmodel.Store, seed uint64) error {
	for l := range n.layers() {
		r := initializer.Stream(seed, n.name(l))
		in, out := n.sizes[l], n.sizes[l+1]
		weights := n.weights
		if l == n.layers()-1 && n.outWeights != nil {
			weights = *n.outWeights
		}
		w, err := weights.Draw(r, in, out)
		if err != nil {
			return err
		}
		b := initializer.Bias(r, n.sigmaB, out)
		for i := range b {
			b[i] += n.bias
		}
		if err := n.set(store, "/"+n.name(l)+"/W", w, in, out); err != nil {
			return err
		}
		if err := n.set(store, "/"+n.name(l)+"/b", b, out); err != nil {
			return err
		}
	}
	return nil
}

func (n mlp) set(store *mlmodel.Store, path string, values []float64, dims ...int) error {
	value, err := initializer.Tensor(values, n.dtype, dims...)
	if err != nil {
		return err
	}
	if old := store.GetVariable(path); old != nil {
		return old.SetValue(value)
	}
	_, err = store.CreateVariable(path, value)
	return err
}

func (n mlp) draw(t testing.TB, store *mlmodel.Store, seed uint64) {
	t.Helper()
	must(t, n.fill(store, seed))
}

func (n mlp) store(t testing.TB, seed uint64) *mlmodel.Store {
	t.Helper()
	store := mlmodel.NewStore()
	n.draw(t, store, seed)
	return store
}

// logits is the model function.
func (n mlp) logits(scope *mlmodel.Scope, x *graph.Node) *graph.Node {
	g := x.Graph()
	h := x
	for l := range n.layers() {
		at := scope.In("%s", n.name(l))
		w, b := at.GetVariable("W").NodeValue(g), at.GetVariable("b").NodeValue(g)
		z := graph.Add(graph.Dot(h, w).Product(), graph.ExpandDims(b, 0))
		act := n.act
		if l == n.layers()-1 {
			act = activation.Linear
			if n.outAct.Valid() == nil {
				act = n.outAct
			}
		}
		out := act.Graph(z)
		if n.residual && l > 0 && l < n.layers()-1 {
			out = graph.Add(h, out)
		}
		h = out
		if !n.untapped {
			gradflow.Layer(gradflow.LayerTap{Name: n.name(l), Z: z, H: h, W: w, B: b, Activation: act})
		}
		if n.norm && l < n.layers()-1 {
			mean := graph.ReduceAndKeep(h, graph.ReduceMean, -1)
			h = graph.Sub(h, mean)
			h = graph.Div(h, graph.Sqrt(graph.AddScalar(graph.ReduceAndKeep(graph.Square(h), graph.ReduceMean, -1), 1e-5)))
		}
	}
	return h
}

// batch draws standard normal inputs and labels.
func (n mlp) batch(seed uint64, examples int) (x, y *tensors.Tensor) {
	r := rand.New(rand.NewPCG(seed, 7))
	in, classes := n.sizes[0], n.sizes[len(n.sizes)-1]
	values := make([]float64, examples*in)
	for i := range values {
		values[i] = r.NormFloat64()
	}
	labels := make([]int32, examples)
	for i := range labels {
		labels[i] = int32(r.IntN(classes))
	}
	x, err := initializer.Tensor(values, n.dtype, examples, in)
	if err != nil {
		panic(err)
	}
	return x, tensors.FromFlatDataAndDimensions(labels, examples, 1)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%+v", err)
	}
}

func crossEntropy(labels, logits []*graph.Node) *graph.Node {
	return loss.SparseCategoricalCrossEntropyLogits(labels, logits)
}

func theBackend() compute.Backend { return backend.MustDefault() }

func ten64(act activation.Activation, weights initializer.Initializer) mlp {
	sizes := []int{784}
	for range 10 {
		sizes = append(sizes, 64)
	}
	return mlp{sizes: append(sizes, 10), act: act, weights: weights, dtype: dtypes.Float32}
}

func median[T time.Duration | float64](values []T) T {
	values = slices.Clone(values)
	slices.Sort(values)
	return values[len(values)/2]
}
