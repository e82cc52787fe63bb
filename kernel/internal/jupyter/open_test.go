package jupyter_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gradbook/gradbook/kernel/internal/jupyter"
	"github.com/gradbook/gradbook/kernel/internal/session"
)

// echo is a session that shows the text of its cells.
type echo struct{}

func (echo) Execute(_ context.Context, r session.Request, out func(session.Output)) session.Result {
	out(session.Output{Kind: session.Stream, Name: "stdout", Text: r.Text})
	return session.Result{}
}
func (echo) Comm(session.Comm) error { return errors.New("no comms here") }
func (echo) Interrupt()              {}
func (echo) Close() error            { return nil }

// serve runs a kernel in this process.
func serve(t *testing.T, o jupyter.Options) *client {
	t.Helper()
	path, conn := newConnection(t)
	o.ConnectionFile, o.Log = path, io.Discard
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{conn: conn, done: make(chan struct{})}
	var err error
	go func() { err = jupyter.Run(ctx, o); close(p.done) }()
	t.Cleanup(func() {
		cancel()
		if p.ended(t); err != nil {
			t.Error(err)
		}
	})
	return connect(t, p)
}

// While the base library is built, the kernel answers, and the cell that waits shows how far it is.
func TestSlowOpening(t *testing.T) {
	step, ready := make(chan string), make(chan bool)
	c := serve(t, jupyter.Options{Open: func(ctx context.Context, o session.Options) (jupyter.Session, error) {
		for line := range step {
			o.Progress(line)
		}
		<-ready
		return echo{}, nil
	}})
	step <- "compiling: 1 of 9"
	if r := c.ask("shell", "kernel_info_request", object{}); r.content["status"] != "ok" {
		t.Errorf("%v", r.content)
	}
	id := c.send("shell", "execute_request", cell("hello"))
	c.printed(id, "compiling: 1 of 9")
	close(step)
	close(ready)
	c.reply(id)
	c.idle(id)
	outputs := c.outputs(id)
	if want := []string{"busy", "in 1", "stderr compiling: 1 of 9\n", "stdout hello", "idle"}; !slices.Equal(outputs, want) {
		t.Errorf("got %q, want %q", outputs, want)
	}
}

// A cell that waits for the base library can be interrupted, and the kernel be shut down.
func TestInterruptWhileOpening(t *testing.T) {
	c := serve(t, jupyter.Options{Open: func(ctx context.Context, o session.Options) (jupyter.Session, error) {
		o.Progress("compiling")
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	id := c.send("shell", "execute_request", cell("hello"))
	c.printed(id, "compiling")
	c.ask("control", "interrupt_request", object{})
	if r := c.reply(id); r.text("ename") != "interrupt" {
		t.Errorf("%v", r.content)
	}
	c.idle(id)
	c.send("control", "shutdown_request", object{"restart": false})
	c.p.ended(t)
}

// What was missing when the kernel started may be there when a cell is run again.
func TestOpeningFails(t *testing.T) {
	attempts := 0
	c := serve(t, jupyter.Options{Open: func(context.Context, session.Options) (jupyter.Session, error) {
		if attempts++; attempts < 3 {
			return nil, fmt.Errorf("Go is missing (attempt %d)\ninstall it", attempts)
		}
		return echo{}, nil
	}})
	for i, want := range []string{"error", "ok"} {
		var r message
		for r.content == nil || i == 0 && strings.Contains(r.text("evalue"), "attempt 1") {
			r, _ = c.run("hello")
		}
		if r.content["status"] != want {
			t.Errorf("run %d: %v", i, r.content)
		}
		if i == 0 && (r.text("ename") != "not started" || !strings.Contains(fmt.Sprint(r.content["traceback"]), "install it")) {
			t.Errorf("%v", r.content)
		}
	}
}

// A comm that nobody in the program wants is closed.
func TestCommRefused(t *testing.T) {
	c := serve(t, jupyter.Options{Open: func(context.Context, session.Options) (jupyter.Session, error) { return echo{}, nil }})
	c.mustRun("hello")
	id := c.send("shell", "comm_open", object{"comm_id": "x", "target_name": "unwanted", "data": object{}})
	c.idle(id)
	if got := c.outputs(id); !slices.Equal(got, []string{"busy", "comm_close map[comm_id:x data:map[]]", "idle"}) {
		t.Errorf("%q", got)
	}
	if r := c.ask("shell", "comm_info_request", object{}); len(r.content["comms"].(object)) != 0 {
		t.Errorf("%v", r.content)
	}
}

// assistant knows one thing, and what it was asked.
type assistant struct{ asked chan string }

func (a assistant) Complete(_ context.Context, code string, pos int) (jupyter.Completion, error) {
	a.asked <- code[:pos]
	return jupyter.Completion{Start: strings.Index(code, "Pr"), End: pos, Matches: []jupyter.Match{{Text: "Println", Type: "function", Signature: "(a ...any)"}}}, nil
}

func (a assistant) Inspect(_ context.Context, code string, pos, detail int) (jupyter.Inspection, error) {
	a.asked <- fmt.Sprintf("%s %d", code[:pos], detail)
	if strings.HasPrefix(code, "nothing") {
		return jupyter.Inspection{}, nil
	}
	return jupyter.Inspection{Data: map[string]any{"text/plain": "about " + code}}, nil
}

// Cursor positions are in code points on the wire, and in bytes for the assistant.
func TestAssistant(t *testing.T) {
	asked, assisted := make(chan string, 1), make(chan bool)
	c := serve(t, jupyter.Options{
		Open: func(context.Context, session.Options) (jupyter.Session, error) { return echo{}, nil },
		Assist: func(context.Context, jupyter.Session) (jupyter.Assistant, error) {
			close(assisted)
			return assistant{asked}, nil
		},
	})
	<-assisted
	const code = `s := "é𝔾"; fmt.Pr)`
	var r message
	for r.content == nil || len(r.content["matches"].([]any)) == 0 { // until the assistant is in its place
		r = c.ask("shell", "complete_request", object{"code": code, "cursor_pos": 17})
	}
	if got, want := <-asked, `s := "é𝔾"; fmt.Pr`; got != want {
		t.Errorf("asked for %q, want %q", got, want)
	}
	want := object{"status": "ok", "matches": []any{"Println"}, "cursor_start": 15.0, "cursor_end": 17.0, "metadata": object{
		"_jupyter_types_experimental": []any{object{"text": "Println", "type": "function", "signature": "(a ...any)", "start": 15.0, "end": 17.0}}}}
	if !reflect.DeepEqual(r.content, want) {
		t.Errorf("got %v, want %v", r.content, want)
	}
	r = c.ask("shell", "inspect_request", object{"code": "é.x", "cursor_pos": 2, "detail_level": 1})
	if got := <-asked; got != "é. 1" {
		t.Errorf("asked for %q", got)
	}
	if want := (object{"status": "ok", "found": true, "data": object{"text/plain": "about é.x"}, "metadata": object{}}); !reflect.DeepEqual(r.content, want) {
		t.Errorf("got %v, want %v", r.content, want)
	}
	for code, want := range map[string]string{"?fmt.Print": "about fmt.Print", "x??": "about x", "nothing?": "nothing is known of nothing"} {
		r, _ := c.run(code)
		<-asked
		page := r.content["payload"].([]any)[0].(object)
		if page["source"] != "page" || page["data"].(object)["text/plain"] != want {
			t.Errorf("%s: %v", code, r.content)
		}
	}
}
