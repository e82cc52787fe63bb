package model_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	mlmodel "github.com/gomlx/gomlx/ml/model"
	"github.com/gradbook/gradbook/pkg/activation"
	"github.com/gradbook/gradbook/pkg/gradflow"
	"github.com/gradbook/gradbook/pkg/initializer"
	"github.com/gradbook/gradbook/pkg/model"
)

// probe computes a loss of a net, and its gradients with respect to x and to each trainable variable.
type probe struct {
	t     testing.TB
	net   *model.Net
	names []string
	exec  *mlmodel.Exec // loss
	grads *mlmodel.Exec // loss, how close a pre-activation is to a kink, gradients
}

// lossOf is mean((y - c)^2) plus a linear part, with coefficients that differ from entry to entry.
func lossOf(y *graph.Node) *graph.Node {
	n := y.Shape().Size()
	r := rand.New(rand.NewPCG(5, uint64(n)))
	target := make([]float64, n)
	for i := range target {
		target[i] = r.NormFloat64()
	}
	c := graph.Reshape(graph.Const(y.Graph(), target), y.Shape().Dimensions...)
	return graph.Add(graph.ReduceAllMean(graph.Square(graph.Sub(y, c))), graph.ReduceAllSum(graph.Mul(y, c)))
}

func newProbe(t testing.TB, net *model.Net, m mode) *probe {
	p := &probe{t: t, net: net}
	for _, name := range net.Variables() {
		if net.Store().GetVariable("/" + name).Trainable {
			p.names = append(p.names, name)
		}
	}
	forward := build(net, m)
	p.exec = must(mlmodel.NewExec(engine, net.Store(), func(scope *mlmodel.Scope, x *graph.Node) *graph.Node { return lossOf(forward(scope, x)) }))
	p.grads = must(mlmodel.NewExec(engine, net.Store(), func(scope *mlmodel.Scope, x *graph.Node) []*graph.Node {
		loss := lossOf(forward(scope, x))
		at := []*graph.Node{x}
		for _, name := range p.names {
			at = append(at, scope.Store().GetVariable("/"+name).NodeValue(x.Graph()))
		}
		closest := graph.Scalar(x.Graph(), float64Type, math.Inf(1))
		for _, tap := range gradflow.Taps(x.Graph()) {
			if tap.Z == nil {
				continue
			}
			for _, kink := range tap.Activation.Kinks() {
				closest = graph.Min(closest, graph.ReduceAllMin(graph.Abs(graph.AddScalar(tap.Z, -kink))))
			}
		}
		return append([]*graph.Node{loss, closest}, graph.Gradient(loss, at...)...)
	}))
	t.Cleanup(func() { p.exec.Finalize(); p.grads.Finalize() })
	return p
}

func (p *probe) loss(x *tensors.Tensor) float64 {
	return tensors.ToScalar[float64](must(p.exec.Exec(x))[0])
}

// gradients returns the gradient of x and those of the variables; closest is how near a pre-activation is to a kink.
func (p *probe) gradients(x *tensors.Tensor) (closest float64, all [][]float64) {
	out := must(p.grads.Exec(x))
	for _, t := range out[2:] {
		all = append(all, flat(t))
	}
	return tensors.ToScalar[float64](out[1]), all
}

// move adds step times direction to variable i of the probe (0 is x) and returns the x to use.
func (p *probe) move(x *tensors.Tensor, i int, values, direction []float64, step float64) *tensors.Tensor {
	moved := make([]float64, len(values))
	for k := range moved {
		moved[k] = values[k] + step*direction[k]
	}
	if i == 0 {
		return tensors.FromFlatDataAndDimensions(moved, x.Shape().Dimensions...)
	}
	set(p.t, p.net, p.names[i-1], moved)
	return x
}

func (p *probe) values(x *tensors.Tensor, i int) []float64 {
	if i == 0 {
		return flat(x)
	}
	return must(p.net.Values(p.names[i-1]))
}

func (p *probe) name(i int) string {
	if i == 0 {
		return "x"
	}
	return p.names[i-1]
}

// differences compares every entry of every gradient with a central difference: within 1e-6 of the tensor's largest entry.
func differences(t *testing.T, net *model.Net, m mode, x *tensors.Tensor) {
	t.Helper()
	p := newProbe(t, net, m)
	closest, all := p.gradients(x)
	if closest < 1e-3 {
		t.Fatalf("a pre-activation is %g from a kink; choose another seed", closest)
	}
	const step = 1e-5
	for i, got := range all {
		values := p.values(x, i)
		largest, worst := 0.0, 0.0
		for k, g := range got {
			direction := make([]float64, len(values))
			direction[k] = 1
			up := p.loss(p.move(x, i, values, direction, step))
			down := p.loss(p.move(x, i, values, direction, -step))
			want := (up - down) / (2 * step)
			largest, worst = math.Max(largest, math.Abs(want)), math.Max(worst, math.Abs(g-want))
		}
		p.move(x, i, values, make([]float64, len(values)), 0)
		if largest < 1e-6 {
			t.Errorf("%s: the gradient is 0", p.name(i))
		}
		if !(worst <= 1e-6*largest) {
			t.Errorf("%s: the gradient is off by %.3g, its largest entry being %.3g", p.name(i), worst, largest)
		}
	}
}

