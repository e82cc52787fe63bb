package rows_test

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// cpu is the processor time of this process in nanoseconds: on a busy machine it says more than the time that passed.
func cpu() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// BenchmarkGradients is the value and the gradients of each operation: GoMLX's way, and ours. Both take turns, so that they meet the same machine.
func BenchmarkGradients(b *testing.B) {
	for name, pair := range pairs {
		for _, s := range [][3]int{{256, 64, 64}, {256, 784, 64}, {32, 64, 256}, {16384, 16, 16}} {
			b.Run(fmt.Sprintf("%s/%dx%dx%d", name, s[0], s[1], s[2]), func(b *testing.B) {
				args := []any{numbers(s[0], s[1]), numbers(s[1], s[2]), numbers(s[2]), numbers(s[0], s[2])}
				var execs [2]*graph.Exec
				for i, f := range pair {
					execs[i] = graph.MustNewExec(engine, func(x, w, row, v *graph.Node) []*graph.Node {
						y := f(x, w, row)
						return append([]*graph.Node{y}, graph.Gradient(graph.ReduceAllSum(graph.Mul(y, v)), x, w, row)...)
					})
					execs[i].MustExec(args...)
				}
				var spent [2]int64
				for b.Loop() {
					for i, exec := range execs {
						start := cpu()
						exec.MustExec(args...)
						spent[i] += cpu() - start
					}
				}
				b.ReportMetric(float64(spent[1])/float64(b.N)/1e3, "gomlx-us")
				b.ReportMetric(float64(spent[0])/float64(b.N)/1e3, "ours-us")
				b.ReportMetric(float64(spent[1])/float64(spent[0]), "ratio")
			})
		}
	}
}

func numbers(dims ...int) *tensors.Tensor {
	size := 1
	for _, d := range dims {
		size *= d
	}
	values := make([]float32, size)
	for i := range values {
		values[i] = float32(i%7) - 3
	}
	return tensors.FromFlatDataAndDimensions(values, dims...)
}
