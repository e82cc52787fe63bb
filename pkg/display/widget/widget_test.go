//go:build unix

package widget_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"image"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gradbook/gradbook/pkg/display"
	"github.com/gradbook/gradbook/pkg/display/widget"
)

var update = flag.Bool("update", false, "rewrite the expected messages in testdata")

// kinds are the widgets, each made anew.
var kinds = []struct {
	name string
	make func() widget.Widget
}{
	{"int-slider", func() widget.Widget { return widget.NewIntSlider("depth <n>", 1, 50, 10) }},
	{"float-slider", func() widget.Widget { return widget.NewFloatSlider("gain", 0, 2, 0.5) }},
	{"progress", func() widget.Widget { p := widget.NewProgress("steps", 200); p.SetValue(50); return p }},
	{"dropdown", func() widget.Widget { d := widget.NewDropdown("net", "tanh", "relu"); d.SetValue("relu"); return d }},
	{"checkbox", func() widget.Widget { return widget.NewCheckbox("bias", true) }},
	{"button", func() widget.Widget { return widget.NewButton("train") }},
	{"text", func() widget.Widget { return widget.NewText("name", "a <b>") }},
	{"html", func() widget.Widget { return widget.NewHTML("<b>bold</b>") }},
	{"figure", func() widget.Widget {
		return widget.NewFigure(display.SVG(`<svg xmlns="http://www.w3.org/2000/svg"><title>loss</title></svg>`))
	}},
	{"image", func() widget.Widget { return widget.NewImage(image.NewGray(image.Rect(0, 0, 64, 64))) }},
	{"output", func() widget.Widget {
		o := widget.NewOutput()
		fmt.Fprintln(o, "one")
		fmt.Fprintln(o, "two <&>")
		o.Show(display.HTML("<i>three</i>"), math.Pi)
		return o
	}},
	{"boxes", func() widget.Widget {
		return widget.NewVBox(widget.NewHBox(widget.NewButton("left"), widget.NewButton("right")), widget.NewHTML("below"))
	}},
}

// TestMessages compares what a front end is told of each widget, and what is shown where there is none.
func TestMessages(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			var out strings.Builder
			static := display.Bundle(k.make())
			fmt.Fprintf(&out, "-- text --\n%s\n-- html --\n%s\n", static["text/plain"], static["text/html"])
			f := newFront(t)
			display.Show(k.make())
			out.WriteString("-- messages --\n")
			for {
				m := f.next()
				for i, b := range m.Buffers { // their place and number are what counts
					m.Buffers[i] = []byte(fmt.Sprint(len(b) > 60, " ", string(b[1:4])))
				}
				line, err := json.MarshalIndent(m, "", "  ")
				if err != nil {
					t.Fatal(err)
				}
				out.Write(append(line, '\n'))
				if m.Op == "display" {
					break
				}
			}
			golden(t, filepath.Join("testdata", k.name+".golden"), anonymous(out.String()))
		})
	}
}

// anonymous replaces ids by numbers in the order of their appearance.
func anonymous(s string) string {
	n := 0
	for {
		i := strings.Index(s, `"id": "`)
		if i < 0 {
			return s
		}
		id, _, _ := strings.Cut(s[i+len(`"id": "`):], `"`)
		n++
		s = strings.Replace(s, `"id": "`+id+`"`, fmt.Sprintf(`"id" : "%d"`, n), 1)
		s = strings.NewReplacer("IPY_MODEL_"+id+`"`, fmt.Sprintf(`IPY_MODEL_%d"`, n), `"model_id": "`+id+`"`, fmt.Sprintf(`"model_id": "%d"`, n)).Replace(s)
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s\ngot:\n%s\nwant:\n%s", file, got, want)
	}
}

