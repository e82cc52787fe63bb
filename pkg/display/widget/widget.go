// Package widget drives Jupyter widgets from the program: sliders and their like, whose callbacks are Go closures over the notebook's live
// variables, and outputs that change in place.
//
//	depth := widget.NewIntSlider("depth", 1, 50, 10)
//	plot := widget.NewFigure(draw(10))
//	depth.OnChange(func(n int) { plot.Draw(draw(n)) })
//	widget.NewVBox(depth, plot) // the cell's last expression shows it; or display.Show(depth)
//
// A widget becomes known to the front end when it is first shown, and is drawn by the front end's own ipywidgets. Callbacks run in goroutines of the program, also
// while a cell runs, one at a time for each widget. A change that arrives while the callback runs does not queue: when the callback is done it is called once more,
// with the latest value. So a slider that redraws a picture follows the thumb however long a picture takes. A panic in a callback
// is printed, and ends that call alone; so does an interrupt that comes while no cell runs. Variables that a callback shares with cells that run meanwhile want a lock, as between any goroutines.
//
// Without a front end that knows widgets (in a terminal, a test, under GoNB, on a page made from the notebook) the widget's present state is shown, and
// SetValue, Select and Click do from code what a hand would do: they return when the callbacks have run.
//
// The package speaks version 2.1 of the widgets' protocol with the models of ipywidgets 8. It knows the front end only through messages, and no kernel.
package widget

import (
	"fmt"
	"html"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/gradbook/gradbook/pkg/display/internal/view"
	"github.com/gradbook/gradbook/pkg/display/internal/wire"
)

// Modules of the front end, and the versions of their models.
const (
	controls, controlsVersion = "@jupyter-widgets/controls", "2.0.0"
	base, baseVersion         = "@jupyter-widgets/base", "2.0.0"
	output, outputVersion     = "@jupyter-widgets/output", "1.0.0"
	protocolVersion           = "2.1.0"
	target                    = "jupyter.widget"
	viewType                  = "application/vnd.jupyter.widget-view+json"
)

// Widget is anything of this package that can be shown.
type Widget interface {
	MIMEBundle() map[string]any
	model() *Model
}

// Model is what all widgets have in common: a state that the program and the front end both hold.
type Model struct {
	id     string
	name   string // of the widget, for a person
	static func() (text, html string)
	layout *Model
	style  *Model

	// These are called, if set, by the goroutine that reads from the front end, and must not block.
	changed func(state map[string]any)
	custom  func(content map[string]any)

	sending sync.Mutex // held while messages about this widget are made and sent, before mu

	mu    sync.Mutex
	state map[string]any  // guarded by mu; *Model and []*Model stand for references
	open  bool            // guarded by mu; the front end knows the widget
	dirty map[string]bool // guarded by mu; what it is yet to be told
	timer bool            // guarded by mu; a message is on its way later
	last  time.Time       // guarded by mu; when the last message went
}

// newModel makes a model of the front end's class name+"Model", drawn by viewName.
func newModel(name, viewName, module, version string) *Model {
	return &Model{id: wire.NewID(), name: name, dirty: map[string]bool{}, state: map[string]any{
		"_model_name": name + "Model", "_model_module": module, "_model_module_version": version,
		"_view_name": viewName, "_view_module": module, "_view_module_version": version, "_view_count": nil,
	}}
}

// init makes the model of a control, with a layout and (if styleName is not empty) a style.
func (m *Model) init(name, viewName, styleName string, state map[string]any) {
	n := newModel(name, viewName, controls, controlsVersion)
	m.id, m.name, m.state, m.dirty = n.id, n.name, n.state, n.dirty
	m.addParts(styleName)
	maps.Copy(m.state, state)
	if label, _ := state["description"].(string); label != "" && m.style != nil && styleName != "ButtonStyle" {
		m.style.state["description_width"] = "initial" // else a label of more than ten letters is cut
	}
}

func (m *Model) addParts(styleName string) {
	m.layout = newModel("Layout", "LayoutView", base, baseVersion)
	m.state["layout"] = m.layout
	if styleName != "" {
		m.style = newModel(styleName, "StyleView", controls, controlsVersion)
		m.style.state["_view_module"], m.style.state["_view_module_version"] = base, baseVersion
		m.state["style"] = m.style
	}
	maps.Copy(m.state, map[string]any{"_dom_classes": []string{}, "tabbable": nil, "tooltip": nil})
}

// described is the state that widgets with a label share.
func described(label string, more map[string]any) map[string]any {
	state := map[string]any{"description": label, "description_allow_html": false}
	maps.Copy(state, more)
	return state
}

func (m *Model) model() *Model { return m }

