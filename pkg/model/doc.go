// Package model holds the nets whose gradients this module studies: fully connected ones ([MLP]), the plain and residual convolutional nets of He et al. (2016)
// for small images ([ConvNet]), and recurrent nets over time steps ([Recurrent]).
//
// A net is described by a plain struct, which prints in one line and goes to JSON and back, and made from it and a seed:
//
//	net, err := model.MLP{Inputs: 784, Outputs: 10, Depth: 10, Width: 64, Activation: activation.Tanh}.New(1)
//
// Its weights are drawn on the host when it is made, each variable from a random stream of its own (seed and name), so that they are the same bits on every
// backend and adding a layer leaves the weights of the others as they were. They live in a GoMLX Store under /<layer>/W, /<layer>/b and so on;
// [Net.Logits] is a model function for train.NewTrainer, for gradflow.NewMeter and for an Exec over [Net.Store]:
//
//	trainer := train.NewTrainer(backend, net.Store(), net.Logits, loss.SparseCategoricalCrossEntropyLogits, optimizer, nil, nil)
//
// Layers are named h1, h2, ... and out, and each is tapped for package gradflow by its name. The symbols are the field's: pre-activation z = W h + b of the layer before, activation
// h = phi(z). What z and h are in residual and normalised nets is said at [MLP].
//
// # Batch normalisation
//
// In training (scope.IsTraining, as GoMLX's trainer sets it) a layer is normalised by the mean and the biased variance of its batch, with gradients through
// both, and the running averages are updated; otherwise by the running averages, which start at mean 0 and variance 1. To measure a net at
// initialisation, where those mean nothing yet, use [Net.LogitsOfBatch], which normalises by the batch and leaves the averages alone (gradflow's meter does so of itself). See [Norm].
//
// The package knows nothing of data, losses, optimizers or training loops, and takes no backend but the one that its caller's Exec has.
package model
