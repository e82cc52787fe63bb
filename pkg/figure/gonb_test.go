//go:build unix

package figure_test

import (
	"encoding/gob"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/janpfeifer/gonb/gonbui/protocol"

	"github.com/gradbook/gradbook/pkg/figure"
)

// childVar makes a run of the test binary a program under GoNB.
const childVar = "FIGURE_TEST_CHILD"

// TestLiveGonb runs a program as GoNB does, and reads what GoNB would: pictures in one place, and nothing on standard output.
func TestLiveGonb(t *testing.T) {
	if os.Getenv(childVar) != "" {
		live := figure.Live(figure.New("loss by step", "step", "loss"))
		live.Update(func(f *figure.Figure) { f.Append("train", 1, 1) })
		live.Update(func(f *figure.Figure) { f.Append("train", 2, 0.5) })
		live.Done()
		return
	}
	paths := map[string]*os.File{}
	var names []string
	for _, name := range []string{"pipe", "back"} {
		path := filepath.Join(t.TempDir(), name)
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		paths[name] = f
		names = append(names, path)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestLiveGonb$")
	cmd.Env = append(os.Environ(), childVar+"=1", "GONB_PIPE="+names[0], "GONB_PIPE_BACK="+names[1], "GRADBOOK_PIPE=")
	if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), "loss") {
		t.Fatalf("%v: %s", err, out)
	}
	in := gob.NewDecoder(paths["pipe"])
	id := ""
	for i := range 2 { // at once, and at the end
		var d protocol.DisplayData
		if err := in.Decode(&d); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			id = d.DisplayID
		}
		if s, _ := d.Data["image/svg+xml"].(string); !strings.HasPrefix(s, "<svg") || d.DisplayID != id || id == "" {
			t.Errorf("message %d in place %q: %.80q", i, d.DisplayID, s)
		}
		if s, _ := d.Data["text/plain"].(string); i == 1 && !strings.Contains(s, "train       2") {
			t.Errorf("the last is\n%s", s)
		}
	}
}
