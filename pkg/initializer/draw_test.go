package initializer_test

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/gradbook/gradbook/pkg/backend"
	"github.com/gradbook/gradbook/pkg/initializer"
)

func draw(t *testing.T, i initializer.Initializer, seed uint64, name string, dims ...int) []float64 {
	t.Helper()
	w, err := i.Draw(initializer.Stream(seed, name), dims...)
	if err != nil {
		t.Fatal(err)
	}
	size := 1
	for _, d := range dims {
		size *= d
	}
	if len(w) != size {
		t.Fatalf("%s of %v: %d weights", i, dims, len(w))
	}
	return w
}

// kolmogorov returns sqrt(n) times the largest distance between the draws' distribution and cdf: above 1.95 with probability 0.001.
func kolmogorov(values []float64, cdf func(float64) float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n, distance := float64(len(sorted)), 0.0
	for k, v := range sorted {
		distance = max(distance, math.Abs(cdf(v)-float64(k)/n), math.Abs(cdf(v)-float64(k+1)/n))
	}
	return distance * math.Sqrt(n)
}

func normalCDF(z float64) float64 { return 0.5 * math.Erfc(-z/math.Sqrt2) }

// TestDistribution has mean, variance and shape of what is drawn, for dense layers and convolutions, within 4.5 standard errors.
func TestDistribution(t *testing.T) {
	for _, i := range all() {
		if i.Kind == initializer.KindIdentity || i.Kind == initializer.KindOrthogonal {
			continue
		}
		for _, dims := range [][]int{{200, 150}, {60, 400}, {3, 3, 24, 48}, {5, 5, 40, 20}} {
			t.Run(fmt.Sprint(i, dims), func(t *testing.T) {
				w := draw(t, i, 7, "h1/W", dims...)
				variance, err := i.VarianceOf(dims...)
				if err != nil {
					t.Fatal(err)
				}
				n, kurtosis := float64(len(w)), 3.0
				sigma := math.Sqrt(variance)
				bound := math.Sqrt(3) * sigma
				cdf := func(v float64) float64 { return normalCDF(v / sigma) }
				if i.Kind == initializer.KindUniform || i.Kind == initializer.KindGlorotUniform {
					kurtosis = 1.8
					cdf = func(v float64) float64 { return (v + bound) / (2 * bound) }
					if low, high := slices.Min(w), slices.Max(w); low < -bound || high >= bound || low > -0.998*bound || high < 0.998*bound {
						t.Errorf("between %g and %g, want +-%g", low, high, bound)
					}
				} else if high := slices.Max(w); high < 3.5*sigma {
					t.Errorf("none of %g normals is over %g sigma", n, high/sigma)
				}
				near(t, "mean", stat.Mean(w, nil), 0, 4.5*sigma/math.Sqrt(n))
				near(t, "variance", stat.Moment(2, w, nil), variance, 4.5*variance*math.Sqrt((kurtosis-1)/n))
				if d := kolmogorov(w, cdf); d > 1.95 {
					t.Errorf("Kolmogorov's distance is %g", d)
				}
				near(t, "correlation of neighbours", stat.Correlation(w[1:], w[:len(w)-1], nil), 0, 4.5/math.Sqrt(n))
			})
		}
	}
}

// TestOrthogonal multiplies out W^T W, or W W^T of a wide one.
func TestOrthogonal(t *testing.T) {
	for _, dims := range [][]int{{50, 20}, {20, 50}, {30, 30}, {1, 1}, {1, 7}, {7, 1}, {200, 130}, {3, 3, 8, 16}, {3, 3, 2, 40}, {1, 1, 6, 6}, {5, 4, 10}} {
		for _, gain := range []float64{1, math.Sqrt2, 0.1} {
			w := draw(t, initializer.Orthogonal(gain), 3, "W", dims...)
			out := dims[len(dims)-1]
			matrix := mat.NewDense(len(w)/out, out, w)
			var product mat.Dense
			if rows, cols := matrix.Dims(); rows >= cols {
				product.Mul(matrix.T(), matrix)
			} else {
				product.Mul(matrix, matrix.T())
			}
			n, _ := product.Dims()
			for a := range n {
				for b := range n {
					want := 0.0
					if a == b {
						want = gain * gain
					}
					near(t, fmt.Sprintf("%v, gain %g: product at %d, %d", dims, gain, a, b), product.At(a, b), want, 1e-13*gain*gain)
				}
			}
			variance, err := initializer.Orthogonal(gain).VarianceOf(dims...)
			if err != nil {
				t.Fatal(err)
			}
			near(t, fmt.Sprint(dims, ": mean square"), mat.Norm(matrix, 2)*mat.Norm(matrix, 2)/float64(len(w)), variance, 1e-13*gain*gain)
		}
	}
}

