package gradflow_test

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	mlmodel "github.com/gomlx/gomlx/ml/model"
	"github.com/gradbook/gradbook/pkg/activation"
	"github.com/gradbook/gradbook/pkg/gradflow"
	"github.com/gradbook/gradbook/pkg/initializer"
	"github.com/gradbook/gradbook/pkg/model"
)

// netTest is a net of package model whose reported gradients are held against differences. z and h say which taps cut the net: all that the input (of a
// recurrent net, the first step's) does to the loss passes through that z or h, so that <dL/dz, change of z> is the change of the loss.
type netTest struct {
	name   string
	config model.Config
	x      []int // shape of the inputs
	z, h   func(layer int, name string) bool
}

func always(int, string) bool           { return true }
func onlyOut(_ int, name string) bool   { return name == "out" }
func blockEnds(i int, name string) bool { return i%2 == 0 || name == "out" }
func onlyOutAnd(step string) func(int, string) bool {
	return func(_ int, name string) bool { return name == "out" || name == step }
}

func conv(c model.ConvNet) model.ConvNet {
	c.N, c.Image, c.Channels, c.Classes = 1, [3]int{4, 4, 1}, 1, 2
	if c.Norm == model.LayerNorm {
		c.Channels = 2 // of one channel, it takes the bias away
	}
	c.Activation, c.SigmaB, c.DType = activation.Tanh, 0.3, dtypes.Float64
	return c
}

func recurrent(cell model.Cell, steps int) model.Recurrent {
	c := model.Recurrent{Cell: cell, Inputs: 2, Hidden: 3, Outputs: 2, Steps: steps, SigmaB: 0.3, DType: dtypes.Float64}
	// So that the first step is not forgotten in 30:
	keeps := initializer.Orthogonal(1.5)
	switch cell {
	case model.LSTM:
		c.ForgetBias = 3
	case "":
		keeps, c.SigmaB = initializer.Orthogonal(1.1), 0.05
	}
	c.RecurrentWeights = &keeps
	return c
}

func deepMLP(c model.MLP) model.MLP {
	c.Inputs, c.Outputs, c.Depth, c.Width, c.Activation, c.SigmaB, c.DType = 5, 3, 24, 6, activation.Tanh, 0.1, dtypes.Float64
	c.Weights = initializer.Normal(1.2)
	return c
}

// batch draws inputs and labels.
func (n netTest) batch() (x, y *tensors.Tensor) {
	r := rand.New(rand.NewPCG(11, 3))
	values := make([]float64, product(n.x))
	for i := range values {
		values[i] = r.NormFloat64()
		if len(n.x) == 3 {
			values[i] /= 5 // larger ones saturate the units of a recurrent net, which then forget
		}
	}
	labels := make([]int32, n.x[0])
	for i := range labels {
		labels[i] = int32(i % 2)
	}
	return tensors.FromFlatDataAndDimensions(values, n.x...), tensors.FromFlatDataAndDimensions(labels, n.x[0], 1)
}

func product(dims []int) int {
	n := 1
	for _, d := range dims {
		n *= d
	}
	return n
}

// bench is a net under test, measured once.
type bench struct {
	net    *model.Net
	meter  *gradflow.Meter
	x, y   *tensors.Tensor
	report *gradflow.Report
	loss   func() float64
}

func (n netTest) bench(t *testing.T) *bench {
	t.Helper()
	net, err := n.config.New(3)
	must(t, err)
	b := &bench{net: net}
	b.meter, err = gradflow.NewMeter(theBackend(), net.Store(), net.Logits, crossEntropy, gradflow.Options{Tensors: true})
	must(t, err)
	b.x, b.y = n.batch()
	b.report, err = b.meter.Measure(b.x, b.y)
	must(t, err)
	exec, err := mlmodel.NewExec(theBackend(), net.Store(), func(scope *mlmodel.Scope, args []*graph.Node) *graph.Node {
		return graph.ReduceAllMean(crossEntropy(args[1:], []*graph.Node{net.LogitsOfBatch(scope, args[0])}))
	})
	must(t, err)
	b.loss = func() float64 {
		results, err := exec.Call(b.x, b.y)
		must(t, err)
		return tensors.ToScalar[float64](results[0])
	}
	if l := b.loss(); math.Abs(l-b.report.Loss) > 1e-12*l {
		t.Fatalf("the meter's loss is %g, the net's %g", b.report.Loss, l)
	}
	return b
}

