package gradflow_test

import (
	"fmt"
	"iter"
	"syscall"
	"testing"
	"time"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gradbook/gradbook/pkg/activation"
	"github.com/gradbook/gradbook/pkg/gradflow"
	"github.com/gradbook/gradbook/pkg/initializer"
)

// BenchmarkRecorder reports how many times the plain training step of a 10x64 MLP at batch 256 a recorded one takes, by processor time (cpu-ratio) and by the clock
// (clock-ratio). Plain and recorded steps take turns in blocks, so that whatever else the machine does falls on both, and the ratio is the median over
// the pairs of blocks.
func BenchmarkRecorder(b *testing.B) {
	for _, act := range []activation.Activation{activation.ReLU, activation.Tanh} {
		for _, every := range []int{1, 10} {
			b.Run(fmt.Sprintf("%s/every=%d", act, every), func(b *testing.B) {
				var cpus, clocks, steps []float64
				for range pairs {
					plain, recorded := duel(b, act, every, max(1, b.N/pairs))
					cpus, clocks = append(cpus, ratio(recorded.cpu, plain.cpu)), append(clocks, ratio(recorded.clock, plain.clock))
					steps = append(steps, median(plain.cpu).Seconds()*1e3/block)
				}
				b.ReportMetric(median(cpus), "cpu-ratio")
				b.ReportMetric(median(clocks), "clock-ratio")
				b.ReportMetric(median(steps), "plain-cpu-ms/step")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// pairs of trainers are made: where a trainer's memory comes to lie, by chance, changes its step by some per cent.
const pairs = 5

// block is how many steps a trainer makes in its turn: the first ones pay for what the other one left in the caches.
const block = 50

// duel lets a plain and a recorded trainer take turns.
func duel(b *testing.B, act activation.Activation, every, rounds int) (plain, recorded arm) {
	n := ten64(act, initializer.He())
	plainNet := n
	plainNet.untapped = true
	recorder, err := gradflow.NewRecorder(sgd(1e-3), gradflow.RecorderOptions{Every: every})
	must(b, err)
	batches := endless(n.batch(1, 256))
	nextPlain, stopPlain := iter.Pull2(batches.Iter())
	defer stopPlain()
	nextRecorded, stopRecorded := iter.Pull2(recorder.Dataset(batches).Iter())
	defer stopRecorded()
	arms := []arm{
		{trainer: train.NewTrainer(theBackend(), n.store(b, 1), plainNet.logits, crossEntropy, sgd(1e-3), nil, nil), next: nextPlain},
		{trainer: train.NewTrainer(theBackend(), n.store(b, 1), n.logits, crossEntropy, recorder.Optimizer(), nil, nil), next: nextRecorded},
	}
	const warm = 2
	for round := range rounds + warm {
		for i := range arms {
			arms[(i+round)%2].block(b, block, round >= warm)
		}
		if round%2 == 1 {
			_, err := recorder.Reports()
			must(b, err)
		}
	}
	return arms[0], arms[1]
}

// ratio is the median of the ratios of blocks that were run in turn.
func ratio(a, b []time.Duration) float64 {
	var list []float64
	for i := range a {
		list = append(list, float64(a[i])/float64(b[i]))
	}
	return median(list)
}

// arm is one of the trainers that are compared, with the times of its blocks of steps.
type arm struct {
	trainer    *train.Trainer
	next       func() (train.Batch, error, bool)
	cpu, clock []time.Duration
}

func (a *arm) block(b *testing.B, steps int, count bool) {
	var clock, cpu time.Duration
	for range steps {
		batch, err, _ := a.next()
		must(b, err)
		start, startCPU := time.Now(), cpuTime()
		metrics, err := a.trainer.TrainStep(batch)
		must(b, err)
		metrics[0].MaterializeLocal()
		clock, cpu = clock+time.Since(start), cpu+cpuTime()-startCPU
	}
	if count {
		a.clock, a.cpu = append(a.clock, clock), append(a.cpu, cpu)
	}
}

// cpuTime returns the processor time that the process has used: on a busy machine it says more than the clock.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// oneBatch is a dataset of one batch, over and over.
type oneBatch struct{ x, y *tensors.Tensor }

func endless(x, y *tensors.Tensor) train.Dataset { return oneBatch{x, y} }

func (oneBatch) Name() string { return "one batch" }

// Iter implements train.Dataset. A trainer takes its batches over, so that each is a copy.
func (d oneBatch) Iter() iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		for {
			x, err := d.x.LocalClone()
			if err != nil {
				yield(train.Batch{}, err)
				return
			}
			y, err := d.y.LocalClone()
			if !yield(train.Batch{Inputs: []*tensors.Tensor{x}, Labels: []*tensors.Tensor{y}}, err) {
				return
			}
		}
	}
}
