package experiment

import (
	"context"
	"fmt"
	"iter"
	"math"
	"os"
	"os/signal"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/pkg/errors"

	"github.com/gradbook/gradbook/pkg/backend"
	"github.com/gradbook/gradbook/pkg/dataset"
	"github.com/gradbook/gradbook/pkg/gradflow"
	"github.com/gradbook/gradbook/pkg/model"
)

// Fit is one training of a net. Net, Train and Steps are needed; all else has a default. The configuration marshals to JSON, without the net, the data and the functions.
type Fit struct {
	Net   *model.Net   `json:"-"`
	Train *dataset.Set `json:"-"`
	Test  *dataset.Set `json:"-"` // for the accuracy, or the loss of a regression; nil: none is measured

	Steps       int       `json:"steps"`                  // batches to train on
	BatchSize   int       `json:"batch_size,omitempty"`   // examples of a batch; 0 is 64, or all if there are fewer
	Optimizer   Optimizer `json:"optimizer,omitempty"`    // SGD or Adam
	Rate        float64   `json:"rate,omitempty"`         // learning rate; 0 is 0.1 for SGD and 0.001 for Adam
	Momentum    float64   `json:"momentum,omitempty"`     // of SGD: 0 (none) to less than 1
	WeightDecay float64   `json:"weight_decay,omitempty"` // see SGD and Adam
	Clip        float64   `json:"clip,omitempty"`         // largest norm of all gradients together; 0: no clipping (Pascanu et al. 2013)
	Seed        uint64    `json:"seed"`                   // of the order of the examples (the net has its own)

	Every     int           `json:"every,omitempty"`      // gradflow reports: of each step whose number it divides; 0: none
	Histogram gradflow.Bins `json:"histogram,omitzero"`   // of these reports
	TestEvery int           `json:"test_every,omitempty"` // Test is measured each time that many steps are done, and at the end; 0: at the end

	Schedule func(step int) float64 `json:"-"` // the rate of each step, counted from 1, in place of Rate
	Loss     train.LossFn           `json:"-"` // nil: cross-entropy for labels, mean squared error for targets
	OnStep   func(*Step)            `json:"-"` // called after each step, in the goroutine of Run: for live figures. It need not be quick, but training waits for it
	Backend  compute.Backend        `json:"-"` // nil: backend.Default()
	Quiet    bool                   `json:"-"` // no progress bar
}

// Step is how far a training is.
type Step struct {
	Step   int              // counted from 1
	Loss   float64          // of this step's batch, before the update
	Losses []float64        // of all steps so far; not to be changed
	Report *gradflow.Report // of this step, if it was recorded
	Tests  []Test           // so far
}

// Ending is how a training ended.
type Ending string

const (
	Completed   Ending = "completed"   // all steps were done
	Interrupted Ending = "interrupted" // the context was done, or an interrupt came
	Diverged    Ending = "diverged"    // the loss of the last step is NaN or infinite
)

// Result is what a training found.
type Result struct {
	Net      *model.Net         // the net of the Fit, with its new weights
	Config   Fit                // with defaults filled in
	Ended    Ending             // how, and so whether all steps were done
	Steps    int                // steps done
	Losses   []float64          // of the batch of each step, before the update
	Norms    []float64          // with Clip: norm of all gradients of each step before clipping
	Reports  []*gradflow.Report // of the recorded steps
	Tests    []Test             // on Test, the last one at the end
	Accuracy Interval           // of the last of them, with Wilson's interval (see Proportion); NaN for a regression, without Test, and where training diverged
	TestLoss float64            // of the last of them; NaN without Test
	Time     time.Duration      // all of it: compiling, training, testing
	StepTime time.Duration      // mean time of a step after the first
	Backend  string             // name of the backend
}

// Test is a measurement on the test set.
type Test struct {
	Step     int      // steps done before it
	Loss     float64  // mean over the examples
	Accuracy Interval // NaN for a regression
}

