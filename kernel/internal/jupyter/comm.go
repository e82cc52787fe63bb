package jupyter

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gradbook/gradbook/kernel/internal/session"
)

// comms are the comms that are open, and the road of their messages to the program.
type comms struct {
	k  *kernel
	to chan delivery

	mu   sync.Mutex      // guards what follows
	open map[string]comm // by id
	slow bool            // the program does not read them, and that was logged
}

// comm is one that is open.
type comm struct {
	target string
	ours   bool // the program has opened it
	seen   bool // it is a widget that the page draws
}

const widgetTarget = "jupyter.widget"

// delivery is a message on its way to the program.
type delivery struct {
	comm session.Comm
	done chan error
}

// A program that does not read its comm messages holds up nobody: after a while they are left to go their way, and when
// too many wait, new ones are dropped.
const (
	commTime = time.Second
	maxComms = 1000
)

func newComms(k *kernel) *comms {
	return &comms{k: k, to: make(chan delivery, maxComms), open: map[string]comm{}}
}

// run hands messages to the program, in order.
func (c *comms) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case d := <-c.to:
			d.done <- c.deliver(d.comm)
			c.mu.Lock()
			c.slow = false
			c.mu.Unlock()
		}
	}
}

// errNotRunning is no news to anyone: front ends ask for widgets as soon as they see a kernel.
var errNotRunning = errors.New("the program is not running")

func (c *comms) deliver(m session.Comm) error {
	s := c.k.program.now()
	if s == nil {
		return errNotRunning
	}
	return s.Comm(m)
}

// send hands a message to the program, and waits for that, but not long.
func (c *comms) send(m session.Comm) error {
	d := delivery{m, make(chan error, 1)}
	select {
	case c.to <- d:
	default:
		return errors.New("the program does not read its comm messages")
	}
	c.mu.Lock()
	patience := commTime
	if c.slow {
		patience = 0
	}
	c.mu.Unlock()
	select {
	case err := <-d.done:
		return err
	case <-time.After(patience):
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.slow {
		c.slow = true
		c.k.log("the program does not read its comm messages; they wait for it")
	}
	return nil
}

// note keeps account of what is open.
func (c *comms) note(m session.Comm, ours bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch m.Op {
	case "open":
		state, _ := m.Data["state"].(map[string]any)
		c.open[m.ID] = comm{m.Target, ours, state["_dom_classes"] != nil}
	case "close":
		delete(c.open, m.ID)
	}
}

func (c *comms) get(id string) comm {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open[id]
}

// lost tells the front ends that the program is gone that the open comms led to. Closing a widget's comm would take its picture off the
// page; so widgets stay, and look and behave as those of a kernel that was restarted.
func (c *comms) lost() {
	c.mu.Lock()
	open := c.open
	c.open = map[string]comm{}
	c.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(open)) {
		kind, data := "comm_close", map[string]any{}
		switch m := open[id]; {
		case !m.ours, m.target == widgetTarget && !m.seen:
			continue
		case m.target == widgetTarget:
			kind, data = "comm_msg", map[string]any{"method": "update", "buffer_paths": []any{},
				"state": map[string]any{"disabled": true, "_dom_classes": []string{"jupyter-widgets-disconnected"}}}
		}
		c.k.output.between(func(last *target) {
			m := message{kind: kind, content: map[string]any{"comm_id": id, "data": data}}
			if last != nil {
				m.parent = last.origin.header
			}
			c.k.publish(m)
		})
	}
}

func (k *kernel) commInfo(_ context.Context, r *request) {
	var content struct {
		Target string `json:"target_name"`
	}
	if !k.read(r, &content) {
		return
	}
	open := map[string]any{}
	k.comms.mu.Lock()
	for id, c := range k.comms.open {
		if content.Target == "" || content.Target == c.target {
			open[id] = map[string]any{"target_name": c.target}
		}
	}
	k.comms.mu.Unlock()
	k.reply(r, map[string]any{"status": "ok", "comms": open})
}

// comm hands a comm message from a front end to the program.
func (k *kernel) comm(_ context.Context, r *request) {
	var content struct {
		ID     string         `json:"comm_id"`
		Target string         `json:"target_name"`
		Data   map[string]any `json:"data"`
	}
	if err := json.Unmarshal(r.content, &content); err != nil {
		k.log("the content of %s is not as the protocol has it: %v", r.Type, err)
		return
	}
	c := session.Comm{Op: r.Type[len("comm_"):], ID: content.ID, Target: content.Target, Data: content.Data, Buffers: r.buffers}
	json.Unmarshal(r.metadata, &c.Metadata) // none, if it is no object
	k.comms.note(c, false)
	k.echo(r, c)
	err := k.comms.send(c)
	if err == nil {
		return
	}
	if !errors.Is(err, errNotRunning) {
		k.log("%s for comm %s: %v", r.Type, c.ID, err)
	}
	k.comms.note(session.Comm{Op: "close", ID: c.ID}, false)
	if c.Op == "open" { // as the protocol asks for where there is no one to talk to
		k.publish(message{kind: "comm_close", parent: r.raw, content: map[string]any{"comm_id": c.ID, "data": map[string]any{}}})
	}
}

// echo repeats to all front ends what one has changed of a widget, as ipywidgets 8 does, so that all views of a notebook stay in step.
func (k *kernel) echo(r *request, c session.Comm) {
	if c.Op != "msg" || c.Data["method"] != "update" || !echoes() || k.comms.get(c.ID).target != widgetTarget {
		return
	}
	data := maps.Clone(c.Data)
	data["method"] = "echo_update"
	k.publish(message{kind: "comm_msg", parent: r.raw, content: map[string]any{"comm_id": c.ID, "data": data}, buffers: c.Buffers})
}

// echoes reports whether widgets' changes are repeated: ipywidgets' own variable turns that off.
var echoes = sync.OnceValue(func() bool {
	switch strings.ToLower(os.Getenv("JUPYTER_WIDGETS_ECHO")) {
	case "0", "false", "no", "off":
		return false
	}
	return true
})

// commFromProgram sends a comm message to the front ends.
func (k *kernel) commFromProgram(c session.Comm) {
	content := map[string]any{"comm_id": c.ID, "data": notNil(c.Data)}
	if c.Op == "open" {
		content["target_name"] = c.Target
	}
	k.comms.note(c, true)
	k.output.between(func(last *target) {
		m := message{kind: "comm_" + c.Op, content: content, metadata: notNil(c.Metadata), buffers: c.Buffers}
		if last != nil {
			m.parent = last.origin.header
		}
		k.publish(m)
	})
}

// notNil is m as a JSON object, also where there is none. It came as JSON, and can be written as such.
func notNil(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}
