package backend_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	mlmodel "github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/loss"
	"github.com/gomlx/gomlx/ml/train/optimizer"

	"github.com/gradbook/gradbook/pkg/backend"
)

// Two configurations of pure Go stand for two backends: neither takes the other's tensors.
const pureGo, there = "go", "go:dependency_order"

// switching lets a test call Use: GOMLX_BACKEND is config before and, when the test has ended, what it was; and so is the default.
func switching(t *testing.T, config string) {
	t.Helper()
	t.Setenv("GOMLX_BACKEND", config)
	t.Setenv("GRADBOOK_DEFAULT_BACKEND", "")
	t.Cleanup(func() {
		if _, err := backend.Use(backend.Automatic); err != nil {
			t.Error(err)
		}
	})
}

func use(t *testing.T, config string) compute.Backend {
	t.Helper()
	c, err := backend.Use(config)
	if err != nil {
		t.Fatal(err)
	}
	b, err := backend.Default()
	if err != nil || c != backend.Choice() {
		t.Fatalf("Use(%q) chose %v, and now there is %v, %v", config, c, backend.Choice(), err)
	}
	return b
}

func squares(b compute.Backend) *graph.Exec {
	return graph.MustNewExec(b, func(x *graph.Node) *graph.Node { return graph.Square(x) })
}

// on returns a tensor that lives on b.
func on(b compute.Backend, values ...float32) *tensors.Tensor { return squares(b).MustExec(values)[0] }

// TestUse: each configuration has one backend, whatever is switched between; what was compiled for the others goes on working.
func TestUse(t *testing.T) {
	switching(t, pureGo)
	first := use(t, pureGo)
	compiled := squares(first)
	second := use(t, there)
	if second == first || second.IsFinalized() || first.IsFinalized() {
		t.Fatal("not two backends")
	}
	if c := backend.Choice(); c.Name != "go:ops_sequential,dependency_order" || c.Reason != "it was asked for: "+there {
		t.Errorf("choice %+v", c)
	}
	if got := os.Getenv("GOMLX_BACKEND"); got != "go:ops_sequential,dependency_order" {
		t.Errorf("GOMLX_BACKEND is %q", got)
	}
	if made, err := compute.New(); err != nil || made == second {
		t.Errorf("compute.New: %v, %v", made, err)
	}
	if got := compiled.MustExec(float32(3))[0].Value(); got != float32(9) {
		t.Errorf("the Exec of the first backend gives %v", got)
	}
	for _, config := range []string{pureGo, "GO", "go:ops_sequential", backend.Automatic} {
		if use(t, config) != first || use(t, there) != second {
			t.Errorf("%s is another backend", config)
		}
	}
	use(t, backend.Automatic)
	if got := os.Getenv("GOMLX_BACKEND"); got != pureGo || backend.Choice().Reason != "GOMLX_BACKEND=go" {
		t.Errorf("after %s GOMLX_BACKEND is %q: %v", backend.Automatic, got, backend.Choice())
	}
	// One that was finalized is made again.
	second = use(t, there)
	second.Finalize()
	if again := backend.MustDefault(); again == second || again.IsFinalized() || backend.Choice().Name != "go:ops_sequential,dependency_order" {
		t.Errorf("the finalized backend came again, or another: %v", backend.Choice())
	}
}

// TestAutomaticWithoutPlugin: what the kernel exports is no wish of the user's, before and after.
func TestAutomaticWithoutPlugin(t *testing.T) {
	switching(t, "go:ops_sequential")
	t.Setenv("GRADBOOK_DEFAULT_BACKEND", "go:ops_sequential")
	folder := t.TempDir()
	t.Setenv("PJRT_PLUGIN_LIBRARY_PATH", folder)
	first := use(t, pureGo)
	if got := os.Getenv("GRADBOOK_DEFAULT_BACKEND"); got != "" {
		t.Errorf("a subprocess would be told that nobody chose: %q", got)
	}
	if use(t, backend.Automatic) != first || backend.Choice().Reason != "no PJRT plugin in "+folder {
		t.Errorf("choice %v", backend.Choice())
	}
	if a, b := os.Getenv("GOMLX_BACKEND"), os.Getenv("GRADBOOK_DEFAULT_BACKEND"); a != "go:ops_sequential" || b != a {
		t.Errorf("the variables are %q and %q", a, b)
	}
}

