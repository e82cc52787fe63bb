package view

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
)

// jsonMethod returns a call of v's method JSON, nil if it has none.
func jsonMethod(v any) func() any {
	switch m := v.(type) {
	case interface{ JSON() any }:
		return m.JSON
	case interface{ JSON() json.RawMessage }:
		return func() any { return m.JSON() }
	case interface{ JSON() []byte }:
		return func() any { return m.JSON() }
	case interface{ JSON() string }:
		return func() any { return m.JSON() }
	}
	return nil
}

// tidy brings the parts of a bundle into the forms that Bundle promises. What cannot be is left out, and the text says so.
func tidy(b map[string]any) {
	for mime, part := range b {
		if isJSON(mime) {
			raw, err := rawJSON(part)
			if err != nil {
				delete(b, mime)
				b[Plain] = fmt.Sprintf("%v\n(%s is left out: %v)", b[Plain], mime, err)
				continue
			}
			b[mime] = raw
			continue
		}
		switch p := part.(type) {
		case string:
		case []byte:
			if strings.HasPrefix(mime, "text/") || mime == SVG {
				b[mime] = string(p)
			}
		default:
			if r := reflect.ValueOf(part); r.IsValid() && r.Kind() == reflect.String { // template.HTML and the like
				b[mime] = r.String()
			} else {
				b[mime] = fmt.Sprint(part)
			}
		}
	}
	text, _ := b[Plain].(string)
	b[Plain] = cut(text)
}

func isJSON(mime string) bool { return mime == JSON || strings.HasSuffix(mime, "+json") }

// rawJSON returns a part as JSON; text that is JSON already is taken as such.
func rawJSON(part any) (json.RawMessage, error) {
	switch p := part.(type) {
	case []byte:
		part = json.RawMessage(p)
	case string:
		if json.Valid([]byte(p)) {
			part = json.RawMessage(p)
		}
	}
	return Marshal(part)
}

// Marshal encodes v as JSON. Numbers that JSON does not have (NaN, infinities) become null, as plots want it.
func Marshal(v any) (data json.RawMessage, err error) {
	defer func() {
		if p := recover(); p != nil { // from a method MarshalJSON
			data, err = nil, fmt.Errorf("panic: %v", p)
		}
	}()
	data, err = json.Marshal(v)
	if e, ok := err.(*json.UnsupportedValueError); ok && !strings.HasPrefix(e.Str, "encountered a cycle") {
		data, err = json.Marshal(finite(reflect.ValueOf(v)))
	}
	return data, err
}

// finite copies maps, lists and numbers, with nil for numbers that are not finite.
func finite(v reflect.Value) any {
	if !v.IsValid() {
		return nil
	}
	switch v.Kind() {
	case reflect.Interface, reflect.Pointer:
		return finite(v.Elem())
	case reflect.Float32, reflect.Float64:
		if f := v.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			return nil
		}
	case reflect.Map:
		if v.IsNil() || v.Type().Key().Kind() != reflect.String {
			break
		}
		out := map[string]any{}
		for it := v.MapRange(); it.Next(); {
			out[it.Key().String()] = finite(it.Value())
		}
		return out
	case reflect.Slice, reflect.Array:
		if v.Kind() == reflect.Slice && (v.IsNil() || v.Type().Elem().Kind() == reflect.Uint8) {
			break
		}
		out := make([]any, v.Len())
		for i := range out {
			out[i] = finite(v.Index(i))
		}
		return out
	}
	return v.Interface()
}
