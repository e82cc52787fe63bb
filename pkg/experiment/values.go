package experiment

import (
	"encoding/json"
	"math"
	"reflect"
	"strconv"

	"github.com/pkg/errors"
)

// Values are what one run found, by name: numbers (of any type), truth values (1 or 0), or slices of numbers such as losses by step. NaN and infinities are
// kept.
type Values map[string]any

// split sorts the values into numbers and series; the error names what is neither.
func (v Values) split() (numbers map[string]number, series map[string][]number, err error) {
	numbers, series = map[string]number{}, map[string][]number{}
	for name, value := range v {
		r := reflect.ValueOf(value)
		if x, ok := asNumber(r); ok {
			numbers[name] = x
			continue
		}
		if r.Kind() != reflect.Slice {
			return nil, nil, errors.Errorf("value %q is a %T: allowed are numbers, truth values and slices of numbers", name, value)
		}
		list := make([]number, r.Len())
		for i := range list {
			x, ok := asNumber(r.Index(i))
			if !ok {
				return nil, nil, errors.Errorf("value %q is a %T: allowed are numbers, truth values and slices of numbers", name, value)
			}
			list[i] = x
		}
		series[name] = list
	}
	return numbers, series, nil
}

func asNumber(v reflect.Value) (number, bool) {
	switch {
	case v.CanFloat():
		return number(v.Float()), true
	case v.CanInt():
		return number(v.Int()), true
	case v.CanUint():
		return number(v.Uint()), true
	case v.Kind() == reflect.Bool:
		if v.Bool() {
			return 1, true
		}
		return 0, true
	}
	return 0, false
}

// number is a float64 whose NaN and infinities survive JSON, as strings.
type number float64

// MarshalJSON writes the shortest text that reads back as the same number.
func (n number) MarshalJSON() ([]byte, error) {
	if f := float64(n); math.IsNaN(f) || math.IsInf(f, 0) {
		return json.Marshal(strconv.FormatFloat(f, 'g', -1, 64))
	}
	return json.Marshal(float64(n))
}

// UnmarshalJSON reads what MarshalJSON writes.
func (n *number) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) != nil {
		text = string(data)
	}
	f, err := strconv.ParseFloat(text, 64)
	*n = number(f)
	return err
}

func floats(numbers []number) []float64 {
	list := make([]float64, len(numbers))
	for i, n := range numbers {
		list[i] = float64(n)
	}
	return list
}
