package jupyter

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/gradbook/gradbook/kernel/internal/session"
)

// comms are the comms that are open, and the road of their messages to the program.
type comms struct {
	k  *kernel
	to chan delivery

	mu     sync.Mutex
	target map[string]string // guarded by mu: by id
	slow   bool              // the program does not read them, and that was logged
}

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
	return &comms{k: k, to: make(chan delivery, maxComms), target: map[string]string{}}
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

func (c *comms) note(op, id, target string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch op {
	case "open":
		c.target[id] = target
	case "close":
		delete(c.target, id)
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
	for id, target := range k.comms.target {
		if content.Target == "" || content.Target == target {
			open[id] = map[string]any{"target_name": target}
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
	k.comms.note(c.Op, c.ID, c.Target)
	err := k.comms.send(c)
	if err == nil {
		return
	}
	if !errors.Is(err, errNotRunning) {
		k.log("%s for comm %s: %v", r.Type, c.ID, err)
	}
	k.comms.note("close", c.ID, "")
	if c.Op == "open" { // as the protocol asks for where there is no one to talk to
		k.publish(message{kind: "comm_close", parent: r.raw, content: map[string]any{"comm_id": c.ID, "data": map[string]any{}}})
	}
}

// commFromProgram sends a comm message to the front ends.
func (k *kernel) commFromProgram(c session.Comm) {
	content := map[string]any{"comm_id": c.ID, "data": object(c.Data)}
	if c.Op == "open" {
		content["target_name"] = c.Target
	}
	k.comms.note(c.Op, c.ID, c.Target)
	k.output.between(func(last *target) {
		m := message{kind: "comm_" + c.Op, content: content, metadata: object(c.Metadata), buffers: c.Buffers}
		if last != nil {
			m.parent = last.origin.header
		}
		k.publish(m)
	})
}