// Run trains the net in place, from the weights that it has; the optimizer starts anew. The same net, data, configuration and backend give the same weights, bit by bit.
//
// It ends after the current step when ctx is done or an interrupt comes (os.Interrupt: Jupyter's stop button, Ctrl-C), and when the loss is NaN or infinite; both are no errors: Result.Ended
// tells. Errors are: a configuration or data that make no sense, a net that does not fit the data, and what the backend reports.
func (f Fit) Run(ctx context.Context) (*Result, error) {
	if err := f.complete(); err != nil {
		return nil, err
	}
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	t := &training{Fit: &f, started: time.Now(), bar: newProgress("training", f.Steps, f.Quiet)}
	t.result = &Result{Net: f.Net, Config: f, Ended: Completed, Accuracy: unknown(), TestLoss: math.NaN(), Backend: f.Backend.String()}
	defer t.close()
	if err := t.open(); err != nil {
		return nil, err
	}
	if err := t.train(ctx); err != nil {
		return nil, err
	}
	if err := t.summarise(); err != nil {
		return nil, err
	}
	t.bar.end(t.result.ending())
	return t.result, nil
}

func unknown() Interval {
	return Interval{Mean: math.NaN(), SD: math.NaN(), Low: math.NaN(), High: math.NaN()}
}

// complete fills in defaults and checks.
func (f *Fit) complete() error {
	if f.Net == nil {
		return errors.New("experiment.Fit: Net is nil: give a net, as the New method of a model's configuration makes it")
	}
	if err := f.Train.Validate(); err != nil {
		return errors.WithMessage(err, "experiment.Fit: Train")
	}
	if f.Test != nil {
		if err := f.Test.Validate(); err != nil {
			return errors.WithMessage(err, "experiment.Fit: Test")
		}
		if f.Train.Size() != f.Test.Size() || len(f.Train.Classes) != len(f.Test.Classes) || f.Train.TargetSize() != f.Test.TargetSize() {
			return errors.Errorf("experiment.Fit: Train (%v) and Test (%v) are of different kinds: shape and classes must agree", f.Train, f.Test)
		}
	}
	if f.BatchSize == 0 {
		f.BatchSize = min(64, f.Train.Len())
	}
	if f.Rate == 0 && f.Schedule == nil {
		f.Rate = f.Optimizer.defaultRate()
	}
	switch {
	case f.Steps < 1:
		return errors.Errorf("experiment.Fit: Steps is %d: it must be at least 1", f.Steps)
	case f.BatchSize < 1 || f.BatchSize > f.Train.Len():
		return errors.Errorf("experiment.Fit: BatchSize is %d: it must be from 1 to the %d examples of Train", f.BatchSize, f.Train.Len())
	case f.Optimizer != SGD && f.Optimizer != Adam:
		return errors.Errorf("experiment.Fit: Optimizer is %q: allowed are %q (SGD) and %q (Adam)", string(f.Optimizer), string(SGD), string(Adam))
	case f.Schedule != nil && !validRate(f.Schedule(1)):
		return errors.Errorf("experiment.Fit: Schedule(1) is %v: a rate must be a finite number, at least 0", f.Schedule(1))
	case !validRate(f.Rate) || f.Rate != 0 && f.Schedule != nil:
		return errors.Errorf("experiment.Fit: Rate is %v: it must be a finite number, at least 0, and 0 where there is a Schedule", f.Rate)
	case !(f.Momentum >= 0 && f.Momentum < 1) || f.Momentum != 0 && f.Optimizer != SGD:
		return errors.Errorf("experiment.Fit: Momentum is %v with %v: it must be at least 0 and less than 1, and 0 unless the optimizer is sgd", f.Momentum, f.Optimizer)
	case !validRate(f.WeightDecay) || !validRate(f.Clip):
		return errors.Errorf("experiment.Fit: WeightDecay is %v and Clip %v: both must be finite numbers, at least 0 (none)", f.WeightDecay, f.Clip)
	case f.Every < 0 || f.TestEvery < 0:
		return errors.Errorf("experiment.Fit: Every is %d and TestEvery %d: both must be at least 0 (none)", f.Every, f.TestEvery)
	}
	if f.Backend == nil {
		b, err := backend.Default()
		if err != nil {
			return err
		}
		f.Backend = b
	}
	return nil
}

// training is a Fit under way.
type training struct {
	*Fit
	result   *Result
	plain    *stepper // of steps that are not recorded
	recorded *stepper // of those that are
	tester   *Tester
	recorder *gradflow.Recorder
	bar      *progress
	started  time.Time
	second   time.Time // when the first step was done
}

