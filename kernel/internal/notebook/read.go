package notebook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/gradbook/gradbook/kernel/internal/session"
)

// Read reads a notebook from a file. Its errors name the file.
func Read(path string) (*Notebook, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	n, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return n, nil
}

// Parse reads a notebook from the text of an .ipynb file, nbformat 4.0 to 4.5.
func Parse(data []byte) (*Notebook, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, errors.New("the file is empty; a notebook is a JSON object with a list of cells")
	}
	var top map[string]json.RawMessage
	if err := json.Unmarshal(data, &top); err != nil {
		return nil, notJSON(data, err)
	}
	if top == nil {
		return nil, errors.New("JSON, but no notebook: it holds null, and a notebook is an object with a list of cells")
	}
	if err := checkFormat(top); err != nil {
		return nil, err
	}
	n := &Notebook{}
	var cells []json.RawMessage
	if raw, ok := top["cells"]; ok {
		if err := json.Unmarshal(raw, &cells); err != nil {
			return nil, fmt.Errorf("not a notebook: \"cells\" holds %s, and must be a list", describe(raw))
		}
	}
	delete(top, "cells")
	for i, raw := range cells {
		cells[i] = nil // outputs can be large, and this is a copy
		c, err := parseCell(raw)
		if err != nil {
			return nil, fmt.Errorf("cell %d of %d: %w", i+1, len(cells), err)
		}
		n.Cells = append(n.Cells, c)
	}
	if problem := badText(data); problem != "" {
		return nil, fmt.Errorf("outside the cells: %s", problem)
	}
	n.extra = map[string]any{}
	for key, raw := range top {
		n.extra[key] = decode(raw)
	}
	var err error
	if n.Metadata, err = take[map[string]any](n.extra, "metadata", "an object"); err != nil {
		return nil, err
	}
	return n, nil
}

// notJSON says where the text stops being JSON, or that it is JSON but no object.
func notJSON(data []byte, err error) error {
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return fmt.Errorf("JSON, but no notebook: it holds %s, and a notebook is an object with a list of cells", describe(data))
	}
	at := max(min(int(syntax.Offset), len(data))-1, 0)
	line := 1 + bytes.Count(data[:at], []byte("\n"))
	col := 1 + utf8.RuneCount(data[bytes.LastIndexByte(data[:at], '\n')+1:at])
	hint := ""
	for _, word := range []string{"NaN", "Infinity", "-Infinity"} {
		if bytes.HasPrefix(data[at:], []byte(word)) || at > 0 && bytes.HasPrefix(data[at-1:], []byte(word)) {
			hint = "; Python writes NaN and Infinity, which JSON lacks: clear that cell's output"
		}
	}
	if bytes.HasPrefix(data, []byte("<<<<<<<")) || bytes.Contains(data, []byte("\n<<<<<<< ")) {
		hint = "; the file holds the marks of an unresolved merge"
	}
	return fmt.Errorf("not JSON: line %d, column %d: %s%s", line, col, syntax, hint)
}

// checkFormat refuses what is not nbformat 4.0 to 4.5.
func checkFormat(top map[string]json.RawMessage) error {
	raw, ok := top["nbformat"]
	if !ok {
		return errors.New("JSON, but no notebook: it has no field \"nbformat\"")
	}
	var major int
	minor := 0
	if err := json.Unmarshal(raw, &major); err != nil {
		return fmt.Errorf("not a notebook: \"nbformat\" is %s, and must be a whole number", describe(raw))
	}
	if raw, ok := top["nbformat_minor"]; ok {
		if err := json.Unmarshal(raw, &minor); err != nil {
			return fmt.Errorf("not a notebook: \"nbformat_minor\" is %s, and must be a whole number", describe(raw))
		}
	}
	switch {
	case major < Format:
		return fmt.Errorf("nbformat %d, and 4.0 to 4.5 can be read; "+
			"open it in JupyterLab and save it, or run 'jupyter nbconvert --to notebook FILE', which writes nbformat 4", major)
	case major > Format || minor > FormatMinor:
		return fmt.Errorf("nbformat %d.%d, and 4.0 to 4.5 can be read; it comes from a newer Jupyter: "+
			"save it as nbformat 4.5 there, or use a newer Gradbook", major, minor)
	case minor < 0:
		return fmt.Errorf("nbformat %d.%d does not exist; 4.0 to 4.5 can be read", major, minor)
	}
	return nil
}

