package program_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gradbook/gradbook/kernel/internal/program"
)

func TestZY(t *testing.T) {
	lib := newLibrary(t)
	var b strings.Builder
	for i := range 2500 {
		fmt.Fprintf(&b, "func f%d(n int) int {\n\tfor i := range n { n += i }\n\treturn n\n}\n", i)
	}
	p := program.New(lib)
	t0 := time.Now()
	step, err := p.Grow(program.Cell{ID: 1, Name: "cell 1", Text: b.String()})
	fmt.Println("10000 lines of functions", time.Since(t0), err)
	b.Reset()
	for i := range 5000 {
		fmt.Fprintf(&b, "x%d := %d\nfor i := range 10 { x%d += i }\n", i, i, i)
	}
	p = program.New(lib)
	t0 = time.Now()
	step, err = p.Grow(program.Cell{ID: 1, Name: "cell 1", Text: b.String()})
	fmt.Println("10000 lines of statements", time.Since(t0), err)
	b.Reset()
	for i := range 10000 {
		fmt.Fprintf(&b, "var y%d = %d\n", i, i)
	}
	b.WriteString("y1 + y2\n")
	p = program.New(lib)
	t0 = time.Now()
	step, err = p.Grow(program.Cell{ID: 1, Name: "cell 1", Text: b.String()})
	fmt.Println("10000 lines of vars", time.Since(t0), err)
	p = program.New(lib)
	for i := range 1000 {
		text := fmt.Sprintf("type T%[1]d struct { a int; b []string }\nfunc (t T%[1]d) M%[1]d(n int) int {\n\tfor i := range n { t.a += i; fmt.Sprint(t) }\n\treturn t.a\n}\nv%[1]d := T%[1]d{}\nv%[1]d.M%[1]d(2)", i%50)
		t0 = time.Now()
		step, err = p.Grow(program.Cell{ID: i + 1, Name: fmt.Sprint("cell ", i+1), Text: text})
		if err != nil {
			t.Fatal(err)
		}
		if i%100 == 99 || i < 3 {
			fmt.Println("cell", i+1, time.Since(t0), len(step.Files))
		}
		step.Commit()
	}
}
