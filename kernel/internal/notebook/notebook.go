// Package notebook is for .ipynb files: it reads them, writes them as Jupyter does, and
// runs their code cells through a session. It does not know how a cell is compiled or what
// Go means, nor Jupyter's wire.
package notebook

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Format is the version that is written: nbformat 4.5.
const (
	Format      = 4
	FormatMinor = 5
)

// The kinds of cell.
const (
	Code     = "code"
	Markdown = "markdown"
	Raw      = "raw"
)

// Tags that change how a cell is run.
const (
	TagParameters = "parameters"
	TagInjected   = "injected-parameters"
	TagRaises     = "raises-exception" // its error does not stop the run
	TagSkip       = "skip-execution"
)

// Notebook is one .ipynb file.
type Notebook struct {
	Cells    []*Cell
	Metadata map[string]any
	extra    map[string]any // fields that nbformat does not name; kept
}

// Cell is one cell of a notebook.
type Cell struct {
	Kind           string
	ID             string
	Source         string
	Metadata       map[string]any
	Outputs        []*Output // of a code cell
	ExecutionCount int       // of a code cell; 0 when it has not run
	extra          map[string]any
}

// Output is one output of a code cell. Which fields mean something depends on Type.
type Output struct {
	Type           string         // "stream", "display_data", "execute_result" or "error"
	Name           string         // of a stream: "stdout" or "stderr"
	Data           map[string]any // MIME bundle of display_data and execute_result
	Metadata       map[string]any
	ExecutionCount int // of execute_result
	ErrorName      string
	ErrorValue     string
	Traceback      []string
	text           strings.Builder // of a stream
	extra          map[string]any
}

// Text returns the text of a stream.
func (o *Output) Text() string { return o.text.String() }

// Tags returns the cell's tags.
func (c *Cell) Tags() []string {
	list, _ := c.Metadata["tags"].([]any)
	var tags []string
	for _, t := range list {
		if s, ok := t.(string); ok {
			tags = append(tags, s)
		}
	}
	return tags
}

// HasTag tells whether the cell has the tag.
func (c *Cell) HasTag(tag string) bool { return slices.Contains(c.Tags(), tag) }

// runs tells whether running the notebook runs this cell.
func (c *Cell) runs() bool {
	return c.Kind == Code && !c.HasTag(TagSkip) && strings.TrimSpace(c.Source) != ""
}

// firstLine returns the first line that says something, cut to a width that fits a terminal.
func (c *Cell) firstLine() string { return c.findLine(func(string) bool { return true }) }

// title is the line that tells a reader best which cell it is: the first that is no import or %%.
func (c *Cell) title() string {
	importing := false
	line := c.findLine(func(line string) bool {
		switch {
		case importing:
			importing = !strings.HasPrefix(line, ")")
			return false
		case strings.HasPrefix(line, "import"):
			importing = strings.HasSuffix(line, "(")
			return false
		}
		return line != "%%" && line != "%main" && !strings.HasPrefix(line, "package ")
	})
	if line == "" {
		return c.firstLine()
	}
	return line
}

func (c *Cell) findLine(wanted func(string) bool) string {
	for line := range strings.Lines(c.Source) {
		line = strings.TrimSpace(line)
		if line == "" || !wanted(line) {
			continue
		}
		if r := []rune(line); len(r) > 60 {
			return string(r[:57]) + "..."
		}
		return line
	}
	return ""
}

var validID = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

// nameCells gives an id to each cell that lacks a valid one of its own. Ids depend on
// the notebook alone, so that running it again changes nothing.
func (n *Notebook) nameCells() {
	used := map[string]bool{}
	var unnamed []*Cell
	for _, c := range n.Cells {
		if !validID.MatchString(c.ID) || used[c.ID] {
			unnamed = append(unnamed, c)
			continue
		}
		used[c.ID] = true
	}
	for _, c := range unnamed {
		for try := 0; ; try++ {
			sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%d\n%s", c.Kind, try, c.Source))
			c.ID = hex.EncodeToString(sum[:4])
			if !used[c.ID] {
				used[c.ID] = true
				break
			}
		}
	}
}
