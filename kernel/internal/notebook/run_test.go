package notebook_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gradbook/gradbook/kernel/internal/notebook"
	"github.com/gradbook/gradbook/kernel/internal/session"
)

// fake is a session whose "language" is the words below.
type fake struct {
	t     *testing.T
	types map[string]string
	ran   []string // names and texts of the cells
	begun func()   // called when a cell blocks
}

func (f *fake) Variable(name string) (string, bool) {
	typ, ok := f.types[name]
	return typ, ok
}

func (f *fake) Execute(ctx context.Context, r session.Request, out func(session.Output)) session.Result {
	f.ran = append(f.ran, r.Name+"|"+r.Text)
	stream := func(name, text string) { out(session.Output{Kind: session.Stream, Name: name, Text: text}) }
	text := func(s string) map[string]any { return map[string]any{"text/plain": s} }
	lines := strings.Split(strings.TrimSpace(r.Text), "\n")
	switch lines[len(lines)-1] {
	case "streams":
		stream("stdout", "a")
		stream("stdout", "b\nc")
		stream("stderr", "err\n")
		stream("stdout", "\n")
		stream("stdout", "\xff é\n")
	case "displays":
		out(session.Output{Kind: session.Display, DisplayID: "p", Data: text("0 %")})
		out(session.Output{Kind: session.Display, Data: map[string]any{
			"image/png": []byte{0x89, 'P', 'N', 'G'}, "image/svg+xml": []byte("<svg>\n</svg>"), "text/html": "<b>é</b>",
			"application/json": map[string]any{"x": []float64{1, 0.5}}, "application/vnd.vega+json": `{"y":[2]}`,
		}, Metadata: map[string]any{"width": 3}})
		out(session.Output{Kind: session.Display, DisplayID: "p", Data: text("0 % again")})
	case "update":
		out(session.Output{Kind: session.Update, DisplayID: "p", Data: text("100 %"), Metadata: map[string]any{"done": true}})
		out(session.Output{Kind: session.Update, DisplayID: "unknown", Data: text("lost")})
		out(session.Output{Kind: session.Stream, Name: "stdout", Text: "late\n", From: "cell 2"})
	case "clear":
		stream("stdout", "gone")
		out(session.Output{Kind: session.Clear})
		stream("stdout", "replaced")
		out(session.Output{Kind: session.Clear, Wait: true})
		stream("stdout", "new")
		stream("stdout", "er")
		out(session.Output{Kind: session.Clear, Wait: true}) // nothing comes, nothing goes
	case "value":
		out(session.Output{Kind: session.Value, Data: text("[1 2]")})
	case "panics":
		stream("stdout", "before\n")
		return session.Result{Status: session.Failed, Name: "panic", Message: "boom",
			Traceback: []string{"panic: boom", r.Name + ":1\tpanics"}}
	case "dies":
		return session.Result{Status: session.Died, Name: "worker died", Message: "os.Exit(3)", ExitCode: 3}
	case "blocks":
		if f.begun != nil {
			f.begun()
		}
		<-ctx.Done()
		return session.Result{Status: session.Interrupted, Name: "interrupt", Message: "interrupted", Traceback: []string{"interrupted at " + r.Name + ":1"}}
	case "big":
		line := strings.Repeat("0123456789abcde", 69)
		for range 50 << 10 {
			stream("stdout", line[:1023]+"\n")
		}
	}
	return session.Result{}
}

// book makes a notebook of code cells; "tag,tag|text" gives a cell tags.
func book(t *testing.T, cells ...string) *notebook.Notebook {
	t.Helper()
	n := &notebook.Notebook{}
	for _, text := range cells {
		c := &notebook.Cell{Kind: notebook.Code, Source: text, Metadata: map[string]any{}}
		if tags, source, ok := strings.Cut(text, "|"); ok {
			var list []any
			for tag := range strings.SplitSeq(tags, ",") {
				list = append(list, tag)
			}
			c.Source, c.Metadata["tags"] = source, list
		}
		n.Cells = append(n.Cells, c)
	}
	return n
}

