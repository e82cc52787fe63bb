package model_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	mlmodel "github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train/loss"
	"github.com/gradbook/gradbook/pkg/activation"
	"github.com/gradbook/gradbook/pkg/gradflow"
	"github.com/gradbook/gradbook/pkg/initializer"
	"github.com/gradbook/gradbook/pkg/model"
)

func TestParameterCounts(t *testing.T) {
	resnet := func(n int, s model.Shortcut) model.ConvNet {
		return model.ConvNet{N: n, Image: [3]int{32, 32, 3}, Classes: 10, Residual: true, Shortcut: s, Norm: model.BatchNorm}
	}
	plain := resnet(3, model.IdentityShortcut)
	plain.Residual = false
	for _, test := range []struct {
		config model.Config
		want   int
	}{
		// He et al. 2016, table 6: 0.27, 0.46, 0.66, 0.85 and 1.7 million.
		{resnet(3, model.IdentityShortcut), 269_722},
		{resnet(5, model.IdentityShortcut), 464_154},
		{resnet(7, model.IdentityShortcut), 658_586},
		{resnet(9, model.IdentityShortcut), 853_018},
		{resnet(18, model.IdentityShortcut), 1_727_962},
		{plain, 269_722}, // identity shortcuts have no parameters
		{resnet(3, model.ProjectionShortcut), 269_722 + 16*32 + 2*32 + 32*64 + 2*64},
		{model.MLP{Inputs: 784, Outputs: 10, Depth: 2, Width: 30, Activation: activation.Sigmoid}, 784*30 + 30 + 30*30 + 30 + 30*10 + 10},
		{model.MLP{Inputs: 4, Outputs: 2, Depth: 1, Width: 3, Activation: activation.PReLU(0.25), Norm: model.BatchNorm}, 4*3 + 2*3 + 1 + 3*2 + 2},
		{model.Recurrent{Cell: model.LSTM, Inputs: 2, Hidden: 5, Outputs: 1, Steps: 9}, 4*(2*5+5*5+5) + 5 + 1},
		{model.Recurrent{Cell: model.GRU, Inputs: 2, Hidden: 5, Outputs: 1, Steps: 9}, 3*(2*5+5*5+5) + 5 + 1},
	} {
		net := must(test.config.New(1))
		if got := net.Parameters(); got != test.want {
			t.Errorf("%s: %d parameters, want %d", test.config, got, test.want)
		}
		inStore := 0
		for v := range net.Store().IterVariables() {
			if v.Trainable {
				inStore += v.Shape().Size()
			}
		}
		if inStore != test.want {
			t.Errorf("%s: %d trainable values in the store, want %d", test.config, inStore, test.want)
		}
	}
}

func TestSameSeedSameBits(t *testing.T) {
	for _, c := range configs() {
		a, b, other := must(c.New(7)), must(c.New(7)), must(c.New(8))
		differs := false
		for _, name := range a.Variables() {
			values := must(a.Values(name))
			if !slices.Equal(values, must(b.Values(name))) {
				t.Errorf("%s: %s differs for one seed", c, name)
			}
			differs = differs || !slices.Equal(values, must(other.Values(name)))
		}
		if !differs {
			t.Errorf("%s: two seeds give the same weights", c)
		}
	}
}

func TestDeeperLeavesTheOthers(t *testing.T) {
	c := model.MLP{Inputs: 4, Outputs: 2, Depth: 3, Width: 5, Activation: activation.Tanh, SigmaB: 1}
	shallow := must(c.New(3))
	c.Depth = 4
	deep := must(c.New(3))
	for _, name := range shallow.Variables() { // out has the same fan-in, and its own stream
		if !slices.Equal(must(shallow.Values(name)), must(deep.Values(name))) {
			t.Errorf("%s changed when a layer was added", name)
		}
	}
}

