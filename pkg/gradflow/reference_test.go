package gradflow_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/train/loss"
	"github.com/gradbook/gradbook/pkg/activation"
	"github.com/gradbook/gradbook/pkg/dataset"
	"github.com/gradbook/gradbook/pkg/gradflow"
	"github.com/gradbook/gradbook/pkg/initializer"
)

// mnist returns the first n training images, pixels from 0 to 1, and their labels.
func mnist(t *testing.T, n int) (x, y *tensors.Tensor) {
	t.Helper()
	training, _, err := dataset.MNIST()
	must(t, err)
	indices := make([]int, n)
	for i := range indices {
		indices[i] = i
	}
	return training.Flat().Batch(indices)
}

// sample is a number over seeds.
type sample []float64

func (s sample) mean() float64 { return mean(s) }

// sd is the standard deviation over seeds.
func (s sample) sd() float64 { return math.Sqrt(variance(s) * float64(len(s)) / float64(len(s)-1)) }

// The reference values were computed in NumPy and checked against PyTorch: 784 -> 10 hidden layers of 64 -> 10, W ~ N(0, sigma_w^2/fan_in), zero biases, the first 256
// MNIST training images, mean cross-entropy, 60 seeds. The factor is the mean over the layers 2 to 9 of |delta_l|/|delta_(l+1)|; mean and standard deviation over the seeds.
func TestFactorsOfTheReferenceNets(t *testing.T) {
	const seeds = 60
	x, y := mnist(t, 256)
	for _, test := range []struct {
		act                    activation.Activation
		sigmaW2, factor, sd    float64
		log1, log2, log10, sd2 float64
	}{
		{activation.Sigmoid, 1, 0.2361, 0.003, -6.09, -5.9, -0.83, 0.2},
		{activation.ReLU, 1, 0.7032, 0.0139, -1.63, -2.17, -2.23, 0.12},
		{activation.ReLU, 2, 0.9953, 0.0198, -0.23, -0.75, -0.75, 0.16},
	} {
		t.Run(fmt.Sprintf("%s, sigma_w^2 = %g", test.act, test.sigmaW2), func(t *testing.T) {
			n := ten64(test.act, initializer.Normal(math.Sqrt(test.sigmaW2)))
			last := initializer.Normal(1)
			n.outWeights = &last
			store := n.store(t, 0)
			meter, err := gradflow.NewMeter(theBackend(), store, n.logits, crossEntropy, gradflow.Options{})
			must(t, err)
			var factors, log1, log2, log10 sample
			theory := 0.0
			for seed := range uint64(seeds) {
				n.draw(t, store, seed)
				report, err := meter.Measure(x, y)
				must(t, err)
				factors = append(factors, mean(report.Factors()[1:9]))
				log1 = append(log1, math.Log10(report.Layer("h1").WGradNorm))
				log2 = append(log2, math.Log10(report.Layer("h2").WGradNorm))
				log10 = append(log10, math.Log10(report.Layer("h10").WGradNorm))
				theory += report.Theory().Factor / seeds
			}
			// Both means have an error: theirs of sd/sqrt(60), ours of as much.
			within := func(what string, got sample, want, sd float64) {
				t.Helper()
				if err := math.Sqrt((sd*sd + got.sd()*got.sd()) / seeds); math.Abs(got.mean()-want) > 4*err {
					t.Errorf("%s is %.4f (sd %.4f) over %d seeds, the reference %.4f (sd %.4f): %.1f standard errors apart",
						what, got.mean(), got.sd(), seeds, want, sd, math.Abs(got.mean()-want)/err)
				}
			}
			within("the factor", factors, test.factor, test.sd)
			// These are given to two decimals, so that up to 0.005 is rounding; their own spread is known for layer 2.
			within("log10 |dL/dW| of h2", log2, test.log2, test.sd2)
			for what, pair := range map[string][2]float64{"h1": {log1.mean(), test.log1}, "h10": {log10.mean(), test.log10}} {
				if math.Abs(pair[0]-pair[1]) > 4*test.sd2*math.Sqrt(2.0/seeds)+0.005 {
					t.Errorf("log10 |dL/dW| of %s is %.3f, the reference %.2f", what, pair[0], pair[1])
				}
			}
			if math.Abs(theory/test.factor-1) > 0.03 {
				t.Errorf("theory says %.4f for the measured weights, the reference measured %.4f", theory, test.factor)
			}
		})
	}
}

