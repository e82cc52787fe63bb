package gradflow_test

import (
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers"
	mlmodel "github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"
	"github.com/gradbook/gradbook/pkg/activation"
	"github.com/gradbook/gradbook/pkg/gradflow"
	"github.com/gradbook/gradbook/pkg/initializer"
	"github.com/gradbook/gradbook/pkg/model"
)

func TestTapReturnsItsNodeAndAddsNothing(t *testing.T) {
	g := graph.NewGraph(theBackend(), "tap")
	x := graph.Parameter(g, "x", shapes.Make(dtypes.Float32, 4, 3))
	h := graph.Tanh(x)
	before := h.Id()
	if got := gradflow.Tap(h, "h", gradflow.PreActivation(x), gradflow.Activation(activation.Tanh)); got != h {
		t.Errorf("Tap returned %s, given %s", got, h)
	}
	if next := graph.Neg(h); next.Id() != before+1 {
		t.Errorf("the node after a tap is #%d, the one before it #%d", next.Id(), before)
	}
	taps := gradflow.Taps(g)
	if len(taps) != 1 || taps[0].Name != "h" || taps[0].Z != x || taps[0].Activation != activation.Tanh {
		t.Errorf("taps are %+v", taps)
	}
	if other := graph.NewGraph(theBackend(), "other"); gradflow.Taps(other) != nil {
		t.Error("another graph has taps")
	}
}

func TestTapErrors(t *testing.T) {
	g := graph.NewGraph(theBackend(), "errors")
	x := graph.Parameter(g, "x", shapes.Make(dtypes.Float32, 4, 3))
	narrow := graph.Parameter(g, "narrow", shapes.Make(dtypes.Float32, 4, 2))
	whole := graph.Parameter(g, "whole", shapes.Make(dtypes.Int32, 4, 2))
	foreign := graph.Parameter(graph.NewGraph(theBackend(), "foreign"), "x", shapes.Make(dtypes.Float32, 4, 3))
	gradflow.Tap(x, "taken")
	for _, test := range []struct {
		name string
		tap  func()
		want []string
	}{
		{"two of one name", func() { gradflow.Tap(narrow, "taken") }, []string{`"taken"`, "(Float32)[4, 3]", "(Float32)[4, 2]"}},
		{"no name", func() { gradflow.Tap(x, "") }, []string{"no name"}},
		{"no node", func() { gradflow.Tap(nil, "a") }, []string{`"a"`, "no H"}},
		{"z of another shape", func() { gradflow.Tap(x, "b", gradflow.PreActivation(narrow)) }, []string{"[4, 3]", "[4, 2]"}},
		{"integers", func() { gradflow.Tap(whole, "c") }, []string{"Int32", "floating point"}},
		{"another graph", func() { gradflow.Tap(x, "d", gradflow.Weights(foreign)) }, []string{"W", "another graph"}},
		{"in a closure", func() {
			graph.NewClosure(g, func(*graph.Graph) []*graph.Node { return []*graph.Node{gradflow.Tap(graph.Neg(x), "e")} })
		}, []string{"closure"}},
	} {
		err := exceptions.TryCatch[error](test.tap)
		if err == nil {
			t.Errorf("%s: no error", test.name)
			continue
		}
		for _, want := range test.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: the error does not say %q: %v", test.name, want, err)
			}
		}
	}
}

