//go:build unix

package widget_test

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// message is a line of the pipes, as the kernel reads and writes it.
type message struct {
	Op       string                     `json:"op"`
	ID       string                     `json:"id"`
	Target   string                     `json:"target,omitempty"`
	Data     map[string]any             `json:"data,omitempty"`
	Metadata map[string]any             `json:"metadata,omitempty"`
	Buffers  [][]byte                   `json:"buffers,omitempty"`
	Display  map[string]json.RawMessage `json:"display,omitempty"`
}

// front is a front end, and the kernel before it, at the other end of real pipes.
type front struct {
	t    *testing.T
	to   *os.File
	from chan message
}

// newFront connects the program to a new front end for the length of a test.
func newFront(t *testing.T) *front {
	t.Helper()
	dir := t.TempDir()
	files := map[string]*os.File{}
	for _, name := range []string{"GRADBOOK_PIPE", "GRADBOOK_PIPE_BACK"} {
		path := filepath.Join(dir, name)
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0) // for both directions, so that no open waits
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		t.Setenv(name, path)
		files[name] = f
	}
	f := &front{t: t, to: files["GRADBOOK_PIPE_BACK"], from: make(chan message, 10000)}
	go func() {
		in := bufio.NewReader(files["GRADBOOK_PIPE"])
		for {
			line, err := in.ReadBytes('\n')
			if err != nil {
				return
			}
			var m message
			if err := json.Unmarshal(line, &m); err != nil {
				t.Errorf("the program wrote %q: %v", line, err)
				return
			}
			f.from <- m
		}
	}()
	return f
}

// patience is how long a message may take before it counts as missing.
const patience = 20 * time.Second

// next returns the program's next message.
func (f *front) next() message {
	f.t.Helper()
	select {
	case m := <-f.from:
		return m
	case <-time.After(patience):
		f.t.Fatal("no message from the program")
		panic("unreachable")
	}
}

// until returns the first message that is wanted; those before it are passed over.
func (f *front) until(wanted func(message) bool) message {
	f.t.Helper()
	for {
		if m := f.next(); wanted(m) {
			return m
		}
	}
}

// opened returns the message that opens the model of that name.
func (f *front) opened(model string) message {
	f.t.Helper()
	return f.until(func(m message) bool { return m.Op == "open" && state(m)["_model_name"] == model })
}

func state(m message) map[string]any {
	s, _ := m.Data["state"].(map[string]any)
	return s
}

func (f *front) send(m message) {
	f.t.Helper()
	line, err := json.Marshal(m)
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err := f.to.Write(append(line, '\n')); err != nil {
		f.t.Fatal(err)
	}
}

// update is a hand that changes a widget's trait.
func (f *front) update(id, trait string, value any) {
	f.t.Helper()
	f.send(message{Op: "msg", ID: id, Data: map[string]any{"method": "update", "state": map[string]any{trait: value}, "buffer_paths": []any{}}})
}

func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("the callback was not called")
		panic("unreachable")
	}
}
