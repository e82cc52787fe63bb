// Package experiment trains nets and keeps what came out.
//
// [Fit] is one training: losses, accuracy on a test set with its interval, and what flowed through the net (package gradflow) every k-th step. It stops cleanly at an
// interrupt, and a loss that is NaN is a finding, not a crash.
//
// [Grid] runs a function for each of some settings and each of some seeds, several at a time, with a progress bar, and keeps every finished run as a line of a
// file: a grid that was killed goes on where it was, and a finished one is read from disk within milliseconds (under GoNB, where each cell runs all initializers again, that
// is what makes it usable). Results of other settings, of another version or in another format are refused, not mixed in.
//
//	grid := experiment.Grid[Setting]{Name: "depth", Settings: settings, Seeds: experiment.Seeds(5), Version: "1", Fixed: "MNIST, 1000 steps"}
//	results, err := grid.Run(ctx, func(ctx context.Context, s Setting, seed uint64) (experiment.Values, error) {
//		...
//		return experiment.Values{"accuracy": r.Accuracy.Mean, "losses": r.Losses}, nil
//	})
//	results.Table("accuracy") // a cell's last expression shows it
//
// Means come with 95 % confidence intervals: see [Mean], [GeometricMean] and [Proportion].
//
// The package knows nothing of figures: [Results] returns the slices that they take.
package experiment
