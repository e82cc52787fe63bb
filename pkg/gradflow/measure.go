package gradflow

import (
	"math"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	mlmodel "github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/optimizer"
	"github.com/gomlx/gomlx/support/exceptions"
	"github.com/pkg/errors"
)

// Measure runs the model forward and back on one batch and reports what flowed. Inputs and labels are tensors, slices of tensors, or nested
// slices of numbers; labels may be nil if the loss needs none. The tensors stay the caller's. Nothing in the store changes.
//
// NaN and infinite losses are reported, not errors. Errors: a model without taps, shapes that do not fit, examples asked for that the batch does not have.
func (m *Meter) Measure(inputs, labels any) (*Report, error) {
	in, err := tensorsOf("inputs", inputs)
	if err != nil {
		return nil, err
	}
	out, err := tensorsOf("labels", labels)
	if err != nil {
		return nil, err
	}
	if len(in) == 0 {
		return nil, errors.Errorf("gradflow: no inputs are given; give at least one tensor, the batch as its first axis")
	}
	if m.exec == nil {
		m.inputs, m.labels = len(in), len(out)
		if m.exec, err = mlmodel.NewExec(m.backend, m.store, m.build); err != nil {
			return nil, errors.WithMessage(err, "gradflow: the measurement cannot be set up")
		}
		m.exec.SetMaxCache(-1)
	}
	if len(in) != m.inputs || len(out) != m.labels {
		return nil, errors.Errorf("gradflow: %d inputs and %d labels are given, and at the first measurement they were %d and %d; "+
			"make a new Meter for another kind of batch", len(in), len(out), m.inputs, m.labels)
	}
	args := make([]any, 0, len(in)+len(out))
	for _, t := range append(in[:len(in):len(in)], out...) {
		args = append(args, t)
	}
	var results []*tensors.Tensor
	var g *graph.Graph
	if caught := exceptions.TryCatch[error](func() { results, g, err = m.exec.CallWithGraph(args...) }); caught != nil {
		err = caught
	}
	if err != nil {
		return nil, errors.WithMessage(err, "gradflow: the model could not be measured")
	}
	l := m.layouts[g.GraphId()]
	report := m.report(l, results)
	if m.options.SingularValues > 0 || m.options.InputJacobian > 0 {
		if err := m.jacobians(report, l, in); err != nil {
			return nil, err
		}
	}
	if !m.options.Tensors {
		for i := range report.Layers {
			report.Layers[i].Tensors = nil
		}
	}
	return report, nil
}

// build is the graph of one measurement.
func (m *Meter) build(scope *mlmodel.Scope, args []*graph.Node) []*graph.Node {
	g := args[0].Graph()
	inputs, labels := args[:m.inputs], args[m.inputs:]
	m.store.SetTraining(g, !m.options.Inference)
	predictions := m.model(scope, nil, inputs)
	if m.loss != nil {
		train.AddMainLoss(m.loss(labels, predictions))
	}
	loss := train.TotalLoss(g)
	if loss == nil {
		exceptions.Panicf("there is no loss: give NewMeter a loss function, or let the model call train.AddMainLoss")
	}
	taps := Taps(g)
	if len(taps) == 0 {
		exceptions.Panicf("the model has no taps: mark its layers with gradflow.Tap(h, \"name\", ...)")
	}
	var variables []*graph.Node
	if m.options.Optimizer != nil {
		for v := range scope.IterVariables() {
			if v.Trainable && v.InUseByGraph(g) {
				variables = append(variables, v.NodeValue(g))
			}
		}
	}
	gradients, flows := differentiate(loss, variables, taps)
	around := surroundings{variables: values(scope, g), outputs: predictions, loss: train.GetMainLoss(g)}
	if m.options.Optimizer != nil {
		step(m.options.Optimizer, scope, loss, gradients)
		updates(g, around.variables, flows)
	}
	m.restore(scope, g)

	l := &layout{places: placesOf(flows, around)}
	if len(predictions) > 0 && predictions[0].Rank() > 0 {
		l.outputs = predictions[0].Shape().Size() / predictions[0].Shape().Dimensions[0]
	}
	m.layouts[g.GraphId()] = l
	totals, cells := sums(flows, onceFold)
	l.cells = cells
	numbers := []*graph.Node{graph.Reshape(wide(loss), 1), totals}
	if len(m.options.Pair) == 2 {
		for _, f := range flows {
			numbers = append(numbers, pair(f, m.options.Pair))
		}
	}
	numbers = append(numbers, m.options.Histogram.all(flows)...)
	results := []*graph.Node{graph.Concatenate(numbers, 0)}
	if m.options.Tensors || m.options.SingularValues > 0 {
		for i, f := range flows {
			for _, part := range []struct {
				name string
				node *graph.Node
			}{{"H", f.H}, {"Z", f.Z}, {"W", f.W}, {"B", f.B}, {"Delta", f.delta}, {"HGrad", f.hGrad}, {"WGrad", f.wGrad}, {"BGrad", f.bGrad}} {
				if part.node != nil {
					results = append(results, part.node)
					l.tensors, l.layerOf = append(l.tensors, part.name), append(l.layerOf, i)
				}
			}
		}
	}
	return results
}

