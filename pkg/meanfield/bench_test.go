package meanfield_test

import (
	"testing"

	"github.com/gradbook/gradbook/pkg/activation"
	"github.com/gradbook/gradbook/pkg/meanfield"
)

// Points that a slider may ask for, the dear ones among them: c* close to 1 with kinks, and large lengths.
func BenchmarkFixed(b *testing.B) {
	for name, n := range map[string]meanfield.Net{
		"sigmoid":            {Activation: activation.Sigmoid, SigmaW2: 1},
		"relu":               {Activation: activation.ReLU, SigmaW2: 1.9, SigmaB2: 0.1},
		"tanh_chaotic":       {Activation: activation.Tanh, SigmaW2: 3, SigmaB2: 0.05},
		"tanh_near_edge":     {Activation: activation.Tanh, SigmaW2: 1.43, SigmaB2: 0.01},
		"tanh_large":         {Activation: activation.Tanh, SigmaW2: 400, SigmaB2: 0.5},
		"tanh_large_biases":  {Activation: activation.Tanh, SigmaW2: 40, SigmaB2: 25},
		"selu_chaotic":       {Activation: activation.SELU, SigmaW2: 1.2, SigmaB2: 0.1},
		"selu_near_edge":     {Activation: activation.SELU, SigmaW2: 1, SigmaB2: 0.105},
		"hard_sigmoid_close": {Activation: activation.HardSigmoid, SigmaW2: 85, SigmaB2: 0.1},
		"hard_sigmoid_far":   {Activation: activation.HardSigmoid, SigmaW2: 200, SigmaB2: 0.1},
		"softsign_chaotic":   {Activation: activation.Softsign, SigmaW2: 6, SigmaB2: 0.1},
		"softsign_near_edge": {Activation: activation.Softsign, SigmaW2: 3.75, SigmaB2: 0.1},
		"step":               {Activation: activation.Step, SigmaW2: 1, SigmaB2: 0.1},
		"step_biases":        {Activation: activation.Step, SigmaW2: 1, SigmaB2: 10},
		"gelu":               {Activation: activation.GELU, SigmaW2: 1.9, SigmaB2: 1},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := n.Fixed(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCritical(b *testing.B) {
	n := meanfield.Net{Activation: activation.Tanh, SigmaB2: 0.05}
	for b.Loop() {
		if _, err := n.Critical(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCorrelation(b *testing.B) {
	n := meanfield.Net{Activation: activation.Tanh, SigmaW2: 1.5}
	for b.Loop() {
		n.Correlation(1, 0.5)
	}
}

func BenchmarkCorrelationKinked(b *testing.B) {
	for name, a := range map[string]activation.Activation{"relu": activation.ReLU, "hard_sigmoid": activation.HardSigmoid} {
		b.Run(name, func(b *testing.B) {
			n := meanfield.Net{Activation: a, SigmaW2: 1.5}
			for b.Loop() {
				n.Correlation(1, 0.99)
			}
		})
	}
}

func BenchmarkTrajectory(b *testing.B) {
	for name, a := range map[string]activation.Activation{"relu": activation.ReLU, "tanh": activation.Tanh} {
		b.Run(name+"_depth_30", func(b *testing.B) {
			n := meanfield.Net{Activation: a, SigmaW2: 2}
			for b.Loop() {
				if _, err := n.Trajectory(1, 30); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkResidualPost(b *testing.B) {
	r := meanfield.Residual{Activation: activation.ReLU, SigmaW2: 2, Kind: meanfield.PostActivation}
	for b.Loop() {
		if _, err := r.Trajectory(1, 30); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBatchNorm(b *testing.B) {
	for b.Loop() {
		if _, err := (meanfield.BatchNorm{Activation: activation.HardSigmoid, Batch: 32}).Fixed(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFluctuate(b *testing.B) {
	for b.Loop() {
		if _, err := meanfield.Fluctuate(activation.ReLU, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64); err != nil {
			b.Fatal(err)
		}
	}
}
