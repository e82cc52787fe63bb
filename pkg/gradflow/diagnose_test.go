package gradflow_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gradbook/gradbook/pkg/activation"
	"github.com/gradbook/gradbook/pkg/gradflow"
	"github.com/gradbook/gradbook/pkg/initializer"
)

// deep returns a net with that many hidden layers of 64.
func deep(layers int, act activation.Activation, weights initializer.Initializer) mlp {
	n := mlp{sizes: []int{32}, act: act, weights: weights, dtype: dtypes.Float32}
	for range layers {
		n.sizes = append(n.sizes, 64)
	}
	n.sizes = append(n.sizes, 10)
	return n
}

func (n mlp) withBias(b float64) mlp   { n.bias = b; return n }
func (n mlp) withSigmaB(s float64) mlp { n.sigmaB = s; return n }
func (n mlp) asResidual(norm bool) mlp { n.residual, n.norm = true, norm; return n }

func measure(t *testing.T, n mlp, seed uint64, options gradflow.Options) *gradflow.Report {
	t.Helper()
	x, y := n.batch(seed, 64)
	meter, err := gradflow.NewMeter(theBackend(), n.store(t, seed), n.logits, crossEntropy, options)
	must(t, err)
	report, err := meter.Measure(x, y)
	must(t, err)
	return report
}

func TestDiagnoseGallery(t *testing.T) {
	kinds := func(k ...gradflow.Kind) []gradflow.Kind { return k }
	for _, test := range []struct {
		name  string
		net   mlp
		want  []gradflow.Kind
		words []string // that the text must hold
	}{
		// In a deep sigmoid net both follow from chi_1 = 0.056: the gradient vanishes, and any two inputs come to look alike (c* = 1).
		{"sigmoid, 10 layers", deep(10, activation.Sigmoid, initializer.Normal(1)), kinds(gradflow.Collapsed, gradflow.Vanishing), []string{"theory says 0.23", "at most 0.25", "from h"}},
		{"ReLU, 30 layers, 1/fan-in", deep(30, activation.ReLU, initializer.Normal(1)), kinds(gradflow.Vanishing), []string{"theory says 0.70", "sigma_w^2 = 2", "He"}},
		{"tanh, 30 layers, small weights", deep(30, activation.Tanh, initializer.Normal(0.7)), kinds(gradflow.Vanishing), []string{"theory says 0."}},
		{"tanh, 40 layers, chaotic", deep(40, activation.Tanh, initializer.Normal(2.5)), kinds(gradflow.Exploding), []string{"theory says 1.", "sigma_w^2 = 1"}},
		{"ReLU, 20 layers, weights twice He's", deep(20, activation.ReLU, initializer.Normal(math.Sqrt(8))), kinds(gradflow.Exploding), []string{"theory says"}},
		{"residual, 30 layers, no normalisation", deep(30, activation.ReLU, initializer.Normal(1.4)).asResidual(false), kinds(gradflow.Exploding), []string{"residual branches"}},
		{"tanh, large weights", deep(3, activation.Tanh, initializer.Normal(10)), kinds(gradflow.Saturated), []string{"sigma_w^2 is", "is flat"}},
		{"sigmoid, large biases", deep(2, activation.Sigmoid, initializer.Normal(1)).withSigmaB(12), kinds(gradflow.Saturated), []string{"sigmoid is flat"}},
		{"ReLU, biases at -10", deep(4, activation.ReLU, initializer.He()).withBias(-10), kinds(gradflow.Dead), []string{"100 %", "biases"}},
		{"ReLU, biases at -3.5", deep(1, activation.ReLU, initializer.Normal(1)).withBias(-3.5), kinds(gradflow.Dead), []string{"units of h1"}},
		{"weights too large for float32", deep(3, activation.ReLU, initializer.Normal(1e30)), kinds(gradflow.NotFinite), []string{"step 0", "z of h2"}},

		{"He, ReLU, 10 layers", deep(10, activation.ReLU, initializer.He()), nil, []string{"Nothing is wrong", "theory 0.99"}},
		{"Glorot, tanh, 10 layers", deep(10, activation.Tanh, initializer.GlorotNormal(1)), nil, []string{"Nothing is wrong"}},
		{"tanh at the edge of chaos, 30 layers", deep(30, activation.Tanh, initializer.Normal(1.05)).withSigmaB(0.05), nil, []string{"Nothing is wrong"}},
		{"orthogonal, tanh, 30 layers", deep(30, activation.Tanh, initializer.Orthogonal(1)), nil, []string{"Nothing is wrong"}},
		{"residual and normalised, 30 layers", deep(30, activation.ReLU, initializer.Normal(1.4)).asResidual(true), nil, []string{"Nothing is wrong"}},
		{"sigmoid, 2 layers", deep(2, activation.Sigmoid, initializer.Normal(1)), nil, []string{"Nothing is wrong"}},
		{"ReLU, 1/fan-in, 5 layers", deep(5, activation.ReLU, initializer.Normal(1)), nil, []string{"Nothing is wrong", "theory 0."}},
		{"SELU, LeCun, 20 layers", deep(20, activation.SELU, initializer.LeCun()), nil, []string{"Nothing is wrong"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			store := test.net.store(t, 0)
			meter, err := gradflow.NewMeter(theBackend(), store, test.net.logits, crossEntropy, gradflow.Options{})
			must(t, err)
			for seed := range uint64(3) {
				test.net.draw(t, store, seed)
				report, err := meter.Measure(test.net.batch(seed, 64))
				must(t, err)
				d := gradflow.Diagnose(report)
				var got []gradflow.Kind
				for _, f := range d.Findings {
					got = append(got, f.Kind)
					if len(f.Layers) == 0 || f.Words == "" {
						t.Errorf("a finding without layers or words: %+v", f)
					}
				}
				if !slices.Equal(got, test.want) {
					t.Errorf("seed %d: findings %q, want %q\n%s\n%s", seed, got, test.want, d, report)
				}
				if d.Healthy() != (test.want == nil) {
					t.Errorf("seed %d: Healthy is %t", seed, d.Healthy())
				}
				for _, words := range test.words {
					if !strings.Contains(inOneLine(d), words) {
						t.Errorf("seed %d: %q is not said in:\n%s", seed, words, d)
					}
				}
			}
		})
	}
}

