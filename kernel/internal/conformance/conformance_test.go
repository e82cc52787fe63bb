package conformance_test

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gradbook/gradbook/kernel/internal/conformance"
)

var (
	all    = flag.Bool("conformance.all", false, "run every program, not just the sample")
	only   = flag.String("conformance.only", "", "run just the programs whose paths contain this")
	report = flag.String("conformance.report", "", "file for one JSON line about each program that differs")
)

// share is how much of what counts must do the same in a cell.
const share = 0.98

// sample is what runs without -conformance.all: for each thing that a cell could
// break, a program that would show it.
var sample = strings.Fields(`
	abi/convF_criteria.go abi/defer_recover_results.go abi/f_ret_z_not.go abi/method_wrapper.go reflectmethod1.go
	chan/doubleselect.go chan/fifo.go chan/select3.go chan/sieve1.go
	closure.go const.go convert.go copy.go deferfin.go escape.go gc.go goprint.go helloworld.go
	initialize.go interface/embed.go interface/fake.go interface/receiver.go ken/divmod.go ken/embed.go ken/interfun.go
	map.go maplinear.go method.go method5.go peano.go print.go range.go recover.go recover2.go recover4.go
	rename.go stack.go stackobj.go string_lit.go struct0.go switch.go typeswitch.go
	typeparam/absdiff.go typeparam/adder.go typeparam/chans.go typeparam/dictionaryCapture.go typeparam/list.go
	typeparam/nested.go typeparam/orderedmap.go typeparam/typeswitch2.go zerodivide.go
	fixedbugs/issue4620.go fixedbugs/issue9110.go`)

// TestPrograms runs programs as cells and compares with what they do under the go command.
func TestPrograms(t *testing.T) {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(strings.TrimSpace(string(out)), "test")
	programs, err := conformance.Programs(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(programs) < 900 {
		t.Fatalf("%d programs under %s, want about 1,000: is it a whole distribution of Go?", len(programs), root)
	}
	list, err := os.ReadFile("exceptions.txt")
	if err != nil {
		t.Fatal(err)
	}
	exceptions, err := conformance.Exceptions(list)
	if err != nil {
		t.Fatal("exceptions.txt: ", err)
	}
	for path := range exceptions {
		if _, err := os.Stat(filepath.Join(root, path)); err != nil {
			t.Errorf("exceptions.txt lists %s: %v", path, err)
		}
	}
	refs, err := conformance.OpenReferences(root)
	if err != nil {
		t.Fatal(err)
	}
	defer refs.Close()
	c := &comparison{root: root, refs: refs, exceptions: exceptions}
	c.openReport(t)
	t.Run("program", func(t *testing.T) { // ends when all its parallel parts have
		for _, path := range choose(t, programs) {
			t.Run(path, func(t *testing.T) {
				t.Parallel()
				c.compare(t, path)
			})
		}
	})
	counted, same := c.counted.Load(), c.same.Load()
	t.Logf("%d programs count, %d do the same as a cell", counted, same)
	if counted == 0 {
		t.Error("no program counts: -conformance.only matches none, or the go command runs none")
	}
	if *only == "" && float64(same) < share*float64(counted) {
		t.Errorf("%d of %d programs do the same as a cell, want %v%%", same, counted, 100*share)
	}
}

// choose picks the programs to run according to the flags.
func choose(t *testing.T, programs []string) []string {
	if *all {
		return programs
	}
	if *only == "" {
		for _, path := range sample {
			if !slices.Contains(programs, path) {
				t.Errorf("the sample names %s, which is none of the programs", path)
			}
		}
		return sample
	}
	var chosen []string
	for _, path := range programs {
		if strings.Contains(path, *only) {
			chosen = append(chosen, path)
		}
	}
	return chosen
}

// comparison is what the parallel parts share.
type comparison struct {
	root          string
	refs          *conformance.References
	exceptions    map[string]string
	counted, same atomic.Int64

	mu     sync.Mutex // guards report
	report *os.File   // nil without -conformance.report
}

func (c *comparison) openReport(t *testing.T) {
	if *report == "" {
		return
	}
	f, err := os.Create(*report)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	c.report = f
}

// compare runs one program as a cell.
func (c *comparison) compare(t *testing.T, path string) {
	want, counts, err := c.refs.Of(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	reason, listed := c.exceptions[path]
	if !counts {
		if listed {
			t.Errorf("exceptions.txt lists it, but it does not pass under the go command either: remove it")
		}
		return
	}
	c.counted.Add(1)
	got, err := conformance.RunCell(t.Context(), c.root, filepath.Join(c.root, path))
	if err != nil {
		t.Fatal(err)
	}
	difference := conformance.Difference(want, got)
	if difference == "" {
		c.same.Add(1)
		if listed {
			t.Errorf("exceptions.txt lists it (%s), but it does the same as a cell: remove it", reason)
		}
		return
	}
	c.note(t, path, difference)
	if !listed {
		t.Errorf("as a cell: %s", difference)
	}
}

func (c *comparison) note(t *testing.T, path, difference string) {
	if c.report == nil {
		return
	}
	line, err := json.Marshal(struct{ Path, Difference string }{path, difference})
	if err != nil {
		t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := c.report.Write(append(line, '\n')); err != nil {
		t.Error(err)
	}
}

func TestDifference(t *testing.T) {
	base := conformance.Outcome{Stdout: "a\nb\n", Stderr: "e\n"}
	for _, c := range []struct {
		name string
		got  conformance.Outcome
		want string
	}{
		{"same", base, ""},
		{"status", conformance.Outcome{Stdout: "a\nb\n", Stderr: "e\n", Status: 2}, "exit status 2, want 0"},
		{"output", conformance.Outcome{Stdout: "a\nc\n", Stderr: "e\n"}, `standard output: line 2 is "c\n", want "b\n"`},
		{"short", conformance.Outcome{Stdout: "a\n", Stderr: "e\n"}, `standard output: line 2 is "", want "b\n"`},
		{"error", conformance.Outcome{Stdout: "a\nb\n"}, `standard error: line 1 is "", want "e\n"`},
		{"problem", conformance.Outcome{Stdout: "a\nb\n", Stderr: "e\n", Problem: "hangs"}, "hangs"},
	} {
		if got := conformance.Difference(base, c.got); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestExceptions(t *testing.T) {
	got, err := conformance.Exceptions([]byte("# why\n\na.go  its cause\nb/c.go another\n"))
	if err != nil || len(got) != 2 || got["a.go"] != "its cause" || got["b/c.go"] != "another" {
		t.Errorf("got %v, %v", got, err)
	}
	for list, want := range map[string]string{
		"a.go":               `a.go has the reason ""`,
		"a.go unknown":       `a.go has the reason "unknown"`,
		"a.go Unknown cause": `a.go has the reason "Unknown cause"`,
		"a.go x\na.go y":     "line 2: a.go is listed twice",
	} {
		if _, err := conformance.Exceptions([]byte(list)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q gives %v, want %q", list, err, want)
		}
	}
}