// step adds the optimizer's step to the graph, with gradients at hand if it takes them.
func step(opt optimizer.Interface, scope *mlmodel.Scope, loss *graph.Node, gradients []*graph.Node) {
	if o, ok := opt.(train.OptimizeWithGradients); ok {
		o.UpdateGraphWithGradients(scope, gradients, loss.DType())
		return
	}
	// The optimizer takes the gradients itself; both backends find the second backward pass equal to the first and drop it.
	opt.UpdateGraph(scope, loss.Graph(), loss)
}

// values returns the variable of each node that is one's value in the graph.
func values(scope *mlmodel.Scope, g *graph.Graph) map[*graph.Node]*mlmodel.Variable {
	of := make(map[*graph.Node]*mlmodel.Variable)
	for v := range scope.Store().IterVariables() {
		if v.InUseByGraph(g) {
			of[v.NodeValue(g)] = v
		}
	}
	return of
}

// updates notes in the flows how a step that was just added to the graph changes their weights.
func updates(g *graph.Graph, before map[*graph.Node]*mlmodel.Variable, flows []flow) {
	for i := range flows {
		if v, ok := before[flows[i].W]; ok {
			flows[i].updated = v.NodeValue(g)
		}
	}
}

// restore undoes what the model and the optimizer wrote to variables, so that measuring changes nothing.
func (m *Meter) restore(scope *mlmodel.Scope, g *graph.Graph) {
	for v := range scope.Store().IterVariables() {
		if v.InUseByGraph(g) && v.ChangedInGraph(g) {
			v.SetNodeValue(g.GetParameterByName(v.Path()))
		}
	}
}

// pair returns [6]: the dot products ab, aa and bb of two examples' z (of h without z), then of their h.
func pair(f flow, examples []int) *graph.Node {
	r := newReducer(f.H.Graph())
	batch := f.H.Shape().Dimensions[0]
	for _, e := range examples {
		if e < 0 || e >= batch {
			exceptions.Panicf("Options.Pair asks for example %d, and the batch has %d: the first is 0, the last %d", e, batch, batch-1)
		}
	}
	z := f.Z
	if z == nil {
		z = f.H
	}
	var products []*graph.Node
	for _, x := range []*graph.Node{z, f.H} {
		x = matrix(x, true)
		a, b := wide(graph.SliceAxis(x, 0, graph.AxisElem(examples[0]))), wide(graph.SliceAxis(x, 0, graph.AxisElem(examples[1])))
		for _, product := range []*graph.Node{graph.Mul(a, b), graph.Square(a), graph.Square(b)} {
			products = append(products, graph.Reshape(r.sum(product), 1))
		}
	}
	return graph.Concatenate(products, 0)
}

