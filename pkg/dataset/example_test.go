package dataset_test

import (
	"fmt"

	"github.com/gradbook/gradbook/pkg/dataset"
)

// Digits are split, standardised by the training part's moments, and served in batches.
func Example() {
	digits, err := dataset.Digits()
	if err != nil {
		fmt.Println(err)
		return
	}
	train, test := digits.Flat().Split(0.8, 1)
	mean, std := train.Moments()
	train, test = train.Normalised(mean, std), test.Normalised(mean, std)
	fmt.Println(train)
	fmt.Println(test)
	for batch, err := range train.Batches(32, 7).Iter() { // without end: a training loop takes as many as it wants
		fmt.Println(batch.Inputs[0].Shape(), batch.Labels[0].Shape(), err)
		break
	}
	// Output:
	// digits: 1438 examples [64], 10 classes
	// digits: 359 examples [64], 10 classes
	// (Float32)[32, 64] (Int32)[32, 1] <nil>
}

// A sequence of the adding problem: numbers, marks, and the sum of the two marked numbers.
func ExampleAdding() {
	s := dataset.Adding(1, 4, 3)
	for step := range 4 {
		fmt.Printf("%.3f  %g\n", s.Inputs[2*step], s.Inputs[2*step+1])
	}
	fmt.Printf("%.3f\n", s.Targets[0])
	// Output:
	// 0.193  1
	// 0.603  0
	// 0.744  0
	// 0.433  1
	// 0.626
}

// Errors say what was found and what is allowed.
func ExampleSet_Validate() {
	s := dataset.Circles(10, 0, 1)
	s.Labels[3] = 2
	fmt.Println(s.Validate())
	// Output:
	// data set "circles": example 3 has label 2, allowed are 0 to 1 (Classes has 2 names)
}