// directional compares, for each variable, the gradient along a random direction with a central difference.
func directional(t *testing.T, net *model.Net, m mode, x *tensors.Tensor) {
	t.Helper()
	p := newProbe(t, net, m)
	_, all := p.gradients(x)
	r := rand.New(rand.NewPCG(11, 12))
	for i, got := range all {
		values := p.values(x, i)
		direction := make([]float64, len(values))
		norm, slope := 0.0, 0.0
		for k := range direction {
			direction[k] = r.NormFloat64()
			norm += got[k] * got[k]
			slope += got[k] * direction[k]
		}
		const step = 1e-6
		up := p.loss(p.move(x, i, values, direction, step))
		down := p.loss(p.move(x, i, values, direction, -step))
		p.move(x, i, values, direction, 0)
		if norm = math.Sqrt(norm); norm < 1e-9 {
			t.Errorf("%s: the gradient is 0", p.name(i))
		}
		if want := (up - down) / (2 * step); !(math.Abs(slope-want) <= 1e-6*norm) {
			t.Errorf("%s: the slope along a random direction is %.9g, by differences %.9g (gradient's norm %.3g)", p.name(i), slope, want, norm)
		}
	}
}

func TestMLPGradients(t *testing.T) {
	x := normals(21, 5, 5)
	for _, a := range []activation.Activation{activation.Tanh, activation.PReLU(0.25)} {
		for name, c := range mlps(a) {
			t.Run(a.String()+"/"+name, func(t *testing.T) {
				for _, m := range []mode{inference, ofBatch, training} {
					net := must(c.New(5))
					stir(t, net)
					differences(t, net, m, x)
				}
			})
		}
	}
	for _, a := range activation.All() {
		if a == activation.Step {
			continue // its gradient is 0
		}
		t.Run(a.String(), func(t *testing.T) {
			c := model.MLP{Inputs: 5, Outputs: 2, Depth: 2, Width: 3, Activation: a, SigmaB: 0.5, DType: float64Type}
			differences(t, must(c.New(2)), inference, x)
		})
	}
}

func TestConvNetGradients(t *testing.T) {
	x := normals(22, 2, 6, 5, 2)
	for _, norm := range []model.Norm{model.NoNorm, model.BatchNorm, model.LayerNorm} {
		t.Run("one convolution "+string(norm), func(t *testing.T) {
			c := model.ConvNet{Image: [3]int{6, 5, 2}, Classes: 3, Channels: 2, Norm: norm, Activation: activation.Tanh, DType: float64Type}
			for _, m := range []mode{inference, ofBatch, training} {
				net := must(c.New(3))
				stir(t, net)
				differences(t, net, m, x)
			}
		})
	}
	for name, c := range convNets() {
		t.Run("deep "+name, func(t *testing.T) {
			c.Activation = activation.Softplus
			net := must(c.New(3))
			stir(t, net)
			directional(t, net, ofBatch, x)
		})
	}
}

func TestRecurrentGradients(t *testing.T) {
	for name, c := range recurrents(3) {
		t.Run(name, func(t *testing.T) {
			net := must(c.New(5))
			differences(t, net, inference, normals(23, 3, 3, 2))
		})
	}
	for name, c := range recurrents(30) {
		t.Run("long "+name, func(t *testing.T) {
			directional(t, must(c.New(5)), inference, normals(24, 3, 30, 2))
		})
	}
}

func TestDeepGradients(t *testing.T) {
	for _, residual := range []model.Residual{model.NoResidual, model.PostActivation, model.PreActivation} {
		for _, norm := range []model.Norm{model.NoNorm, model.BatchNorm, model.LayerNorm} {
			t.Run(string(residual)+" "+string(norm), func(t *testing.T) {
				w := initializer.Normal(1.5)
				c := model.MLP{Inputs: 6, Outputs: 2, Depth: 20, Width: 8, Activation: activation.Tanh, Weights: w, Residual: residual, Norm: norm, DType: float64Type}
				if norm != model.BatchNorm {
					c.SigmaB = 0.1
				}
				directional(t, must(c.New(1)), ofBatch, normals(3, 9, 6))
			})
		}
	}
}
