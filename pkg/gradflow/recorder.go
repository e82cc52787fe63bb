package gradflow

import (
	"fmt"
	"slices"
	"sync"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	mlmodel "github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/optimizer"
	"github.com/gomlx/gomlx/support/exceptions"
	"github.com/pkg/errors"
)

// RecorderOptions says what a Recorder keeps. The zero value records every step.
type RecorderOptions struct {
	// Every is the distance of recorded steps: those whose number it divides. 0 means 1, every step. A step whose loss is NaN or infinite
	// is always recorded.
	Every int `json:"every,omitempty"`
	// Keep is how many records stay on the device before they are read, all at once; 0 means 16. An attached loop reads them in time;
	// without one, records that are not read by Reports before Keep others have been made are lost.
	Keep int `json:"keep,omitempty"`
	// Histogram asks for histograms of h and z in bins of equal width; they cost more than all the rest.
	Histogram Bins `json:"histogram,omitzero"`
}

// Recorder records what flows through a model while it trains. It is made around an optimizer, which it feeds with the gradients that it
// took itself, so that there is still one backward pass:
//
//	recorder, err := gradflow.NewRecorder(optimizer.Adam().Done(), gradflow.RecorderOptions{Every: 10})
//	trainer := train.NewTrainer(backend, store, modelFn, lossFn, recorder.Optimizer(), nil, nil)
//	loop := train.NewLoop(trainer)
//	recorder.Attach(loop)
//	_, err = loop.RunSteps(recorder.Dataset(dataset), 1000)
//	reports, err := recorder.Reports()
//
// A Recorder serves one store. Its methods may be called from several goroutines, though not while a step runs.
type Recorder struct {
	inner   optimizer.Interface
	options RecorderOptions

	mu      sync.Mutex // guards what follows
	store   *mlmodel.Store
	graphs  []*recorded // what the records of each graph mean: batches of another size have a graph of their own
	reports []*Report
	read    int // records taken from the device, those lost included
	lost    int
	stop    *StopError
	mark    marking // of the batch under way
}

// The recorder's variables in the store, both float64 and not trainable: records holds the newest records, one a row, the newest last; steps
// the number of steps seen, where the optimizer does not count them.
const (
	// Scope is the scope of the Recorder's variables in the store.
	Scope       = "gradflow"
	recordsName = "records"
	stepsName   = "steps"
)

// NewRecorder returns a Recorder around an optimizer.
//
// Errors: no optimizer, negative or impossible options.
func NewRecorder(opt optimizer.Interface, options RecorderOptions) (*Recorder, error) {
	if opt == nil {
		return nil, errors.Errorf("gradflow.NewRecorder: no optimizer is given; give the one to train with")
	}
	if options.Every < 0 || options.Keep < 0 {
		return nil, errors.Errorf("gradflow.NewRecorder: Every is %d and Keep %d; both must be positive, or 0 for the default", options.Every, options.Keep)
	}
	if err := options.Histogram.check(); err != nil {
		return nil, err
	}
	if options.Every == 0 {
		options.Every = 1
	}
	if options.Keep == 0 {
		options.Keep = 16
	}
	options.Keep = max(2, options.Keep) // the oldest is cut off: see record
	return &Recorder{inner: opt, options: options}, nil
}

// Optimizer returns the optimizer to train with: it does what the one given to NewRecorder does, and records.
func (r *Recorder) Optimizer() optimizer.Interface { return &recording{r} }

// recording is the optimizer that a Recorder is seen as.
type recording struct{ *Recorder }

var _ train.OptimizeWithGradients = &recording{}

