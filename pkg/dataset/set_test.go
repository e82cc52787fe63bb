package dataset_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"github.com/gradbook/gradbook/pkg/dataset"
)

// small is a set of n examples of shape [2]: example i is (i, -i) with label i modulo 3.
func small(n int) *dataset.Set {
	s := &dataset.Set{Name: "small", Shape: []int{2}, Classes: []string{"a", "b", "c"}}
	for i := range n {
		s.Inputs = append(s.Inputs, float32(i), -float32(i))
		s.Labels = append(s.Labels, int32(i%3))
	}
	return s
}

func TestValidate(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	for _, c := range []struct {
		name  string
		spoil func(s *dataset.Set)
		want  []string // parts of the message: what was found, what is allowed
	}{
		{"good", func(s *dataset.Set) {}, nil},
		{"regression", func(s *dataset.Set) { s.Labels, s.Targets = nil, make([]float32, 12) }, nil},
		{"float64", func(s *dataset.Set) { s.DType = dtypes.Float64 }, nil},
		{"empty", func(s *dataset.Set) { s.Inputs, s.Labels = nil, nil }, []string{`"small" is empty`, "at least one"}},
		{"no shape", func(s *dataset.Set) { s.Shape = nil }, []string{"no Shape", "[784]"}},
		{"zero in shape", func(s *dataset.Set) { s.Shape = []int{2, 0} }, []string{"[2 0]", "at least 1"}},
		{"odd length", func(s *dataset.Set) { s.Inputs = s.Inputs[:7] }, []string{"7 input values", "no multiple of the 2 values"}},
		{"few labels", func(s *dataset.Set) { s.Labels = s.Labels[:5] }, []string{"6 examples but 5 labels"}},
		{"label too large", func(s *dataset.Set) { s.Labels[4] = 3 }, []string{"example 4 has label 3", "allowed are 0 to 2"}},
		{"label negative", func(s *dataset.Set) { s.Labels[0] = -1 }, []string{"example 0 has label -1", "allowed are 0 to 2"}},
		{"no classes", func(s *dataset.Set) { s.Classes = nil }, []string{"label 0", "Classes has 0 names"}},
		{"NaN", func(s *dataset.Set) { s.Inputs[9] = nan }, []string{"value 1 of example 4 is NaN", "finite"}},
		{"infinite", func(s *dataset.Set) { s.Inputs[0] = inf }, []string{"value 0 of example 0 is -Inf"}},
		{"NaN target", func(s *dataset.Set) { s.Labels, s.Targets = nil, []float32{0, 1, 2, 3, 4, nan} }, []string{"target of example 5 is NaN"}},
		{"uneven targets", func(s *dataset.Set) { s.Labels, s.Targets = nil, make([]float32, 7) }, []string{"6 examples but 7 target values"}},
		{"neither", func(s *dataset.Set) { s.Labels = nil }, []string{"neither Labels nor Targets", "6"}},
		{"both", func(s *dataset.Set) { s.Targets = make([]float32, 6) }, []string{"both Labels and Targets"}},
		{"integer tensors", func(s *dataset.Set) { s.DType = dtypes.Int8 }, []string{"Int8", "Float32 and Float64"}},
	} {
		s := small(6)
		c.spoil(s)
		err := s.Validate()
		if (err == nil) != (c.want == nil) {
			t.Errorf("%s: error %v", c.name, err)
			continue
		}
		for _, part := range c.want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: error %q does not say %q", c.name, err, part)
			}
		}
		for _, err := range s.Epoch(2).Iter() { // an invalid set serves nothing
			if (err == nil) != (c.want == nil) {
				t.Errorf("%s: Epoch yields error %v", c.name, err)
			}
			break
		}
	}
	if err := (*dataset.Set)(nil).Validate(); err == nil || !strings.Contains(err.Error(), "nil") {
		t.Errorf("a nil set: error %v", err)
	}
}

