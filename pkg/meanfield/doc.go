// Package meanfield is what theory says of the gradients of a wide net at initialisation: how lengths, correlations and gradients change from layer to layer,
// without training or even drawing a net. It is the curve to hold measurements against, in float64, with no net and no GoMLX.
//
//	n := meanfield.Net{Activation: activation.Sigmoid, SigmaW2: 1}
//	p, err := n.Fixed()                                        // q*, chi_1, c*, depth scales, phase
//	layers, err := n.From(meanfield.Input{MeanSquare: 0.1}, 10) // layer by layer, from a given input
//
// Conventions are those of Poole et al. 2016 (Exponential expressivity in deep neural networks through transient chaos) and Schoenholz et al. 2017 (Deep
// information propagation): z^l = W^l h^(l-1) + b^l, h^l = phi(z^l), weights of variance sigma_w^2/fan_in, biases of variance sigma_b^2, delta^l = dL/dz^l. A
// length q is the mean square of z over the units of a layer. All in the limit of wide layers and, on the way back, under the assumption that the weights
// there are independent of those on the way forward.
//
//	length map        q -> sigma_w^2 E[phi(z)^2] + sigma_b^2, z ~ N(0, q); q* is its fixed point            Net.Length, Fixed, Lengths
//	chi               sigma_w^2 E[phi'(z)^2]: the factor of the mean SQUARED norm of delta a layer            Net.Chi, GradientFactor (its root)
//	correlation map   of the z of two inputs; c* is its fixed point, chi_1 its slope at 1 and q*              Net.Correlation
//	edge of chaos     the sigma_w, for each sigma_b, at which chi_1 = 1                                       Net.Critical, Edge
//	residual nets     activation after or before the addition, with a scale (Yang and Schoenholz 2017)        Residual
//	batch norm        any batch of 4 or more (Yang et al. 2019); ReLU: sqrt(pi/(pi-1)) = 1.211 a layer        BatchNorm
//	recurrent nets    vanilla ones: the same maps, in time (Chen et al. 2018)                                 Recurrent
//	finite width      how much norms vary over draws of the weights (Hanin and Nica 2018)                     Fluctuate
//
// The step is a case of its own: its derivative holds a delta function, so that chi_1, the slope of the correlation map, is +Inf, while backpropagation takes
// the derivative as 0 and passes nothing.
//
// Expectations over one unit are Gauss-Legendre sums over panels that are split at the kinks of phi, and agree with closed forms to 1e-11. Those over two
// units are Hermite series with a known bound of what they leave out, or, where kinks and a correlation close to 1 make these too long, sums in two
// dimensions: good to 1e-9. ReLU and its like have closed forms. A call of Net.Fixed takes 0.5 to 1.5 ms of one core (c* included; 4 ms at worst, for a
// kinked activation with c* just below 1), of Net.Critical 1.4 ms, of Net.Correlation 0.15 ms, and a trajectory 0.1 ms a layer; ReLU takes microseconds.
// Post-activation residual nets take 0.4 to 1.2 ms a layer.
//
// The package does not know convolutions (whose factors are the same, in the interior of an image), LSTM and GRU, layer normalisation, dropout, normalised
// residual nets, the lesser spread of orthogonal weights, nor anything about training.
package meanfield
