package widget

import (
	"html"
	"slices"
	"sync"
)

// Button is something to press.
type Button struct {
	Model
	press event

	handling sync.Mutex
	handlers []func() // guarded by handling
}

// NewButton makes a button.
func NewButton(label string) *Button {
	b := &Button{}
	b.init("Button", "ButtonView", "ButtonStyle", map[string]any{"description": label, "disabled": false, "button_style": "", "icon": ""})
	b.name = "the button " + quoted(label)
	b.press.name, b.press.fire = b.name, b.fire
	b.custom = func(content map[string]any) {
		if content["event"] == "click" {
			b.press.happen()
		}
	}
	b.static = func() (string, string) {
		return "[" + label + "]", "<button disabled>" + html.EscapeString(label) + "</button>"
	}
	return b
}

// OnClick adds a callback. Presses while the callbacks run count as one, for which they run once more.
func (b *Button) OnClick(f func()) {
	b.handling.Lock()
	defer b.handling.Unlock()
	b.handlers = append(b.handlers, f)
}

// Click presses the button, and returns when the callbacks have run.
func (b *Button) Click() { b.press.now() }

func (b *Button) fire() {
	b.handling.Lock()
	handlers := slices.Clone(b.handlers)
	b.handling.Unlock()
	for _, f := range handlers {
		call(b.name, f)
	}
}
