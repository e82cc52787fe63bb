package view

import (
	"fmt"
	"html"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds of tables: up to maxRows all rows are shown, else the first and the last; columns alike.
const (
	maxRows, firstRows, lastRows = 20, 10, 5
	maxCols, firstCols, lastCols = 16, 10, 4
)

// grid is a table with what is left out of it already left out.
type grid struct {
	note    string   // what the whole is
	columns []string // headings
	index   []string // one a row
	cells   [][]string
}

const gap = "…"

// tableViews shows slices of structs, of maps and of rows as tables; nil for all else.
func tableViews(v any) map[string]any {
	r := reflect.ValueOf(v)
	if k := r.Kind(); k != reflect.Slice && k != reflect.Array || r.Len() == 0 {
		return nil
	}
	elem := r.Type().Elem()
	pointers := elem.Kind() == reflect.Pointer && elem.Elem().Kind() == reflect.Struct && !spoken(elem)
	if pointers { // whose addresses would tell nothing
		elem = elem.Elem()
	}
	if spoken(elem) {
		return nil
	}
	var g *grid
	switch elem.Kind() {
	case reflect.Struct:
		g = structGrid(r, elem)
	case reflect.Map:
		g = mapGrid(r)
	case reflect.Slice, reflect.Array:
		g = rowGrid(r, elem.Elem())
	}
	if g == nil {
		return nil
	}
	b := map[string]any{HTML: g.html()}
	if pointers || r.Len() > maxRows || len(g.columns) > maxCols || !fits(v) {
		b[Plain] = g.text()
	}
	return b
}

// spoken reports whether values of t say themselves what they are.
func spoken(t reflect.Type) bool {
	return t.Implements(stringerType) || t.Implements(errorType) || reflect.PointerTo(t).Implements(stringerType)
}

func fits(v any) bool {
	s := fmt.Sprintf("%+v", v)
	return len(s) <= oneLine && !strings.Contains(s, "\n")
}

// size is the note below a table; a type without name would only repeat the columns.
func size(rows, columns int, t reflect.Type) string {
	count := func(n int, what string) string {
		if n == 1 {
			return "1 " + what
		}
		return fmt.Sprintf("%d %ss", n, what)
	}
	note := count(rows, "row") + " × " + count(columns, "column")
	if t != nil && t.Name() != "" {
		note += " of " + t.String()
	}
	return note
}

func structGrid(r reflect.Value, t reflect.Type) *grid {
	var fields []int
	for i := range t.NumField() {
		if t.Field(i).Name != "_" {
			fields = append(fields, i)
		}
	}
	if len(fields) == 0 {
		return nil
	}
	g := &grid{note: size(r.Len(), len(fields), t)}
	shown := pick(len(fields), maxCols, firstCols, lastCols)
	for _, i := range shown {
		if i < 0 {
			g.columns = append(g.columns, gap)
			continue
		}
		g.columns = append(g.columns, t.Field(fields[i]).Name)
	}
	g.rows(r, func(row reflect.Value) (cells []string) {
		if row.Kind() == reflect.Pointer {
			if row.IsNil() {
				return []string{"<nil>"}
			}
			row = row.Elem()
		}
		for _, i := range shown {
			if i < 0 {
				cells = append(cells, gap)
				continue
			}
			cells = append(cells, cell(row.Field(fields[i])))
		}
		return cells
	})
	return g
}

func mapGrid(r reflect.Value) *grid {
	keys := map[string]bool{}
	rows := make([]map[string]string, r.Len())
	shown := pick(r.Len(), maxRows, firstRows, lastRows)
	for _, i := range shown {
		if i < 0 {
			continue
		}
		rows[i] = map[string]string{}
		for it := r.Index(i).MapRange(); it.Next(); {
			if len(rows[i]) > 1000 {
				return nil // no table that anyone could read
			}
			key := cell(it.Key())
			keys[key] = true
			rows[i][key] = cell(it.Value())
		}
	}
	if len(keys) == 0 {
		return nil
	}
	var names []string
	for k := range keys {
		names = append(names, k)
	}
	slices.Sort(names)
	g := &grid{note: size(r.Len(), len(names), nil)}
	columns := pick(len(names), maxCols, firstCols, lastCols)
	for _, c := range columns {
		if c < 0 {
			g.columns = append(g.columns, gap)
			continue
		}
		g.columns = append(g.columns, names[c])
	}
	for _, i := range shown {
		if i < 0 {
			g.gapRow()
			continue
		}
		var cells []string
		for _, c := range columns {
			if c < 0 {
				cells = append(cells, gap)
				continue
			}
			cells = append(cells, rows[i][names[c]])
		}
		g.add(i, cells)
	}
	return g
}

// rowGrid shows rows of scalars.
func rowGrid(r reflect.Value, t reflect.Type) *grid {
	switch t.Kind() {
	case reflect.Struct, reflect.Slice, reflect.Array, reflect.Map, reflect.Pointer, reflect.Func, reflect.Chan, reflect.Uint8:
		return nil
	}
	width := 0
	for i := range r.Len() {
		width = max(width, r.Index(i).Len())
	}
	if width == 0 {
		return nil
	}
	g := &grid{note: size(r.Len(), width, t)}
	shown := pick(width, maxCols, firstCols, lastCols)
	g.columns = indices(shown)
	g.rows(r, func(row reflect.Value) (cells []string) {
		for _, i := range shown {
			switch {
			case i < 0:
				cells = append(cells, gap)
			case i < row.Len():
				cells = append(cells, cell(row.Index(i)))
			default:
				cells = append(cells, "")
			}
		}
		return cells
	})
	return g
}

func indices(shown []int) (out []string) {
	for _, i := range shown {
		if i < 0 {
			out = append(out, gap)
			continue
		}
		out = append(out, strconv.Itoa(i))
	}
	return out
}

// rows adds the rows of r that are shown.
func (g *grid) rows(r reflect.Value, cells func(reflect.Value) []string) {
	for _, i := range pick(r.Len(), maxRows, firstRows, lastRows) {
		if i < 0 {
			g.gapRow()
			continue
		}
		g.add(i, cells(r.Index(i)))
	}
}

func (g *grid) add(i int, cells []string) {
	for len(cells) < len(g.columns) {
		cells = append(cells, "")
	}
	g.index, g.cells = append(g.index, strconv.Itoa(i)), append(g.cells, cells)
}

func (g *grid) gapRow() {
	cells := make([]string, len(g.columns))
	for i := range cells {
		cells[i] = gap
	}
	g.index, g.cells = append(g.index, gap), append(g.cells, cells)
}

// numeric reports whether a column holds numbers, which stand to the right.
func (g *grid) numeric(column int) bool {
	found := false
	for _, row := range g.cells {
		s := row[column]
		if s == "" || s == gap || s == "<nil>" {
			continue
		}
		if _, err := strconv.ParseFloat(s, 64); err != nil {
			return false
		}
		found = true
	}
	return found
}

const noteStyle = `opacity:0.7`

// html writes the table in JupyterLab's look: it and others style tables of class dataframe after their theme; the variables have
// fallbacks for where there is no theme.
func (g *grid) html() string {
	var b strings.Builder
	b.WriteString(`<table class="dataframe" style="border-collapse:collapse;color:var(--jp-ui-font-color1,inherit)">` + "\n" +
		`<thead style="border-bottom:1px solid var(--jp-border-color1,rgba(128,128,128,0.5))"><tr><th></th>`)
	align := make([]string, len(g.columns))
	for i, c := range g.columns {
		align[i] = "left"
		if g.numeric(i) {
			align[i] = "right"
		}
		fmt.Fprintf(&b, `<th style="text-align:%s">%s</th>`, align[i], html.EscapeString(c))
	}
	b.WriteString("</tr></thead>\n<tbody>\n")
	for i, row := range g.cells {
		fmt.Fprintf(&b, `<tr><th style="text-align:left">%s</th>`, html.EscapeString(g.index[i]))
		for j, c := range row {
			fmt.Fprintf(&b, `<td style="text-align:%s">%s</td>`, align[j], html.EscapeString(c))
		}
		b.WriteString("</tr>\n")
	}
	fmt.Fprintf(&b, "</tbody></table>\n<small style=\"%s\">%s</small>", noteStyle, html.EscapeString(g.note))
	return b.String()
}

// text writes the table for a terminal.
func (g *grid) text() string {
	widths := make([]int, len(g.columns)+1)
	lines := [][]string{append([]string{""}, g.columns...)}
	for i, row := range g.cells {
		lines = append(lines, append([]string{g.index[i]}, row...))
	}
	for _, line := range lines {
		for i, c := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	var b strings.Builder
	for _, line := range lines {
		var row strings.Builder
		for i, c := range line {
			space := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c))
			if i > 0 {
				row.WriteString("  ")
			}
			if i > 0 && g.numeric(i-1) {
				row.WriteString(space + c)
			} else {
				row.WriteString(c + space)
			}
		}
		b.WriteString(strings.TrimRight(row.String(), " ") + "\n")
	}
	return b.String() + "(" + g.note + ")"
}
