package widget

import (
	"fmt"
	"html"
	"slices"
	"strings"
)

// Dropdown is a choice of one of several texts.
type Dropdown struct{ Input[string] }

// NewDropdown makes a choice among options, the first of them chosen.
func NewDropdown(label string, options ...string) *Dropdown {
	d := &Dropdown{}
	options = slices.Clone(options)
	d.init("Dropdown", "DropdownView", "DescriptionStyle", described(label, map[string]any{
		"_options_labels": options, "disabled": false,
	}))
	d.name = "the dropdown " + quoted(label)
	clean := func(v string) string { // what is no option changes nothing
		switch {
		case slices.Contains(options, v):
			return v
		case slices.Contains(options, d.value):
			return d.value
		case len(options) > 0:
			return options[0]
		}
		return ""
	}
	read := func(v any) (string, bool) {
		i, ok := readInt(v)
		if !ok || i < 0 || i >= len(options) {
			return "", false
		}
		return options[i], true
	}
	write := func(v string) any {
		if i := slices.Index(options, v); i >= 0 {
			return i
		}
		return nil
	}
	d.start("index", "", clean, read, write)
	d.static = func() (string, string) {
		l, p := d.heading()
		var page strings.Builder
		for _, o := range options {
			selected := ""
			if o == d.Value() {
				selected = " selected"
			}
			fmt.Fprintf(&page, "<option%s>%s</option>", selected, html.EscapeString(o))
		}
		return fmt.Sprintf("%s%s (of %s)", l, d.Value(), strings.Join(options, ", ")),
			fmt.Sprintf("<label>%s<select disabled>%s</select></label>", p, page.String())
	}
	return d
}

// Checkbox is a switch.
type Checkbox struct{ Input[bool] }

// NewCheckbox makes a switch.
func NewCheckbox(label string, value bool) *Checkbox {
	c := &Checkbox{}
	c.init("Checkbox", "CheckboxView", "CheckboxStyle", described(label, map[string]any{"indent": true, "disabled": false}))
	c.name = "the checkbox " + quoted(label)
	c.start("value", value, same[bool], as[bool], plain[bool])
	c.static = func() (string, string) {
		mark, checked := "[ ] ", ""
		if c.Value() {
			mark, checked = "[x] ", " checked"
		}
		return mark + label, `<label><input type="checkbox"` + checked + ` disabled> ` + html.EscapeString(label) + "</label>"
	}
	return c
}
