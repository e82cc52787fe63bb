package session_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gradbook/gradbook/kernel/internal/session"
)

// frontEnd is the other side of a session's comms and of what goroutines show while no cell runs.
type frontEnd struct {
	t     *testing.T
	s     *session.Session
	comms chan session.Comm
	idle  chan session.Output
}

func openFrontEnd(t *testing.T) *frontEnd {
	t.Helper()
	f := &frontEnd{t: t, comms: make(chan session.Comm, 1000), idle: make(chan session.Output, 1000)}
	s, err := session.Open(context.Background(), session.Options{
		Dir: t.TempDir(), Env: os.Environ(),
		Comm: func(c session.Comm) { f.comms <- c },
		Idle: func(o session.Output) { f.idle <- o },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	f.s = s
	return f
}

// run runs a cell that must end well, and returns what it showed.
func (f *frontEnd) run(text string) (outs []session.Output) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	r := f.s.Execute(ctx, session.Request{Text: text}, func(o session.Output) { outs = append(outs, o) })
	if r.Status != session.OK {
		f.t.Fatalf("%s\n%s\n%s", text, r.Name, strings.Join(r.Traceback, "\n"))
	}
	return outs
}

// only returns the one output of a cell, which must have these MIME types.
func (f *frontEnd) only(outs []session.Output, kind session.Kind, types ...string) session.Output {
	f.t.Helper()
	if len(outs) != 1 || outs[0].Kind != kind || !slices.Equal(slices.Sorted(maps.Keys(outs[0].Data)), types) {
		f.t.Fatalf("got %+v, want one output of kind %d with %v", outs, kind, types)
	}
	return outs[0]
}

func wait[T any](t *testing.T, from <-chan T, wanted func(T) bool) T {
	t.Helper()
	deadline := time.After(time.Minute)
	for {
		select {
		case v := <-from:
			if wanted(v) {
				return v
			}
		case <-deadline:
			t.Fatal("what was waited for has not come")
			panic("unreachable")
		}
	}
}

// A slider of a cell is moved by the front end: the callback changes a live variable, draws a figure and updates a display, and the
// next cell sees the variable.
func TestWidget(t *testing.T) {
	f := openFrontEnd(t)
	f.run(`import (
	"github.com/gradbook/gradbook/pkg/display/widget"
	"github.com/gradbook/gradbook/pkg/display"
)
depth := 3
h := display.Show("place")
slider := widget.NewIntSlider("depth", 1, 50, depth)
plot := widget.NewFigure(nil)
slider.OnChange(func(n int) {
	depth = n
	plot.Draw(display.SVG(fmt.Sprintf("<svg>%d</svg>", depth)))
	h.Update(display.HTML(fmt.Sprintf("<b>depth %d</b>", depth)))
	fmt.Println("moved to", n)
	if n == 13 {
		var none map[string]int
		none["x"] = 1
	}
})`)
	value := f.only(f.run("widget.NewVBox(slider, plot)"), session.Value, "application/vnd.jupyter.widget-view+json", "text/html", "text/plain")
	if text := value.Data["text/plain"]; text != "depth: 3 (1 to 50)\n" && text != "depth: 3 (1 to 50)\n<nil>" {
		t.Errorf("the box in a terminal: %q", text)
	}
	named := func(model string) func(session.Comm) bool {
		return func(c session.Comm) bool {
			state, _ := c.Data["state"].(map[string]any)
			return c.Op == "open" && c.Target == "jupyter.widget" && c.Metadata["version"] == "2.1.0" && state["_model_name"] == model
		}
	}
	slider := wait(t, f.comms, named("IntSliderModel"))
	figure := wait(t, f.comms, named("HTMLModel"))
	box := wait(t, f.comms, named("VBoxModel"))
	if shown, _ := value.Data["application/vnd.jupyter.widget-view+json"].(map[string]any); shown["model_id"] != box.ID {
		t.Errorf("the cell shows %v, want the box %s", shown, box.ID)
	}
	move := func(n int) {
		t.Helper()
		err := f.s.Comm(session.Comm{Op: "msg", ID: slider.ID, Data: map[string]any{"method": "update", "state": map[string]any{"value": n}, "buffer_paths": []any{}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	move(20)
	wait(t, f.comms, func(c session.Comm) bool {
		state, _ := c.Data["state"].(map[string]any)
		return c.Op == "msg" && c.ID == figure.ID && state["value"] == "<svg>20</svg>"
	})
	wait(t, f.idle, func(o session.Output) bool {
		return o.Kind == session.Update && o.Data["text/html"] == "<b>depth 20</b>"
	})
	wait(t, f.idle, func(o session.Output) bool { return o.Text == "moved to 20\n" })
	if v := f.only(f.run("depth"), session.Value, "text/plain"); v.Data["text/plain"] != "20" {
		t.Errorf("depth is %v, want 20", v.Data)
	}
	move(13) // the callback panics, and says where
	said := wait(t, f.idle, func(o session.Output) bool { return o.Name == "stderr" })
	if !strings.Contains(said.Text, `a callback of the slider "depth" panicked: assignment to entry in nil map`) || !strings.Contains(said.Text, "line 16") {
		t.Errorf("the panic was told as %q", said.Text)
	}
	outs := f.run(`other := widget.NewIntSlider("other", 1, 50, 1)
other.OnChange(func(n int) {
	depth = n
	h.Update(display.HTML(fmt.Sprintf("<b>depth %d</b>", depth)))
	fmt.Println("moved to", n)
})
other.SetValue(44) // from code: the callback has run when SetValue is back
depth`)
	texts := make([]string, len(outs))
	for i, o := range outs {
		texts[i] = fmt.Sprintf("%d %q %v", o.Kind, o.Text, o.Data)
	}
	want := []string{
		fmt.Sprintf("%d \"\" map[text/html:<b>depth 44</b> text/plain:depth 44]", session.Update),
		fmt.Sprintf("%d \"moved to 44\\n\" map[]", session.Stream),
		fmt.Sprintf("%d \"\" map[text/plain:44]", session.Value),
	}
	if !slices.Equal(texts, want) {
		t.Errorf("got %q, want %q", texts, want)
	}
}

// The last expression of a cell is shown by what its type offers, whatever the cell imports.
func TestRichValues(t *testing.T) {
	f := openFrontEnd(t)
	f.run(`type plot struct{ name string }
func (p plot) SVG() string { return "<svg><title>" + p.name + "</title></svg>" }
func pair() (plot, error) { return plot{"pair"}, nil }`)
	v := f.only(f.run(`plot{"loss"}`), session.Value, "image/svg+xml", "text/plain")
	if v.Data["image/svg+xml"] != "<svg><title>loss</title></svg>" || v.Data["text/plain"] != "(SVG picture: loss)" {
		t.Errorf("got %v", v.Data)
	}
	f.only(f.run("pair()"), session.Value, "image/svg+xml", "text/plain")
	f.only(f.run("image.NewGray(image.Rect(0, 0, 9, 9))"), session.Value, "image/png", "text/plain")
	f.only(f.run("[]plot{{\"<a>\"}}"), session.Value, "text/html", "text/plain")
	f.only(f.run("mat.NewDense(2, 2, nil)"), session.Value, "text/html", "text/plain")
	f.only(f.run("tensors.FromValue([]float32{1, 2})"), session.Value, "text/html", "text/plain")
	f.only(f.run(`import "github.com/gradbook/gradbook/pkg/display"`+"\ndisplay.Show(plot{\"shown\"})"), session.Display, "image/svg+xml", "text/plain")
	// A method that is added later counts for the values that exist.
	f.run(`p := plot{"p"}`)
	f.run(`func (p plot) HTML() string { return "<b>" + p.name + "</b>" }`)
	f.only(f.run("p"), session.Value, "image/svg+xml", "text/html", "text/plain")
}

// A callback runs while a cell does, and ends the cell's loop; a cell that is interrupted leaves its widgets alive.
func TestWidgetWhileCellRuns(t *testing.T) {
	f := openFrontEnd(t)
	id := make(chan string, 1)
	move := func(n int) {
		err := f.s.Comm(session.Comm{Op: "msg", ID: <-id, Data: map[string]any{"method": "update", "state": map[string]any{"value": n}}})
		if err != nil {
			t.Error(err)
		}
	}
	relay := make(chan bool)
	go func() {
		defer close(relay)
		for c := range f.comms {
			if state, _ := c.Data["state"].(map[string]any); state["_model_name"] == "IntSliderModel" {
				for range 2 {
					id <- c.ID
				}
				return
			}
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r := f.s.Execute(ctx, session.Request{Text: `import (
	"github.com/gradbook/gradbook/pkg/display/widget"
	"github.com/gradbook/gradbook/pkg/display"
)
var depth atomic.Int64
slider := widget.NewIntSlider("depth", 1, 50, 1)
slider.OnChange(func(n int) { depth.Store(int64(n)) })
display.Show(slider)
for { depth.Add(0) }`}, func(o session.Output) {
		if o.Kind == session.Display {
			f.s.Interrupt()
		}
	})
	if r.Status != session.Interrupted {
		t.Fatalf("the loop ended with %+v", r)
	}
	go move(33)
	f.run("for depth.Load() != 33 { time.Sleep(time.Millisecond) }")
	go move(44)
	f.run("for depth.Load() != 44 {}")
	<-relay
}

// slider makes a slider with a callback of that text; move is the hand that moves it.
func (f *frontEnd) slider(callback string) (move func(n int)) {
	f.t.Helper()
	f.run(`import (
	"github.com/gradbook/gradbook/pkg/display/widget"
	"github.com/gradbook/gradbook/pkg/display"
)
var depth, began, ended atomic.Int64
release := make(chan bool)
slider := widget.NewIntSlider("depth", 1, 50, 1)
slider.OnChange(func(n int) { ` + callback + ` })
display.Show(slider)`)
	c := wait(f.t, f.comms, func(c session.Comm) bool {
		state, _ := c.Data["state"].(map[string]any)
		return state["_model_name"] == "IntSliderModel"
	})
	return func(n int) {
		f.t.Helper()
		err := f.s.Comm(session.Comm{Op: "msg", ID: c.ID, Data: map[string]any{"method": "update", "state": map[string]any{"value": n}}})
		if err != nil {
			f.t.Error(err)
		}
	}
}

// An interrupt that comes while no cell runs ends the callback that runs; the variables are kept, and the widget works.
func TestInterruptCallback(t *testing.T) {
	f := openFrontEnd(t)
	move := f.slider(`
	defer ended.Add(1)
	began.Add(1)
	for n == 2 { depth.Add(1) }
	for n == 3 { <-release }
	depth.Store(int64(n))`)
	awaits := func(condition string) { t.Helper(); f.run("for !(" + condition + ") { time.Sleep(time.Millisecond) }") }
	move(2)
	awaits("began.Load() == 1")
	awaits("depth.Load() > 1000")
	f.s.Interrupt()
	wait(t, f.idle, func(o session.Output) bool {
		return o.Text == "widget: a callback of the slider \"depth\" was interrupted\n"
	})
	awaits("ended.Load() == 1")
	f.run("if depth.Load() < 1000 { panic(depth.Load()) }")
	move(9)
	awaits("depth.Load() == 9 && ended.Load() == 2")
	// One that waits ends when that is over, and none that comes later ends with it.
	awaits("began.Load() == 2")
	move(3)
	awaits("began.Load() == 3")
	f.s.Interrupt()
	f.run("release <- true")
	awaits("ended.Load() == 3")
	f.run("if depth.Load() != 9 { panic(depth.Load()) }")
	move(11)
	awaits("depth.Load() == 11")
	awaits("began.Load() == 4")
	// A cell that runs is what an interrupt is for; a callback goes on.
	move(2)
	awaits("began.Load() == 5")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r := f.s.Execute(ctx, session.Request{Text: `fmt.Println("running"); for { depth.Load() }`}, func(o session.Output) {
		if o.Text == "running\n" {
			f.s.Interrupt()
		}
	})
	if r.Status != session.Interrupted {
		t.Fatalf("the loop ended with %+v", r)
	}
	f.run("before := depth.Load()")
	awaits("depth.Load() > before + 1000")
	f.s.Interrupt()
	awaits("ended.Load() == 5")
}

// A second interrupt does not wait for who listens.
func TestInterruptTwice(t *testing.T) {
	f := openFrontEnd(t)
	f.run(`import "os/signal"
heard := make(chan os.Signal, 1)
signal.Notify(heard, os.Interrupt)
go func() { for range heard { fmt.Println("I go on") } }()`)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r := f.s.Execute(ctx, session.Request{Text: `n := 0; fmt.Println("running"); for { n++ }`}, func(o session.Output) {
		if strings.HasSuffix(o.Text, "\n") { // of the loop, and of the listener
			f.s.Interrupt()
		}
	})
	if r.Status != session.Interrupted {
		t.Fatalf("the loop ended with %+v", r)
	}
	f.run("if n == 0 { panic(n) }")
}

// Whatever ends the program is told at once, as its comms have no other end any more.
func TestEnded(t *testing.T) {
	ended := make(chan bool, 10)
	f := &frontEnd{t: t, comms: make(chan session.Comm, 1000), idle: make(chan session.Output, 1000)}
	s, err := session.Open(context.Background(), session.Options{
		Dir: t.TempDir(), Env: os.Environ(), Ended: func() { ended <- true }, Idle: func(o session.Output) { f.idle <- o },
	})
	if err != nil {
		t.Fatal(err)
	}
	f.s = s
	f.run("kept := 3")
	f.run("go func() { time.Sleep(50 * time.Millisecond); os.Exit(4) }()")
	wait(t, ended, func(bool) bool { return true })
	outs := f.run("kept")
	if len(outs) != 2 || !strings.Contains(outs[0].Text, "os.Exit(4)") || !strings.Contains(outs[0].Text, "lost are the values of kept") || outs[1].Data["text/plain"] != "0" {
		t.Errorf("the next cell shows %+v", outs)
	}
	f.run("%restart")
	wait(t, ended, func(bool) bool { return true })
	s.Close()
	if len(ended) > 0 {
		t.Error("the session's own end was told")
	}
}
