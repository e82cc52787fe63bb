package experiment

import (
	"fmt"
	"math"

	"github.com/pkg/errors"
	"gonum.org/v1/gonum/stat/distuv"
)

// Interval is an estimate with its 95 % confidence interval.
type Interval struct {
	N    int     // number of values
	Mean float64 // the estimate; NaN if N is 0 or a value is NaN
	SD   float64 // standard deviation of the values (dividing by N-1), NaN if N is below 2
	Low  float64 // ends of the interval, NaN if there is none
	High float64
}

// String is "0.912 ± 0.004 (n = 5)", or "0.91 (0.88 to 0.93, n = 5)" if the interval is not symmetric.
func (i Interval) String() string {
	half := (i.High - i.Low) / 2
	switch {
	case i.N == 0:
		return "no values"
	case math.IsNaN(half) || math.IsInf(half, 0):
		return fmt.Sprintf("%.4g (n = %d)", i.Mean, i.N)
	case math.Abs(i.Low+i.High-2*i.Mean) > 1e-6*half+1e-12*math.Abs(i.Mean):
		return fmt.Sprintf("%.4g (%.4g to %.4g, n = %d)", i.Mean, i.Low, i.High, i.N)
	}
	return fmt.Sprintf("%s ± %s (n = %d)", decimals(i.Mean, half), decimals(half, half), i.N)
}

// decimals prints v with as many decimals as two digits of the uncertainty need.
func decimals(v, uncertainty float64) string {
	if uncertainty <= 0 || math.Abs(v) >= 1e6 || uncertainty < 1e-6 {
		return fmt.Sprintf("%.4g", v)
	}
	return fmt.Sprintf("%.*f", max(0, 1-int(math.Floor(math.Log10(uncertainty)))), v)
}

// Mean is the arithmetic mean m with Student's interval m ± t s/sqrt(n): s is the standard deviation (dividing by n-1) and t the 0.975 quantile of Student's
// distribution with n-1 degrees of freedom (Student 1908). It supposes values that are independent and near to normal. A single value has no interval.
func Mean(values []float64) Interval {
	n := float64(len(values))
	i := Interval{N: len(values), Mean: math.NaN(), SD: math.NaN(), Low: math.NaN(), High: math.NaN()}
	if n == 0 {
		return i
	}
	i.Mean = 0
	for _, v := range values {
		i.Mean += v / n // divided first: the sum of large values may overflow
	}
	if n < 2 {
		return i
	}
	squares := 0.0
	for _, v := range values {
		squares += (v - i.Mean) * (v - i.Mean)
	}
	i.SD = math.Sqrt(squares / (n - 1))
	half := student(len(values)-1) * i.SD / math.Sqrt(n)
	i.Low, i.High = i.Mean-half, i.Mean+half
	return i
}

// GeometricMean is the geometric mean exp(m) with the interval exp(m ± t s/sqrt(n)), m and s being those of the values' logarithms as in Mean: for factors and
// norms, which multiply. SD is that of the logarithms. A value that is not positive makes all of it NaN.
func GeometricMean(values []float64) Interval {
	logs := make([]float64, len(values))
	for k, v := range values {
		if logs[k] = math.Log(v); !(v > 0) {
			logs[k] = math.NaN()
		}
	}
	i := Mean(logs)
	i.Mean, i.Low, i.High = math.Exp(i.Mean), math.Exp(i.Low), math.Exp(i.High)
	return i
}

// Proportion is the share k/n with Wilson's score interval (Wilson 1927), which stays within 0 and 1 and is right for shares near them, where k/n ± 1.96 sqrt(p(1-p)/n)
// is not. It is the interval of an accuracy over n test examples for one trained net; another seed varies by more. It panics unless 0 <= k <= n.
func Proportion(k, n int) Interval {
	if k < 0 || k > n {
		panic(errors.Errorf("experiment.Proportion(%d, %d): the first number must be from 0 to the second", k, n))
	}
	if n == 0 {
		return Mean(nil)
	}
	const z = 1.959963984540054 // 0.975 quantile of the normal distribution
	share, total := float64(k)/float64(n), float64(n)
	centre := (share + z*z/(2*total)) / (1 + z*z/total)
	half := z / (1 + z*z/total) * math.Sqrt(share*(1-share)/total+z*z/(4*total*total))
	return Interval{N: n, Mean: share, SD: math.Sqrt(share * (1 - share)), Low: max(0, centre-half), High: min(1, centre+half)}
}

// student is the 0.975 quantile of Student's distribution.
func student(degrees int) float64 {
	return distuv.StudentsT{Mu: 0, Sigma: 1, Nu: float64(degrees)}.Quantile(0.975)
}
