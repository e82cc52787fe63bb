package initializer

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"math/rand/v2"

	"github.com/pkg/errors"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/lapack/lapack64"
)

// Stream returns the random numbers of one variable of a net: a generator seeded by both seed and name, independent of those of other names and seeds.
func Stream(seed uint64, name string) *rand.Rand {
	text := make([]byte, 8, 8+len(name))
	binary.LittleEndian.PutUint64(text, seed)
	return rand.New(rand.NewChaCha8(sha256.Sum256(append(text, name...))))
}

// Draw returns weights of the given dimensions in row-major order: [in, out] of a dense layer, [height, width, in, out] of a convolution (or [taps, in, out]
// in one dimension). Equal generators give equal bits. It is an error if i is not Valid, r is nil, or Fans refuses the dimensions.
func (i Initializer) Draw(r *rand.Rand, dims ...int) ([]float64, error) {
	if r == nil {
		return nil, errors.Errorf("initializer %s: no random numbers given: use Stream(seed, name)", i)
	}
	variance, err := i.VarianceOf(dims...)
	if err != nil {
		return nil, err
	}
	fanIn, _, _ := Fans(dims...)
	out := dims[len(dims)-1]
	w := make([]float64, fanIn*out)
	switch i.Kind {
	case KindOrthogonal:
		orthogonal(r, w, fanIn, out, i.gain())
	case KindIdentity:
		identity(w, dims, i.gain())
	case KindUniform, KindGlorotUniform:
		bound := math.Sqrt(3 * variance) // a uniform draw within +-a has variance a^2/3
		for k := range w {
			w[k] = bound * (2*r.Float64() - 1)
		}
	default:
		sigma := math.Sqrt(variance)
		for k := range w {
			w[k] = sigma * r.NormFloat64()
		}
	}
	return w, nil
}

// orthogonal fills w [rows, cols], row-major, with gain times a matrix that has orthonormal columns, or rows if it is wider than high.
func orthogonal(r *rand.Rand, w []float64, rows, cols int, gain float64) {
	m, n := max(rows, cols), min(rows, cols)
	a := blas64.General{Rows: m, Cols: n, Stride: n, Data: make([]float64, m*n)}
	for k := range a.Data {
		a.Data[k] = r.NormFloat64()
	}
	tau := make([]float64, n)
	work := make([]float64, 1)
	lapack64.Geqrf(a, tau, work, -1)
	work = make([]float64, max(int(work[0]), m))
	lapack64.Geqrf(a, tau, work, len(work))
	// Householder's R has a diagonal of either sign, and Q is uniform among all orthogonal matrices only with R's diagonal made positive (Mezzadri 2007).
	sign := make([]float64, n)
	for j := range sign {
		sign[j] = math.Copysign(gain, a.Data[j*n+j])
	}
	lapack64.Orgqr(a, tau, work, -1)
	work = make([]float64, max(int(work[0]), n))
	lapack64.Orgqr(a, tau, work, len(work))
	for i := range m {
		for j := range n {
			q := sign[j] * a.Data[i*n+j]
			if rows >= cols {
				w[i*cols+j] = q
			} else {
				w[j*cols+i] = q
			}
		}
	}
}

// identity puts gain on the diagonal of the matrix [in, out] at the centre of w, whose entries are 0.
func identity(w []float64, dims []int, gain float64) {
	in, out := dims[len(dims)-2], dims[len(dims)-1]
	tap := 0
	for _, size := range dims[:len(dims)-2] {
		tap = tap*size + size/2
	}
	for k := range min(in, out) {
		w[(tap*in+k)*out+k] = gain
	}
}

// Bias returns n biases from N(0, sigmaB^2); with sigmaB = 0 they are zeros, and r is not used. It panics if sigmaB is negative or not finite, or n is
// negative.
func Bias(r *rand.Rand, sigmaB float64, n int) []float64 {
	if !(sigmaB >= 0) || math.IsInf(sigmaB, 0) || n < 0 {
		panic(errors.Errorf("biases: sigma_b = %g, n = %d: sigma_b must be finite and not negative, and so must their number", sigmaB, n))
	}
	b := make([]float64, n)
	if sigmaB != 0 {
		for k := range b {
			b[k] = sigmaB * r.NormFloat64()
		}
	}
	return b
}
