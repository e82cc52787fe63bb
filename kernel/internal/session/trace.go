package session

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/gradbook/gradbook/kernel/internal/program"
	"github.com/gradbook/gradbook/kernel/internal/toolchain"
	"github.com/gradbook/gradbook/kernel/internal/worker"
)

func failed(name string, err error) Result {
	return Result{Status: Failed, Name: name, Message: firstLine(err.Error()), Traceback: strings.Split(err.Error(), "\n")}
}

func interrupted(message string) Result {
	return Result{Status: Interrupted, Name: InterruptError, Message: message, Traceback: []string{message}}
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// valid refuses text that no Go source can hold.
func valid(text string) error {
	if i := strings.IndexByte(text, 0); i >= 0 {
		return fmt.Errorf("line %d: the cell holds a NUL byte", 1+strings.Count(text[:i], "\n"))
	}
	if utf8.ValidString(text) {
		return nil
	}
	for i, line := range strings.Split(text, "\n") {
		for col := 0; col < len(line); {
			r, n := utf8.DecodeRuneInString(line[col:])
			if r == utf8.RuneError && n == 1 {
				return fmt.Errorf("line %d, byte %d: %#x is not UTF-8, which Go source must be", i+1, col+1, line[col])
			}
			col += n
		}
	}
	return nil
}

// compileFailure shows the messages of program or toolchain with the lines they speak of.
func (s *Session) compileFailure(err error) Result {
	var diagnostics []program.Diagnostic
	var mine program.Errors
	var theirs *toolchain.CompileError
	var syntax *program.SyntaxError
	if errors.As(err, &syntax) {
		if said := s.compilerSays(syntax); said != nil {
			err = said
		}
	}
	switch {
	case errors.As(err, &mine):
		diagnostics = mine
	case errors.As(err, &theirs):
		for _, d := range theirs.Diagnostics {
			diagnostics = append(diagnostics, program.Diagnostic{Cell: s.cellNamed(d.File), Line: d.Line, Col: d.Col, Msg: d.Msg})
		}
	default:
		return failed(CompileError, err)
	}
	result := Result{Status: Failed, Name: CompileError}
	for _, d := range diagnostics {
		result.Traceback = append(result.Traceback, s.diagnostic(d)...)
	}
	if len(result.Traceback) > 0 {
		result.Message = result.Traceback[0]
	}
	return result
}

// compilerSays lets the compiler parse what does not parse; nil if it has nothing to say against it.
func (s *Session) compilerSays(e *program.SyntaxError) error {
	_, err := s.base.Build(context.Background(), toolchain.Unit{Files: []toolchain.File{toolchain.File(e.Probe)}})
	var said *toolchain.CompileError
	if !errors.As(err, &said) {
		return nil
	}
	var errs program.Errors
	for _, d := range said.Diagnostics {
		if c := s.cellOf(d.File); c != nil && d.Line <= len(c.lines) && len(errs) < 10 && !strings.HasPrefix(d.Msg, "undefined: ") && !strings.Contains(d.Msg, "non-declaration statement outside function body") {
			errs = append(errs, program.Diagnostic{Cell: c.name, Line: d.Line, Col: d.Col, Msg: d.Msg})
		}
	}
	if errs == nil {
		return nil
	}
	return errs
}

func (s *Session) cellNamed(file string) string {
	if c := s.cellOf(file); c != nil {
		return c.name
	}
	return file
}

// diagnostic is a message with the source line that it is about.
func (s *Session) diagnostic(d program.Diagnostic) []string {
	if d.Line == 0 {
		return []string{d.Msg}
	}
	where := fmt.Sprintf("%s:%d", d.Cell, d.Line)
	if d.Col > 0 {
		where += fmt.Sprintf(":%d", d.Col)
	}
	lines := strings.Split(where+": "+d.Msg, "\n")
	source, ok := s.sourceLine(d.Cell, d.Line)
	if !ok {
		return lines
	}
	shown := strings.ReplaceAll(source, "\t", "    ")
	lines = append(lines, "    "+shown)
	if d.Col > 0 && d.Col <= len(source)+1 {
		before := strings.ReplaceAll(source[:d.Col-1], "\t", "    ")
		lines = append(lines, "    "+strings.Repeat(" ", utf8.RuneCountInString(before))+"^")
	}
	return lines
}

// cellOf finds the cell that a compiler or runtime calls by that file name; a relative name may have come back with a folder before it.
func (s *Session) cellOf(file string) *cellText {
	s.state.Lock()
	defer s.state.Unlock()
	if c := s.byName[file]; c != nil {
		return c
	}
	return s.byName[filepath.Base(file)]
}

func (s *Session) sourceLine(file string, line int) (string, bool) {
	c := s.cellOf(file)
	if c == nil || line < 1 || line > len(c.lines) {
		return "", false
	}
	return strings.TrimRight(c.lines[line-1], " \t\r"), true
}

func (s *Session) panicResult(p *worker.Panic) Result {
	lines := s.panicLines(p)
	return Result{Status: Failed, Name: PanicError, Message: firstLine(p.Text), Traceback: lines, ExitCode: 2}
}

func (s *Session) panicLines(p *worker.Panic) []string {
	return append([]string{"panic: " + p.Text}, s.frames(p.Frames)...)
}

var cellFunc = regexp.MustCompile(`^main\.(gradbook_cell_\d+|gradbook_init_\d+_\d+)(\..*)?$`)

// frames shows a trace: the user's frames with their source lines; of the frames of
// packages between them, the outermost one, which the user's code called.
func (s *Session) frames(frames []worker.Frame) []string {
	var out []string
	library, again := "", 0
	flush := func() {
		if again == 1 {
			out = append(out, out[len(out)-2:]...)
		} else if again > 1 {
			out = append(out, fmt.Sprintf("  ... the same %d times more", again))
		}
		again = 0
	}
	for i, f := range frames {
		mine := strings.HasPrefix(f.Func, "main.")
		source, known := s.sourceLine(f.File, f.Line)
		if !mine || !known {
			if !strings.HasPrefix(f.Func, "runtime.") && !strings.HasPrefix(f.Func, "type:") && !strings.HasPrefix(f.Func, "gradbook/live.") && !mine {
				library = f.Func
			}
			continue
		}
		if i > 0 && library != "" {
			out = append(out, "  in "+library)
		}
		library = ""
		where := fmt.Sprintf("  %s, line %d", s.cellOf(f.File).name, f.Line)
		if m := cellFunc.FindStringSubmatch(f.Func); m == nil {
			where += ", in " + strings.ReplaceAll(strings.TrimPrefix(f.Func, "main."), "gradbook_own_", "")
		} else if strings.HasPrefix(m[1], "gradbook_init") {
			where += ", in init"
		} else if m[2] != "" {
			where += ", in a function literal"
		}
		if n := len(out); n >= 2 && out[n-2] == where { // recursion
			again++
			continue
		}
		flush()
		out = append(out, where, "      "+strings.TrimLeft(source, " \t"))
		if len(out) > 60 {
			return append(out, fmt.Sprintf("  ... and %d frames more", len(frames)-i-1))
		}
	}
	flush()
	return out
}

// lossResult asks before values are lost.
func lossResult(lost []program.Loss) Result {
	lines := []string{"this cell would lose values; run it again to go on:"}
	var names []string
	for _, l := range lost {
		names = append(names, l.Var.Name)
		lines = append(lines, fmt.Sprintf("  %s (%s): %s", l.Var.Name, l.Var.Type, l.Why))
	}
	return Result{Status: Failed, Name: LossError, Message: "this cell would lose " + enumerate(names) + "; run it again to go on", Traceback: lines}
}

// notes tells of a step's effects on other cells.
func (s *Session) notes(step *program.Step, r worker.Reply) {
	for _, d := range step.SetAside {
		s.out.note("set aside until it compiles again:\n%s", strings.Join(s.diagnostic(d), "\n"))
	}
	if len(step.Restored) > 0 {
		s.out.note("compiles again: %s", enumerate(step.Restored))
	}
	if len(r.Dropped) > 0 {
		s.out.note("could not be carried over to the new type: %s", enumerate(r.Dropped))
	}
}

// enumerate lists names for a sentence.
func enumerate(names []string) string {
	const most = 20
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return strings.Join(names, "")
}
