package gradflow

import (
	"fmt"
	"math"

	"github.com/gradbook/gradbook/pkg/activation"
	"github.com/gradbook/gradbook/pkg/meanfield"
)

// advice says what the numbers of hidden layers with a steep gradient suggest.
func advice(kind Kind, hidden []*LayerReport) string {
	// The middle layer stands for them all.
	l := hidden[len(hidden)/2]
	if !l.Plain {
		if kind == Exploding {
			return "Scale the residual branches down, or normalise them; clip the gradient's norm (Pascanu et al. 2013)."
		}
		return "Residual connections, normalisation, or weights at the edge of chaos keep the gradient's norm."
	}
	net := meanfield.Net{Activation: l.Activation, SigmaW2: l.SigmaW2, SigmaB2: l.SigmaB2}
	edge := ""
	if sigma, err := net.Critical(); err == nil && !math.IsNaN(sigma) && !math.IsInf(sigma, 0) {
		if ratio := sigma * sigma / l.SigmaW2; ratio < 0.95 || ratio > 1.05 {
			edge = fmt.Sprintf("With %s and sigma_b^2 = %.3g theory keeps the gradient's norm at sigma_w^2 = %.3g, and it is %.3g here.", l.Activation, l.SigmaB2, sigma*sigma, l.SigmaW2)
		}
	}
	steepest, _ := l.Activation.MaxDerivative()
	switch {
	case kind == Exploding && edge != "":
		return edge + " Start with smaller weights; until then clip the gradient's norm (Pascanu et al. 2013)."
	case kind == Exploding:
		return "Start with smaller weights, or clip the gradient's norm (Pascanu et al. 2013)."
	case steepest < 0.5:
		return fmt.Sprintf("The slope of %s is at most %.2g. Use ReLU with He's initialisation (sigma_w^2 = 2) or tanh with sigma_w^2 near 1; "+
			"normalisation or residual connections help where the activation must stay.", l.Activation, steepest)
	case edge != "":
		if l.Activation == activation.ReLU {
			edge += " That is He's initialisation (He et al. 2015)."
		}
		return edge
	}
	return "Residual connections or normalisation keep the gradient's norm over many layers."
}