// The taps of a graph go when it goes.
func TestTapsDoNotKeepTheirGraph(t *testing.T) {
	gone := make(chan bool, 1)
	func() {
		g := graph.NewGraph(theBackend(), "gone")
		x := graph.Parameter(g, "x", shapes.Make(dtypes.Float32, 4, 3))
		gradflow.Tap(graph.Neg(x), "h")
		g.Finalize()
		runtime.AddCleanup(g, func(done chan bool) { done <- true }, gone)
	}()
	for range 50 {
		runtime.GC()
		select {
		case <-gone:
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
	t.Error("the graph was not collected")
}

// A model of GoMLX's own layers, whose weights only its scopes know, can be tapped as it is.
func TestTapInAnyModel(t *testing.T) {
	store := mlmodel.NewStore()
	model := func(scope *mlmodel.Scope, x *graph.Node) *graph.Node {
		z := layers.Dense(scope.In("one"), x, true, 3)
		w := scope.Store().GetVariable("/one/dense/weights").NodeValue(x.Graph())
		b := scope.Store().GetVariable("/one/dense/biases").NodeValue(x.Graph())
		return gradflow.Tap(graph.Sigmoid(z), "sigmoid", gradflow.PreActivation(z), gradflow.Weights(w), gradflow.Bias(b), gradflow.Activation(activation.Sigmoid))
	}
	n := mlp{sizes: []int{4, 3}, dtype: dtypes.Float32}
	x, y := n.batch(1, 8)
	meter, err := gradflow.NewMeter(theBackend(), store, model, crossEntropy, gradflow.Options{})
	must(t, err)
	report, err := meter.Measure(x, y)
	must(t, err)
	l := report.Layer("sigmoid")
	if !(l.DeltaNorm > 0) || !(l.WGradNorm > 0) || !(l.BGradNorm > 0) || l.FanIn != 4 || l.Units != 3 || !l.Output {
		t.Errorf("%+v", l)
	}
}

func TestMeterErrors(t *testing.T) {
	n := small()
	x, y := n.batch(1, 8)
	untapped := n
	untapped.untapped = true
	for _, test := range []struct {
		name    string
		net     mlp
		options gradflow.Options
		x, y    any
		want    string
	}{
		{"no taps", untapped, gradflow.Options{}, x, y, "no taps"},
		{"no inputs", n, gradflow.Options{}, nil, y, "no inputs"},
		{"a string for inputs", n, gradflow.Options{}, "MNIST", y, "nested slices of numbers"},
		{"inputs too narrow", n, gradflow.Options{}, [][]float32{{1, 2}}, [][]int32{{0}}, "could not be measured"},
		{"a pair outside of the batch", n, gradflow.Options{Pair: []int{0, 8}}, x, y, "example 8"},
		{"a pair of three", n, gradflow.Options{Pair: []int{0, 1, 2}}, x, y, "two examples"},
		{"more Jacobians than examples", n, gradflow.Options{SingularValues: 9}, x, y, "the batch has 8"},
		{"a negative rate", n, gradflow.Options{LearningRate: -1}, x, y, "learning rate -1"},
		{"a rate and an optimizer", n, gradflow.Options{LearningRate: 1, Optimizer: sgd(1)}, x, y, "give one"},
		{"bins upside down", n, gradflow.Options{Histogram: gradflow.Bins{Count: 3, Low: 1, High: 1}}, x, y, "Low < High"},
	} {
		meter, err := gradflow.NewMeter(theBackend(), n.store(t, 1), test.net.logits, crossEntropy, test.options)
		if err == nil {
			_, err = meter.Measure(test.x, test.y)
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: the error is %v, want it to say %q", test.name, err, test.want)
		}
	}
	if _, err := gradflow.NewRecorder(nil, gradflow.RecorderOptions{}); err == nil || !strings.Contains(err.Error(), "no optimizer") {
		t.Errorf("a recorder without an optimizer: %v", err)
	}
	if _, err := gradflow.NewRecorder(sgd(1), gradflow.RecorderOptions{Every: -2}); err == nil || !strings.Contains(err.Error(), "-2") {
		t.Errorf("a recorder of every -2nd step: %v", err)
	}
}

// Measuring changes nothing in the store: no weights, and no counter.
func TestMeterLeavesTheStoreAlone(t *testing.T) {
	n := small()
	store := n.store(t, 1)
	print := func() string {
		var b strings.Builder
		for _, path := range []string{"/h1/W", "/h1/b", "/out/W", "/global_step"} {
			if v := store.GetVariable(path); v != nil {
				fmt.Fprintln(&b, path, v.MustValue().Value())
			}
		}
		return b.String()
	}
	x, y := n.batch(1, 8)
	meter, err := gradflow.NewMeter(theBackend(), store, n.logits, crossEntropy, gradflow.Options{Optimizer: sgd(0.5)})
	must(t, err)
	_, err = meter.Measure(x, y)
	must(t, err)
	before := print()
	report, err := meter.Measure(x, y)
	must(t, err)
	if after := print(); after != before {
		t.Errorf("measuring changed the store from\n%s\nto\n%s", before, after)
	}
	if l := report.Layer("h1"); !(l.UpdateRatio > 0) || near32(l.UpdateRatio, 0.5*l.WGradNorm/l.WNorm) != nil {
		t.Errorf("the update ratio is %g, 0.5 |dL/dW|/|W| is %g", l.UpdateRatio, 0.5*l.WGradNorm/l.WNorm)
	}
}

func near32(got, want float64) error {
	if d := got - want; d > 1e-5*want || d < -1e-5*want {
		return fmt.Errorf("%g, want %g", got, want)
	}
	return nil
}

func TestPlainLayersAreRecognised(t *testing.T) {
	for _, test := range []struct {
		name string
		net  mlp
		want string
	}{
		{"plain", deep(3, activation.GELU, initializer.He()), "h1 h2 h3 out"},
		{"residual", deep(3, activation.Tanh, initializer.He()).asResidual(false), "h1 out"},
		{"residual and normalised", deep(3, activation.ReLU, initializer.He()).asResidual(true), "h1"},
		{"ELU", deep(1, activation.ELU, initializer.He()), "h1 out"},
	} {
		var plain []string
		for _, l := range measure(t, test.net, 1, gradflow.Options{}).Layers {
			if l.Plain {
				plain = append(plain, l.Name)
			}
		}
		if got := strings.Join(plain, " "); got != test.want {
			t.Errorf("%s: plain layers are %q, want %q", test.name, got, test.want)
		}
	}
}

// Of a residual net of package model the first layer and the output are plain, on whichever side of the addition the activation is and whatever the scale.
func TestResidualLayersAreNotPlain(t *testing.T) {
	for _, kind := range []model.Residual{model.NoResidual, model.PostActivation, model.PreActivation} {
		for _, scale := range []float64{1, 0.5} {
			c := model.MLP{Inputs: 6, Outputs: 3, Depth: 3, Width: 8, Activation: activation.Tanh, Residual: kind, ResidualScale: scale}
			want := "h1 out"
			if kind == model.NoResidual {
				c.ResidualScale, want = 0, "h1 h2 h3 out"
			}
			net, err := c.New(1)
			must(t, err)
			meter, err := gradflow.NewMeter(theBackend(), net.Store(), net.Logits, crossEntropy, gradflow.Options{SingularValues: 1})
			must(t, err)
			report, err := meter.Measure(small().batch(1, 4))
			must(t, err)
			var plain []string
			for _, l := range report.Layers {
				if l.Plain {
					plain = append(plain, l.Name)
				}
			}
			if got := strings.Join(plain, " "); got != want {
				t.Errorf("%s with scale %g: plain layers are %q, want %q", kind, scale, got, want)
			}
		}
	}
}

// The step passes no gradient, and theory says so.
func TestTheoryOfTheStep(t *testing.T) {
	r := measure(t, deep(3, activation.Step, initializer.Normal(1)), 1, gradflow.Options{})
	theory := r.Theory()
	if first := theory.Layers[0]; !math.IsInf(first.Chi, 1) || first.Factor != 0 || theory.Factor != 0 || r.Layers[0].DeltaNorm != 0 {
		t.Errorf("h1 of a step net: chi %g, factor %g, of the net %g, |delta| %g; want +Inf, 0, 0 and 0", first.Chi, first.Factor, theory.Factor, r.Layers[0].DeltaNorm)
	}
}
