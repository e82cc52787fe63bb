package gradflow_test

import (
	"fmt"
	"iter"
	"syscall"
	"testing"
	"time"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/optimizer"
	"github.com/gradbook/gradbook/pkg/activation"
	"github.com/gradbook/gradbook/pkg/gradflow"
	"github.com/gradbook/gradbook/pkg/initializer"
)

// BenchmarkRecorder reports how many times the plain training step of a 10x64 MLP at batch 256 a recorded one takes, on average over the steps. Plain and
// recorded steps take turns on the same batch, so that whatever else the machine does falls on both.
func BenchmarkRecorder(b *testing.B) {
	for _, act := range []activation.Activation{activation.ReLU, activation.Tanh} {
		for _, every := range []int{1, 10} {
			b.Run(fmt.Sprintf("%s/every=%d", act, every), func(b *testing.B) {
				n := ten64(act, initializer.He())
				plainNet := n
				plainNet.untapped = true
				sgd := optimizer.StochasticGradientDescent().WithLearningRate(1e-3).WithDecay(false).Done()
				recorder, err := gradflow.NewRecorder(sgd, gradflow.RecorderOptions{Every: every})
				must(b, err)
				plain := train.NewTrainer(theBackend(), n.store(b, 1), plainNet.logits, crossEntropy, sgd, nil, nil)
				recorded := train.NewTrainer(theBackend(), n.store(b, 1), n.logits, crossEntropy, recorder.Optimizer(), nil, nil)
				block := 10
				batches, stop := iter.Pull2(recorder.Dataset(endless{n}).Iter())
				defer stop()
				var times, cpus [2][]time.Duration
				for round := range b.N + 2 {
					for i, trainer := range []*train.Trainer{plain, recorded} {
						var took, cpu time.Duration
						for range block {
							x, y := n.batch(1, 256)
							batch := train.Batch{Inputs: []*tensors.Tensor{x}, Labels: []*tensors.Tensor{y}}
							if i == 1 {
								batch, _, _ = batches()
							}
							start, startCPU := time.Now(), cpuTime()
							metrics, err := trainer.TrainStep(batch)
							must(b, err)
							metrics[0].MaterializeLocal()
							took, cpu = took+time.Since(start), cpu+cpuTime()-startCPU
						}
						if i == 1 && round%6 == 5 {
							_, err := recorder.Reports()
							must(b, err)
						}
						if round >= 2 {
							times[i], cpus[i] = append(times[i], took), append(cpus[i], cpu)
						}
					}
				}
				p, r := median(times[0]), median(times[1])
				b.ReportMetric(float64(r)/float64(p), "ratio")
				b.ReportMetric(float64(median(cpus[1]))/float64(median(cpus[0])), "cpu-ratio")
				b.ReportMetric(p.Seconds()*1e3/float64(block), "plain-ms/step")
				b.ReportMetric(0, "ns/op")
			})
		}
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

// endless is a dataset of one batch, over and over.
type endless struct{ net mlp }

func (endless) Name() string { return "endless" }

func (e endless) Iter() iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		for {
			x, y := e.net.batch(1, 256)
			if !yield(train.Batch{Inputs: []*tensors.Tensor{x}, Labels: []*tensors.Tensor{y}}, nil) {
				return
			}
		}
	}
}
