package notebook

import (
	"fmt"
	"slices"
	"strings"
)

// otherMagics are first words of a cell that IPython hands to another language.
// (%%bash, %%sh and %%script are Gradbook's own as well.)
var otherMagics = []string{
	"%%python", "%%python2", "%%python3", "%%pypy", "%%cython", "%%ruby", "%%perl", "%%R", "%%julia",
	"%%javascript", "%%js", "%%html", "%%HTML", "%%svg", "%%SVG", "%%latex", "%%markdown", "%%sql",
}

// CheckLanguage returns an error that names what in the notebook is not for a Go kernel.
func (n *Notebook) CheckLanguage() error {
	spec, _ := n.Metadata["kernelspec"].(map[string]any)
	info, _ := n.Metadata["language_info"].(map[string]any)
	language, _ := spec["language"].(string)
	if language == "" {
		language, _ = info["name"].(string)
	}
	if language != "" && !isGo(language) {
		kernel, _ := spec["display_name"].(string)
		if kernel == "" {
			kernel = "another kernel"
		}
		return fmt.Errorf("the notebook is for %s (language %q), and Gradbook runs Go; "+
			"if its cells are Go, choose a Go kernel for it in Jupyter and save it", kernel, language)
	}
	for i, c := range n.Cells {
		if !c.runs() {
			continue
		}
		if language := c.language(); language != "" {
			return fmt.Errorf("cell %d of %d (%q) is for another kernel: its language is %s, and Gradbook runs Go; "+
				"remove it, make it a raw cell, or give it the tag %q", i+1, len(n.Cells), c.firstLine(), language, TagSkip)
		}
	}
	return nil
}

// language returns what the cell says its language is when it is not Go, else "".
func (c *Cell) language() string {
	for _, place := range [][2]string{
		{"vscode", "languageId"}, {"polyglot_notebook", "kernelName"}, {"dotnet_interactive", "language"},
	} {
		fields, _ := c.Metadata[place[0]].(map[string]any)
		if language, _ := fields[place[1]].(string); language != "" && !isGo(language) {
			return language
		}
	}
	word := strings.Fields(c.firstLine())[0]
	if slices.Contains(otherMagics, word) {
		return strings.TrimPrefix(word, "%%")
	}
	return ""
}

func isGo(language string) bool {
	return strings.EqualFold(language, "go") || strings.EqualFold(language, "golang")
}
