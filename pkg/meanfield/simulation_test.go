package meanfield_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"

	"github.com/gradbook/gradbook/pkg/activation"
	"github.com/gradbook/gradbook/pkg/meanfield"
)

// The nets here are written out by hand, a column an example, so that theory is held against something that shares no code with it but the activations.

// normal returns a matrix of independent N(0, variance) entries.
func normal(r *rand.Rand, rows, columns int, variance float64) *mat.Dense {
	data := make([]float64, rows*columns)
	s := math.Sqrt(variance)
	for i := range data {
		data[i] = s * r.NormFloat64()
	}
	return mat.NewDense(rows, columns, data)
}

func apply(f func(float64) float64, m *mat.Dense) *mat.Dense {
	var out mat.Dense
	out.Apply(func(_, _ int, x float64) float64 { return f(x) }, m)
	return &out
}

// squared returns the squared norm of a column, that is of an example.
func squared(m *mat.Dense, column int) float64 {
	x := mat.Col(nil, column, m)
	return dotted(x, x)
}

func dotted(a, b []float64) float64 {
	sum := 0.0
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}

// gap returns 1 minus the correlation of examples 0 and 1, 2 and 3 and so on, in the mean.
func gap(m *mat.Dense) float64 {
	sum := 0.0
	for j := 0; j < examples; j += 2 {
		a, b := mat.Col(nil, j, m), mat.Col(nil, j+1, m)
		sum += 1 - dotted(a, b)/math.Sqrt(dotted(a, a)*dotted(b, b))
	}
	return sum / (examples / 2)
}

// squares returns the sum of the examples' squared norms.
func squares(m *mat.Dense) float64 { return dotted(m.RawMatrix().Data, m.RawMatrix().Data) }

// products returns the sum over the examples of the squared norm of delta h^T.
func products(delta, h *mat.Dense) float64 {
	sum := 0.0
	for j := range examples {
		sum += squared(delta, j) * squared(h, j)
	}
	return sum
}

// affine returns W h + s_b b with a bias shared by the examples.
func affine(r *rand.Rand, w, h *mat.Dense, sigmaB2 float64) *mat.Dense {
	var z mat.Dense
	z.Mul(w, h)
	rows, columns := z.Dims()
	for i := range rows {
		b := math.Sqrt(sigmaB2) * r.NormFloat64()
		for j := range columns {
			z.Set(i, j, z.At(i, j)+b)
		}
	}
	return &z
}

// examples go through each net, in pairs; each has a gradient of its own at the top.
const examples = 8

// inputs returns pairs of examples of n entries, of the given mean square and cosine exactly.
func inputs(r *rand.Rand, n int, meanSquare, cosine float64) *mat.Dense {
	m := normal(r, n, examples, 1)
	for j := 0; j < examples; j += 2 {
		a, b := mat.Col(nil, j, m), mat.Col(nil, j+1, m)
		along := dotted(a, b) / dotted(a, a)
		for i := range b {
			b[i] -= along * a[i]
		}
		scaleA, scaleB := math.Sqrt(float64(n)*meanSquare/dotted(a, a)), math.Sqrt(float64(n)*meanSquare/dotted(b, b))
		for i := range a {
			m.Set(i, j, scaleA*a[i])
			m.Set(i, j+1, cosine*scaleA*a[i]+math.Sqrt(1-cosine*cosine)*scaleB*b[i])
		}
	}
	return m
}

// net describes a simulated net: plain, or residual of a kind with a scale.
type net struct {
	theory meanfield.Net
	kind   meanfield.ResidualKind
	scale  float64
	in     meanfield.Input
	depth  int
}

