package assist_test

import (
	"context"
	"fmt"
	"go/types"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gradbook/gradbook/kernel/internal/assist"
	"github.com/gradbook/gradbook/kernel/internal/program"
	"github.com/gradbook/gradbook/kernel/internal/toolchain"
	"github.com/gradbook/gradbook/kernel/internal/worker"
)

// notebook is a program with an assistant, without a live process.
type notebook struct {
	t       testing.TB
	program *program.Program
	assist  *assist.Assistant
	cells   int

	mu   sync.Mutex // guards said
	said []string
}

// library is what cells may import: what is in the base, or nothing.
type library struct{ *toolchain.Base }

func (l library) Import(path string) (*types.Package, error) {
	if l.Base == nil {
		return nil, fmt.Errorf("package %s is not known", path)
	}
	return l.Base.Import(path)
}

func (l library) ByName(name string) []string {
	if l.Base == nil {
		return nil
	}
	return l.Base.ByName(name)
}

// open makes a notebook in a folder; "": outside of any module.
func open(t testing.TB, dir string, change func(*assist.Options)) *notebook {
	t.Helper()
	if dir == "" {
		dir = t.TempDir()
	}
	return openIn(t, dir, change, true)
}

// openIn is open, with or without packages to import.
func openIn(t testing.TB, dir string, change func(*assist.Options), packages bool) *notebook {
	t.Helper()
	g, err := toolchain.Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ws, err := g.Workspace(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	n := &notebook{t: t, program: program.New(library{})}
	if packages {
		n.program = program.New(openBase(t, ws))
	}
	o := assist.Options{Workspace: ws, Log: n.log}
	if change != nil {
		change(&o)
	}
	n.assist = assist.Open(o)
	t.Cleanup(n.assist.Close)
	n.assist.Update(n.program.Outline())
	return n
}

func openBase(t testing.TB, ws *toolchain.Workspace) library {
	t.Helper()
	base, err := toolchain.OpenBase(t.Context(), ws, toolchain.Options{Source: worker.Source(), Progress: func(toolchain.Progress) {}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { base.Close() })
	return library{base}
}

func (n *notebook) log(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.said = append(n.said, fmt.Sprintf(format, args...))
}

// run grows the program by cells.
func (n *notebook) run(cells ...string) {
	n.t.Helper()
	for _, text := range cells {
		n.cells++
		step, err := n.program.Grow(program.Cell{ID: n.cells, Name: fmt.Sprintf("cell %d", n.cells), Text: text})
		if err != nil {
			n.t.Fatalf("%v\n%s", err, text)
		}
		step.Commit()
	}
	n.assist.Update(n.program.Outline())
}

// wait waits until gopls answers; building it may take minutes.
func (n *notebook) wait() {
	n.t.Helper()
	for range 600 {
		if c := n.complete("fmt.Printl‸"); len(c.Matches) > 0 {
			return
		}
		time.Sleep(500 * time.Millisecond)
	}
	n.t.Fatalf("gopls does not come: %v", n.said)
}

// mark is where the cursor is in the tests' cells.
const mark = "‸"

func cursor(t testing.TB, marked string) (text string, pos int) {
	t.Helper()
	before, after, ok := strings.Cut(marked, mark)
	if !ok {
		t.Fatalf("no cursor in %q", marked)
	}
	return before + after, len(before)
}

func (n *notebook) complete(marked string) assist.Completion {
	n.t.Helper()
	text, pos := cursor(n.t, marked)
	c, err := n.assist.Complete(context.Background(), text, pos)
	if err != nil {
		n.t.Errorf("%q: %v", marked, err)
	}
	return c
}

func (n *notebook) inspect(marked string, detail int) map[string]any {
	n.t.Helper()
	text, pos := cursor(n.t, marked)
	i, err := n.assist.Inspect(context.Background(), text, pos, detail)
	if err != nil {
		n.t.Errorf("%q: %v", marked, err)
	}
	return i.Data
}

// The cells that the tests begin with.
var cells = []string{
	`import "math/rand"

// Layer is one layer of a net; Bias[i] belongs to Weights[i].
type Layer struct {
	Weights []float64 // by input
	Bias    []float64
	size    int
}

// Forward computes the activation.
func (l *Layer) Forward(x []float64) ([]float64, error) {
	for i := range x {
		x[i] += rand.Float64()
	}
	return x, nil
}`,
	`// Net is layers in a row.
type Net[T any] struct {
	Layers []*Layer
	Tag    T
}

func NewNet[T any](tag T) *Net[T] { return &Net[T]{Tag: tag} }

const (
	Small = iota
	Large
)`,
	`net := NewNet("first")
layer := Layer{Weights: []float64{1}}
größe := 3
pair := struct{ Left, Right int }{1, 2}
// when is when it began.
var when = time.Now()`,
}

func TestComplete(t *testing.T) {
	n := open(t, "", nil)
	n.run(cells...)
	n.wait()
	for _, c := range []struct {
		name, text string
		want       string // words "text:type", or "-text" for what must not be there
		signature  string // of the first
		replaces   string // what the match would take the place of
	}{
		{"fields of a live variable", "layer.‸", "Weights:property Bias:property size:property Forward:function", "[]float64", ""},
		{"field begun", "layer.We‸", "Weights:property -Bias", "[]float64", "We"},
		{"the rest of a word is replaced too", "layer.We‸ights", "Weights:property", "", "Weights"},
		{"method", "y, err := layer.Forw‸", "Forward:function", "(x []float64) ([]float64, error)", "Forw"},
		{"field of a generic type", "net.Ta‸", "Tag:property", "string", "Ta"},
		{"field of a field", "net.Layers[0].Bi‸", "Bias:property", "", "Bi"},
		{"variable without a type name", "pair.‸", "Left:property Right:property", "int", ""},
		{"variable of an imported type", "when.Forma‸", "Format:function", "(layout string) string", "Forma"},
		{"names of earlier cells", "La‸", "Layer:class Large:constant -gradbook_cell", "", "La"},
		{"variables of earlier cells", "x := lay‸", "layer:instance", "Layer", "lay"},
		{"struct literal", "l := Layer{‸", "Weights:property Bias:property size:property", "", ""},
		{"struct literal, second field", "l := Layer{Weights: nil, ‸}", "Bias:property -Weights", "", ""},
		{"package that is not imported", "strings.ToUp‸", "ToUpper:function", "(s string) string", "ToUp"},
		{"of several packages with the name, the one that an earlier cell means", "rand.Perm‸", "Perm:function", "", "Perm"},
		{"of several packages, the one that has it", "template.HTMLEscapeStr‸", "HTMLEscapeString:function", "", ""},
		{"of several packages, another", "template.JSStr‸", "JSStr:class", "", ""},
		{"name of a package that is not imported", "bufi‸", "bufio:module", "", "bufi"},
		{"package of the base", "graph.NewGra‸", "NewGraph:function", "", "NewGra"},
		{"import path", "import \"encoding/js‸\"", "json:module", "", ""},
		{"import path without its end", "import \"encoding/js‸", "json:module", "", ""},
		{"import path without its end, among others", "import (\n\t\"fmt\"\n\t\"encoding/js‸\n)\nfmt.Println()", "json:module", "", ""},
		{"argument behind a string without its end", "fmt.Println(\"a\\n, layer.Wei\nlayer.We‸", "Weights:property", "", ""},
		{"inside a function", "func f(x int) {\n\tfor i := range x {\n\t\tlayer.Wei‸\n\t}\n}\n", "Weights:property", "", "Wei"},
		{"parameter of a function", "func f(other *Layer) {\n\tother.Fo‸\n}", "Forward:function", "", ""},
		{"inside a function literal", "go func() { layer.Wei‸ }()", "Weights:property", "", ""},
		{"own variable of the cell", "mine := []string{}\nmin‸", "mine:instance", "[]string", "min"},
		{"own variable of the cell in its function", "func g() { mine.Wei‸ }\nmine := Layer{}", "Weights:property", "", ""},
		{"own type of the cell", "type Small struct{ Only int }\nvar s Small\ns.‸", "Only:property", "int", ""},
		{"a type of an earlier cell declared anew", "type Layer struct{ Other int }\nx := Layer{}\nx.‸", "Other:property Forward:function -Weights", "", ""},
		{"unclosed call before the cursor", "fmt.Println(layer.Wei‸", "Weights:property", "", ""},
		{"unclosed block", "for i := range 10 {\n\tif i > 2 {\n\t\tlayer.Wei‸\n", "Weights:property", "", ""},
		{"broken code before", "x := := 3\nfunc (\nlayer.Wei‸", "Weights:property", "", ""},
		{"bracket too many before", "y := 3 }\nlayer.Wei‸", "Weights:property", "", ""},
		{"broken code behind", "layer.Wei‸\nfunc broken( {\n", "Weights:property", "", ""},
		{"statement that goes on behind the cursor", "fmt.Println(layer.‸, 3)", "Weights:property", "", ""},
		{"selector without a name before another line", "layer.‸\nfmt.Println(3)", "Weights:property", "", ""},
		{"selector without a name before a declaration", "layer.‸\nfunc f() {}", "Weights:property", "", ""},
		{"in the middle of a statement", "z := append(layer.Wei‸, net.Layers[0].Bias...)\nz[0] = 1", "Weights:property", "", "Wei"},
		{"in the middle of lines", "a := 1\nb := layer.\n\tWei‸\nc := 2", "Weights:property", "", "Wei"},
		{"a package with hundreds of names, all of them", "graph.‸", "Abs:function Where:function ReduceSum:function Node:class", "(x *graph.Node) (node *graph.Node)", ""},
		{"small letters for large", "layer.we‸", "Weights:property -Forward", "", "we"},
		{"unicode before", "s := \"größer 😀\"; layer.Wei‸", "Weights:property", "", "Wei"},
		{"unicode name", "grö‸", "größe:instance", "int", "grö"},
		{"between declarations", "func f() {}\n\nlay‸\n\nfunc g() {}", "layer:instance", "", "lay"},
		{"on a fresh line behind a declaration", "func f() {}\n‸", "layer:instance net:instance", "", ""},
		{"on a blank line before a declaration", "x := 1\n\n‸\n\nfunc g() {}", "layer:instance", "", ""},
		{"behind special commands", "%env A b\n!ls \\\n  -l\nlayer.Wei‸", "Weights:property", "", "Wei"},
		{"behind a special command that is not one", "%frob\nlayer.Wei‸", "Weights:property", "", "Wei"},
		{"in the body of main", "func h() {}\n%%\nlayer.Wei‸", "Weights:property", "", ""},
		{"special command", "%en‸", "%env:magic", "%env NAME VALUE sets an environment variable of the program and of shell commands", "%en"},
		{"special commands, all", "%‸", "%cd:magic %help:magic %%:magic -!", "", "%"},
		{"special command in a cell", "x := 1\n%mem‸ory", "%memory:magic", "", "%memory"},
		{"words of a special command", "%backend a‸", "auto:instance -go -%args", "", "a"},
		{"special command as a comment", "//gonb:%me‸", "%memory:magic", "", "%me"},
		{"behind a special command that wants other words", "%exec\nlayer.We‸", "Weights:property", "", ""},
		{"command that takes the whole cell", "%%wri‸", "%%writefile:magic", "", "%%wri"},
		{"in a cell that is not Go", "%%bash\nlayer.We‸", "", "", ""},
		{"behind init functions that have names", "func init_a() {}\nlayer.We‸", "Weights:property", "", ""},
		{"names for %rm", "%rm layer La‸", "Layer:instance Large:instance", "", "La"},
		{"shell", "!l‸", "", "", ""},
		{"in a raw string a command is none", "s := `\n%en‸`", "-%env", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			n.t = t
			got := n.complete(c.text)
			text, pos := cursor(t, c.text)
			has := map[string]string{}
			var all []string
			for _, m := range got.Matches {
				has[m.Text] = m.Type
				all = append(all, m.Text+":"+m.Type)
			}
			for _, want := range strings.Fields(c.want) {
				name, typ, _ := strings.Cut(want, ":")
				if gone, not := strings.CutPrefix(name, "-"); not {
					if _, there := has[gone]; there {
						t.Errorf("%s is there: %v", gone, all)
					}
				} else if has[name] != typ || typ == "" {
					t.Errorf("no %s: %v", want, all)
				}
			}
			if c.want == "" && len(all) > 0 {
				t.Errorf("got %v", all)
			}
			if got.Start > pos || got.End < pos || got.End > len(text) {
				t.Fatalf("replaces %d to %d, with the cursor at %d", got.Start, got.End, pos)
			}
			if c.replaces != "" && text[got.Start:got.End] != c.replaces {
				t.Errorf("replaces %q, want %q", text[got.Start:got.End], c.replaces)
			}
			if c.signature == "" {
				return
			}
			first := strings.Fields(c.want)[0]
			i := slices.Index(all, first)
			if i >= 0 && got.Matches[i].Signature != c.signature {
				t.Errorf("%s has signature %q, want %q", first, got.Matches[i].Signature, c.signature)
			}
		})
	}
}

func TestInspect(t *testing.T) {
	busy := false
	n := open(t, "", func(o *assist.Options) {
		o.Value = func(name string) (string, bool) { return "value of " + name, !busy }
	})
	n.run(cells...)
	n.wait()
	for _, c := range []struct {
		name, text string
		detail     int
		want       []string // in text/plain; "-" before what must not be in it
	}{
		{"method", "layer.Forw‸ard(nil)", 0, []string{"func (l *Layer) Forward(x []float64) ([]float64, error)", "Forward computes the activation.", "-Value"}},
		{"in the arguments", "layer.Forward(‸", 0, []string{"Forward computes the activation."}},
		{"in the arguments, behind others", "fmt.Fprintf(os.Stderr, \"%d\", ‸)", 0, []string{"func fmt.Fprintf(w io.Writer", "Fprintf formats according to a format specifier and writes to w"}},
		{"nested arguments", "fmt.Println(layer.Forward(nil), ‸)", 0, []string{"func fmt.Println("}},
		{"type", "var l Lay‸er", 0, []string{"type Layer struct", "Layer is one layer of a net; Bias[i] belongs to Weights[i].", "-func (l *Layer) Forward"}},
		{"type, all of it", "var l Lay‸er", 1, []string{"type Layer struct", "func (l *Layer) Forward"}},
		{"field", "layer.Weights‸", 0, []string{"field Weights []float64", "by input", "-Value"}},
		{"variable", "layer‸", 0, []string{"var layer Layer", "Value: value of layer"}},
		{"variable with a comment", "whe‸n", 0, []string{"var when time.Time", "when is when it began.", "Value: value of when"}},
		{"variable in a statement", "x := layer‸.Weights", 0, []string{"var layer Layer", "Value: value of layer"}},
		{"variable in a function", "func f() { _ = lay‸er }", 0, []string{"Value: value of layer"}},
		{"variable that the cell declares again", "layer := Layer{}\nlay‸er", 0, []string{"Value: value of layer"}},
		{"local variable of the same name", "func f(layer int) { _ = lay‸er }", 0, []string{"var layer int", "-Value"}},
		{"local variable in a block", "{\n\tlayer := 3\n\t_ = lay‸er\n}", 0, []string{"var layer int", "-Value"}},
		{"variable of generic type", "net‸", 0, []string{"var net *Net[string]", "Value: value of net"}},
		{"constant", "Large‸", 0, []string{"const Large", "= 1"}},
		{"function of a package that is not imported", "strings.Repeat‸", 0, []string{"func strings.Repeat(s string, count int) string", "Repeat returns a new string consisting of count copies"}},
		{"package", "strin‸gs.Repeat", 0, []string{"package strings"}},
		{"unicode", "s := \"😀\" + strings.Rep‸eat(\"ö\", größe)", 0, []string{"func strings.Repeat"}},
		{"unicode variable", "größ‸e", 0, []string{"var größe int", "Value: value of größe"}},
		{"special command", "%memory‸", 0, []string{"%memory", "what the live program and its cells cost"}},
		{"second line of a special command", "!ls \\\n -‸l", 0, []string{"runs the rest of the line in a shell"}},
		{"command that takes the whole cell", "%%bash‸\nls", 0, []string{"runs the cell's other lines in bash"}},
		{"shell", "!*go get‸", 0, []string{"runs the rest of the line in a shell"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			n.t = t
			data := n.inspect(c.text, c.detail)
			plain, _ := data["text/plain"].(string)
			markdown, _ := data["text/markdown"].(string)
			for _, want := range c.want {
				if gone, not := strings.CutPrefix(want, "-"); not {
					if strings.Contains(plain, gone) {
						t.Errorf("%q is in\n%s", gone, plain)
					}
				} else if !strings.Contains(plain, want) {
					t.Errorf("no %q in\n%s", want, plain)
				}
			}
			if markdown == "" || strings.Contains(plain, "```") || strings.Contains(markdown, "file:") || strings.Contains(plain, "gradbook_") {
				t.Errorf("plain:\n%s\nMarkdown:\n%s", plain, markdown)
			}
		})
	}
	n.t = t
	busy = true
	if plain := n.inspect("layer‸", 0)["text/plain"].(string); strings.Contains(plain, "Value") {
		t.Errorf("a value is shown that must not be read:\n%s", plain)
	}
	for _, nothing := range []string{"‸", "3 + ‸4", "nowhere‸", "\"text‸\""} {
		if data := n.inspect(nothing, 0); len(data) > 0 {
			t.Errorf("%q: %v", nothing, data)
		}
	}
}

// What is redeclared, removed or set aside is no longer offered as it was.
func TestProgramChanges(t *testing.T) {
	n := open(t, "", nil)
	n.run("type T struct{ Old int }\nfunc use(t T) int { return t.Old }\nvar v T", "w := 3")
	n.wait()
	names := func(marked string) (all []string) {
		for _, m := range n.complete(marked).Matches {
			all = append(all, m.Text)
		}
		return all
	}
	if got := names("v.‸"); !slices.Contains(got, "Old") {
		t.Errorf("before: %v", got)
	}
	n.run("type T struct{ New int }")
	if got := names("v.‸"); !slices.Contains(got, "New") || slices.Contains(got, "Old") {
		t.Errorf("after: %v", got)
	}
	if got := names("us‸"); slices.Contains(got, "use") {
		t.Errorf("a function that is set aside is offered: %v", got)
	}
	if got := names("rand.Int31‸"); !slices.Contains(got, "Int31n") {
		t.Errorf("math/rand: %v", got)
	}
	n.run("import \"crypto/rand\"\nkey := rand.Text()")
	if got := names("rand.Te‸"); !slices.Contains(got, "Text") {
		t.Errorf("crypto/rand, which a cell has imported: %v", got)
	}
	n.program.Remove("w")
	n.assist.Update(n.program.Outline())
	if got := names("x := w‸"); slices.Contains(got, "w") {
		t.Errorf("a removed variable is offered: %v", got)
	}
	n.program.Reset()
	n.assist.Update(n.program.Outline())
	if got := names("x := v‸"); slices.Contains(got, "v") {
		t.Errorf("a variable of the program before %%reset is offered: %v", got)
	}
}

// Cells of a module's folder see that module's packages, internal ones too, as it is on disk.
func TestModule(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":                  "module example.com/m\n\ngo 1.26\n",
		"internal/shape/shape.go": "// Package shape has shapes.\npackage shape\n\n// Square is a square.\ntype Square struct{ Side float64 }\n",
		"notebooks/readme":        "",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	work := filepath.Join(t.TempDir(), "go.work")
	if err := os.WriteFile(work, []byte("go 1.26\n\nuse "+dir+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, at := range map[string]string{"module": filepath.Join(dir, "notebooks"), "go.work": filepath.Dir(work)} {
		t.Run(name, func(t *testing.T) {
			n := open(t, at, nil)
			n.wait()
			c := n.complete("import \"example.com/m/internal/shape\"\nq := shape.Square{}\nq.‸")
			if len(c.Matches) == 0 || c.Matches[0].Text != "Side" {
				t.Errorf("got %v", c)
			}
			if entries, err := os.ReadDir(dir); err != nil || len(entries) != 3 {
				t.Errorf("the module's folder is not as it was: %v %v", entries, err)
			}
		})
	}
}
