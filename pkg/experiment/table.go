package experiment

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/pkg/errors"
)

// Table is text in rows and columns. A notebook shows it as HTML, a terminal as text.
type Table struct {
	Columns []string
	Rows    [][]string
}

// Table has one row for each setting: the fields of the setting, and mean and 95 % interval over the seeds (see Mean) of the numbers named, or of all. Column n says
// how many runs there are.
func (r *Results[S]) Table(values ...string) *Table {
	return table(r.plain(), values, Mean)
}

// GeometricTable is Table with geometric means.
func (r *Results[S]) GeometricTable(values ...string) *Table {
	return table(r.plain(), values, GeometricMean)
}

// MIMEBundle shows the results as Table does.
func (r *Results[S]) MIMEBundle() map[string]any { return r.Table().MIMEBundle() }

// String is Table as text.
func (r *Results[S]) String() string { return r.Table().String() }

// WriteCSV writes one line for each run: the fields of its setting, its seed, its numbers (not its slices), and the seconds that it took.
func (r *Results[S]) WriteCSV(w io.Writer) error { return writeCSV(w, r.plain()) }

// SaveCSV is WriteCSV to a file, whose folder is made if there is none.
func (r *Results[S]) SaveCSV(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return errors.WithStack(err)
	}
	f, err := os.Create(path)
	if err != nil {
		return errors.WithStack(err)
	}
	if err := r.WriteCSV(f); err != nil {
		f.Close()
		return err
	}
	return errors.WithStack(f.Close())
}

// plain are the runs without the type of their settings.
func (r *Results[S]) plain() []Run[json.RawMessage] {
	runs := make([]Run[json.RawMessage], len(r.Runs))
	for i, run := range r.Runs {
		runs[i] = Run[json.RawMessage]{Setting: run.json, Seed: run.Seed, Values: run.Values, Series: run.Series, Seconds: run.Seconds}
	}
	return runs
}

// settingColumns are the fields of all settings, in the order of their JSON, and a function that returns those of one.
func settingColumns(runs []Run[json.RawMessage]) (columns []string, of func(setting json.RawMessage) []string) {
	all := map[string]map[string]string{}
	for _, run := range runs {
		if all[string(run.Setting)] != nil {
			continue
		}
		fields, order := fieldsOf(run.Setting)
		all[string(run.Setting)] = fields
		for _, name := range order {
			if !slices.Contains(columns, name) {
				columns = append(columns, name)
			}
		}
	}
	return columns, func(setting json.RawMessage) []string {
		row := make([]string, len(columns))
		for i, name := range columns {
			row[i] = all[string(setting)][name]
		}
		return row
	}
}

// fieldsOf takes a JSON object apart; anything else is one field, "setting".
func fieldsOf(setting json.RawMessage) (fields map[string]string, order []string) {
	fields = map[string]string{}
	d := json.NewDecoder(strings.NewReader(string(setting)))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return map[string]string{"setting": cell(setting)}, []string{"setting"}
	}
	for d.More() {
		name, _ := d.Token()
		var value json.RawMessage
		if d.Decode(&value) != nil {
			break
		}
		text, _ := name.(string)
		order = append(order, text)
		fields[text] = cell(value)
	}
	return fields, order
}

// cell is a JSON value as text: a string without its quotes.
func cell(value json.RawMessage) string {
	var text string
	if json.Unmarshal(value, &text) == nil && string(value) != "null" {
		return text
	}
	return string(value)
}

// names lists the numbers that any run has.
func names(runs []Run[json.RawMessage]) []string {
	all := map[string]bool{}
	for _, run := range runs {
		for name := range run.Values {
			all[name] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

func table(runs []Run[json.RawMessage], values []string, mean func([]float64) Interval) *Table {
	columns, fields := settingColumns(runs)
	if len(values) == 0 {
		values = names(runs)
	}
	t := &Table{Columns: slices.Concat(columns, []string{"n"}, values)}
	for start := 0; start < len(runs); {
		end := start // runs of one setting follow each other
		for end < len(runs) && string(runs[end].Setting) == string(runs[start].Setting) {
			end++
		}
		row := append(fields(runs[start].Setting), strconv.Itoa(end-start))
		for _, name := range values {
			var list []float64
			for _, run := range runs[start:end] {
				if v, ok := run.Values[name]; ok {
					list = append(list, v)
				}
			}
			text := ""
			if len(list) > 0 {
				text, _, _ = strings.Cut(mean(list).String(), " (n =")
				text = strings.Replace(text, fmt.Sprintf(", n = %d)", len(list)), ")", 1)
			}
			row = append(row, text)
		}
		t.Rows = append(t.Rows, row)
		start = end
	}
	return t
}

// String is the table as text with aligned columns.
func (t *Table) String() string {
	widths := make([]int, len(t.Columns))
	for _, row := range append([][]string{t.Columns}, t.Rows...) {
		for i, text := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(text))
		}
	}
	var out strings.Builder
	for _, row := range append([][]string{t.Columns}, t.Rows...) {
		var line strings.Builder
		for i, text := range row {
			line.WriteString(text + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(text)+2))
		}
		out.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	return strings.TrimRight(out.String(), "\n")
}

// Markdown is the table as GitHub's Markdown.
func (t *Table) Markdown() string {
	var out strings.Builder
	line := func(row []string) {
		for _, text := range row {
			out.WriteString("| " + strings.NewReplacer("|", `\|`, "\n", " ").Replace(text) + " ")
		}
		out.WriteString("|\n")
	}
	line(t.Columns)
	out.WriteString(strings.Repeat("|---", len(t.Columns)) + "|\n")
	for _, row := range t.Rows {
		line(row)
	}
	return out.String()
}

// HTML is the table as HTML.
func (t *Table) HTML() string {
	var out strings.Builder
	line := func(tag string, row []string) {
		out.WriteString("<tr>")
		for _, text := range row {
			fmt.Fprintf(&out, "<%s>%s</%s>", tag, html.EscapeString(text), tag)
		}
		out.WriteString("</tr>\n")
	}
	out.WriteString("<table>\n<thead>")
	line("th", t.Columns)
	out.WriteString("</thead>\n<tbody>\n")
	for _, row := range t.Rows {
		line("td", row)
	}
	out.WriteString("</tbody>\n</table>")
	return out.String()
}

// MIMEBundle has the table as text, as Markdown and as HTML.
func (t *Table) MIMEBundle() map[string]any {
	return map[string]any{"text/plain": t.String(), "text/markdown": t.Markdown(), "text/html": t.HTML()}
}

func writeCSV(w io.Writer, runs []Run[json.RawMessage]) error {
	columns, fields := settingColumns(runs)
	values := names(runs)
	out := csv.NewWriter(w)
	out.Write(slices.Concat(columns, []string{"seed"}, values, []string{"seconds"}))
	for _, run := range runs {
		row := append(fields(run.Setting), strconv.FormatUint(run.Seed, 10))
		for _, name := range values {
			text := ""
			if v, ok := run.Values[name]; ok {
				text = strconv.FormatFloat(v, 'g', -1, 64)
			}
			row = append(row, text)
		}
		out.Write(append(row, strconv.FormatFloat(run.Seconds, 'f', 3, 64)))
	}
	out.Flush()
	return errors.WithStack(out.Error())
}
