package convolution_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	mlmodel "github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train/loss"
	"github.com/gradbook/gradbook/pkg/model/internal/convolution"
)

// BenchmarkStep trains a small residual net (3 blocks of 16 channels, images of 16x16x3, batch 64, no normalisation) with this package's
// convolution and with GoMLX's, in turns, on the pure-Go backend. It reports the CPU time of both steps and the median of their ratios.
func BenchmarkStep(b *testing.B) {
	ours := step(b, func(x, kernel *graph.Node) *graph.Node { return convolution.Convolve(x, kernel, 1) })
	theirs := step(b, func(x, kernel *graph.Node) *graph.Node { return graph.Convolve(x, kernel).PadSame().Done() })
	if a, b2 := ours(), theirs(); math.Abs(a-b2) > 1e-4*math.Abs(a) {
		b.Fatalf("the losses differ: %g and %g", a, b2)
	}
	var times, native, ratios []float64
	for b.Loop() {
		t, n := cpuTime(ours), cpuTime(theirs)
		times, native, ratios = append(times, t), append(native, n), append(ratios, n/t)
	}
	b.ReportMetric(median(times), "cpu-ms/step")
	b.ReportMetric(median(native), "gomlx-cpu-ms/step")
	b.ReportMetric(median(ratios), "ratio")
}

// step returns a training step of a new net, which returns its loss.
func step(b *testing.B, convolve func(x, kernel *graph.Node) *graph.Node) func() float64 {
	const (
		batch, size, colours, channels, classes = 64, 16, 3, 16, 10
		blocks                                  = 3
		rate                                    = 0.01
	)
	r := rand.New(rand.NewPCG(1, 2))
	random := func(scale float64, dims ...int) *tensors.Tensor {
		t := draw(r, dims...)
		values := make([]float32, len(t.values))
		for i, v := range t.values {
			values[i] = float32(scale * v)
		}
		return tensors.FromFlatDataAndDimensions(values, dims...)
	}
	store := mlmodel.NewStore()
	in := colours
	for i := range 2*blocks + 1 {
		store.VariableWithValue(fmt.Sprintf("/h%d/W", i+1), random(math.Sqrt(2/float64(9*in)), 3, 3, in, channels))
		in = channels
	}
	store.VariableWithValue("/out/W", random(0.25, channels, classes))
	exec, err := mlmodel.NewExec(goBackend(b), store, func(scope *mlmodel.Scope, x, labels *graph.Node) *graph.Node {
		g := x.Graph()
		layer := 0
		next := func(h *graph.Node) *graph.Node {
			layer++
			return convolve(h, store.GetVariable(fmt.Sprintf("/h%d/W", layer)).NodeValue(g))
		}
		relu := func(z *graph.Node) *graph.Node { return graph.MaxScalar(z, 0) }
		h := relu(next(x))
		for range blocks {
			h = relu(graph.Add(h, next(relu(next(h)))))
		}
		logits := graph.MatMul(graph.ReduceMean(h, 1, 2), store.GetVariable("/out/W").NodeValue(g))
		l := graph.ReduceAllMean(loss.SparseCategoricalCrossEntropyLogits([]*graph.Node{labels}, []*graph.Node{logits}))
		gradients := scope.BuildTrainableVariablesGradientsGraph(l)
		i := 0
		for v := range scope.IterVariables() {
			v.SetNodeValue(graph.Sub(v.NodeValue(g), graph.MulScalar(gradients[i], rate)))
			i++
		}
		return l
	})
	if err != nil {
		b.Fatal(err)
	}
	x := random(1, batch, size, size, colours)
	classOf := make([]int32, batch)
	for i := range classOf {
		classOf[i] = int32(i % classes)
	}
	labels := tensors.FromFlatDataAndDimensions(classOf, batch, 1)
	return func() float64 {
		out, err := exec.Call(x, labels)
		if err != nil {
			b.Fatal(err)
		}
		return float64(tensors.ToScalar[float32](out[0]))
	}
}

// cpuTime is the process's CPU time over f in milliseconds, which other programs' load spoils less than the time on the clock.
func cpuTime(f func() float64) float64 {
	used := func() float64 {
		var r syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
			panic(err)
		}
		return float64(r.Utime.Nano()+r.Stime.Nano()) / 1e6
	}
	before := used()
	f()
	return used() - before
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
