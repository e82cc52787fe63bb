package activation_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	mlactivation "github.com/gomlx/gomlx/ml/layers/activation"

	"github.com/gradbook/gradbook/pkg/activation"
	"github.com/gradbook/gradbook/pkg/backend"
)

var goBackend = func() compute.Backend {
	b, err := backend.New("go")
	if err != nil {
		panic(err)
	}
	return b
}()

// backends are pure Go and, where it is another one, the machine's default.
func backends(t *testing.T) map[string]compute.Backend {
	t.Helper()
	b, err := backend.Default()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]compute.Backend{"go": goBackend}
	if !backend.IsGo(b) {
		all["default"] = b
	}
	return all
}

// weights makes the upstream gradient of each entry another one, so that a gradient which went to the wrong entry is seen.
func weights(n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = 1 + 0.5*math.Sin(float64(i))
	}
	return v
}

// valueAndGradient computes phi(z) and, with upstream gradient v, dL/dz.
func valueAndGradient[T float32 | float64](t *testing.T, b compute.Backend, phi func(*graph.Node) *graph.Node, z, v []T) (h, gradient []T) {
	t.Helper()
	exec, err := graph.NewExec(b, func(z, v *graph.Node) (*graph.Node, *graph.Node) {
		h := phi(z)
		return h, graph.Gradient(graph.ReduceAllSum(graph.Mul(h, v)), z)[0]
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Exec(z, v)
	if err != nil {
		t.Fatal(err)
	}
	return tensors.MustCopyFlatData[T](out[0]), tensors.MustCopyFlatData[T](out[1])
}

// points are z of all sizes, but no denormal ones, which XLA takes for 0.
func points(a activation.Activation) []float64 {
	const tiny = 0x1p-1022
	z := []float64{0, tiny, -tiny, 1e-9, -1e-9, 17, -17, 37.5, -37.5, 89, -89, 104, -104, 800, -800, 1e4, -1e4, 1e18, -1e18}
	for x := -9.03; x < 9; x += 0.11 {
		z = append(z, x)
	}
	for _, kink := range a.Kinks() {
		z = append(z, kink)
		if kink != 0 {
			z = append(z, math.Nextafter(kink, 9), math.Nextafter(kink, -9))
		}
	}
	return z
}

// TestGraph holds the graph and its autodiff against Value and Derivative, kinks and far tails included, in float64 and in the type that nets are trained in.
func TestGraph(t *testing.T) {
	for name, b := range backends(t) {
		for _, a := range variants() {
			t.Run(name+"/"+a.String(), func(t *testing.T) {
				testGraph(t, b, a, append(points(a), 1e300, -1e300), 0x1p-52)
				z := make([]float32, 0, 200)
				for _, x := range append(points(a), 1e37, -1e37) {
					z = append(z, float32(x))
				}
				testGraph(t, b, a, z, 0x1p-23)
			})
		}
	}
}

// testGraph allows some roundings of the result and, as graphs form 1-h and z (1+erf), of 1 and of z where that is larger.
func testGraph[T float32 | float64](t *testing.T, b compute.Backend, a activation.Activation, z []T, rounding float64) {
	v := make([]T, len(z))
	for i, w := range weights(len(z)) {
		v[i] = T(w)
	}
	h, gradient := valueAndGradient(t, b, a.Graph, z, v)
	nonzero := 0
	for i, z := range z {
		absolute := 4 * rounding * min(max(1, math.Abs(float64(z))/2), 5)
		near(t, fmt.Sprintf("h at %g", z), float64(h[i]), a.Value(float64(z)), 8*rounding, absolute)
		near(t, fmt.Sprintf("dL/dz at %g", z), float64(gradient[i]), float64(v[i])*a.Derivative(float64(z)), 16*rounding, 2*absolute)
		if gradient[i] != 0 {
			nonzero++
		}
	}
	if (nonzero == 0) != (a == activation.Step) || a != activation.Step && nonzero < len(z)/4 {
		t.Errorf("%d of %d gradients are not 0", nonzero, len(z))
	}
}

// TestGraphNaN: a net that broke stays visible behind each activation.
func TestGraphNaN(t *testing.T) {
	for name, b := range backends(t) {
		for _, a := range variants() {
			h, _ := valueAndGradient(t, b, a.Graph, []float64{-1, math.NaN(), 1}, []float64{1, 1, 1})
			if !math.IsNaN(h[1]) || math.IsNaN(h[0]) || math.IsNaN(h[2]) {
				t.Errorf("%s on %s: -1, NaN, 1 become %g", a, name, h)
			}
		}
	}
}

// TestGraphGradientByDifferences takes the gradient of a sum of squares through each activation by central differences of the compiled graph itself.
func TestGraphGradientByDifferences(t *testing.T) {
	const h = 1e-6
	for _, a := range variants() {
		z := []float64{-4.1, -2.2, -0.9, -0.3, 0.4, 1.1, 2.1, 3.3}
		loss, err := graph.NewExec(goBackend, func(z *graph.Node) (*graph.Node, *graph.Node) {
			loss := graph.ReduceAllSum(graph.Square(a.Graph(z)))
			return loss, graph.Gradient(loss, z)[0]
		})
		if err != nil {
			t.Fatal(err)
		}
		run := func(z []float64) (float64, []float64) {
			out, err := loss.Exec(z)
			if err != nil {
				t.Fatal(err)
			}
			return tensors.ToScalar[float64](out[0]), tensors.MustCopyFlatData[float64](out[1])
		}
		_, gradient := run(z)
		for i := range z {
			moved := append([]float64(nil), z...)
			moved[i] = z[i] + h
			above, _ := run(moved)
			moved[i] = z[i] - h
			below, _ := run(moved)
			near(t, fmt.Sprintf("%s: dL/dz at %g", a, z[i]), gradient[i], (above-below)/(2*h), 1e-7, 1e-7)
		}
	}
}

// TestGraphWith learns slopes: one for all, one a unit, and for images one a channel.
func TestGraphWith(t *testing.T) {
	prelu := activation.PReLU(0.25)
	zs := [][]float64{{-1, 2, -3}, {-4, -5, 6}}
	exec, err := graph.NewExec(goBackend, func(z, one, each, v *graph.Node) []*graph.Node {
		scalar := prelu.GraphWith(z, one)
		units := prelu.GraphWith(z, each)
		images := prelu.GraphWith(graph.Reshape(z, 1, 1, 2, 3), each)
		weighted := func(h *graph.Node) *graph.Node { return graph.ReduceAllSum(graph.Mul(graph.Reshape(h, 2, 3), v)) }
		byScalar, byUnit, byImage := graph.Gradient(weighted(scalar), z, one), graph.Gradient(weighted(units), z, each), graph.Gradient(weighted(images), each)
		return []*graph.Node{scalar, byScalar[0], byScalar[1], units, byUnit[0], byUnit[1], byImage[0]}
	})
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Exec(zs, 0.5, []float64{0.1, 0.2, 0.3}, [][]float64{{1, 2, 3}, {4, 5, 6}})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range [][]float64{
		{-0.5, 2, -1.5, -2, -2.5, 6},
		{0.5, 2, 1.5, 2, 2.5, 6},
		{-1*1 - 3*3 - 4*4 - 5*5},
		{-0.1, 2, -0.9, -0.4, -1, 6},
		{0.1, 2, 0.9, 0.4, 1, 6},
		{-1*1 - 4*4, -5 * 5, -3 * 3},
		{-1*1 - 4*4, -5 * 5, -3 * 3},
	} {
		got := tensors.MustCopyFlatData[float64](out[i])
		if len(got) != len(want) {
			t.Errorf("output %d is %g, want %g", i, got, want)
			continue
		}
		for k := range want {
			near(t, fmt.Sprintf("output %d, entry %d", i, k), got[k], want[k], 1e-15, 0)
		}
	}
}

func TestGraphMistakes(t *testing.T) {
	g := graph.NewGraph(goBackend, "mistakes")
	defer g.Finalize()
	parameter := func(name string, dtype dtypes.DType, dims ...int) *graph.Node {
		return graph.Parameter(g, name, shapes.Make(dtype, dims...))
	}
	z, whole := parameter("z", dtypes.Float32, 4, 3), parameter("whole", dtypes.Int32, 4, 3)
	slope, wide, other := parameter("slope", dtypes.Float32), parameter("wide", dtypes.Float32, 4), parameter("other", dtypes.Float64)
	high := parameter("high", dtypes.Float32, 1, 4, 3)
	prelu := activation.PReLU(0.25)
	for _, c := range []struct {
		f     func()
		words []string
	}{
		{func() { activation.ReLU.Graph(whole) }, []string{"relu", "Int32", "[4, 3]", "floating-point"}},
		{func() { prelu.GraphWith(whole, slope) }, []string{"Int32", "[4, 3]"}},
		{func() { activation.ReLU.GraphWith(z, slope) }, []string{"relu has no slope to learn"}},
		{func() { activation.LeakyReLU(0.1).GraphWith(z, slope) }, []string{"leaky_relu(0.1) has no slope to learn"}},
		{func() { prelu.GraphWith(z, wide) }, []string{"[4]", "[4, 3]", "want size 3"}},
		{func() { prelu.GraphWith(z, other) }, []string{"Float64", "[4, 3]", "same type"}},
		{func() { prelu.GraphWith(z, high) }, []string{"[1, 4, 3]", "does not fit"}},
	} {
		message := panicOf(c.f)
		for _, word := range c.words {
			if !strings.Contains(message, word) {
				t.Errorf("panic %q, want one with %q", message, word)
			}
		}
	}
}

// TestGoMLXOwn says why Graph does not call GoMLX's own functions for these: drop a workaround when its case fails.
func TestGoMLXOwn(t *testing.T) {
	gradientAt := func(phi func(*graph.Node) *graph.Node, z float32) float32 {
		_, gradient := valueAndGradient(t, goBackend, phi, []float32{z}, []float32{1})
		return gradient[0]
	}
	if d := gradientAt(mlactivation.Relu, 0); d != 1 {
		t.Errorf("Relu's gradient at 0 is %g now, no longer 1", d)
	}
	if d := gradientAt(mlactivation.Selu, 89); d == d {
		t.Errorf("Selu's gradient at 89 is %g now, no longer NaN", d)
	}
	for _, c := range []struct {
		ours, theirs func(*graph.Node) *graph.Node
	}{
		{activation.GELU.Graph, mlactivation.Gelu}, {activation.SiLU.Graph, mlactivation.Swish}, {activation.HardSigmoid.Graph, mlactivation.HardSigmoid},
	} {
		z := []float64{-7, -3, -1, -0.1, 0, 0.2, 1, 2, 5}
		h, gradient := valueAndGradient(t, goBackend, c.ours, z, weights(len(z)))
		h2, gradient2 := valueAndGradient(t, goBackend, c.theirs, z, weights(len(z)))
		for i := range z {
			near(t, fmt.Sprintf("h at %g", z[i]), h[i], h2[i], 0, 1e-14)
			near(t, fmt.Sprintf("dL/dz at %g", z[i]), gradient[i], gradient2[i], 0, 1e-14)
		}
	}
}