// ofVariables calls check for each gradient of W and b in the report, with the variable.
func (b *bench) ofVariables(check func(what string, v *mlmodel.Variable, gradient *tensors.Tensor, norm float64)) (n int) {
	for _, l := range b.report.Layers {
		w, bias := l.Name+"/W", l.Name+"/b"
		if strings.HasPrefix(l.Name, "h/t") {
			w, bias = "h/U", "h/b"
		}
		for _, of := range []struct {
			path     string
			gradient *tensors.Tensor
			norm     float64
		}{{w, l.Tensors.WGrad, l.WGradNorm}, {bias, l.Tensors.BGrad, l.BGradNorm}} {
			if of.gradient != nil {
				check(of.path, b.net.Store().GetVariable("/"+of.path), of.gradient, of.norm)
				n++
			}
		}
	}
	return n
}

// cuts compares, at each tap that cuts the net, the change of the loss with <gradient, change of the tensor> for a small change of the inputs.
func (n netTest) cuts(t *testing.T, b *bench) {
	t.Helper()
	const step = 1e-5
	r := rand.New(rand.NewPCG(1, 9))
	values := tensors.MustCopyFlatData[float64](b.x)
	direction := make([]float64, len(values))
	perExample := len(values) / n.x[0]
	for i := range direction {
		first := perExample // of a recurrent net only the first step moves
		if len(n.x) == 3 {
			first = n.x[2]
		}
		if i%perExample < first {
			direction[i] = r.NormFloat64()
		}
	}
	at := func(by float64) *gradflow.Report {
		moved := make([]float64, len(values))
		for i := range moved {
			moved[i] = values[i] + by*direction[i]
		}
		report, err := b.meter.Measure(tensors.FromFlatDataAndDimensions(moved, n.x...), b.y)
		must(t, err)
		return report
	}
	up, down := at(step), at(-step)
	want := (up.Loss - down.Loss) / (2 * step)
	if math.Abs(want) < 1e-6 {
		t.Fatalf("the inputs change the loss by %g only; nothing is shown by that", want)
	}
	for i, l := range b.report.Layers {
		for _, of := range []struct {
			name                string
			cuts                bool
			gradient, high, low *tensors.Tensor
		}{{"delta", n.z(i, l.Name), l.Tensors.Delta, up.Layers[i].Tensors.Z, down.Layers[i].Tensors.Z},
			{"dL/dh", n.h(i, l.Name), l.Tensors.HGrad, up.Layers[i].Tensors.H, down.Layers[i].Tensors.H}} {
			if !of.cuts {
				continue
			}
			got := 0.0
			high, low := tensors.MustCopyFlatData[float64](of.high), tensors.MustCopyFlatData[float64](of.low)
			for k, g := range tensors.MustCopyFlatData[float64](of.gradient) {
				got += g * (high[k] - low[k]) / (2 * step)
			}
			if math.Abs(got-want) > 1e-6*math.Abs(want)+rounding {
				t.Errorf("%s of %s: along the change that the inputs make, the loss changes by %g, by central differences %g", of.name, l.Name, got, want)
			}
		}
	}
}

// rounding is what float64's rounding of a loss near 1 comes to in a central difference with a step of 1e-5.
const rounding = 5e-11

