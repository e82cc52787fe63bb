package dialect_test

import (
	"testing"

	"github.com/gradbook/gradbook/kernel/internal/dialect"
)

func TestComplete(t *testing.T) {
	for _, test := range []struct{ text, state, indent string }{
		{"", dialect.Whole, ""},
		{"x := 1", dialect.Whole, ""},
		{"1 + 1", dialect.Whole, ""},
		{"fmt.Println(\"a\")\nx", dialect.Whole, ""},
		{"// a comment", dialect.Whole, ""},
		{"import \"fmt\"\nfunc f() {}\nf()\ntype T struct{ a int }\nfunc (t T) m() int { return t.a }\nT{}.m()", dialect.Whole, ""},
		{"package main\nimport \"fmt\"\nfunc main() { fmt.Println() }", dialect.Whole, ""},
		{"func() { println() }()", dialect.Whole, ""},
		{"func (t T) m[", dialect.Incomplete, "\t"},
		{"var s = `a\nb`", dialect.Whole, ""},
		{"%%\nfmt.Println(1)", dialect.Whole, ""},
		{"%help", dialect.Whole, ""},
		{"!ls\n!pwd", dialect.Whole, ""},
		{"if x > 1 {\n\tx++\n}", dialect.Whole, ""},
		{"for {", dialect.Incomplete, "\t"},
		{"func f() {\n\tif x {", dialect.Incomplete, "\t\t"},
		{"f(1,", dialect.Incomplete, "\t"},
		{"x := []int{1, 2,\n3", dialect.Incomplete, "\t"},
		{"x :=", dialect.Incomplete, "\t"},
		{"a +", dialect.Incomplete, "\t"},
		{"fmt.", dialect.Incomplete, "\t"},
		{"var x int =", dialect.Incomplete, "\t"},
		{"import (", dialect.Incomplete, "\t"},
		{"func", dialect.Incomplete, "\t"},
		{"s := `a", dialect.Incomplete, ""},
		{"/* a", dialect.Incomplete, ""},
		{"func f() { s := `a", dialect.Incomplete, ""},
		{"!ls \\", dialect.Incomplete, ""},
		{"x := 1\n!ls \\\n-l \\", dialect.Incomplete, ""},
		{"!ls \\\n-l", dialect.Whole, ""},
		{"x := 1 \\", dialect.Invalid, ""},
		{"x := \"a", dialect.Invalid, ""},
		{"f())", dialect.Invalid, ""},
		{"f(]", dialect.Invalid, ""},
		{"x = = 1", dialect.Invalid, ""},
		{"x = = 1\nfor {", dialect.Invalid, ""},
		{"for { x = = 1; y", dialect.Invalid, ""},
		{"1abc", dialect.Invalid, ""},
		{"if if {", dialect.Invalid, ""},
		{"func f() { return }\nx y\nz", dialect.Invalid, ""},
		{"%nosuch", dialect.Invalid, ""},
		{"x := '€€'", dialect.Invalid, ""},
	} {
		state, indent := dialect.Complete(test.text)
		if state != test.state || indent != test.indent {
			t.Errorf("%q: got %s %q, want %s %q", test.text, state, indent, test.state, test.indent)
		}
	}
}

func TestExpression(t *testing.T) {
	for text, want := range map[string]bool{"1+1": true, "f(x)": true, "func() int { return 1 }()": true, "x = 1": false, "": false, "a; b": false, "x y": false} {
		if err := dialect.Expression(text); (err == nil) != want {
			t.Errorf("%q: %v", text, err)
		}
	}
}