// open builds what the steps need.
func (t *training) open() (err error) {
	if err := forget(t.Net); err != nil { // what an earlier training left: its optimizer's state, its records
		return err
	}
	opt, clip := t.optimizers()
	if t.plain, err = newStepper(t.Fit, opt, clip); err != nil {
		return err
	}
	if t.Every > 0 {
		// A graph of its own for recorded steps, in place of the recorder's own Every: that takes an If, in which GoMLX's pure-Go backend (compute v0.1.3) gives
		// buffers back twice, so that trainings at the same time write into each other's.
		t.recorder, err = gradflow.NewRecorder(opt, gradflow.RecorderOptions{Every: 1, Keep: recordsKept, Histogram: t.Histogram})
		if err != nil {
			return err
		}
		if t.recorded, err = newStepper(t.Fit, t.recorder.Optimizer(), clip); err != nil {
			return err
		}
	}
	if t.Test != nil {
		t.tester, err = NewTester(t.Backend, t.Net, t.Test, t.Loss)
	}
	return err
}

// recordsKept is how many records stay on the device before they are read.
const recordsKept = 64

func (t *training) close() {
	for _, s := range []*stepper{t.plain, t.recorded} {
		if s != nil {
			s.exec.Finalize()
		}
	}
	if t.tester != nil {
		t.tester.Close()
	}
	forget(t.Net)
}

// train does the steps. The loss of a step is read when the next one is under way, unless it is wanted at once.
func (t *training) train(ctx context.Context) error {
	fetched, cancel := context.WithCancel(context.Background())
	defer cancel()
	next, stop := iter.Pull2(ahead(fetched, t.Train.Batches(t.BatchSize, t.Seed)))
	defer stop()
	late := &outputs{}
	for step := 1; step <= t.Steps; step++ {
		if ctx.Err() != nil {
			t.result.Ended = Interrupted
			break
		}
		batch, err, _ := next()
		if err != nil {
			return err
		}
		if step > 1 && t.Schedule != nil {
			if err := t.reschedule(step); err != nil {
				return err
			}
		}
		stepper := t.plain
		if t.Every > 0 && step%t.Every == 0 {
			stepper = t.recorded
		}
		now, err := stepper.step(batch)
		if err != nil {
			return errors.WithMessagef(err, "step %d of training %v on %v", step, t.Net.Config(), t.Train)
		}
		if step == 1 {
			t.second = time.Now()
		}
		t.result.Steps = step
		if err := t.take(late); err != nil {
			return err
		}
		if late = now; t.Every > 0 && step%(t.Every*recordsKept) == 0 || t.OnStep != nil || step == t.Steps || t.TestEvery > 0 && step%t.TestEvery == 0 {
			if err := t.take(late); err != nil {
				return err
			}
		}
		if t.result.Ended == Diverged {
			break
		}
		if err := t.after(step); err != nil {
			return err
		}
	}
	return t.take(late)
}

// reschedule sets the rate of a step if it is another than that of the step before.
func (t *training) reschedule(step int) error {
	rate := t.Schedule(step)
	if rate == t.Schedule(step-1) {
		return nil
	}
	if !validRate(rate) {
		return errors.Errorf("experiment.Fit: Schedule(%d) is %v: a rate must be a finite number, at least 0", step, rate)
	}
	return setRate(t.Net.Store(), rate)
}

// take reads what a step returned, once.
func (t *training) take(o *outputs) error {
	loss, norm, ok, err := o.read()
	if err != nil || !ok {
		return err
	}
	if t.result.Ended == Diverged { // a step that was under way when that was seen
		t.result.Steps--
		return nil
	}
	t.result.Losses = append(t.result.Losses, loss)
	if t.Clip > 0 {
		t.result.Norms = append(t.result.Norms, norm)
	}
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		t.result.Ended = Diverged
	}
	return nil
}

// after does what is due when a step is done.
func (t *training) after(step int) error {
	if t.Every > 0 && (step%(t.Every*recordsKept) == 0 || t.OnStep != nil && step%t.Every == 0) {
		reports, err := t.recorder.Reports()
		if err != nil {
			return err
		}
		t.result.Reports = reports
	}
	if t.TestEvery > 0 && step%t.TestEvery == 0 && step < t.Steps && t.tester != nil {
		if err := t.test(step); err != nil {
			return err
		}
	}
	if t.OnStep != nil {
		s := &Step{Step: step, Loss: t.result.Losses[step-1], Losses: t.result.Losses[:step:step], Tests: t.result.Tests}
		if n := len(t.result.Reports); n > 0 && t.result.Reports[n-1].Step == step {
			s.Report = t.result.Reports[n-1]
		}
		t.OnStep(s)
	}
	if t.bar.due() {
		words := fmt.Sprintf("step %d of %d", step, t.Steps)
		if n := len(t.result.Losses); n > 0 {
			words += fmt.Sprintf(", loss %.4g", t.result.Losses[n-1])
		}
		t.bar.show(step, words+remaining(time.Duration(float64(time.Since(t.started))/float64(step)*float64(t.Steps-step))), false)
	}
	return nil
}