// A hand moves a slider, the callback redraws, and the front end is told of the drawing alone.
func TestCallback(t *testing.T) {
	f := newFront(t)
	depth := widget.NewIntSlider("depth", 1, 50, 10)
	plot := widget.NewFigure("drawn for 10")
	depth.OnChange(func(n int) { plot.Draw(display.SVG(fmt.Sprintf("<svg>%d</svg>", n))) })
	display.Show(widget.NewVBox(depth, plot))
	slider, figure := f.opened("IntSliderModel"), f.opened("HTMLModel")
	f.until(func(m message) bool { return m.Op == "display" })
	f.update(slider.ID, "value", 20)
	if m := f.next(); m.ID != figure.ID || state(m)["value"] != "<svg>20</svg>" {
		t.Errorf("got %+v, want an update of the figure", m)
	}
	if depth.Value() != 20 {
		t.Errorf("the slider is at %d, want 20", depth.Value())
	}
	f.update(slider.ID, "value", 99) // more than there is: the front end is corrected
	m := f.until(func(m message) bool { return m.ID == slider.ID })
	if state(m)["value"] != 50.0 {
		t.Errorf("got %+v, want the slider at 50", m)
	}
}

func TestSetValue(t *testing.T) {
	f := newFront(t)
	s := widget.NewIntSlider("depth", 1, 50, 10)
	var got []int
	s.OnChange(func(n int) { got = append(got, n) })
	display.Show(s)
	id := f.opened("IntSliderModel").ID
	s.SetValue(20)
	s.SetValue(20) // no change
	s.SetValue(1000)
	if want := []int{20, 50}; !reflect.DeepEqual(got, want) {
		t.Errorf("the callback saw %v, want %v", got, want)
	}
	f.until(func(m message) bool { return m.ID == id && state(m)["value"] == 50.0 })
}

// While a callback runs, what happens is not queued: the latest value wins.
func TestOldEventsAreDropped(t *testing.T) {
	f := newFront(t)
	s := widget.NewIntSlider("depth", 0, 1000, 0)
	began, release := make(chan int, 1000), make(chan bool)
	s.OnChange(func(n int) { began <- n; <-release })
	display.Show(s)
	id := f.opened("IntSliderModel").ID
	f.update(id, "value", 1)
	if n := receive(t, began); n != 1 {
		t.Fatalf("first %d", n)
	}
	for n := 2; n <= 500; n++ {
		f.update(id, "value", n)
	}
	f.send(message{Op: "msg", ID: id, Data: map[string]any{"method": "request_state"}}) // answered when all before it was read
	f.until(func(m message) bool { return m.ID == id && state(m)["value"] == 500.0 })
	release <- true
	if n := receive(t, began); n != 500 {
		t.Errorf("after 1 came %d, want 500", n)
	}
	release <- true
	f.update(id, "value", 7)
	if n := receive(t, began); n != 7 {
		t.Errorf("after 500 came %d, want 7", n)
	}
	release <- true
}

