package initializer_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/gradbook/gradbook/pkg/initializer"
)

// all has each kind once, most with a gain that is not 1.
func all() []initializer.Initializer {
	return []initializer.Initializer{
		initializer.Normal(1.5), initializer.Uniform(0.5), initializer.GlorotNormal(1), initializer.GlorotUniform(5.0 / 3), initializer.He(), initializer.HeFanOut(),
		initializer.LeCun(), initializer.Orthogonal(math.Sqrt2), initializer.Identity(0.9),
	}
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s = %.17g, want %.17g (within %.2g)", what, got, want, tolerance)
	}
}

// fails checks that err is an error that has all the words.
func fails(t *testing.T, what string, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error, want one with %q", what, words)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%s: error %q, want one with %q", what, err, word)
		}
	}
}

func TestFans(t *testing.T) {
	for _, c := range []struct {
		dims    []int
		in, out int
	}{
		{[]int{784, 100}, 784, 100},
		{[]int{1, 1}, 1, 1},
		{[]int{3, 3, 16, 32}, 144, 288},
		{[]int{1, 1, 16, 32}, 16, 32},
		{[]int{5, 7, 3, 2}, 105, 70},
		{[]int{5, 4, 6}, 20, 30},
	} {
		in, out, err := initializer.Fans(c.dims...)
		if in != c.in || out != c.out || err != nil {
			t.Errorf("fans of %v: %d, %d, %v; want %d, %d", c.dims, in, out, err, c.in, c.out)
		}
	}
}

func TestBadDimensions(t *testing.T) {
	for _, c := range []struct {
		dims  []int
		words []string
	}{
		{nil, []string{"shape []", "[in, out]"}},
		{[]int{5}, []string{"shape [5]", "[in, out]", "Bias"}},
		{[]int{0, 5}, []string{"shape [0 5]", "positive"}},
		{[]int{5, 0}, []string{"shape [5 0]", "positive"}},
		{[]int{3, -3, 2, 2}, []string{"shape [3 -3 2 2]", "positive"}},
		{[]int{1 << 20, 1 << 20}, []string{"entries"}},
		{[]int{math.MaxInt, math.MaxInt, 2, 2}, []string{"entries"}},
	} {
		_, _, err := initializer.Fans(c.dims...)
		fails(t, "Fans", err, c.words...)
		for _, i := range all() {
			w, err := i.Draw(initializer.Stream(1, "W"), c.dims...)
			fails(t, i.String(), err, c.words...)
			if w != nil {
				t.Errorf("%s of %v: %d weights beside the error", i, c.dims, len(w))
			}
			_, err = i.VarianceOf(c.dims...)
			fails(t, i.String(), err, c.words...)
		}
	}
	for _, i := range all() {
		if v := i.Variance(0, 3); !math.IsNaN(v) {
			t.Errorf("%s: variance %g for a fan-in of 0", i, v)
		}
		if v := i.SigmaW2(3, -1); !math.IsNaN(v) {
			t.Errorf("%s: sigma_w^2 %g for a fan-out of -1", i, v)
		}
	}
}

func TestVariance(t *testing.T) {
	for _, c := range []struct {
		i    initializer.Initializer
		dims []int
		want float64
	}{
		{initializer.Initializer{}, []int{50, 20}, 1.0 / 50},
		{initializer.Normal(2), []int{50, 20}, 4.0 / 50},
		{initializer.Uniform(2), []int{50, 20}, 4.0 / 50},
		{initializer.GlorotNormal(1), []int{50, 20}, 2.0 / 70},
		{initializer.GlorotUniform(3), []int{50, 20}, 18.0 / 70},
		{initializer.He(), []int{50, 20}, 2.0 / 50},
		{initializer.HeFanOut(), []int{50, 20}, 2.0 / 20},
		{initializer.LeCun(), []int{50, 20}, 1.0 / 50},
		{initializer.Orthogonal(2), []int{50, 20}, 4.0 / 50},
		{initializer.Orthogonal(2), []int{20, 50}, 4.0 / 50},
		{initializer.Identity(2), []int{20, 20}, 4.0 / 20},
		{initializer.Identity(2), []int{20, 50}, 4.0 / 50},
		{initializer.Normal(1), []int{3, 3, 16, 32}, 1.0 / 144},
		{initializer.He(), []int{3, 3, 16, 32}, 2.0 / 144},
		{initializer.HeFanOut(), []int{3, 3, 16, 32}, 2.0 / 288},
		{initializer.GlorotNormal(1), []int{3, 3, 16, 32}, 2.0 / 432},
		{initializer.Orthogonal(1), []int{3, 3, 16, 32}, 1.0 / 144},
		{initializer.Orthogonal(1), []int{3, 3, 2, 32}, 1.0 / 32},
		{initializer.Identity(1), []int{3, 3, 4, 4}, 4.0 / 144},
	} {
		got, err := c.i.VarianceOf(c.dims...)
		if err != nil {
			t.Fatal(err)
		}
		near(t, c.i.String()+": variance", got, c.want, 1e-16)
		fanIn, fanOut, err := initializer.Fans(c.dims...)
		if err != nil {
			t.Fatal(err)
		}
		if len(c.dims) == 2 || c.i.Kind < initializer.KindOrthogonal {
			near(t, c.i.String()+": variance by fans", c.i.Variance(fanIn, fanOut), c.want, 1e-16)
			near(t, c.i.String()+": sigma_w^2", c.i.SigmaW2(fanIn, fanOut), c.want*float64(fanIn), 1e-14)
		}
	}
}

