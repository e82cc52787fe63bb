package dataset

import (
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"

	"github.com/pkg/errors"
)

// stream is the stream of random numbers of one data set: other sets of the same seed draw others.
func stream(name string, seed uint64) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(name))
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}

// checkNoise panics unless n and noise make sense.
func checkNoise(name string, n, least int, noise float64) {
	if n < least {
		panic(errors.Errorf("%s of %d points: at least %d are needed", name, n, least))
	}
	if !(noise >= 0) || math.IsInf(noise, 0) {
		panic(errors.Errorf("%s with noise %v: the deviation must be a finite number, at least 0", name, noise))
	}
}

// Spirals are n points of the plane, shape [2], on as many interleaved spiral arms as there are classes; point i has label i modulo classes. Along
// an arm the radius grows from 0 to 1 while the angle turns by 4 radians; noise is the standard deviation that is added to the angle, in radians
// (0.2 is usual). It panics unless classes is at least 2, n at least classes, and noise at least 0.
// After Karpathy's 'spiral' data in Stanford's CS231n notes (2015).
func Spirals(n, classes int, noise float64, seed uint64) *Set {
	if classes < 2 {
		panic(errors.Errorf("spirals with %d classes: at least 2 are needed", classes))
	}
	checkNoise("spirals", n, classes, noise)
	r := stream("spirals", seed)
	s := &Set{Name: "spirals", Shape: []int{2}, Inputs: make([]float32, 0, 2*n), Labels: make([]int32, n)}
	for c := range classes {
		s.Classes = append(s.Classes, fmt.Sprintf("arm %d", c))
	}
	for i := range n {
		c := i % classes
		perArm := (n - c + classes - 1) / classes
		radius := float64(i/classes) / float64(max(perArm-1, 1))
		angle := 4*radius + 2*math.Pi*float64(c)/float64(classes) + noise*r.NormFloat64()
		s.Inputs = append(s.Inputs, float32(radius*math.Sin(angle)), float32(radius*math.Cos(angle)))
		s.Labels[i] = int32(c)
	}
	return s
}

// Circles are n points of the plane, shape [2], on two circles around the origin, of radius 0.5 (label 0) and 1 (label 1), in turn; noise is the
// standard deviation that is added to both coordinates. It panics unless n is at least 2 and noise at least 0.
func Circles(n int, noise float64, seed uint64) *Set {
	checkNoise("circles", n, 2, noise)
	r := stream("circles", seed)
	s := &Set{Name: "circles", Shape: []int{2}, Inputs: make([]float32, 0, 2*n), Labels: make([]int32, n), Classes: []string{"inner", "outer"}}
	for i := range n {
		radius := 0.5 * float64(1+i%2)
		angle := 2 * math.Pi * r.Float64()
		x, y := radius*math.Cos(angle)+noise*r.NormFloat64(), radius*math.Sin(angle)+noise*r.NormFloat64()
		s.Inputs = append(s.Inputs, float32(x), float32(y))
		s.Labels[i] = int32(i % 2)
	}
	return s
}

// Adding are n sequences of the adding problem, shape [steps, 2]: at each time step a number, uniform in [0, 1), and a mark. Two steps are
// marked by 1, one in each half of the sequence, all others by 0; the target, shape [1], is the sum of the two marked numbers. Whoever
// always answers 1 has a mean squared error of 1/6: a net has learnt something when it is below. It panics unless n is at least 1 and steps at least 2.
//
// Hochreiter and Schmidhuber, Long short-term memory (1997), experiment 4, in the form that Le, Jaitly and Hinton (2015) gave it; the original draws numbers
// from [-1, 1], marks the first and the last step by -1, takes both marks from the sequence's first half, and scales the sum.
func Adding(n, steps int, seed uint64) *Set {
	if n < 1 || steps < 2 {
		panic(errors.Errorf("adding problem with %d sequences of %d steps: at least 1 sequence and 2 steps are needed", n, steps))
	}
	r := stream("adding", seed)
	s := &Set{Name: fmt.Sprintf("adding, %d steps", steps), Shape: []int{steps, 2}, Inputs: make([]float32, n*steps*2), Targets: make([]float32, n)}
	for i := range n {
		row := s.Inputs[i*steps*2 : (i+1)*steps*2]
		for t := range steps {
			row[2*t] = r.Float32()
		}
		half := steps / 2
		for _, t := range [2]int{r.IntN(half), half + r.IntN(steps-half)} {
			row[2*t+1] = 1
			s.Targets[i] += row[2*t]
		}
	}
	return s
}
