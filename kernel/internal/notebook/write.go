package notebook

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gradbook/gradbook/kernel/internal/session"
)

// Encode returns the notebook as the text of an .ipynb file, nbformat 4.5, laid out as
// Jupyter's own writer does it. Cells without an id are given one.
func (n *Notebook) Encode() []byte {
	n.nameCells()
	top := maps.Clone(n.extra)
	if top == nil {
		top = map[string]any{}
	}
	cells := make([]any, len(n.Cells))
	for i, c := range n.Cells {
		cells[i] = c.tree()
	}
	top["cells"] = cells
	top["metadata"] = orEmpty(n.Metadata)
	top["nbformat"] = json.Number(fmt.Sprint(Format))
	top["nbformat_minor"] = json.Number(fmt.Sprint(FormatMinor))
	return append(appendJSON(nil, top, "\n"), '\n')
}

// WriteFile writes the notebook to a file: whole, or not at all. The permissions of a file
// that exists are kept, and a link is followed.
func (n *Notebook) WriteFile(path string) error {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	tmp, err := create(path)
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // fails after the rename, as it should
	defer tmp.Close()
	if old, err := os.Stat(path); err == nil {
		if err := tmp.Chmod(old.Mode().Perm()); err != nil {
			return err
		}
	}
	if _, err := tmp.Write(n.Encode()); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil // the file is in place; a folder that cannot be read cannot be synced
	}
	defer dir.Close()
	return dir.Sync()
}

// CanWrite tells, before anything is run, whether WriteFile could write to path.
func CanWrite(path string) error {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no file (%s); name a file to write the notebook to", path, info.Mode())
	}
	tmp, err := create(path)
	if err != nil {
		return err
	}
	tmp.Close()
	return os.Remove(tmp.Name())
}

// create makes a new file beside path, with the permissions that a new file gets here
// (os.CreateTemp would make it private).
func create(path string) (*os.File, error) {
	dir, base := filepath.Split(path)
	for try := 0; ; try++ {
		name := filepath.Join(dir, fmt.Sprintf(".%s.%d-%d.tmp", base, os.Getpid(), try))
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if err == nil {
			return f, nil
		}
		if !os.IsExist(err) || try == 100 {
			if pe, ok := err.(*fs.PathError); ok {
				err = pe.Err
			}
			return nil, fmt.Errorf("cannot write %s: %w", path, err)
		}
	}
}

func orEmpty(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

func setCount(t map[string]any, n int) {
	if n > 0 {
		t["execution_count"] = json.Number(fmt.Sprint(n))
	} else if _, ok := t["execution_count"]; !ok {
		t["execution_count"] = nil
	}
}

// tree returns the cell as JSON values.
func (c *Cell) tree() map[string]any {
	t := maps.Clone(c.extra)
	if t == nil {
		t = map[string]any{}
	}
	t["cell_type"] = c.Kind
	t["id"] = c.ID
	t["metadata"] = orEmpty(c.Metadata)
	t["source"] = splitLines(c.Source)
	if attachments, ok := t["attachments"].(map[string]any); ok {
		split := map[string]any{}
		for name, bundle := range attachments {
			if b, ok := bundle.(map[string]any); ok {
				bundle = splitBundle(b)
			}
			split[name] = bundle
		}
		t["attachments"] = split
	}
	if c.Kind != Code {
		return t
	}
	setCount(t, c.ExecutionCount)
	outputs := make([]any, len(c.Outputs))
	for i, o := range c.Outputs {
		outputs[i] = o.tree()
	}
	t["outputs"] = outputs
	return t
}

func (o *Output) tree() map[string]any {
	t := maps.Clone(o.extra)
	if t == nil {
		t = map[string]any{}
	}
	t["output_type"] = o.Type
	switch o.Type {
	case "stream":
		t["name"] = o.Name
		t["text"] = splitLines(o.Text())
	case "error":
		t["ename"], t["evalue"] = o.ErrorName, o.ErrorValue
		lines := make([]any, len(o.Traceback))
		for i, line := range o.Traceback {
			lines[i] = line
		}
		t["traceback"] = lines
	default:
		t["data"] = splitBundle(o.Data)
		t["metadata"] = orEmpty(o.Metadata)
		if o.Type == "execute_result" {
			setCount(t, o.ExecutionCount)
		}
	}
	return t
}

// splitBundle splits what is text in a MIME bundle into lines, as Jupyter does.
func splitBundle(bundle map[string]any) map[string]any {
	t := make(map[string]any, len(bundle))
	for mime, value := range bundle {
		text, ok := value.(string)
		if ok && session.TextType(mime) {
			value = splitLines(text)
		}
		t[mime] = value
	}
	return t
}

// lines is a text that is written as a list of its lines.
type lines string

func splitLines(text string) any { return lines(text) }

// next cuts the first line off, where Python's str.splitlines would.
func (l lines) next() (line string, rest lines) {
	for i, r := range l {
		switch r {
		case '\r':
			if strings.HasPrefix(string(l[i:]), "\r\n") {
				return string(l[:i+2]), l[i+2:]
			}
		case '\n', '\v', '\f', 0x1c, 0x1d, 0x1e, 0x85, 0x2028, 0x2029:
		default:
			continue
		}
		end := i + utf8.RuneLen(r)
		return string(l[:end]), l[end:]
	}
	return string(l), ""
}

// appendJSON appends a JSON value as Python's json.dumps(v, indent=1, sort_keys=True,
// ensure_ascii=False) writes it; newline holds the line break and the current indent.
func appendJSON(b []byte, v any, newline string) []byte {
	inner := newline + " "
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case bool:
		return fmt.Append(b, v)
	case json.Number:
		return append(b, v...)
	case string:
		return appendString(b, v)
	case lines:
		if v == "" {
			return append(b, "[]"...)
		}
		sep := "["
		for v != "" {
			var line string
			line, v = v.next()
			b = append(append(b, sep...), inner...)
			b = appendString(b, line)
			sep = ","
		}
		return append(append(b, newline...), ']')
	case []any:
		if len(v) == 0 {
			return append(b, "[]"...)
		}
		sep := "["
		for _, e := range v {
			b = append(append(b, sep...), inner...)
			b = appendJSON(b, e, inner)
			sep = ","
		}
		return append(append(b, newline...), ']')
	case map[string]any:
		if len(v) == 0 {
			return append(b, "{}"...)
		}
		sep := "{"
		for _, key := range slices.Sorted(maps.Keys(v)) {
			b = append(append(b, sep...), inner...)
			b = append(appendString(b, key), ": "...)
			b = appendJSON(b, v[key], inner)
			sep = ","
		}
		return append(append(b, newline...), '}')
	}
	panic(fmt.Sprintf("notebook: %T in a JSON tree", v))
}

// appendString appends a JSON string in which only what must be is escaped.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, `\n`...)
		case r == '\r':
			b = append(b, `\r`...)
		case r == '\t':
			b = append(b, `\t`...)
		case r == '\b':
			b = append(b, `\b`...)
		case r == '\f':
			b = append(b, `\f`...)
		case r < 0x20:
			b = fmt.Appendf(b, `\u%04x`, r)
		default: // a byte that is not UTF-8 (a program may print any) becomes U+FFFD
			b = utf8.AppendRune(b, r)
		}
		i += size
	}
	return append(b, '"')
}
