package figure_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gradbook/gradbook/pkg/figure"
)

// sent is what a kernel is sent; only what the tests look at.
type sent struct {
	Op, ID  string
	Display map[string]any
}

// record runs f with a file in place of the kernel's pipe and returns what is written to it.
func record(t *testing.T, f func()) []sent {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pipe")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GRADBOOK_PIPE", path)
	synctest.Test(t, func(*testing.T) { f() })
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out []sent
	for _, l := range bytes.Split(bytes.TrimSpace(data), []byte("\n")) {
		if len(l) == 0 {
			continue
		}
		var m sent
		if err := json.Unmarshal(l, &m); err != nil {
			t.Fatal(err)
		}
		out = append(out, m)
	}
	return out
}

const vegaType = "application/vnd.vegalite.v5+json"

// TestLive: a thousand updates in a second are about ten pictures in one place; the last has all points and the chart.
func TestLive(t *testing.T) {
	got := record(t, func() {
		live := figure.Live(figure.New("loss by step", "step", "loss"))
		for i := range 1000 {
			live.Update(func(f *figure.Figure) { f.Append("train", float64(i), 1/float64(i+1)) })
			time.Sleep(time.Millisecond)
		}
		live.Done()
	})
	if len(got) < 9 || len(got) > 12 {
		t.Fatalf("%d pictures; want about 10", len(got))
	}
	for i, m := range got {
		op, chart := "update", i == len(got)-1
		if i == 0 {
			op = "display"
		}
		if m.Op != op || m.ID != got[0].ID {
			t.Errorf("message %d is %q of %q; want %q of %q", i, m.Op, m.ID, op, got[0].ID)
		}
		if _, ok := m.Display[vegaType]; ok != chart {
			t.Errorf("message %d has a chart: %v; want %v", i, ok, chart)
		}
		if s, _ := m.Display["image/svg+xml"].(string); !strings.HasPrefix(s, "<svg") {
			t.Errorf("message %d has no picture", i)
		}
	}
	if last, _ := got[len(got)-1].Display["text/plain"].(string); !strings.Contains(last, "train    1000") {
		t.Errorf("the last has not all points:\n%s", last)
	}
}

// TestLivePending: the last of some quick updates is drawn though none follows it.
func TestLivePending(t *testing.T) {
	got := record(t, func() {
		live := figure.Live(figure.New("", "", "").Line("a", []float64{1}, []float64{1}))
		for i := range 3 {
			live.Update(func(f *figure.Figure) { f.Append("a", float64(i+2), 1) })
		}
		time.Sleep(time.Second)
		synctest.Wait()
	})
	if len(got) != 2 {
		t.Fatalf("%d pictures; want the first and one update", len(got))
	}
	if s, _ := got[1].Display["text/plain"].(string); !strings.Contains(s, "a       4") {
		t.Errorf("it shows\n%s", s)
	}
}

// TestLiveErrors: an error shows at once, and stays.
func TestLiveErrors(t *testing.T) {
	got := record(t, func() {
		live := figure.Live(figure.New("T", "", ""))
		live.Update(func(f *figure.Figure) { f.Line("a", []float64{1}, nil) })
		live.Done()
		if live.Figure().Err() == nil {
			t.Error("there is no error")
		}
	})
	for i, m := range got {
		if s, _ := m.Display["image/svg+xml"].(string); !strings.Contains(s, "cannot be drawn") {
			t.Errorf("message %d: %s", i, s)
		}
	}
	if len(got) != 2 {
		t.Errorf("%d messages; want 2", len(got))
	}
}
