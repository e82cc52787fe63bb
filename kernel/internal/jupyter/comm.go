package jupyter

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/gradbook/gradbook/kernel/internal/session"
)

// comms are the comms that are open, by id.
type comms struct {
	mu     sync.Mutex
	target map[string]string // guarded by mu
}

func (c *comms) note(op, id, target string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch op {
	case "open":
		if c.target == nil {
			c.target = map[string]string{}
		}
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
	err := fmt.Errorf("the program is not running")
	if s := k.program.now(); s != nil {
		k.comms.note(c.Op, c.ID, c.Target)
		err = s.Comm(c)
	}
	if err == nil {
		return
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