// UpdateGraph implements optimizer.Interface.
func (o *recording) UpdateGraph(scope *mlmodel.Scope, g *graph.Graph, loss *graph.Node) {
	if !loss.Shape().IsScalar() {
		exceptions.Panicf("gradflow.Recorder: the loss is %s; it must be a scalar", loss.Shape())
	}
	var variables []*graph.Node
	for v := range scope.IterVariables() {
		if v.Trainable && v.InUseByGraph(g) {
			variables = append(variables, v.NodeValue(g))
		}
	}
	gradients, flows := differentiate(loss, variables, o.taps(g))
	around := surroundings{variables: values(scope, g), loss: train.GetMainLoss(g)}
	step(o.inner, scope, loss, gradients)
	updates(g, around.variables, flows)
	o.record(scope.Store(), g, loss, flows, around)
}

// UpdateGraphWithGradients implements train.OptimizeWithGradients, for trainers that accumulate gradients. The inner optimizer must
// implement it, too. What is recorded are the last batch's numbers.
func (o *recording) UpdateGraphWithGradients(scope *mlmodel.Scope, gradients []*graph.Node, lossDType dtypes.DType) {
	inner, ok := o.inner.(train.OptimizeWithGradients)
	if !ok {
		exceptions.Panicf("gradflow.Recorder: the optimizer %T does not take gradients, so that they cannot be accumulated; use one that "+
			"implements train.OptimizeWithGradients", o.inner)
	}
	if len(gradients) == 0 {
		return
	}
	g := gradients[0].Graph()
	loss := train.TotalLoss(g)
	_, flows := differentiate(loss, nil, o.taps(g))
	around := surroundings{variables: values(scope, g), loss: train.GetMainLoss(g)}
	inner.UpdateGraphWithGradients(scope, gradients, lossDType)
	updates(g, around.variables, flows)
	o.record(scope.Store(), g, loss, flows, around)
}

// Clear implements optimizer.Interface: it clears the inner optimizer's variables and the recorder's.
func (o *recording) Clear(scope *mlmodel.Scope) error {
	if err := o.inner.Clear(scope); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.read = 0
	return scope.Store().Scope("/" + Scope).DeleteVariablesInScope()
}

func (r *Recorder) taps(g *graph.Graph) []LayerTap {
	taps := Taps(g)
	if len(taps) == 0 {
		exceptions.Panicf("gradflow.Recorder: the model has no taps: mark its layers with gradflow.Tap(h, \"name\", ...)")
	}
	return taps
}

// The first numbers of a record: which of the recorder's graphs made it, the step, the loss, how many records there are with it. Sums and histograms follow.
const (
	recordGraph = iota
	recordStep
	recordLoss
	recordCount
	recordHead
)

// record adds to the graph what writes one record.
func (r *Recorder) record(store *mlmodel.Store, g *graph.Graph, loss *graph.Node, flows []flow, around surroundings) {
	meaning := &recorded{places: placesOf(flows, around)}
	number, mark := r.layOut(store, meaning)
	global := store.GetVariable("/" + optimizer.GlobalStepVariableName)
	counted := global != nil && global.ChangedInGraph(g)
	if counted && mark == markedPlain {
		return
	}
	scope := store.Scope("/" + Scope)
	one := graph.Const(g, 1.0)
	var step *graph.Node
	if counted {
		step = wide(global.NodeValue(g))
	} else {
		steps := scope.VariableWithValue(stepsName, 0.0).SetTrainable(false)
		step = graph.Add(steps.NodeValue(g), one)
		steps.SetNodeValue(step)
	}
	if mark == markedPlain {
		return
	}
	loss = wide(loss)
	totals, cells := sums(flows, maxFold)
	meaning.cells = cells
	rest := append([]*graph.Node{totals}, r.options.Histogram.all(flows)...)
	width, keep := recordHead, r.options.Keep
	for _, part := range rest {
		width += part.Shape().Size()
	}
	records := scope.VariableWithValue(recordsName, tensors.FromFlatDataAndDimensions(make([]float64, keep*width), keep, width)).SetTrainable(false)
	// The newest record goes in at the end and the oldest falls out. (The pure-Go backend has no DynamicUpdateSlice for a ring.)
	old := records.NodeValue(g)
	count := graph.Add(graph.Reshape(graph.Slice(old, graph.AxisElem(keep-1), graph.AxisElem(recordCount)), 1), graph.Reshape(one, 1))
	head := []*graph.Node{graph.Const(g, []float64{float64(number)}), graph.Reshape(step, 1), graph.Reshape(loss, 1), count}
	row := graph.Concatenate(append(head, rest...), 0)
	pushed := graph.Concatenate([]*graph.Node{graph.Slice(old, graph.AxisRange(1, keep)), graph.Reshape(row, 1, width)}, 0)
	if mark == unmarked && r.options.Every > 1 {
		due := graph.LogicalOr(graph.LogicalNot(graph.IsFinite(loss)),
			graph.Equal(graph.Mod(step, graph.Const(g, float64(r.options.Every))), graph.Const(g, 0.0)))
		pushed = graph.Where(due, pushed, old)
	}
	records.SetNodeValue(pushed)
}