func TestParts(t *testing.T) {
	s := small(10)
	a, b := s.Split(0.7, 4)
	if a.Len() != 7 || b.Len() != 3 || len(a.Labels) != 7 {
		t.Fatalf("Split(0.7) of 10 gives %d and %d examples, %d labels", a.Len(), b.Len(), len(a.Labels))
	}
	var all []float32
	for _, part := range []*dataset.Set{a, b} {
		for i := range part.Len() {
			x := part.Inputs[2*i]
			if part.Inputs[2*i+1] != -x || part.Labels[i] != int32(x)%3 {
				t.Errorf("example %v was torn apart: %v, label %d", x, part.Inputs[2*i:2*i+2], part.Labels[i])
			}
			all = append(all, x)
		}
	}
	if slices.Sort(all); !slices.Equal(all, []float32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}) {
		t.Errorf("the two parts hold %v", all)
	}
	again, _ := s.Split(0.7, 4)
	other, _ := s.Split(0.7, 5)
	if !slices.Equal(a.Inputs, again.Inputs) || slices.Equal(a.Inputs, other.Inputs) {
		t.Errorf("the seed does not decide: %v, %v, other seed %v", a.Inputs, again.Inputs, other.Inputs)
	}
	if got := s.Take(3); got.Len() != 3 || !slices.Equal(got.Inputs, s.Inputs[:6]) || !slices.Equal(got.Labels, s.Labels[:3]) {
		t.Errorf("Take(3) = %v %v", got.Inputs, got.Labels)
	}
	if got := s.Take(99).Len(); got != 10 {
		t.Errorf("Take(99) of 10 has %d examples", got)
	}
	if got := s.Select([]int{8, 8, 0}); !slices.Equal(got.Inputs, []float32{8, -8, 8, -8, 0, -0}) || !slices.Equal(got.Labels, []int32{2, 2, 0}) {
		t.Errorf("Select = %v %v", got.Inputs, got.Labels)
	}
	seq := dataset.Adding(5, 4, 1)
	if got := seq.Select([]int{3}); !slices.Equal(got.Targets, seq.Targets[3:4]) || !slices.Equal(got.Inputs, seq.Inputs[24:32]) {
		t.Errorf("Select(3) of sequences = %v %v", got.Inputs, got.Targets)
	}
	if got := s.Reshape(1, 2, 1); got.Len() != 10 || got.Flat().Shape[0] != 2 || s.Shape[0] != 2 {
		t.Errorf("Reshape: %v, flat %v", got, got.Flat())
	}
}

func TestNormalised(t *testing.T) {
	s := small(5)
	if mean, std := s.Moments(); mean != 0 || math.Abs(std-math.Sqrt(6)) > 1e-12 { // 2(0+1+4+9+16)/10
		t.Errorf("Moments = %v, %v, want 0, sqrt(6)", mean, std)
	}
	mean, std := s.ChannelMoments()
	if !slices.Equal(mean, []float64{2, -2}) || math.Abs(std[0]-math.Sqrt2) > 1e-12 || math.Abs(std[1]-math.Sqrt2) > 1e-12 {
		t.Errorf("ChannelMoments = %v, %v", mean, std)
	}
	n := s.NormalisedChannels(mean, std)
	if mean, std := n.ChannelMoments(); math.Abs(mean[0]) > 1e-7 || math.Abs(std[1]-1) > 1e-7 {
		t.Errorf("after NormalisedChannels: %v, %v", mean, std)
	}
	if got := s.Normalised(1, 2).Inputs[:4]; !slices.Equal(got, []float32{-0.5, -0.5, 0, -1}) {
		t.Errorf("Normalised(1, 2) = %v", got)
	}
	if mean, std := s.Normalised(3, 5).Standardise().Moments(); math.Abs(mean) > 1e-7 || math.Abs(std-1) > 1e-7 {
		t.Errorf("after Standardise: %v, %v", mean, std)
	}
	if s.Inputs[2] != 1 {
		t.Error("the set itself was changed")
	}
}

