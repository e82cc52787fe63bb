package notebook

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Drift is one place where a run gave something else than what a notebook records.
type Drift struct {
	Cell      *Cell // of the notebook that records
	What      string
	Want, Got string
}

// String is for a terminal: which cell, and what it was and is.
func (d Drift) String() string {
	return fmt.Sprintf("cell %s (%s): %s\n\trecorded: %s\n\tnow:      %s", d.Cell.ID, d.Cell.title(), d.What, d.Want, d.Got)
}

// tolerance says how far a cell's numbers may be from those on record. A cell's metadata has it under "gradbook":
// {"tolerance": 0.01, "absolute": 1e-6}; the wider of the two counts. {"varies": true}: the outputs are not compared.
type tolerance struct {
	relative, absolute float64
	varies             bool
}

func (t tolerance) allows(want, got float64) bool {
	if want == got || math.IsNaN(want) && math.IsNaN(got) {
		return true
	}
	return math.Abs(want-got) <= max(t.absolute, t.relative*math.Abs(want))
}

// tolerance reads the cell's tolerance and says what is wrong with it.
func (c *Cell) tolerance() (t tolerance, err error) {
	given, ok := c.Metadata["gradbook"]
	if !ok {
		return t, nil
	}
	fields, ok := given.(map[string]any)
	if !ok {
		return t, fmt.Errorf("the metadata \"gradbook\" of cell %s is no object; allowed is {\"tolerance\": 0.01, \"absolute\": 1e-6, \"varies\": false}", c.ID)
	}
	for name, value := range fields {
		good := false
		switch name {
		case "tolerance":
			t.relative, good = share(value)
		case "absolute":
			t.absolute, good = share(value)
		case "varies":
			t.varies, good = value.(bool)
		}
		if !good {
			return t, fmt.Errorf("the metadata \"gradbook\" of cell %s has %q: %v; allowed are \"tolerance\" and \"absolute\" (numbers, 0 or more) and \"varies\" (true or false)", c.ID, name, value)
		}
	}
	return t, nil
}

func share(value any) (float64, bool) {
	switch v := value.(type) {
	case float64:
		return v, v >= 0
	case json.Number:
		f, err := v.Float64()
		return f, err == nil && f >= 0
	}
	return 0, false
}

// Compare tells where the outputs of a run differ from those that a notebook records: texts word for word, numbers
// within the tolerance that the cell's metadata gives (none: exactly). Of pictures and widgets only
// their presence counts, and the text that stands for them. Cells are paired by their ids.
func Compare(recorded, run *Notebook) (drifts []Drift, err error) {
	now := map[string]*Cell{}
	for _, c := range run.Cells {
		now[c.ID] = c
	}
	for _, c := range recorded.Cells {
		if !c.runs() {
			continue
		}
		t, err := c.tolerance()
		if err != nil {
			return nil, err
		}
		got := now[c.ID]
		switch {
		case got == nil:
			drifts = append(drifts, Drift{c, "the cell is missing", "a cell of this id", "none"})
		case !t.varies:
			drifts = append(drifts, c.compare(got, t)...)
		}
	}
	return drifts, nil
}

// piece is one output, ready to be compared.
type piece struct {
	kind string // "stdout", "error", or the MIME types of a display
	text string
}

func (p piece) String() string {
	if p.text == "" {
		return p.kind
	}
	return p.kind + ": " + brief(p.text)
}

// brief is the start of a text, on one line.
func brief(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if r := []rune(text); len(r) > 100 {
		return string(r[:97]) + "..."
	}
	return text
}

// pieces lists the cell's outputs. What was printed is joined: where a stream is cut is chance.
func (c *Cell) pieces() (list []piece) {
	add := func(p piece) {
		if n := len(list); n > 0 && list[n-1].kind == p.kind && (p.kind == "stdout" || p.kind == "stderr") {
			list[n-1].text += p.text
			return
		}
		list = append(list, p)
	}
	for _, o := range c.Outputs {
		switch o.Type {
		case "stream":
			add(piece{o.Name, o.Text()})
		case "error":
			add(piece{"error", o.ErrorName + ": " + o.ErrorValue})
		default:
			text := ""
			if plain, ok := o.Data["text/plain"]; ok {
				text = fmt.Sprint(plain)
			}
			add(piece{strings.Join(slices.Sorted(maps.Keys(o.Data)), " "), text})
		}
	}
	return list
}

func (c *Cell) compare(got *Cell, t tolerance) (drifts []Drift) {
	want, have := c.pieces(), got.pieces()
	for i := range max(len(want), len(have)) {
		switch {
		case i >= len(have):
			drifts = append(drifts, Drift{c, "an output is missing", want[i].String(), "nothing"})
		case i >= len(want):
			drifts = append(drifts, Drift{c, "an output is new", "nothing", have[i].String()})
		case want[i].kind != have[i].kind:
			return append(drifts, Drift{c, "an output is of another kind", want[i].String(), have[i].String()})
		default:
			drifts = append(drifts, c.compareText(want[i].text, have[i].text, t)...)
		}
	}
	return drifts
}

// compareText goes line by line, so that a report can show the line.
func (c *Cell) compareText(want, have string, t tolerance) (drifts []Drift) {
	a, b := printedLines(want), printedLines(have)
	if len(a) != len(b) {
		return []Drift{{c, fmt.Sprintf("%d lines were printed, not %d", len(b), len(a)), brief(want), brief(have)}}
	}
	for i := range a {
		if what := differ(a[i], b[i], t); what != "" {
			drifts = append(drifts, Drift{c, what, brief(a[i]), brief(b[i])})
		}
	}
	return drifts
}

func printedLines(text string) []string { return strings.Split(strings.TrimRight(text, " \t\n"), "\n") }

var number = regexp.MustCompile(`[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?`)

// differ says how two lines differ, or nothing. How wide a gap is does not matter: it follows the digits of a number.
func differ(want, have string, t tolerance) string {
	words := func(s string) string { return strings.Join(strings.Fields(number.ReplaceAllString(s, " # ")), " ") }
	if words(want) != words(have) {
		return "the words differ"
	}
	a, b := number.FindAllString(want, -1), number.FindAllString(have, -1)
	for i := range a {
		x, errX := strconv.ParseFloat(a[i], 64)
		y, errY := strconv.ParseFloat(b[i], 64)
		if a[i] != b[i] && (errX != nil || errY != nil || !t.allows(x, y)) {
			allowed := "no tolerance is stated"
			if t.relative > 0 || t.absolute > 0 {
				allowed = fmt.Sprintf("allowed is %g of the number, or %g", t.relative, t.absolute)
			}
			return fmt.Sprintf("%s became %s (%s)", a[i], b[i], allowed)
		}
	}
	return ""
}
