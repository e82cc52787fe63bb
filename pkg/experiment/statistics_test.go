package experiment_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/gradbook/gradbook/pkg/experiment"
)

func near(a, b, tolerance float64) bool { return math.Abs(a-b) <= tolerance }

func TestMean(t *testing.T) {
	// Student's t from printed tables (0.975 quantile), so that the interval of values of deviation s is mean ± t s/sqrt(n).
	for n, quantile := range map[int]float64{2: 12.706, 3: 4.303, 5: 2.776, 10: 2.262, 30: 2.045} {
		values := make([]float64, n)
		for i := range values {
			values[i] = float64(i)
		}
		m := float64(n-1) / 2
		s := math.Sqrt(float64(n) * float64(n+1) / 12) // of 0 ... n-1, dividing by n-1
		i := experiment.Mean(values)
		half := quantile * s / math.Sqrt(float64(n))
		if i.N != n || !near(i.Mean, m, 1e-12) || !near(i.SD, s, 1e-12) || !near(i.Low, m-half, 6e-4*half) || !near(i.High, m+half, 6e-4*half) {
			t.Errorf("n = %d: %+v, want %v ± %v, SD %v", n, i, m, half, s)
		}
	}
	for name, values := range map[string][]float64{"none": nil, "one": {3}, "NaN": {1, math.NaN()}} {
		if i := experiment.Mean(values); !math.IsNaN(i.Low) || !math.IsNaN(i.High) || i.N != len(values) {
			t.Errorf("%s: %+v has an interval", name, i)
		}
	}
	if i := experiment.Mean([]float64{math.MaxFloat64, math.MaxFloat64}); i.Mean != math.MaxFloat64 {
		t.Errorf("the mean of large numbers overflows: %v", i.Mean)
	}
}

func TestGeometricMean(t *testing.T) {
	i := experiment.GeometricMean([]float64{1, 100, 10}) // logarithms to base 10: 0, 2, 1, of deviation 1
	factor := math.Pow(10, 4.3027/math.Sqrt(3))
	if !near(i.Mean, 10, 1e-12) || !near(i.High, 10*factor, 1e-3*factor) || !near(i.Low, 10/factor, 1e-3/factor) || !near(i.SD, math.Ln10, 1e-12) {
		t.Errorf("%+v, want 10, factor %v", i, factor)
	}
	for _, bad := range []float64{0, -1, math.NaN()} {
		if i := experiment.GeometricMean([]float64{1, bad}); !math.IsNaN(i.Mean) {
			t.Errorf("with %v: %v", bad, i.Mean)
		}
	}
}

func TestProportion(t *testing.T) {
	for _, c := range []struct {
		k, n      int
		low, high float64 // Newcombe 1998, table 1 (Wilson's score method)
	}{{81, 263, 0.2553, 0.3662}, {15, 148, 0.0624, 0.1605}, {0, 20, 0, 0.1611}, {1, 29, 0.0061, 0.1718}} {
		i := experiment.Proportion(c.k, c.n)
		if !near(i.Low, c.low, 5e-5) || !near(i.High, c.high, 5e-5) || i.Mean != float64(c.k)/float64(c.n) || i.N != c.n {
			t.Errorf("%d of %d: %+v, want %v to %v", c.k, c.n, i, c.low, c.high)
		}
	}
	if i := experiment.Proportion(7, 7); i.High != 1 || i.Low < 0.6 {
		t.Errorf("7 of 7: %+v", i)
	}
	if i := experiment.Proportion(0, 0); i.N != 0 || !math.IsNaN(i.Mean) {
		t.Errorf("0 of 0: %+v", i)
	}
	defer func() {
		if recover() == nil {
			t.Error("3 of 2 is no error")
		}
	}()
	experiment.Proportion(3, 2)
}

func ExampleMean() {
	fmt.Println(experiment.Mean([]float64{0.91, 0.93, 0.92, 0.90, 0.94}))
	fmt.Println(experiment.Mean([]float64{0.91}))
	fmt.Println(experiment.GeometricMean([]float64{1e-6, 1e-5, 1e-4}))
	fmt.Println(experiment.Proportion(9712, 10000))
	// Output:
	// 0.920 ± 0.020 (n = 5)
	// 0.91 (n = 1)
	// 1e-05 (3.28e-08 to 0.003049, n = 3)
	// 0.9712 (0.9677 to 0.9743, n = 10000)
}
