package backend_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/notimplemented"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/pkg/errors"

	"github.com/gradbook/gradbook/pkg/backend"
)

// helper makes the test binary a program of its own that asks for the default backend: the choice is one a process.
const helper = "GRADBOOK_TEST_BACKEND_HELPER"

type answer struct {
	Choice  backend.Chosen
	Error   string
	IsGo    bool
	Softmax []float32
}

func TestMain(m *testing.M) {
	if os.Getenv(helper) == "" {
		os.Exit(m.Run())
	}
	var a answer
	a.Choice = backend.Choice()
	if b, err := backend.Default(); err != nil {
		a.Error = err.Error()
	} else {
		a.IsGo, a.Softmax = backend.IsGo(b), softmax(b)
	}
	if err := json.NewEncoder(os.Stdout).Encode(a); err != nil {
		panic(err)
	}
}

// softmax is a gradient by another name: that of log(sum(exp(z))).
func softmax(b compute.Backend) []float32 {
	exec := graph.MustNewExec(b, func(z *graph.Node) *graph.Node {
		return graph.Gradient(graph.Log(graph.ReduceAllSum(graph.Exp(z))), z)[0]
	})
	return tensors.MustCopyFlatData[float32](exec.MustExec([]float32{0, 1, 2})[0])
}

func checkSoftmax(t *testing.T, got []float32) {
	t.Helper()
	for i, want := range []float64{0.09003057317, 0.24472847105, 0.66524095577} {
		if len(got) != 3 || math.Abs(float64(got[i])-want) > 1e-6 {
			t.Fatalf("softmax is %g, want %g at %d", got, want, i)
		}
	}
}

