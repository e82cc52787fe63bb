package convolution_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gradbook/gradbook/pkg/backend"
	"github.com/gradbook/gradbook/pkg/model/internal/convolution"
)

// backends are those of this machine; what is missing is said once.
var backends = sync.OnceValues(func() (list []named, missing []string) {
	for _, name := range []string{"go", "xla:cpu"} {
		b, err := backend.New(name)
		if err != nil {
			missing = append(missing, fmt.Sprintf("not run on %s: %v", name, err))
			continue
		}
		list = append(list, named{name, b})
	}
	return list, missing
})

type named struct {
	name string
	compute.Backend
}

// onEach runs f on each backend of this machine.
func onEach(t *testing.T, f func(t *testing.T, b compute.Backend)) {
	list, missing := backends()
	for _, m := range missing {
		t.Log(m)
	}
	if len(list) == 0 || list[0].name != "go" {
		t.Fatal("no pure-Go backend")
	}
	for _, b := range list {
		t.Run(b.name, func(t *testing.T) { f(t, b.Backend) })
	}
}

// tensor is a host tensor with its dimensions.
type tensor struct {
	dims   []int
	values []float64
}

func draw(r *rand.Rand, dims ...int) tensor {
	n := 1
	for _, d := range dims {
		n *= d
	}
	t := tensor{dims, make([]float64, n)}
	for i := range t.values {
		t.values[i] = r.NormFloat64()
	}
	return t
}

func (t tensor) arg() *tensors.Tensor {
	return tensors.FromFlatDataAndDimensions(t.values, t.dims...)
}

// at is a value of a four-dimensional tensor; 0 outside it.
func (t tensor) at(i, j, k, l int) float64 {
	if j < 0 || j >= t.dims[1] || k < 0 || k >= t.dims[2] {
		return 0
	}
	return t.values[((i*t.dims[1]+j)*t.dims[2]+k)*t.dims[3]+l]
}

// convolve is the definition.
func convolve(x, kernel tensor, stride int) tensor {
	kh, kw, in, out := kernel.dims[0], kernel.dims[1], kernel.dims[2], kernel.dims[3]
	rows, columns := (x.dims[1]+stride-1)/stride, (x.dims[2]+stride-1)/stride
	y := tensor{dims: []int{x.dims[0], rows, columns, out}}
	for n := range x.dims[0] {
		for r := range rows {
			for c := range columns {
				for o := range out {
					sum := 0.0
					for i := range kh {
						for j := range kw {
							for k := range in {
								sum += x.at(n, r*stride+i-kh/2, c*stride+j-kw/2, k) * kernel.at(i, j, k, o)
							}
						}
					}
					y.values = append(y.values, sum)
				}
			}
		}
	}
	return y
}

// loss is sum(v y + y^2/2), on the host and in the graph.
func (t tensor) loss(v tensor) float64 {
	sum := 0.0
	for i, y := range t.values {
		sum += v.values[i]*y + y*y/2
	}
	return sum
}

func lossOf(y, v *graph.Node) *graph.Node {
	return graph.ReduceAllSum(graph.Add(graph.Mul(v, y), graph.MulScalar(graph.Square(y), 0.5)))
}

// slope is the central difference of f at each entry of t.
func (t tensor) slope(f func() float64) []float64 {
	const h = 1e-4
	slopes := make([]float64, len(t.values))
	for i, value := range t.values {
		t.values[i] = value + h
		up := f()
		t.values[i] = value - h
		slopes[i] = (up - f()) / (2 * h)
		t.values[i] = value
	}
	return slopes
}

// agree fails unless all entries are within tolerance of the largest.
func agree(t *testing.T, what string, got *tensors.Tensor, want []float64, tolerance float64) {
	t.Helper()
	values := tensors.MustCopyFlatData[float64](got)
	if len(values) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(values), len(want))
	}
	largest, worst := 0.0, 0.0
	for i, w := range want {
		largest = max(largest, math.Abs(w))
		worst = max(worst, math.Abs(values[i]-w))
		if math.IsNaN(values[i]) {
			t.Fatalf("%s: entry %d is NaN", what, i)
		}
	}
	if largest == 0 || worst > tolerance*largest {
		t.Errorf("%s: off by %.3g, the largest entry is %.3g", what, worst, largest)
	}
}

