package meanfield

import (
	"math"

	"github.com/gradbook/gradbook/pkg/activation"
)

// Recurrent is a wide vanilla recurrent net at initialisation: z_t = W h_(t-1) + U x_t + b, h_t = phi(z_t), h_0 = 0. That W is the same at each step changes
// neither lengths nor the factor of the gradient in the limit of wide nets (Chen, Pennington and Schoenholz 2018, Dynamical isometry and a mean field theory
// of RNNs): a net in time is the net in depth whose biases include the inputs. LSTM and GRU are not known here.
type Recurrent struct {
	Activation activation.Activation `json:"activation"`
	SigmaW2    float64               `json:"sigma_w2"` // variance of an entry of W times the number of hidden units
	SigmaB2    float64               `json:"sigma_b2"` // variance of a bias
	SigmaU2    float64               `json:"sigma_u2"` // variance of an entry of U times the number of inputs
	// Input describes x_t, the same at each step in its statistics: MeanSquare is |x_t|^2 over the number of inputs. For two sequences, Cosine is that of the
	// angle between x_t and the other's; FanRatio has no meaning here.
	Input Input `json:"input"`
}

// Step is what theory predicts of time step t = Index, for one sequence, its loss taken at the last step T. Norms are relative to the last step's.
type Step struct {
	Layer
	// HGradNorm is |dL/dh_t| / |dL/dz_T|: NaN at the last step, where it depends on the loss.
	HGradNorm float64 `json:"h_grad_norm"`
}

// Validate returns an error that says what is wrong with the configuration, or nil.
func (r Recurrent) Validate() error {
	if err := (Net{r.Activation, r.SigmaW2, r.SigmaB2}).Validate(); err != nil {
		return err
	}
	if err := variance("SigmaU2", r.SigmaU2); err != nil {
		return err
	}
	_, err := r.Input.check()
	return err
}

// Net returns the net in depth that the recurrent one is like: its biases have the variance of b plus that of U x.
func (r Recurrent) Net() Net {
	return Net{r.Activation, r.SigmaW2, r.SigmaB2 + r.SigmaU2*r.Input.MeanSquare}
}

// Fixed returns where time takes the net if both sequences of a pair have the same x_t ([Point.C] is then the memory of what came before: 1 means that it is
// gone). Errors are those of [Recurrent.Validate].
func (r Recurrent) Fixed() (Point, error) {
	if err := r.Validate(); err != nil {
		return Point{}, err
	}
	n := r.Net()
	return n.FixedFrom(n.SigmaB2)
}

// GradientFactor is that of [Recurrent.Fixed]: the factor of the norm of delta_t = dL/dz_t a time step, from a step to the one before.
func (r Recurrent) GradientFactor() (float64, error) {
	p, err := r.Fixed()
	return p.GradientFactor(), err
}

// Trajectory returns the steps 1 to `steps`. WGradNorm is the contribution of step t to the norm of dL/dW (delta_t h_(t-1)^T; the whole is the root of the
// sum of their squares, as the parts are orthogonal in the limit of wide nets), relative to the last step's; it is 0 at the first step, since h_0 is. Errors
// are those of [Recurrent.Validate], and steps below 1.
func (r Recurrent) Trajectory(steps int) ([]Step, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	if err := checkDepth(steps); err != nil {
		return nil, err
	}
	in, _ := r.Input.check()
	n := Net{r.Activation, r.SigmaW2, r.SigmaB2}
	extra := Net{SigmaW2: r.SigmaU2}.first(in)
	layers := make([]Layer, steps)
	p := pair{extra.qa + n.SigmaB2, extra.qb + n.SigmaB2, extra.half}
	for i := range layers {
		var m moments
		m, layers[i], p = n.step(p, 0, 1, extra)
		layers[i].Index, layers[i].Chi = i+1, n.chi(m)
	}
	backward(layers, Input{}, jumps(n.Activation))
	out := make([]Step, steps)
	for i, l := range layers {
		out[i] = Step{l, math.NaN()}
		if i+1 < steps {
			out[i].HGradNorm = math.Sqrt(r.SigmaW2) * layers[i+1].DeltaNorm
		}
	}
	return out, nil
}