func TestDiagnoseInputsThatAreAllAlike(t *testing.T) {
	n := deep(3, activation.Tanh, initializer.GlorotNormal(1))
	x, y := n.batch(1, 64)
	values := tensors.MustCopyFlatData[float32](x)
	for i := range values {
		values[i] = values[i%32]
	}
	meter, err := gradflow.NewMeter(theBackend(), n.store(t, 1), n.logits, crossEntropy, gradflow.Options{})
	must(t, err)
	report, err := meter.Measure(tensors.FromFlatDataAndDimensions(values, 64, 32), y)
	must(t, err)
	d := gradflow.Diagnose(report)
	if len(d.Findings) != 1 || d.Findings[0].Kind != gradflow.Collapsed || !strings.Contains(inOneLine(d), "look at the data") {
		t.Errorf("64 equal inputs: %s", d)
	}
	values[5] = float32(math.NaN())
	report, err = meter.Measure(tensors.FromFlatDataAndDimensions(values, 64, 32), y)
	must(t, err)
	d = gradflow.Diagnose(report)
	if len(d.Findings) != 1 || d.Findings[0].Kind != gradflow.NotFinite || !strings.Contains(inOneLine(d), "z of h1") {
		t.Errorf("NaN in the data: %s", d)
	}
}

// inOneLine takes the line breaks out of a diagnosis, and checks that there are enough of them.
func inOneLine(d gradflow.Diagnosis) string {
	for line := range strings.SplitSeq(d.String(), "\n") {
		if utf8.RuneCountInString(line) > 96 {
			panic("a line of a diagnosis is too long: " + line)
		}
	}
	return strings.Join(strings.Fields(d.String()), " ")
}