// run draws a net and returns, in the mean over the examples, q of the last layer, |delta^1|^2/|delta^L|^2, |dL/dW^2|^2/|dL/dW^L|^2 (of one example), and the
// last layer's 1-correlation.
func (s net) run(width int, seed uint64) []float64 {
	r := rand.New(rand.NewPCG(seed, uint64(width)))
	a := s.theory.Activation
	h := inputs(r, width, s.in.MeanSquare, s.in.Cosine)
	var weights, zs, hs []*mat.Dense
	for l := range s.depth {
		w := normal(r, width, width, s.theory.SigmaW2/float64(width))
		z := affine(r, w, h, s.theory.SigmaB2)
		if l > 0 && s.kind != "" {
			z.Scale(s.scale, z)
			if s.kind == meanfield.PreActivation {
				z.Add(z, zs[l-1])
			} else {
				z.Add(z, h)
			}
		}
		h = apply(a.Value, z)
		weights, zs, hs = append(weights, w), append(zs, z), append(hs, h)
	}
	top := s.depth - 1
	delta := normal(r, width, examples, 1)
	delta.MulElem(delta, apply(a.Derivative, zs[top]))
	last, lastW := squares(delta), products(delta, hs[top-1])
	firstW := lastW
	for l := top; l >= 1; l-- {
		firstW = products(delta, hs[l-1])
		var below mat.Dense
		below.Mul(weights[l].T(), delta)
		slope := apply(a.Derivative, zs[l-1])
		if s.kind != "" {
			below.Scale(s.scale, &below)
		}
		if s.kind == meanfield.PostActivation {
			below.Add(&below, delta)
		}
		below.MulElem(&below, slope)
		if s.kind == meanfield.PreActivation {
			below.Add(&below, delta)
		}
		delta = &below
	}
	return []float64{squares(zs[top]) / float64(width*examples), squares(delta) / last, firstW / lastW, gap(zs[top])}
}

func (s net) predict(t *testing.T) []float64 {
	t.Helper()
	var layers []meanfield.Layer
	var err error
	if s.kind == "" {
		layers, err = s.theory.From(s.in, s.depth)
	} else {
		layers, err = meanfield.Residual{Activation: s.theory.Activation, SigmaW2: s.theory.SigmaW2, SigmaB2: s.theory.SigmaB2, Kind: s.kind, Scale: s.scale}.From(s.in, s.depth)
	}
	if err != nil {
		t.Fatal(err)
	}
	last := layers[s.depth-1]
	return []float64{last.Q, layers[0].DeltaNorm * layers[0].DeltaNorm, layers[1].WGradNorm * layers[1].WGradNorm, last.Gap}
}

// seeds of each width: few where a net is large.
var widths = []struct{ width, seeds int }{{64, 32}, {256, 16}, {1024, 6}}

// converge holds simulated values against predicted ones. Their ratio must be 1 within 4 standard errors and a finite-width part of bias/width; and its root
// mean square distance from 1 must fall by at least 2 from width 64 to 1024, where 4 is expected.
func converge(t *testing.T, names []string, predicted []float64, bias float64, run func(width int, seed uint64) []float64) {
	t.Helper()
	rms := make([][]float64, len(names))
	for _, w := range widths {
		sums, squares, distances := make([]float64, len(names)), make([]float64, len(names)), make([]float64, len(names))
		for seed := range w.seeds {
			for i, v := range run(w.width, uint64(seed)+1) {
				if i >= len(names) || math.IsNaN(predicted[i]) {
					continue
				}
				ratio := v / predicted[i]
				sums[i] += ratio
				squares[i] += ratio * ratio
				distances[i] += (ratio - 1) * (ratio - 1)
			}
		}
		n := float64(w.seeds)
		for i, name := range names {
			if math.IsNaN(predicted[i]) {
				continue
			}
			mean := sums[i] / n
			standardError := math.Sqrt(max(squares[i]/n-mean*mean, 0) / (n - 1))
			rms[i] = append(rms[i], math.Sqrt(distances[i]/n))
			t.Logf("width %4d %-14s measured/predicted %.4f +- %.4f", w.width, name, mean, standardError)
			if limit := 4*standardError + bias/float64(w.width); !(math.Abs(mean-1) <= limit) {
				t.Errorf("width %d, %s: measured/predicted is %.4f +- %.4f, further from 1 than %.4f", w.width, name, mean, standardError, limit)
			}
		}
	}
	for i, name := range names {
		if d := rms[i]; len(d) > 0 && !(d[2] < d[0]/2) {
			t.Errorf("%s: distance from theory %.4f at width 64, %.4f at 256, %.4f at 1024: it should fall like 1/sqrt(width)", name, d[0], d[1], d[2])
		}
	}
}

var netNames = []string{"q", "|delta|^2", "|dL/dW|^2", "1-correlation"}