// describe names a JSON value in an error.
func describe(raw []byte) string {
	raw = bytes.TrimSpace(raw)
	switch raw[0] {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a string"
	}
	return string(raw)
}

// decode turns JSON that is known to be valid into a tree that keeps numbers as written.
func decode(raw []byte) any {
	var v any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&v); err != nil && err != io.EOF {
		panic(err) // json.Unmarshal has accepted the whole text
	}
	return v
}

// badText says what in a JSON text is not Unicode, or returns "". Go would replace it silently.
func badText(raw []byte) string {
	if !utf8.Valid(raw) {
		at := 0
		for {
			r, size := utf8.DecodeRune(raw[at:])
			if r == utf8.RuneError && size == 1 {
				break
			}
			at += size
		}
		return fmt.Sprintf("invalid UTF-8: byte 0x%02x after %s; write the text as UTF-8", raw[at], lastWords(raw[:at]))
	}
	for at := 0; ; {
		next := bytes.IndexByte(raw[at:], '\\')
		if next < 0 {
			return ""
		}
		at += next
		unit := surrogate(raw[at:])
		switch {
		case unit == 0:
			at += 2
		case unit < 0xdc00 && surrogate(raw[at+6:]) >= 0xdc00:
			at += 12
		default:
			return fmt.Sprintf("invalid text: %s after %s is half a character (a lone surrogate); remove it", raw[at:at+6], lastWords(raw[:at]))
		}
	}
}

// surrogate returns the UTF-16 surrogate that raw begins with as an escape, or 0.
func surrogate(raw []byte) int {
	if len(raw) < 6 || raw[0] != '\\' || raw[1] != 'u' {
		return 0
	}
	unit := 0
	if _, err := fmt.Sscanf(string(raw[2:6]), "%04x", &unit); err != nil || unit < 0xd800 || unit > 0xdfff {
		return 0
	}
	return unit
}

// lastWords quotes the end of the valid text before a fault, so that it can be found.
func lastWords(raw []byte) string {
	if len(raw) > 24 {
		raw = raw[len(raw)-24:]
		for len(raw) > 0 && !utf8.RuneStart(raw[0]) {
			raw = raw[1:]
		}
	}
	return fmt.Sprintf("%q", raw)
}

// take removes a field and returns it; a missing or null one is T's zero value.
func take[T any](fields map[string]any, key, want string) (T, error) {
	v, ok := fields[key]
	delete(fields, key)
	t, right := v.(T)
	if ok && v != nil && !right {
		text, _ := json.Marshal(v)
		return t, fmt.Errorf("field %q holds %s, and must be %s", key, describe(text), want)
	}
	return t, nil
}

// takeText removes a text field, which may be a string or a list of strings.
func takeText(fields map[string]any, key string) (string, error) {
	v, ok := fields[key]
	delete(fields, key)
	if text, right := joined(v); right {
		return text, nil
	}
	if !ok {
		return "", nil
	}
	raw, _ := json.Marshal(v)
	return "", fmt.Errorf("field %q holds %s, and must be a string or a list of strings", key, describe(raw))
}

// joined returns a string, or a list of strings joined.
func joined(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case []any:
		var b strings.Builder
		size := 0
		for _, line := range v {
			s, _ := line.(string)
			size += len(s)
		}
		b.Grow(size)
		for _, line := range v {
			s, ok := line.(string)
			if !ok {
				return "", false
			}
			b.WriteString(s)
		}
		return b.String(), true
	}
	return "", false
}

