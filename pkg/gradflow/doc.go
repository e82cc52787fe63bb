// Package gradflow measures what flows through a GoMLX model, forward and back, layer by layer: it says how large the signal and the gradient are in each layer, what
// theory predicts, and what is wrong.
//
//	h := gradflow.Tap(graph.Tanh(z), "h1", gradflow.PreActivation(z), gradflow.Weights(w), gradflow.Activation(activation.Tanh))
//
// marks a layer in any model (those of package model are marked already). A [Meter] looks once, at a batch:
//
//	meter, err := gradflow.NewMeter(backend, store, modelFn, lossFn, gradflow.Options{})
//	report, err := meter.Measure(x, y)
//	fmt.Println(report)                      // a table
//	fmt.Println(gradflow.Diagnose(report))   // in words
//
// and a [Recorder] keeps looking while the model trains.
//
// # Conventions
//
// z is a layer's pre-activation, h = phi(z) its activation, delta = dL/dz. L is the scalar that is minimised, regularisation included, and gradients are of L as it is: with a loss that is a mean
// over the batch, delta of one example carries a factor 1/batch. Norms are Frobenius norms over the whole tensor, batch included. Means and variances are over all entries, variances
// about the mean and divided by the number. All sums are made in float64, also of float32 models: a gradient of 1e-30 has a square that float32 has not.
// The factor of a layer is |delta| there over |delta| in the next layer: below 1, gradients shrink on their way back.
//
// A unit is an index of the last axis: a neuron, a channel, a hidden unit. It is dead if it passes no gradient for any example and position.
//
// # How it works
//
// Tap adds nothing to the graph; it notes nodes in the graph's own state, which goes when the graph goes. A Meter or Recorder asks for the gradients of all noted nodes
// and of the weights together, so that there is one backward pass, and stacks all sums into one vector that is read once. A Recorder is an optimizer around an optimizer: it writes the vector into a
// variable that stays on the device, and reads that once in many steps.
//
// # What recording costs
//
// The time of a training step with a recorder over that of a plain one, for an MLP of 10 layers of 64, batch 256 and SGD, the statistics of all layers, on an AMD EPYC. Pure Go: medians of
// 8 pairs of blocks of ten steps, on two idle cores. XLA: on one core medians of five pairs of trainers that take turns of 50 steps, on two cores the range of what shorter runs gave:
//
//	                               pure Go           XLA, 1 CPU   XLA, 2 CPUs
//	                               clock   CPU time               clock          CPU time
//	every step, ReLU               1.11    1.08      1.15         1.12 to 1.20   1.12 to 1.23
//	every step, tanh               1.14    1.12      1.16         1.16 to 1.25   1.13 to 1.32
//	every 10th, with Dataset       1.02    1.02      1.02, 1.04   1.00 to 1.09   1.01 to 1.07
//
// Measure again with
//
//	go test ./pkg/gradflow -run '^$' -bench Recorder -benchtime 60x
//
// on the backend that GOMLX_BACKEND names. The steps that are not recorded run the plain graph, with the plain graph's time. A recorded step among plain ones costs
// 1.2 to 1.4 plain steps on XLA, more than one among recorded ones: it runs another program, whose code and buffers have left the caches. Histograms come on top, and XLA compiles
// the recording graph for about a second longer.
//
// # What it does not know
//
// It knows no layers but those that were tapped, and of those only what the tap said. Theory is mean-field theory of wide fully connected nets with random weights; a report
// says which layers it speaks of (Plain). Thresholds of [Diagnose] are set for nets at initialisation. Records of one [Recorder] come from one process and one device.
package gradflow