// TestConvolve holds value and gradients against the definition and its central differences. All cases of one size share a graph, since XLA takes long to compile one.
func TestConvolve(t *testing.T) {
	type testCase struct {
		what         string
		stride       int
		x, kernel, v tensor
	}
	onEach(t, func(t *testing.T, b compute.Backend) {
		for _, size := range [][2]int{{1, 2}, {5, 5}, {6, 6}, {7, 4}} {
			var cases []testCase
			var args []any
			for i, k := range [][2]int{{1, 1}, {3, 3}, {5, 5}, {1, 3}, {5, 3}} {
				for stride := 1; stride <= 2; stride++ {
					r := rand.New(rand.NewPCG(uint64(i), uint64(stride)))
					c := testCase{fmt.Sprintf("kernel %v, size %v, stride %d: ", k, size, stride), stride, draw(r, 2, size[0], size[1], 2), draw(r, k[0], k[1], 2, 3), tensor{}}
					c.v = draw(r, convolve(c.x, c.kernel, stride).dims...)
					cases = append(cases, c)
					args = append(args, c.x.arg(), c.kernel.arg(), c.v.arg())
				}
			}
			got := graph.MustExecOnceN(b, func(in []*graph.Node) (out []*graph.Node) {
				for i, c := range cases {
					x, kernel, v := in[3*i], in[3*i+1], in[3*i+2]
					y := convolution.Convolve(x, kernel, c.stride)
					out = append(append(out, y), graph.Gradient(lossOf(y, v), x, kernel)...)
				}
				return out
			}, args...)
			for i, c := range cases {
				f := func() float64 { return convolve(c.x, c.kernel, c.stride).loss(c.v) }
				agree(t, c.what+"value", got[3*i], convolve(c.x, c.kernel, c.stride).values, 1e-13)
				agree(t, c.what+"dL/dx", got[3*i+1], c.x.slope(f), 1e-6)
				agree(t, c.what+"dL/dkernel", got[3*i+2], c.kernel.slope(f), 1e-6)
			}
		}
	})
}

// TestEvenKernel shows why even kernels are refused: GoMLX's own gradient is wrong for them. When it fails, GoMLX has been mended.
func TestEvenKernel(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 3))
	x, kernel := draw(r, 1, 6, 6, 1), draw(r, 2, 2, 1, 1)
	eval := graph.MustNewExec(goBackend(t), func(x, kernel *graph.Node) []*graph.Node {
		l := graph.ReduceAllSum(graph.Square(graph.Convolve(x, kernel).PadSame().Strides(2).Done()))
		return append(graph.Gradient(l, x), l)
	})
	slopes := x.slope(func() float64 { return tensors.ToScalar[float64](eval.MustCall(x.arg(), kernel.arg())[1]) })
	worst := 0.0
	for i, g := range tensors.MustCopyFlatData[float64](eval.MustCall(x.arg(), kernel.arg())[0]) {
		worst = max(worst, math.Abs(g-slopes[i]))
	}
	if worst < 1e-3 {
		t.Errorf("GoMLX's gradient of an even kernel with stride 2 is right to %g: even kernels need not be refused any more", worst)
	}
}

func goBackend(t testing.TB) compute.Backend {
	list, missing := backends()
	if len(list) == 0 {
		t.Fatal(missing)
	}
	return list[0].Backend
}

// TestGradientsInNet uses images and kernels several times, asks twice for gradients in one graph, and for those of what lies between.
func TestGradientsInNet(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 5))
	x, k1, k2, k3 := draw(r, 2, 6, 5, 2), draw(r, 3, 3, 2, 4), draw(r, 3, 3, 4, 4), draw(r, 1, 1, 4, 4)
	for _, k := range []tensor{k1, k2, k3} { // with 1/fan-in as the variance differences stay small enough
		for i := range k.values {
			k.values[i] /= math.Sqrt(float64(k.dims[0] * k.dims[1] * k.dims[2]))
		}
	}
	v := draw(r, 2, 3, 3, 4)
	forward := func(x, k1, k2, k3, v *graph.Node) (l1, l2, h *graph.Node) {
		h = graph.Tanh(convolution.Convolve(x, k1, 1))
		h = graph.Add(h, convolution.Convolve(graph.Tanh(convolution.Convolve(h, k2, 1)), k2, 1))
		y := graph.Add(convolution.Convolve(h, k2, 2), convolution.Convolve(h, k3, 2))
		return lossOf(y, v), graph.ReduceAllSum(graph.Sin(y)), h
	}
	onEach(t, func(t *testing.T, b compute.Backend) {
		gradients := graph.MustExecOnceN(b, func(x, k1, k2, k3, v *graph.Node) []*graph.Node {
			l1, l2, h := forward(x, k1, k2, k3, v)
			first := graph.Gradient(l1, x, k1, k2, k3, h)
			second := graph.Gradient(l2, x, k1, k2, k3, h)
			return append(append(first[:4:4], second[:4]...), graph.ReduceAllSum(graph.Square(first[4])), graph.ReduceAllSum(graph.Square(second[4])))
		}, x.arg(), k1.arg(), k2.arg(), k3.arg(), v.arg())
		losses := graph.MustNewExec(b, func(x, k1, k2, k3, v *graph.Node) []*graph.Node {
			l1, l2, _ := forward(x, k1, k2, k3, v)
			return []*graph.Node{l1, l2}
		})
		for i, p := range []tensor{x, k1, k2, k3} {
			for which := range 2 {
				f := func() float64 {
					return tensors.ToScalar[float64](losses.MustCall(x.arg(), k1.arg(), k2.arg(), k3.arg(), v.arg())[which])
				}
				agree(t, fmt.Sprintf("dL%d/d%s", which+1, []string{"x", "k1", "k2", "k3"}[i]), gradients[4*which+i], p.slope(f), 1e-6)
			}
		}
		for _, between := range gradients[8:] {
			if tensors.ToScalar[float64](between) == 0 {
				t.Error("the gradient of what lies between is zero")
			}
		}
	})
}