func TestSimulatedPlain(t *testing.T) {
	for _, s := range []net{
		{theory: meanfield.Net{Activation: activation.Tanh, SigmaW2: 1.5, SigmaB2: 0.1}, in: meanfield.Input{MeanSquare: 1, Cosine: 0.5}, depth: 5},
		{theory: meanfield.Net{Activation: activation.ReLU, SigmaW2: 2, SigmaB2: 0.05}, in: meanfield.Input{MeanSquare: 1, Cosine: 0.5}, depth: 5},
		{theory: meanfield.Net{Activation: activation.Sigmoid, SigmaW2: 4, SigmaB2: 0.2}, in: meanfield.Input{MeanSquare: 1, Cosine: 0.3}, depth: 4},
	} {
		t.Run(s.theory.Activation.String(), func(t *testing.T) { converge(t, netNames, s.predict(t), 4, s.run) })
	}
}

func TestSimulatedResidual(t *testing.T) {
	for _, kind := range []meanfield.ResidualKind{meanfield.PreActivation, meanfield.PostActivation} {
		for _, s := range []net{
			{theory: meanfield.Net{Activation: activation.ReLU, SigmaW2: 2}, kind: kind, scale: 0.7, in: meanfield.Input{MeanSquare: 1, Cosine: 0.3}, depth: 5},
			{theory: meanfield.Net{Activation: activation.Tanh, SigmaW2: 1.5, SigmaB2: 0.1}, kind: kind, scale: 1, in: meanfield.Input{MeanSquare: 1, Cosine: 0.3}, depth: 5},
		} {
			t.Run(string(kind)+"/"+s.theory.Activation.String(), func(t *testing.T) { converge(t, netNames, s.predict(t), 4, s.run) })
		}
	}
}

// normed is batch normalisation of the rows of z, with what its gradient needs.
func normed(z *mat.Dense) (out *mat.Dense, deviation []float64) {
	rows, columns := z.Dims()
	out = mat.NewDense(rows, columns, nil)
	for i := range rows {
		row, mean, square := z.RawRowView(i), 0.0, 0.0
		for _, x := range row {
			mean += x / float64(columns)
		}
		for _, x := range row {
			square += (x - mean) * (x - mean) / float64(columns)
		}
		deviation = append(deviation, math.Sqrt(square))
		for j, x := range row {
			out.Set(i, j, (x-mean)/math.Sqrt(square))
		}
	}
	return out, deviation
}

// normedBack takes the gradient through normed.
func normedBack(out *mat.Dense, deviation []float64, gradient *mat.Dense) *mat.Dense {
	rows, columns := out.Dims()
	back := mat.NewDense(rows, columns, nil)
	for i := range rows {
		y, g := out.RawRowView(i), gradient.RawRowView(i)
		mean, along := 0.0, dotted(y, g)/float64(columns)
		for _, x := range g {
			mean += x / float64(columns)
		}
		for j := range g {
			back.Set(i, j, (g[j]-mean-y[j]*along)/deviation[i])
		}
	}
	return back
}

// simulateBatchNorm returns the factor of the squared norm of dL/dz over the middle layers of a net of 8, a layer.
func simulateBatchNorm(b meanfield.BatchNorm, batch int) func(width int, seed uint64) []float64 {
	const depth = 8
	return func(width int, seed uint64) []float64 {
		r := rand.New(rand.NewPCG(seed, uint64(width)))
		h := normal(r, width, batch, 1)
		var ws, zs, outs []*mat.Dense
		var deviations [][]float64
		for range depth {
			w := normal(r, width, width, b.SigmaW2/float64(width))
			z := affine(r, w, h, b.SigmaB2)
			from := z
			if b.After {
				from = apply(b.Activation.Value, z)
			}
			out, deviation := normed(from)
			if h = out; !b.After {
				h = apply(b.Activation.Value, out)
			}
			ws, zs, outs, deviations = append(ws, w), append(zs, z), append(outs, out), append(deviations, deviation)
		}
		g := normal(r, width, batch, 1) // dL/dh
		norms := make([]float64, depth)
		for l := depth - 1; l >= 0; l-- {
			if at := outs[l]; !b.After {
				g.MulElem(g, apply(b.Activation.Derivative, at))
			}
			g = normedBack(outs[l], deviations[l], g)
			if b.After {
				g.MulElem(g, apply(b.Activation.Derivative, zs[l]))
			}
			norms[l] = dotted(g.RawMatrix().Data, g.RawMatrix().Data)
			var below mat.Dense
			below.Mul(ws[l].T(), g)
			g = &below
		}
		return []float64{math.Pow(norms[3]/norms[6], 1.0/3)}
	}
}