// TestOrthogonalUniform: without the correction of signs the QR decomposition would prefer some orthogonal matrices to others.
func TestOrthogonalUniform(t *testing.T) {
	r := initializer.Stream(11, "many")
	const n = 4000
	signs, reflections := 0.0, 0.0
	angles, firsts := make([]float64, n), make([]float64, n)
	for k := range n {
		one, err := initializer.Orthogonal(1).Draw(r, 1, 1)
		if err != nil {
			t.Fatal(err)
		}
		signs += one[0]
		two, err := initializer.Orthogonal(1).Draw(r, 2, 2)
		if err != nil {
			t.Fatal(err)
		}
		reflections += two[0]*two[3] - two[1]*two[2]
		angles[k] = math.Atan2(two[2], two[0]) // of the first column
		three, err := initializer.Orthogonal(1).Draw(r, 3, 2)
		if err != nil {
			t.Fatal(err)
		}
		firsts[k] = three[5] // a coordinate of a uniform point on the sphere is uniform
	}
	near(t, "mean of +-1", signs/n, 0, 4.5/math.Sqrt(n))
	near(t, "mean determinant", reflections/n, 0, 4.5/math.Sqrt(n))
	if d := kolmogorov(angles, func(a float64) float64 { return (a + math.Pi) / (2 * math.Pi) }); d > 1.95 {
		t.Errorf("angles are not uniform: Kolmogorov's distance is %g", d)
	}
	if d := kolmogorov(firsts, func(v float64) float64 { return (v + 1) / 2 }); d > 1.95 {
		t.Errorf("columns are not uniform on the sphere: Kolmogorov's distance is %g", d)
	}
}

func TestIdentity(t *testing.T) {
	for _, c := range []struct {
		dims []int
		want []float64
	}{
		{[]int{2, 2}, []float64{0.5, 0, 0, 0.5}},
		{[]int{3, 2}, []float64{0.5, 0, 0, 0.5, 0, 0}},
		{[]int{2, 3}, []float64{0.5, 0, 0, 0, 0.5, 0}},
		{[]int{3, 1, 2}, []float64{0, 0, 0.5, 0, 0, 0}},
		{[]int{2, 1, 1}, []float64{0, 0.5}},
	} {
		if got := draw(t, initializer.Identity(0.5), 1, "W", c.dims...); !slices.Equal(got, c.want) {
			t.Errorf("identity of %v is %g, want %g", c.dims, got, c.want)
		}
	}
}

