package program

import (
	"fmt"
	"go/ast"
	"go/token"
	"maps"
	"slices"
	"strings"
)

// Outline is the program as it is at one moment, for those who assist the user while he writes: its declarations as
// he wrote them, and its variables. It does not change when the program grows, and may be used by several goroutines. The zero Outline
// is that of a program without anything.
type Outline struct {
	cells  []outlined
	vars   []outlinedVar
	names  map[string]string // import paths by the names that cells call them by
	dots   []string          // paths of dot imports
	byName func(string) []string
}

// outlined is what lives on of one cell.
type outlined struct {
	file  string
	decls []outlinedDecl
}

// outlinedDecl is one declaration: of a function, or of types or constants.
type outlinedDecl struct {
	text    string
	names   []outlinedName // what it declares; those that do not live are blank already
	imports []string       // lines
}

// outlinedName is a declared name and where it stands.
type outlinedName struct {
	key    string // "T.M" for a method
	lo, hi int
}

type outlinedVar struct {
	name, text string
	imports    []string // paths
	zeros      []string // functions that text calls
}

// Outline returns the program as it is.
func (p *Program) Outline() *Outline {
	st := p.state
	o := &Outline{names: map[string]string{}, byName: p.imp.ByName}
	g := &growth{imp: p.imp, fset: p.fset, prior: st, next: st}
	for _, s := range st.sources {
		c := outlined{file: sourceFile(s)}
		for _, ch := range s.chunks {
			if d, ok := g.outline(s, ch); ok {
				c.decls = append(c.decls, d)
			}
		}
		if c.decls != nil {
			o.cells = append(o.cells, c)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(st.vars)) {
		f := st.vars[name].form
		zeros := map[string]bool{}
		text := st.vars[name].doc + strings.ReplaceAll(fmt.Sprintf("var %s %s\n", name, f.text(zeros)), ownPrefix, "")
		o.vars = append(o.vars, outlinedVar{name, text, f.imports, slices.Sorted(maps.Keys(zeros))})
	}
	for name, im := range st.names {
		o.names[name] = im.path
	}
	for _, im := range st.dots {
		o.dots = append(o.dots, im.path)
	}
	return o
}

// outline takes a chunk of an earlier cell, if something of it lives.
func (g *growth) outline(s *source, c chunk) (d outlinedDecl, ok bool) {
	if c.kind != constChunk && c.kind != typeChunk && c.kind != funcChunk {
		return d, false
	}
	text := []byte(s.cell.Text[c.start:c.end])
	for _, it := range s.items {
		lo, hi := s.offset(it.ident.Pos()), s.end(it.ident)
		if lo < c.start || c.end <= lo || it.once {
			continue
		}
		if g.living(it) {
			d.names = append(d.names, outlinedName{it.key, lo - c.start, hi - c.start})
		} else {
			blank(text, lo-c.start, hi-c.start)
		}
	}
	for _, u := range s.uses {
		line := fmt.Sprintf("import %s %q\n", u.imp.name, u.imp.path)
		if u.dot != "" {
			line = fmt.Sprintf("import . %q\n", u.imp.path)
		}
		if c.start <= u.off && u.off < c.end && !slices.Contains(d.imports, line) {
			d.imports = append(d.imports, line)
		}
	}
	d.text = string(text)
	return d, d.names != nil
}

// blank puts the blank identifier in the place of a name.
func blank(text []byte, lo, hi int) {
	for i := lo; i < hi; i++ {
		text[i] = ' '
	}
	text[lo] = '_'
}

// Variable reports whether the program has a variable of that name.
func (o *Outline) Variable(name string) bool {
	return slices.ContainsFunc(o.vars, func(v outlinedVar) bool { return v.name == name })
}

// Names lists what the program declares, variables among it.
func (o *Outline) Names() []string {
	var all []string
	for _, v := range o.vars {
		all = append(all, v.name)
	}
	for _, c := range o.cells {
		for _, d := range c.decls {
			for _, n := range d.names {
				all = append(all, n.key)
			}
		}
	}
	slices.Sort(all)
	return all
}

// Imports reports whether a cell has imported something under the name.
func (o *Outline) Imports(name string) bool { return o.names[name] != "" }

// Packages returns the import paths that name may mean in a cell that does not say, best first.
func (o *Outline) Packages(name string) []string {
	var all []string
	if path := o.names[name]; path != "" {
		all = append(all, path)
	}
	if o.byName == nil {
		return all
	}
	for _, path := range o.byName(name) {
		if !slices.Contains(all, path) {
			all = append(all, path)
		}
	}
	return all
}

// files returns the program's declarations without those that declare one of the names.
func (o *Outline) files(without map[string]bool) []File {
	var files []File
	for _, c := range o.cells {
		var imports []string
		var body strings.Builder
		for _, d := range c.decls {
			text, living := []byte(d.text), false
			for _, n := range d.names {
				if without[n.key] {
					blank(text, n.lo, n.hi)
				} else {
					living = true
				}
			}
			if !living {
				continue
			}
			imports = append(imports, d.imports...)
			body.Write(text)
			body.WriteString("\n")
		}
		if body.Len() > 0 {
			slices.Sort(imports)
			files = append(files, File{c.file, "package main\n" + strings.Join(slices.Compact(imports), "") + body.String()})
		}
	}
	return append(files, o.variables(without))
}

// variables declares the variables, as far as none of the names is theirs.
func (o *Outline) variables(without map[string]bool) File {
	var decls strings.Builder
	paths, zeros := map[string]bool{}, map[string]bool{}
	for _, v := range o.vars {
		if without[v.name] {
			continue
		}
		decls.WriteString(v.text)
		for _, p := range v.imports {
			paths[p] = true
		}
		for _, z := range v.zeros {
			zeros[z] = true
		}
	}
	var b strings.Builder
	b.WriteString("package main\n")
	for _, p := range slices.Sorted(maps.Keys(paths)) {
		fmt.Fprintf(&b, "import %s %q\n", alias(p), p)
	}
	b.WriteString(decls.String())
	for _, z := range slices.Sorted(maps.Keys(zeros)) {
		b.WriteString(zeroFunc(z))
	}
	return File{variablesFile, b.String()}
}

// docs returns the comments above the variables that the cell declares by var, as they were written.
func (s *source) docs() map[string]string {
	all := map[string]string{}
	for _, d := range s.ast.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR {
			continue
		}
		for _, spec := range g.Specs {
			spec := spec.(*ast.ValueSpec)
			off := s.offset(spec.Pos())
			if !g.Lparen.IsValid() {
				off = s.offset(g.Pos())
			}
			doc := above(s.cell.Text, off)
			for _, id := range spec.Names {
				all[plain(id.Name)] = doc
			}
		}
	}
	return all
}

// above returns the lines of comments right above the line of an offset.
func above(text string, off int) string {
	end := strings.LastIndexByte(text[:off], '\n') + 1
	start := end
	for start > 0 {
		line := strings.LastIndexByte(text[:start-1], '\n') + 1
		if !strings.HasPrefix(strings.TrimSpace(text[line:start]), "//") {
			break
		}
		start = line
	}
	return text[start:end]
}