func TestSimulatedBatchNorm(t *testing.T) {
	for _, b := range []meanfield.BatchNorm{
		{Activation: activation.ReLU, SigmaW2: 2, SigmaB2: 0.1, Batch: 8},
		{Activation: activation.Tanh, SigmaW2: 1, Batch: 6},
	} {
		t.Run(b.Activation.String(), func(t *testing.T) {
			p, err := b.Fixed()
			if err != nil {
				t.Fatal(err)
			}
			converge(t, []string{"|dL/dz|^2"}, []float64{p.Chi}, 8, simulateBatchNorm(b, b.Batch))
		})
	}
}

// Each activation, with small batches, at one width: the nets do go where theory says.
func TestSimulatedBatchNormEach(t *testing.T) {
	for _, a := range activation.All() {
		if a == activation.Step {
			continue
		}
		b := meanfield.BatchNorm{Activation: a, SigmaW2: 1, Batch: 8}
		p, err := b.Fixed()
		if err != nil {
			t.Fatal(err)
		}
		const width, seeds = 192, 12
		run, mean, square := simulateBatchNorm(b, b.Batch), 0.0, 0.0
		for seed := range uint64(seeds) {
			ratio := run(width, seed)[0] / p.Chi
			mean, square = mean+ratio/seeds, square+ratio*ratio/seeds
		}
		standardError := math.Sqrt((square - mean*mean) / (seeds - 1))
		t.Logf("%v: chi %.4f, measured/predicted %.4f +- %.4f", a, p.Chi, mean, standardError)
		if math.Abs(mean-1) > 4*standardError+8.0/width {
			t.Errorf("%v: measured/predicted is %.4f +- %.4f", a, mean, standardError)
		}
	}
}

// A large batch, for which the limit must do, on both sides of the activation.
func TestSimulatedLargeBatch(t *testing.T) {
	for _, b := range []meanfield.BatchNorm{
		{Activation: activation.ReLU, SigmaW2: 2},
		{Activation: activation.ReLU, SigmaW2: 2, SigmaB2: 0.2, After: true},
		{Activation: activation.Tanh, SigmaW2: 2, After: true},
	} {
		p, err := b.Fixed()
		if err != nil {
			t.Fatal(err)
		}
		const batch, width, seeds = 200, 400, 2
		mean := 0.0
		for seed := range uint64(seeds) {
			mean += simulateBatchNorm(b, batch)(width, seed)[0] / seeds
		}
		t.Logf("%+v: chi %.4f, measured %.4f", b, p.Chi, mean)
		if math.Abs(mean/p.Chi-1) > 0.03 {
			t.Errorf("%+v: chi is %.4f by theory and %.4f measured in a net of width %d with a batch of %d", b, p.Chi, mean, width, batch)
		}
	}
}

// A vanilla recurrent net, with one W for all steps.
func TestSimulatedRecurrent(t *testing.T) {
	const steps = 5
	theory := meanfield.Recurrent{Activation: activation.Tanh, SigmaW2: 1.4, SigmaB2: 0.05, SigmaU2: 0.5, Input: meanfield.Input{MeanSquare: 1, Cosine: 0.4}}
	predicted, err := theory.Trajectory(steps)
	if err != nil {
		t.Fatal(err)
	}
	last, first, second := predicted[steps-1], predicted[0], predicted[1]
	run := func(width int, seed uint64) []float64 {
		r := rand.New(rand.NewPCG(seed, uint64(width)))
		a := theory.Activation
		w, u := normal(r, width, width, theory.SigmaW2/float64(width)), normal(r, width, width, theory.SigmaU2/float64(width))
		bias := normal(r, width, 1, theory.SigmaB2)
		h := mat.NewDense(width, examples, nil)
		var hs, zs []*mat.Dense
		for range steps {
			var z, ux mat.Dense
			z.Mul(w, h)
			ux.Mul(u, inputs(r, width, 1, theory.Input.Cosine))
			z.Add(&z, &ux)
			z.Apply(func(i, _ int, v float64) float64 { return v + bias.At(i, 0) }, &z)
			h = apply(a.Value, &z)
			zs, hs = append(zs, &z), append(hs, h)
		}
		const top = steps - 1
		delta := normal(r, width, examples, 1)
		var deltas, parts [steps]float64
		var hGrad float64
		for s := top; s >= 0; s-- {
			delta.MulElem(delta, apply(a.Derivative, zs[s]))
			deltas[s] = squares(delta)
			if s > 0 {
				parts[s] = products(delta, hs[s-1])
			}
			var below mat.Dense
			below.Mul(w.T(), delta)
			if delta = &below; s == 1 {
				hGrad = squares(delta)
			}
		}
		return []float64{squares(zs[top]) / float64(width*examples), deltas[0] / deltas[top], parts[1] / parts[top], gap(zs[top]), hGrad / deltas[top]}
	}
	want := []float64{last.Q, first.DeltaNorm * first.DeltaNorm, second.WGradNorm * second.WGradNorm, last.Gap, first.HGradNorm * first.HGradNorm}
	converge(t, append(netNames, "|dL/dh|^2"), want, 4, run)
}

