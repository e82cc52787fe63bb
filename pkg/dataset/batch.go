package dataset

import (
	"iter"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/pkg/errors"
)

// Batch makes tensors of the examples with these indices: x of shape [len(indices), Shape...], and y either labels, Int32 [len(indices), 1], as
// GoMLX's sparse losses take them, or targets [len(indices), TargetSize()]. x and targets have the set's DType. It panics if
// there are no indices or one is out of range.
func (s *Set) Batch(indices []int) (x, y *tensors.Tensor) {
	if len(indices) == 0 {
		panic(errors.Errorf("data set %q: Batch of no indices: at least one example is needed", s.Name))
	}
	s.checkIndices("Batch", indices)
	x = s.tensor(s.Inputs, s.Size(), indices, append([]int{len(indices)}, s.Shape...))
	if s.Labels == nil {
		return x, s.tensor(s.Targets, s.TargetSize(), indices, []int{len(indices), s.TargetSize()})
	}
	labels := make([]int32, len(indices))
	for k, i := range indices {
		labels[k] = s.Labels[i]
	}
	return x, tensors.FromFlatDataAndDimensions(labels, len(labels), 1)
}

// tensor gathers rows of size values.
func (s *Set) tensor(values []float32, size int, indices []int, dims []int) *tensors.Tensor {
	if s.DType == dtypes.Float64 {
		t := tensors.FromShape(shapes.Make(dtypes.Float64, dims...))
		tensors.MustMutableFlatData(t, func(flat []float64) {
			for k, i := range indices {
				for j, v := range values[i*size : (i+1)*size] {
					flat[k*size+j] = float64(v)
				}
			}
		})
		return t
	}
	t := tensors.FromShape(shapes.Make(dtypes.Float32, dims...))
	tensors.MustMutableFlatData(t, func(flat []float32) {
		for k, i := range indices {
			copy(flat[k*size:(k+1)*size], values[i*size:(i+1)*size])
		}
	})
	return t
}

// Batches serves batches of size examples without end. Each epoch is a new permutation, which depends on the seed and the number of the
// epoch alone; examples left over at its end are dropped, so that all batches have one size (a new size would compile a new graph).
// Iter starts from the first epoch each time. An invalid set or size is the first error that Iter yields.
func (s *Set) Batches(size int, seed uint64) train.Dataset {
	return &batches{set: s, size: size, seed: seed, endless: true}
}

// EpochOption is an option of Epoch.
type EpochOption int

// DropLast leaves out the last batch if it is smaller than the others.
const DropLast EpochOption = 1

// Epoch serves each example once, in the order of the set (see Shuffled), in batches of size examples; the last one holds what is left,
// unless DropLast is given. An invalid set or size is the first error that Iter yields.
func (s *Set) Epoch(size int, options ...EpochOption) train.Dataset {
	b := &batches{set: s, size: size}
	for _, o := range options {
		b.dropLast = b.dropLast || o == DropLast
	}
	return b
}

// batches is a train.Dataset.
type batches struct {
	set      *Set
	size     int
	seed     uint64
	endless  bool // shuffled; else one epoch in order
	dropLast bool
}

// Name is the set's.
func (b *batches) Name() string { return b.set.Name }

func (b *batches) check() error {
	if err := b.set.Validate(); err != nil {
		return err
	}
	n := b.set.Len()
	if b.size < 1 {
		return errors.Errorf("data set %q: batch size %d given: it must be at least 1", b.set.Name, b.size)
	}
	if b.size > n && (b.endless || b.dropLast) {
		return errors.Errorf("data set %q: batch size %d given, but there are %d examples: it must be at most that", b.set.Name, b.size, n)
	}
	return nil
}

// Iter starts from the beginning, every time it is called.
func (b *batches) Iter() iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		if err := b.check(); err != nil {
			yield(train.Batch{}, err)
			return
		}
		n := b.set.Len()
		for epoch := uint64(0); ; epoch++ {
			var indices []int
			if b.endless {
				indices = order(n, b.seed, epoch)
			} else {
				indices = identity(n)
			}
			for start := 0; start < n; start += b.size {
				end := min(start+b.size, n)
				if end-start < b.size && (b.endless || b.dropLast) {
					break
				}
				x, y := b.set.Batch(indices[start:end])
				if !yield(train.Batch{Inputs: []*tensors.Tensor{x}, Labels: []*tensors.Tensor{y}}, nil) {
					return
				}
			}
			if !b.endless {
				return
			}
		}
	}
}

func identity(n int) []int {
	indices := make([]int, n)
	for i := range indices {
		indices[i] = i
	}
	return indices
}
