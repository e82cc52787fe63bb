package experiment_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"github.com/gradbook/gradbook/pkg/activation"
	"github.com/gradbook/gradbook/pkg/backend"
	"github.com/gradbook/gradbook/pkg/dataset"
	"github.com/gradbook/gradbook/pkg/experiment"
	"github.com/gradbook/gradbook/pkg/initializer"
	"github.com/gradbook/gradbook/pkg/model"
)

var ctx = context.Background()

// digits are the two parts of the embedded digits.
func digits(t *testing.T) (train, test *dataset.Set) {
	t.Helper()
	all, err := dataset.Digits()
	if err != nil {
		t.Fatal(err)
	}
	return all.Split(0.8, 1)
}

// small is a net for the digits.
func small(t *testing.T, change func(c *model.MLP)) *model.Net {
	t.Helper()
	c := model.MLP{Inputs: 64, Outputs: 10, Depth: 2, Width: 24, Activation: activation.Tanh, Weights: initializer.GlorotNormal(1)}
	if change != nil {
		change(&c)
	}
	return newNet(t, c)
}

func newNet(t *testing.T, c model.Config) *model.Net {
	t.Helper()
	n, err := c.New(1)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// fit fills in what the tests have in common.
func fit(t *testing.T, change func(f *experiment.Fit)) experiment.Fit {
	t.Helper()
	train, test := digits(t)
	f := experiment.Fit{Net: small(t, nil), Train: train, Test: test, Steps: 60, Rate: 0.2, Seed: 1, Quiet: true}
	if change != nil {
		change(&f)
	}
	return f
}

func run(t *testing.T, f experiment.Fit) *experiment.Result {
	t.Helper()
	r, err := f.Run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// weights are all of a net's, in float64.
func weights(t *testing.T, n *model.Net) (all []float64) {
	t.Helper()
	for _, name := range n.Variables() {
		values, err := n.Values(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, values...)
	}
	return all
}

func TestFitLearns(t *testing.T) {
	for name, c := range map[string]struct {
		net    model.Config
		change func(f *experiment.Fit)
	}{
		"sgd":        {model.MLP{Inputs: 64, Outputs: 10, Depth: 2, Width: 24, Activation: activation.Tanh, Weights: initializer.GlorotNormal(1)}, nil},
		"adam":       {model.MLP{Inputs: 64, Outputs: 10, Depth: 2, Width: 24, Activation: activation.ReLU, Weights: initializer.He()}, func(f *experiment.Fit) { f.Optimizer, f.Rate = experiment.Adam, 0.01 }},
		"momentum":   {model.MLP{Inputs: 64, Outputs: 10, Depth: 2, Width: 24, Activation: activation.Tanh, Weights: initializer.GlorotNormal(1)}, func(f *experiment.Fit) { f.Momentum, f.Rate, f.Clip, f.WeightDecay = 0.9, 0.05, 5, 1e-4 }},
		"batch norm": {model.MLP{Inputs: 64, Outputs: 10, Depth: 2, Width: 24, Activation: activation.ReLU, Weights: initializer.He(), Norm: model.BatchNorm}, nil},
		"convnet":    {model.ConvNet{N: 1, Image: [3]int{8, 8, 1}, Classes: 10, Channels: 4, Residual: true, Norm: model.BatchNorm}, nil},
	} {
		f := fit(t, c.change)
		f.Net = newNet(t, c.net)
		r := run(t, f)
		if r.Ended != experiment.Completed || r.Steps != 60 || len(r.Losses) != 60 || len(r.Tests) != 1 || r.Tests[0].Step != 60 {
			t.Errorf("%s: %v after %d steps, %d losses, tests %v", name, r.Ended, r.Steps, len(r.Losses), r.Tests)
		}
		if start := r.Losses[0]; start < 1.5 || r.FinalLoss() > 0.8*start {
			t.Errorf("%s: loss %v at step 1, %v at the end", name, start, r.FinalLoss())
		}
		if a := r.Accuracy; a.Low < 0.5 || a.N != f.Test.Len() || a.Mean > a.High { // by chance: 0.1
			t.Errorf("%s: accuracy %v", name, a)
		}
		if r.TestLoss > 0.9*r.Losses[0] {
			t.Errorf("%s: loss on the test set %v", name, r.TestLoss)
		}
	}
}

func TestFitDeterministic(t *testing.T) {
	plain := run(t, fit(t, nil))
	want := weights(t, plain.Net)
	for name, change := range map[string]func(f *experiment.Fit){
		"again":        nil,
		"recorded":     func(f *experiment.Fit) { f.Every = 7 },
		"watched":      func(f *experiment.Fit) { f.OnStep = func(*experiment.Step) {} },
		"tested often": func(f *experiment.Fit) { f.TestEvery = 20 },
	} {
		r := run(t, fit(t, change))
		if !slices.Equal(r.Losses, plain.Losses) || !slices.Equal(weights(t, r.Net), want) || r.Accuracy != plain.Accuracy {
			t.Errorf("%s: losses end with %v, want %v", name, r.Losses[58:], plain.Losses[58:])
		}
	}
	other := run(t, fit(t, func(f *experiment.Fit) { f.Seed = 2 }))
	if slices.Equal(other.Losses, plain.Losses) {
		t.Error("the seed does not change the order of the examples")
	}
}

// line is a regression y = w x + b in float64 with every example in each batch, so that gradient descent can be done by hand.
func line(t *testing.T) (*model.Net, *dataset.Set) {
	t.Helper()
	s := &dataset.Set{Name: "line", Shape: []int{1}, Inputs: []float32{-1, 0.5, 2, 3}, Targets: []float32{-1, 2, 4, 8}, DType: dtypes.Float64}
	return newNet(t, model.MLP{Inputs: 1, Outputs: 1, Weights: initializer.Normal(1), DType: dtypes.Float64}), s
}

func gradient(s *dataset.Set, w, b float64) (dw, db float64) {
	for i, x := range s.Inputs {
		residual := w*float64(x) + b - float64(s.Targets[i])
		dw += 2 * residual * float64(x) / 4
		db += 2 * residual / 4
	}
	return dw, db
}

func TestOptimizers(t *testing.T) {
	const momentum, decay, clip = 0.9, 0.01, 10.0
	rates := func(step int) float64 { return []float64{0, 0.05, 0.05, 0.02, 0.01, 0.01}[step] }
	for name, c := range map[string]struct {
		change func(f *experiment.Fit)
		by     func(step int, w, b, dw, db float64, state []float64) (float64, float64)
	}{
		"sgd":          {func(f *experiment.Fit) { f.Rate = 0.05 }, func(_ int, w, b, dw, db float64, _ []float64) (float64, float64) { return w - 0.05*dw, b - 0.05*db }},
		"default rate": {func(f *experiment.Fit) {}, func(_ int, w, b, dw, db float64, _ []float64) (float64, float64) { return w - 0.1*dw, b - 0.1*db }},
		"schedule": {func(f *experiment.Fit) { f.Schedule = rates }, func(step int, w, b, dw, db float64, _ []float64) (float64, float64) {
			return w - rates(step)*dw, b - rates(step)*db
		}},
		"weight decay": {func(f *experiment.Fit) { f.Rate, f.WeightDecay = 0.05, decay }, func(_ int, w, b, dw, db float64, _ []float64) (float64, float64) {
			return w - 0.05*(dw+decay*w), b - 0.05*(db+decay*b)
		}},
		"momentum": {func(f *experiment.Fit) { f.Rate, f.Momentum = 0.05, momentum }, func(_ int, w, b, dw, db float64, v []float64) (float64, float64) {
			v[0], v[1] = momentum*v[0]+dw, momentum*v[1]+db
			return w - 0.05*v[0], b - 0.05*v[1]
		}},
		"clipped": {func(f *experiment.Fit) { f.Rate, f.Clip = 0.05, clip }, func(_ int, w, b, dw, db float64, _ []float64) (float64, float64) {
			scale := min(1, clip/math.Hypot(dw, db))
			return w - 0.05*scale*dw, b - 0.05*scale*db
		}},
		"adam": {func(f *experiment.Fit) { f.Rate, f.Optimizer = 0.05, experiment.Adam }, func(step int, w, b, dw, db float64, s []float64) (float64, float64) {
			d := []float64{dw, db}
			for i := range d {
				s[i], s[2+i] = 0.9*s[i]+0.1*d[i], 0.999*s[2+i]+0.001*d[i]*d[i]
				d[i] = s[i] / (1 - math.Pow(0.9, float64(step))) / (math.Sqrt(s[2+i]/(1-math.Pow(0.999, float64(step)))) + 1e-7)
			}
			return w - 0.05*d[0], b - 0.05*d[1]
		}},
	} {
		n, s := line(t)
		f := experiment.Fit{Net: n, Train: s, Steps: 5, BatchSize: 4, Quiet: true}
		c.change(&f)
		start := weights(t, n)
		w, b := start[0], start[1]
		var norms []float64
		state := make([]float64, 4)
		for step := 1; step <= 5; step++ {
			dw, db := gradient(s, w, b)
			norms = append(norms, math.Hypot(dw, db))
			w, b = c.by(step, w, b, dw, db, state)
		}
		r := run(t, f)
		if got := weights(t, n); !near(got[0], w, 1e-9) || !near(got[1], b, 1e-9) || near(got[0], start[0], 1e-3) {
			t.Errorf("%s: weights %v after 5 steps, by hand %v, %v", name, got, w, b)
		}
		if f.Clip == 0 {
			norms = nil
		}
		if len(r.Norms) != len(norms) || len(norms) > 0 && (!near(r.Norms[0], norms[0], 1e-9) || !near(r.Norms[4], norms[4], 1e-9) || norms[0] < clip || norms[4] > clip) {
			t.Errorf("%s: norms %v, by hand %v; the limit %v must lie between, so that both cases are seen", name, r.Norms, norms, clip)
		}
		if !math.IsNaN(r.Accuracy.Mean) || !math.IsNaN(r.TestLoss) {
			t.Errorf("%s: a regression without a test set has accuracy %v, loss %v", name, r.Accuracy, r.TestLoss)
		}
	}
}

// Clipping holds where the squares of the gradients overflow float32: the update has the norm rate * clip.
func TestClipHuge(t *testing.T) {
	s := &dataset.Set{Name: "huge", Shape: []int{1}, Inputs: []float32{1, 2}, Targets: []float32{1e25, 3e25}}
	n := newNet(t, model.MLP{Inputs: 1, Outputs: 1, Weights: initializer.Normal(1)})
	before := weights(t, n)
	f := experiment.Fit{Net: n, Train: s, Steps: 1, Rate: 1, Clip: 0.5, Quiet: true, Loss: nil}
	r := run(t, f)
	after := weights(t, n)
	if moved := math.Hypot(after[0]-before[0], after[1]-before[1]); !near(moved, 0.5, 1e-5) || r.Norms[0] < 1e25 || math.IsInf(r.Norms[0], 0) {
		t.Errorf("the weights moved by %v, want 0.5; the norm was %v", moved, r.Norms)
	}
}

func TestFitReports(t *testing.T) {
	seen := 0
	f := fit(t, func(f *experiment.Fit) {
		f.Every, f.TestEvery, f.Steps = 5, 20, 50
		f.OnStep = func(s *experiment.Step) {
			seen++
			if s.Step != seen || len(s.Losses) != seen || s.Loss != s.Losses[seen-1] || (s.Report != nil) != (seen%5 == 0) || len(s.Tests) != seen/20 {
				t.Errorf("call %d: step %d, %d losses, report %v, %d tests", seen, s.Step, len(s.Losses), s.Report != nil, len(s.Tests))
			}
			if s.Report != nil && (s.Report.Step != seen || !near(s.Report.Loss, s.Loss, 1e-12)) {
				t.Errorf("step %d: report of step %d with loss %v, want %v", seen, s.Report.Step, s.Report.Loss, s.Loss)
			}
		}
	})
	r := run(t, f)
	if seen != 50 || len(r.Reports) != 10 || len(r.Tests) != 3 || r.Tests[1].Step != 40 || r.Tests[2].Step != 50 {
		t.Errorf("%d calls, %d reports, tests %+v", seen, len(r.Reports), r.Tests)
	}
	for i, report := range r.Reports {
		if report.Step != 5*(i+1) || report.Loss != r.Losses[report.Step-1] || len(report.Layers) != 3 || report.Layers[0].Name != "h1" || !(report.Layers[0].DeltaNorm > 0) {
			t.Errorf("report %d: step %d, loss %v, layers %v", i, report.Step, report.Loss, report.Layers)
		}
	}
	// More records than the device keeps, and another training of the same net with other options.
	f.OnStep, f.Every, f.Steps, f.TestEvery, f.Optimizer, f.Rate = nil, 1, 150, 0, experiment.Adam, 0.001
	if r = run(t, f); len(r.Reports) != 150 || r.Reports[149].Step != 150 {
		t.Errorf("%d reports of 150 steps", len(r.Reports))
	}
	if got := f.Net.Store().NumVariables(); got != len(f.Net.Variables()) {
		t.Errorf("the store keeps %d variables, the net has %d", got, len(f.Net.Variables()))
	}
}

func TestFitDiverges(t *testing.T) {
	for _, every := range []int{0, 1, 3} {
		f := fit(t, func(f *experiment.Fit) {
			f.Rate, f.Every = 1e30, every
			f.Net = small(t, func(c *model.MLP) { c.Activation, c.Weights = activation.ReLU, initializer.He() })
		})
		r := run(t, f)
		last := r.Losses[len(r.Losses)-1]
		if r.Ended != experiment.Diverged || r.Steps > 10 || len(r.Losses) != r.Steps || !math.IsNaN(last) && !math.IsInf(last, 0) {
			t.Errorf("every %d: %v after %d steps, losses %v", every, r.Ended, r.Steps, r.Losses)
		}
		if !math.IsNaN(r.Accuracy.Mean) || !strings.Contains(r.String(), fmt.Sprintf("diverged: the loss is %v at step %d of 60", last, r.Steps)) {
			t.Errorf("every %d: accuracy %v, %s", every, r.Accuracy, r)
		}
		if every > 0 && len(r.Reports) != r.Steps/every {
			t.Errorf("every %d: %d reports of %d steps", every, len(r.Reports), r.Steps)
		}
	}
}

func TestFitStops(t *testing.T) {
	for name, stop := range map[string]func(cancel func()){
		"context":   func(cancel func()) { cancel() },
		"interrupt": func(func()) { syscall.Kill(syscall.Getpid(), syscall.SIGINT) },
	} {
		ctx, cancel := context.WithCancel(ctx)
		f := fit(t, func(f *experiment.Fit) {
			f.Steps, f.Every = 1_000_000, 4
			f.OnStep = func(s *experiment.Step) {
				if s.Step == 9 {
					stop(cancel)
				}
			}
		})
		r, err := f.Run(ctx)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		// A signal takes a moment to arrive.
		if r.Ended != experiment.Interrupted || r.Steps < 9 || name == "context" && r.Steps != 9 || len(r.Losses) != r.Steps || len(r.Reports) != r.Steps/4 {
			t.Errorf("%s: %v after %d steps, %d losses, %d reports", name, r.Ended, r.Steps, len(r.Losses), len(r.Reports))
		}
		if want := fmt.Sprintf("interrupted after %d of 1000000 steps", r.Steps); !strings.Contains(r.String(), want) {
			t.Errorf("%s: %q does not say %q", name, r, want)
		}
	}
}

func TestFitRegression(t *testing.T) {
	n := newNet(t, model.Recurrent{Cell: model.GRU, Inputs: 2, Hidden: 16, Outputs: 1, Steps: 4})
	r := run(t, experiment.Fit{Net: n, Train: dataset.Adding(500, 4, 1), Test: dataset.Adding(300, 4, 2), Steps: 300, Optimizer: experiment.Adam, Rate: 0.01, Clip: 1, Quiet: true})
	if r.TestLoss > 0.1 || !math.IsNaN(r.Accuracy.Mean) || len(r.Norms) != 300 { // who always answers 1 has 1/6
		t.Errorf("loss on the test set %v, accuracy %v, %d norms", r.TestLoss, r.Accuracy, len(r.Norms))
	}
}

func TestTester(t *testing.T) {
	train, _ := digits(t)
	f := fit(t, nil)
	run(t, f)
	// What the whole set gives in one batch is what its parts give.
	for _, n := range []int{1, 99, 100, 1009, 1437} {
		set := train.Take(n)
		tester, err := experiment.NewTester(nil, f.Net, set, nil)
		if err != nil {
			t.Fatal(err)
		}
		test, err := tester.Test()
		tester.Close()
		if err != nil {
			t.Fatal(err)
		}
		indices := make([]int, n)
		for i := range indices {
			indices[i] = i
		}
		x, _ := set.Batch(indices)
		logits, err := f.Net.Predict(backend.MustDefault(), x)
		if err != nil {
			t.Fatal(err)
		}
		right, total := 0, 0.0
		for i, row := range logits.Value().([][]float32) {
			sum := 0.0
			for _, z := range row {
				sum += math.Exp(float64(z - slices.Max(row)))
			}
			total += math.Log(sum) - float64(row[set.Labels[i]]-slices.Max(row))
			if slices.Index(row, slices.Max(row)) == int(set.Labels[i]) {
				right++
			}
		}
		if want := experiment.Proportion(right, n); test.Accuracy != want || !near(test.Loss, total/float64(n), 1e-5) {
			t.Errorf("%d examples: %+v, want loss %v, accuracy %v", n, test, total/float64(n), want)
		}
	}
}

func TestBadFit(t *testing.T) {
	train, test := digits(t)
	nan := train.Take(10).Select([]int{0, 1})
	nan.Inputs[70] = float32(math.NaN())
	empty := &dataset.Set{Name: "nothing", Shape: []int{64}}
	label := train.Select([]int{0, 1})
	label.Labels[1] = 10
	for name, c := range map[string]struct {
		change func(f *experiment.Fit)
		want   []string
	}{
		"no net":       {func(f *experiment.Fit) { f.Net = nil }, []string{"Net is nil"}},
		"no data":      {func(f *experiment.Fit) { f.Train = nil }, []string{"Train", "nil"}},
		"empty":        {func(f *experiment.Fit) { f.Train = empty }, []string{"Train", `"nothing" is empty`}},
		"NaN":          {func(f *experiment.Fit) { f.Train = nan }, []string{"value 6 of example 1 is NaN"}},
		"label":        {func(f *experiment.Fit) { f.Test = label }, []string{"Test", "label 10, allowed are 0 to 9"}},
		"other kind":   {func(f *experiment.Fit) { f.Test = dataset.Circles(10, 0, 1) }, []string{"Train (digits", "Test (circles", "must agree"}},
		"steps":        {func(f *experiment.Fit) { f.Steps = 0 }, []string{"Steps is 0", "at least 1"}},
		"batch":        {func(f *experiment.Fit) { f.BatchSize = 5000 }, []string{"BatchSize is 5000", "1438"}},
		"negative":     {func(f *experiment.Fit) { f.BatchSize = -1 }, []string{"BatchSize is -1"}},
		"optimizer":    {func(f *experiment.Fit) { f.Optimizer = "lion" }, []string{`"lion"`, `"adam"`}},
		"rate":         {func(f *experiment.Fit) { f.Rate = math.NaN() }, []string{"Rate is NaN"}},
		"rate below 0": {func(f *experiment.Fit) { f.Rate = -0.1 }, []string{"Rate is -0.1", "at least 0"}},
		"two rates":    {func(f *experiment.Fit) { f.Schedule = func(int) float64 { return 1 } }, []string{"Rate is 0.2", "Schedule"}},
		"momentum":     {func(f *experiment.Fit) { f.Momentum = 1 }, []string{"Momentum is 1", "less than 1"}},
		"of adam":      {func(f *experiment.Fit) { f.Momentum, f.Optimizer = 0.9, experiment.Adam }, []string{"Momentum is 0.9 with adam"}},
		"clip":         {func(f *experiment.Fit) { f.Clip = -1 }, []string{"Clip -1"}},
		"every":        {func(f *experiment.Fit) { f.Every = -1 }, []string{"Every is -1"}},
		"shapes": {func(f *experiment.Fit) {
			f.Train, f.Test = train.Reshape(64), test
			f.Net = small(t, func(c *model.MLP) { c.Inputs = 63 })
		}, []string{"step 1 of training mlp 63-", "64", "63"}},
		"few outputs":  {func(f *experiment.Fit) { f.Net = small(t, func(c *model.MLP) { c.Outputs = 9 }) }, []string{"[64, 9]", "10 classes"}},
		"regression":   {func(f *experiment.Fit) { f.Train, f.Test = dataset.Adding(99, 32, 1), nil }, []string{"[64, 10]", "[64, 1]", "one shape"}},
		"bad start":    {func(f *experiment.Fit) { f.Rate, f.Schedule = 0, func(int) float64 { return math.NaN() } }, []string{"Schedule(1) is NaN"}},
		"bad schedule": {func(f *experiment.Fit) { f.Rate, f.Schedule = 0, func(step int) float64 { return 1 / float64(3-step) } }, []string{"Schedule(3) is +Inf"}},
	} {
		f := fit(t, c.change)
		r, err := f.Run(ctx)
		for _, part := range c.want {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%s: result %v, error %v does not say %q", name, r, err, part)
			}
		}
	}
}

func TestFitJSON(t *testing.T) {
	f := experiment.Fit{Steps: 100, Rate: 0.5, Clip: 1, Optimizer: experiment.Adam, OnStep: func(*experiment.Step) {}}
	data, err := json.Marshal(f)
	if err != nil || string(data) != `{"steps":100,"optimizer":"adam","rate":0.5,"clip":1,"seed":0}` {
		t.Errorf("%s, error %v", data, err)
	}
}

// Several trainings at a time, as a grid runs them, give what one after the other gives.
func TestFitsInParallel(t *testing.T) {
	train, test := digits(t)
	var first []float64
	for _, workers := range []int{1, 4} {
		g := experiment.Grid[string]{Name: "parallel", Settings: []string{"tanh", "relu"}, Seeds: experiment.Seeds(3), Folder: t.TempDir(), Workers: workers, Quiet: true}
		r, err := g.Run(ctx, func(ctx context.Context, name string, seed uint64) (experiment.Values, error) {
			phi, err := activation.Parse(name)
			if err != nil {
				return nil, err
			}
			n, err := model.MLP{Inputs: 64, Outputs: 10, Depth: 2, Width: 40, Activation: phi}.New(seed)
			if err != nil {
				return nil, err
			}
			r, err := experiment.Fit{Net: n, Train: train, Test: test, Steps: 30, Seed: seed, Every: 3, Clip: 1, Quiet: true}.Run(ctx)
			if err != nil {
				return nil, err
			}
			return experiment.Values{"accuracy": r.Accuracy.Mean, "losses": r.Losses, "delta": r.Reports[9].Layers[0].DeltaNorm}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		all := append(r.Values("accuracy"), r.Values("delta")...)
		for _, trace := range r.Traces("losses") {
			all = append(all, trace...)
		}
		if first == nil {
			first = all
		}
		if len(all) != 6*32 || !reflect.DeepEqual(all, first) {
			t.Errorf("%d workers: %d numbers, not those of one worker", workers, len(all))
		}
	}
}

// A net is trained on the embedded digits; its result tells what happened.
func ExampleFit() {
	digits, err := dataset.Digits()
	if err != nil {
		fmt.Println(err)
		return
	}
	train, test := digits.Split(0.8, 1)
	net, err := model.MLP{Inputs: 64, Outputs: 10, Depth: 3, Width: 32, Activation: activation.Tanh, Weights: initializer.GlorotNormal(1)}.New(1)
	if err != nil {
		fmt.Println(err)
		return
	}
	result, err := experiment.Fit{Net: net, Train: train, Test: test, Steps: 200, Rate: 0.1, Every: 50, Quiet: true}.Run(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.Ended, "after", result.Steps, "steps;", len(result.Reports), "reports")
	fmt.Println("most test examples are right:", result.Accuracy.Low > 0.8)
	fmt.Println(len(result.Losses), "losses; the last are lower:", result.FinalLoss() < result.Losses[0]/4)
	// Output:
	// completed after 200 steps; 4 reports
	// most test examples are right: true
	// 200 losses; the last are lower: true
}

func BenchmarkFit(b *testing.B) {
	train, _, err := dataset.MNIST()
	if err != nil {
		b.Fatal(err)
	}
	n, err := model.MLP{Inputs: 784, Outputs: 10, Depth: 10, Width: 64, Activation: activation.Tanh}.New(1)
	if err != nil {
		b.Fatal(err)
	}
	r, err := experiment.Fit{Net: n, Train: train.Take(10000), Steps: max(b.N, 2), BatchSize: 256, Quiet: true}.Run(ctx)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(r.StepTime.Microseconds())/1000, "ms/step")
}
