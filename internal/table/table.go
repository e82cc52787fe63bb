// Package table holds what the benchmarks share: medians and quartiles, a Markdown
// table that says which goals were met, and its place in the README. It
// knows nothing of what was measured.
package table

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Quartiles returns the first quartile, the median and the third quartile of xs, by
// linear interpolation; xs must not be empty and is left as it is.
func Quartiles(xs []float64) (q1, median, q3 float64) {
	sorted := slices.Sorted(slices.Values(xs))
	at := func(p float64) float64 {
		x := p * float64(len(sorted)-1)
		i := int(x)
		if i+1 == len(sorted) {
			return sorted[i]
		}
		return sorted[i] + (x-float64(i))*(sorted[i+1]-sorted[i])
	}
	return at(0.25), at(0.5), at(0.75)
}

// Median returns the median of xs, which must not be empty.
func Median(xs []float64) float64 {
	_, m, _ := Quartiles(xs)
	return m
}

// Row is one line of a table: what was measured against its goal.
type Row struct {
	Cells []string // one for each column of the table's head
	Got   float64
	Goal  float64 // Got must not be above it
	Unit  string  // after both numbers: "x", " MiB"
}

// Met says whether the goal is met.
func (r Row) Met() bool { return r.Got <= r.Goal }

// Table is a benchmark's result.
type Table struct {
	Head []string // columns before the ratio and the goal
	Note string   // a line below the table: what was run
	Rows []Row
}

// Markdown renders the table, with a line that says where and when it was measured.
func (t Table) Markdown(now time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| %s | measured | goal | |\n", strings.Join(t.Head, " | "))
	b.WriteString("|---" + strings.Repeat("|---:", len(t.Head)+1) + "|---|\n")
	for _, r := range t.Rows {
		verdict := "met"
		if !r.Met() {
			verdict = "**missed**"
		}
		fmt.Fprintf(&b, "| %s | %.3g%s | <= %g%s | %s |\n", strings.Join(r.Cells, " | "), r.Got, r.Unit, r.Goal, r.Unit, verdict)
	}
	fmt.Fprintf(&b, "\n%s Measured on %s, %d cores, %s, %s.\n", t.Note, processor(), runtime.NumCPU(), runtime.Version(), now.Format(time.DateOnly))
	return b.String()
}

// Finish prints the table, puts it between the marks "<!-- name -->" and
// "<!-- /name -->" of the file readme unless that is "", and returns an error that names the goals missed.
func (t Table) Finish(name, readme string) error {
	text := t.Markdown(time.Now())
	fmt.Print(text)
	if readme != "" {
		if err := Replace(readme, name, text); err != nil {
			return err
		}
	}
	var missed []error
	for _, r := range t.Rows {
		if !r.Met() {
			missed = append(missed, fmt.Errorf("%s: %.3g%s, the goal is %g%s", r.Cells[0], r.Got, r.Unit, r.Goal, r.Unit))
		}
	}
	return errors.Join(missed...)
}

// Replace puts text between the marks of a file, which is replaced as a whole.
func Replace(file, name, text string) error {
	old, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	open, shut := "<!-- "+name+" -->", "<!-- /"+name+" -->"
	before, rest, ok := strings.Cut(string(old), open)
	_, after, ok2 := strings.Cut(rest, shut)
	if !ok || !ok2 {
		return fmt.Errorf("%s has no place for the table: add the lines %s and %s", file, open, shut)
	}
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	fresh, err := os.CreateTemp(filepath.Dir(file), ".table")
	if err != nil {
		return err
	}
	defer os.Remove(fresh.Name()) // fails harmlessly once it is renamed
	_, err = fresh.WriteString(before + open + "\n" + text + shut + after)
	err = errors.Join(err, fresh.Chmod(info.Mode()), fresh.Close())
	if err != nil {
		return err
	}
	return os.Rename(fresh.Name(), file)
}

// processor names the machine's processor.
func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}
