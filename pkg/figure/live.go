package figure

import (
	"os"
	"sync"
	"time"

	"github.com/janpfeifer/gonb/gonbui"

	"github.com/gradbook/gradbook/pkg/display"
)

// LiveFigure is a figure that is redrawn where it was first shown, during training for example. It may be used from several goroutines.
type LiveFigure struct {
	mu     sync.Mutex
	figure *Figure         // guarded by mu
	handle *display.Handle // guarded by mu; nil until there is something to show
	drawn  time.Time       // guarded by mu
	timer  *time.Timer     // guarded by mu; draws what came too soon after the last picture
	closed bool            // guarded by mu
	page   bool            // whether there is a notebook, where pictures can be replaced
}

// pause is the least time between two pictures. A front end needs some of it to show one.
const pause = 100 * time.Millisecond

// Live shows f and returns what redraws it. The figure is copied: change it through Update from then on.
//
//	live := figure.Live(figure.New("loss by step", "step", "loss").LogY())
//	defer live.Done()
//	...
//	live.Update(func(f *figure.Figure) { f.Append("train", step, loss) })
func Live(f *Figure) *LiveFigure {
	l := &LiveFigure{figure: f.clone(), page: notebook()}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.show(false)
	return l
}

// Update changes the figure and has it redrawn: at once, or a tenth of a second after the last picture. In a terminal, which cannot replace what it has printed, only Done prints.
// change must not keep the figure.
func (l *LiveFigure) Update(change func(f *Figure)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(l.figure)
	if l.closed {
		l.show(true)
		return
	}
	if l.timer != nil {
		return // the picture that is due will have it
	}
	if wait := pause - time.Since(l.drawn); wait > 0 {
		l.timer = time.AfterFunc(wait, func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.timer = nil
			if !l.closed {
				l.show(false)
			}
		})
		return
	}
	l.show(false)
}

// Done draws the last state, now with tooltips and zoom (while the figure changes it is an SVG alone, for a chart that is built anew ten times a second flickers); in a terminal it prints the table. It may be called more than once.
func (l *LiveFigure) Done() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
	l.closed = true
	l.show(true)
}

// Figure returns a copy of the present state.
func (l *LiveFigure) Figure() *Figure {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.figure.clone()
}

// MIMEBundle is empty: a cell that ends with a live figure has shown it.
func (l *LiveFigure) MIMEBundle() map[string]any { return map[string]any{} }

// show draws the figure, whole or as a picture alone; mu is held.
func (l *LiveFigure) show(whole bool) {
	if !whole && (!l.page || l.figure.err == nil && len(l.figure.series) == 0) {
		return // nothing to draw yet is no error here
	}
	l.drawn = time.Now()
	var v any = display.MIME(l.figure.MIMEBundle())
	if !whole {
		v = still(l.figure)
	}
	if l.handle == nil {
		l.handle = display.Show(v)
	} else {
		l.handle.Update(v)
	}
}

// notebook reports whether pictures are shown by a kernel, Gradbook's or GoNB's.
func notebook() bool { return os.Getenv("GRADBOOK_PIPE") != "" || gonbui.IsNotebook }