// counts returns [bins+3]: how many entries lie below each of the bins+1 edges, how many are at or above Low or below it (all but NaN), and how many there are.
func counts(x *graph.Node, bins Bins) *graph.Node {
	r := newReducer(x.Graph())
	var cells []*graph.Node
	for i := range bins.Count + 1 {
		edge := r.constant(x.DType(), bins.edge(i))
		cells = append(cells, graph.Reshape(r.count(graph.LessThan(x, edge)), 1))
	}
	low := r.constant(x.DType(), bins.Low)
	cells = append(cells, graph.Reshape(r.count(graph.GreaterOrEqual(x, low)), 1), graph.Const(x.Graph(), []float64{float64(x.Shape().Size())}))
	return graph.Concatenate(cells, 0)
}

// all returns the counts of all flows, h's and then z's of each; none without bins.
func (b Bins) all(flows []flow) (cells []*graph.Node) {
	if b.Count == 0 {
		return nil
	}
	for _, f := range flows {
		cells = append(cells, counts(f.H, b))
		if f.Z != nil {
			cells = append(cells, counts(f.Z, b))
		}
	}
	return cells
}

// read gives the layers the histograms that all counted, and returns the numbers that follow.
func (b Bins) read(layers []LayerReport, numbers []float64) []float64 {
	if b.Count == 0 {
		return numbers
	}
	next := func() *Histogram {
		h := b.histogram(numbers)
		numbers = numbers[b.Count+3:]
		return h
	}
	for i := range layers {
		layers[i].Histogram = next()
		if layers[i].HasZ {
			layers[i].ZHistogram = next()
		}
	}
	return numbers
}

func (b Bins) edge(i int) float64 { return b.Low + (b.High-b.Low)*float64(i)/float64(b.Count) }

// histogram makes a Histogram of what counts returned.
func (b Bins) histogram(row []float64) *Histogram {
	h := &Histogram{Low: b.Low, High: b.High, Below: int(row[0])}
	for i := range b.Count {
		h.Counts = append(h.Counts, int(row[i+1]-row[i]))
	}
	atLeast, all := row[b.Count+1], row[b.Count+2]
	h.Above = int(row[0] + atLeast - row[b.Count])
	h.NaN = int(all - atLeast - row[0])
	return h
}

// report reads the numbers of one measurement.
func (m *Meter) report(l *layout, results []*tensors.Tensor) *Report {
	numbers := tensors.MustCopyFlatData[float64](results[0])
	take := func(n int) []float64 {
		head := numbers[:n]
		numbers = numbers[n:]
		return head
	}
	r := &Report{Loss: take(1)[0], Batch: l.places[0].batch}
	if v := m.store.GetVariable("/" + optimizer.GlobalStepVariableName); v != nil && v.HasValue() {
		r.Step = int(tensors.ToScalar[int64](v.MustValue()))
	}
	rows := spread(take(len(l.cells)), l.cells, len(l.places))
	for i, p := range l.places {
		layer := p.layer(rows[i])
		if m.options.LearningRate != 0 {
			layer.UpdateRatio = m.options.LearningRate * layer.WGradNorm / layer.WNorm
		}
		r.Layers = append(r.Layers, layer)
	}
	if len(m.options.Pair) == 2 {
		for i := range r.Layers {
			p := take(6)
			r.Layers[i].Pair = &Pair{Correlation: p[0] / math.Sqrt(p[1]*p[2]), Cosine: p[3] / math.Sqrt(p[4]*p[5])}
		}
	}
	m.options.Histogram.read(r.Layers, numbers)
	for i, t := range results[1:] {
		layer := &r.Layers[l.layerOf[i]]
		if layer.Tensors == nil {
			layer.Tensors = &Tensors{}
		}
		*layer.Tensors.field(l.tensors[i]) = t
	}
	return r
}

func (t *Tensors) field(name string) **tensors.Tensor {
	return map[string]**tensors.Tensor{"H": &t.H, "Z": &t.Z, "W": &t.W, "B": &t.B,
		"Delta": &t.Delta, "HGrad": &t.HGrad, "WGrad": &t.WGrad, "BGrad": &t.BGrad}[name]
}
