package gradflow_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
	mlmodel "github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/optimizer"
	"github.com/gradbook/gradbook/pkg/activation"
	"github.com/gradbook/gradbook/pkg/gradflow"
	"github.com/gradbook/gradbook/pkg/initializer"
)

// batches is a dataset whose batch number i is drawn from seed i, of two sizes in turn if uneven.
type batches struct {
	net    mlp
	uneven bool
}

func (batches) Name() string { return "batches" }

func (d batches) Iter() iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		for i := uint64(0); ; i++ {
			size := 16
			if d.uneven && i%2 == 1 {
				size = 8
			}
			x, y := d.net.batch(i, size)
			if !yield(train.Batch{Inputs: []*tensors.Tensor{x}, Labels: []*tensors.Tensor{y}}, nil) {
				return
			}
		}
	}
}

func small() mlp {
	return mlp{sizes: []int{6, 8, 8, 3}, act: activation.Tanh, weights: initializer.GlorotNormal(1), dtype: dtypes.Float32}
}

func sgd(rate float64) optimizer.Interface {
	return optimizer.StochasticGradientDescent().WithLearningRate(rate).WithDecay(false).Done()
}

// runLoop trains for some steps with a recorder and returns the store.
func runLoop(t *testing.T, n mlp, opt optimizer.Interface, options gradflow.RecorderOptions, steps int, wrap, uneven bool) (*gradflow.Recorder, *mlmodel.Store, error) {
	t.Helper()
	recorder, err := gradflow.NewRecorder(opt, options)
	must(t, err)
	store := n.store(t, 1)
	trainer := train.NewTrainer(theBackend(), store, n.logits, crossEntropy, recorder.Optimizer(), nil, nil)
	loop := train.NewLoop(trainer)
	recorder.Attach(loop)
	var ds train.Dataset = batches{n, uneven}
	if wrap {
		ds = recorder.Dataset(ds)
	}
	_, err = loop.RunSteps(ds, steps)
	return recorder, store, err
}

// A recorded run leaves the weights that a plain run leaves, and each record is what a Meter finds when it looks at the same weights and batch.
func TestRecorderRecordsWhatAMeterMeasures(t *testing.T) {
	n := small()
	for _, opt := range []struct {
		name string
		make func() optimizer.Interface
	}{{"SGD", func() optimizer.Interface { return sgd(0.3) }}, {"Adam", func() optimizer.Interface { return optimizer.Adam().LearningRate(0.01).Done() }},
		{"RMSProp", func() optimizer.Interface { return optimizer.RMSProp().LearningRate(0.01).Done() }}} {
		t.Run(opt.name, func(t *testing.T) {
			const steps = 7
			bins := gradflow.Bins{Count: 4, Low: -2, High: 2}
			recorder, recordedStore, err := runLoop(t, n, opt.make(), gradflow.RecorderOptions{Keep: 3, Histogram: bins}, steps, true, true)
			must(t, err)
			reports, err := recorder.Reports()
			must(t, err)
			if len(reports) != steps || recorder.Lost() != 0 {
				t.Fatalf("%d reports, %d lost; want %d and 0", len(reports), recorder.Lost(), steps)
			}
			store := n.store(t, 1)
			meter, err := gradflow.NewMeter(theBackend(), store, n.logits, crossEntropy, gradflow.Options{Optimizer: opt.make(), Histogram: bins})
			must(t, err)
			trainer := train.NewTrainer(theBackend(), store, n.logits, crossEntropy, opt.make(), nil, nil)
			next, stop := iter.Pull2(batches{n, true}.Iter())
			defer stop()
			for i, recorded := range reports {
				batch, _, _ := next()
				measured, err := meter.Measure(batch.Inputs, batch.Labels)
				must(t, err)
				if recorded.Step != i+1 || measured.Step != i {
					t.Errorf("step %d is recorded as %d and measured after %d", i+1, recorded.Step, measured.Step)
				}
				measured.Step = recorded.Step
				if diff := differ(recorded, measured, 2e-5); diff != "" {
					t.Fatalf("step %d: %s", i+1, diff)
				}
				if i == 0 && !(recorded.Layer("h1").UpdateRatio > 0) {
					t.Errorf("the update ratio of h1 is %g", recorded.Layer("h1").UpdateRatio)
				}
				_, err = trainer.TrainStep(batch)
				must(t, err)
			}
			for _, path := range []string{"/h1/W", "/h2/b", "/out/W"} {
				got, want := float32s(recordedStore.GetVariable(path).MustValue()), float32s(store.GetVariable(path).MustValue())
				for i := range got {
					if math.Abs(got[i]-want[i]) > 1e-5 {
						t.Fatalf("after %d steps %s[%d] is %g with a recorder and %g without", steps, path, i, got[i], want[i])
					}
				}
			}
		})
	}
}