func (t *training) test(step int) error {
	test, err := t.tester.Test()
	if err != nil {
		return errors.WithMessagef(err, "testing %v on %v after %d steps", t.Net.Config(), t.Test, step)
	}
	test.Step = step
	t.result.Tests = append(t.result.Tests, test)
	return nil
}

// summarise fills in the rest of the result.
func (t *training) summarise() error {
	r := t.result
	if r.Steps > 1 {
		r.StepTime = time.Since(t.second) / time.Duration(r.Steps-1)
	}
	if t.Every > 0 {
		reports, err := t.recorder.Reports()
		if err != nil {
			return err
		}
		r.Reports = nil
		for _, report := range reports {
			if report.Step <= r.Steps {
				r.Reports = append(r.Reports, report)
			}
		}
	}
	if t.tester != nil && r.Ended == Completed { // an interrupted training is to end soon, and the outputs of a diverged net are no numbers
		if err := t.test(r.Steps); err != nil {
			return err
		}
	}
	if n := len(r.Tests); n > 0 && r.Ended != Diverged {
		r.Accuracy, r.TestLoss = r.Tests[n-1].Accuracy, r.Tests[n-1].Loss
	}
	r.Time = time.Since(t.started)
	return nil
}

// FinalLoss is the mean loss of the last steps: a tenth of them, 1 at least and 100 at most. It is NaN if there were none.
func (r *Result) FinalLoss() float64 {
	n := min(len(r.Losses), max(1, min(100, len(r.Losses)/10)))
	return Mean(r.Losses[len(r.Losses)-n:]).Mean
}

// ending says in one line how it went.
func (r *Result) ending() string {
	switch r.Ended {
	case Interrupted:
		return fmt.Sprintf("interrupted after %d of %d steps; what was learnt so far is kept", r.Steps, r.Config.Steps)
	case Diverged:
		return fmt.Sprintf("diverged: the loss is %v at step %d of %d", r.Losses[len(r.Losses)-1], r.Steps, r.Config.Steps)
	}
	return fmt.Sprintf("%d steps in %s, loss %.4g", r.Steps, round(r.Time), r.FinalLoss())
}

// String tells the whole result in a few lines.
func (r *Result) String() string {
	text := fmt.Sprintf("%v\n%d steps of %d examples, %v, rate %.4g", r.Net.Config(), r.Steps, r.Config.BatchSize, r.Config.Optimizer, r.Config.rate(1))
	if r.Config.Momentum != 0 {
		text += fmt.Sprintf(", momentum %.4g", r.Config.Momentum)
	}
	if r.Config.Clip != 0 {
		text += fmt.Sprintf(", clipped at %.4g", r.Config.Clip)
	}
	if r.Ended != Completed {
		text += "\n" + r.ending()
	}
	if len(r.Losses) > 0 {
		text += fmt.Sprintf("\nloss %.4g at step 1, %.4g at the end", r.Losses[0], r.FinalLoss())
	}
	if !math.IsNaN(r.TestLoss) {
		text += fmt.Sprintf("\n%s: loss %.4g", r.Config.Test.Name, r.TestLoss)
	}
	if !math.IsNaN(r.Accuracy.Mean) {
		text += fmt.Sprintf(", accuracy %v", r.Accuracy)
	}
	if n := len(r.Reports); n > 0 {
		first, last := r.Reports[0], r.Reports[n-1]
		text += fmt.Sprintf("\n%d reports; factor of delta a layer %.3g at step %d, %.3g at step %d", n, first.Factor(), first.Step, last.Factor(), last.Step)
	}
	return text + fmt.Sprintf("\n%s, %s a step (%s)", round(r.Time), r.StepTime.Round(10*time.Microsecond), r.Backend)
}
