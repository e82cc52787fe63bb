package notebook

import (
	"encoding/json"

	"github.com/gradbook/gradbook/kernel/internal/session"
)

// collector puts what a session shows into the cells of a notebook.
type collector struct {
	cells    map[string]*Cell     // by the name that the session knows them by
	displays map[string][]*Output // by display id
	clear    map[*Cell]bool       // cells to empty when their next output comes
}

func newCollector() *collector {
	return &collector{cells: map[string]*Cell{}, displays: map[string][]*Output{}, clear: map[*Cell]bool{}}
}

// add files one output. What a goroutine of an earlier cell made goes below that cell.
func (k *collector) add(running *Cell, out session.Output) {
	c := running
	if from := k.cells[out.From]; from != nil {
		c = from
	}
	switch out.Kind {
	case session.Clear:
		if k.clear[c] = out.Wait; !out.Wait {
			c.Outputs = nil
		}
		return
	case session.Update:
		// Like Jupyter: an id that nobody has shown is ignored.
		for _, o := range k.displays[out.DisplayID] {
			o.Data, o.Metadata = bundle(out)
		}
		return
	}
	if k.clear[c] {
		k.clear[c] = false
		c.Outputs = nil
	}
	switch out.Kind {
	case session.Stream:
		c.stream(out.Name, out.Text)
	case session.Display, session.Value:
		o := &Output{Type: "display_data"}
		o.Data, o.Metadata = bundle(out)
		if out.Kind == session.Value {
			o.Type = "execute_result"
			o.ExecutionCount = c.ExecutionCount
		}
		if out.DisplayID != "" {
			k.displays[out.DisplayID] = append(k.displays[out.DisplayID], o)
		}
		c.Outputs = append(c.Outputs, o)
	}
}

// stream adds text to the cell's last output if that is the same stream, else as a new one.
func (c *Cell) stream(name, text string) {
	if n := len(c.Outputs); n > 0 && c.Outputs[n-1].Type == "stream" && c.Outputs[n-1].Name == name {
		c.Outputs[n-1].text.WriteString(text)
		return
	}
	o := &Output{Type: "stream", Name: name}
	o.text.WriteString(text)
	c.Outputs = append(c.Outputs, o)
}

// bundle returns what an output shows in the form of a file: JSON values as trees.
func bundle(out session.Output) (data, metadata map[string]any) {
	data, metadata = out.Jupyter()
	for _, m := range []map[string]any{data, metadata} {
		for name, v := range m {
			if raw, ok := v.(json.RawMessage); ok {
				m[name] = decode(raw)
			}
		}
	}
	return data, metadata
}
