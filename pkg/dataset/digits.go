package dataset

import (
	"bufio"
	"bytes"
	"compress/gzip"
	_ "embed"
	"strconv"
	"strings"

	"github.com/pkg/errors"
)

// digitsFile is sklearn/datasets/data/digits.csv.gz of scikit-learn 1.9 (BSD-3-Clause), byte for byte: of each image 64 pixels, 0 to 16, and the label.
//
//go:embed digits.csv.gz
var digitsFile []byte

// Digits returns the 1,797 images of handwritten digits that come with scikit-learn, shape [8, 8, 1], with pixels in [0, 1] (17 levels). They are
// embedded: they need no file and load in milliseconds. For a fully connected net use their Flat().
//
// They are the test set of 'Optical Recognition of Handwritten Digits' (Alpaydin and Kaynak 1998, UCI Machine Learning Repository,
// doi:10.24432/C50P49, licence CC BY 4.0).
func Digits() (*Set, error) {
	z, err := gzip.NewReader(bytes.NewReader(digitsFile))
	if err != nil {
		return nil, errors.WithMessage(err, "the embedded digits")
	}
	defer z.Close()
	s := &Set{Name: "digits", Shape: []int{8, 8, 1}, Classes: digitNames}
	lines := bufio.NewScanner(z)
	for lines.Scan() {
		fields := strings.Split(lines.Text(), ",")
		if len(fields) != 65 {
			return nil, errors.Errorf("the embedded digits: line %d has %d fields, expected 65", s.Len()+1, len(fields))
		}
		for i, field := range fields {
			v, err := strconv.ParseFloat(field, 32)
			if err != nil {
				return nil, errors.WithMessagef(err, "the embedded digits: line %d", s.Len()+1)
			}
			if i == 64 {
				s.Labels = append(s.Labels, int32(v))
			} else {
				s.Inputs = append(s.Inputs, float32(v/16))
			}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, errors.WithMessage(err, "the embedded digits")
	}
	return s, s.Validate()
}
