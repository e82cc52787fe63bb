// Package exercise checks a reader's answers in a notebook: it says right or wrong, and gives a hint.
// It does not know the answers: a check is a property that a right answer has.
//
//	var answer1 = math.NaN() // put your answer here
//	exercise.Check(1, answer1, func(z float64) bool { return math.Abs(slope(z)-0.025) < 1e-4 },
//		"write h for s(z): h(1-h) = 1/40 is a quadratic equation")
package exercise

import (
	"fmt"
	"math"
	"strings"
)

// Check prints whether the answer to an exercise is right, and else the hint. An answer that is
// still the zero value of its type, or NaN, counts as not given. A check that panics on an answer (an index
// out of range, for example) says that the answer is not right; the panic's words help to see why.
func Check[T comparable](number int, answer T, right func(T) bool, hint string) {
	fmt.Println(verdict(number, answer, right, hint))
}

// Close tells whether a and b differ by at most the given share of b: 0.01 is 1 %. For b = 0 it is a distance.
func Close(a, b, share float64) bool {
	if b == 0 {
		return math.Abs(a) <= share
	}
	return math.Abs(a-b) <= share*math.Abs(b)
}

func verdict[T comparable](number int, answer T, right func(T) bool, hint string) (text string) {
	var none T
	// NaN is the one value that is not itself.
	if answer == none || answer != answer {
		return fmt.Sprintf("Exercise %d is not answered yet.", number)
	}
	hint = strings.TrimSuffix(hint, ".") + "."
	defer func() {
		if p := recover(); p != nil {
			text = fmt.Sprintf("Exercise %d: not yet; checking %v failed: %v. Hint: %s", number, answer, p, hint)
		}
	}()
	if right(answer) {
		return fmt.Sprintf("Exercise %d: right.", number)
	}
	return fmt.Sprintf("Exercise %d: not yet. Hint: %s", number, hint)
}