// TestIdentityConvolution passes an image through convolutions with the kernel: twice the channels, then again the first half.
func TestIdentityConvolution(t *testing.T) {
	b, err := backend.New("go")
	if err != nil {
		t.Fatal(err)
	}
	kernel := func(dims ...int) *tensors.Tensor {
		k, err := initializer.Tensor(draw(t, initializer.Identity(1), 1, "W", dims...), tensorType, dims...)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	image := draw(t, initializer.Normal(1), 5, "image", 1, 6, 5, 3)
	x, err := initializer.Tensor(image, tensorType, 1, 6, 5, 3)
	if err != nil {
		t.Fatal(err)
	}
	exec, err := graph.NewExec(b, func(x, wide, back *graph.Node) *graph.Node {
		return graph.Convolve(graph.Convolve(x, wide).PadSame().Done(), back).PadSame().Done()
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Exec(x, kernel(3, 3, 3, 6), kernel(5, 5, 6, 3))
	if err != nil {
		t.Fatal(err)
	}
	if got := tensors.MustCopyFlatData[float64](out[0]); !slices.Equal(got, image) {
		t.Errorf("the image %g came out as %g", image, got)
	}
}

func TestSameSeedSameBits(t *testing.T) {
	for _, i := range all() {
		first, again := draw(t, i, 42, "h3/W", 30, 20), draw(t, i, 42, "h3/W", 30, 20)
		if !slices.Equal(first, again) {
			t.Errorf("%s: the same seed gave other weights", i)
		}
		if i.Kind == initializer.KindIdentity {
			continue
		}
		for what, other := range map[string][]float64{"seed": draw(t, i, 43, "h3/W", 30, 20), "name": draw(t, i, 42, "h4/W", 30, 20)} {
			equal := 0
			for k := range first {
				if first[k] == other[k] {
					equal++
				}
			}
			if equal > 0 {
				t.Errorf("%s: another %s gave %d of %d weights the same", i, what, equal, len(first))
			}
		}
	}
}

// TestProcessors: the matrix decomposition of orthogonal works in parallel, and must not depend on how far.
func TestProcessors(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	one := draw(t, initializer.Orthogonal(1), 1, "W", 300, 200)
	for _, n := range []int{2, 8} {
		runtime.GOMAXPROCS(n)
		if more := draw(t, initializer.Orthogonal(1), 1, "W", 300, 200); !slices.Equal(one, more) {
			t.Errorf("on %d processors the weights are others than on one", n)
		}
	}
}

// TestStreamsAreIndependent correlates streams of neighbouring seeds and similar names.
func TestStreamsAreIndependent(t *testing.T) {
	const n = 20000
	type key struct {
		seed uint64
		name string
	}
	keys := []key{{0, ""}, {0, "h1/W"}, {1, "h1/W"}, {2, "h1/W"}, {1 << 63, "h1/W"}, {1, "h2/W"}, {1, "h1/b"}, {1, "h1/W "}, {0x68, "1/W"}}
	series := make([][]float64, len(keys))
	for k, key := range keys {
		series[k] = initializer.Bias(initializer.Stream(key.seed, key.name), 1, n)
		for j := range k {
			near(t, fmt.Sprintf("correlation of %v and %v", keys[j], key), stat.Correlation(series[j], series[k], nil), 0, 4.5/math.Sqrt(n))
		}
	}
}

// TestGolden notices a change of the numbers: it would change every result of every notebook. Orthogonal ones pass through a matrix decomposition, whose last
// bits may differ from one processor to another.
func TestGolden(t *testing.T) {
	for _, c := range []struct {
		i    initializer.Initializer
		want []float64
	}{} {
		got := draw(t, c.i, 20240607, "h1/W", 4, 3)[:3]
		exact := slices.Equal(got, c.want)
		if c.i.Kind == initializer.KindOrthogonal {
			exact = true
			for k := range got {
				near(t, c.i.String(), got[k], c.want[k], 1e-14)
			}
		}
		if !exact {
			t.Errorf("%s: %#v, want %#v", c.i, got, c.want)
		}
	}
	if b, want := initializer.Bias(initializer.Stream(20240607, "h1/b"), 0.5, 2), []float64{0.020835805853603118, -0.10221481252643394}; !slices.Equal(b, want) {
		t.Errorf("biases: %#v, want %#v", b, want)
	}
}

func TestBias(t *testing.T) {
	const n = 20000
	b := initializer.Bias(initializer.Stream(1, "h1/b"), 0.3, n)
	near(t, "mean", stat.Mean(b, nil), 0, 4.5*0.3/math.Sqrt(n))
	near(t, "variance", stat.Moment(2, b, nil), 0.09, 4.5*0.09*math.Sqrt(2.0/n))
	if d := kolmogorov(b, func(v float64) float64 { return normalCDF(v / 0.3) }); d > 1.95 {
		t.Errorf("Kolmogorov's distance is %g", d)
	}
	if zeros := initializer.Bias(nil, 0, 3); !slices.Equal(zeros, []float64{0, 0, 0}) {
		t.Errorf("sigma_b = 0 gives %g", zeros)
	}
	if none := initializer.Bias(initializer.Stream(1, "b"), 1, 0); len(none) != 0 {
		t.Errorf("no biases are %g", none)
	}
	for _, c := range []struct {
		sigma float64
		n     int
		word  string
	}{{-1, 3, "sigma_b = -1"}, {math.NaN(), 3, "sigma_b = NaN"}, {math.Inf(1), 3, "sigma_b = +Inf"}, {1, -3, "n = -3"}} {
		func() {
			defer func() {
				if message := fmt.Sprint(recover()); !strings.Contains(message, c.word) {
					t.Errorf("panic %q, want one with %q", message, c.word)
				}
			}()
			initializer.Bias(initializer.Stream(1, "b"), c.sigma, c.n)
		}()
	}
}
