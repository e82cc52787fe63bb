package session

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"text/template"
	"unicode"
	"unicode/utf8"

	"github.com/gradbook/gradbook/kernel/internal/program"
)

// TestError is the error name of a %test whose tests did not pass.
const TestError = "tests failed"

// testFailure is what the program that runs tests panics with when they fail.
const testFailure = "tests failed: exit status "

//go:embed command_tests.tmpl
var testText string

var testTemplate = template.Must(template.New("test").Parse(testText))

// testTypes are declared by the program that runs tests, and taken out of the notebook's afterwards.
var testTypes = []string{"ᵹtests", "ᵹcorpus"}

// testSet is what a %test runs.
type testSet struct {
	Tests, Benchmarks, Fuzz []string
	Main                    bool // there is a TestMain
	Args                    []string
	Failure                 string
}

// test runs the notebook's tests in the live program; those of the cell alone if it has some and no flags are given.
func (c *cellCommands) test(ctx context.Context, name string) Result {
	s := c.s
	set := testSet{Args: c.d.Args, Failure: testFailure}
	var own []string
	benchmarks := false
	for _, d := range s.program.Declarations() {
		if d.Kind != program.Func {
			continue
		}
		if d.Aside != nil {
			if isTest(d.Name, "Test") || isTest(d.Name, "Benchmark") || isTest(d.Name, "Fuzz") {
				s.out.note("%s is set aside, and not run: %s:%d: %s", d.Name, d.Aside.Cell, d.Aside.Line, d.Aside.Msg)
			}
			continue
		}
		switch {
		case d.Name == "TestMain":
			set.Main = true
			continue
		case isTest(d.Name, "Test"):
			set.Tests = append(set.Tests, d.Name)
		case isTest(d.Name, "Benchmark"):
			set.Benchmarks = append(set.Benchmarks, d.Name)
			benchmarks = benchmarks || d.Cell == name
		case isTest(d.Name, "Fuzz"):
			set.Fuzz = append(set.Fuzz, d.Name)
		default:
			continue
		}
		if d.Cell == name {
			own = append(own, "^"+d.Name+"$")
		}
	}
	if !c.d.HasArgs {
		set.Args = []string{"-test.v"}
		if benchmarks {
			set.Args = append(set.Args, "-test.bench=.")
		}
		if len(own) > 0 {
			set.Args = append(set.Args, "-test.run="+strings.Join(own, "|"))
		}
	}
	set.Args = slices.DeleteFunc(slices.Clone(set.Args), func(a string) bool { return a == "" })
	return s.runTests(ctx, set)
}

// runTests compiles and runs a cell that calls the tests.
func (s *Session) runTests(ctx context.Context, set testSet) Result {
	var text strings.Builder
	if err := testTemplate.Execute(&text, set); err != nil {
		return failed(InternalError, err)
	}
	cell := s.addCell("%test", text.String())
	s.out.mu.Lock()
	s.out.cell = cell.id
	s.out.mu.Unlock()
	result := s.run(ctx, text.String(), program.Cell{ID: cell.id, Name: cell.name, Text: text.String()})
	for _, name := range testTypes {
		s.program.Remove(name)
	}
	if code, ok := strings.CutPrefix(result.Message, testFailure); ok && result.Name == PanicError {
		result.Name, result.Message = TestError, "exit status "+code
		result.Traceback = []string{testFailure + code}
	}
	return result
}

// addCell records a cell's text under its name, for messages and traces.
func (s *Session) addCell(name, text string) *cellText {
	s.state.Lock()
	defer s.state.Unlock()
	s.nextID++
	cell := &cellText{id: s.nextID, name: name, lines: strings.Split(text, "\n")}
	if name == "" {
		s.numbered++
		cell.name = fmt.Sprintf("cell %d", s.numbered)
	}
	s.cells[cell.id], s.byName[cell.name] = cell, cell
	return cell
}

// isTest tells whether the go command would take a function of that name for a test.
func isTest(name, prefix string) bool {
	rest, ok := strings.CutPrefix(name, prefix)
	first, _ := utf8.DecodeRuneInString(rest)
	return ok && (rest == "" || !unicode.IsLower(first))
}
