package gradflow_test

import (
	"iter"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	mlmodel "github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gradbook/gradbook/pkg/activation"
	"github.com/gradbook/gradbook/pkg/gradflow"
	"github.com/gradbook/gradbook/pkg/model"
)

// noise is a dataset of standard normal inputs and of labels 0 and 1, whose batches have as many examples as sizes say, in turn.
type noise struct {
	example []int
	sizes   []int
}

func (noise) Name() string { return "noise" }

func (d noise) Iter() iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		r := rand.New(rand.NewPCG(2, 2))
		for i := 0; ; i++ {
			size := d.sizes[i%len(d.sizes)]
			values := make([]float32, size*product(d.example))
			for k := range values {
				values[k] = float32(r.NormFloat64())
			}
			labels := make([]int32, size)
			for k := range labels {
				labels[k] = int32(r.IntN(2))
			}
			x := tensors.FromFlatDataAndDimensions(values, append([]int{size}, d.example...)...)
			if !yield(train.Batch{Inputs: []*tensors.Tensor{x}, Labels: []*tensors.Tensor{tensors.FromFlatDataAndDimensions(labels, size, 1)}}, nil) {
				return
			}
		}
	}
}

// Convolutional and recurrent nets are recorded as a Meter measures them, and train with a recorder as without.
func TestRecorderOfConvolutionalAndRecurrentNets(t *testing.T) {
	image, series := noise{[]int{6, 6, 1}, []int{8, 7}}, noise{[]int{5, 2}, []int{8, 7}}
	for _, test := range []struct {
		name   string
		config model.Config
		data   noise
	}{
		{"convolutional", model.ConvNet{N: 1, Image: [3]int{6, 6, 1}, Channels: 2, Classes: 2, Activation: activation.ReLU}, image},
		{"residual with batch norm", model.ConvNet{N: 1, Image: [3]int{6, 6, 1}, Channels: 2, Classes: 2, Residual: true, Norm: model.BatchNorm}, image},
		{"vanilla recurrent", model.Recurrent{Inputs: 2, Hidden: 4, Outputs: 2, Steps: 5}, series},
		{"LSTM with its cell", model.Recurrent{Cell: model.LSTM, Inputs: 2, Hidden: 4, Outputs: 2, Steps: 5, TapCell: true}, series},
		{"GRU", model.Recurrent{Cell: model.GRU, Inputs: 2, Hidden: 4, Outputs: 2, Steps: 5}, series},
	} {
		t.Run(test.name, func(t *testing.T) {
			const steps, rate = 4, 0.1
			build := func() *model.Net {
				net, err := test.config.New(1)
				must(t, err)
				return net
			}
			net := build()
			recorder, err := gradflow.NewRecorder(sgd(rate), gradflow.RecorderOptions{})
			must(t, err)
			loop := train.NewLoop(train.NewTrainer(theBackend(), net.Store(), net.Logits, crossEntropy, recorder.Optimizer(), nil, nil))
			recorder.Attach(loop)
			_, err = loop.RunSteps(recorder.Dataset(test.data), steps)
			must(t, err)
			reports, err := recorder.Reports()
			must(t, err)
			if len(reports) != steps {
				t.Fatalf("%d reports of %d steps", len(reports), steps)
			}
			other := build()
			meter, err := gradflow.NewMeter(theBackend(), other.Store(), other.Logits, crossEntropy, gradflow.Options{Optimizer: sgd(rate)})
			must(t, err)
			trainer := train.NewTrainer(theBackend(), other.Store(), other.Logits, crossEntropy, sgd(rate), nil, nil)
			next, stop := iter.Pull2(test.data.Iter())
			defer stop()
			for i, recorded := range reports {
				batch, _, _ := next()
				measured, err := meter.Measure(batch.Inputs, batch.Labels)
				must(t, err)
				measured.Step = recorded.Step
				if diff := differ(recorded, measured, 1e-4); diff != "" {
					t.Fatalf("step %d: %s", i+1, diff)
				}
				for _, l := range recorded.Layers {
					if l.HasZ && !(l.DeltaNorm > 0) || !(l.HGradNorm > 0) || l.HasW && !(l.UpdateRatio > 0) {
						t.Errorf("step %d, %s: |delta| %g, |dL/dh| %g, update ratio %g; none should be 0", i+1, l.Name, l.DeltaNorm, l.HGradNorm, l.UpdateRatio)
					}
				}
				_, err = trainer.TrainStep(batch)
				must(t, err)
			}
		})
	}
}

