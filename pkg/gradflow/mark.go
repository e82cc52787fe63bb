package gradflow

import (
	"iter"

	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/optimizer"
)

// Mark says whether the step that a batch is for is recorded. A Recorder's Dataset puts marks on batches in the place of their spec, so that the trainer
// compiles two graphs, one that records and one that does not: steps that are not recorded cost nothing then. A model that reads its
// spec finds it in Spec; nearly none does.
type Mark struct {
	Recorded bool
	Spec     any
}

// marking is what a Recorder knows of the graph to build: nothing, as there is no mark, or what the mark says.
type marking int

const (
	unmarked marking = iota
	markedPlain
	markedRecorded
)

// Dataset returns the dataset with marks on its batches: those for steps that Every divides are recorded, the others are not and cost what they cost without a
// recorder. Without it the numbers are the same, and with Every above 1 all steps pay for the measuring; but a step whose loss is not finite is then
// recorded as well, even if it is not due.
func (r *Recorder) Dataset(ds train.Dataset) train.Dataset {
	if r.options.Every == 1 {
		return ds
	}
	return &marked{ds, r}
}

type marked struct {
	train.Dataset
	recorder *Recorder
}

// Iter implements train.Dataset.
func (m *marked) Iter() iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		r := m.recorder
		step := r.globalStep()
		for batch, err := range m.Dataset.Iter() {
			step++
			due := step%r.options.Every == 0
			if err == nil {
				batch.Spec = Mark{Recorded: due, Spec: batch.Spec}
			}
			next := markedPlain
			if due {
				next = markedRecorded
			}
			r.expect(next)
			goOn := yield(batch, err)
			r.expect(unmarked)
			if !goOn {
				return
			}
		}
	}
}

// expect tells the recorder what kind of graph comes, if the next step has one built.
func (r *Recorder) expect(mark marking) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mark = mark
}

// globalStep returns the number of steps done, as far as the recorder knows its store.
func (r *Recorder) globalStep() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.store == nil || r.store.GetVariable("/"+optimizer.GlobalStepVariableName) == nil {
		return 0
	}
	return int(optimizer.GetGlobalStep(r.store))
}
