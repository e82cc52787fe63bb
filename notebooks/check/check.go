// Package check holds the course to its form: what each notebook must have, and where its links lead.
// It reads the files and runs nothing; that the results still hold is what "make course" checks.
package check

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Notebook is a notebook of the course, as far as its form goes.
type Notebook struct {
	Path     string
	Cells    []Cell
	Metadata struct {
		Kernelspec struct{ Name string }
	}
}

// Cell is one cell.
type Cell struct {
	ID       string
	Type     string `json:"cell_type"`
	Source   Text
	Count    *int `json:"execution_count"`
	Metadata struct{ Tags []string }
	Outputs  []Output
}

// Output is one output of a code cell.
type Output struct {
	Type string `json:"output_type"`
	Name string // of a stream
	Text Text
	Data map[string]any
}

// Text is kept in files as one string or as its lines.
type Text string

// UnmarshalJSON reads either.
func (t *Text) UnmarshalJSON(data []byte) error {
	var lines []string
	if json.Unmarshal(data, &lines) == nil {
		*t = Text(strings.Join(lines, ""))
		return nil
	}
	return json.Unmarshal(data, (*string)(t))
}

// Read reads a notebook.
func Read(path string) (*Notebook, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	n := &Notebook{Path: path}
	if err := json.Unmarshal(data, n); err != nil {
		return nil, fmt.Errorf("%s is not a notebook: %w", path, err)
	}
	return n, nil
}

// Prose is the text of the markdown cells.
func (n *Notebook) Prose() string {
	var b strings.Builder
	for _, c := range n.Cells {
		if c.Type == "markdown" {
			b.WriteString(string(c.Source) + "\n\n")
		}
	}
	return b.String()
}

// Code is the text of the code cells.
func (n *Notebook) Code() string {
	var b strings.Builder
	for _, c := range n.Cells {
		if c.Type == "code" {
			b.WriteString(string(c.Source) + "\n\n")
		}
	}
	return b.String()
}

// mostLines is where a code cell, be it one function, stops being read at a glance; most have 5 to 15.
const mostLines = 28

// Lesson says what a notebook of the course lacks.
func (n *Notebook) Lesson() (lacks []string) {
	say := func(format string, args ...any) { lacks = append(lacks, fmt.Sprintf(format, args...)) }
	number, _, _ := strings.Cut(filepath.Base(n.Path), "-")
	prose, code := n.Prose(), n.Code()
	if !strings.HasPrefix(prose, "# "+number+" · ") {
		say("the first heading must begin with \"# %s · \"", number)
	}
	for _, need := range []struct{ pattern, what string }{
		{`(?m)\*\*[^*]*\?`, "a question in bold at its top"},
		{`(?m)^## Summary`, "a section \"## Summary\""},
		{`(?m)^## (More e|E)xercises`, "a section \"## Exercises\""},
	} {
		if !regexp.MustCompile(need.pattern).MatchString(prose) {
			say("there must be %s", need.what)
		}
	}
	if !strings.Contains(code, "widget.New") {
		say("there must be a slider or another widget")
	}
	if checks := len(regexp.MustCompile(`exercise\.Check`).FindAllString(code, -1)); checks < 3 || checks > 6 {
		say("%d exercises are checked; there should be 3 to 6", checks)
	}
	for _, c := range n.Cells {
		if lines := strings.Count(strings.TrimSpace(string(c.Source)), "\n") + 1; c.Type == "code" && lines > mostLines {
			say("cell %s has %d lines; %d are enough", c.ID, lines, mostLines)
		}
	}
	return append(lacks, n.Recorded()...)
}

var generated = regexp.MustCompile(`^[0-9a-f]{8}$`)

// Recorded says what is wrong with the outputs: they must be those of one run, from top to bottom.
func (n *Notebook) Recorded() (lacks []string) {
	say := func(format string, args ...any) { lacks = append(lacks, fmt.Sprintf(format, args...)) }
	if n.Metadata.Kernelspec.Name != "gradbook" {
		say("the kernelspec is %q; it must be \"gradbook\"", n.Metadata.Kernelspec.Name)
	}
	count, ids := 0, map[string]bool{}
	for _, c := range n.Cells {
		if c.ID == "" || generated.MatchString(c.ID) || ids[c.ID] {
			say("cell %q needs an id of its own that a person can read", c.ID)
		}
		ids[c.ID] = true
		if c.Type != "code" {
			continue
		}
		count++
		if c.Count == nil || *c.Count != count {
			say("cell %s was not the %d. to run: record one run from top to bottom", c.ID, count)
			return lacks
		}
		for _, o := range c.Outputs {
			if o.Type == "error" {
				say("cell %s ends in an error", c.ID)
			}
			if o.Name == "stderr" {
				say("cell %s writes to standard error: %.80q", c.ID, o.Text)
			}
		}
	}
	return lacks
}

var (
	link     = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	bare     = regexp.MustCompile(`https?://[^\s)>\]"]+`)
	headings = regexp.MustCompile(`(?m)^#+ (.*)$`)
	fenced   = regexp.MustCompile("(?s)```.*?```|`[^`\n]*`")
)

// Links says which links of a text lead nowhere: relative ones must name a file that is there and, behind #,
// a heading of it; others must be https addresses. Nothing is fetched.
func Links(path, text string) (broken []string) {
	text = fenced.ReplaceAllString(text, "")
	for _, m := range link.FindAllStringSubmatch(text, -1) {
		target := m[1]
		if strings.Contains(target, "://") {
			continue
		}
		file, anchor, _ := strings.Cut(target, "#")
		where := path
		if file != "" {
			unescaped, err := url.PathUnescape(file)
			if err != nil {
				broken = append(broken, target+": "+err.Error())
				continue
			}
			where = filepath.Join(filepath.Dir(path), unescaped)
		}
		if _, err := os.Stat(where); err != nil {
			broken = append(broken, target+": there is no such file")
			continue
		}
		if anchor != "" && !hasHeading(where, anchor) {
			broken = append(broken, target+": there is no such heading")
		}
	}
	for _, address := range bare.FindAllString(text, -1) {
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "https" || !strings.Contains(u.Host, ".") {
			broken = append(broken, address+": not a https address")
		}
	}
	return broken
}

// hasHeading tells whether the file, a notebook or markdown, has a heading of that anchor, as Jupyter or GitHub form it.
func hasHeading(path, anchor string) bool {
	text := ""
	if n, err := Read(path); err == nil {
		text = n.Prose()
	} else if data, err := os.ReadFile(path); err == nil {
		text = string(data)
	}
	for _, m := range headings.FindAllStringSubmatch(text, -1) {
		jupyter := strings.ReplaceAll(strings.TrimSpace(m[1]), " ", "-")
		github := strings.ToLower(regexp.MustCompile(`[^\p{L}\p{N} -]`).ReplaceAllString(m[1], ""))
		if anchor == jupyter || anchor == strings.ReplaceAll(github, " ", "-") {
			return true
		}
	}
	return false
}
