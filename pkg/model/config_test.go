package model_test

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gradbook/gradbook/pkg/activation"
	"github.com/gradbook/gradbook/pkg/initializer"
	"github.com/gradbook/gradbook/pkg/model"
)

func TestValidate(t *testing.T) {
	tanh := activation.Tanh
	for _, test := range []struct {
		config model.Config
		want   string // words of the error; "" for none
	}{
		{model.MLP{Inputs: 2, Outputs: 1}, ""}, // a linear model
		{model.MLP{Inputs: 2, Outputs: 1, Width: 5, Norm: model.BatchNorm}, ""},
		{model.MLP{Inputs: 2, Outputs: 1, Widths: []int{3, 4}, Depth: 2, Activation: tanh}, ""},
		{model.MLP{Outputs: 1}, "Inputs is 0; it must be at least 1"},
		{model.MLP{Inputs: -3, Outputs: 1}, "Inputs is -3"},
		{model.MLP{Inputs: 2}, "Outputs is 0"},
		{model.MLP{Inputs: 2, Outputs: 1, Depth: -1}, "Depth is -1; it must be between 0"},
		{model.MLP{Inputs: 2, Outputs: 1, Depth: 1e9}, "Depth is 1000000000"},
		{model.MLP{Inputs: 2, Outputs: 1, Depth: 1}, "Width is 0 with Depth 1"},
		{model.MLP{Inputs: 2, Outputs: 1, Depth: 1, Width: -4}, "Width is -4"},
		{model.MLP{Inputs: 2, Outputs: 1, Depth: 1, Width: 4}, "activation not set: choose one of step"},
		{model.MLP{Inputs: 2, Outputs: 1, Width: 4, Widths: []int{4}}, "Width is 4 and Widths is [4]; give one"},
		{model.MLP{Inputs: 2, Outputs: 1, Depth: 3, Widths: []int{4}}, "Depth is 3 but Widths has 1"},
		{model.MLP{Inputs: 2, Outputs: 1, Widths: []int{4, 0}}, "Widths[1] is 0"},
		{model.MLP{Inputs: 2, Outputs: 1, Depth: 1, Width: 4, Activation: tanh, Residual: "skip"}, `Residual is "skip"; allowed are "" (none), "post", "pre"`},
		{model.MLP{Inputs: 2, Outputs: 1, Depth: 1, Width: 4, Activation: tanh, Norm: "group"}, `Norm is "group"`},
		{model.MLP{Inputs: 2, Outputs: 1, Depth: 1, Width: 4, Activation: tanh, NormPosition: "middle"}, `NormPosition is "middle"`},
		{model.MLP{Inputs: 2, Outputs: 1, Depth: 1, Width: 4, Activation: tanh, NormPosition: model.AfterActivation}, "without a Norm"},
		{model.MLP{Inputs: 2, Outputs: 1, Depth: 1, Width: 4, Activation: tanh, ResidualScale: 2}, "without a Residual"},
		{model.MLP{Inputs: 2, Outputs: 1, Widths: []int{4, 5}, Activation: tanh, Residual: model.PreActivation}, "Widths change from 4 to 5 at h2"},
		{model.MLP{Inputs: 2, Outputs: 1, SigmaB: -1}, "SigmaB is -1"},
		{model.MLP{Inputs: 2, Outputs: 1, SigmaB: math.NaN()}, "SigmaB is NaN"},
		{model.MLP{Inputs: 2, Outputs: 1, DType: dtypes.Int32}, "DType is Int32; allowed are Float32"},
		{model.MLP{Inputs: 2, Outputs: 1, Weights: initializer.Normal(0)}, "Weights"},
		{model.ConvNet{N: 3, Image: [3]int{32, 32, 3}, Classes: 10}, ""},
		{model.ConvNet{N: -1, Image: [3]int{32, 32, 3}, Classes: 10}, "N is -1"},
		{model.ConvNet{N: 1, Image: [3]int{32, 0, 3}, Classes: 10}, "the width must be at least 1"},
		{model.ConvNet{N: 1, Image: [3]int{32, 32, 3}}, "Classes is 0"},
		{model.ConvNet{N: 1, Image: [3]int{32, 32, 3}, Classes: 10, Channels: -1}, "Channels is -1"},
		{model.ConvNet{N: 1, Image: [3]int{32, 32, 3}, Classes: 10, Shortcut: model.ProjectionShortcut}, "in a plain net"},
		{model.Recurrent{Inputs: 2, Hidden: 4, Outputs: 1, Steps: 5}, ""},
		{model.Recurrent{Cell: "rnn", Inputs: 2, Hidden: 4, Outputs: 1, Steps: 5}, `Cell is "rnn"; allowed are "" (vanilla), "lstm", "gru"`},
		{model.Recurrent{Inputs: 2, Hidden: 4, Outputs: 1}, "Steps is 0"},
		{model.Recurrent{Inputs: 2, Outputs: 1, Steps: 5}, "Hidden is 0"},
		{model.Recurrent{Cell: model.GRU, Inputs: 2, Hidden: 4, Outputs: 1, Steps: 5, ForgetBias: 1}, "only an LSTM has a forget gate"},
		{model.Recurrent{Inputs: 2, Hidden: 4, Outputs: 1, Steps: 5, TapCell: true}, "only an LSTM has a cell state"},
	} {
		err := test.config.Validate()
		if test.want == "" {
			if err != nil {
				t.Errorf("%s: %v", test.config, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v; want %q", test.config, err, test.want)
		}
		if net, err := test.config.New(1); err == nil || net != nil {
			t.Errorf("%+v: New made a net", test.config)
		}
	}
}

func TestTooLarge(t *testing.T) {
	for _, c := range []model.Config{
		model.MLP{Inputs: 1 << 20, Outputs: 1, Depth: 1, Width: 1 << 20, Activation: activation.ReLU},
		model.MLP{Inputs: math.MaxInt, Outputs: math.MaxInt},
	} {
		if _, err := c.New(1); err == nil || !strings.Contains(err.Error(), "at most 2147483648") {
			t.Errorf("%s: %v", c, err)
		}
	}
}

// configs are some of each kind.
func configs() []model.Config {
	out := initializer.GlorotUniform(2)
	list := []model.Config{
		model.MLP{Inputs: 784, Outputs: 10, Widths: []int{100, 50, 50}, Activation: activation.LeakyReLU(0.2), Weights: initializer.Orthogonal(1.5), OutputWeights: &out,
			SigmaB: 0.25, Residual: model.PostActivation, ResidualScale: 0.5, Shortcut: model.ProjectionShortcut, Norm: model.LayerNorm, NormPosition: model.AfterActivation, DType: float64Type},
		model.ConvNet{N: 2, Image: [3]int{8, 8, 1}, Classes: 4, Channels: 4, Residual: true, Shortcut: model.ProjectionShortcut, Norm: model.BatchNorm, Activation: activation.SiLU,
			Weights: initializer.HeFanOut(), OutputWeights: &out},
		model.Recurrent{Cell: model.LSTM, Inputs: 2, Hidden: 4, Outputs: 1, Steps: 3, RecurrentWeights: &out, ForgetBias: 1, PerStep: true, TapCell: true},
	}
	for _, c := range mlps(activation.Tanh) {
		list = append(list, c)
	}
	for _, c := range convNets() {
		list = append(list, c)
	}
	for _, c := range recurrents(2) {
		list = append(list, c)
	}
	return list
}

func TestConfigJSON(t *testing.T) {
	seen := map[string]string{}
	for _, c := range configs() {
		data := must(json.Marshal(c))
		back, err := model.ParseConfig(data)
		if err != nil {
			t.Errorf("%s: %v", data, err)
			continue
		}
		if !reflect.DeepEqual(back, c) {
			t.Errorf("%s came back as %+v, was %+v", data, back, c)
		}
		if !strings.HasPrefix(string(data), `{"kind":"`+c.Kind()+`"`) {
			t.Errorf("%s does not begin with its kind %s", data, c.Kind())
		}
		if other, twice := seen[string(data)]; twice {
			t.Errorf("%s stands for both %s and %s", data, other, c)
		}
		seen[string(data)] = c.String()
	}
}

func TestParseConfigErrors(t *testing.T) {
	for text, want := range map[string]string{
		``:                            "must be a JSON object",
		`[]`:                          "must be a JSON object",
		`{"kind":"transformer"}`:      `kind "transformer" is unknown; allowed are "mlp"`,
		`{"inputs":2}`:                `kind "" is unknown`,
		`{"kind":"mlp","input":2}`:    `unknown field "input"`,
		`{"kind":"mlp","inputs":"2"}`: "cannot unmarshal string",
		`{"kind":"mlp","inputs":2}`:   "Outputs is 0",
		`{"kind":"convnet","n":1}`:    "Image is [0 0 0]: the height",
		`{"kind":"recurrent"}`:        "Inputs is 0",
		`{"kind":"mlp","inputs":2,"outputs":1,"depth":1,"width":2,"activation":"tahn"}`: `unknown activation "tahn"`,
		`{"kind":"mlp","inputs":2,"outputs":1,"dtype":"Float8"}`:                        "Float8",
	} {
		c, err := model.ParseConfig([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v; want %q", text, c, err, want)
		}
	}
	if err := json.Unmarshal([]byte(`{"kind":"convnet","n":1}`), new(model.MLP)); err == nil || !strings.Contains(err.Error(), "unknown field") {
		t.Errorf("a convnet was read as an MLP: %v", err)
	}
	if err := json.Unmarshal([]byte(`{"kind":"convnet"}`), new(model.MLP)); err == nil || !strings.Contains(err.Error(), `kind "convnet" was read into one of kind "mlp"`) {
		t.Errorf("a convnet was read as an MLP: %v", err)
	}
}

func FuzzParseConfig(f *testing.F) {
	for _, c := range configs() {
		f.Add(must(json.Marshal(c)))
	}
	f.Add([]byte(`{"kind":"mlp","inputs":1e99}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := model.ParseConfig(data)
		if err != nil {
			return
		}
		again, err := json.Marshal(c)
		if err != nil {
			t.Fatalf("%s was read as %s, which does not marshal: %v", data, c, err)
		}
		back, err := model.ParseConfig(again)
		if err != nil || back.String() != c.String() {
			t.Errorf("%s was read as %s, and then as %v (%v)", data, c, back, err)
		}
	})
}

func TestConfigStrings(t *testing.T) {
	w := initializer.Orthogonal(1)
	for want, c := range map[string]model.Config{
		"mlp 784-64x10-10 tanh normal(gain 1)": model.MLP{Inputs: 784, Outputs: 10, Depth: 10, Width: 64, Activation: activation.Tanh},
		"mlp 2-1 normal(gain 1)":               model.MLP{Inputs: 2, Outputs: 1},
		"mlp 2-8-4x2-1 relu he(gain 1), residual pre x0.5 projection, batch norm": model.MLP{Inputs: 2, Outputs: 1, Widths: []int{8, 4, 4}, Activation: activation.ReLU,
			Weights: initializer.He(), Residual: model.PreActivation, ResidualScale: 0.5, Shortcut: model.ProjectionShortcut, Norm: model.BatchNorm},
		"resnet-20 32x32x3-10 relu he(gain 1), batch norm": model.ConvNet{N: 3, Image: [3]int{32, 32, 3}, Classes: 10, Residual: true, Norm: model.BatchNorm},
		"plain-8 28x28x1-10 relu he(gain 1), 4 channels":   model.ConvNet{N: 1, Image: [3]int{28, 28, 1}, Classes: 10, Channels: 4},
		"lstm 2-64-1 over 100 steps tanh normal(gain 1), recurrent orthogonal(gain 1), forget bias 1": model.Recurrent{Cell: model.LSTM, Inputs: 2, Hidden: 64,
			Outputs: 1, Steps: 100, RecurrentWeights: &w, ForgetBias: 1},
	} {
		if got := c.String(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
