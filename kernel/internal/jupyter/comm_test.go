package jupyter_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// opens is a cell's text that opens a comm.
func opens(id, target, state string) string {
	return fmt.Sprintf("show(`"+`{"op":"open","id":%q,"target":%q,"data":{"state":{%s}}}`+"`)\n", id, target, state)
}

// What one front end changes of a widget is repeated for the others, as an answer to its own message, and nothing else is.
func TestEcho(t *testing.T) {
	c := start(t)
	c.mustRun(show + opens("w", "jupyter.widget", `"_dom_classes":[]`) + opens("o", "other", ""))
	change := object{"method": "update", "state": object{"value": 4.0, "raw": nil}, "buffer_paths": []any{[]any{"raw"}}}
	id := c.send("shell", "comm_msg", object{"comm_id": "w", "data": change}, func(o *outgoing) { o.buffers = [][]byte{{7}} })
	c.idle(id)
	heard := c.iopub(id)
	if len(heard) != 3 { // busy and idle around it
		t.Fatalf("got %+v", heard)
	}
	want := object{"comm_id": "w", "data": object{"method": "echo_update", "state": change["state"], "buffer_paths": change["buffer_paths"]}}
	if m := heard[1]; m.kind != "comm_msg" || m.parent != id || !reflect.DeepEqual(m.content, want) || len(m.buffers) != 1 || string(m.buffers[0]) != "\x07" {
		t.Errorf("got %+v, want %v", m, want)
	}
	for _, other := range []object{
		{"comm_id": "w", "data": object{"method": "custom", "content": object{"event": "click"}}},
		{"comm_id": "w", "data": object{"method": "request_state"}},
		{"comm_id": "o", "data": object{"method": "update", "state": object{"value": 4.0}}},
		{"comm_id": "unknown", "data": object{"method": "update", "state": object{"value": 4.0}}},
	} {
		id := c.send("shell", "comm_msg", other)
		c.idle(id)
		if heard := c.iopub(id); len(heard) != 2 {
			t.Errorf("%v: got %+v", other, heard)
		}
	}
}

// When the program ends, widgets look as after a restart of the kernel, and other comms are closed.
func TestProgramGone(t *testing.T) {
	for _, how := range []string{"os.Exit(3)", "%restart"} {
		c := start(t)
		c.mustRun(show + opens("w", "jupyter.widget", `"_dom_classes":[]`) + opens("l", "jupyter.widget", "") + opens("o", "other", ""))
		c.idle(c.send("shell", "execute_request", cell(how)))
		for id, want := range map[string]string{
			"o": "comm_close map[comm_id:o data:map[]]",
			"w": "comm_msg map[comm_id:w data:map[buffer_paths:[] method:update state:map[_dom_classes:[jupyter-widgets-disconnected] disabled:true]]]",
		} {
			m := c.wait("what becomes of comm "+id, func(m message) bool {
				return strings.HasPrefix(m.kind, "comm_") && m.kind != "comm_open" && m.text("comm_id") == id
			})
			if got := fmt.Sprint(m.kind, " ", m.content); got != want {
				t.Errorf("%s: got %s, want %s", how, got, want)
			}
		}
		if open := c.ask("shell", "comm_info_request", object{}).content["comms"].(object); len(open) > 0 {
			t.Errorf("%s: %v are open", how, open)
		}
	}
}

// An interrupt while no cell runs ends a library's callbacks, which their profiler label tells, and no other goroutine.
func TestInterruptNoCell(t *testing.T) {
	c := start(t)
	c.mustRun(`import "runtime/pprof"
var a, b atomic.Int64
endless := func(n *atomic.Int64) {
	defer n.Store(-1)
	for { n.Add(1) }
}
go func() {
	pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), pprof.Labels("gradbook-callback", "test")))
	endless(&a)
}()
go endless(&b)
for a.Load() == 0 || b.Load() == 0 { time.Sleep(time.Millisecond) }`)
	if r := c.ask("control", "interrupt_request", object{}); r.content["status"] != "ok" {
		t.Errorf("%v", r.content)
	}
	c.mustRun("for a.Load() != -1 { time.Sleep(time.Millisecond) }")
	c.mustRun("for n := b.Load(); b.Load() < n + 1000; { time.Sleep(time.Millisecond) }")
}