// recorded says what the numbers of a record mean.
type recorded struct {
	places []place
	cells  []int // of the sums
}

// layOut notes what the records of one graph mean, and returns its number and mark. It checks that the records of
// the recorder's graphs, which share a variable, are of one kind.
func (r *Recorder) layOut(store *mlmodel.Store, meaning *recorded) (number int, mark marking) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.store != nil && r.store != store {
		exceptions.Panicf("gradflow.Recorder: it already records another store's training; make one recorder for each")
	}
	if len(r.graphs) > 0 {
		if want, got := names(r.graphs[0].places), names(meaning.places); want != got {
			exceptions.Panicf("gradflow.Recorder: the taps were %s and are now %s; one recorder keeps one set of taps", want, got)
		}
	}
	r.store = store
	r.graphs = append(r.graphs, meaning)
	return len(r.graphs) - 1, r.mark
}

func names(places []place) string {
	var list []string
	for _, p := range places {
		list = append(list, p.blank.Name)
	}
	return fmt.Sprint(list)
}

// drain reads the records made since the last time from the device. Callers hold r.mu.
func (r *Recorder) drain() error {
	if r.store == nil {
		return nil
	}
	records := r.store.GetVariable("/" + Scope + "/" + recordsName)
	if records == nil || !records.HasValue() {
		return nil
	}
	flat, err := copied(records)
	if err != nil {
		return err
	}
	width := records.Shape().Dimensions[1]
	made := int(flat[len(flat)-width+recordCount])
	if first := made - r.options.Keep; first > r.read {
		r.lost += first - r.read
		r.read = first
	}
	for ; r.read < made; r.read++ {
		row := len(flat)/width - (made - r.read)
		r.reports = append(r.reports, r.report(flat[row*width:(row+1)*width]))
	}
	return nil
}

func copied(v *mlmodel.Variable) ([]float64, error) {
	t, err := v.Value()
	if err != nil {
		return nil, err
	}
	return tensors.CopyFlatData[float64](t)
}

func (r *Recorder) report(row []float64) *Report {
	meaning := r.graphs[int(row[recordGraph])]
	report := &Report{Step: int(row[recordStep]), Loss: row[recordLoss], Batch: meaning.places[0].batch}
	numbers := row[recordHead:]
	rows := spread(numbers, meaning.cells, len(meaning.places))
	for i, p := range meaning.places {
		report.Layers = append(report.Layers, p.layer(rows[i]))
	}
	r.options.Histogram.read(report.Layers, numbers[len(meaning.cells):])
	return report
}

// Reports returns what has been recorded so far, oldest first. Reading waits for the step under way.
//
// Errors: the records could not be read from the device.
func (r *Recorder) Reports() ([]*Report, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.drain(); err != nil {
		return nil, errors.WithMessage(err, "gradflow.Recorder: the records could not be read")
	}
	return slices.Clone(r.reports), nil
}

// Lost returns the number of records that were overwritten before they were read; 0 if a loop is attached.
func (r *Recorder) Lost() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lost
}
