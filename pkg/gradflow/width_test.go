package gradflow_test

import (
	"math"
	"testing"

	"github.com/gradbook/gradbook/pkg/activation"
	"github.com/gradbook/gradbook/pkg/gradflow"
	"github.com/gradbook/gradbook/pkg/initializer"
	"github.com/gradbook/gradbook/pkg/meanfield"
	"github.com/gradbook/gradbook/pkg/model"
)

// Theory is the limit of infinite width, and a net of width n is away from it by a multiple of 1/n: the mean over seeds of log(measured factor/theory's) is within 4/n of 0 at each of
// three widths, and 4 standard errors. (For He's ReLU it is -5/(4n) for one example: log|delta|^2 fluctuates by a variance of 5/n a layer, Hanin and Nica 2019.)
func TestGapToMeanFieldShrinksWithWidth(t *testing.T) {
	const depth, inputs, batch = 7, 64, 8
	chis := func(layers []meanfield.Layer, err error) []float64 {
		must(t, err)
		var list []float64
		for _, l := range layers {
			list = append(list, l.Chi)
		}
		return list
	}
	plain := func(a activation.Activation, sigmaW2 float64) []float64 {
		return chis(meanfield.Net{Activation: a, SigmaW2: sigmaW2}.Trajectory(sigmaW2, depth)) // inputs of mean square 1
	}
	normalised := func() []float64 {
		p, err := meanfield.BatchNorm{Activation: activation.ReLU, SigmaW2: 1, Batch: batch}.Fixed()
		must(t, err)
		list := make([]float64, depth)
		for i := range list {
			list[i] = p.Chi
		}
		return list
	}
	for _, test := range []struct {
		name   string
		config model.MLP
		chi    []float64
		ends   int // layers at either end that do not count: batch normalisation comes to its fixed point, forward and back, over some layers
	}{
		{"sigmoid", model.MLP{Activation: activation.Sigmoid}, plain(activation.Sigmoid, 1), 0},
		{"tanh", model.MLP{Activation: activation.Tanh, Weights: initializer.Normal(math.Sqrt2)}, plain(activation.Tanh, 2), 0},
		{"ReLU, 1/fan-in", model.MLP{Activation: activation.ReLU}, plain(activation.ReLU, 1), 0},
		{"ReLU, He", model.MLP{Activation: activation.ReLU, Weights: initializer.He()}, plain(activation.ReLU, 2), 0},
		{"residual", model.MLP{Activation: activation.ReLU, Residual: model.PreActivation},
			chis(meanfield.Residual{Activation: activation.ReLU, SigmaW2: 1, Kind: meanfield.PreActivation}.Trajectory(1, depth)), 0},
		{"batch normalisation", model.MLP{Activation: activation.ReLU, Norm: model.BatchNorm}, normalised(), 4},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, size := range []struct{ width, seeds int }{{64, 60}, {256, 20}, {1024, 8}} {
				c := test.config
				c.Inputs, c.Outputs, c.Depth, c.Width = inputs, 10, depth+2*test.ends, size.width
				theory := 0.0
				for _, chi := range test.chi[:depth-1] {
					theory += math.Log(chi) / 2
				}
				net, err := c.New(0)
				must(t, err)
				meter, err := gradflow.NewMeter(theBackend(), net.Store(), net.Logits, crossEntropy, gradflow.Options{})
				must(t, err)
				n := mlp{sizes: []int{inputs, 10}, dtype: net.DType()}
				var gaps sample
				for seed := range uint64(size.seeds) {
					drawn, err := c.New(seed)
					must(t, err)
					for _, name := range drawn.Variables() {
						must(t, net.SetWeights(name, drawn.Weights(name)))
					}
					report, err := meter.Measure(n.batch(seed, batch))
					must(t, err)
					measured := math.Log(report.Layers[test.ends].DeltaNorm / report.Layers[test.ends+depth-1].DeltaNorm)
					gaps = append(gaps, (measured-theory)/(depth-1))
				}
				gap, deviation := gaps.mean(), gaps.sd()/math.Sqrt(float64(size.seeds))
				if limit := 4 / float64(size.width); math.Abs(gap) > limit+4*deviation || deviation > limit {
					t.Errorf("width %d: log(measured/theory) is %.5f a layer, standard error %.5f; 4/n is %.5f", size.width, gap, deviation, limit)
				}
				t.Logf("width %d: gap %.5f, standard error %.5f, gap*n %.2f", size.width, gap, deviation, gap*float64(size.width))
			}
		})
	}
}
