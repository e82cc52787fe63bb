package program_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradbook/gradbook/kernel/internal/program"
)

// check type-checks a sketch and returns the errors, without those about what is not used.
func check(lib *library, sk *program.Sketch) (errs []string) {
	fset := token.NewFileSet()
	var files []*ast.File
	for _, f := range append(slices.Clone(sk.Others), sk.Cell) {
		file, err := parser.ParseFile(fset, f.Name, f.Text, parser.SkipObjectResolution)
		if err != nil {
			return []string{fmt.Sprintf("%v\n%s", err, f.Text)}
		}
		files = append(files, file)
	}
	conf := types.Config{
		Importer: lib.types, DisableUnusedImportCheck: true,
		Error: func(err error) {
			if msg := err.Error(); !strings.Contains(msg, "declared and not used") && !strings.Contains(msg, "is not used") {
				errs = append(errs, msg)
			}
		},
	}
	conf.Check("main", fset, files, nil) // the errors were taken
	return errs
}

// TestSketchMeans checks that a cell means in a sketch what it means to the program: whole cells of a grown
// program type-check in their sketches.
func TestSketchMeans(t *testing.T) {
	lib := newLibrary(t)
	p := program.New(lib)
	for i, text := range []string{
		"import \"math/rand\"\n\n// T is a type.\ntype T struct{ A, B int }\n\nfunc (t T) Sum() int { return t.A + t.B + rand.Intn(1) }\n\nconst (\n\tX = iota\n\tY\n)",
		"t := T{1, 2}\nanon := struct{ N int }{3}\nbuffer := &bytes.Buffer{}",
		"import . \"math\"\narea := Pi * Pow(2, 2)\nfunc double[N int | float64](n N) N { return 2 * n }",
		"double(t.Sum()) + anon.N + Y",
		"type T struct{ C string }\nu := T{\"c\"}\nfunc (t T) Sum() int { return len(t.C) }",
		"const X = \"another\"\nX + u.C",
		"func later() int { return earlier + len(list) }\nearlier := Y\nlist := []T{u, {C: X}}\nlater()",
		"area, err := strconv.ParseFloat(\"1\", 64)\n_, err = fmt.Println(area, err)",
		"for i := range 3 {\n\tu.C += fmt.Sprint(i)\n}\nfmt.Fprintln(buffer, u)\nbuffer.String()",
	} {
		if errs := check(lib, p.Outline().Sketch(text, len(text), nil)); errs != nil {
			t.Errorf("cell %d:\n%s\n%s", i+1, text, strings.Join(errs, "\n"))
		}
		step, err := p.Grow(program.Cell{ID: i + 1, Name: fmt.Sprintf("cell %d", i+1), Text: text})
		if err != nil {
			t.Fatal(err)
		}
		step.Commit()
		if errs := check(lib, p.Outline().Sketch("", 0, nil)); errs != nil {
			t.Errorf("after cell %d:\n%s\n%s", i+1, text, strings.Join(errs, "\n"))
		}
	}
}

// TestSketchPlaces cuts every cell of testdata short at each of its places, and checks for each cursor that
// the text stands in the sketch around it as it stands in the cell, and that places lead back.
func TestSketchPlaces(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	lib := newLibrary(t)
	o := program.New(lib).Outline()
	for _, file := range files {
		_, sections := readArchive(t, file)
		for _, s := range sections {
			verb, _, _ := strings.Cut(s.name, " ")
			if verb != "cell" || len(s.text) > 600 {
				continue
			}
			for at := range len(s.text) + 1 {
				places(t, o, s.text[:at], at)
				if at%5 == 0 {
					places(t, o, s.text, at)
				}
			}
		}
	}
	for _, text := range []string{"", "\n", "}", "((", "`", "/*", "a.", "a.\nb", "func", "func (", "type T", "x := ", "\"", "größe := 1\n", "package x\ny"} {
		for at := range len(text) + 1 {
			places(t, o, text, at)
		}
	}
}

func places(t *testing.T, o *program.Outline, text string, cursor int) {
	t.Helper()
	sk := o.Sketch(text, cursor, nil)
	at, ok := sk.Offset(cursor)
	if !ok {
		if strings.Contains(text, "package") {
			return // the clause is left out
		}
		t.Fatalf("no place for offset %d of\n%s\nin\n%s", cursor, text, sk.Cell.Text)
	}
	if back, ok := sk.Place(at); !ok || back != cursor {
		t.Fatalf("offset %d of\n%s\nis at %d and back at %d in\n%s", cursor, text, at, back, sk.Cell.Text)
	}
	// Closing brackets that close nothing are blank in the sketch.
	same := func(a, b byte) bool { return a == b || b == ' ' && strings.IndexByte(")]}", a) >= 0 }
	word := func(b byte) bool {
		return b == '_' || b == '.' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= 0x80
	}
	for i := cursor - 1; i >= 0 && word(text[i]); i-- {
		if j := at - (cursor - i); j < 0 || !same(text[i], sk.Cell.Text[j]) {
			t.Fatalf("before offset %d of\n%s\nstands something else in\n%s", cursor, text, sk.Cell.Text)
		}
	}
	for i := cursor; i < len(text) && word(text[i]); i++ {
		if j := at + i - cursor; j >= len(sk.Cell.Text) || !same(text[i], sk.Cell.Text[j]) {
			t.Fatalf("behind offset %d of\n%s\nstands something else in\n%s", cursor, text, sk.Cell.Text)
		}
	}
}
