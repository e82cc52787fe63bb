package notebook_test

import (
	"strings"
	"testing"

	"github.com/gradbook/gradbook/kernel/internal/notebook"
)

// printed is a notebook of one cell with this metadata (JSON) and these outputs (JSON).
func printed(t *testing.T, metadata, outputs string) *notebook.Notebook {
	t.Helper()
	n, err := notebook.Parse([]byte(`{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"cell_type": "code", "id": "a", "source": "f()",
		"metadata": ` + metadata + `, "execution_count": 1, "outputs": ` + outputs + `}]}`))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func stdout(text string) string {
	return `{"output_type": "stream", "name": "stdout", "text": "` + strings.ReplaceAll(text, "\n", `\n`) + `"}`
}

func display(mime, text string) string {
	return `{"output_type": "display_data", "metadata": {}, "data": {"` + mime + `": "x", "text/plain": "` + text + `"}}`
}

func TestCompare(t *testing.T) {
	const percent = `{"gradbook": {"tolerance": 0.01}}`
	for _, test := range []struct{ name, metadata, recorded, now, drift string }{
		{"same", `{}`, stdout("loss 0.25\n"), stdout("loss 0.25\n"), ""},
		{"exactly", `{}`, stdout("loss 0.25"), stdout("loss 0.2501"), "0.25 became 0.2501 (no tolerance is stated)"},
		{"within", percent, stdout("loss 0.25"), stdout("loss 0.2501"), ""},
		{"beyond", percent, stdout("loss 0.25"), stdout("loss 0.26"), "0.25 became 0.26 (allowed is 0.01 of the number, or 0)"},
		{"exponent", percent, stdout("1.00e-12 there"), stdout("1.01e-12 there"), ""},
		{"absolute", `{"gradbook": {"absolute": 0.5}}`, stdout("right: 0"), stdout("right: 0.4"), ""},
		{"sign", percent, stdout("-1.0"), stdout("1.0"), "-1.0 became 1.0"},
		{"wider column", percent, stdout("a   9.99"), stdout("a  10.01"), ""},
		{"words", percent, stdout("nothing is wrong"), stdout("vanishing"), "the words differ"},
		{"lines", percent, stdout("1\n2"), stdout("1"), "1 lines were printed, not 2"},
		{"cut elsewhere", `{}`, stdout("ab"), stdout("a") + "," + stdout("b"), ""},
		{"missing", `{}`, stdout("a") + "," + display("image/svg+xml", "p"), stdout("a"), "an output is missing"},
		{"new", `{}`, stdout("a"), stdout("a") + "," + display("image/svg+xml", "p"), "an output is new"},
		{"another kind", `{}`, display("image/svg+xml", "p"), display("image/png", "p"), "an output is of another kind"},
		{"a picture's words", `{}`, display("image/svg+xml", "factor 0.23"), display("image/svg+xml", "factor 0.24"), "0.23 became 0.24"},
		{"not a number", percent, stdout("loss NaN"), stdout("loss 0.1"), "the words differ"},
		{"varies", `{"gradbook": {"varies": true}}`, stdout("took 3 s"), display("image/png", "p"), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			drifts, err := notebook.Compare(printed(t, test.metadata, "["+test.recorded+"]"), printed(t, `{}`, "["+test.now+"]"))
			if err != nil {
				t.Fatal(err)
			}
			var all strings.Builder
			for _, d := range drifts {
				all.WriteString(d.String() + "\n")
			}
			if (test.drift == "") != (len(drifts) == 0) || !strings.Contains(all.String(), test.drift) {
				t.Errorf("drift %q, want %q", all.String(), test.drift)
			}
		})
	}
}

func TestCompareBadTolerance(t *testing.T) {
	for _, test := range []struct{ metadata, message string }{
		{`{"gradbook": 1}`, "is no object"},
		{`{"gradbook": {"tolerance": -1}}`, `has "tolerance": -1`},
		{`{"gradbook": {"tolerance": "1 %"}}`, "allowed are"},
		{`{"gradbook": {"tolerence": 1}}`, `has "tolerence"`},
	} {
		n := printed(t, test.metadata, "[]")
		if _, err := notebook.Compare(n, n); err == nil || !strings.Contains(err.Error(), test.message) {
			t.Errorf("%s: %v", test.metadata, err)
		}
	}
}
