// Package display is how a result reaches a person: through a notebook where there is one, as text in a terminal where there is none.
//
//	h := display.Show(display.SVG(picture))   // a picture; in a terminal a line that says what it is
//	h.Update(display.SVG(next))               // the same place, another picture
//
// A value shows itself by having some of the methods
//
//	HTML() string    Markdown() string    LaTeX() string    SVG() string    PNG() []byte
//	JSON() any       MIMEBundle() map[string]any
//
// No import of this package is needed for that: a type of a notebook's cell that has one of them is shown by it as a cell's last
// expression, too. All that a value offers is sent in one bundle, and the front end shows the richest view that it can
// (JupyterLab: MIME types of extensions such as Vega-Lite, then HTML, Markdown, LaTeX, SVG, PNG, text). Where views of one type come from several places, MIMEBundle wins over
// the other methods, and methods win over what is known of the value's kind. JSON() counts only where there is none of the others. Known kinds are image.Image,
// error, GoMLX tensors, gonum matrices, slices of structs, of maps and of rows (tables of the first and last rows), and long slices of
// numbers; all else is text. Text in HTML is escaped; what is too big is cut, with a note that says so.
//
// The rules are in internal/view, which also the live process of the Gradbook kernel holds, so that Show and a cell's last expression agree (but for
// strings: Show writes them as they are, a last expression quotes them). The package knows no kernel: it writes into the pipe that GRADBOOK_PIPE names, else under GoNB through
// gonbui, else to standard output.
package display

import (
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/janpfeifer/gonb/gonbui"
	"github.com/janpfeifer/gonb/gonbui/protocol"

	"github.com/gradbook/gradbook/pkg/display/internal/view"
	"github.com/gradbook/gradbook/pkg/display/internal/wire"
)

// Handle is a place where something was shown.
type Handle struct {
	id string

	mu   sync.Mutex
	text string // guarded by mu; what a terminal shows
}

// Show shows values, side by side if there are several, and returns a handle to show others in their place. Without
// values (or with nothing but nil) it only takes the place.
func Show(values ...any) *Handle {
	h := &Handle{id: wire.NewID()}
	h.send("display", values)
	return h
}

// Update shows values in place of those shown before. A terminal gets them as new lines, unless they read the same.
func (h *Handle) Update(values ...any) { h.send("update", values) }

// MIMEBundle is empty: a cell that ends with Show has shown what it has to show.
func (h *Handle) MIMEBundle() map[string]any { return map[string]any{} }

// Clear removes what the cell has shown so far; with wait, only when something new comes. A terminal keeps what it has, and so does GoNB.
func Clear(wait bool) {
	if wire.Connected() {
		report(wire.Send(wire.Message{Op: "clear", Wait: wait}))
	}
}

// Bundle returns all views of v, as the package comment says: MIME type -> string, []byte (pictures) or json.RawMessage; among
// them always text/plain.
func Bundle(v any) map[string]any { return view.Bundle(unquoted(v)) }

// unquoted lets a string be shown as it is.
func unquoted(v any) any {
	if s, ok := v.(string); ok {
		return Text(s)
	}
	return v
}

// send shows values by the best way there is.
func (h *Handle) send(op string, values []any) {
	shown := make([]any, len(values))
	for i, v := range values {
		shown[i] = unquoted(v)
	}
	b := view.Values(shown...)
	if b == nil {
		b = map[string]any{view.Plain: ""}
	}
	switch {
	case wire.Connected():
		report(wire.Send(message(op, h.id, b)))
	case gonbui.IsNotebook:
		gonbui.SendData(gonbData(h.id, b))
	default:
		h.print(b)
	}
}

func report(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "display:", err)
	}
}

// message puts the parts of a bundle where the wire wants them.
func message(op, id string, b map[string]any) wire.Message {
	m := wire.Message{Op: op, ID: id, Display: map[string]any{}}
	for mime, part := range b {
		if p, ok := part.([]byte); ok {
			if m.Binary == nil {
				m.Binary = map[string][]byte{}
			}
			m.Binary[mime] = p
			continue
		}
		m.Display[mime] = part
	}
	return m
}

// gonbData is a bundle as GoNB takes it, which has no JSON in its messages.
func gonbData(id string, b map[string]any) *protocol.DisplayData {
	d := &protocol.DisplayData{Data: map[protocol.MIMEType]any{}, DisplayID: id}
	for mime, part := range b {
		switch part.(type) {
		case string, []byte:
			d.Data[protocol.MIMEType(mime)] = part
		}
	}
	return d
}

// print writes the text of a bundle to standard output, unless it is there already.
func (h *Handle) print(b map[string]any) {
	text, _ := b[view.Plain].(string)
	h.mu.Lock()
	defer h.mu.Unlock()
	if text == h.text {
		return
	}
	h.text = text
	if text == "" {
		return
	}
	fmt.Println(strings.TrimSuffix(text, "\n"))
}
