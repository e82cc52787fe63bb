package experiment_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/pkg/errors"

	"github.com/gradbook/gradbook/pkg/experiment"
)

// setting is what the tests vary.
type setting struct {
	Name  string `json:"name"`
	Depth int    `json:"depth"`
}

var settings = []setting{{"tanh", 2}, {"tanh", 4}, {"relu", 2}, {"relu", 4}}

// outcome is what a run of a setting and a seed returns: it depends on nothing else.
func outcome(s setting, seed uint64) experiment.Values {
	return experiment.Values{"score": float64(s.Depth*10+len(s.Name)) + 1/float64(seed), "trace": []float64{float64(seed), math.NaN(), math.Inf(1)}}
}

func grid(folder string) experiment.Grid[setting] {
	return experiment.Grid[setting]{Name: "test", Settings: settings, Seeds: experiment.Seeds(3), Version: "1", Fixed: map[string]int{"steps": 10}, Folder: folder, Quiet: true}
}

// counted runs a grid and counts the runs that are really done.
func counted(g experiment.Grid[setting]) (*experiment.Results[setting], int, error) {
	var n atomic.Int32
	r, err := g.Run(context.Background(), func(_ context.Context, s setting, seed uint64) (experiment.Values, error) {
		n.Add(1)
		return outcome(s, seed), nil
	})
	return r, int(n.Load()), err
}

// checkComplete wants all runs, in order, with the right values.
func checkComplete(t *testing.T, g experiment.Grid[setting], r *experiment.Results[setting]) {
	t.Helper()
	if len(r.Runs) != len(g.Settings)*len(g.Seeds) {
		t.Fatalf("%d results", len(r.Runs))
	}
	for i, run := range r.Runs {
		s, seed := g.Settings[i/len(g.Seeds)], g.Seeds[i%len(g.Seeds)]
		want := outcome(s, seed)
		if run.Setting != s || run.Seed != seed || run.Values["score"] != want["score"] {
			t.Errorf("result %d is %+v, want %v of %v with seed %d", i, run, want, s, seed)
		}
		if trace := run.Series["trace"]; len(trace) != 3 || trace[0] != float64(seed) || !math.IsNaN(trace[1]) || !math.IsInf(trace[2], 1) {
			t.Errorf("result %d has trace %v", i, trace)
		}
	}
}

func TestGrid(t *testing.T) {
	g := grid(t.TempDir())
	r, n, err := counted(g)
	if err != nil || n != 12 {
		t.Fatalf("%d runs, error %v", n, err)
	}
	checkComplete(t, g, r)
	before, _ := os.ReadFile(g.Path())

	r, n, err = counted(g) // again: from disk
	if err != nil || n != 0 {
		t.Fatalf("the second time: %d runs, error %v", n, err)
	}
	checkComplete(t, g, r)
	if after, _ := os.ReadFile(g.Path()); string(after) != string(before) {
		t.Error("reading a finished grid changed its file")
	}
	if r, err = g.Load(); err != nil {
		t.Fatal(err)
	}
	checkComplete(t, g, r)

	more := g // grows: only what is new is run
	more.Seeds = []uint64{7, 1, 2, 3}
	more.Settings = append([]setting{{"gelu", 9}}, settings...)
	if r, n, err = counted(more); err != nil || n != 8 {
		t.Fatalf("with one more seed and setting: %d runs, error %v", n, err)
	}
	checkComplete(t, more, r)

	fewer := more // a seed less is a part of the results
	fewer.Seeds = []uint64{2}
	if r, n, err = counted(fewer); err != nil || n != 0 {
		t.Fatalf("with fewer seeds: %d runs, error %v", n, err)
	}
	checkComplete(t, fewer, r)
}

func TestGridDeterministic(t *testing.T) {
	var first *experiment.Results[setting]
	for _, workers := range []int{1, 3, 12, 0} {
		g := grid(t.TempDir())
		g.Workers = workers
		var busy, most atomic.Int32
		r, err := g.Run(nil, func(_ context.Context, s setting, seed uint64) (experiment.Values, error) {
			now := busy.Add(1)
			defer busy.Add(-1)
			for old := most.Load(); now > old && !most.CompareAndSwap(old, now); old = most.Load() {
			}
			time.Sleep(time.Duration((uint64(s.Depth)*seed*7)%5) * time.Millisecond) // they end in another order than they begin
			return outcome(s, seed), nil
		})
		if err != nil {
			t.Fatal(err)
		}
		checkComplete(t, g, r)
		if limit := int32(max(workers, 1)); workers > 0 && most.Load() > limit {
			t.Errorf("%d workers: %d runs at a time", workers, most.Load())
		}
		for i := range r.Runs {
			r.Runs[i].Seconds = 0
		}
		if first == nil {
			first = r
		} else if r.String() != first.String() {
			t.Errorf("%d workers: results\n%v\nwith one:\n%v", workers, r, first)
		}
	}
}

