// Package figure draws what measurements and theory of gradient flow need: curves with bands over seeds, theory beside them, logarithmic axes, heat maps, histograms by layer,
// small multiples, diagrams of nets, strips of images.
//
//	figure.New("tanh keeps the gradient, sigmoid loses it", "layer", "norm of δ").LogY().
//		Seeds("sigmoid", layers, sigmoid).
//		Theory("sigmoid", layers, predicted).
//		Seeds("tanh", layers, tanh)
//
// as a cell's last expression is the whole of it: the notebook gets one bundle with a Vega-Lite chart (tooltips, zoom), an SVG and, for terminals, a table. Calls do not return errors; the first error is
// kept, and shown in place of the picture (Err, Save).
//
// What a figure looks like is the package's business: colours are those of Okabe and Ito and belong to names (Color), so that sigmoid looks the same in every figure; labels stand beside the plot, near the line ends, and
// never on the data; the picture has its own white ground, which reads on light and dark pages alike; the same figure gives the same bytes. SVG, PNG and PDF come from one drawing on gonum/plot's canvases.
//
// The package knows nothing of nets, layers or theory: it takes slices of numbers.
package figure