// Set sets a trait of the front end's model that has no method here, by ipywidgets' name: Set("readout_format", ".1e"),
// Set("disabled", true), Set("tooltip", "how many layers").
func (m *Model) Set(trait string, value any) { m.set(map[string]any{trait: value}) }

// SetLayout sets a trait of the widget's layout: SetLayout("width", "50%").
func (m *Model) SetLayout(trait string, value any) { m.layout.Set(trait, value) }

// SetStyle sets a trait of the widget's style: SetStyle("description_width", "initial"). Boxes and outputs have none.
func (m *Model) SetStyle(trait string, value any) {
	if m.style == nil {
		report("%s has no style; SetLayout sets its size and margins", m.name)
		return
	}
	m.style.Set(trait, value)
}

func (m *Model) get(trait string) any {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state[trait]
}

// set changes the state, and lets the front end know.
func (m *Model) set(state map[string]any) {
	m.mu.Lock()
	for k, v := range state {
		m.state[k] = v
		m.dirty[k] = true
	}
	m.mu.Unlock()
	m.push()
}

// pace is the least time between two messages about a widget: what changes faster is sent together.
const pace = 10 * time.Millisecond

// push sends what the front end is yet to be told, now or a little later.
func (m *Model) push() {
	m.mu.Lock()
	wait := pace - time.Since(m.last)
	if !m.open || m.timer || len(m.dirty) == 0 {
		m.mu.Unlock()
		return
	}
	if wait > 0 {
		m.timer = true
		m.mu.Unlock()
		time.AfterFunc(wait, m.flush)
		return
	}
	m.mu.Unlock()
	m.flush()
}

func (m *Model) flush() {
	m.sending.Lock()
	defer m.sending.Unlock()
	m.mu.Lock()
	m.timer, m.last = false, time.Now()
	state := map[string]any{}
	for k := range m.dirty {
		state[k] = m.state[k]
	}
	clear(m.dirty)
	open := m.open
	m.mu.Unlock()
	if open && len(state) > 0 {
		openAll(state)
		m.sendState("update", state)
	}
}

// send sends a message of the widget's comm.
func (m *Model) send(op string, data, metadata map[string]any, buffers [][]byte) {
	c := wire.Message{Op: op, ID: m.id, Data: data, Metadata: metadata, Buffers: buffers}
	if op == "open" {
		c.Target = target
	}
	if err := wire.Send(c); err != nil {
		report("%s: %v", m.name, err)
	}
}

func (m *Model) sendState(method string, state map[string]any) {
	state, paths, buffers := encode(state)
	m.send("msg", map[string]any{"method": method, "state": state, "buffer_paths": paths}, nil, buffers)
}

// show makes the widget and all that it refers to known to the front end.
func (m *Model) show() {
	m.sending.Lock()
	defer m.sending.Unlock()
	m.mu.Lock()
	if m.open {
		m.mu.Unlock()
		return
	}
	m.open = true
	state := maps.Clone(m.state)
	clear(m.dirty)
	m.mu.Unlock()
	openAll(state)
	register(m)
	state, paths, buffers := encode(state)
	m.send("open", map[string]any{"state": state, "buffer_paths": paths}, map[string]any{"version": protocolVersion}, buffers)
}

// openAll makes known what a state refers to.
func openAll(state map[string]any) {
	for _, k := range slices.Sorted(maps.Keys(state)) {
		switch v := state[k].(type) {
		case *Model:
			v.show()
		case []*Model:
			for _, child := range v {
				child.show()
			}
		}
	}
}

// Close removes the widget from the front end. It may be shown again.
func (m *Model) Close() {
	m.sending.Lock()
	defer m.sending.Unlock()
	m.mu.Lock()
	open := m.open
	m.open = false
	m.mu.Unlock()
	if open {
		unregister(m)
		m.send("close", map[string]any{}, nil, nil)
	}
}

// MIMEBundle shows the widget; where there is a front end it is told of the widget first.
func (m *Model) MIMEBundle() map[string]any {
	text, page := m.static()
	b := map[string]any{view.Plain: text, view.HTML: page}
	if wire.Connected() {
		m.show()
		b[viewType] = map[string]any{"version_major": 2, "version_minor": 0, "model_id": m.id}
	}
	return b
}

// heading is what stands before a widget that is shown without a front end.
func (m *Model) heading() (text, page string) {
	description, _ := m.get("description").(string)
	if description == "" {
		return "", ""
	}
	return description + ": ", html.EscapeString(description) + ": "
}

// report prints what a call could not do.
func report(format string, args ...any) { fmt.Fprintf(os.Stderr, "widget: "+format+"\n", args...) }
