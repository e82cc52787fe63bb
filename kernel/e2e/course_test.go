package e2e_test

import (
	"context"
	_ "embed"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	protocol "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// course says which notebooks to walk through. It takes as long as a person does, and its pictures are for a person to look at.
var course = flag.String("course", "", `walk through the course: "all", or the notebooks whose names begin so ("00 03"); pictures and records come into build/walk`)

// silent is how long a cell may work before it shows anything, a bar for example, in seconds.
const silent = 20

// walkJS defines walk, which knows the notebook's cells.
//
//go:embed testdata/walk.js
var walkJS string

// record is what one code cell did; walk.js begins it.
type record struct {
	Index                 int
	ID, Source            string
	Begun, Ended          bool
	Seconds               float64
	Wait, Pause           float64 // seconds until it showed anything, and the longest time between two words
	Stdout, Stderr, Error string
	Rich                  bool // has an output that is no stream
	Controls              []*control
}

// control is a slider or a dropdown.
type control struct {
	N       int
	Kind    string
	Options int
	Redraws []float64 // milliseconds from a move to the last change of the picture beside it
	Still   int       // moves that changed the value and no picture
}

// walk is the way through one notebook.
type walk struct {
	*page
	Name    string
	Cells   []*record
	Console []string // warnings and errors
	Seen    []string // dialogs and notifications
	dir     string   // of its pictures
}

// TestCourse goes through the notebooks of the course as a new learner does: in a copy of this repository, with an empty home,
// in JupyterLab, from the top of the first to the end of the last; and moves everything that can be moved.
func TestCourse(t *testing.T) {
	if *course == "" {
		t.Skip("not asked for: -course all takes half an hour")
	}
	browser := chromium(t)
	buildGopls(t)
	root := workplace(t)
	copied := copyTree(t)
	home := t.TempDir()
	for _, name := range []string{"GOCACHE", "GOMODCACHE"} {
		out, err := exec.Command("go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv(name, strings.TrimSpace(string(out)))
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_CACHE_HOME", cache) // the base library is in it
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(home, "config"))
	build := exec.Command("go", "build", "-o", "bin/gradbook", "./kernel/cmd/gradbook")
	build.Dir = copied
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	l := serve(t, filepath.Join(copied, "bin", "gradbook"), filepath.Join(copied, "notebooks"), "--LabApp.expose_app_in_browser=True")
	files, err := filepath.Glob(filepath.Join(copied, "notebooks", "[0-9]*.ipynb"))
	if err != nil {
		t.Fatal(err)
	}
	p := openPage(t, browser, l.notebook("README.md"))
	p.do(chromedp.EmulateViewport(1280, 1600))
	w := &walk{page: p}
	chromedp.ListenTarget(p.ctx, w.console)
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".ipynb")
		if *course != "all" && !slices.ContainsFunc(strings.Fields(*course), func(s string) bool { return strings.HasPrefix(name, s) }) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			p.t = t
			*w = walk{page: p, Name: name, dir: filepath.Join(root, "..", "walk", name[:2])}
			if err := os.RemoveAll(w.dir); err != nil {
				t.Fatal(err)
			}
			if err := os.MkdirAll(w.dir, 0o755); err != nil {
				t.Fatal(err)
			}
			pictures = w.dir
			w.through(l.notebook(name+".ipynb") + "&reset")
		})
	}
	p.t = t
}