// TestUseFails: a switch that fails changes nothing, and says one sentence.
func TestUseFails(t *testing.T) {
	switching(t, pureGo)
	folder := t.TempDir()
	t.Setenv("PJRT_PLUGIN_LIBRARY_PATH", folder)
	all := fakes(t)
	configs := map[string]string{
		"":                    "no backend given: choose one of go, xla",
		"tpu":                 "unknown backend \"tpu\"",
		"go:fast":             "unknown configuration option \"fast\"",
		"xla:cuda":            "no PJRT plugin \"cuda\"",
		"xla:cpu,tf32=true":   "is not a shared library (ELF), or is cut short",
		"xla:/nowhere/cpu.so": "no such file",
	}
	put(t, filepath.Join(folder, "pjrt_c_api_cpu_plugin.so"), here("GetPjrtApi").bytes(t)[:90])
	for name, fake := range all {
		path := filepath.Join(t.TempDir(), name)
		put(t, path, fake.content)
		configs["xla:"+path] = fake.words
	}
	before := use(t, there)
	w := on(before, 1, 2, 3)
	choice, variable := backend.Choice(), os.Getenv("GOMLX_BACKEND")
	for config, words := range configs {
		_, err := backend.Use(config)
		says(t, err, "", words)
		if b, err := backend.Default(); b != before || err != nil || backend.Choice() != choice || os.Getenv("GOMLX_BACKEND") != variable {
			t.Fatalf("after Use(%q) the default is %v, %v", config, backend.Choice(), err)
		}
	}
	if got, err := w.Backend(); got != before || err != nil {
		t.Errorf("a tensor was moved: %v", err)
	}
}

// ring is a cycle.
type ring struct {
	next  *ring
	value *tensors.Tensor
}

type lab struct {
	hidden  any
	Layers  []*tensors.Tensor
	inPlace [2]struct{ t *tensors.Tensor }
	ByName  map[string]any
	shared  sync.Map
	latest  atomic.Pointer[tensors.Tensor]
	boxed   atomic.Value
	step    func()
	queue   chan *tensors.Tensor
	Exec    *graph.Exec
	device  compute.Backend
}

// TestMove follows values everywhere that reflection gets, and takes nothing twice.
func TestMove(t *testing.T) {
	switching(t, pureGo)
	old := use(t, pureGo)
	n := float32(0)
	next := func() *tensors.Tensor { n++; return on(old, n) }
	a := next()
	l := &lab{hidden: &ring{value: next()}, Layers: []*tensors.Tensor{a, next(), nil}, ByName: map[string]any{"x": next(), "y": []any{next(), 3, "text", nil}}, Exec: squares(old), device: old}
	l.hidden.(*ring).next = l.hidden.(*ring)
	l.inPlace[1].t = next()
	l.shared.Store("k", next())
	l.latest.Store(next())
	l.boxed.Store(next())
	all := []*tensors.Tensor{a, l.hidden.(*ring).value, l.Layers[1], l.ByName["x"].(*tensors.Tensor), l.ByName["y"].([]any)[0].(*tensors.Tensor), l.inPlace[1].t, l.latest.Load(), l.boxed.Load().(*tensors.Tensor)}
	v, _ := l.shared.Load("k")
	all = append(all, v.(*tensors.Tensor))
	list := &ring{}
	for range 100_000 { // deeper than a recursion would be wise
		list = &ring{next: list}
	}
	list.value = next()
	all = append(all, list.value)
	large := make([][]float32, 1000)
	var none *lab
	var nobody any
	host := tensors.FromScalar(float32(7))

	b := use(t, there)
	mine := on(b, 5)
	m := backend.Move(b, backend.Variables{"a": &a, "l": &l, "list": &list, "large": &large, "none": &none, "nobody": &nobody, "host": &host, "mine": &mine, "device": &l.device, "old": &old})
	if want := []string{"a (1 float32)", "l (9 tensors)", "list (1 tensor)"}; !slices.Equal(m.Tensors, want) || m.Count != 10 || m.Bytes != 40 {
		t.Errorf("moved %d tensors, %d bytes: %q, want %q", m.Count, m.Bytes, m.Tensors, want)
	}
	if want := []string{"device (compute.Backend)", "l (*backend_test.lab)", "l.Exec (*graph.Exec)", "old (compute.Backend)"}; len(m.Bound) != 1 || !same(m.Bound["go"], want) {
		t.Errorf("bound are %q, want %q", m.Bound, want)
	}
	if len(m.Lost)+len(m.Unseen) > 0 {
		t.Errorf("lost %q, unseen %q", m.Lost, m.Unseen)
	}
	for _, want := range []string{"moved to the host: 10 tensors, 40 bytes: a (1 float32), l (9 tensors), list (1 tensor)\n", "still on go: ", ": make them again to compute on go:dependency_order\n"} {
		if !strings.Contains(m.String(), want) {
			t.Errorf("%q is not in\n%s", want, m)
		}
	}
	square := squares(b)
	for i, tensor := range all {
		if _, err := tensor.Backend(); err == nil {
			t.Errorf("tensor %d is still on a device", i)
		}
		x := tensors.MustCopyFlatData[float32](tensor)[0]
		if got := tensors.MustCopyFlatData[float32](square.MustExec(tensor)[0])[0]; got != x*x {
			t.Errorf("tensor %d: the square of %g is %g", i, x, got)
		}
	}
	if got, err := mine.Backend(); got != b || err != nil {
		t.Error("a tensor of the backend itself was moved")
	}
	if m := backend.Move(b, backend.Variables{"a": &a, "large": &large}); m.String() != "" {
		t.Errorf("the second time there is still something: %s", m)
	}
}