// TestMain lets the test program be a program that is killed, or that holds a file.
func TestMain(m *testing.M) {
	if folder := os.Getenv("EXPERIMENT_TEST_FOLDER"); folder != "" {
		g := grid(folder)
		g.Workers = 2
		_, err := g.Run(context.Background(), func(_ context.Context, s setting, seed uint64) (experiment.Values, error) {
			fmt.Println("run", s, seed)
			time.Sleep(60 * time.Millisecond)
			return outcome(s, seed), nil
		})
		fmt.Println("end", err)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// program starts the test program on a folder; lines are what it prints.
func program(t *testing.T, folder string) (cmd *exec.Cmd, lines *bufio.Scanner) {
	t.Helper()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "EXPERIMENT_TEST_FOLDER="+folder)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd, bufio.NewScanner(out)
}

func TestKillAndResume(t *testing.T) {
	g := grid(t.TempDir())
	cmd, lines := program(t, g.Folder)
	for begun := 0; begun < 7 && lines.Scan(); begun++ { // five are done by then, with two at a time
	}
	cmd.Process.Kill()
	cmd.Wait()
	killed, err := g.Load()
	if err != nil {
		t.Fatal(err)
	}
	finished := len(killed.Runs)
	if finished < 5 || finished > 7 {
		t.Fatalf("%d results after the kill", finished)
	}

	var mu sync.Mutex
	ran := map[string]bool{}
	r, err := g.Run(context.Background(), func(_ context.Context, s setting, seed uint64) (experiment.Values, error) {
		mu.Lock()
		defer mu.Unlock()
		ran[fmt.Sprint(s, seed)] = true
		return outcome(s, seed), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	checkComplete(t, g, r)
	if len(ran) != 12-finished {
		t.Errorf("%d runs were left, %d were done", 12-finished, len(ran))
	}
	for _, run := range killed.Runs {
		if ran[fmt.Sprint(run.Setting, run.Seed)] {
			t.Errorf("the run of %v with seed %d was repeated", run.Setting, run.Seed)
		}
	}
}

func TestTwoPrograms(t *testing.T) {
	g := grid(t.TempDir())
	cmd, lines := program(t, g.Folder)
	lines.Scan() // it is at work, and so has the file
	_, n, err := counted(g)
	if err == nil || n != 0 || !strings.Contains(err.Error(), g.Path()+" is being written by another program") {
		t.Errorf("a second program: %d runs, error %v", n, err)
	}
	if _, err := g.Load(); err != nil {
		t.Errorf("reading meanwhile: %v", err)
	}
	for lines.Scan() {
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	r, n, err := counted(g)
	if err != nil || n != 0 {
		t.Fatalf("when it is done: %d runs, error %v", n, err)
	}
	checkComplete(t, g, r)
}

func TestHalfLine(t *testing.T) {
	g := grid(t.TempDir())
	if _, _, err := counted(g); err != nil {
		t.Fatal(err)
	}
	whole, _ := os.ReadFile(g.Path())
	last := strings.LastIndex(strings.TrimSpace(string(whole)), "\n") + 1
	header := strings.Index(string(whole), "\n") + 1
	for _, c := range []struct{ bytes, runs int }{{len(whole) - 1, 1}, {last + 1, 1}, {last, 1}, {last - 3, 2}, {header, 12}, {header - 5, 12}, {0, 12}} {
		os.WriteFile(g.Path(), whole[:c.bytes], 0o644)
		r, n, err := counted(g)
		if err != nil || n != c.runs {
			t.Errorf("cut after %d of %d bytes: %d runs, error %v; want %d", c.bytes, len(whole), n, err, c.runs)
			continue
		}
		checkComplete(t, g, r)
	}
}

func TestRefused(t *testing.T) {
	g := grid(t.TempDir())
	g.Workers = 1 // the lines are in order
	if _, _, err := counted(g); err != nil {
		t.Fatal(err)
	}
	whole, _ := os.ReadFile(g.Path())
	lines := strings.SplitAfter(string(whole), "\n")
	edit := func(from, to string) string { return strings.Replace(string(whole), from, to, 1) }
	for _, c := range []struct {
		name   string
		file   string
		change func(g *experiment.Grid[setting])
		want   []string
	}{
		{"other version", "", func(g *experiment.Grid[setting]) { g.Version = "2" }, []string{g.Path(), `Version is "1" in the file and "2" in the grid`, "Name or Folder", "move the file away"}},
		{"other fixed", "", func(g *experiment.Grid[setting]) { g.Fixed = map[string]int{"steps": 20} }, []string{`Fixed is {"steps":10} in the file and {"steps":20} in the grid`}},
		{"both", "", func(g *experiment.Grid[setting]) { g.Version, g.Fixed = "", nil }, []string{`Version is "1" in the file and "" in the grid; Fixed is {"steps":10} in the file and null in the grid`}},
		{"other settings", "", func(g *experiment.Grid[setting]) { g.Settings = []setting{{"tanh", 2}, {"tanh", 4}, {"relu", 2}} }, []string{`a setting that this grid does not have: {"name":"relu","depth":4}`, "add the setting"}},
		{"damaged line", edit(`"score":`, `"scorf":`), nil, []string{"line 2", "damaged", "checksum", "remove the line"}},
		{"a digit changed", edit(`"seed":1`, `"seed":9`), nil, []string{"line 2", "damaged", "checksum"}},
		{"damaged header", edit(`"version":"1"`, `"version":"2"`), nil, []string{"first line", "damaged"}},
		{"other format", edit(`"gradbook_experiment":1`, `"gradbook_experiment":2`), nil, []string{"format 2", "format 1"}},
		{"a line twice", string(whole) + lines[3], nil, []string{"line 14", "second result", "seed"}},
		{"a short line", string(whole) + "{}\n", nil, []string{"line 14", "too short"}},
		{"another file", "epoch,loss\n1,2\n", nil, []string{"not a results file", "epoch,loss"}},
		{"another JSON", "{\"a\":1}\n", nil, []string{"not a results file", `{\"a\":1}`}},
	} {
		file := c.file
		if file == "" {
			file = string(whole)
		}
		os.WriteFile(g.Path(), []byte(file), 0o644)
		changed := g
		if c.change != nil {
			c.change(&changed)
		}
		_, n, err := counted(changed)
		for _, part := range c.want {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%s: error %v does not say %q", c.name, err, part)
			}
		}
		if after, _ := os.ReadFile(g.Path()); n != 0 || string(after) != file {
			t.Errorf("%s: %d runs, and the file is changed: %v", c.name, n, string(after) != file)
		}
	}
}

func TestBadGrid(t *testing.T) {
	folder := t.TempDir()
	for name, c := range map[string]struct {
		change func(g *experiment.Grid[setting])
		want   []string
	}{
		"no name":        {func(g *experiment.Grid[setting]) { g.Name = "" }, []string{`name ""`, "must have a Name"}},
		"a path":         {func(g *experiment.Grid[setting]) { g.Name = "a/b" }, []string{`"a/b"`, "Folder"}},
		"no settings":    {func(g *experiment.Grid[setting]) { g.Settings = nil }, []string{"0 settings and 3 seeds", "at least one"}},
		"no seeds":       {func(g *experiment.Grid[setting]) { g.Seeds = experiment.Seeds(0) }, []string{"4 settings and 0 seeds"}},
		"equal settings": {func(g *experiment.Grid[setting]) { g.Settings = []setting{{"a", 1}, {"b", 1}, {"a", 1}} }, []string{"settings 0 and 2", `{"name":"a","depth":1}`}},
		"equal seeds":    {func(g *experiment.Grid[setting]) { g.Seeds = []uint64{4, 4} }, []string{"seed 4 is given twice"}},
		"fixed":          {func(g *experiment.Grid[setting]) { g.Fixed = func() {} }, []string{"Fixed (func())", "JSON"}},
	} {
		g := grid(folder)
		c.change(&g)
		_, n, err := counted(g)
		for _, part := range c.want {
			if err == nil || n != 0 || !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %d runs, error %v does not say %q", name, n, err, part)
			}
		}
	}
	if files, _ := os.ReadDir(folder); len(files) != 0 {
		t.Errorf("files were made: %v", files)
	}
}

func TestFailures(t *testing.T) {
	for name, c := range map[string]struct {
		fail func() (experiment.Values, error)
		want string
	}{
		"error":   {func() (experiment.Values, error) { return nil, errors.New("no memory") }, "no memory"},
		"panic":   {func() (experiment.Values, error) { panic("shapes differ") }, "panic: shapes differ"},
		"goexit":  {func() (experiment.Values, error) { runtime.Goexit(); return nil, nil }, "ended from within"},
		"a text":  {func() (experiment.Values, error) { return experiment.Values{"a": "high"}, nil }, `value "a" is a string: allowed are numbers`},
		"a slice": {func() (experiment.Values, error) { return experiment.Values{"a": []string{"x"}}, nil }, `value "a" is a []string`},
		"nothing": {func() (experiment.Values, error) { return experiment.Values{"a": nil}, nil }, `value "a" is a <nil>`},
	} {
		g := grid(t.TempDir())
		g.Workers = 1
		n := 0
		r, err := g.Run(context.Background(), func(_ context.Context, s setting, seed uint64) (experiment.Values, error) {
			if n++; n == 6 {
				return c.fail()
			}
			return outcome(s, seed), nil
		})
		// Seed by seed: the sixth run is the second setting's with the second seed.
		for _, part := range []string{c.want, `{"name":"tanh","depth":4} with seed 2`, g.Path()} {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%s: error %v does not say %q", name, err, part)
			}
		}
		if n > 7 || len(r.Runs) != n-1 && len(r.Runs) != 5 {
			t.Errorf("%s: %d runs begun, %d results", name, n, len(r.Runs))
		}
		r, again, err := counted(g)
		if err != nil || again != 7 {
			t.Errorf("%s: then %d runs, error %v", name, again, err)
			continue
		}
		checkComplete(t, g, r)
	}
}

func TestCancelled(t *testing.T) {
	for name, stop := range map[string]func(cancel func()){
		"context":   func(cancel func()) { cancel() },
		"interrupt": func(func()) { syscall.Kill(syscall.Getpid(), syscall.SIGINT) },
	} {
		g := grid(t.TempDir())
		g.Workers = 1
		ctx, cancel := context.WithCancel(context.Background())
		n := 0
		r, err := g.Run(ctx, func(ctx context.Context, s setting, seed uint64) (experiment.Values, error) {
			if n++; n == 4 {
				stop(cancel)
				<-ctx.Done() // as Fit does, it returns half of what it was to do
				return experiment.Values{"score": -1}, nil
			}
			return outcome(s, seed), nil
		})
		cancel()
		if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "3 of 12 runs are done and kept in "+g.Path()) || len(r.Runs) != 3 {
			t.Errorf("%s: %d results, error %v", name, len(r.Runs), err)
		}
		r, again, err := counted(g)
		if err != nil || again != 9 {
			t.Fatalf("%s: then %d runs, error %v", name, again, err)
		}
		checkComplete(t, g, r)
	}
}