// copyTree copies what git would give to someone who clones this repository as it stands, and returns the folder.
func copyTree(t *testing.T) string {
	t.Helper()
	list := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = filepath.Join("..", "..")
	out, err := list.Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	dir := t.TempDir()
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		text, err := os.ReadFile(filepath.Join(list.Dir, name))
		if os.IsNotExist(err) { // removed, and still in the index
			continue
		}
		if err == nil {
			err = os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// console hears what the page tells the browser's console.
func (w *walk) console(event any) {
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		w.Console = append(w.Console, "exception: "+e.ExceptionDetails.Error())
	case *log.EventEntryAdded:
		if e.Entry.Level == log.LevelError || e.Entry.Level == log.LevelWarning {
			w.Console = append(w.Console, fmt.Sprintf("%s: %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL))
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.APITypeError || e.Type == runtime.APITypeWarning {
			text := string(e.Type) + ":"
			for _, a := range e.Args {
				text += " " + strings.Trim(string(a.Value)+a.Description, `"`)
			}
			w.Console = append(w.Console, text)
		}
	}
}

// through opens the notebook, runs all of it, moves what can be moved, looks at it in both themes, and judges.
func (w *walk) through(url string) {
	w.do(chromedp.Navigate(url))
	w.until("JupyterLab", "window.jupyterapp")
	w.do(chromedp.Evaluate(walkJS+"; true", nil))
	w.until("the notebook with a kernel", "walk.notebook()")
	w.do(chromedp.Evaluate("walk.listen()", nil))
	w.click(".jp-RenderedMarkdown h1", "") // the status bar speaks of what was clicked last
	w.status("Idle")
	w.picture("0-opened")
	w.outputs("0-opened-", func(r *record) bool { return strings.Contains(r.Source, "widget.New") })
	w.menu("Run", "Run All Cells")
	w.await()
	for _, r := range w.Cells {
		w.ask(fmt.Sprintf("walk.controls(%d)", r.Index), &r.Controls)
		for _, c := range r.Controls {
			w.move(r, c)
		}
	}
	all := func(r *record) bool { return r.Rich }
	w.outputs("light-", all)
	w.menu("Settings", "Theme", "JupyterLab Dark")
	w.until("the dark theme", "document.body.dataset.jpThemeLight === 'false' && !document.querySelector('#jupyterlab-splash')")
	w.outputs("dark-", all)
	w.menu("Settings", "Theme", "JupyterLab Light")
	w.until("the light theme", "document.body.dataset.jpThemeLight === 'true' && !document.querySelector('#jupyterlab-splash')")
	w.ask("walk.seen()", &w.Seen)
	w.ask("walk.stop()", nil)
	w.judge()
}

// ask evaluates what may be a promise.
func (w *walk) ask(expression string, v any) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	var text string
	expression = fmt.Sprintf("(async () => JSON.stringify(await %s) ?? 'null')()", expression)
	err := chromedp.Run(ctx, chromedp.Evaluate(expression, &text, func(e *runtime.EvaluateParams) *runtime.EvaluateParams { return e.WithAwaitPromise(true) }))
	if err == nil && v != nil {
		err = json.Unmarshal([]byte(text), v)
	}
	if err != nil {
		w.t.Fatalf("%s: %v", expression, err)
	}
}

// await waits until all cells have run, or one has failed.
func (w *walk) await() {
	idle := 0
	for end := time.Now().Add(20 * time.Minute); idle < 4; time.Sleep(500 * time.Millisecond) {
		if time.Now().After(end) {
			w.picture("0-not-done")
			w.t.Fatal("the cells are not done after 20 minutes")
		}
		var busy bool
		w.ask("walk.busy() || walk.waiting() > 0", &busy)
		if idle++; busy {
			idle = 0
		}
	}
	w.ask("walk.records()", &w.Cells)
}

// move moves a slider or dropdown, as a person does who follows the picture.
func (w *walk) move(r *record, c *control) {
	if w.region(r.Index) == nil {
		w.t.Errorf("cell %s: nothing below it", r.ID)
		return
	}
	var ok bool
	if w.ask(fmt.Sprintf("walk.watch(%d, %d)", r.Index, c.N), &ok); !ok {
		w.t.Errorf("cell %s: its %s takes no keys, or no picture is beside it", r.ID, c.Kind)
		return
	}
	value := func() (v string) {
		w.ask(fmt.Sprintf("walk.value(%d)", r.Index), &v)
		return v
	}
	for i, step := range w.steps(r, c) {
		was := value()
		step.do()
		var drawn []float64
		for begun, now := time.Now(), ""; time.Since(begun) < 10*time.Second; time.Sleep(50 * time.Millisecond) {
			if w.ask("walk.drawn()", &drawn); len(drawn) > 0 && time.Since(begun) > 300*time.Millisecond {
				break
			}
			if now = value(); now == was && time.Since(begun) > time.Second {
				break // at the slider's end
			}
		}
		switch {
		case len(drawn) > 0:
			c.Redraws = append(c.Redraws, math.Round(slices.Max(drawn)))
		case value() != was:
			c.Still++
		}
		if step.seen {
			w.snap(fmt.Sprintf("moved-%02d-%s-%d", r.Index, r.ID, i), r.Index)
		}
	}
}

// step is one move of a control; seen ones leave a picture.
type step struct {
	do   func()
	seen bool
}

// steps are a few steps of a slider to each side and both of its ends, or each option of a dropdown.
func (w *walk) steps(r *record, c *control) (steps []step) {
	if c.Kind == "dropdown" {
		for option := range c.Options {
			option = (option + 1) % c.Options
			steps = append(steps, step{func() { w.ask(fmt.Sprintf("walk.choose(%d, %d, %d)", r.Index, c.N, option), nil) }, true})
		}
		return steps
	}
	for _, key := range []string{kb.ArrowRight, kb.ArrowRight, kb.ArrowRight, kb.PageDown, kb.PageDown, kb.Home, kb.PageUp, kb.PageUp, kb.PageUp, kb.End} {
		steps = append(steps, step{func() { w.press(key) }, key == kb.Home || key == kb.End})
	}
	return steps
}

// box is a part of the page.
type box struct{ X, Y, Width, Height float64 }

// region brings what is below a cell into sight.
func (w *walk) region(index int) (b *box) {
	w.ask(fmt.Sprintf("walk.show(%d, '.jp-Cell-outputWrapper')", index), &b)
	return b
}

// snap takes a picture of what is below a cell.
func (w *walk) snap(name string, index int) {
	b := w.region(index)
	if b == nil || b.Width < 1 || b.Height < 1 {
		w.t.Errorf("%s: nothing to be seen", name)
		return
	}
	var png []byte
	err := chromedp.Run(w.ctx, chromedp.ActionFunc(func(ctx context.Context) (err error) {
		png, err = protocol.CaptureScreenshot().WithClip(&protocol.Viewport{X: b.X, Y: b.Y, Width: b.Width, Height: b.Height, Scale: 1}).Do(ctx)
		return err
	}))
	if err == nil {
		err = os.WriteFile(filepath.Join(w.dir, name+".png"), png, 0o644)
	}
	if err != nil {
		w.t.Errorf("%s: %v", name, err)
	}
}

// outputs takes a picture below each cell of a kind.
func (w *walk) outputs(prefix string, which func(*record) bool) {
	var cells []*record
	w.ask("walk.records()", &cells)
	for _, r := range cells {
		if which(r) {
			w.snap(fmt.Sprintf("%s%02d-%s", prefix, r.Index, r.ID), r.Index)
		}
	}
}

// judge says what a learner would stumble over, and writes the record.
func (w *walk) judge() {
	text, err := json.MarshalIndent(w, "", "\t")
	if err == nil {
		err = os.WriteFile(filepath.Join(w.dir, "record.json"), text, 0o644)
	}
	if err != nil {
		w.t.Error(err)
	}
	var seconds float64
	var moved []string
	errors := 0
	for _, r := range w.Cells {
		seconds += max(r.Seconds, 0)
		switch {
		case r.Error != "":
			w.t.Errorf("cell %s: %s", r.ID, r.Error)
			errors++
		case !r.Begun || !r.Ended:
			w.t.Errorf("cell %s did not run", r.ID)
		case r.Stderr != "":
			w.t.Errorf("cell %s wrote an error: %s", r.ID, r.Stderr)
		case r.Wait > silent:
			w.t.Errorf("cell %s worked %.0f s without a word", r.ID, r.Wait)
		}
		if strings.Contains(r.Source, "exercise.Check") && !strings.Contains(r.Stdout, "not answered yet") && !strings.Contains(r.Stdout, "not yet") {
			w.t.Errorf("cell %s says of an exercise that nobody did: %s", r.ID, r.Stdout)
		}
		for _, c := range r.Controls {
			if c.Still > 0 || len(c.Redraws) == 0 {
				w.t.Errorf("cell %s: the picture beside the %s did not follow (%d of %d moves)", r.ID, c.Kind, c.Still, c.Still+len(c.Redraws))
				continue
			}
			slices.Sort(c.Redraws)
			moved = append(moved, fmt.Sprintf("%s (%d moves, %.0f ms, at most %.0f)", c.Kind, len(c.Redraws), c.Redraws[len(c.Redraws)/2], slices.Max(c.Redraws)))
		}
	}
	if len(moved) == 0 {
		w.t.Error("nothing can be moved in this notebook")
	}
	for _, s := range w.Seen {
		w.t.Errorf("JupyterLab said: %s", s)
	}
	for _, s := range w.Console {
		w.t.Logf("the browser's console: %.300s", s)
	}
	slowest := slices.MaxFunc(w.Cells, func(a, b *record) int { return int(1000 * (a.Seconds - b.Seconds)) })
	w.t.Logf("| %s | %d cells | %.1f s | %d errors | slowest %s %.1f s | %s |", w.Name, len(w.Cells), seconds, errors, slowest.ID, slowest.Seconds, strings.Join(moved, ", "))
}
