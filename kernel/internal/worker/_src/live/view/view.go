// Package view says how a value looks: it turns a Go value into a MIME bundle, from what the value itself offers and from
// what is known of its kind. It knows no notebook, no front end and no way to reach one, and needs the standard library alone.
//
// The same files are compiled twice: into programs that import pkg/display, and into the live process of the
// kernel, which shows a cell's last expression whatever the notebook imports and can import nothing of
// this module. A test keeps the two copies the same to the byte.
package view

import (
	"fmt"
	"image"
	"strings"
)

// MIME types that views are made of.
const (
	Plain    = "text/plain"
	HTML     = "text/html"
	Markdown = "text/markdown"
	LaTeX    = "text/latex"
	SVG      = "image/svg+xml"
	PNG      = "image/png"
	JSON     = "application/json"
)

// Bundle returns all views of v: MIME type -> string, []byte (pictures) or json.RawMessage. There always is
// a text/plain among them.
//
// What v offers by methods wins over what is known of its kind, and an entry of MIMEBundle wins over the method for that type:
//
//	MIMEBundle() map[string]any    HTML() string    Markdown() string    LaTeX() string    SVG() string    PNG() []byte
//	JSON() any (or string, []byte, json.RawMessage)
//
// A MIMEBundle that is empty but not nil says that there is nothing to show. JSON is left out where one of the others is
// there, since front ends would prefer it. Kinds that are known: image.Image, error, GoMLX tensors, gonum matrices, slices of
// structs, of maps and of rows (as tables), slices of numbers; all else is text, as fmt's %+v writes it.
func Bundle(v any) map[string]any {
	b, failure := offered(v)
	if len(b) == 0 && failure == "" {
		b = known(v)
	} else if b == nil {
		b = map[string]any{}
	}
	if _, ok := b[Plain]; !ok {
		b[Plain] = fallback(v, b)
	}
	tidy(b)
	if failure != "" {
		b[Plain] = fmt.Sprintf("%s\n%s", b[Plain], failure)
	}
	return b
}

// Values returns the views of several values side by side, as a call with several results has them; nil if there is nothing to
// show but nils.
func Values(values ...any) map[string]any {
	var bundles []map[string]any
	var texts []string
	var last map[string]any // of the values that are not nil
	count := 0
	for _, v := range values {
		b := Bundle(v)
		if len(b) == 1 && b[Plain] == "" {
			continue
		}
		bundles = append(bundles, b)
		texts = append(texts, fmt.Sprint(b[Plain]))
		if v != nil {
			last = b
			count++
		}
	}
	if count == 0 {
		return nil
	}
	sep := ", "
	if strings.Contains(strings.Join(texts, ""), "\n") {
		sep = "\n"
	}
	text := cut(strings.Join(texts, sep))
	if count == 1 {
		last[Plain] = text
		return last
	}
	out := map[string]any{Plain: text}
	var html strings.Builder
	rich := false
	for _, b := range bundles {
		part, ok := Inline(b)
		rich = rich || ok
		html.WriteString("<div>" + part + "</div>\n")
	}
	if rich {
		out[HTML] = html.String()
	}
	return out
}

// Inline returns a bundle as HTML that can stand within other HTML, and whether it is more than its text.
func Inline(b map[string]any) (html string, rich bool) {
	if s, ok := b[HTML].(string); ok {
		return s, true
	}
	if s, ok := b[SVG].(string); ok {
		return s, true
	}
	if p, ok := b[PNG].([]byte); ok {
		return pngTag(p), true
	}
	for _, mime := range []string{LaTeX, Markdown, Plain} {
		if s, ok := b[mime].(string); ok {
			return preformatted(s), mime == LaTeX
		}
	}
	return "", false
}

// offered returns what v offers by methods, and what went wrong with them.
func offered(v any) (b map[string]any, failure string) {
	add := func(mime, method string, get func() any) {
		if b == nil {
			b = map[string]any{}
		}
		got, problem := try(method, get)
		if problem != "" {
			failure = problem
		} else if got != nil {
			b[mime] = got
		}
	}
	if m, ok := v.(interface{ HTML() string }); ok {
		add(HTML, "HTML", func() any { return m.HTML() })
	}
	if m, ok := v.(interface{ Markdown() string }); ok {
		add(Markdown, "Markdown", func() any { return m.Markdown() })
	}
	if m, ok := v.(interface{ LaTeX() string }); ok {
		add(LaTeX, "LaTeX", func() any { return m.LaTeX() })
	}
	if m, ok := v.(interface{ SVG() string }); ok {
		add(SVG, "SVG", func() any { return m.SVG() })
	}
	if m, ok := v.(interface{ PNG() []byte }); ok {
		add(PNG, "PNG", func() any { return m.PNG() })
	}
	if len(b) == 0 && failure == "" {
		if get := jsonMethod(v); get != nil {
			add(JSON, "JSON", get)
		}
	}
	if m, ok := v.(interface{ MIMEBundle() map[string]any }); ok {
		var own map[string]any
		_, problem := try("MIMEBundle", func() any { own = m.MIMEBundle(); return nil })
		if problem != "" {
			return b, problem
		}
		if own != nil && b == nil {
			b = map[string]any{}
			if len(own) == 0 {
				b[Plain] = ""
			}
		}
		for mime, part := range own {
			b[mime] = part
		}
	}
	return b, failure
}

// try calls a method of the value that is shown; one that panics must not take the cell with it.
func try(method string, get func() any) (got any, problem string) {
	defer func() {
		if p := recover(); p != nil {
			got, problem = nil, fmt.Sprintf("(its method %s panics: %v)", method, p)
		}
	}()
	return get(), ""
}

// known returns the views that a value's kind has, and its text.
func known(v any) map[string]any {
	b := kindViews(v)
	if b == nil {
		b = map[string]any{}
	}
	if _, ok := b[Plain]; !ok {
		b[Plain] = Text(v)
	}
	return b
}

func kindViews(v any) (b map[string]any) {
	defer func() {
		if p := recover(); p != nil { // a method such as At panics: the text is left
			b = nil
		}
	}()
	switch v := v.(type) {
	case nil:
		return nil
	case image.Image:
		return imageViews(v)
	case error:
		return map[string]any{HTML: errorHTML(v), Plain: v.Error()}
	case tensor:
		return tensorViews(v)
	case matrix:
		return matrixViews(v)
	case fmt.Stringer, fmt.Formatter:
		return nil
	}
	return tableViews(v)
}
