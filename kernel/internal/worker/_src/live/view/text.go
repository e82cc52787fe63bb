package view

import (
	"fmt"
	"html"
	"image/png"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	maxText = 1 << 15 // bytes of a text
	oneLine = 80      // a text up to this is left on one line
	maxList = 200     // elements of a list that are all written
	firsts  = 20      // of a longer one, the first
	lasts   = 5       // and the last
)

// cut bounds a text.
func cut(s string) string {
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText], "") + fmt.Sprintf("... (%d bytes more)", len(s)-maxText)
}

// fallback is the text of a value with these views.
func fallback(v any, b map[string]any) string {
	switch v.(type) {
	case error, fmt.Stringer:
		return Text(v)
	}
	for _, mime := range []string{Markdown, LaTeX} {
		if s, ok := b[mime].(string); ok {
			return s
		}
	}
	if s, ok := b[HTML].(string); ok {
		if s = Strip(s); s != "" {
			return s
		}
	}
	if s, ok := b[SVG].(string); ok {
		return svgText(s)
	}
	if p, ok := b[PNG].([]byte); ok {
		c, err := png.DecodeConfig(strings.NewReader(string(p)))
		if err != nil {
			return fmt.Sprintf("(PNG that cannot be read: %v)", err)
		}
		return fmt.Sprintf("(PNG picture, %d×%d)", c.Width, c.Height)
	}
	if j, ok := b[JSON]; ok {
		if text, err := Marshal(j); err == nil {
			return string(text)
		}
	}
	return Text(v)
}

var svgTitle = regexp.MustCompile(`(?s)<title[^>]*>(.*?)</title>`)

func svgText(svg string) string {
	if m := svgTitle.FindStringSubmatch(svg); m != nil {
		return "(SVG picture: " + strings.TrimSpace(html.UnescapeString(m[1])) + ")"
	}
	return "(SVG picture)"
}

var (
	htmlHidden = regexp.MustCompile(`(?is)<!--.*?-->|<(script|style)\b.*?</(script|style)\s*>`)
	htmlBreak  = regexp.MustCompile(`(?i)<br\s*/?>|</(p|div|tr|li|h[1-6]|table|pre|ul|ol)\s*>`)
	htmlCell   = regexp.MustCompile(`(?i)</t[dh]\s*>`)
	htmlTag    = regexp.MustCompile(`(?s)<[a-zA-Z/!][^>]*>`)
	blankLines = regexp.MustCompile(`\n\s*\n\s*`)
)

// Strip returns the text in HTML.
func Strip(s string) string {
	s = htmlHidden.ReplaceAllString(s, "")
	s = htmlCell.ReplaceAllString(s, "\t")
	s = htmlBreak.ReplaceAllString(s, "\n")
	s = html.UnescapeString(htmlTag.ReplaceAllString(s, ""))
	var lines []string
	for line := range strings.Lines(s) {
		lines = append(lines, strings.TrimRight(line, " \t\r\n"))
	}
	return strings.TrimSpace(blankLines.ReplaceAllString(strings.Join(lines, "\n"), "\n\n"))
}

// preformatted is text as HTML that looks like it.
func preformatted(s string) string {
	return `<pre style="margin:0">` + html.EscapeString(s) + "</pre>"
}

func errorHTML(err error) string {
	return `<pre style="margin:0;color:var(--jp-error-color1,#c62828)">` + html.EscapeString(cut(err.Error())) + "</pre>" +
		`<small style="opacity:0.7">` + html.EscapeString(fmt.Sprintf("%T", err)) + "</small>"
}

// Text is a value as a line of text, or more where it takes more.
func Text(v any) string {
	switch v := v.(type) {
	case nil:
		return "<nil>"
	case string:
		if len(v) > maxText {
			return strconv.Quote(strings.ToValidUTF8(v[:maxText], "")) + fmt.Sprintf("... (%d bytes more)", len(v)-maxText)
		}
		return strconv.Quote(v)
	case error, fmt.Stringer:
		return cut(fmt.Sprint(v))
	case fmt.Formatter:
		return cut(fmt.Sprintf("%v", v))
	}
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Slice, reflect.Array:
		if isNumber(r.Type().Elem()) && r.Len() > firsts+lasts {
			return numbersText(r)
		}
		if r.Len() > maxList {
			return cut(fmt.Sprintf("[%s ... %s]\n(%d elements)", elements(r, 0, firsts), elements(r, r.Len()-lasts, r.Len()), r.Len()))
		}
	case reflect.Map:
		if r.Len() > maxList {
			return cut(mapText(r))
		}
	}
	return cut(fmt.Sprintf("%+v", v))
}

