package initializer_test

import (
	"slices"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
	"github.com/gomlx/compute/dtypes/float16"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/gradbook/gradbook/pkg/initializer"
)

const tensorType = dtypes.Float64

func TestTensor(t *testing.T) {
	values := []float64{0, 1, -1.0 / 3, 1e-3, 2, 1 + 1.0/1024}
	for _, dtype := range []dtypes.DType{dtypes.Float64, dtypes.Float32, dtypes.Float16, dtypes.BFloat16} {
		w, err := initializer.Tensor(values, dtype, 3, 2)
		if err != nil {
			t.Fatal(err)
		}
		if shape := w.Shape(); shape.DType != dtype || !slices.Equal(shape.Dimensions, []int{3, 2}) {
			t.Errorf("shape %s, want %s [3 2]", shape, dtype)
		}
		var got []float64
		tolerance := 0.0
		switch dtype {
		case dtypes.Float64:
			got = tensors.MustCopyFlatData[float64](w)
		case dtypes.Float32:
			for _, v := range tensors.MustCopyFlatData[float32](w) {
				got = append(got, float64(v))
			}
			tolerance = 0x1p-25
		case dtypes.Float16:
			for _, v := range tensors.MustCopyFlatData[float16.Float16](w) {
				got = append(got, float64(v.Float32()))
			}
			tolerance = 0x1p-11
		case dtypes.BFloat16:
			for _, v := range tensors.MustCopyFlatData[bfloat16.BFloat16](w) {
				got = append(got, float64(v.Float32()))
			}
			tolerance = 0x1p-8
		}
		for k := range values {
			near(t, dtype.String(), got[k], values[k], tolerance)
		}
	}
	values[0] = 9
	w, err := initializer.Tensor(values[:1], dtypes.Float64)
	if err != nil || !w.Shape().IsScalar() {
		t.Fatalf("a scalar: %v, %v", w, err)
	}
	values[0] = 0
	if got := tensors.ToScalar[float64](w); got != 9 {
		t.Errorf("the tensor shares its numbers with the slice: %g", got)
	}
}

func TestTensorMistakes(t *testing.T) {
	_, err := initializer.Tensor(make([]float64, 5), dtypes.Float32, 2, 3)
	fails(t, "too few", err, "[2 3]", "6 values", "got 5")
	_, err = initializer.Tensor(make([]float64, 6), dtypes.Int32, 2, 3)
	fails(t, "integers", err, "Int32", "Float32")
	_, err = initializer.Tensor(make([]float64, 6), dtypes.Float32, -2, -3)
	fails(t, "negative", err, "[-2 -3]")
}
