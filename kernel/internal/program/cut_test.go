package program

import (
	"strings"
	"testing"
)

// pieces cuts a text and writes its chunks as "kind: text", which is easier to read than offsets.
func pieces(t *testing.T, text string) []string {
	t.Helper()
	names := map[chunkKind]string{
		stmtChunk: "stmt", packageChunk: "package", importChunk: "import", constChunk: "const",
		typeChunk: "type", varChunk: "var", funcChunk: "func",
	}
	chunks, _ := cut(text)
	var all []string
	at := 0
	for _, c := range chunks {
		if c.start != at || c.end <= c.start || c.first < c.start || c.first > c.end {
			t.Fatalf("cut(%q): chunk %+v does not go on at %d", text, c, at)
		}
		at = c.end
		all = append(all, names[c.kind]+": "+text[c.start:c.end])
	}
	if at != len(text) {
		t.Fatalf("cut(%q) ends at %d of %d", text, at, len(text))
	}
	return all
}

func TestCut(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string
	}{
		{"empty", "", nil},
		{"blank", "\n\n", []string{"stmt: \n\n"}},
		{"comment only", "// nothing", []string{"stmt: // nothing"}},
		{"statement", "x := 1", []string{"stmt: x := 1"}},
		{"statements stay together", "x := 1\ny := 2; z()\n", []string{"stmt: x := 1\ny := 2; z()\n"}},
		{"package clause", "package main\nx := 1", []string{"package: package main\n", "stmt: x := 1"}},
		{"declarations", "import \"fmt\"\ntype T int\nconst c = 1\nvar v int\n",
			[]string{"import: import \"fmt\"\n", "type: type T int\n", "const: const c = 1\n", "var: var v int\n"}},
		{"groups", "var (\n\ta = 1\n\tb = 2\n)\na()", []string{"var: var (\n\ta = 1\n\tb = 2\n)\n", "stmt: a()"}},
		{"function between statements", "x := 1\nfunc f() { y := 2 }\nf()",
			[]string{"stmt: x := 1\n", "func: func f() { y := 2 }\n", "stmt: f()"}},
		{"directive stays with its function", "x()\n//go:noinline\nfunc f() {}\n",
			[]string{"stmt: x()\n", "func: //go:noinline\nfunc f() {}\n"}},
		{"method", "func (t *T) name() {}", []string{"func: func (t *T) name() {}"}},
		{"method of a generic type", "func (t T[K, V]) name(a func()) (int, error) { return 1, nil }",
			[]string{"func: func (t T[K, V]) name(a func()) (int, error) { return 1, nil }"}},
		{"literal called", "func() { var x int; _ = x }()", []string{"stmt: func() { var x int; _ = x }()"}},
		{"literal with a result", "func(a int) int { return a }(1)", []string{"stmt: func(a int) int { return a }(1)"}},
		{"literal with results", "func(a int) (b int) { return a }(1)", []string{"stmt: func(a int) (b int) { return a }(1)"}},
		{"literal with a qualified result", "func(a int) time.Time { return x }(1)", []string{"stmt: func(a int) time.Time { return x }(1)"}},
		{"func and name on two lines", "func\nmain() {}", []string{"func: func\nmain() {}"}},
		{"on one line", "a(); type T int; b()", []string{"stmt: a();", "type:  type T int;", "stmt:  b()"}},
		{"declarations in blocks are statements", "if x {\n\ttype T int\n\tvar y T\n}\n", []string{"stmt: if x {\n\ttype T int\n\tvar y T\n}\n"}},
		{"header semicolons", "for i := 0; i < 3; i++ {\n}\nswitch x := 1; x {\n}", []string{"stmt: for i := 0; i < 3; i++ {\n}\nswitch x := 1; x {\n}"}},
		{"label", "L:\nfor {\n}\n", []string{"stmt: L:\nfor {\n}\n"}},
		{"keywords in strings and comments", "x := `\nfunc f() {}\n` // type T\n/*\nvar x\n*/", []string{"stmt: x := `\nfunc f() {}\n` // type T\n/*\nvar x\n*/"}},
		{"carriage returns", "x := 1\r\nfunc f() {}\r\n", []string{"stmt: x := 1\r\n", "func: func f() {}\r\n"}},
		{"unclosed", "func f() {\nx := 1", []string{"func: func f() {\nx := 1"}},
		{"closed too often", "x := 1 }\ntype T int", []string{"stmt: x := 1 }\n", "type: type T int"}},
		{"invalid UTF-8", "x := \"\xff\"\nvar y = 1", []string{"stmt: x := \"\xff\"\n", "var: var y = 1"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := pieces(t, test.text)
			if strings.Join(got, "|") != strings.Join(test.want, "|") {
				t.Errorf("cut(%q)\n got %q\nwant %q", test.text, got, test.want)
			}
		})
	}
}

func FuzzCut(f *testing.F) {
	for _, text := range []string{
		"", ";", "x := 1; func f() {}\nvar (", "func(", "func (r T) m() {}", "`", "'", "/*", "\"\n", "}}}", "package p;import \"x\"", "\xff\x00",
		"a\n/* \n */ func f()\n{", "type T struct { a int `x` }\r\nT{1}", "L: var x int", "func func func", "if x := 1; func() bool { return true }() {}",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) { pieces(t, text) })
}