// ask runs the helper with the variables; folders are where it looks for plugins.
func ask(t *testing.T, config string, folders ...string) answer {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	cmd.Env = slices.DeleteFunc(os.Environ(), func(e string) bool {
		return strings.HasPrefix(e, "GOMLX_BACKEND=") || strings.HasPrefix(e, "PJRT_PLUGIN_LIBRARY_PATH=")
	})
	cmd.Env = append(cmd.Env, helper+"=1", "PJRT_PLUGIN_LIBRARY_PATH="+strings.Join(folders, ":"))
	if config != "" {
		cmd.Env = append(cmd.Env, "GOMLX_BACKEND="+config)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var a answer
	if err == nil {
		err = json.Unmarshal(out[strings.IndexByte(string(out), '{'):], &a) // "parallelism=" makes the backend print a line
	}
	if err != nil {
		t.Fatalf("%v\n%s%s", err, out, stderr.String())
	}
	if a.Error == "" {
		checkSoftmax(t, a.Softmax)
	}
	return a
}

func TestDefaultWithoutPlugin(t *testing.T) {
	folder := t.TempDir()
	a := ask(t, "", folder, folder+"/none")
	if a.Choice.Name != "go:ops_sequential" || a.Choice.Reason != "no PJRT plugin in "+folder+", "+folder+"/none" || !a.IsGo || a.Error != "" {
		t.Errorf("%+v", a)
	}
	if a := ask(t, " ", folder); a.Choice.Name != "go:ops_sequential" || !strings.HasPrefix(a.Choice.Reason, "no PJRT plugin") {
		t.Errorf("%+v", a)
	}
}

// The variable that the kernel sets for others is no wish of the user's.
func TestDefaultUnderTheKernel(t *testing.T) {
	t.Setenv("GRADBOOK_DEFAULT_BACKEND", "go:ops_sequential")
	folder := t.TempDir()
	if a := ask(t, "go:ops_sequential", folder); a.Choice.Reason != "no PJRT plugin in "+folder {
		t.Errorf("%+v", a)
	}
	if a := ask(t, "go", folder); a.Choice.Reason != "GOMLX_BACKEND=go" {
		t.Errorf("%+v", a)
	}
}

// TestDefaultWithBrokenPlugins: files that cannot be loaded are told, and cost nothing else.
func TestDefaultWithBrokenPlugins(t *testing.T) {
	folder := t.TempDir()
	all := fakes(t)
	for name, fake := range all {
		put(t, filepath.Join(folder, name), fake.content)
	}
	put(t, filepath.Join(folder, "pjrt_c_api_cpu_plugin.so"), here("GetPjrtApi").bytes(t)) // passes the check, but does not load
	a := ask(t, "", folder)
	if a.Choice.Name != "go:ops_sequential" || a.Error != "" {
		t.Errorf("%+v", a)
	}
	for name, fake := range all {
		if !strings.Contains(a.Choice.Reason, "PJRT plugin "+filepath.Join(folder, name)+" ") || !strings.Contains(a.Choice.Reason, fake.words) {
			t.Errorf("the reason does not name %s: %s", name, a.Choice.Reason)
		}
	}
	if !strings.Contains(a.Choice.Reason, "pjrt_c_api_cpu_plugin.so does not start") {
		t.Errorf("the reason does not name the one that does not start: %s", a.Choice.Reason)
	}
}

func TestDefaultByVariable(t *testing.T) {
	folder := t.TempDir()
	for config, name := range map[string]string{
		"go": "go:ops_sequential", "GO": "go:ops_sequential", "go:": "go:ops_sequential", "go:ops_parallel": "go:ops_parallel", "go:parallelism=2": "go:ops_sequential,parallelism=2",
		"go:dependency_order,ops_sequential": "go:ops_sequential,dependency_order",
	} {
		if a := ask(t, config, folder); a.Choice.Name != name || a.Choice.Reason != "GOMLX_BACKEND="+config || !a.IsGo {
			t.Errorf("%s: %+v", config, a)
		}
	}
	for config, words := range map[string][]string{
		"tpu":                     {"unknown backend \"tpu\"", "choose one of go, xla, xla:cpu, xla:cuda, xla:/path/to/plugin.so"},
		"go:fast":                 {"unknown configuration option \"fast\""},
		"xla":                     {"no PJRT plugin in " + folder},
		"xla:cuda":                {"no PJRT plugin \"cuda\"", "no PJRT plugin in " + folder},
		"xla:cpu,tf32=true":       {"no PJRT plugin \"cpu\""},
		"xla:/nowhere/plugin.so":  {"PJRT plugin /nowhere/plugin.so: no such file"},
		"stablehlo:/nowhere/p.so": {"PJRT plugin /nowhere/p.so: no such file"},
	} {
		a := ask(t, config, folder)
		for _, word := range append(words, "GOMLX_BACKEND=\""+config+"\"") {
			if !strings.Contains(a.Error, word) {
				t.Errorf("%s: error %q, want one with %q", config, a.Error, word)
			}
		}
		if a.Choice.Name != "" || a.Choice.Reason != a.Error {
			t.Errorf("%s: choice %+v beside the error %q", config, a.Choice, a.Error)
		}
	}
}

// TestInstalledPlugins computes on each plugin that the usual search finds on this machine, and asks for it in each way.
func TestInstalledPlugins(t *testing.T) {
	for _, p := range backend.Plugins() {
		if p.Err != nil {
			continue
		}
		for _, config := range []string{"xla:" + p.Path, "xla:" + p.Name} {
			b, err := backend.New(config)
			if err != nil {
				t.Error(err)
				continue
			}
			if backend.IsGo(b) {
				t.Errorf("%s is the pure-Go backend", config)
			}
			if p.Name == "cpu" && b.NumDevices() != 1 {
				t.Errorf("%s has %d devices: one is quicker", config, b.NumDevices())
			}
			checkSoftmax(t, softmax(b))
		}
		broken := t.TempDir()
		put(t, filepath.Join(broken, filepath.Base(p.Path)), []byte("broken"))
		for _, folders := range [][]string{{filepath.Dir(p.Path)}, {broken, filepath.Dir(p.Path)}} {
			a := ask(t, "xla:"+p.Name, folders...)
			if !strings.HasPrefix(a.Choice.Name, "xla:"+p.Path) || a.IsGo || a.Error != "" {
				t.Errorf("searched in %s: %+v", folders, a)
			}
			put(t, filepath.Join(broken, "pjrt_c_api_cuda_plugin.so"), nil)
			if a := ask(t, "", append(folders, broken)...); a.IsGo || a.Error != "" || !strings.HasPrefix(a.Choice.Name, "xla:") || !strings.Contains(a.Choice.Reason, "starts; PJRT plugin ") {
				t.Errorf("by default, searched in %s: %+v", folders, a)
			}
		}
		_, err := backend.New("xla:" + p.Path + ",no_such_option")
		says(t, err, p.Path, "does not start", "no_such_option")
	}
}

// TestSameBits runs one compiled training step again and again.
func TestSameBits(t *testing.T) {
	configs := []string{"go"}
	for _, p := range backend.Plugins() {
		if p.Err == nil && strings.HasPrefix(p.Name, "cpu") {
			configs = append(configs, "xla:"+p.Path)
		}
	}
	for _, config := range configs {
		b, err := backend.New(config)
		if err != nil {
			t.Fatal(err)
		}
		exec, err := graph.NewExec(b, func(w *graph.Node) *graph.Node {
			h := graph.Tanh(graph.MatMul(w, w))
			return graph.Gradient(graph.ReduceAllSum(graph.Square(graph.MatMul(h, w))), w)[0]
		})
		if err != nil {
			t.Fatal(err)
		}
		values := make([]float32, 300*300)
		for i := range values {
			values[i] = float32(math.Sin(float64(i*i))) / 20
		}
		w := tensors.FromFlatDataAndDimensions(values, 300, 300)
		var first []float32
		for range 5 {
			out, err := exec.Exec(w)
			if err != nil {
				t.Fatal(err)
			}
			got := tensors.MustCopyFlatData[float32](out[0])
			if first == nil {
				first = got
			}
			if !slices.Equal(got, first) || slices.Max(got) <= 0 {
				t.Errorf("%s: the same step gave other numbers", config)
			}
		}
	}
}

func TestOneBackend(t *testing.T) {
	first, err := backend.Default()
	if err != nil {
		t.Fatal(err)
	}
	if backend.MustDefault() != first {
		t.Error("another backend at the second call")
	}
	var others sync.WaitGroup
	for range 8 {
		others.Go(func() {
			if b, err := backend.Default(); b != first || err != nil || backend.Choice().Name == "" {
				t.Errorf("another goroutine got %v, %v", b, err)
			}
		})
	}
	others.Wait()
	checkSoftmax(t, softmax(first))
	if c := backend.Choice(); c.Name == "" || c.Reason == "" || c.String() != c.Name+": "+c.Reason || strings.HasPrefix(c.Name, "go") != backend.IsGo(first) {
		t.Errorf("choice %+v", c)
	}
	if own, err := backend.New("go"); err != nil || own == first {
		t.Errorf("New gives %v, %v: want a backend of its own", own, err)
	}
}

func TestFinalizedIsReplaced(t *testing.T) {
	t.Setenv("GOMLX_BACKEND", "go")
	before := backend.MustDefault()
	before.Finalize()
	after := backend.MustDefault()
	if after == before || after.IsFinalized() {
		t.Fatal("the finalized backend came again")
	}
	checkSoftmax(t, softmax(after))
	if c := backend.Choice(); c.Name != "go:ops_sequential" || c.Reason != "GOMLX_BACKEND=go" {
		t.Errorf("choice %+v", c)
	}
	// An error is not kept: the next call may be given something better.
	after.Finalize()
	t.Setenv("GOMLX_BACKEND", "abacus")
	if _, err := backend.Default(); err == nil {
		t.Error("a backend named abacus")
	}
	if c := backend.Choice(); c.Name != "" || !strings.Contains(c.Reason, "unknown backend \"abacus\"") || c.String() != "no backend: "+c.Reason {
		t.Errorf("choice %+v", c)
	}
	t.Setenv("GOMLX_BACKEND", "go")
	checkSoftmax(t, softmax(backend.MustDefault()))
}

func TestIsGo(t *testing.T) {
	b, err := backend.New("go")
	if err != nil {
		t.Fatal(err)
	}
	if !backend.IsGo(b) || backend.IsGo(nil) || backend.IsGo(abacus{}) {
		t.Error("mistaken")
	}
}

// abacus stands for a backend of somebody else's.
type abacus struct{ compute.Backend }

func (abacus) String() string    { return "abacus" }
func (abacus) IsFinalized() bool { return false }

// TestOthers: backends registered with GoMLX are reached too, and what goes wrong in their constructors is an error.
func TestOthers(t *testing.T) {
	compute.Register("abacus", func(config string) (compute.Backend, error) {
		switch config {
		case "":
			return abacus{}, nil
		case "nil":
			return nil, nil
		case "fails":
			return nil, errors.Wrap(notimplemented.NotImplementedError, "beads")
		}
		panic("no beads for " + config)
	})
	if b, err := backend.New("abacus"); err != nil || b != (abacus{}) {
		t.Errorf("%v, %v", b, err)
	}
	for config, word := range map[string]string{"abacus:nil": "none was made", "abacus:fails": "beads", "abacus:7": "no beads for 7"} {
		_, err := backend.New(config)
		says(t, err, config, word)
	}
	_, err := backend.New("slide rule")
	says(t, err, "slide rule", "xla:/path/to/plugin.so, abacus")
}

// TestManyProducts: independent matrix products, the load under which the pure-Go backend's own default mode can stop for good.
func TestManyProducts(t *testing.T) {
	b, err := backend.New("go")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		exec, err := graph.NewExec(b, func(x *graph.Node) *graph.Node {
			var sum *graph.Node
			for k := range 32 {
				product := graph.ReduceAllSum(graph.MatMul(graph.MulScalar(x, float64(k+1)), x))
				if sum == nil {
					sum = product
				} else {
					sum = graph.Add(sum, product)
				}
			}
			return sum
		})
		if err != nil {
			done <- err
			return
		}
		ones := tensors.FromScalarAndDimensions(float32(1), 192, 192)
		out, err := exec.Exec(ones)
		if err != nil {
			done <- err
			return
		}
		if got, want := tensors.ToScalar[float32](out[0]), float32(192*192*192*33*16); got != want {
			err = fmt.Errorf("the sum is %g, want %g", got, want)
		}
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the products do not end")
	}
}