// Nielsen, Neural Networks and Deep Learning, chapter 5: the norms of the bias gradients of nets with 1 to 4 hidden layers of 30 sigmoid units, before training, on the first
// 1000 training images; w ~ N(0, 1/fan_in), b ~ N(0, 1), a sigmoid output with cross-entropy summed over the outputs. His are from one draw.
func TestNielsensNorms(t *testing.T) {
	x, y := mnist(t, 1000)
	for _, published := range [][]float64{{0.06574, 0.30922}, {0.01184, 0.05997, 0.28314}, {0.00298, 0.01708, 0.06954, 0.28514}} {
		n := mlp{sizes: []int{784}, act: activation.Sigmoid, outAct: activation.Linear, weights: initializer.Normal(1), sigmaB: 1, dtype: dtypes.Float32}
		for range published {
			n.sizes = append(n.sizes, 30)
		}
		n.sizes = append(n.sizes, 10)
		lossFn := func(labels, logits []*graph.Node) *graph.Node {
			targets := graph.OneHot(graph.Squeeze(labels[0], -1), 10, dtypes.Float32)
			return graph.MulScalar(loss.BinaryCrossentropyLogits([]*graph.Node{targets}, logits), 10) // the mean over outputs times 10: their sum
		}
		store := n.store(t, 0)
		meter, err := gradflow.NewMeter(theBackend(), store, n.logits, lossFn, gradflow.Options{})
		must(t, err)
		norms := make([]sample, len(published))
		for seed := range uint64(12) {
			n.draw(t, store, seed)
			report, err := meter.Measure(x, y)
			must(t, err)
			for l := range norms {
				norms[l] = append(norms[l], math.Log(report.Layers[l].BGradNorm))
			}
		}
		for l, want := range published {
			if got := norms[l]; math.Abs(math.Log(want)-got.mean()) > 3*got.sd() {
				t.Errorf("%d hidden layers: |dL/db| of layer %d is %.5f (a factor of %.2f is its sd over seeds), Nielsen's %.5f", len(published), l+1,
					math.Exp(got.mean()), math.Exp(got.sd()), want)
			}
		}
	}
}

// Karpathy, 'building makemore' part 3: five tanh layers of 100, 30 inputs from N(0,1), batch 32, gain 5/3, no biases. Standard deviations and shares over |h| > 0.97
// of one draw, printed to two decimals.
func TestKarpathysTable(t *testing.T) {
	deviations := []float64{0.75, 0.69, 0.67, 0.66, 0.66}
	saturated := []float64{20.25, 8.38, 6.62, 5.47, 6.12}
	n := mlp{sizes: []int{30, 100, 100, 100, 100, 100, 27}, act: activation.Tanh, weights: initializer.Normal(5.0 / 3), dtype: dtypes.Float32}
	store := n.store(t, 0)
	meter, err := gradflow.NewMeter(theBackend(), store, n.logits, crossEntropy, gradflow.Options{})
	must(t, err)
	sds, shares := make([]sample, 5), make([]sample, 5)
	for seed := range uint64(40) {
		n.draw(t, store, seed)
		report, err := meter.Measure(n.batch(seed, 32))
		must(t, err)
		for l := range 5 {
			sds[l] = append(sds[l], math.Sqrt(report.Layers[l].Variance))
			shares[l] = append(shares[l], 100*report.Layers[l].Saturated)
		}
	}
	for l := range 5 {
		if math.Abs(sds[l].mean()-deviations[l]) > 3*sds[l].sd()+0.005 {
			t.Errorf("layer %d: standard deviation %.3f (sd %.3f), Karpathy's %.2f", l+1, sds[l].mean(), sds[l].sd(), deviations[l])
		}
		if math.Abs(shares[l].mean()-saturated[l]) > 3*shares[l].sd()+0.005 {
			t.Errorf("layer %d: %.2f %% saturated (sd %.2f), Karpathy's %.2f %%", l+1, shares[l].mean(), shares[l].sd(), saturated[l])
		}
	}
}

// Glorot and Bengio 2010, section 4.2.1: with five tanh layers the mean singular value of a layer's Jacobian is about 0.5 with the standard initialisation, U(-1, 1)/sqrt(n), and about
// 0.8 with the normalised one. Layers of 100 stand for theirs of 1000: the mean does not depend on the width.
func TestGlorotsSingularValues(t *testing.T) {
	x, y := mnist(t, 10)
	for _, test := range []struct {
		name    string
		weights initializer.Initializer
		want    float64
	}{{"standard", initializer.Uniform(1 / math.Sqrt(3)), 0.5}, {"normalised", initializer.GlorotUniform(1), 0.8}} {
		n := mlp{sizes: []int{784, 100, 100, 100, 100, 100, 10}, act: activation.Tanh, weights: test.weights, dtype: dtypes.Float32}
		const seeds = 4
		means := map[string]float64{}
		for seed := range uint64(seeds) {
			meter, err := gradflow.NewMeter(theBackend(), n.store(t, seed+1), n.logits, crossEntropy, gradflow.Options{SingularValues: 2})
			must(t, err)
			report, err := meter.Measure(x, y)
			must(t, err)
			for _, name := range []string{"h2", "h3", "h4", "h5"} {
				means[name] += report.Layer(name).SingularValues.Mean() / seeds
			}
		}
		for name, mean := range means { // the paper gives one digit
			if math.Round(mean*10)/10 != test.want {
				t.Errorf("%s: mean singular value of %s is %.3f, published about %g", test.name, name, mean, test.want)
			}
		}
	}
}