func TestWeightsAreDrawnAsSaid(t *testing.T) {
	out := initializer.Identity(1)
	c := model.MLP{Inputs: 400, Outputs: 300, Depth: 1, Width: 300, Activation: activation.Tanh, Weights: initializer.Normal(2), SigmaB: 0.5, OutputWeights: &out, DType: float64Type}
	net := must(c.New(1))
	check := func(name string, want float64) {
		if _, variance := moments(must(net.Values(name))); math.Abs(variance/want-1) > 6*math.Sqrt(2/float64(len(must(net.Values(name))))) {
			t.Errorf("%s has variance %g, want %g", name, variance, want)
		}
	}
	check("h1", 4.0/400)
	check("h1/b", 0.25)
	check("out/b", 0.25)
	if w := matrixOf(net.Weights("out")); w[2][2] != 1 || w[2][3] != 0 {
		t.Errorf("out is not the identity: %v", w[2][:4])
	}
	// An LSTM's gates are drawn one by one: each block of U is orthogonal. The forget gate's bias is open.
	u := initializer.Orthogonal(1)
	r := must(model.Recurrent{Cell: model.LSTM, Inputs: 2, Hidden: 6, Outputs: 1, Steps: 2, RecurrentWeights: &u, ForgetBias: 1, DType: float64Type}.New(1))
	if want := slices.Concat(make([]float64, 6), slices.Repeat([]float64{1}, 6), make([]float64, 12)); !slices.Equal(must(r.Values("h/b")), want) {
		t.Errorf("b is %v, want %v", must(r.Values("h/b")), want)
	}
	all := matrixOf(r.Weights("h/U"))
	if all[0][0] == all[0][6] {
		t.Error("two gates have the same weights")
	}
	for gate := range 4 {
		for i := range 6 {
			for j := range 6 {
				dot, want := 0.0, 0.0
				for k := range 6 {
					dot += all[k][6*gate+i] * all[k][6*gate+j]
				}
				if i == j {
					want = 1
				}
				if math.Abs(dot-want) > 1e-12 {
					t.Errorf("gate %d: columns %d and %d have the product %g", gate, i, j, dot)
				}
			}
		}
	}
}

func TestNames(t *testing.T) {
	net := must(model.MLP{Inputs: 4, Outputs: 2, Depth: 2, Width: 5, Activation: activation.Tanh}.New(3))
	if got := strings.Join(net.Names(), " "); got != "h1 h2 out" {
		t.Errorf("names are %s", got)
	}
	if got := strings.Join(net.Variables(), " "); got != "h1/W h1/b h2/W h2/b out/W out/b" {
		t.Errorf("variables are %s", got)
	}
	for _, name := range []string{"h2", "h2/W", "/h2/W"} {
		if got := net.Weights(name).Shape().Dimensions; !slices.Equal(got, []int{5, 5}) {
			t.Errorf("%s is %v", name, got)
		}
	}
	if _, err := net.Values("h3"); err == nil || !strings.Contains(err.Error(), `no layer or variable "h3"; layers are h1, h2, out`) {
		t.Errorf("Values(h3): %v", err)
	}
	for _, bad := range []*tensors.Tensor{nil, normals(1, 5, 4), normals(1, 25), tensors.FromValue([][]int32{{1}})} {
		if err := net.SetWeights("h2", bad); err == nil || !strings.Contains(err.Error(), "want (Float32)[5, 5]") {
			t.Errorf("SetWeights(%v): %v", bad, err)
		}
	}
	func() {
		defer func() {
			if r := recover(); r == nil || !strings.Contains(r.(error).Error(), `"h9"`) {
				t.Errorf("Weights(h9) panicked with %v", r)
			}
		}()
		net.Weights("h9")
	}()
}

// taps returns the taps of a net, as gradflow sees them.
func taps(t *testing.T, c model.Config, dims ...int) (list []gradflow.LayerTap) {
	t.Helper()
	net := must(c.New(1))
	exec := must(mlmodel.NewExec(engine, net.Store(), func(scope *mlmodel.Scope, x *graph.Node) *graph.Node {
		y := net.Logits(scope, x)
		list = gradflow.Taps(x.Graph())
		return y
	}))
	defer exec.Finalize()
	must(exec.Exec(normals(1, dims...)))
	return list
}

func TestTaps(t *testing.T) {
	names := func(list []gradflow.LayerTap) string {
		var all []string
		for _, tap := range list {
			all = append(all, tap.Name)
			if tap.Z == nil != strings.HasPrefix(tap.Name, "c/") || tap.H == nil {
				t.Errorf("tap %s has Z %v and H %v", tap.Name, tap.Z, tap.H)
			}
		}
		return strings.Join(all, " ")
	}
	mlp := taps(t, model.MLP{Inputs: 4, Outputs: 2, Depth: 2, Width: 5, Activation: activation.Tanh}, 3, 4)
	if got := names(mlp); got != "h1 h2 out" {
		t.Errorf("taps of an MLP: %s", got)
	}
	for _, tap := range mlp {
		if tap.W == nil || tap.B == nil || tap.W.Rank() != 2 {
			t.Errorf("tap %s has W %v and B %v", tap.Name, tap.W, tap.B)
		}
	}
	if mlp[1].Activation != activation.Tanh || mlp[2].Activation != activation.Linear {
		t.Errorf("activations are %s and %s", mlp[1].Activation, mlp[2].Activation)
	}
	conv := taps(t, model.ConvNet{N: 1, Image: [3]int{8, 8, 1}, Classes: 2, Channels: 2, Residual: true, Norm: model.BatchNorm}, 3, 8, 8, 1)
	if got := names(conv); got != "h1 h2 h3 h4 h5 h6 h7 out" {
		t.Errorf("taps of a residual net: %s", got)
	}
	lstm := taps(t, model.Recurrent{Cell: model.LSTM, Inputs: 2, Hidden: 4, Outputs: 1, Steps: 3, TapCell: true}, 5, 3, 2)
	if got := names(lstm); got != "h/t001 c/t001 h/t002 c/t002 h/t003 c/t003 out" {
		t.Errorf("taps of an LSTM: %s", got)
	}
	if lstm[4].W == nil || lstm[0].W != nil || lstm[2].W != nil {
		t.Error("U must be tapped once, at the last step")
	}
	if got := lstm[0].H.Shape().Dimensions; !slices.Equal(got, []int{5, 4}) {
		t.Errorf("h_1 is %v", got)
	}
}

