// Package program holds the notebook as one growing Go package: its
// declarations, their versions, who depends on whom, and their types. It turns a cell's Go
// text into generated files, and says what each symbol of them means. It
// knows no processes, no compiler commands and no Jupyter.
//
// A step's files are one package: a file for each cell of which something lives on, and one
// that declares all variables, without initialisers. The text of a cell stands in them as the user
// wrote it, but for small edits; line directives give each place its position in
// the cell, with the cell's Name as the file ("cell 3"). The compiler makes such a name absolute by
// its working folder, so that folder has to be removed by its -trimpath flag ("DIR=>").
// What generated code adds has names that begin with gradbook_, which cells may not use.
//
// A variable's name in the files says little about its storage: the step's Vars give each symbol
// the identity that it stands for. So a name can be declared again with another type while
// the cell that does so still reads the old one.
package program

import (
	"go/token"
	"go/types"
	"maps"
	"slices"
)

// Imports is what a program needs to know of the packages it may import.
type Imports interface {
	// Import returns the types of the package at path, or an error that says how to get it.
	Import(path string) (*types.Package, error)
	// ByName returns the import paths of known packages named name, best first
	// (the standard library before others); used to add missing imports.
	ByName(name string) []string
}

// Cell is one cell as the program sees it: Go text only, special commands blanked
// out with their lines kept, so that line numbers are the user's.
type Cell struct {
	ID   int    // unique in the session and growing
	Name string // how messages and traces call it ("cell 3"); the file name in //line directives
	Text string
	Main bool // the text is one function body (%% or %main came first)... see MainLine
	// MainLine is the first line (from 1) that belongs to the body of main when Main is set;
	// the lines before it are declarations.
	MainLine int
	// Peek says that the addresses which the text takes of variables are forgotten when it has run.
	Peek bool
}

// File is one generated Go file.
type File struct{ Name, Text string }

// Var says what a package variable's symbol means.
type Var struct {
	Name     string // as the user wrote it
	Symbol   string // "main.x"
	Identity string // "x#3"; never reused
	New      bool   // first seen in this step
	Type     string // as the user would write it
}

// Loss is a variable (not itself redeclared by the cell) whose value cannot be kept.
type Loss struct {
	Var Var
	Why string // "its type Layer has changed: field w was float64, is []float64"
}

// Conversion asks the worker to copy From's value into To by field name before the cell runs.
type Conversion struct{ From, To string } // identities

// Diagnostic is one message at a place of a cell.
type Diagnostic struct {
	Cell      string // the cell's Name
	Line, Col int
	Msg       string // the Go compiler's words
	Name      string // the declaration that it is about, where that is not the cell's: one set aside
}

// Errors is what Grow returns for a cell that does not check.
type Errors []Diagnostic

// Step is one cell's effect on the program, not yet in force.
type Step struct {
	Files      []File
	Imports    []string          // direct imports of Files
	Entry      string            // symbol of the cell's function, "main.gradbook_cell_3"; "" if there is nothing to run
	VarsFunc   string            // symbol of a func() []any that returns pointers to the New variables in Vars order; "" if none
	Vars       []Var             // all variables of Files; a name that the cell redeclares and still reads is there twice
	Funcs      map[string]string // symbol of a function -> its fingerprint, which names its code
	Known      []string          // symbols of functions without a body in Files: the live program has their code
	LocalTypes []string          // LocalTypes[n-1] is the stable name of the type that the compiler numbers "·n"
	Lost       []Loss            // what is lost if the step is committed; the caller asks first
	Convert    []Conversion      // values kept by copying
	Dropped    []string          // identities that nothing refers to any more: redeclared, converted, lost or removed; after Convert
	SetAside   []Diagnostic      // declarations of other cells that no longer check
	Restored   []string          // declarations that check again, by name
	Declared   []string          // names that this cell declares, for messages

	program *Program
	prior   *state // the state that the step was made from
	next    *state
}

// Program is one notebook's program. Its methods may not be called concurrently.
type Program struct {
	// Promote lets loops among a cell's statements keep variables in registers. It must be
	// off while code of an earlier cell may still be running.
	Promote bool

	imp   Imports
	fset  *token.FileSet
	state *state
}

// Declaration is one declared name of the program, for lists.
type Declaration struct {
	Name  string // "T.M" for a method
	Kind  Kind
	Cell  string      // the Name of the cell that declared it
	Aside *Diagnostic // why it is set aside; nil if it is not
}

// New returns an empty program.
func New(imp Imports) *Program {
	return &Program{Promote: true, imp: imp, fset: token.NewFileSet(), state: newState()}
}

// Grow checks a cell against the program and returns what it would do. The program stays as it is
// until the step is committed. The error is an Errors if the cell is at fault.
func (p *Program) Grow(cell Cell) (*Step, error) {
	base := p.fset.Base()
	step, err := p.grow(cell)
	if err != nil {
		p.forget(base)
		return nil, err
	}
	return step, nil
}

// Commit brings the step into force. It must have been made from the program as it is.
func (s *Step) Commit() {
	if s.program.state != s.prior {
		panic("program: Commit of a step that was made from an earlier state of the program: grow the cell again")
	}
	for _, old := range s.prior.sources {
		if !slices.Contains(s.next.sources, old) {
			s.program.fset.RemoveFile(old.file)
		}
	}
	s.program.state = s.next
}

// Variables lists the variables of the program by name.
func (p *Program) Variables() []Var {
	var all []Var
	for _, name := range slices.Sorted(maps.Keys(p.state.vars)) {
		all = append(all, p.state.vars[name].public(goName(name)))
	}
	return all
}

// Declarations lists the functions, methods, types and constants of the program by name.
func (p *Program) Declarations() []Declaration {
	var all []Declaration
	for _, key := range slices.Sorted(maps.Keys(p.state.decls)) {
		d := p.state.decls[key]
		item := Declaration{Name: key, Kind: d.kind, Cell: d.source.cell.Name}
		if why, ok := p.state.aside[key]; ok {
			item.Aside = &why
		}
		all = append(all, item)
	}
	return all
}

// Remove takes a variable or declaration out of the program ("T.M" names a method); a type's methods go with it. It reports whether
// there was one. What depends on it is set aside by the next step.
func (p *Program) Remove(name string) bool {
	next := *p.state
	next.decls, next.vars = maps.Clone(next.decls), maps.Clone(next.vars)
	next.dropped = slices.Clone(next.dropped)
	d := next.decls[name]
	if !next.remove(name) {
		return false
	}
	if d != nil && d.kind == Type {
		for key, m := range next.decls {
			if m.kind == Method && receiver(m.fn) == name {
				delete(next.decls, key)
			}
		}
	}
	next.sources = slices.Clone(next.sources)
	next.sweep()
	p.state = &next
	return true
}

// Restarted says that the live program was started anew: no variable has a value in it.
func (p *Program) Restarted() {
	next := *p.state
	next.dropped, next.fresh, next.compiled = nil, true, nil
	p.state = &next
}

// Recompile makes the next step bring the code of all functions, also of those that the live program should have.
func (p *Program) Recompile() {
	next := *p.state
	next.compiled = nil
	p.state = &next
}

// Reset empties the program. Identities are not used again.
func (p *Program) Reset() {
	next := newState()
	next.serial = p.state.serial
	next.dropped = slices.Clone(p.state.dropped)
	for _, name := range slices.Sorted(maps.Keys(p.state.vars)) {
		next.dropped = append(next.dropped, p.state.vars[name].identity)
	}
	p.state = next
}