func TestRun(t *testing.T) {
	n, err := notebook.Read(filepath.Join("testdata", "run.ipynb"))
	if err != nil {
		t.Fatal(err)
	}
	s := &fake{t: t, types: map[string]string{"rate": "float64", "name": "string"}}
	var progress []string
	r := notebook.Runner{Session: s, Set: []notebook.Setting{{Name: "name", Value: "a word"}, {Name: "rate", Value: "1e-3"}},
		Start: func(step notebook.Step) {
			progress = append(progress, fmt.Sprintf("[%d/%d] %s", step.N, step.Of, step.Line))
		}}
	err = r.Run(t.Context(), n)
	const want = "cell 9 of 10 (// a failure) failed: panic: boom"
	var failure *notebook.CellError
	if !errors.As(err, &failure) || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	got := n.Encode()
	golden(t, "run.golden.ipynb", got)
	validate(t, got)
	const lines = `[1/10] rate := 0.1
[2/10] name = "a word"
[3/10] streams
[4/10] displays
[5/10] update
[6/10] clear
[7/10] panics
[8/10] value
[9/10] // a failure`
	if all := strings.Join(progress, "\n"); all != lines {
		t.Errorf("progress:\n%s", all)
	}
	if s.ran[1] != "cell 2|name = \"a word\"\nrate = 1e-3" {
		t.Errorf("the second cell was %q", s.ran[1])
	}
}

func TestAllowErrors(t *testing.T) {
	n := book(t, "panics", "dies", "value")
	r := notebook.Runner{Session: &fake{t: t}, AllowErrors: true}
	if err := r.Run(t.Context(), n); err != nil {
		t.Error(err)
	}
	got := n.Encode()
	golden(t, "allow.golden.ipynb", got)
	validate(t, got)
}

func TestStops(t *testing.T) {
	for _, test := range []struct {
		name  string
		cells []string
		want  string
		ran   int
	}{
		{"death", []string{"dies", "value"}, "cell 1 of 2 (dies) ended the program: os.Exit(3)", 1},
		{"death is no exception", []string{"raises-exception|dies", "value"}, "cell 1 of 2 (dies) ended the program: os.Exit(3)", 1},
		{"an exception is one", []string{"raises-exception|panics", "value"}, "", 2},
		{"no cells", nil, "", 0},
		{"blank cells", []string{"", " \n"}, "", 0},
		{"other language", []string{"value", "%%ruby\nputs 1"}, "its language is ruby", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &fake{t: t}
			r := notebook.Runner{Session: s}
			err := r.Run(t.Context(), book(t, test.cells...))
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
			if len(s.ran) != test.ran {
				t.Errorf("ran %q, not %d", s.ran, test.ran)
			}
		})
	}
}

func TestTimeout(t *testing.T) {
	for _, allow := range []bool{false, true} {
		n := book(t, "value", "blocks", "value")
		r := notebook.Runner{Session: &fake{t: t}, Timeout: 20 * time.Millisecond, AllowErrors: allow}
		err := r.Run(t.Context(), n)
		const want = "cell 2 of 3 (blocks) took longer than the timeout of 20ms and was interrupted"
		if err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
		text := string(n.Encode())
		if !strings.Contains(text, "interrupted at cell 2:1") || !strings.Contains(text, "timeout of 20ms") {
			t.Errorf("the cell does not say so:\n%s", text)
		}
	}
}

func TestInterrupt(t *testing.T) {
	for _, test := range []struct {
		allow bool
		want  string
		ran   int
	}{
		{false, "cell 1 of 2 (blocks) was interrupted", 1},
		{true, "", 2},
	} {
		s := &fake{t: t}
		r := &notebook.Runner{Session: s, AllowErrors: test.allow}
		s.begun = r.Interrupt
		err := r.Run(t.Context(), book(t, "blocks", "value"))
		if fmt.Sprint(err) != test.want && !(err == nil && test.want == "") {
			t.Errorf("got  %v\nwant %s", err, test.want)
		}
		if len(s.ran) != test.ran {
			t.Errorf("ran %q", s.ran)
		}
	}
}

func TestInterruptBetweenCells(t *testing.T) {
	r := &notebook.Runner{Session: &fake{t: t}}
	r.Start = func(step notebook.Step) {
		if step.N == 2 {
			r.Interrupt()
		}
	}
	err := r.Run(t.Context(), book(t, "value", "blocks", "value"))
	if err == nil || err.Error() != "cell 2 of 3 (blocks) was interrupted" {
		t.Errorf("got %v", err)
	}
}

