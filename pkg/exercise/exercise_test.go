package exercise_test

import (
	"math"

	"github.com/gradbook/gradbook/pkg/exercise"
)

func ExampleCheck() {
	right := func(z float64) bool { return exercise.Close(z, 3.64, 0.01) }
	hint := "h(1-h) = 1/40 is a quadratic equation"
	exercise.Check(1, math.NaN(), right, hint)
	exercise.Check(1, 2.0, right, hint)
	exercise.Check(1, 3.65, right, hint)
	// Output:
	// Exercise 1 is not answered yet.
	// Exercise 1: not yet. Hint: h(1-h) = 1/40 is a quadratic equation.
	// Exercise 1: right.
}

func ExampleCheck_word() {
	names := []string{"vanishing", "exploding"}
	exercise.Check(2, "", func(string) bool { return false }, "look at the last layer")
	exercise.Check(2, "exploding", func(answer string) bool { return answer == names[1] }, "look at the last layer.")
	// Output:
	// Exercise 2 is not answered yet.
	// Exercise 2: right.
}

// An answer that breaks its check is wrong, and no more.
func ExampleCheck_panic() {
	layers := []float64{1, 2, 3}
	exercise.Check(3, 7, func(l int) bool { return layers[l] > 1 }, "layers count from 0")
	// Output:
	// Exercise 3: not yet; checking 7 failed: runtime error: index out of range [7] with length 3. Hint: layers count from 0.
}

func ExampleClose() {
	exercise.Check(4, 0.0001, func(x float64) bool { return exercise.Close(x, 0, 0.001) }, "")
	// Output:
	// Exercise 4: right.
}
