//go:build unix

package display_test

import (
	"bufio"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/janpfeifer/gonb/gonbui/protocol"

	"github.com/gradbook/gradbook/pkg/display"
)

// fifo makes a named pipe that is open at both ends.
func fifo(t *testing.T, name string) (path string, f *os.File) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return path, f
}

// TestKernel reads what a kernel would.
func TestKernel(t *testing.T) {
	path, f := fifo(t, "pipe")
	t.Setenv("GRADBOOK_PIPE", path)
	h := display.Show(display.MIME{"text/html": "<b>1</b>", "image/png": []byte{1, 2}, "application/json": map[string]int{"a": 1}, "text/plain": "1"})
	h.Update(display.Markdown("*2*"))
	display.Clear(true)
	display.Show()
	display.Show(display.SVG("<svg/>"), 5)
	in := bufio.NewReader(f)
	var ids []string
	for i, want := range []string{
		`{"binary":{"image/png":"AQI="},"display":{"application/json":{"a":1},"text/html":"\u003cb\u003e1\u003c/b\u003e","text/plain":"1"},"op":"display"}`,
		`{"display":{"text/markdown":"*2*","text/plain":"*2*"},"op":"update"}`,
		`{"op":"clear","wait":true}`,
		`{"display":{"text/plain":""},"op":"display"}`,
		`{"display":{"text/html":"\u003cdiv\u003e\u003csvg/\u003e\u003c/div\u003e\n\u003cdiv\u003e\u003cpre style=\"margin:0\"\u003e5\u003c/pre\u003e\u003c/div\u003e\n","text/plain":"(SVG picture), 5"},"op":"display"}`,
	} {
		line, err := in.ReadBytes('\n')
		if err != nil {
			t.Fatal(err)
		}
		var m map[string]any
		if err := json.Unmarshal(line, &m); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, fmt.Sprint(m["id"]))
		delete(m, "id")
		got, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("message %d: got %s, want %s", i, got, want)
		}
	}
	if ids[0] != ids[1] || ids[0] == ids[4] || ids[0] == "<nil>" {
		t.Errorf("ids of the displays: %v", ids)
	}
}

// childVar makes a run of the test binary a program under GoNB.
const childVar = "DISPLAY_TEST_CHILD"

// TestGonb runs a program as GoNB does, and reads what GoNB would.
func TestGonb(t *testing.T) {
	if os.Getenv(childVar) != "" {
		h := display.Show(display.VegaLite(`{"title":"loss"}`, "<svg/>"))
		h.Update("done")
		return
	}
	to, f := fifo(t, "pipe")
	back, _ := fifo(t, "back")
	cmd := exec.Command(os.Args[0], "-test.run=^TestGonb$")
	cmd.Env = append(os.Environ(), childVar+"=1", "GONB_PIPE="+to, "GONB_PIPE_BACK="+back, "GRADBOOK_PIPE=")
	if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), "loss") {
		t.Fatalf("%v: %s", err, out)
	}
	in := gob.NewDecoder(f)
	var first, second protocol.DisplayData
	if err := in.Decode(&first); err != nil {
		t.Fatal(err)
	}
	if err := in.Decode(&second); err != nil {
		t.Fatal(err)
	}
	if len(first.Data) != 2 || first.Data["image/svg+xml"] != "<svg/>" || first.Data["text/plain"] != "(chart: loss)" {
		t.Errorf("got %v", first.Data)
	}
	if second.Data["text/plain"] != "done" || second.DisplayID != first.DisplayID || first.DisplayID == "" {
		t.Errorf("got %v of %q after %q", second.Data, second.DisplayID, first.DisplayID)
	}
}

// A pipe that is not there costs the rich views, not the program.
func TestNoPipe(t *testing.T) {
	t.Setenv("GRADBOOK_PIPE", filepath.Join(t.TempDir(), "none", "pipe"))
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, errs := os.Stdout, os.Stderr
	os.Stdout, os.Stderr = w, w
	display.Show("text")
	os.Stdout, os.Stderr = out, errs
	w.Close()
	buf := make([]byte, 4096)
	n, err := r.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	if said := string(buf[:n]); !strings.HasSuffix(said, "\ntext\n") || !strings.Contains(said, "GRADBOOK_PIPE") {
		t.Errorf("said %q", said)
	}
}