// A context that ends stops the run, also where errors are allowed.
func TestCancel(t *testing.T) {
	for _, test := range []struct {
		cells []string
		want  string
	}{
		{[]string{"value", "blocks", "value"}, "cell 2 of 3 (blocks) was interrupted"},
		{[]string{"value", "blocks"}, "cell 2 of 2 (blocks) was interrupted"},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		s := &fake{t: t, begun: cancel}
		r := notebook.Runner{Session: s, AllowErrors: true}
		if err := r.Run(ctx, book(t, test.cells...)); err == nil || err.Error() != test.want {
			t.Errorf("got  %v\nwant %s", err, test.want)
		}
		if len(s.ran) != 2 {
			t.Errorf("ran %q", s.ran)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	s := &fake{t: t}
	r := notebook.Runner{Session: s, Done: func(notebook.Step, session.Result) { cancel() }}
	err := r.Run(ctx, book(t, "value", "value"))
	if !errors.Is(err, notebook.ErrStopped) || err.Error() != "the run was stopped before cell 2 of 2" {
		t.Errorf("got %v", err)
	}
}

func TestTimes(t *testing.T) {
	for _, times := range []bool{false, true} {
		n := book(t, "value")
		n.Cells[0].Metadata["execution"] = map[string]any{"iopub.status.busy": "stale"}
		r := notebook.Runner{Session: &fake{t: t}, Times: times}
		if err := r.Run(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		text := string(n.Encode())
		if strings.Contains(text, "stale") || strings.Contains(text, "shell.execute_reply") != times {
			t.Errorf("Times %v:\n%s", times, text)
		}
		validate(t, n.Encode())
	}
}

func TestSet(t *testing.T) {
	types := map[string]string{"s": "string", "n": "int", "f": "float64", "b": "bool", "d": "time.Duration",
		"list": "[]string", "mode": "Mode", "m": "map[string]int"}
	const cell = "parameters|import \"time\"\n%args x\nvar s, n = \"x\", 1\nvar (\n\tf float64\n\tlist []string\n\tm = map[string]int{\n\t\t\"k\": 1,\n\t}\n)\n" +
		"func helper() { inner := 1; _ = inner }\nb, d := true, time.Second\nif local := 1; local > 0 {\n\tnested := 2\n\t_ = nested\n}\nvar mode Mode; s = \"y\"; var gone int"
	const list = "its parameters are s, n, f, list, m, b, d, mode, gone"
	for _, test := range []struct{ set, want string }{
		{`s=word`, `s = "word"`},
		{`s=`, `s = ""`},
		{`s="quoted \n"`, `s = "quoted \n"`},
		{"s=`raw`", "s = `raw`"},
		{`s=it's "half`, `s = "it's \"half"`},
		{`s=a=b`, `s = "a=b"`},
		{`n=1<<10`, `n = 1<<10`},
		{`f = 1e-3`, `f = 1e-3`},
		{`b=false`, `b = false`},
		{`d=1m30s`, `d = 90000000000 // 1m30s`},
		{`d=2*time.Second`, `d = 2*time.Second`},
		{`list=[]string{"a", "b"}`, `list = []string{"a", "b"}`},
		{`m=nil`, `m = nil`},
		{`mode=Fast`, `mode = Fast`},
		{`b=yes`, `error: cannot set b: it is a bool, and "yes" is neither true nor false`},
		{`n=1 2`, `error: cannot set n: it is of type int, and "1 2" is no Go expression`},
		{`n=`, `error: cannot set n: it is of type int, and "" is no Go expression`},
		{`n=1; panic(0)`, `error: cannot set n: it is of type int, and "1; panic(0)" is no Go expression`},
		{`gone=1`, `error: cannot set gone: it is no variable of the program; declare it by var or := in the cell tagged "parameters"`},
		{`typo=1`, `error: no parameter "typo" in the cell tagged "parameters"; ` + list},
		{`inner=1`, `error: no parameter "inner" in the cell tagged "parameters"; ` + list},
		{`local=1`, `error: no parameter "local" in the cell tagged "parameters"; ` + list},
		{`Mode=1`, `error: no parameter "Mode" in the cell tagged "parameters"; ` + list},
	} {
		t.Run(test.set, func(t *testing.T) {
			set, err := notebook.ParseSetting(test.set)
			if err != nil {
				t.Fatal(err)
			}
			s := &fake{t: t, types: types}
			r := notebook.Runner{Session: s, Set: []notebook.Setting{set}}
			got := ""
			if err := r.Run(t.Context(), book(t, "value", cell, "streams")); err != nil {
				got = "error: " + err.Error()
			} else {
				got = strings.TrimPrefix(s.ran[2], "cell 3|")
			}
			if got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestSetRefusals(t *testing.T) {
	for _, bad := range []string{"", "x", "=1", "1x=2", "a b=2"} {
		if set, err := notebook.ParseSetting(bad); err == nil {
			t.Errorf("%q gives %v", bad, set)
		}
	}
	x := notebook.Setting{Name: "x", Value: "1"}
	for _, test := range []struct {
		name string
		set  []notebook.Setting
		cell string
		want string
	}{
		{"no cell", []notebook.Setting{x}, "x := 1", `the notebook has no cell tagged "parameters", so nothing can be set`},
		{"declares none", []notebook.Setting{x}, "parameters|x = 1", `no parameter "x" in the cell tagged "parameters"; it declares none`},
		{"twice", []notebook.Setting{x, x}, "parameters|x := 1", "x is set twice"},
		{"blank", []notebook.Setting{x}, "parameters| ", `the cell tagged "parameters" is empty`},
	} {
		s := &fake{t: t}
		r := notebook.Runner{Session: s, Set: test.set}
		if err := r.Run(t.Context(), book(t, "value", test.cell)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v", test.name, err)
		}
		if len(s.ran) > 0 {
			t.Errorf("%s: ran %q before it failed", test.name, s.ran)
		}
	}
}

// A second run with settings replaces the first one's cell; one without keeps it.
func TestSetAgain(t *testing.T) {
	n := book(t, "parameters|x := 1", "value")
	run := func(set ...notebook.Setting) []string {
		s := &fake{t: t, types: map[string]string{"x": "int"}}
		r := notebook.Runner{Session: s, Set: set}
		if err := r.Run(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		return s.ran
	}
	for _, test := range []struct {
		set  []notebook.Setting
		want string
	}{
		{[]notebook.Setting{{Name: "x", Value: "2"}}, "cell 2|x = 2"},
		{nil, "cell 2|x = 2"},
		{[]notebook.Setting{{Name: "x", Value: "3"}}, "cell 2|x = 3"},
	} {
		if ran := run(test.set...); len(ran) != 3 || ran[1] != test.want {
			t.Errorf("ran %q, want %q second", ran, test.want)
		}
	}
}

// The settings are in the file, unapplied, when the run has not come to them.
func TestSetNotReached(t *testing.T) {
	n := book(t, "panics", "parameters|x := 1")
	r := notebook.Runner{Session: &fake{t: t}, Set: []notebook.Setting{{Name: "x", Value: "2"}}}
	if err := r.Run(t.Context(), n); err == nil {
		t.Error("no error")
	}
	if len(n.Cells) != 3 || n.Cells[2].Source != "// to be set: x=2" || !n.Cells[2].HasTag(notebook.TagInjected) {
		t.Errorf("the third cell is %+v", n.Cells[len(n.Cells)-1])
	}
}

func TestBigOutput(t *testing.T) {
	n := book(t, "big")
	r := notebook.Runner{Session: &fake{t: t}}
	if err := r.Run(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	if k := len(n.Cells[0].Outputs); k != 1 {
		t.Fatalf("%d outputs, not one", k)
	}
	if k := len(n.Cells[0].Outputs[0].Text()); k != 50<<20 {
		t.Fatalf("%d bytes", k)
	}
	path := filepath.Join(t.TempDir(), "big.ipynb")
	if err := n.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	again, err := notebook.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if again.Cells[0].Outputs[0].Text() != n.Cells[0].Outputs[0].Text() {
		t.Error("the text differs after reading it back")
	}
}

func TestLongCell(t *testing.T) {
	var text strings.Builder
	for i := range 10000 {
		fmt.Fprintf(&text, "x%d := %d\n", i, i)
	}
	n := book(t, "parameters|"+text.String())
	s := &fake{t: t, types: map[string]string{"x9999": "int"}}
	r := notebook.Runner{Session: s, Set: []notebook.Setting{{Name: "x9999", Value: "1"}}}
	if err := r.Run(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	if s.ran[0] != "cell 1|"+text.String() {
		t.Error("the text was changed on its way")
	}
	again, err := notebook.Parse(n.Encode())
	if err != nil || again.Cells[0].Source != text.String() {
		t.Errorf("the text differs after reading it back: %v", err)
	}
}
