package gradflow

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/support/exceptions"
	"github.com/pkg/errors"
	"gonum.org/v1/gonum/mat"
)

// Spectrum holds the singular values of a layer's Jacobian dh/dx, x being what the layer was fed with.
type Spectrum struct {
	// Values are the singular values, largest first, each averaged over the examples.
	Values []float64 `json:"values"`
	// Examples is the number of examples, and Method how the Jacobian was found: "diag(phi') W^T" in a plain layer, else "autodiff rows".
	Examples int    `json:"examples"`
	Method   string `json:"method"`
}

// Mean returns the mean singular value: a vector of random direction is stretched by about that much (its root mean square, exactly).
func (s *Spectrum) Mean() float64 {
	sum := 0.0
	for _, v := range s.Values {
		sum += v
	}
	return sum / float64(len(s.Values))
}

// Max returns the largest singular value.
func (s *Spectrum) Max() float64 { return s.Values[0] }

// JacobianNorm is the Frobenius norm of the Jacobian of one example's outputs with respect to its own inputs.
type JacobianNorm struct {
	// Norm is the root mean square over the examples.
	Norm     float64 `json:"norm"`
	Examples int     `json:"examples"`
	// Method says how: "exact" by one backward pass per output, or Hutchinson's estimate with its number of probes and its seed.
	Method string `json:"method"`
}

// jacobians adds what was asked for to the report.
func (m *Meter) jacobians(r *Report, l *layout, inputs []*tensors.Tensor) error {
	if examples := max(m.options.SingularValues, m.options.InputJacobian); examples > r.Batch {
		return errors.Errorf("gradflow: Jacobians are asked for at %d examples, and the batch has %d", examples, r.Batch)
	}
	var rest []int
	if n := m.options.SingularValues; n > 0 {
		for i := range r.Layers {
			if !r.Layers[i].Plain {
				rest = append(rest, i)
				continue
			}
			s, err := plainSpectrum(&r.Layers[i], n)
			if err != nil {
				return err
			}
			r.Layers[i].SingularValues = s
		}
	}
	if m.options.InputJacobian > 0 {
		rest = append(rest, -1)
	}
	if len(rest) == 0 {
		return nil
	}
	var err error
	if caught := exceptions.TryCatch[error](func() { err = m.byAutodiff(r, l, inputs, rest) }); caught != nil {
		err = caught
	}
	return errors.WithMessage(err, "gradflow: the Jacobians could not be taken")
}

// plainSpectrum finds the singular values of diag(phi'(z)) W^T, [units, fan-in], at the first n examples.
func plainSpectrum(l *LayerReport, n int) (*Spectrum, error) {
	z, w := floats(l.Tensors.Z), floats(l.Tensors.W)
	in, out := l.FanIn, l.Units
	s := &Spectrum{Values: make([]float64, min(in, out)), Examples: n, Method: "diag(phi') W^T"}
	jacobian := mat.NewDense(out, in, nil)
	for e := range n {
		for j := range out {
			slope := l.Activation.Derivative(z[e*out+j])
			for i := range in {
				jacobian.Set(j, i, slope*w[i*out+j])
			}
		}
		if err := s.add(jacobian); err != nil {
			return nil, errors.WithMessagef(err, "gradflow: layer %q, example %d", l.Name, e)
		}
	}
	return s, nil
}

// add adds the singular values of one example's Jacobian to the mean.
func (s *Spectrum) add(jacobian *mat.Dense) error {
	rows, cols := jacobian.Dims()
	for i := range rows {
		for _, v := range jacobian.RawRowView(i) {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				for j := range s.Values {
					s.Values[j] = math.NaN()
				}
				return nil
			}
		}
	}
	var svd mat.SVD
	if !svd.Factorize(jacobian, mat.SVDNone) {
		return errors.Errorf("the singular values of its Jacobian [%d, %d] did not converge", rows, cols)
	}
	for i, v := range svd.Values(nil) {
		s.Values[i] += v / float64(s.Examples)
	}
	return nil
}

// floats copies a tensor of floats to float64.
func floats(t *tensors.Tensor) []float64 {
	switch t.DType() {
	case dtypes.Float64:
		return tensors.MustCopyFlatData[float64](t)
	case dtypes.Float32:
		var wide []float64
		for _, v := range tensors.MustCopyFlatData[float32](t) {
			wide = append(wide, float64(v))
		}
		return wide
	}
	panic(errors.Errorf("a tensor of %s; Jacobians are taken of float32 and float64 models", t.DType()))
}
