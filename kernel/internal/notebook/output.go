package notebook

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"

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
			o.Data, o.Metadata = bundle(out.Data), metadata(out.Metadata)
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
		o := &Output{Type: "display_data", Data: bundle(out.Data), Metadata: metadata(out.Metadata)}
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

// bundle makes a MIME bundle ready for a file: bytes in base64, JSON values as trees.
func bundle(data map[string]any) map[string]any {
	t := make(map[string]any, len(data))
	for mime, value := range data {
		switch v := value.(type) {
		case []byte:
			switch {
			case isJSON(mime) && json.Valid(v):
				t[mime] = decode(v)
			case isText(mime):
				t[mime] = string(v)
			default:
				t[mime] = base64.StdEncoding.EncodeToString(v)
			}
		case string:
			// A string that is the text of a JSON document is shown as that document.
			if raw := []byte(v); isJSON(mime) && json.Valid(raw) {
				t[mime] = decode(raw)
			} else {
				t[mime] = v
			}
		default:
			t[mime] = plain(v)
		}
	}
	return t
}

func metadata(m map[string]any) map[string]any {
	t, _ := plain(m).(map[string]any)
	return orEmpty(t)
}

// plain turns any Go value into a JSON tree; one that JSON cannot hold is printed.
func plain(v any) any {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	return decode(b.Bytes())
}