// gradflow knows a plain layer, z = W h + b and h = phi(z), by the operations that it is built of, and then takes its Jacobian from W and z.
func TestGradflowKnowsPlainLayers(t *testing.T) {
	for _, test := range []struct {
		config model.MLP
		want   bool
	}{
		{model.MLP{Inputs: 4, Outputs: 2, Depth: 2, Width: 5, Activation: activation.ReLU, SigmaB: 1}, true},
		{model.MLP{Inputs: 4, Outputs: 2, Depth: 2, Width: 5, Activation: activation.Tanh, Norm: model.BatchNorm}, false},
		{model.MLP{Inputs: 4, Outputs: 2, Depth: 2, Width: 5, Activation: activation.Tanh, Residual: model.PreActivation}, false},
	} {
		net := must(test.config.New(1))
		meter := must(gradflow.NewMeter(engine, net.Store(), net.Logits, loss.SparseCategoricalCrossEntropyLogits, gradflow.Options{}))
		report, err := meter.Measure([]*tensors.Tensor{normals(1, 6, 4)}, []*tensors.Tensor{labelsFor(6, 2)})
		if err != nil {
			t.Fatal(err)
		}
		if got := report.Layers[1]; got.Name != "h2" || got.Plain != test.want || !(got.DeltaNorm > 0) || !(got.WGradNorm > 0) {
			t.Errorf("%s: layer 2 is %+v", test.config, got)
		}
		if test.config.Norm == model.BatchNorm && must(net.Values("h1/norm/steps"))[0] != 0 {
			t.Error("measuring moved the running averages")
		}
	}
}