// The log of the squared norm of h and of delta through ReLU and leaky ReLU layers of finite width.
func TestSimulatedFluctuation(t *testing.T) {
	for _, a := range []activation.Activation{activation.ReLU, activation.Linear, activation.LeakyReLU(0.3)} {
		const width, depth, seeds = 24, 5, 12000
		f, err := meanfield.Fluctuate(a, width, width, width, width)
		if err != nil {
			t.Fatal(err)
		}
		point, err := meanfield.Net{Activation: a, SigmaW2: 1}.Fixed()
		if err != nil {
			t.Fatal(err)
		}
		sigmaW2 := 1 / point.Chi1
		var mean, square [2]float64
		for seed := range uint64(seeds) {
			r := rand.New(rand.NewPCG(seed, 7))
			s := net{theory: meanfield.Net{Activation: a, SigmaW2: sigmaW2}, in: meanfield.Input{MeanSquare: 1}, depth: depth}
			forward, back := s.logs(r, width)
			for i, v := range []float64{forward, back} {
				mean[i] += v / seeds
				square[i] += v * v / seeds
			}
		}
		for i, name := range []string{"h", "delta"} {
			v := square[i] - mean[i]*mean[i]
			t.Logf("%v, log|%s|: mean %.4f (theory %.4f), variance %.4f (theory %.4f)", a, name, mean[i], f.Mean, v, f.Variance)
			tolerance := 4 * math.Sqrt(v/seeds)
			spread := 4 * v * math.Sqrt(2.0/seeds)
			if math.Abs(mean[i]-f.Mean) > tolerance {
				t.Errorf("%v, log|%s|: mean %.4f, theory %.4f, standard errors 4 x %.4f", a, name, mean[i], f.Mean, tolerance/4)
			}
			if math.Abs(v-f.Variance) > spread {
				t.Errorf("%v, log|%s|: variance %.5f, theory %.5f, allowed distance %.5f", a, name, v, f.Variance, spread)
			}
		}
	}
}

// logs returns log(|h^L|/|h^1|) and log(|delta^1|/|delta^L|) of one small plain net without biases.
func (s net) logs(r *rand.Rand, width int) (forward, back float64) {
	a := s.theory.Activation
	h := mat.Col(nil, 0, normal(r, width, 1, 1))
	weights, zs := [][]float64{}, [][]float64{}
	first, last := 0.0, 0.0
	scale := math.Sqrt(s.theory.SigmaW2 / float64(width))
	for l := range s.depth {
		w, z := make([]float64, width*width), make([]float64, width)
		for i := range w {
			w[i] = scale * r.NormFloat64()
		}
		for i := range z {
			z[i] = dotted(w[i*width:(i+1)*width], h)
		}
		h = make([]float64, width)
		for i := range h {
			h[i] = a.Value(z[i])
		}
		if last = dotted(h, h); l == 0 {
			first = last
		}
		weights, zs = append(weights, w), append(zs, z)
	}
	forward = math.Log(last/first) / 2
	delta := make([]float64, width)
	for i := range delta {
		delta[i] = r.NormFloat64() * a.Derivative(zs[s.depth-1][i])
	}
	top := dotted(delta, delta)
	for l := s.depth - 1; l >= 1; l-- {
		below := make([]float64, width)
		for j := range below {
			for i := range delta {
				below[j] += weights[l][i*width+j] * delta[i]
			}
			below[j] *= a.Derivative(zs[l-1][j])
		}
		delta = below
	}
	return forward, math.Log(dotted(delta, delta)/top) / 2
}