func same(got, want []string) bool {
	got = slices.Clone(got)
	slices.Sort(got)
	return slices.Equal(got, want)
}

// TestMoveLost: a tensor whose buffer was given away has no value, and one that somebody keeps locked is left.
func TestMoveLost(t *testing.T) {
	switching(t, pureGo)
	old := use(t, pureGo)
	given, locked, detached := on(old, 1), on(old, 2), tensors.FromScalar(float32(3))
	if _, err := given.DonateBuffer(old, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := detached.DonateBuffer(old, 0); err != nil { // its value is on the host, but old would still be its backend
		t.Fatal(err)
	}
	finalized, err := backend.New("go")
	if err != nil {
		t.Fatal(err)
	}
	orphan := on(finalized, 4)
	finalized.Finalize()
	inside, leave := make(chan bool), make(chan bool)
	done := make(chan error)
	go func() {
		done <- locked.ConstFlatData(func(any) { inside <- true; <-leave })
	}()
	<-inside
	b := use(t, there)
	bag := map[string][]*tensors.Tensor{"x": {locked}}
	m := backend.Move(b, backend.Variables{"given": &given, "bag": &bag, "detached": &detached, "orphan": &orphan, "nil": nil, "plain": 3})
	close(leave)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if want := []string{"given (donated or finalised before)", "orphan (its backend was finalised)"}; !slices.Equal(m.Lost, want) {
		t.Errorf("lost %q, want %q", m.Lost, want)
	}
	if want := []string{"bag[...][...] (in use by a goroutine)"}; !slices.Equal(m.Unseen, want) {
		t.Errorf("unseen %q, want %q", m.Unseen, want)
	}
	if want := []string{"detached (scalar float32)"}; !slices.Equal(m.Tensors, want) {
		t.Errorf("moved %q, want %q", m.Tensors, want)
	}
	if got := squares(b).MustExec(detached)[0].Value(); got != float32(9) {
		t.Errorf("the square of 3 is %v", got)
	}
	for _, words := range []string{"lost: given (", "not looked through: bag[...][...] ("} {
		if !strings.Contains(m.String(), words) {
			t.Errorf("%q is not in\n%s", words, m)
		}
	}
}

// learner is a small training by GoMLX's own Trainer with Adam, whose state are variables too.
func learner(t *testing.T, b compute.Backend, store *mlmodel.Store) *train.Trainer {
	t.Helper()
	return train.NewTrainer(b, store, func(scope *mlmodel.Scope, x *graph.Node) *graph.Node {
		w := scope.VariableWithValue("w", []float32{0.5, -0.5}).NodeValue(x.Graph())
		return graph.ReduceSum(graph.Mul(x, graph.ExpandAxes(w, 0)), -1)
	}, loss.MeanSquaredError, optimizer.Adam().LearningRate(0.05).Done(), nil, nil)
}

func learn(t *testing.T, trainer *train.Trainer, steps int) (losses []float64) {
	t.Helper()
	for range steps {
		x := tensors.FromValue([][]float32{{1, 0}, {0, 1}, {1, 1}})
		y := tensors.FromValue([]float32{2, 1, 3})
		metrics, err := trainer.TrainStep(train.Batch{Inputs: []*tensors.Tensor{x}, Labels: []*tensors.Tensor{y}})
		if err != nil {
			t.Fatal(err)
		}
		losses = append(losses, float64(metrics[0].Value().(float32)))
	}
	return losses
}

// trainAcross trains on one backend, goes on with the same store on another, and comes back: the losses are those of one training that never switched, and what was compiled for
// the first backend works again.
func trainAcross(t *testing.T, from, to string) {
	b := use(t, from)
	want := learn(t, learner(t, b, mlmodel.NewStore()), 15)

	store := mlmodel.NewStore()
	first := learner(t, b, store)
	got := learn(t, first, 5)
	weights := mlmodel.MustNewExec(b, store, func(scope *mlmodel.Scope, g *graph.Graph) *graph.Node {
		return scope.Store().GetVariable("/w").NodeValue(g)
	})
	before := weights.MustExec()[0].String()
	other := use(t, to)
	m := backend.Move(other, backend.Variables{"store": &store, "first": &first})
	if m.Count != store.NumVariables() || len(m.Lost)+len(m.Unseen) > 0 {
		t.Errorf("moved %d of %d variables: %+v", m.Count, store.NumVariables(), m)
	}
	if !slices.Equal(m.Bound["go"], []string{"first (*train.Trainer)"}) {
		t.Errorf("bound are %q", m.Bound)
	}
	second := learner(t, other, store)
	got = append(got, learn(t, second, 5)...)
	if use(t, from) != b {
		t.Fatal("another backend than before")
	}
	backend.Move(b, backend.Variables{"store": &store})
	if after := weights.MustExec()[0].String(); after == before || weights.Store() != store {
		t.Errorf("the weights that the first backend reads are %s, as before", after)
	}
	got = append(got, learn(t, learner(t, b, store), 5)...) // GoMLX: a store has one Trainer at a time
	for i := range want {
		if math.Abs(got[i]-want[i]) > 1e-5*want[i] {
			t.Errorf("step %d: loss %g, without a switch %g", i, got[i], want[i])
		}
	}
	if !(want[14] < want[0]) {
		t.Errorf("nothing was learned: %v", want)
	}
}

func TestTrainAcross(t *testing.T) {
	switching(t, pureGo)
	trainAcross(t, pureGo, there)
}

// TestTrainAcrossXLA is the same with XLA, whose client is made once however it is asked for.
func TestTrainAcrossXLA(t *testing.T) {
	var plugin *backend.Plugin
	for _, p := range backend.Plugins() {
		if p.Err == nil {
			plugin = &p
			break
		}
	}
	if plugin == nil {
		t.Skip("no plugin for XLA is installed here: PJRT_PLUGIN_LIBRARY_PATH names the folder of one")
	}
	switching(t, pureGo)
	client := use(t, "xla:"+plugin.Name)
	if label := backend.Label(backend.Choice().Name); label != "xla:"+plugin.Name {
		t.Errorf("in short it is %q", label)
	}
	trainAcross(t, pureGo, "xla:"+plugin.Name)
	for _, config := range []string{"xla:" + plugin.Path, "xla:" + plugin.Name, "xla", "XLA:" + plugin.Name, backend.Choice().Name} {
		if strings.HasPrefix(config, "go") {
			continue
		}
		use(t, pureGo)
		if use(t, config) != client {
			t.Errorf("%s started another client", config)
		}
	}
	if !client.IsFinalized() {
		checkSoftmax(t, softmax(client))
	}
}

// TestCommand: the kernel's answer, without a goroutine in the way.
func TestCommand(t *testing.T) {
	switching(t, pureGo)
	t.Setenv("PJRT_PLUGIN_LIBRARY_PATH", t.TempDir())
	old := use(t, pureGo)
	w := on(old, 1, 2)
	ask := func(config string) map[string]any {
		var a map[string]any
		if err := json.Unmarshal([]byte(backend.Command(config, backend.Variables{"w": &w})), &a); err != nil {
			t.Fatal(err)
		}
		return a
	}
	a := ask("")
	if text := a["text"].(string); !strings.Contains(text, "backend: go\n") || !strings.Contains(text, "why:     it was asked for: go\n") || a["label"] != "go" {
		t.Errorf("%v", a)
	}
	if got, _ := json.Marshal(a["choices"]); string(got) != `["go","auto"]` {
		t.Errorf("choices %s", got)
	}
	a = ask(there)
	if text := a["text"].(string); !strings.Contains(text, "moved to the host: 1 tensor, 8 bytes: w (2 float32)\n") || a["name"] != "go:ops_sequential,dependency_order" || a["error"] != nil {
		t.Errorf("%v", a)
	}
	a = ask("tpu")
	if a["label"] != there || a["text"] != nil || !strings.HasPrefix(a["error"].(string), "unknown backend \"tpu\"") {
		t.Errorf("%v", a)
	}
}