func TestInputErrors(t *testing.T) {
	mlp := model.MLP{Inputs: 6, Outputs: 2}
	conv := model.ConvNet{Image: [3]int{8, 8, 1}, Classes: 2}
	recurrent := model.Recurrent{Inputs: 2, Hidden: 3, Outputs: 2, Steps: 4}
	batch := model.MLP{Inputs: 6, Outputs: 2, Depth: 1, Width: 2, Activation: activation.ReLU, Norm: model.BatchNorm}
	for _, test := range []struct {
		config model.Config
		x      *tensors.Tensor
		want   string
	}{
		{mlp, normals(1, 3, 6), ""},
		{mlp, normals(1, 3, 2, 3), ""}, // flattened
		{mlp, normals(1, 3, 5), "the input is (Float64)[3, 5]; the net mlp 6-2 normal(gain 1) wants [batch, 6]"},
		{mlp, normals(1, 6), "wants [batch, 6]"},
		{mlp, tensors.FromValue([][]int32{{1, 2, 3, 4, 5, 6}}), "must be floating point"},
		{conv, normals(1, 3, 8, 8, 1), ""},
		{conv, normals(1, 3, 8, 8), "wants [batch, 8, 8, 1]"},
		{conv, normals(1, 3, 8, 1, 8), "wants [batch, 8, 8, 1]"},
		{recurrent, normals(1, 3, 4, 2), ""},
		{recurrent, normals(1, 3, 5, 2), "wants [batch, 4, 2]"},
	} {
		out, err := must(test.config.New(1)).Predict(engine, test.x)
		if test.want == "" {
			if err != nil || out.DType() != dtypes.Float32 || out.Shape().Dimensions[0] != 3 || out.Shape().Dimensions[1] != 2 {
				t.Errorf("%s of %s: %v, %v", test.config, test.x.Shape(), out, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s of %s: %v; want %q", test.config, test.x.Shape(), err, test.want)
		}
	}
	net := must(batch.New(1))
	exec := must(mlmodel.NewExec(engine, net.Store(), net.LogitsOfBatch))
	defer exec.Finalize()
	if _, err := exec.Exec(normals(1, 1, 6)); err == nil || !strings.Contains(err.Error(), "needs at least 2 values") {
		t.Errorf("batch normalisation of one example: %v", err)
	}
	stranger := must(mlmodel.NewExec(engine, mlmodel.NewStore(), net.Logits))
	defer stranger.Finalize()
	if _, err := stranger.Exec(normals(1, 2, 6)); err == nil || !strings.Contains(err.Error(), `no variable "/h1/W"`) {
		t.Errorf("a net in a store of its own: %v", err)
	}
}

func TestClone(t *testing.T) {
	c := model.MLP{Inputs: 3, Outputs: 2, Depth: 2, Width: 4, Activation: activation.ReLU, Norm: model.BatchNorm}
	net := must(c.New(1))
	run(t, net, training, normals(1, 8, 3)) // moves the running averages
	twin := must(net.Clone())
	for _, name := range net.Variables() {
		if !slices.Equal(must(net.Values(name)), must(twin.Values(name))) {
			t.Errorf("%s differs in the clone", name)
		}
		if a, b := net.Store().GetVariable("/"+name), twin.Store().GetVariable("/"+name); a.Trainable != b.Trainable {
			t.Errorf("%s is trainable: %v in the net, %v in the clone", name, a.Trainable, b.Trainable)
		}
	}
	set(t, twin, "h1", slices.Repeat([]float64{9}, 12))
	if got := must(net.Values("h1"))[0]; got == 9 {
		t.Error("a change to the clone changed the net")
	}
}

func TestDiagram(t *testing.T) {
	net := must(model.ConvNet{N: 1, Image: [3]int{8, 8, 3}, Classes: 2, Channels: 4, Residual: true, Shortcut: model.ProjectionShortcut, Norm: model.BatchNorm}.New(1))
	layers := net.Diagram()
	total := 0
	for _, l := range layers {
		total += l.Parameters
	}
	if total != net.Parameters() {
		t.Errorf("the layers have %d parameters, the net %d", total, net.Parameters())
	}
	l := layers[4]
	if l.Name != "h5" || l.Kind != "conv 3x3" || l.SkipFrom != "h3" || l.Activation != "relu" || l.Norm != "batch" || !slices.Equal(l.In, []int{4, 4, 8}) || !slices.Equal(l.Out, []int{4, 4, 8}) {
		t.Errorf("layer 5 is %+v", l)
	}
	if l := layers[3]; l.Kind != "conv 3x3 /2" || l.SkipFrom != "" || !slices.Equal(l.In, []int{8, 8, 4}) {
		t.Errorf("layer 4 is %+v", l)
	}
}

// Running averages: after the first training step they are that batch's mean and unbiased variance; after the second the mean of both batches' (weight 1/2);
// from the tenth on a batch has weight 0.1. Measuring by the batch does not move them.
func TestRunningAverages(t *testing.T) {
	c := model.MLP{Inputs: 3, Outputs: 2, Depth: 1, Width: 3, Activation: activation.Linear, Weights: initializer.Identity(1), Norm: model.BatchNorm, DType: float64Type}
	net := must(c.New(1))
	var mean, variance float64
	for step := range 14 {
		x := normals(uint64(step), 5, 3)
		var column []float64
		for _, row := range matrixOf(x) {
			column = append(column, row[1])
		}
		m, v := moments(column)
		share := max(1/float64(step+1), 0.1)
		mean += share * (m - mean)
		variance += share * (v*5/4 - variance)
		if step == 0 {
			variance = v * 5 / 4
		}
		run(t, net, ofBatch, x)
		run(t, net, training, x)
		run(t, net, inference, x)
		got := [2]float64{must(net.Values("h1/norm/mean"))[1], must(net.Values("h1/norm/variance"))[1]}
		if math.Abs(got[0]-mean) > 1e-12 || math.Abs(got[1]-variance) > 1e-12 {
			t.Fatalf("step %d: the running mean and variance are %v, want %g and %g", step, got, mean, variance)
		}
	}
}

func TestLongTablesAreCut(t *testing.T) {
	net := must(model.MLP{Inputs: 3, Outputs: 2, Depth: 200, Width: 2, Activation: activation.Tanh}.New(1))
	table := net.String()
	if lines := strings.Count(table, "\n"); lines != 33 || !strings.Contains(table, "171 more") || !strings.Contains(table, "\nh200 ") || !strings.Contains(table, "\nout ") {
		t.Errorf("%d lines:\n%s", lines, table)
	}
}
