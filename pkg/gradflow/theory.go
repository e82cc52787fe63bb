package gradflow

import (
	"math"

	"github.com/gradbook/gradbook/pkg/meanfield"
)

// Theory is what mean-field theory predicts for a net with the sigma_w^2 and sigma_b^2 that a report measured.
type Theory struct {
	Layers []LayerTheory
	// Factor is the geometric mean of the layers' factors over the transitions that Report.Factor covers; NaN unless all of them are predicted.
	Factor float64
}

// LayerTheory is the prediction for one layer.
type LayerTheory struct {
	Name string
	// Q is the mean square of z: that of the first layer as measured, and from there on by the length map, q' = sigma_w^2 E[phi(z)^2] + sigma_b^2 (Poole et al. 2016).
	Q float64
	// Chi is sigma_w^2 E[phi'(z)^2], z ~ N(0, Q), with the sigma_w^2 of the next layer; Factor its square root: |delta| of this layer over |delta| of the next
	// (Schoenholz et al. 2017). NaN for the last layer. For the step Chi is +Inf, the slope of its correlation map, and Factor 0: backpropagation takes its derivative as 0.
	Chi    float64
	Factor float64
}

// Theory predicts the lengths of z and the factors of |delta| from the variances of the weights and biases that the report found, for wide, fully
// connected nets with random weights. It speaks of plain layers only: next to a layer that is not (a residual branch, normalisation, a convolution) the factor is NaN, and the
// lengths start anew from the measured one. After training the weights are not random any more, and the prediction is only what it would be if they were.
func (r *Report) Theory() Theory {
	t := Theory{Factor: math.NaN()}
	q := math.NaN()
	for i := range r.Layers {
		l := &r.Layers[i]
		if i == 0 || !l.Plain || !r.Layers[i-1].Plain {
			q = l.ZVariance + l.ZMean*l.ZMean
		} else {
			q = meanfield.Net{Activation: r.Layers[i-1].Activation, SigmaW2: l.SigmaW2, SigmaB2: l.SigmaB2}.Length(q)
		}
		chi := math.NaN()
		if i+1 < len(r.Layers) && l.Plain && r.Layers[i+1].Plain {
			chi = meanfield.Net{Activation: l.Activation, SigmaW2: r.Layers[i+1].SigmaW2}.Chi(q)
		}
		t.Layers = append(t.Layers, LayerTheory{Name: l.Name, Q: q, Chi: chi, Factor: factor(chi)})
	}
	sum, n := 0.0, 0
	for i := range r.Layers {
		if i+1 < len(r.Layers) && !r.Layers[i].Output && !r.Layers[i+1].Output {
			sum += math.Log(t.Layers[i].Factor)
			n++
		}
	}
	if n > 0 {
		t.Factor = math.Exp(sum / float64(n))
	}
	return t
}

// factor is that of the norm of delta, as in meanfield.Point.GradientFactor.
func factor(chi float64) float64 {
	if math.IsInf(chi, 1) {
		return 0
	}
	return math.Sqrt(chi)
}
