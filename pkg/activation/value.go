package activation

import "math"

// Value returns phi(z). It is accurate in the tails (no cancellation, no overflow) and NaN only for NaN. It panics if a is not Valid.
func (a Activation) Value(z float64) float64 {
	a.must()
	if z != z {
		return z
	}
	switch a.kind {
	case step:
		if z > 0 {
			return 1
		}
		return 0
	case linear:
		return z
	case sigmoid:
		return logistic(z)
	case tanh:
		return math.Tanh(z)
	case relu:
		return max(z, 0)
	case leakyReLU, prelu:
		if z > 0 {
			return z
		}
		return product(a.slope, z)
	case elu:
		if z > 0 {
			return z
		}
		return math.Expm1(z)
	case selu:
		if z > 0 {
			return SELULambda * z
		}
		return SELULambda * SELUAlpha * math.Expm1(z)
	case gelu:
		return product(normalCDF(z), z)
	case silu:
		return product(logistic(z), z)
	case softplus:
		return max(z, 0) + math.Log1p(math.Exp(-math.Abs(z)))
	case softsign:
		if math.IsInf(z, 0) {
			return math.Copysign(1, z)
		}
		return z / (1 + math.Abs(z))
	case hardSigmoid:
		return min(max(0.2*z+0.5, 0), 1)
	}
	panic(a.Valid())
}

// Derivative returns dphi/dz at z, which is what automatic differentiation of Graph gives: at a kink, the derivative from the left (0 for ReLU at 0), but for
// the upper cut of HardSigmoid, where it is 0 too. It is accurate in the tails, where sigmoid's falls to exp(-|z|) (the graph's ends at 1-h = 0, beyond z =
// 36.7 in float64 and 17 in float32), and NaN only for NaN. It panics if a is not Valid.
func (a Activation) Derivative(z float64) float64 {
	a.must()
	if z != z {
		return z
	}
	switch a.kind {
	case step:
		return 0
	case linear:
		return 1
	case sigmoid:
		return logisticDerivative(z)
	case tanh:
		// 1-tanh(z)^2 = 1/cosh(z)^2 cancels for large |z|; by e = exp(-2|z|) it does not.
		e := math.Exp(-2 * math.Abs(z))
		return 4 * e / ((1 + e) * (1 + e))
	case relu:
		if z > 0 {
			return 1
		}
		return 0
	case leakyReLU, prelu:
		if z > 0 {
			return 1
		}
		return a.slope
	case elu:
		if z > 0 {
			return 1
		}
		return math.Exp(z)
	case selu:
		if z > 0 {
			return SELULambda
		}
		return SELULambda * SELUAlpha * math.Exp(z)
	case gelu:
		return normalCDF(z) + product(normalDensity(z), z)
	case silu:
		return logistic(z) + product(logisticDerivative(z), z)
	case softplus:
		return logistic(z)
	case softsign:
		d := 1 + math.Abs(z)
		return 1 / d / d
	case hardSigmoid:
		if z > -hardCut && z < hardCut {
			return 0.2
		}
		return 0
	}
	panic(a.Valid())
}

// product is weight z where a weight of 0 wins over an infinite z: the limit of the tails above.
func product(weight, z float64) float64 {
	if weight == 0 {
		return 0
	}
	return weight * z
}

// logistic returns 1/(1+exp(-z)) to full relative accuracy: exp never overflows.
func logistic(z float64) float64 {
	if z >= 0 {
		return 1 / (1 + math.Exp(-z))
	}
	e := math.Exp(z)
	return e / (1 + e)
}

// logisticDerivative returns s(1-s) without the cancellation of 1-s.
func logisticDerivative(z float64) float64 {
	e := math.Exp(-math.Abs(z))
	return e / ((1 + e) * (1 + e))
}

// normalCDF is Phi, by erfc so that the left tail keeps its relative accuracy.
func normalCDF(z float64) float64 { return 0.5 * math.Erfc(-z/math.Sqrt2) }

// normalDensity is Phi'.
func normalDensity(z float64) float64 { return math.Exp(-0.5*z*z) / math.Sqrt(2*math.Pi) }
