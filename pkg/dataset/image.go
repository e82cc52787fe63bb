package dataset

import (
	"image"
	"image/color"
	"math"
	"slices"

	"github.com/pkg/errors"
)

// Image is input i as a picture: grey for shape [height, width] or [height, width, 1], coloured for [height, width, 3]. Values in [0, 1] are
// shown as they are; other sets (normalised ones) are stretched from the least to the greatest value of the example. It panics if the shape or the index
// does not fit.
func (s *Set) Image(i int) image.Image {
	s.checkIndices("Image", []int{i})
	channels := 1
	if len(s.Shape) == 3 {
		channels = s.Shape[2]
	}
	if len(s.Shape) != 2 && len(s.Shape) != 3 || channels != 1 && channels != 3 {
		panic(errors.Errorf("data set %q: Image: examples have shape %v, allowed are [height, width], [height, width, 1] and [height, width, 3]; see Reshape", s.Name, s.Shape))
	}
	values := s.Inputs[i*s.Size() : (i+1)*s.Size()]
	low, high := slices.Min(values), slices.Max(values)
	if low >= 0 && high <= 1 {
		low, high = 0, 1
	}
	level := func(v float32) uint8 { return uint8(math.Round(float64((v - low) / (high - low) * 255))) }
	bounds := image.Rect(0, 0, s.Shape[1], s.Shape[0])
	if channels == 1 {
		picture := image.NewGray(bounds)
		for p, v := range values {
			picture.Pix[p] = level(v)
		}
		return picture
	}
	picture := image.NewRGBA(bounds)
	for p := range len(values) / 3 {
		picture.SetRGBA(p%s.Shape[1], p/s.Shape[1], color.RGBA{level(values[3*p]), level(values[3*p+1]), level(values[3*p+2]), 255})
	}
	return picture
}
