package meanfield

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"strconv"
	"strings"

	"github.com/pkg/errors"
)

// JSON has no NaN and no infinity, results here do: they are written as the strings "NaN", "+Inf" and "-Inf".

// MarshalJSON writes the fields; what JSON has no number for becomes a string.
func (p Point) MarshalJSON() ([]byte, error) { return marshal(reflect.ValueOf(p)) }

// UnmarshalJSON reads what MarshalJSON writes.
func (p *Point) UnmarshalJSON(data []byte) error { return unmarshal(data, reflect.ValueOf(p).Elem()) }

// MarshalJSON is as that of [Point].
func (l Layer) MarshalJSON() ([]byte, error) { return marshal(reflect.ValueOf(l)) }

// UnmarshalJSON reads what MarshalJSON writes.
func (l *Layer) UnmarshalJSON(data []byte) error { return unmarshal(data, reflect.ValueOf(l).Elem()) }

// MarshalJSON is as that of [Point].
func (s Step) MarshalJSON() ([]byte, error) { return marshal(reflect.ValueOf(s)) }

// UnmarshalJSON reads what MarshalJSON writes.
func (s *Step) UnmarshalJSON(data []byte) error { return unmarshal(data, reflect.ValueOf(s).Elem()) }

// MarshalJSON is as that of [Point].
func (p EdgePoint) MarshalJSON() ([]byte, error) { return marshal(reflect.ValueOf(p)) }

// UnmarshalJSON reads what MarshalJSON writes.
func (p *EdgePoint) UnmarshalJSON(data []byte) error {
	return unmarshal(data, reflect.ValueOf(p).Elem())
}

func marshal(v reflect.Value) ([]byte, error) {
	out := bytes.NewBufferString("{")
	err := fields(v, func(name string, omit bool, field reflect.Value) error {
		if omit && field.IsZero() {
			return nil
		}
		text, err := []byte(nil), error(nil)
		if x, ok := field.Interface().(float64); ok && (math.IsNaN(x) || math.IsInf(x, 0)) {
			text = strconv.AppendQuote(nil, strconv.FormatFloat(x, 'g', -1, 64))
		} else if text, err = json.Marshal(field.Interface()); err != nil {
			return err
		}
		if out.Len() > 1 {
			out.WriteByte(',')
		}
		out.WriteString(strconv.Quote(name) + ":")
		out.Write(text)
		return nil
	})
	out.WriteByte('}')
	return out.Bytes(), err
}

func unmarshal(data []byte, v reflect.Value) error {
	texts := map[string]json.RawMessage{}
	if err := json.Unmarshal(data, &texts); err != nil {
		return errors.Wrapf(err, "reading a %s", v.Type())
	}
	return fields(v, func(name string, _ bool, field reflect.Value) error {
		text, ok := texts[name]
		if !ok {
			return nil
		}
		if field.Kind() == reflect.Float64 && bytes.HasPrefix(text, []byte(`"`)) {
			x, err := strconv.ParseFloat(strings.Trim(string(text), `"`), 64)
			if err != nil {
				return errors.Errorf("reading a %s: %s is %s, and should be a number or \"NaN\", \"+Inf\" or \"-Inf\"", v.Type(), name, text)
			}
			field.SetFloat(x)
			return nil
		}
		return errors.Wrapf(json.Unmarshal(text, field.Addr().Interface()), "reading %s of a %s", name, v.Type())
	})
}

// fields visits the fields of a struct and of those embedded in it, by their JSON names.
func fields(v reflect.Value, visit func(name string, omit bool, field reflect.Value) error) error {
	for i := range v.NumField() {
		if v.Type().Field(i).Anonymous {
			if err := fields(v.Field(i), visit); err != nil {
				return err
			}
			continue
		}
		name, option, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		if err := visit(name, option == "omitempty", v.Field(i)); err != nil {
			return err
		}
	}
	return nil
}
