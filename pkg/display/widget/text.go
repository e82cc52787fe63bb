package widget

import (
	"html"

	"github.com/gradbook/gradbook/pkg/display/internal/view"
)

// Text is a field for a line of text.
type Text struct{ Input[string] }

// NewText makes a field. Its callbacks are called when the text is done (Enter, or the field is left); Set("continuous_update", true) makes that each key.
func NewText(label, value string) *Text {
	t := &Text{}
	t.init("Text", "TextView", "TextStyle", described(label, map[string]any{"continuous_update": false, "disabled": false, "placeholder": "\u200b"}))
	t.name = "the text field " + quoted(label)
	t.start("value", value, same[string], as[string], plain[string])
	t.static = func() (string, string) {
		l, p := t.heading()
		return l + t.Value(), "<label>" + p + `<input type="text" value="` + html.EscapeString(t.Value()) + `" disabled></label>`
	}
	return t
}

// HTML is a piece of a page that can be changed in place.
type HTML struct{ Model }

// NewHTML makes one. Text from elsewhere must be escaped before (package html).
func NewHTML(content string) *HTML {
	h := &HTML{}
	h.init("HTML", "HTMLView", "HTMLStyle", described("", map[string]any{"value": content, "placeholder": "\u200b"}))
	h.name = "a piece of HTML"
	h.static = func() (string, string) {
		content, _ := h.get("value").(string)
		return view.Strip(content), "<div>" + content + "</div>"
	}
	return h
}

// SetValue changes it.
func (h *HTML) SetValue(content string) { h.set(map[string]any{"value": content}) }
