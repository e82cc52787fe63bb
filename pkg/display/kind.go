package display

import (
	"encoding/json"
	"fmt"

	"github.com/gradbook/gradbook/pkg/display/internal/view"
)

// Kinds of content; each is a value that shows itself, by Show or as a cell's last expression.
type (
	// HTML is shown as it is. Text from elsewhere must be escaped before (package html).
	HTML string
	// Markdown is shown as JupyterLab and its like render it.
	Markdown string
	// LaTeX is a formula, or text with formulas between dollars.
	LaTeX string
	// SVG is a picture; its <title> is what a terminal shows of it.
	SVG string
	// PNG is a picture's file.
	PNG []byte
	// Text is shown as it is, without the quotes of a string.
	Text string
	// MIME is a bundle of one's own: MIME type -> string, []byte, or what is to be JSON.
	MIME map[string]any
)

// HTML returns h.
func (h HTML) HTML() string { return string(h) }

// Markdown returns m.
func (m Markdown) Markdown() string { return string(m) }

// LaTeX returns l between dollars, unless it has any.
func (l LaTeX) LaTeX() string {
	for i, c := range l {
		if c == '$' && (i == 0 || l[i-1] != '\\') {
			return string(l)
		}
	}
	return "$\\displaystyle " + string(l) + "$"
}

// MIMEBundle adds the formula as it was written, for terminals.
func (l LaTeX) MIMEBundle() map[string]any { return map[string]any{view.Plain: string(l)} }

// SVG returns s.
func (s SVG) SVG() string { return string(s) }

// PNG returns p.
func (p PNG) PNG() []byte { return p }

// MIMEBundle returns t as plain text.
func (t Text) MIMEBundle() map[string]any { return map[string]any{view.Plain: string(t)} }

// MIMEBundle returns m.
func (m MIME) MIMEBundle() map[string]any { return m }

// JSON shows v as a tree that can be folded. Numbers that JSON does not have (NaN, infinities) become null.
func JSON(v any) MIME {
	text := view.Text(v)
	raw, err := view.Marshal(v)
	if err != nil {
		return MIME{view.Plain: fmt.Sprintf("%s\n(no JSON: %v)", text, err)}
	}
	if indented, err := json.MarshalIndent(raw, "", "  "); err == nil {
		text = string(indented)
	}
	return MIME{view.JSON: raw, view.Plain: text}
}

// VegaLiteType is the MIME type of Vega-Lite charts.
const VegaLiteType = "application/vnd.vegalite.v5+json"

// VegaLite is a chart that can be explored (tooltips, zoom) where Vega-Lite can be drawn, and a picture elsewhere. spec is the specification, as a
// value for encoding/json or as JSON text; svg may be empty. Numbers that JSON does not have become null.
func VegaLite(spec any, svg SVG) MIME {
	m := MIME{}
	if svg != "" {
		m[view.SVG] = string(svg)
	}
	switch s := spec.(type) {
	case string:
		spec = json.RawMessage(s)
	case []byte:
		spec = json.RawMessage(s)
	}
	raw, err := view.Marshal(spec)
	if err != nil {
		m[view.Plain] = fmt.Sprintf("(Vega-Lite chart that is not JSON: %v)", err)
		return m
	}
	m[VegaLiteType] = raw
	m[view.Plain] = chartText(raw, svg)
	return m
}

// chartText is what a terminal shows of a chart.
func chartText(spec json.RawMessage, svg SVG) string {
	var s struct {
		Title       any    `json:"title"` // text, or an object with it
		Description string `json:"description"`
	}
	if json.Unmarshal(spec, &s) == nil {
		title := s.Title
		if m, ok := title.(map[string]any); ok {
			title = m["text"]
		}
		if text, ok := title.(string); ok {
			return "(chart: " + text + ")"
		}
		if s.Description != "" {
			return "(chart: " + s.Description + ")"
		}
	}
	if svg != "" {
		return fmt.Sprint(view.Bundle(svg)[view.Plain])
	}
	return "(Vega-Lite chart)"
}
