package experiment

import (
	"math"
	"sync"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	mlmodel "github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/model/initializer"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/optimizer"
	"github.com/gomlx/gomlx/support/exceptions"
)

// Optimizer is how a step is made from gradients.
type Optimizer string

const (
	// SGD, the zero value, is stochastic gradient descent at a constant rate: w <- w - rate * v with v = g, or with momentum m: v <- m v + g (heavy ball; Polyak 1964, as PyTorch writes
	// it). WeightDecay d adds d w to each gradient g. GoMLX's own SGD divides the rate by the root of the step; this one does not.
	SGD Optimizer = ""
	// Adam is Kingma and Ba 2015 by GoMLX, with beta 0.9 and 0.999 and epsilon 1e-7. WeightDecay d subtracts rate * d * w besides (Loshchilov and Hutter 2019).
	Adam Optimizer = "adam"
)

// defaultRate is the rate if Rate is 0.
func (o Optimizer) defaultRate() float64 {
	if o == Adam {
		return 0.001
	}
	return 0.1
}

// String is "sgd" or "adam".
func (o Optimizer) String() string {
	if o == SGD {
		return "sgd"
	}
	return string(o)
}

// withGradients is what clipping needs of the optimizer that it wraps.
type withGradients interface {
	optimizer.Interface
	train.OptimizeWithGradients
}

// sgd is SGD with momentum and weight decay. It writes the rate to GoMLX's variable for it and counts GoMLX's global step.
type sgd struct{ rate, momentum, decay float64 }

func (o *sgd) UpdateGraph(scope *mlmodel.Scope, _ *graph.Graph, loss *graph.Node) {
	o.UpdateGraphWithGradients(scope, scope.BuildTrainableVariablesGradientsGraph(loss), loss.DType())
}

func (o *sgd) UpdateGraphWithGradients(scope *mlmodel.Scope, gradients []*graph.Node, lossDType dtypes.DType) {
	if len(gradients) == 0 {
		exceptions.Panicf("experiment: the net has no trainable variables")
	}
	g := gradients[0].Graph()
	rate := optimizer.LearningRateVar(scope, lossDType, o.rate).NodeValue(g)
	optimizer.IncrementGlobalStep(g, lossDType)
	var weights []*mlmodel.Variable
	for v := range scope.IterVariables() { // first all of them: momentum makes new ones
		if v.Trainable && v.InUseByGraph(g) {
			weights = append(weights, v)
		}
	}
	if len(weights) != len(gradients) {
		exceptions.Panicf("experiment: %d gradients for %d trainable variables", len(gradients), len(weights))
	}
	for i, v := range weights {
		w, step := v.NodeValue(g), gradients[i]
		if o.decay != 0 {
			step = graph.Add(step, graph.MulScalar(w, o.decay))
		}
		if o.momentum != 0 {
			path := "/" + momentumScope + v.Path()
			velocity := scope.Store().GetVariable(path)
			if velocity == nil {
				velocity = scope.Store().Scope("/"+momentumScope+v.Scope()).WithInitializer(initializer.Zero).
					VariableWithShape(v.Name(), v.Shape()).SetTrainable(false)
			}
			step = graph.Add(graph.MulScalar(velocity.NodeValue(g), o.momentum), step)
			velocity.SetNodeValue(step)
		}
		v.SetNodeValue(graph.Sub(w, graph.Mul(graph.ConvertDType(rate, step.DType()), step)))
	}
}

const momentumScope = "momentum"

func (o *sgd) Clear(scope *mlmodel.Scope) error {
	return scope.Store().DeleteVariablesInScope("/" + momentumScope)
}

// clipped scales all gradients by one factor where their joint norm is over a limit, so that the norm is the limit and the direction stays: Pascanu, Mikolov and Bengio
// 2013, algorithm 1.
type clipped struct {
	inner withGradients
	limit float64

	mu    sync.Mutex
	norms map[*graph.Graph]*graph.Node // guarded by mu; the norm before clipping, for whoever builds the graph
}

func (o *clipped) UpdateGraph(scope *mlmodel.Scope, _ *graph.Graph, loss *graph.Node) {
	o.UpdateGraphWithGradients(scope, scope.BuildTrainableVariablesGradientsGraph(loss), loss.DType())
}

func (o *clipped) UpdateGraphWithGradients(scope *mlmodel.Scope, gradients []*graph.Node, lossDType dtypes.DType) {
	if len(gradients) == 0 {
		exceptions.Panicf("experiment: the net has no trainable variables")
	}
	g := gradients[0].Graph()
	squares := graph.Const(g, 0.0) // in float64: the squares of exploding gradients overflow float32 long before the gradients do
	for _, gradient := range gradients {
		squares = graph.Add(squares, graph.ReduceAllSum(graph.Square(graph.ConvertDType(gradient, dtypes.Float64))))
	}
	norm := graph.Sqrt(squares)
	factor := graph.MinScalar(graph.Div(graph.Const(g, o.limit), norm), 1) // a norm of 0 gives infinity, and so 1
	scaled := make([]*graph.Node, len(gradients))
	for i, gradient := range gradients {
		scaled[i] = graph.Mul(gradient, graph.ConvertDType(factor, gradient.DType()))
	}
	o.mu.Lock()
	o.norms[g] = norm
	o.mu.Unlock()
	o.inner.UpdateGraphWithGradients(scope, scaled, lossDType)
}

func (o *clipped) Clear(scope *mlmodel.Scope) error { return o.inner.Clear(scope) }

// norm is the node of the norm in a graph that this optimizer was part of.
func (o *clipped) norm(g *graph.Graph) *graph.Node {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.norms[g]
}

// optimizers makes what Fit trains with; clip is nil without clipping.
func (f *Fit) optimizers() (opt withGradients, clip *clipped) {
	switch f.Optimizer {
	case Adam:
		config := optimizer.Adam().LearningRate(f.rate(1))
		if f.WeightDecay > 0 {
			config = config.WeightDecay(f.WeightDecay)
		}
		opt = config.Done().(withGradients)
	default:
		opt = &sgd{f.rate(1), f.Momentum, f.WeightDecay}
	}
	if f.Clip > 0 {
		clip = &clipped{inner: opt, limit: f.Clip, norms: map[*graph.Graph]*graph.Node{}}
		return clip, clip
	}
	return opt, nil
}

// rate is that of a step, counted from 1.
func (f *Fit) rate(step int) float64 {
	switch {
	case f.Schedule != nil:
		return f.Schedule(step)
	case f.Rate != 0:
		return f.Rate
	}
	return f.Optimizer.defaultRate()
}

// setRate writes the rate to the variable that the compiled step reads.
func setRate(store *mlmodel.Store, rate float64) error {
	v := store.GetVariable("/" + optimizer.Scope + "/" + optimizer.ParamLearningRate)
	return v.SetValue(scalar(rate, v.Shape()))
}

// validRate tells whether a rate makes sense.
func validRate(rate float64) bool { return rate >= 0 && !math.IsInf(rate, 0) }
