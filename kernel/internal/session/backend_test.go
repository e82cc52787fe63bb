package session_test

import (
	"strings"
	"testing"
)

// A notebook whose module does not have the library is told what to do.
func TestBackendWithoutLibrary(t *testing.T) {
	s, dir := module(t, map[string]string{"go.mod": "module example.com/m\n\ngo 1.26\n"})
	got := execute(s, "%backend go", false)
	for _, words := range []string{"line 1: %backend needs the package github.com/gradbook/gradbook/pkg/backend", dir + "/go.mod", "!*go get github.com/gradbook/gradbook", "%env GOMLX_BACKEND go"} {
		if !strings.Contains(got, words) {
			t.Errorf("%q is not in\n%s", words, got)
		}
	}
	expect(t, s, "1 + 1", "=> 2")
}

// training is a net, and a cell that trains it further on whatever is the default.
const training = `import (
	"context"
	"github.com/gradbook/gradbook/pkg/activation"
	"github.com/gradbook/gradbook/pkg/backend"
	"github.com/gradbook/gradbook/pkg/dataset"
	"github.com/gradbook/gradbook/pkg/experiment"
	"github.com/gradbook/gradbook/pkg/initializer"
	"github.com/gradbook/gradbook/pkg/model"
)
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
digits := must(dataset.Digits())
net := must(model.MLP{Inputs: 64, Outputs: 10, Depth: 3, Width: 32, Activation: activation.Tanh, Weights: initializer.GlorotNormal(1)}.New(1))
func train(steps int, rate float64) []float64 {
	return must(experiment.Fit{Net: net, Train: digits, Steps: steps, Rate: rate, Seed: 1, Quiet: true}.Run(context.Background())).Losses
}
// loss is that of the first batch, with the weights as they are.
func loss() float64 { return train(1, 1e-12)[0] }
func same(a, b float64) bool { return math.Abs(a-b) < 1e-4*b }`

// The net of one cell is trained further by the next ones, on XLA and on pure Go in turn; the choice outlives a restart.
func TestBackendXLA(t *testing.T) {
	s := open(t, nil)
	if shown := execute(s, "%backend", false); !strings.Contains(shown, "%backend xla:cpu,") {
		t.Skip("no plugin for XLA on the CPU is installed here, so that it was not tried: PJRT_PLUGIN_LIBRARY_PATH names the folder of one")
	}
	execute(s, "%backend go", false)
	expect(t, s, training, "")
	expect(t, s, "fresh := loss()\ntrain(60, 0.2)\nlearned := loss()\nlearned < fresh/2", "=> true")
	shown := execute(s, "%backend xla:cpu\nclient := backend.MustDefault()", false)
	for _, words := range []string{"backend: xla:cpu\n", "moved to the host: 8 tensors, ", "net (8 tensors)"} {
		if !strings.Contains(shown, words) {
			t.Errorf("%q is not in\n%s", words, shown)
		}
	}
	expect(t, s, "same(loss(), learned)", "=> true")
	expect(t, s, "train(60, 0.2)\nfurther := loss()\nfurther < learned", "=> true")
	shown = execute(s, "%backend go", false)
	if words := "still on xla:cpu: client (compute.Backend): make it again to compute on go\n"; !strings.Contains(shown, words) {
		t.Errorf("%q is not in\n%s", words, shown)
	}
	expect(t, s, "same(loss(), further)", "=> true")
	execute(s, "%backend xla:cpu", false)
	expect(t, s, "client == backend.MustDefault()", "=> true")
	if shown := execute(s, "%restart\nfmt.Println(backend.IsGo(backend.MustDefault()))", false); shown != "false\n" {
		t.Errorf("after a restart it is pure Go: %s", shown)
	}
	for _, config := range []string{"xla:cpu,no_such_option", "xla:/nowhere/pjrt_c_api_cpu_plugin.so"} {
		if shown := execute(s, "%backend "+config, false); !strings.HasSuffix(shown, "; the program still computes on xla:cpu\n") {
			t.Errorf("%s: %s", config, shown)
		}
	}
	if shown := execute(s, "%backend auto\nbackend.Choice().Reason", false); strings.Contains(shown, "asked for") || !strings.Contains(shown, "xla:cpu") {
		t.Errorf("after auto: %s", shown)
	}
}