// differ says where two reports differ by more than a relative tolerance; "" if nowhere.
func differ(a, b any, tolerance float64) string {
	return differAt("report", reflect.ValueOf(a), reflect.ValueOf(b), tolerance)
}

func differAt(where string, a, b reflect.Value, tolerance float64) string {
	switch a.Kind() {
	case reflect.Float64:
		x, y := a.Float(), b.Float()
		if x == y || math.IsNaN(x) && math.IsNaN(y) || math.Abs(x-y) <= tolerance*(1e-3+math.Max(math.Abs(x), math.Abs(y))) {
			return ""
		}
	case reflect.Pointer:
		if a.IsNil() || b.IsNil() {
			if a.IsNil() == b.IsNil() {
				return ""
			}
			break
		}
		return differAt(where, a.Elem(), b.Elem(), tolerance)
	case reflect.Struct:
		if a.Type() == reflect.TypeFor[activation.Activation]() {
			if a.Interface() == b.Interface() {
				return ""
			}
			break
		}
		for i := range a.NumField() {
			if d := differAt(where+"."+a.Type().Field(i).Name, a.Field(i), b.Field(i), tolerance); d != "" {
				return d
			}
		}
		return ""
	case reflect.Slice:
		if a.Len() != b.Len() {
			break
		}
		for i := range a.Len() {
			if d := differAt(fmt.Sprintf("%s[%d]", where, i), a.Index(i), b.Index(i), tolerance); d != "" {
				return d
			}
		}
		return ""
	default:
		if reflect.DeepEqual(a.Interface(), b.Interface()) {
			return ""
		}
	}
	return fmt.Sprintf("%s is %v and %v", where, a, b)
}

func TestRecorderEvery(t *testing.T) {
	all, _, err := runLoop(t, small(), sgd(0.3), gradflow.RecorderOptions{}, 12, false, false)
	must(t, err)
	every, err := all.Reports()
	must(t, err)
	for _, wrap := range []bool{true, false} {
		recorder, _, err := runLoop(t, small(), sgd(0.3), gradflow.RecorderOptions{Every: 4, Keep: 2}, 12, wrap, false)
		must(t, err)
		reports, err := recorder.Reports()
		must(t, err)
		if len(reports) != 3 || recorder.Lost() != 0 {
			t.Fatalf("wrapped %t: %d reports of 12 steps with Every 4, %d lost", wrap, len(reports), recorder.Lost())
		}
		for i, r := range reports {
			if diff := differ(r, every[4*i+3], 1e-5); diff != "" {
				t.Errorf("wrapped %t, record %d: %s", wrap, i, diff)
			}
		}
	}
}

func TestRecorderLosesOnlyWhatNobodyRead(t *testing.T) {
	n := small()
	recorder, err := gradflow.NewRecorder(sgd(0.1), gradflow.RecorderOptions{Keep: 4})
	must(t, err)
	trainer := train.NewTrainer(theBackend(), n.store(t, 1), n.logits, crossEntropy, recorder.Optimizer(), nil, nil)
	for i := range uint64(10) {
		x, y := n.batch(i, 16)
		_, err := trainer.TrainStep(train.Batch{Inputs: []*tensors.Tensor{x}, Labels: []*tensors.Tensor{y}})
		must(t, err)
	}
	reports, err := recorder.Reports()
	must(t, err)
	if len(reports) != 4 || reports[0].Step != 7 || reports[3].Step != 10 || recorder.Lost() != 6 {
		t.Errorf("%d reports, the first of step %d, %d lost; want the last 4 of 10", len(reports), reports[0].Step, recorder.Lost())
	}
}

