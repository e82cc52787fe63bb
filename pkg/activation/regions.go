package activation

import "math"

// hardCut is where HardSigmoid reaches 0 and 1: at -hardCut and hardCut.
const hardCut = 2.5

// Kinks returns the points, in rising order, where phi or its first or second derivative jumps; nil if there are none. Quadrature over phi should be split
// there, and a finite difference should keep away from them.
func (a Activation) Kinks() []float64 {
	a.must()
	switch a.kind {
	case step, relu, leakyReLU, prelu, elu, selu, softsign:
		return []float64{0}
	case hardSigmoid:
		return []float64{-hardCut, hardCut}
	}
	return nil
}

// Saturation returns the ends of the range in which a unit is not saturated: it is saturated where z < low or z > high. Saturated means that h is close to an
// end that it cannot pass:
//
//	sigmoid        h within 0.05 of 0 or 1: |z| > log 19 = 2.94
//	tanh           |h| > 0.97, as Karpathy counts it: |z| > 2.09
//	softsign       |h| > 0.9: |z| > 9, since its tails are so much longer
//	hard_sigmoid   h is 0 or 1: |z| > 2.5
//	elu, selu      h within 5 % of its lower end: z < log 0.05 = -3.00
//	step           always, as h is never anywhere but at an end: low is +Inf and high -Inf
//
// The others never are: linear has no end, and the side on which a rectifier is off (relu, leaky_relu, prelu, gelu, silu, softplus) is how it works, not a
// fault; see Dead for units that stay off. It panics if a is not Valid.
func (a Activation) Saturation() (low, high float64) {
	a.must()
	switch a.kind {
	case step:
		return math.Inf(1), math.Inf(-1)
	case sigmoid:
		return -sigmoidSaturated, sigmoidSaturated
	case tanh:
		return -tanhSaturated, tanhSaturated
	case softsign:
		return -9, 9
	case hardSigmoid:
		return -hardCut, hardCut
	case elu, selu:
		return eluSaturated, math.Inf(1)
	}
	return math.Inf(-1), math.Inf(1)
}

// Dead returns the ends of the range in which a unit passes gradient: it passes none, or next to none, where z <= low or z >= high, and a unit is dead if
// that holds for every example of a batch. For the derivatives that reach 0 (step, relu, hard_sigmoid, and a leaky_relu of slope 0) the ends are where they
// are exactly 0; for those with a tail (sigmoid, tanh, softsign, elu, selu, gelu, silu, softplus), where |phi'| has fallen to 1 % of its maximum. Linear, and
// a leaky_relu with any other slope, are never dead: -Inf, +Inf. It panics if a is not Valid.
func (a Activation) Dead() (low, high float64) {
	a.must()
	switch a.kind {
	case step:
		return math.Inf(1), math.Inf(-1)
	case relu:
		return 0, math.Inf(1)
	case leakyReLU, prelu:
		if a.slope == 0 {
			return 0, math.Inf(1)
		}
	case hardSigmoid:
		return -hardCut, hardCut
	case sigmoid:
		return -sigmoidDead, sigmoidDead
	case tanh:
		return -sigmoidDead / 2, sigmoidDead / 2 // tanh'(z) = 4 sigmoid'(2z)
	case softsign:
		return -9, 9
	case elu, selu:
		return eluDead, math.Inf(1)
	case gelu:
		return geluDead, math.Inf(1)
	case silu:
		return siluDead, math.Inf(1)
	case softplus:
		return softplusDead, math.Inf(1)
	}
	return math.Inf(-1), math.Inf(1)
}

// MaxDerivative returns the largest |phi'| and the point nearest to 0 where it is reached: for the rectifiers the limit at 0 from the right, and +Inf for
// softplus, which only tends to it. Along a path of units, one a layer, the product of the phi' is at most this to the power of the layers. It panics if a is
// not Valid.
func (a Activation) MaxDerivative() (value, at float64) {
	a.must()
	switch a.kind {
	case step:
		return 0, 0
	case leakyReLU, prelu:
		return max(1, math.Abs(a.slope)), 0
	case relu, elu:
		return 1, 0
	case gelu:
		return a.Derivative(math.Sqrt2), math.Sqrt2 // phi'' = (2-z^2) times the normal density
	case silu:
		return a.Derivative(siluSteepest), siluSteepest
	case softplus:
		return 1, math.Inf(1)
	}
	return a.Derivative(0), 0
}
