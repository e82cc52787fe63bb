package widget

import (
	"sync"

	"github.com/gradbook/gradbook/pkg/display/internal/view"
	"github.com/gradbook/gradbook/pkg/display/internal/wire"
)

const controlTarget = "jupyter.widget.control"

// link is what the front end knows of.
var link = struct {
	mu      sync.Mutex
	models  map[string]*Model // guarded by mu; by id
	control map[string]bool   // guarded by mu; comms through which the front end asks for everything
}{models: map[string]*Model{}, control: map[string]bool{}}

func register(m *Model) {
	link.mu.Lock()
	link.models[m.id] = m
	link.mu.Unlock()
	wire.Receive(receive)
}

func unregister(m *Model) {
	link.mu.Lock()
	defer link.mu.Unlock()
	delete(link.models, m.id)
}

// receive takes a message from the front end.
func receive(c wire.Message) {
	link.mu.Lock()
	m := link.models[c.ID]
	control := link.control[c.ID]
	switch {
	case c.Op == "open" && c.Target == controlTarget:
		link.control[c.ID] = true
	case c.Op == "close":
		delete(link.models, c.ID)
		delete(link.control, c.ID)
	}
	link.mu.Unlock()
	switch {
	case m != nil && c.Op == "close":
		m.mu.Lock()
		m.open = false
		m.mu.Unlock()
	case m != nil && c.Op == "msg":
		m.receive(c)
	case control && c.Op == "msg" && c.Data["method"] == "request_states":
		sendStates(c.ID)
	}
}

// receive takes a message about one widget.
func (m *Model) receive(c wire.Message) {
	switch c.Data["method"] {
	case "update":
		state, _ := c.Data["state"].(map[string]any)
		decode(state, c.Data["buffer_paths"], c.Buffers)
		if m.changed != nil && len(state) > 0 {
			m.changed(state)
		}
	case "request_state":
		m.mu.Lock()
		state := map[string]any{}
		for k, v := range m.state {
			state[k] = v
		}
		m.mu.Unlock()
		m.sendState("update", state)
	case "custom":
		content, _ := c.Data["content"].(map[string]any)
		if m.custom != nil {
			m.custom(content)
		}
	}
}

// sendStates tells a front end that has just come (a page that was loaded again) of all widgets.
func sendStates(comm string) {
	link.mu.Lock()
	models := make([]*Model, 0, len(link.models))
	for _, m := range link.models {
		models = append(models, m)
	}
	link.mu.Unlock()
	states, paths, buffers := map[string]any{}, [][]any{}, [][]byte{}
	for _, m := range models {
		m.mu.Lock()
		state, p, b := encode(m.state)
		m.mu.Unlock()
		for _, path := range p {
			paths = append(paths, append([]any{m.id, "state"}, path...))
		}
		buffers = append(buffers, b...)
		states[m.id] = map[string]any{
			"model_name": state["_model_name"], "model_module": state["_model_module"],
			"model_module_version": state["_model_module_version"], "state": state,
		}
	}
	wire.Send(wire.Message{Op: "msg", ID: comm, Buffers: buffers, // without a kernel no one has asked
		Data: map[string]any{"method": "update_states", "states": states, "buffer_paths": paths}})
}

// encode puts a state into the form of messages: references by name, bytes apart.
func encode(state map[string]any) (out map[string]any, paths [][]any, buffers [][]byte) {
	out, paths = map[string]any{}, [][]any{}
	for k, v := range state {
		switch v := v.(type) {
		case *Model:
			out[k] = "IPY_MODEL_" + v.id
		case []*Model:
			refs := make([]string, len(v))
			for i, m := range v {
				refs[i] = "IPY_MODEL_" + m.id
			}
			out[k] = refs
		case []byte:
			paths, buffers = append(paths, []any{k}), append(buffers, v)
		default:
			raw, err := view.Marshal(v)
			if err != nil {
				raw = []byte("null")
			}
			out[k] = raw
		}
	}
	return out, paths, buffers
}

// decode puts the bytes of a message back into its state; paths lead through objects and lists.
func decode(state map[string]any, paths any, buffers [][]byte) {
	list, _ := paths.([]any)
	for i, p := range list {
		path, _ := p.([]any)
		if len(path) == 0 || i >= len(buffers) {
			continue
		}
		var at any = state
		for _, step := range path[:len(path)-1] {
			at = child(at, step)
		}
		switch last := path[len(path)-1].(type) {
		case string:
			if object, ok := at.(map[string]any); ok && object != nil {
				object[last] = buffers[i]
			}
		case float64:
			if items, ok := at.([]any); ok && int(last) >= 0 && int(last) < len(items) {
				items[int(last)] = buffers[i]
			}
		}
	}
}

func child(at, step any) any {
	switch at := at.(type) {
	case map[string]any:
		name, _ := step.(string)
		return at[name]
	case []any:
		if i, ok := step.(float64); ok && int(i) >= 0 && int(i) < len(at) {
			return at[int(i)]
		}
	}
	return nil
}