func TestRecorderAccumulatedGradients(t *testing.T) {
	n := small()
	recorder, err := gradflow.NewRecorder(sgd(0.1), gradflow.RecorderOptions{})
	must(t, err)
	trainer := train.NewTrainer(theBackend(), n.store(t, 1), n.logits, crossEntropy, recorder.Optimizer(), nil, nil)
	must(t, trainer.AccumulateGradients(2))
	for i := range uint64(4) {
		x, y := n.batch(i, 16)
		_, err := trainer.TrainStep(train.Batch{Inputs: []*tensors.Tensor{x}, Labels: []*tensors.Tensor{y}})
		must(t, err)
	}
	reports, err := recorder.Reports()
	must(t, err)
	if len(reports) != 2 || !(reports[1].Layer("h1").DeltaNorm > 0) || !(reports[1].Layer("h1").UpdateRatio > 0) {
		t.Errorf("two updates of two batches each: %d reports", len(reports))
	}
}

func TestRecorderStopsCleanly(t *testing.T) {
	n := small()
	n.act = activation.ReLU
	for _, test := range []struct {
		name string
		rate float64
		opts gradflow.RecorderOptions
		wrap bool
	}{{"every step", 1e25, gradflow.RecorderOptions{}, true}, {"every 2nd, wrapped", 1e25, gradflow.RecorderOptions{Every: 2}, true},
		{"every 100th, not wrapped", 1e25, gradflow.RecorderOptions{Every: 100}, false}} {
		t.Run(test.name, func(t *testing.T) {
			recorder, _, err := runLoop(t, n, sgd(test.rate), test.opts, 100, test.wrap, false)
			var stop *gradflow.StopError
			if !errors.As(err, &stop) || recorder.Stopped() == nil || !math.IsNaN(stop.Loss) && !math.IsInf(stop.Loss, 0) {
				t.Fatalf("the loop ended with %v, want a *StopError", err)
			}
			reports, err := recorder.Reports()
			must(t, err)
			d, err := recorder.Diagnosis()
			must(t, err)
			if !d.Has(gradflow.NotFinite) {
				t.Errorf("the diagnosis of a run that stopped at step %d says\n%s", stop.Step, d)
			}
			if last := reports[len(reports)-1]; !test.wrap && last.Step != stop.Step {
				t.Errorf("stopped at step %d, last record of step %d", stop.Step, last.Step)
			}
		})
	}
}

func TestReportsSurviveAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "run.jsonl")
	n := small()
	report := measure(t, n, 1, gradflow.Options{Histogram: gradflow.Bins{Count: 3, Low: -1, High: 1}, Pair: []int{0, 1}, SingularValues: 1, InputJacobian: 1})
	sick := measure(t, n, 1, gradflow.Options{})
	sick.Loss, sick.Layers[0].DeltaNorm, sick.Layers[1].WNorm = math.NaN(), math.Inf(1), math.Inf(-1)
	sick.Layers[2].Activation = activation.Activation{}
	must(t, gradflow.WriteFile(file, []*gradflow.Report{report, sick}))
	back, err := gradflow.ReadFile(file)
	must(t, err)
	for i, want := range []*gradflow.Report{report, sick} {
		if diff := differ(back[i], want, 0); diff != "" {
			t.Errorf("report %d read back: %s", i, diff)
		}
	}
	whole, err := os.ReadFile(file)
	must(t, err)
	if !json.Valid([]byte(strings.Split(string(whole), "\n")[2])) {
		t.Error("a line with NaN and infinities is no JSON")
	}
	for cut := range 60 {
		must(t, os.WriteFile(file, whole[:len(whole)-2-cut*7], 0o644))
		reports, err := gradflow.ReadFile(file)
		var truncated *gradflow.TruncatedError
		if !errors.As(err, &truncated) || truncated.Line != 3 || len(reports) != 1 {
			t.Fatalf("cut by %d bytes: %d reports, %v; want the first report and a *TruncatedError for line 3", 2+cut*7, len(reports), err)
		}
	}
	for _, bad := range []struct{ text, want string }{
		{"", "is no file of reports"}, {"step,loss\n1,2\n", "is no file of reports"},
		{`{"format":"gradbook gradflow reports","version":7}` + "\n", "of version 7, and this program reads version 1"},
		{strings.Replace(string(whole), `"step":0`, `"step":"x"`, 1), "line 2"},
		{strings.Replace(string(whole), `"NaN"`, `"many"`, 1), `"many" is no number`},
	} {
		must(t, os.WriteFile(file, []byte(bad.text), 0o644))
		if reports, err := gradflow.ReadFile(file); err == nil || !strings.Contains(err.Error(), bad.want) || reports != nil {
			t.Errorf("%.40q: %d reports and error %v; want it to say %q", bad.text, len(reports), err, bad.want)
		}
	}
	if _, err := gradflow.ReadFile(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a file that is not there is read")
	}
}