func takeCount(fields map[string]any) (int, error) {
	number, err := take[json.Number](fields, "execution_count", "a number or null")
	if err != nil || number == "" {
		return 0, err
	}
	count, err := number.Int64()
	if err != nil || count < 0 {
		return 0, fmt.Errorf("field \"execution_count\" is %s, and must be a whole number or null", number)
	}
	if count == 0 {
		fields["execution_count"] = number // 0 is not null; it is written back
	}
	return int(count), nil
}

// parseCell reads one cell; its errors are to be prefixed by the cell's number.
func parseCell(raw []byte) (*Cell, error) {
	if raw[0] != '{' {
		return nil, fmt.Errorf("it is %s, and must be an object", describe(raw))
	}
	if problem := badText(raw); problem != "" {
		return nil, errors.New(problem)
	}
	c := &Cell{extra: decode(raw).(map[string]any)}
	var err error
	if c.Kind, err = take[string](c.extra, "cell_type", "a string"); err != nil {
		return nil, err
	}
	if c.Kind != Code && c.Kind != Markdown && c.Kind != Raw {
		return nil, fmt.Errorf("cell_type is %q, and must be \"code\", \"markdown\" or \"raw\"", c.Kind)
	}
	if c.ID, err = take[string](c.extra, "id", "a string"); err != nil {
		return nil, err
	}
	if c.Source, err = takeText(c.extra, "source"); err != nil {
		return nil, err
	}
	if c.Metadata, err = take[map[string]any](c.extra, "metadata", "an object"); err != nil {
		return nil, err
	}
	if attachments, ok := c.extra["attachments"].(map[string]any); ok {
		for _, bundle := range attachments {
			joinBundle(bundle)
		}
	}
	if c.Kind != Code {
		return c, nil
	}
	if c.ExecutionCount, err = takeCount(c.extra); err != nil {
		return nil, err
	}
	outputs, err := take[[]any](c.extra, "outputs", "a list")
	if err != nil {
		return nil, err
	}
	for i, v := range outputs {
		fields, ok := v.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("output %d is no object", i+1)
		}
		o, err := parseOutput(fields)
		if err != nil {
			return nil, fmt.Errorf("output %d: %w", i+1, err)
		}
		c.Outputs = append(c.Outputs, o)
	}
	return c, nil
}

// joinBundle joins the lists of lines of a MIME bundle.
func joinBundle(v any) {
	bundle, _ := v.(map[string]any)
	for mime, value := range bundle {
		if text, ok := joined(value); ok && !session.JSONType(mime) {
			bundle[mime] = text
		}
	}
}

func parseOutput(fields map[string]any) (*Output, error) {
	o := &Output{extra: fields}
	var err error
	if o.Type, err = take[string](fields, "output_type", "a string"); err != nil {
		return nil, err
	}
	switch o.Type {
	case "stream":
		if o.Name, err = take[string](fields, "name", "a string"); err != nil {
			return nil, err
		}
		text, err := takeText(fields, "text")
		o.text.WriteString(text)
		return o, err
	case "display_data", "execute_result":
		if o.Data, err = take[map[string]any](fields, "data", "an object"); err != nil {
			return nil, err
		}
		joinBundle(o.Data)
		if o.Metadata, err = take[map[string]any](fields, "metadata", "an object"); err != nil {
			return nil, err
		}
		if o.Type == "execute_result" {
			o.ExecutionCount, err = takeCount(fields)
		}
		return o, err
	case "error":
		if o.ErrorName, err = take[string](fields, "ename", "a string"); err != nil {
			return nil, err
		}
		if o.ErrorValue, err = take[string](fields, "evalue", "a string"); err != nil {
			return nil, err
		}
		lines, err := take[[]any](fields, "traceback", "a list of strings")
		for _, line := range lines {
			s, ok := line.(string)
			if !ok {
				return nil, errors.New("field \"traceback\" must be a list of strings")
			}
			o.Traceback = append(o.Traceback, s)
		}
		return o, err
	}
	return nil, fmt.Errorf("output_type is %q, and must be \"stream\", \"display_data\", \"execute_result\" or \"error\"", o.Type)
}
