package activation

import "math"

// Where the functions saturate or stop passing gradient. The first ones have closed forms.
var (
	sigmoidSaturated = math.Log(19)           // sigmoid = 0.95
	tanhSaturated    = math.Atanh(0.97)       // tanh = 0.97
	eluSaturated     = math.Log(0.05)         // exp(z)-1 = -0.95
	sigmoidDead      = 2 * math.Acosh(10)     // sigmoid' = 1/(4 cosh(z/2)^2) = 0.01/4
	eluDead          = math.Log(0.01)         // exp(z) = 0.01
	softplusDead     = -math.Log(0.99 / 0.01) // sigmoid = 0.01
)

// These are roots found once, by bisection.
var (
	siluSteepest = bisect(1, 4, func(z float64) float64 { return z*math.Tanh(z/2) - 2 }) // phi'' = sigmoid'(z) (2 - z tanh(z/2))
	geluDead     = tail(GELU, -1.5, math.Sqrt2)
	siluDead     = tail(SiLU, -2.5, siluSteepest)
)

// tail returns where a's derivative, negative and rising to 0 left of start, is 1 % of its maximum at the point steepest.
func tail(a Activation, start, steepest float64) float64 {
	limit := -0.01 * a.Derivative(steepest)
	return bisect(-40, start, func(z float64) float64 { return limit - a.Derivative(z) })
}

// bisect returns the zero of f, which rises through it between low and high.
func bisect(low, high float64, f func(float64) float64) float64 {
	for {
		middle := low + (high-low)/2
		if middle == low || middle == high {
			return middle
		}
		if f(middle) > 0 {
			high = middle
		} else {
			low = middle
		}
	}
}
