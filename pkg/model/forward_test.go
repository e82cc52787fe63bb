package model_test

import (
	"testing"

	"github.com/gradbook/gradbook/pkg/activation"
	"github.com/gradbook/gradbook/pkg/initializer"
	"github.com/gradbook/gradbook/pkg/model"
)

// mlps are small nets of all placements of residual connections and normalisations, with a name each.
func mlps(a activation.Activation) map[string]model.MLP {
	nets := map[string]model.MLP{
		"linear":   {Inputs: 5, Outputs: 3, DType: float64Type, Weights: initializer.LeCun()},
		"widths":   {Inputs: 5, Outputs: 3, DType: float64Type, Widths: []int{6, 4}, Activation: a, SigmaB: 0.5},
		"projects": {Inputs: 5, Outputs: 3, DType: float64Type, Widths: []int{6, 4}, Activation: a, Residual: model.PreActivation, Shortcut: model.ProjectionShortcut},
	}
	for _, residual := range []model.Residual{model.NoResidual, model.PostActivation, model.PreActivation} {
		for _, norm := range []model.Norm{model.NoNorm, model.BatchNorm, model.LayerNorm} {
			for _, position := range []model.NormPosition{model.BeforeActivation, model.AfterActivation} {
				c := model.MLP{Inputs: 5, Outputs: 3, Depth: 2, Width: 4, Activation: a, Residual: residual, Norm: norm, NormPosition: position, DType: float64Type}
				if residual != model.NoResidual {
					c.ResidualScale = 0.7
				}
				if norm == model.NoNorm {
					if position != model.BeforeActivation {
						continue
					}
					c.SigmaB = 0.5
				}
				nets["residual "+string(residual)+", norm "+string(norm)+" "+string(position)] = c
			}
		}
	}
	return nets
}

func TestMLPForward(t *testing.T) {
	x := normals(1, 7, 5)
	for _, a := range []activation.Activation{activation.Tanh, activation.PReLU(0.25)} {
		for name, c := range mlps(a) {
			t.Run(a.String()+"/"+name, func(t *testing.T) {
				net := must(c.New(3))
				stir(t, net)
				for _, m := range []mode{inference, ofBatch, training} {
					want := reference{net}.mlp(c, m, matrixOf(x)) // before training moves the averages
					near(t, run(t, net, m, x), want)
				}
			})
		}
	}
}

// convNets are small nets with and without each feature.
func convNets() map[string]model.ConvNet {
	base := model.ConvNet{N: 1, Image: [3]int{6, 5, 2}, Classes: 3, Channels: 2, SigmaB: 0.3, DType: float64Type}
	nets := map[string]model.ConvNet{}
	for _, norm := range []model.Norm{model.NoNorm, model.BatchNorm, model.LayerNorm} {
		c := base
		c.Norm = norm
		if norm == model.BatchNorm {
			c.SigmaB = 0
		}
		nets["plain "+string(norm)] = c
		c.Residual = true
		nets["identity "+string(norm)] = c
		c.Shortcut = model.ProjectionShortcut
		nets["projection "+string(norm)] = c
	}
	base.N = 0
	nets["one convolution"] = base
	return nets
}

func TestConvNetForward(t *testing.T) {
	x := normals(2, 3, 6, 5, 2)
	for name, c := range convNets() {
		t.Run(name, func(t *testing.T) {
			net := must(c.New(3))
			stir(t, net)
			for _, m := range []mode{inference, ofBatch, training} {
				want := reference{net}.convNet(c, m, image{6, 5, matrixOf(x)})
				near(t, run(t, net, m, x), want)
			}
		})
	}
}

// recurrents are all cells, with outputs at the end and at each step.
func recurrents(steps int) map[string]model.Recurrent {
	nets := map[string]model.Recurrent{}
	for _, cell := range []model.Cell{model.Vanilla, model.LSTM, model.GRU} {
		u := initializer.Orthogonal(1.5)
		c := model.Recurrent{Cell: cell, Inputs: 2, Hidden: 3, Outputs: 2, Steps: steps, SigmaB: 0.4, RecurrentWeights: &u, DType: float64Type}
		if cell == model.LSTM {
			c.ForgetBias, c.TapCell = 1, true
		}
		if cell == model.Vanilla {
			c.Activation = activation.Softsign
		}
		nets[string(cell)+" last"] = c
		c.PerStep = true
		nets[string(cell)+" each"] = c
	}
	return nets
}

func TestRecurrentForward(t *testing.T) {
	for _, steps := range []int{1, 2, 7} {
		x := normals(4, 3, steps, 2)
		for name, c := range recurrents(steps) {
			t.Run(name, func(t *testing.T) {
				net := must(c.New(3))
				stir(t, net)
				all := reference{net}.recurrent(c, x)
				want := all[steps-1]
				if c.PerStep {
					want = nil
					for n := range all[0] {
						for _, step := range all {
							want = append(want, step[n])
						}
					}
				}
				near(t, run(t, net, inference, x), want)
			})
		}
	}
}