// Entry by entry for weights and biases, and for delta and dL/dh along a change of the inputs.
func TestGradientsOfConvolutionalAndRecurrentNets(t *testing.T) {
	image, series := []int{3, 4, 4, 1}, []int{3, 3, 2}
	tests := []netTest{
		{"convolutional, plain", conv(model.ConvNet{}), image, always, always},
		{"convolutional, plain, batch norm", conv(model.ConvNet{Norm: model.BatchNorm}), image, always, always},
		{"convolutional, plain, layer norm", conv(model.ConvNet{Norm: model.LayerNorm}), image, always, always},
		{"convolutional, residual", conv(model.ConvNet{Residual: true}), image, blockEnds, blockEnds},
		{"convolutional, residual, projections", conv(model.ConvNet{Residual: true, Shortcut: model.ProjectionShortcut}), image, blockEnds, blockEnds},
		{"convolutional, residual, batch norm", conv(model.ConvNet{Residual: true, Norm: model.BatchNorm}), image, blockEnds, blockEnds},
		{"convolutional, residual, layer norm", conv(model.ConvNet{Residual: true, Norm: model.LayerNorm}), image, blockEnds, blockEnds},
		{"vanilla recurrent", recurrent("", 3), series, always, always},
		{"LSTM", recurrent(model.LSTM, 3), series, onlyOut, onlyOutAnd("h/t003")},
		{"GRU", recurrent(model.GRU, 3), series, onlyOut, always},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := test.bench(t)
			n := b.ofVariables(func(what string, v *mlmodel.Variable, gradient *tensors.Tensor, norm float64) {
				got, want := tensors.MustCopyFlatData[float64](gradient), differences(t, b.loss, v)
				agree(t, what, got, want, norm)
			})
			if n < 3 {
				t.Errorf("only %d gradients of variables are reported", n)
			}
			test.cuts(t, b)
		})
	}
}

// agree fails unless all entries are within 1e-6 of the largest, which is not 0, and the norm is theirs.
func agree(t *testing.T, what string, got, want []float64, reported float64) {
	t.Helper()
	largest := 0.0
	for _, g := range got {
		largest = max(largest, math.Abs(g))
	}
	if largest == 0 {
		t.Errorf("%s: the gradient is 0", what)
	}
	for i := range got {
		if math.Abs(got[i]-want[i]) > 1e-6*largest {
			t.Errorf("%s, entry %d: gradient %g, central difference %g (largest entry %g)", what, i, got[i], want[i], largest)
		}
	}
	if own := norm(got); math.Abs(reported-own) > 1e-12*own {
		t.Errorf("%s: norm %g, of the tensor %g", what, reported, own)
	}
}

// Deep nets are checked along one random direction for each variable, and along a change of the inputs.
func TestGradientsOfDeepNets(t *testing.T) {
	const step = 1e-5
	vector, series := []int{4, 5}, []int{3, 30, 2}
	tests := []netTest{
		{"24 layers", deepMLP(model.MLP{}), vector, always, always},
		{"24 layers, batch norm", deepMLP(model.MLP{Norm: model.BatchNorm}), vector, always, always},
		{"24 layers, layer norm", deepMLP(model.MLP{Norm: model.LayerNorm}), vector, always, always},
		{"24 layers, post-activation residual", deepMLP(model.MLP{Residual: model.PostActivation}), vector, always, always},
		{"24 layers, pre-activation residual", deepMLP(model.MLP{Residual: model.PreActivation, ResidualScale: 0.5}), vector, always, onlyOut},
		{"vanilla recurrent, 30 steps", recurrent("", 30), series, always, always},
		{"LSTM, 30 steps", recurrent(model.LSTM, 30), series, onlyOut, onlyOutAnd("h/t030")},
		{"GRU, 30 steps", recurrent(model.GRU, 30), series, onlyOut, always},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := test.bench(t)
			r := rand.New(rand.NewPCG(4, 4))
			n := b.ofVariables(func(what string, v *mlmodel.Variable, gradient *tensors.Tensor, _ float64) {
				start, got := tensors.MustCopyFlatData[float64](v.MustValue()), 0.0
				direction := make([]float64, len(start))
				for i, g := range tensors.MustCopyFlatData[float64](gradient) {
					direction[i] = r.NormFloat64()
					got += g * direction[i]
				}
				at := func(by float64) float64 {
					moved := make([]float64, len(start))
					for i := range moved {
						moved[i] = start[i] + by*direction[i]
					}
					must(t, v.SetValue(tensors.FromFlatDataAndDimensions(moved, v.Shape().Dimensions...)))
					return b.loss()
				}
				// Two step sizes, so that the third derivative, large in deep normalised nets, drops out.
				wide, narrow := (at(step)-at(-step))/(2*step), (at(step/2)-at(-step/2))/step
				want := (4*narrow - wide) / 3
				at(0)
				if got == 0 || math.Abs(got-want) > 1e-6*math.Abs(want)+rounding {
					t.Errorf("%s: along a random direction the gradient is %g, the central difference %g", what, got, want)
				}
			})
			if n < 3 {
				t.Errorf("only %d gradients of variables are reported", n)
			}
			test.cuts(t, b)
		})
	}
}
