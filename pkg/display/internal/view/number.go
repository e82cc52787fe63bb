package view

import (
	"fmt"
	"html"
	"reflect"
	"strings"
)

// tensor is what GoMLX's tensors are known by; that their Shape has a String method is found by reflection, since its type cannot be
// named here.
type tensor interface{ Summary(precision int) string }

// tensorViews shows shape, type and the values at the corners; nil for what only looks like a tensor.
func tensorViews(t tensor) map[string]any {
	m := reflect.ValueOf(t).MethodByName("Shape")
	if !m.IsValid() || m.Type().NumIn() != 0 || m.Type().NumOut() != 1 {
		return nil
	}
	shape := fmt.Sprint(m.Call(nil)[0])
	summary := t.Summary(4)
	text := summary
	if strings.Contains(summary, "\n") {
		text = shape + "\n" + summary
	}
	return map[string]any{
		Plain: text,
		HTML: fmt.Sprintf(`<div><b>%s</b> <small style="%s">%s</small></div>%s`,
			html.EscapeString(shape), noteStyle, html.EscapeString(reflect.TypeOf(t).String()), preformatted(cut(summary))),
	}
}

// matrix is what gonum's matrices and vectors are known by.
type matrix interface {
	Dims() (rows, columns int)
	At(i, j int) float64
}

func matrixViews(m matrix) map[string]any {
	rows, columns := m.Dims()
	note := fmt.Sprintf("%d×%d %T", rows, columns, m)
	if rows == 0 || columns == 0 {
		return map[string]any{Plain: note}
	}
	shown := pick(columns, maxCols, firstCols, lastCols)
	g := &grid{note: note, columns: indices(shown)}
	for _, i := range pick(rows, maxRows, firstRows, lastRows) {
		if i < 0 {
			g.gapRow()
			continue
		}
		var cells []string
		for _, j := range shown {
			if j < 0 {
				cells = append(cells, gap)
				continue
			}
			cells = append(cells, cell(reflect.ValueOf(m.At(i, j))))
		}
		g.add(i, cells)
	}
	return map[string]any{HTML: g.html(), Plain: g.text()}
}