// What was changed while a callback ran that is then interrupted is forgotten: else the interrupt would start it again.
func TestInterruptedIsForgotten(t *testing.T) {
	f := newFront(t)
	s := widget.NewIntSlider("depth", 0, 100, 0)
	began, release := make(chan int, 10), make(chan bool)
	s.OnChange(func(n int) {
		began <- n
		if n == 1 {
			<-release
			runtime.Goexit()
		}
	})
	display.Show(s)
	id := f.opened("IntSliderModel").ID
	said := stderr(t, func() {
		f.update(id, "value", 1)
		receive(t, began)
		f.update(id, "value", 2)
		f.send(message{Op: "msg", ID: id, Data: map[string]any{"method": "request_state"}})
		f.until(func(m message) bool { return m.ID == id && state(m)["value"] == 2.0 })
		release <- true
		for v := 3; ; v++ { // until the interrupted one is over
			f.update(id, "value", v)
			select {
			case n := <-began:
				if n < 3 {
					t.Errorf("called with %d", n)
				}
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	})
	if !strings.Contains(said, "was interrupted") {
		t.Errorf("it was told as %q", said)
	}
}

// A callback that ends its goroutine (an interrupt does), panics or sets its own widget leaves the widget usable.
func TestCallbacksThatEnd(t *testing.T) {
	f := newFront(t)
	s := widget.NewIntSlider("depth", 0, 100, 0)
	got := make(chan int, 100)
	s.OnChange(func(n int) {
		got <- n
		switch n {
		case 1:
			runtime.Goexit()
		case 2:
			panic(errors.New("two is too much"))
		case 3:
			s.SetValue(4)
		}
	})
	display.Show(s)
	id := f.opened("IntSliderModel").ID
	said := stderr(t, func() {
		for _, n := range []int{1, 2, 3} {
			f.update(id, "value", n)
			if v := receive(t, got); v != n {
				t.Errorf("got %d, want %d", v, n)
			}
		}
		if v := receive(t, got); v != 4 {
			t.Errorf("got %d, want 4", v)
		}
		done := make(chan bool)
		go func() { s.SetValue(1); done <- true }() // never comes back from the callback
		if v := receive(t, got); v != 1 {
			t.Errorf("got %d, want 1", v)
		}
		f.update(id, "value", 5) // the interrupted one is over when this one runs
		if v := receive(t, got); v != 5 {
			t.Errorf("got %d, want 5", v)
		}
	})
	if strings.Count(said, "a callback of the slider \"depth\" was interrupted\n") != 2 {
		t.Errorf("the ends were told as %q", said)
	}
	if !strings.Contains(said, `a callback of the slider "depth" panicked: two is too much`) || !strings.Contains(said, "widget_test.go") {
		t.Errorf("the panic was told as %q", said)
	}
	f.update(id, "value", 9)
	if v := receive(t, got); v != 9 {
		t.Errorf("got %d, want 9", v)
	}
}

// stderr returns what is written to standard error meanwhile.
func stderr(t *testing.T, f func()) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	old := os.Stderr
	os.Stderr = w
	said := make(chan string)
	go func() {
		text, _ := io.ReadAll(r) // what was read before an error is what counts
		said <- string(text)
	}()
	f()
	os.Stderr = old
	w.Close()
	return <-said
}

func TestButton(t *testing.T) {
	f := newFront(t)
	b := widget.NewButton("train")
	pressed := make(chan bool, 10)
	b.OnClick(func() { pressed <- true })
	display.Show(b)
	id := f.opened("ButtonModel").ID
	f.send(message{Op: "msg", ID: id, Data: map[string]any{"method": "custom", "content": map[string]any{"event": "click"}}})
	receive(t, pressed)
	b.Click()
	if len(pressed) != 1 {
		t.Errorf("Click came back before the callback had run")
	}
}

func TestOtherInputs(t *testing.T) {
	f := newFront(t)
	d, c, x := widget.NewDropdown("net", "tanh", "relu"), widget.NewCheckbox("bias", false), widget.NewText("name", "")
	g := widget.NewFloatSlider("gain", 0, 1, 0.5)
	names, flags, texts, gains := make(chan string, 9), make(chan bool, 9), make(chan string, 9), make(chan float64, 9)
	d.OnChange(func(s string) { names <- s })
	c.OnChange(func(b bool) { flags <- b })
	x.OnChange(func(s string) { texts <- s })
	g.OnChange(func(v float64) { gains <- v })
	display.Show(widget.NewHBox(d, c, x, g))
	f.update(f.opened("DropdownModel").ID, "index", 1)
	f.update(f.opened("CheckboxModel").ID, "value", true)
	f.update(f.opened("TextModel").ID, "value", "η")
	f.update(f.opened("FloatSliderModel").ID, "value", 0.25)
	if n, b, s, v := receive(t, names), receive(t, flags), receive(t, texts), receive(t, gains); n != "relu" || !b || s != "η" || v != 0.25 {
		t.Errorf("got %v %v %v %v", n, b, s, v)
	}
	d.SetValue("no option")
	g.SetValue(math.NaN())
	if d.Value() != "relu" || g.Value() != 0 {
		t.Errorf("got %q and %v; want what was, and the lower bound", d.Value(), g.Value())
	}
}

// A page that is loaded again asks for all states, and gets them with their buffers.
func TestRequestStates(t *testing.T) {
	f := newFront(t)
	p := display.Bundle(image.NewGray(image.Rect(0, 0, 64, 64)))["image/png"].([]byte)
	s, m := widget.NewIntSlider("depth", 1, 50, 10), widget.NewImage(display.PNG(p))
	display.Show(widget.NewHBox(s, m))
	slider, picture := f.opened("IntSliderModel").ID, f.opened("ImageModel").ID
	f.until(func(m message) bool { return m.Op == "display" })
	f.send(message{Op: "open", ID: "ctl", Target: "jupyter.widget.control"})
	f.send(message{Op: "msg", ID: "ctl", Data: map[string]any{"method": "request_states"}})
	answer := f.next()
	states, _ := answer.Data["states"].(map[string]any)
	one, _ := states[slider].(map[string]any)
	of, _ := one["state"].(map[string]any)
	if answer.ID != "ctl" || answer.Data["method"] != "update_states" || one["model_name"] != "IntSliderModel" ||
		one["model_module"] != "@jupyter-widgets/controls" || one["model_module_version"] != "2.0.0" || of["value"] != 10.0 {
		t.Errorf("got %+v", answer)
	}
	found := false
	paths, _ := answer.Data["buffer_paths"].([]any)
	for i, path := range paths {
		if reflect.DeepEqual(path, []any{picture, "state", "value"}) {
			found = string(answer.Buffers[i]) == string(p)
		}
	}
	if !found {
		t.Errorf("the picture's bytes are not where buffer_paths %v say", paths)
	}
}

// What goes faster than an eye is sent together, and what is last is sent.
func TestPace(t *testing.T) {
	f := newFront(t)
	p := widget.NewProgress("", 100000)
	display.Show(p)
	id := f.opened("FloatProgressModel").ID
	for n := range 100000 {
		p.SetValue(float64(n + 1))
	}
	count := 0
	f.until(func(m message) bool { count++; return m.ID == id && state(m)["value"] == 100000.0 })
	if count > 20000 {
		t.Errorf("%d messages for 100000 changes", count)
	}
}

func TestClose(t *testing.T) {
	f := newFront(t)
	s := widget.NewIntSlider("depth", 1, 50, 10)
	display.Show(s)
	id := f.opened("IntSliderModel").ID
	s.Close()
	f.until(func(m message) bool { return m.Op == "close" && m.ID == id })
	s.SetValue(30) // no one is told
	display.Show(s)
	if m := f.opened("IntSliderModel"); m.ID != id || state(m)["value"] != 30.0 {
		t.Errorf("shown again as %+v", m)
	}
}

// Nothing that a front end may send does harm.
func TestOddMessages(t *testing.T) {
	f := newFront(t)
	s, d := widget.NewIntSlider("depth", 1, 50, 10), widget.NewDropdown("net", "tanh")
	display.Show(widget.NewHBox(s, d))
	id, choice := f.opened("IntSliderModel").ID, f.opened("DropdownModel").ID
	for _, m := range []message{
		{Op: "msg", ID: "none", Data: map[string]any{"method": "update"}},
		{Op: "msg", ID: id},
		{Op: "msg", ID: id, Data: map[string]any{"method": "update", "state": 3}},
		{Op: "msg", ID: id, Data: map[string]any{"method": "update", "state": map[string]any{"value": "text"}}},
		{Op: "msg", ID: id, Data: map[string]any{"method": "custom", "content": nil}},
		{Op: "msg", ID: id, Data: map[string]any{"method": "update", "state": map[string]any{"a": []any{1}}, "buffer_paths": []any{
			[]any{"a", 0}, []any{"a", 7}, []any{"b", "c"}, []any{}, "x", []any{1}}}, Buffers: [][]byte{{1}, {2}, {3}, {4}, {5}, {6}}},
		{Op: "msg", ID: choice, Data: map[string]any{"method": "update", "state": map[string]any{"index": 5}}},
		{Op: "msg", ID: choice, Data: map[string]any{"method": "update", "state": map[string]any{"index": nil}}},
		{Op: "close", ID: "none"},
	} {
		f.send(m)
	}
	if said := stderr(t, func() {
		f.to.WriteString("no JSON\n")
		f.send(message{Op: "msg", ID: id, Data: map[string]any{"method": "request_state"}})
		f.until(func(m message) bool { return m.ID == id && state(m)["value"] == 10.0 })
	}); !strings.Contains(said, "not understood") {
		t.Errorf("said %q", said)
	}
	if d.Value() != "tanh" {
		t.Errorf("the dropdown is at %q", d.Value())
	}
}

func TestBoxInItself(t *testing.T) {
	inner := widget.NewHBox(widget.NewButton("b"))
	outer := widget.NewVBox(inner)
	inner.SetChildren(outer, widget.NewButton("c"), inner, nil)
	if text := display.Bundle(outer)["text/plain"]; text != "[c]" {
		t.Errorf("got %q", text)
	}
}