func elements(r reflect.Value, from, to int) string {
	var s []string
	for i := from; i < to; i++ {
		s = append(s, fmt.Sprintf("%+v", r.Index(i)))
	}
	return strings.Join(s, " ")
}

// mapText writes the first entries of a large map, in the order of their keys' texts.
func mapText(r reflect.Value) string {
	entries := make([]struct{ key, value string }, 0, r.Len())
	values := map[string]reflect.Value{}
	for it := r.MapRange(); it.Next(); {
		key := fmt.Sprintf("%+v", it.Key())
		entries = append(entries, struct{ key, value string }{key: key})
		values[key] = it.Value()
	}
	slices.SortFunc(entries, func(a, b struct{ key, value string }) int { return strings.Compare(a.key, b.key) })
	var s []string
	for _, e := range entries[:firsts] {
		s = append(s, fmt.Sprintf("%s:%+v", e.key, values[e.key]))
	}
	return fmt.Sprintf("map[%s ...]\n(%d entries)", strings.Join(s, " "), r.Len())
}

// isNumber reports whether t holds real numbers that are written as such.
func isNumber(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Float32, reflect.Float64:
		return !t.Implements(stringerType)
	}
	return false
}

var (
	stringerType = reflect.TypeFor[fmt.Stringer]()
	errorType    = reflect.TypeFor[error]()
)

// numbersText writes a long slice of numbers: its ends, and what lies between them.
func numbersText(r reflect.Value) string {
	n := r.Len()
	low, high, sum, finite := math.Inf(1), math.Inf(-1), 0.0, 0
	for i := range n {
		x := number(r.Index(i))
		if math.IsNaN(x) || math.IsInf(x, 0) {
			continue
		}
		low, high, sum, finite = min(low, x), max(high, x), sum+x, finite+1
	}
	var ends []string
	for _, i := range pick(n, firsts+lasts, firsts/2, lasts) {
		if i < 0 {
			ends = append(ends, "...")
			continue
		}
		ends = append(ends, cell(r.Index(i)))
	}
	text := fmt.Sprintf("[%s]\n(%d of %s", strings.Join(ends, " "), n, r.Type().Elem())
	if finite > 0 {
		text += fmt.Sprintf(": min %.6g, mean %.6g, max %.6g", low, sum/float64(finite), high)
	}
	if finite < n {
		text += fmt.Sprintf("; %d not finite", n-finite)
	}
	return text + ")"
}

func number(v reflect.Value) float64 {
	switch {
	case v.CanInt():
		return float64(v.Int())
	case v.CanUint():
		return float64(v.Uint())
	}
	return v.Float()
}

// pick returns the indices to show of n: all, or the first and the last ones with -1 for what is between.
func pick(n, all, first, last int) []int {
	var out []int
	for i := range n {
		switch {
		case n <= all || i < first || i >= n-last:
			out = append(out, i)
		case i == first:
			out = append(out, -1)
		}
	}
	return out
}

// maxCell bounds the text in a cell of a table.
const maxCell = 100

// cell writes a value into a cell of a table.
func cell(v reflect.Value) string {
	for v.IsValid() && v.Kind() == reflect.Interface && !v.IsNil() {
		v = v.Elem()
	}
	if !v.IsValid() {
		return ""
	}
	var s string
	switch t := v.Type(); {
	case t.Implements(stringerType) || t.Implements(errorType):
		s = fmt.Sprint(v)
	case t.Kind() == reflect.Float64:
		s = strconv.FormatFloat(v.Float(), 'g', 6, 64)
	case t.Kind() == reflect.Float32:
		s = strconv.FormatFloat(v.Float(), 'g', 6, 32)
	case t.Kind() == reflect.String:
		s = v.String()
	case t.Kind() == reflect.Pointer && !v.IsNil() && t.Elem().Kind() == reflect.Struct:
		s = fmt.Sprintf("&%+v", v.Elem())
	case (t.Kind() == reflect.Slice || t.Kind() == reflect.Array) && v.Len() > firsts:
		s = fmt.Sprintf("[%s ...]", elements(v, 0, firsts))
	case t.Kind() == reflect.Map && v.Len() > firsts:
		s = fmt.Sprintf("%s of %d", t, v.Len())
	default:
		s = fmt.Sprintf("%+v", v)
	}
	if utf8.RuneCountInString(s) > maxCell {
		s = string([]rune(s)[:maxCell-1]) + "…"
	}
	return strings.ReplaceAll(s, "\n", " ")
}
