package check_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gradbook/gradbook/notebooks/check"
)

func read(t *testing.T, pattern string) (books []*check.Notebook) {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: no notebooks; %v", pattern, err)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, ".out.ipynb") {
			continue
		}
		n, err := check.Read(path)
		if err != nil {
			t.Fatal(err)
		}
		books = append(books, n)
	}
	return books
}

func TestLessons(t *testing.T) {
	for _, n := range read(t, "../*.ipynb") {
		for _, lack := range n.Lesson() {
			t.Errorf("%s: %s", n.Path, lack)
		}
		if _, err := os.Stat(filepath.Join("../solutions", filepath.Base(n.Path))); err != nil {
			t.Errorf("%s has no solutions: %v", n.Path, err)
		}
	}
}

// A solution shows that its exercises can be solved: each check says right, in the order of the exercises.
func TestSolutions(t *testing.T) {
	for _, n := range read(t, "../solutions/*.ipynb") {
		for _, lack := range n.Recorded() {
			t.Errorf("%s: %s", n.Path, lack)
		}
		lesson, err := check.Read(filepath.Join("..", filepath.Base(n.Path)))
		if err != nil {
			t.Error(err)
			continue
		}
		want := verdicts(lesson, " is not answered yet.")
		if got := verdicts(n, ": right."); !slices.Equal(got, want) || len(want) == 0 {
			t.Errorf("%s says right to %q, but the lesson asks %q", n.Path, got, want)
		}
	}
}

// verdicts lists the exercises about which a notebook printed these words.
func verdicts(n *check.Notebook, words string) (exercises []string) {
	for _, c := range n.Cells {
		for _, o := range c.Outputs {
			for line := range strings.Lines(string(o.Text)) {
				if name, found := strings.CutSuffix(strings.TrimSpace(line), words); found && strings.HasPrefix(name, "Exercise ") {
					exercises = append(exercises, name)
				}
			}
		}
	}
	return exercises
}

func TestLinks(t *testing.T) {
	texts := map[string]string{}
	for _, n := range append(read(t, "../*.ipynb"), read(t, "../solutions/*.ipynb")...) {
		texts[n.Path] = n.Prose()
	}
	pages, err := filepath.Glob("../../*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, pattern := range []string{"../*.md", "../../pkg/*.md", "../../kernel/*.md"} {
		more, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, more...)
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		texts[page] = string(text)
	}
	for path, text := range texts {
		for _, broken := range check.Links(path, text) {
			t.Errorf("%s: %s", path, broken)
		}
	}
}

func TestLinksFindsBroken(t *testing.T) {
	page := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(page, []byte("# One thing\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ text, broken string }{
		{"[a](page.md) [b](#one-thing) [c](page.md#One-thing) <https://go.dev/ref>", ""},
		{"[a](other.md)", "other.md: there is no such file"},
		{"[a](page.md#two)", "page.md#two: there is no such heading"},
		{"http://go.dev", "http://go.dev: not a https address"},
		{"`[a](other.md)`", ""},
	} {
		if got := strings.Join(check.Links(page, test.text), "; "); got != test.broken {
			t.Errorf("%s: %q, want %q", test.text, got, test.broken)
		}
	}
}