// What a tap did not say is NaN, in a Meter's report as in a Recorder's, and all else is there.
func TestTapsThatSayLittle(t *testing.T) {
	modelFn := func(scope *mlmodel.Scope, x *graph.Node) *graph.Node {
		g := x.Graph()
		w := scope.VariableWithValue("w", [][]float32{{1, -1, 0.5}, {2, 0, 1}, {0.5, 3, -2}, {1, 1, 1}}).NodeValue(g)
		v := scope.VariableWithValue("v", [][]float32{{1, -1}, {0.5, 2}, {-1, 1}}).NodeValue(g)
		z := graph.Dot(x, w).Product()
		h := gradflow.Tap(graph.Tanh(z), "h alone")
		squared := gradflow.Tap(graph.Square(h), "z, no activation", gradflow.PreActivation(h))
		out := graph.Dot(squared, v).Product()
		gradflow.Tap(graph.ReduceSum(out, 1), "a number an example")
		return gradflow.Tap(out, "weights, no z", gradflow.Weights(v))
	}
	check := func(r *gradflow.Report) {
		t.Helper()
		isNaN := func(l, what string, want bool, values ...float64) {
			for _, v := range values {
				if math.IsNaN(v) != want {
					t.Errorf("%s: %s is %g; want NaN: %t", l, what, v, want)
				}
			}
		}
		for i, l := range r.Layers {
			isNaN(l.Name, "a statistic of h", false, l.Mean, l.Variance, l.BatchVariance, l.Correlation)
			isNaN(l.Name, "a statistic of z", i != 1, l.ZMean, l.ZVariance, l.DeltaNorm)
			isNaN(l.Name, "a share", true, l.Saturated, l.Dead)
			isNaN(l.Name, "a statistic of W", i != 3, l.WNorm, l.WGradNorm, l.SigmaW2, l.UpdateRatio)
			isNaN(l.Name, "a statistic of b", true, l.BNorm, l.BGradNorm)
			if l.Plain {
				t.Errorf("%s is said to be plain", l.Name)
			}
			if !(l.Variance > 0) || l.Name != "a number an example" && !(l.HGradNorm > 0) {
				t.Errorf("%s: variance %g, |dL/dh| %g", l.Name, l.Variance, l.HGradNorm)
			}
		}
	}
	x, y := mlp{sizes: []int{4, 2}, dtype: dtypes.Float32}.batch(1, 6)
	meter, err := gradflow.NewMeter(theBackend(), mlmodel.NewStore(), modelFn, crossEntropy, gradflow.Options{Optimizer: sgd(0.1)})
	must(t, err)
	measured, err := meter.Measure(x, y)
	must(t, err)
	check(measured)
	recorder, err := gradflow.NewRecorder(sgd(0.1), gradflow.RecorderOptions{})
	must(t, err)
	trainer := train.NewTrainer(theBackend(), mlmodel.NewStore(), modelFn, crossEntropy, recorder.Optimizer(), nil, nil)
	_, err = trainer.TrainStep(train.Batch{Inputs: []*tensors.Tensor{x}, Labels: []*tensors.Tensor{y}})
	must(t, err)
	reports, err := recorder.Reports()
	must(t, err)
	if len(reports) != 1 {
		t.Fatalf("%d reports of one step", len(reports))
	}
	check(reports[0])
	measured.Step = 1
	if diff := differ(reports[0], measured, 1e-5); diff != "" {
		t.Error(diff)
	}
}
