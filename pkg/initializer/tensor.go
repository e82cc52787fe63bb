package initializer

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
	"github.com/gomlx/compute/dtypes/float16"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/pkg/errors"
)

// Tensor returns values, row-major, as a tensor of the given floating-point type and dimensions, rounded to the nearest number of that type. It is an error
// if the number of values is not that of the dimensions, or the type is not a floating-point type.
func Tensor(values []float64, dtype dtypes.DType, dims ...int) (*tensors.Tensor, error) {
	size := 1
	for _, d := range dims {
		if d < 0 {
			return nil, errors.Errorf("tensor of shape %v: dimensions must not be negative", dims)
		}
		size *= d
	}
	if size != len(values) {
		return nil, errors.Errorf("tensor of shape %v: wants %d values, got %d", dims, size, len(values))
	}
	switch dtype {
	case dtypes.Float64:
		return tensors.FromFlatDataAndDimensions(values, dims...), nil
	case dtypes.Float32:
		return tensors.FromFlatDataAndDimensions(convert(values, func(v float64) float32 { return float32(v) }), dims...), nil
	case dtypes.Float16:
		return tensors.FromFlatDataAndDimensions(convert(values, func(v float64) float16.Float16 { return float16.FromFloat32(float32(v)) }), dims...), nil
	case dtypes.BFloat16:
		return tensors.FromFlatDataAndDimensions(convert(values, func(v float64) bfloat16.BFloat16 { return bfloat16.FromFloat32(float32(v)) }), dims...), nil
	}
	return nil, errors.Errorf("tensor of type %s: weights must be of type Float32, Float64, Float16 or BFloat16", dtype)
}

func convert[T any](values []float64, to func(float64) T) []T {
	converted := make([]T, len(values))
	for k, v := range values {
		converted[k] = to(v)
	}
	return converted
}
