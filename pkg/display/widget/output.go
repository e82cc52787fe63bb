package widget

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/gradbook/gradbook/pkg/display"
	"github.com/gradbook/gradbook/pkg/display/internal/view"
)

// Output is an area for what callbacks print and show, as a cell has one. It is an io.Writer for text.
type Output struct {
	Model

	adding sync.Mutex
	items  []map[string]any // guarded by adding; as a notebook's file has outputs
}

// Bounds of what an Output holds; what came first is dropped first.
const (
	maxOutputText  = 1 << 16
	maxOutputItems = 100
)

// NewOutput makes an empty area.
func NewOutput() *Output {
	o := &Output{}
	n := newModel("Output", "OutputView", output, outputVersion)
	o.id, o.name, o.state, o.dirty = n.id, "an output area", n.state, n.dirty
	o.addParts("")
	maps.Copy(o.state, map[string]any{"msg_id": "", "outputs": []map[string]any{}})
	o.static = o.written
	return o
}

// Write adds text; it never fails.
func (o *Output) Write(p []byte) (int, error) {
	o.adding.Lock()
	defer o.adding.Unlock()
	text := strings.ToValidUTF8(string(p), "\uFFFD")
	items := slices.Clone(o.items)
	if n := len(items); n > 0 && items[n-1]["output_type"] == "stream" {
		before, _ := items[n-1]["text"].(string)
		text = before + text
		items = items[:n-1]
	}
	if len(text) > maxOutputText {
		text = text[len(text)-maxOutputText:]
		if i := strings.IndexByte(text, '\n'); i >= 0 {
			text = text[i+1:]
		}
		text = "[...]\n" + strings.ToValidUTF8(text, "")
	}
	o.put(append(items, map[string]any{"output_type": "stream", "name": "stdout", "text": text}))
	return len(p), nil
}

// Show adds values, as display.Show shows them.
func (o *Output) Show(values ...any) {
	o.adding.Lock()
	defer o.adding.Unlock()
	items := slices.Clone(o.items)
	for _, v := range values {
		items = append(items, map[string]any{"output_type": "display_data", "data": display.Bundle(v), "metadata": map[string]any{}})
	}
	o.put(items)
}

// Clear removes all.
func (o *Output) Clear() {
	o.adding.Lock()
	defer o.adding.Unlock()
	o.put(nil)
}

// put replaces the items; adding is held.
func (o *Output) put(items []map[string]any) {
	if n := len(items); n > maxOutputItems {
		items = items[n-maxOutputItems:]
	}
	if items == nil {
		items = []map[string]any{}
	}
	o.items = items
	o.set(map[string]any{"outputs": items})
}

func (o *Output) written() (text, page string) {
	o.adding.Lock()
	defer o.adding.Unlock()
	var texts []string
	var out strings.Builder
	for _, item := range o.items {
		b, ok := item["data"].(map[string]any)
		if !ok {
			b = map[string]any{view.Plain: strings.TrimSuffix(fmt.Sprint(item["text"]), "\n")}
		}
		texts = append(texts, fmt.Sprint(b[view.Plain]))
		part, _ := view.Inline(b)
		out.WriteString("<div>" + part + "</div>")
	}
	return strings.Join(texts, "\n"), "<div>" + out.String() + "</div>"
}