func TestNames(t *testing.T) {
	texts := map[string]bool{}
	for _, i := range all() {
		if err := i.Valid(); err != nil {
			t.Error(err)
		}
		data, err := json.Marshal(i)
		if err != nil {
			t.Fatal(err)
		}
		var back initializer.Initializer
		if err := json.Unmarshal(data, &back); err != nil || back != i {
			t.Errorf("%s as JSON is %s, and read back %s, %v", i, data, back, err)
		}
		texts[i.String()] = true
		if k, err := initializer.ParseKind(" " + strings.ToUpper(i.Kind.String())); err != nil || k != i.Kind {
			t.Errorf("%s parsed: %s, %v", i.Kind, k, err)
		}
	}
	for _, want := range []string{"normal(gain 1.5)", "uniform(gain 0.5)", "glorot_normal(gain 1)", "he(gain 1)", "he_fan_out(gain 1)", "lecun(gain 1)", "identity(gain 0.9)"} {
		if !texts[want] {
			t.Errorf("no %q among %v", want, texts)
		}
	}
	if len(initializer.Kinds()) != len(texts) {
		t.Errorf("%d kinds, %d initializers", len(initializer.Kinds()), len(texts))
	}
	if data, err := json.Marshal(initializer.Initializer{}); string(data) != `{"kind":"normal","gain":1}` || err != nil {
		t.Errorf("the zero value as JSON: %s, %v", data, err)
	}
	var read initializer.Initializer
	if err := json.Unmarshal([]byte(`{"kind":"he"}`), &read); err != nil || read != initializer.He() {
		t.Errorf("read without a gain: %s, %v", read, err)
	}
}

func TestMistakes(t *testing.T) {
	for _, c := range []struct {
		i     initializer.Initializer
		words []string
	}{
		{initializer.Normal(-1), []string{"normal(gain -1)", "positive finite"}},
		{initializer.Normal(0), []string{"normal(gain 0)", "positive finite"}},
		{initializer.Uniform(math.NaN()), []string{"uniform(gain NaN)", "positive finite"}},
		{initializer.Initializer{Kind: initializer.KindHe, Gain: 1e160}, []string{"1e+160", "positive finite"}},
		{initializer.GlorotUniform(math.Inf(1)), []string{"+Inf", "positive finite"}},
		{initializer.Orthogonal(0), []string{"orthogonal(gain 0)"}},
		{initializer.Identity(-2), []string{"identity(gain -2)"}},
		{initializer.Initializer{Kind: 99}, []string{"99", "choose one of normal, uniform, glorot_normal"}},
		{initializer.Initializer{Kind: -1}, []string{"-1", "choose one of"}},
	} {
		fails(t, "Valid", c.i.Valid(), c.words...)
		_, err := c.i.Draw(initializer.Stream(1, "W"), 4, 4)
		fails(t, "Draw", err, c.words...)
		_, err = json.Marshal(c.i)
		fails(t, "JSON", err, c.words...)
		if v := c.i.Variance(4, 4); !math.IsNaN(v) {
			t.Errorf("%s: variance %g", c.i, v)
		}
	}
	_, err := initializer.He().Draw(nil, 4, 4)
	fails(t, "nil generator", err, "he(gain 1)", "Stream(seed, name)")
	for text, words := range map[string][]string{
		`{"kind":"kaiming","gain":1}`: {"kaiming", "choose one of normal", "he_fan_out"},
		`{"gain":1}`:                  {"no kind", "choose one of"},
		`{"kind":"normal","gain":-1}`: {"normal(gain -1)", "positive"},
		`{"kind":"normal","gain":0}`:  {"normal(gain 0)", "positive"},
		`{"kind":7}`:                  {"initializer"},
		`"he"`:                        {"initializer"},
	} {
		i := initializer.He()
		fails(t, text, json.Unmarshal([]byte(text), &i), words...)
		if i != initializer.He() {
			t.Errorf("%s: changed to %s although it was refused", text, i)
		}
	}
}