func TestValues(t *testing.T) {
	type celsius float32
	g := experiment.Grid[int]{Name: "values", Settings: []int{3}, Seeds: []uint64{1}, Folder: t.TempDir(), Quiet: true}
	third := 1.0 / 3
	r, err := g.Run(context.Background(), func(context.Context, int, uint64) (experiment.Values, error) {
		return experiment.Values{"float": third, "tiny": 5e-324, "int": -7, "uint": uint8(9), "true": true, "false": false, "named": celsius(1.5),
			"nan": math.NaN(), "low": math.Inf(-1), "ints": []int{1, 2}, "singles": []float32{0.5}, "none": []float64{}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	read, err := g.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, run := range []experiment.Run[int]{r.Runs[0], read.Runs[0]} { // the same, fresh and from disk
		v := run.Values
		if v["float"] != third || v["tiny"] != 5e-324 || v["int"] != -7 || v["uint"] != 9 || v["true"] != 1 || v["false"] != 0 || v["named"] != 1.5 ||
			!math.IsNaN(v["nan"]) || !math.IsInf(v["low"], -1) || len(v) != 9 {
			t.Errorf("values %v", v)
		}
		if want := map[string][]float64{"ints": {1, 2}, "singles": {0.5}, "none": {}}; !reflect.DeepEqual(run.Series, want) {
			t.Errorf("series %v", run.Series)
		}
	}
}

func TestProgress(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	os.WriteFile(pipe, nil, 0o600)
	t.Setenv("GRADBOOK_PIPE", pipe) // what is shown goes into a file
	g := grid(t.TempDir())
	g.Quiet, g.Workers = false, 1
	_, err := g.Run(context.Background(), func(_ context.Context, s setting, seed uint64) (experiment.Values, error) {
		time.Sleep(20 * time.Millisecond)
		return outcome(s, seed), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	data, _ := os.ReadFile(pipe)
	var ops []string
	var texts []string
	for line := range strings.Lines(string(data)) {
		var m struct {
			Op      string
			ID      string
			Display map[string]string
		}
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		ops, texts = append(ops, m.Op), append(texts, m.Display["text/plain"])
		if !strings.Contains(m.Display["text/html"], texts[len(texts)-1]) {
			t.Errorf("the HTML is %q, the text %q", m.Display["text/html"], texts[len(texts)-1])
		}
	}
	if len(ops) < 2 || ops[0] != "display" || ops[1] != "update" || !strings.Contains(texts[0], "test: 0 of 12 runs") || !strings.Contains(texts[len(texts)-1], "test: 12 runs in") {
		t.Errorf("shown were %v, %q", ops, texts)
	}
}