// TestSecondDerivative differentiates gradients: of |dL/dx|^2 + |dL/dkernel|^2, on the pure-Go backend, with stride 1.
func TestSecondDerivative(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 7))
	x, kernel, v := draw(r, 1, 4, 5, 2), draw(r, 3, 3, 2, 2), draw(r, 1, 4, 5, 2)
	norm := func(x, kernel, v *graph.Node) *graph.Node {
		g := graph.Gradient(lossOf(graph.Tanh(convolution.Convolve(x, kernel, 1)), v), x, kernel)
		return graph.Add(graph.ReduceAllSum(graph.Square(g[0])), graph.ReduceAllSum(graph.Square(g[1])))
	}
	b := goBackend(t)
	got := graph.MustExecOnceN(b, func(x, kernel, v *graph.Node) []*graph.Node {
		return graph.Gradient(norm(x, kernel, v), x, kernel)
	}, x.arg(), kernel.arg(), v.arg())
	eval := graph.MustNewExec(b, norm)
	f := func() float64 { return tensors.ToScalar[float64](eval.MustCall1(x.arg(), kernel.arg(), v.arg())) }
	agree(t, "d/dx", got[0], x.slope(f), 1e-6)
	agree(t, "d/dkernel", got[1], kernel.slope(f), 1e-6)
}

// TestMisuse checks that each mistake is named, with the shapes.
func TestMisuse(t *testing.T) {
	for _, c := range []struct {
		x, kernel []int
		stride    int
		words     []string
	}{
		{[]int{2, 5, 5}, []int{3, 3, 2, 2}, 1, []string{"[2, 5, 5]", "[batch, height, width, in]"}},
		{[]int{2, 5, 5, 2}, []int{3, 3, 2}, 1, []string{"[3, 3, 2]", "[kh, kw, in, out]"}},
		{[]int{2, 5, 5, 3}, []int{3, 3, 2, 2}, 1, []string{"3 channels", "takes 2"}},
		{[]int{2, 5, 5, 2}, []int{2, 3, 2, 2}, 1, []string{"[2, 3, 2, 2]", "even"}},
		{[]int{2, 5, 5, 2}, []int{3, 4, 2, 2}, 1, []string{"[3, 4, 2, 2]", "even"}},
		{[]int{2, 5, 5, 2}, []int{3, 3, 2, 2}, 3, []string{"stride 3", "1 and 2"}},
		{[]int{2, 5, 5, 2}, []int{3, 3, 2, 2}, 0, []string{"stride 0", "1 and 2"}},
	} {
		r := rand.New(rand.NewPCG(0, 0))
		_, err := graph.ExecOnce(goBackend(t), func(x, kernel *graph.Node) *graph.Node {
			return convolution.Convolve(x, kernel, c.stride)
		}, draw(r, c.x...).arg(), draw(r, c.kernel...).arg())
		if err == nil {
			t.Errorf("x %v, kernel %v, stride %d: no error", c.x, c.kernel, c.stride)
			continue
		}
		for _, word := range c.words {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("x %v, kernel %v, stride %d: %v does not say %q", c.x, c.kernel, c.stride, err, word)
			}
		}
	}
	_, err := graph.ExecOnce(goBackend(t), func(x, kernel *graph.Node) *graph.Node { return convolution.Convolve(x, kernel, 1) },
		tensors.FromFlatDataAndDimensions(make([]float32, 16), 1, 4, 4, 1), tensors.FromFlatDataAndDimensions(make([]float64, 9), 3, 3, 1, 1))
	if err == nil || !strings.Contains(err.Error(), "differ in data type") {
		t.Errorf("x float32, kernel float64: %v", err)
	}
}
