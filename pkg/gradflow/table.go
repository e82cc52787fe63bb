package gradflow

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// The columns of a report's table. A column that no layer has a number for is left out.
type column struct {
	title, meaning string
	value          func(r *Report, t Theory, i int) float64
	percent        bool
}

var tableColumns = []column{
	{title: "var h", meaning: "variance of the activations", value: func(r *Report, _ Theory, i int) float64 { return r.Layers[i].Variance }},
	{title: "var z", meaning: "variance of the pre-activations", value: func(r *Report, _ Theory, i int) float64 { return r.Layers[i].ZVariance }},
	{title: "saturated", meaning: "share of saturated pre-activations", value: func(r *Report, _ Theory, i int) float64 { return r.Layers[i].Saturated }, percent: true},
	{title: "dead", meaning: "share of dead units", value: func(r *Report, _ Theory, i int) float64 { return r.Layers[i].Dead }, percent: true},
	{title: "corr", meaning: "correlation of two examples", value: func(r *Report, _ Theory, i int) float64 { return r.Layers[i].Correlation }},
	{title: "|delta|", meaning: "norm of dL/dz", value: func(r *Report, _ Theory, i int) float64 { return r.Layers[i].DeltaNorm }},
	{title: "|dL/dh|", meaning: "norm of dL/dh", value: func(r *Report, _ Theory, i int) float64 { return r.Layers[i].HGradNorm }},
	{title: "factor", meaning: "gradient norm over the next layer's", value: func(r *Report, _ Theory, i int) float64 {
		if i+1 == len(r.Layers) {
			return math.NaN()
		}
		return r.Layers[i].gradient() / r.Layers[i+1].gradient()
	}},
	{title: "theory", meaning: "sqrt(chi), what mean-field theory says of the factor", value: func(_ *Report, t Theory, i int) float64 { return t.Layers[i].Factor }},
	{title: "|dL/dW|", meaning: "norm of dL/dW", value: func(r *Report, _ Theory, i int) float64 { return r.Layers[i].WGradNorm }},
	{title: "|W|", meaning: "norm of W", value: func(r *Report, _ Theory, i int) float64 { return r.Layers[i].WNorm }},
	{title: "update", meaning: "norm of a step's change of W over the norm of W", value: func(r *Report, _ Theory, i int) float64 { return r.Layers[i].UpdateRatio }},
}

// table returns the rows of text, titles first, and the meaning of each column.
func (r *Report) table() (rows [][]string, meanings []string) {
	t := r.Theory()
	rows = make([][]string, len(r.Layers)+1)
	rows[0] = []string{"layer"}
	meanings = []string{"the tap's name"}
	for i := range r.Layers {
		rows[i+1] = []string{r.Layers[i].Name}
	}
	for _, c := range tableColumns {
		measured := false
		for i := range r.Layers {
			measured = measured || !math.IsNaN(c.value(r, t, i)) || c.title == "|delta|" && r.Layers[i].HasZ
		}
		if !measured {
			continue
		}
		rows[0] = append(rows[0], c.title)
		meanings = append(meanings, c.meaning)
		for i := range r.Layers {
			rows[i+1] = append(rows[i+1], c.text(c.value(r, t, i)))
		}
	}
	return rows, meanings
}

func (c column) text(v float64) string {
	switch {
	case math.IsNaN(v) && (c.title == "factor" || c.title == "theory" || c.title == "update"):
		return ""
	case c.percent && !math.IsNaN(v):
		return fmt.Sprintf("%.1f%%", 100*v)
	}
	return fmt.Sprintf("%.3g", v)
}

func (r *Report) title() string {
	text := fmt.Sprintf("step %d, loss %.4g, %d examples", r.Step, r.Loss, r.Batch)
	if f := r.Factor(); !math.IsNaN(f) {
		text += fmt.Sprintf(", gradient factor %.3g a layer", f)
		if t := r.Theory().Factor; !math.IsNaN(t) {
			text += fmt.Sprintf(" (theory %.3g)", t)
		}
	}
	if j := r.InputJacobian; j != nil {
		text += fmt.Sprintf(", |d output/d input| %.3g", j.Norm)
	}
	return text
}

// String returns the report as a table, a line for each layer.
func (r *Report) String() string {
	rows, _ := r.table()
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len(cell))
		}
	}
	var b strings.Builder
	b.WriteString(r.title() + "\n")
	for _, row := range rows {
		for i, cell := range row {
			if i == 0 {
				fmt.Fprintf(&b, "%-*s", widths[i], cell)
				continue
			}
			fmt.Fprintf(&b, "  %*s", widths[i], cell)
		}
		b.WriteString("\n")
	}
	return strings.TrimRight(b.String(), "\n")
}

// HTML returns the report as a table, for a notebook.
func (r *Report) HTML() string {
	rows, meanings := r.table()
	var b strings.Builder
	fmt.Fprintf(&b, "<table><caption>%s</caption>\n", html.EscapeString(r.title()))
	for i, row := range rows {
		b.WriteString("<tr>")
		for j, cell := range row {
			switch {
			case i == 0:
				fmt.Fprintf(&b, `<th title="%s">%s</th>`, html.EscapeString(meanings[j]), html.EscapeString(cell))
			case j == 0:
				fmt.Fprintf(&b, "<th>%s</th>", html.EscapeString(cell))
			default:
				fmt.Fprintf(&b, `<td style="text-align:right">%s</td>`, html.EscapeString(cell))
			}
		}
		b.WriteString("</tr>\n")
	}
	return b.String() + "</table>"
}