func TestPanics(t *testing.T) {
	s := small(4)
	for name, c := range map[string]struct {
		call func()
		want []string
	}{
		"Take":        {func() { s.Take(-1) }, []string{"Take(-1)", "not be negative"}},
		"Select":      {func() { s.Select([]int{0, 4}) }, []string{"index 4", "0 to 3"}},
		"Split":       {func() { s.Split(1, 0) }, []string{"Split(1) of 4 examples", "between 0 and 1"}},
		"Split NaN":   {func() { s.Split(math.NaN(), 0) }, []string{"Split(NaN)"}},
		"Split empty": {func() { s.Split(0.01, 0) }, []string{"Split(0.01)", "at least one example on each side"}},
		"Reshape":     {func() { s.Reshape(3) }, []string{"Reshape([3])", "their product 2"}},
		"Reshape neg": {func() { s.Reshape(-1, -2) }, []string{"[-1 -2]", "at least 1"}},
		"Batch":       {func() { s.Batch([]int{-1}) }, []string{"index -1", "0 to 3"}},
		"Batch none":  {func() { s.Batch(nil) }, []string{"no indices"}},
		"Normalised":  {func() { s.Normalised(0, 0) }, []string{"deviation 0", "positive"}},
		"Channels":    {func() { s.NormalisedChannels(make([]float64, 3), make([]float64, 3)) }, []string{"3 means", "1 or 2"}},
		"Image":       {func() { s.Image(0) }, []string{"shape [2]", "[height, width, 3]"}},
		"Spirals":     {func() { dataset.Spirals(9, 1, 0, 0) }, []string{"1 classes", "at least 2"}},
		"Spirals few": {func() { dataset.Spirals(2, 3, 0, 0) }, []string{"2 points", "at least 3"}},
		"Circles":     {func() { dataset.Circles(10, -1, 0) }, []string{"noise -1", "at least 0"}},
		"Adding":      {func() { dataset.Adding(1, 1, 0) }, []string{"1 sequences of 1 steps", "2 steps"}},
	} {
		message := caught(c.call)
		for _, part := range c.want {
			if !strings.Contains(message, part) {
				t.Errorf("%s: panic %q does not say %q", name, message, part)
			}
		}
	}
}

// caught is the message of the panic of f, or "".
func caught(f func()) (message string) {
	defer func() {
		if err, ok := recover().(error); ok {
			message = err.Error()
		}
	}()
	f()
	return ""
}

func TestSynthetic(t *testing.T) {
	spirals := dataset.Spirals(301, 3, 0, 7)
	for i, label := range spirals.Labels { // without noise a point is where its arm is at its radius
		x, y := float64(spirals.Inputs[2*i]), float64(spirals.Inputs[2*i+1])
		radius := math.Hypot(x, y)
		angle := 4*radius + 2*math.Pi*float64(label)/3
		if math.Abs(x-radius*math.Sin(angle)) > 1e-6 || math.Abs(y-radius*math.Cos(angle)) > 1e-6 || radius > 1+1e-6 {
			t.Fatalf("point %d (%v, %v) is not on arm %d", i, x, y, label)
		}
	}
	circles := dataset.Circles(100, 0, 7)
	for i, label := range circles.Labels {
		if radius := math.Hypot(float64(circles.Inputs[2*i]), float64(circles.Inputs[2*i+1])); math.Abs(radius-0.5*float64(1+label)) > 1e-6 {
			t.Fatalf("point %d has radius %v and label %d", i, radius, label)
		}
	}
	adding := dataset.Adding(2000, 9, 7)
	var first [9]int
	sum := 0.0
	for i := range adding.Len() {
		var marked []int
		total := float32(0)
		for step := range 9 {
			if row := adding.Inputs[(i*9+step)*2:]; row[1] == 1 {
				marked = append(marked, step)
				total += row[0]
			} else if row[1] != 0 {
				t.Fatalf("sequence %d has mark %v", i, row[1])
			}
		}
		if len(marked) != 2 || marked[0] > 3 || marked[1] < 4 || total != adding.Targets[i] {
			t.Fatalf("sequence %d: marks at %v, sum %v, target %v", i, marked, total, adding.Targets[i])
		}
		first[marked[0]]++
		first[marked[1]]++
		sum += math.Pow(float64(adding.Targets[i])-1, 2)
	}
	for step, k := range first {
		if k == 0 {
			t.Errorf("step %d is never marked", step)
		}
	}
	// The squared error of the answer 1 has mean 1/6 and deviation sqrt(7/180): four standard errors.
	if got := sum / 2000; math.Abs(got-1.0/6) > 4*math.Sqrt(7.0/180/2000) {
		t.Errorf("mean squared error of the answer 1 is %v, want 1/6", got)
	}
	for name, make := range map[string]func(seed uint64) *dataset.Set{
		"spirals": func(seed uint64) *dataset.Set { return dataset.Spirals(60, 3, 0.2, seed) },
		"circles": func(seed uint64) *dataset.Set { return dataset.Circles(60, 0.1, seed) },
		"adding":  func(seed uint64) *dataset.Set { return dataset.Adding(20, 5, seed) },
	} {
		a, b, c := make(1), make(1), make(2)
		if err := a.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !slices.Equal(a.Inputs, b.Inputs) || slices.Equal(a.Inputs, c.Inputs) {
			t.Errorf("%s: the seed does not decide", name)
		}
	}
}
