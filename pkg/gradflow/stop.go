package gradflow

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/pkg/errors"
)

// StopError is the error with which an attached loop ends when the loss is NaN or infinite. It is a finding, not a failure: find it with errors.As in
// what the loop returned, and go on with Recorder.Reports and Recorder.Diagnosis, which hold that step, too.
type StopError struct {
	Step int     // the loop's step, from 1 on
	Loss float64 // NaN or an infinity
}

// Error says what happened, and when.
func (e *StopError) Error() string {
	return fmt.Sprintf("gradflow: the loss is %g at step %d, training stopped", e.Loss, e.Step)
}

// Attach makes the loop read the records in time, and end with a *StopError when the loss is no longer finite. The loop's trainer must train with
// the Recorder's Optimizer.
func (r *Recorder) Attach(loop *train.Loop) {
	loop.OnStart("gradflow.Recorder", -100, func(loop *train.Loop, _ train.Dataset) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.store != nil && r.store != loop.Trainer.Store() {
			return errors.Errorf("gradflow.Recorder: it already records another store's training; make one recorder for each")
		}
		r.store = loop.Trainer.Store()
		return nil
	})
	last := math.MinInt
	loop.OnStep("gradflow.Recorder", -100, func(loop *train.Loop, metrics []*tensors.Tensor) error {
		loss := math.NaN()
		if len(metrics) > 0 {
			loss = shapes.ConvertTo[float64](metrics[0].Value())
		}
		finite := !math.IsNaN(loss) && !math.IsInf(loss, 0)
		if last == math.MinInt {
			last = loop.LoopStep - 1
		}
		// No more than Keep records can have been made since the last reading.
		if finite && loop.LoopStep-last < max(1, r.options.Keep*r.options.Every) {
			return nil
		}
		last = loop.LoopStep
		if err := r.flush(); err != nil {
			return err
		}
		if finite {
			return nil
		}
		stop := &StopError{Step: loop.LoopStep + 1, Loss: loss}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.stop = stop
		return stop
	})
	loop.OnEnd("gradflow.Recorder", -100, func(*train.Loop, []*tensors.Tensor) error { return r.flush() })
}

func (r *Recorder) flush() error {
	_, err := r.Reports()
	return err
}

// Stopped returns how training stopped, nil if it did not.
func (r *Recorder) Stopped() *StopError {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stop
}

// LossGrowth is how many times its first recorded value a loss must reach to count as exploding. A cross-entropy starts near log(classes) and no
// healthy step raises it a hundredfold.
const LossGrowth = 100.0

// Diagnosis is Diagnose of the newest report, and what only the run as a whole shows: a loss that is no longer finite though that step was not
// recorded, and one that explodes.
//
// Errors: nothing has been recorded, or the records could not be read.
func (r *Recorder) Diagnosis() (Diagnosis, error) {
	reports, err := r.Reports()
	if err != nil {
		return Diagnosis{}, err
	}
	if len(reports) == 0 {
		return Diagnosis{}, errors.Errorf("gradflow.Recorder: nothing has been recorded yet; train first, with the recorder's Optimizer")
	}
	first, last := reports[0], reports[len(reports)-1]
	d := Diagnose(last)
	switch stop := r.Stopped(); {
	case d.Has(NotFinite):
	case stop != nil:
		d.Findings = append([]Finding{{Kind: NotFinite, Measured: stop.Loss, Theory: math.NaN(),
			Words:  fmt.Sprintf("the loss is %g at step %d, and was %.4g at step %d, the last one recorded.", stop.Loss, stop.Step, last.Loss, last.Step),
			Advice: "Take a smaller learning rate, or clip the gradient's norm (Pascanu et al. 2013)."}}, d.Findings...)
	case last.Loss > LossGrowth*math.Abs(first.Loss):
		d.Findings = append([]Finding{{Kind: Exploding, Measured: last.Loss / first.Loss, Theory: math.NaN(),
			Words:  fmt.Sprintf("the loss grew from %.4g at step %d to %.4g at step %d.", first.Loss, first.Step, last.Loss, last.Step),
			Advice: "Take a smaller learning rate, or clip the gradient's norm (Pascanu et al. 2013)."}}, d.Findings...)
	}
	return d, nil
}
