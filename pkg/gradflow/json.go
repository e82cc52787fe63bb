package gradflow

import (
	"bytes"
	"encoding"
	"encoding/json"
	"math"
	"reflect"
	"strings"

	"github.com/gradbook/gradbook/pkg/activation"
	"github.com/pkg/errors"
)

// JSON has no NaN and no infinities, and both are what a report of a sick net is about: they are written as the strings
// "NaN", "Infinity" and "-Infinity". The two functions below do that for structs, slices and pointers of structs, by their json tags.

// MarshalJSON writes the report as JSON, with NaN and infinities as strings.
func (r Report) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	err := encode(&b, reflect.ValueOf(r))
	return b.Bytes(), err
}

// UnmarshalJSON reads what MarshalJSON wrote. Numbers that are not there become 0, as everywhere in JSON.
func (r *Report) UnmarshalJSON(data []byte) error {
	*r = Report{}
	return decode(data, reflect.ValueOf(r).Elem())
}

// tagOf returns a field's name in JSON ("" for none), and whether it is left out if empty.
func tagOf(f reflect.StructField) (name string, omit bool) {
	name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
	if name == "-" {
		return "", false
	}
	return name, options == "omitempty"
}

func encode(b *bytes.Buffer, v reflect.Value) error {
	switch v.Kind() {
	case reflect.Float64:
		switch f := v.Float(); {
		case math.IsNaN(f):
			b.WriteString(`"NaN"`)
			return nil
		case math.IsInf(f, 1):
			b.WriteString(`"Infinity"`)
			return nil
		case math.IsInf(f, -1):
			b.WriteString(`"-Infinity"`)
			return nil
		}
	case reflect.Pointer:
		if !v.IsNil() {
			return encode(b, v.Elem())
		}
	case reflect.Slice:
		if v.IsNil() {
			break
		}
		b.WriteByte('[')
		for i := range v.Len() {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := encode(b, v.Index(i)); err != nil {
				return err
			}
		}
		b.WriteByte(']')
		return nil
	case reflect.Struct:
		if a, ok := v.Interface().(activation.Activation); ok && a.Valid() != nil {
			b.WriteString(`""`) // not known
			return nil
		} else if _, ok := v.Interface().(encoding.TextMarshaler); ok {
			break
		}
		separator := byte('{')
		for i := range v.NumField() {
			name, omit := tagOf(v.Type().Field(i))
			if name == "" || omit && v.Field(i).IsZero() {
				continue
			}
			b.WriteByte(separator)
			b.WriteString(`"` + name + `":`)
			if err := encode(b, v.Field(i)); err != nil {
				return err
			}
			separator = ','
		}
		b.WriteByte('}')
		return nil
	}
	data, err := json.Marshal(v.Interface())
	b.Write(data)
	return err
}

func decode(data []byte, v reflect.Value) error {
	switch v.Kind() {
	case reflect.Float64:
		var text string
		if json.Unmarshal(data, &text) == nil {
			f, ok := map[string]float64{"NaN": math.NaN(), "Infinity": math.Inf(1), "-Infinity": math.Inf(-1)}[text]
			if !ok && text != "" {
				return errors.Errorf("%q is no number; it can be a number, NaN, Infinity or -Infinity", text)
			}
			if ok {
				v.SetFloat(f)
				return nil
			}
		}
	case reflect.Pointer:
		if string(data) == "null" {
			return nil
		}
		v.Set(reflect.New(v.Type().Elem()))
		return decode(data, v.Elem())
	case reflect.Slice:
		var items []json.RawMessage
		if err := json.Unmarshal(data, &items); err != nil || items == nil {
			return err
		}
		v.Set(reflect.MakeSlice(v.Type(), len(items), len(items)))
		for i, item := range items {
			if err := decode(item, v.Index(i)); err != nil {
				return err
			}
		}
		return nil
	case reflect.Struct:
		if _, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
			if string(data) == `""` {
				return nil
			}
			break
		}
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(data, &fields); err != nil {
			return err
		}
		for i := range v.NumField() {
			name, _ := tagOf(v.Type().Field(i))
			if item, ok := fields[name]; ok && name != "" {
				if err := decode(item, v.Field(i)); err != nil {
					return errors.WithMessagef(err, "%s", name)
				}
			}
		}
		return nil
	}
	return json.Unmarshal(data, v.Addr().Interface())
}
