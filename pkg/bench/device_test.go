package main

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gradbook/gradbook/pkg/model"
)

// small are the smallest cases of the table, of the residual net with fewer images.
func small(t *testing.T) []netCase {
	t.Helper()
	return []netCase{mlpCase(64), resNetCase(2), lstmCase(64)}
}

// written is what a contender reads of a case.
func written(t *testing.T, c netCase) (*model.Net, []batch, float64) {
	t.Helper()
	folder := t.TempDir()
	if err := c.write(folder); err != nil {
		t.Fatal(err)
	}
	net, list, rate, err := readCase(folder)
	if err != nil {
		t.Fatal(err)
	}
	return net, list, rate
}

// TestCaseFiles: what is read is what the seed gives, and the batches are those of the hash.
func TestCaseFiles(t *testing.T) {
	for _, c := range small(t) {
		net, list, rate := written(t, c)
		want, err := c.config.New(caseSeed)
		if err != nil {
			t.Fatal(err)
		}
		if rate != c.rate || net.Config().String() != c.config.String() || !slices.Equal(net.Variables(), want.Variables()) {
			t.Errorf("%s: read %s with rate %g", c.config, net.Config(), rate)
		}
		for _, name := range want.Variables() {
			a, b := tensors.MustCopyFlatData[float32](net.Weights(name)), tensors.MustCopyFlatData[float32](want.Weights(name))
			if !slices.Equal(a, b) {
				t.Errorf("%s: %s differs", c.config, name)
			}
		}
		if len(list) != caseBatches {
			t.Fatalf("%s: %d batches", c.config, len(list))
		}
		x, labels := tensors.MustCopyFlatData[float32](list[3].x), tensors.MustCopyFlatData[int32](list[3].labels)
		if !slices.Equal(x, uniform(2003, len(x), -1, 1)) || len(labels) != c.batch || slices.Min(labels) < 0 || slices.Max(labels) >= classes {
			t.Errorf("%s: the last batch is %s with labels %v", c.config, list[3].x.Shape(), labels)
		}
	}
}

// TestLossesTell: in the steps after which losses are compared they change by far more than the tolerance, so that a wrong gradient shows.
func TestLossesTell(t *testing.T) {
	for _, c := range small(t) {
		net, list, rate := written(t, c)
		b, err := newBackend("go")
		if err != nil {
			t.Fatal(err)
		}
		do, err := compiled(b, net, list, rate, 1, net.Logits)
		if err != nil {
			t.Fatal(err)
		}
		first, err := do(1)
		if err != nil {
			t.Fatal(err)
		}
		last, err := do(lossSteps - 1) // on the first batch again
		if err != nil {
			t.Fatal(err)
		}
		if !(math.Abs(last-first) > 20*lossTolerance*first) {
			t.Errorf("%s: the loss of one batch is %g at first and %g after %d steps", c.config, first, last, lossSteps)
		}
	}
	if (lossSteps-1)%caseBatches != 0 {
		t.Errorf("step %d is not on the first of %d batches", lossSteps, caseBatches)
	}
}

// fake is a column whose contender is a shell script that answers with a loss and the time of n steps.
func fake(name, script string) column {
	return column{device: "CPU", name: name, command: func(string) []string { return []string{"sh", "-c", script} }}
}

// steady answers that a step takes so many milliseconds.
func steady(ms, loss string) string {
	return "while read n; do echo $((n * " + ms + "000000)) 1 " + loss + "; done"
}

func TestMeasureCase(t *testing.T) {
	list := []column{
		fake("slow", steady("40", "2.0")),
		fake("quick", steady("4", "2.0001")),
		fake("wrong", steady("5", "2.1")),
		fake("broken", "echo 'RuntimeError: no kernel' >&2; exit 3"),
		fake("hanging", "exec sleep 100"),
		{device: "CUDA", name: "gone", absent: "this machine has none"},
	}
	list[0].slow = true
	o := options{rounds: 3, slow: time.Second, limit: time.Minute}
	c := mlpCase(2)
	first, err := measureCase(t.Context(), c, list[:4], nil, o, t.TempDir(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{40, 4, 5, 0} {
		if got := first.cells[i].step; got != want || want != 0 && first.cells[i].first != want/1000 {
			t.Errorf("%s: %g ms a step and %g s at first, want %g ms", list[i], got, first.cells[i].first, want)
		}
	}
	if why := first.cells[3].why; why != "failed: RuntimeError: no kernel" {
		t.Errorf("the broken one: %q", why)
	}
	if err := verdict(list[:4], []row{first}); err == nil || !strings.Contains(err.Error(), "the losses differ: CPU: slow 2, CPU: quick 2.0001, CPU: wrong 2.1") ||
		!strings.Contains(err.Error(), "CPU: broken failed: RuntimeError: no kernel") {
		t.Errorf("verdict %v", err)
	}
	if err := verdict(list[:2], []row{{c, first.cells[:2]}}); err != nil {
		t.Errorf("verdict on two that agree: %v", err)
	}
	larger := c
	larger.work = 30 * c.work // 1200 ms a step
	second, err := measureCase(t.Context(), larger, list, &first, o, t.TempDir(), 3*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if !second.cells[0].left || second.cells[1].step != 4 || !strings.Contains(second.cells[4].why, "-limit") {
		t.Errorf("cells %+v", second.cells)
	}
	if text := deviceTables(list, []row{second}, ""); strings.Contains(text, "Memory") {
		t.Errorf("memory that was not read:\n%s", text)
	}
	second.cells[5].memory = 912
	text := deviceTables(list, []row{second}, "the note\n")
	for _, want := range []string{"| w = 2 | left out | 4 | 5 | - | - | - | **differs**: CPU: quick 2.0001, CPU: wrong 2.1 |",
		"w = 2, CPU: hanging: not measured, as the time for its row was up (-limit).", "\nMemory of the GPU that the process took, in MiB:\n\n| net | size | CUDA: gone |\n|---|---|---:|\n| MLP 784-w x 10-10, batch 256 | w = 2 | 912 |\n", "\nthe note\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if text := (row{c, first.cells[:2]}).agreement(list); text != "2, all 2 agree" {
		t.Errorf("agreement: %q", text)
	}
}

func TestNotMeasured(t *testing.T) {
	p := askPython(t.Context(), "/nowhere/python")
	list, err := columns(options{python: "/nowhere/python", folder: "pkg"}, p)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 7 || list[0].absent != "" {
		t.Fatalf("columns %+v", list)
	}
	text := notMeasured(list)
	if !strings.Contains(text, "CPU: JAX was not measured: /nowhere/python does not run") {
		t.Errorf("%s", text)
	}
	if !hasGPU() && strings.Count(text, "CUDA") != 1 {
		t.Errorf("without a GPU, want one sentence on CUDA: %s", text)
	}
	for _, o := range []options{{nets: "mlp,cnn"}, {nets: ""}} {
		if _, err := o.cases(); err == nil || !strings.Contains(err.Error(), "allowed are mlp, resnet and lstm") {
			t.Errorf("nets %q: %v", o.nets, err)
		}
	}
	quick, err := options{nets: "lstm, mlp", quick: true}.cases()
	if err != nil || len(quick) != 2 || quick[0].size != "hidden 64" || quick[1].size != "w = 64" {
		t.Errorf("quick: %+v, %v", quick, err)
	}
}
