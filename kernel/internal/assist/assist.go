// Package assist says what could follow in a cell's text and what a name in it means. It asks gopls, which is built once
// into the user's cache, started beside a session, and fed the notebook's program as files that exist only in its memory.
// It does not know how cells are compiled or run, and nothing of Jupyter.
//
// All of it may be missing: without gopls (no network for the first build, or it has died) special commands still
// complete, and one message says why the rest does not.
package assist

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/gradbook/gradbook/kernel/internal/program"
	"github.com/gradbook/gradbook/kernel/internal/toolchain"
)

// Options configure an assistant.
type Options struct {
	Workspace *toolchain.Workspace                     // where imports are looked up
	Value     func(name string) (text string, ok bool) // what a variable holds; nil, or false while code runs: it is not shown
	Log       func(format string, args ...any)         // what the user should hear, once each: that gopls is being built, or is missing; nil: nobody hears
	CacheDir  string                                   // "": the user's
	Command   string                                   // a gopls to use; "": the pinned one, built on first use
}

// Assistant assists with one session's cells. Its methods may be called at any time from any goroutine.
type Assistant struct {
	o     Options
	ready chan struct{} // closed when gopls runs, or will not
	stop  context.CancelFunc

	mu      sync.Mutex        // guards what follows; held while a question is asked, as the files must not change meanwhile
	server  *server           // nil before gopls runs, and without it
	also    map[string]string // imports by name that sketches get beside those of the cells
	last    *program.Outline  // the one that gopls has
	closed  bool
	outline struct {
		sync.Mutex // guards what follows
		now        *program.Outline
	}
	told sync.Once
}

// Completion is what could stand in place of the text from Start to End, which are byte offsets.
type Completion struct {
	Start, End int
	Matches    []Match
}

// Match is one of the texts that could.
type Match struct {
	Text      string
	Type      string // in Jupyter's words: "function", "class", "instance", "module", "keyword", "property", "magic", ...
	Signature string // "(x float64) float64" of a function, the type of anything else
}

// Inspection describes a name; without data nothing is known of it.
type Inspection struct {
	Data map[string]any // text by MIME type
}

const (
	patience = 2 * time.Second  // how long a question waits for gopls to start
	limit    = 10 * time.Second // how long an answer may take
)

// Open returns at once; gopls is built, if need be, and started in the background.
func Open(o Options) *Assistant {
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	ctx, stop := context.WithCancel(context.Background())
	a := &Assistant{o: o, ready: make(chan struct{}), stop: stop, also: usual()}
	go func() {
		defer close(a.ready)
		if err := a.start(ctx); err != nil && ctx.Err() == nil {
			a.absent(err)
		}
	}()
	return a
}

// usual are imports so common that they are there from the start: gopls reads a package's types once, and that takes a moment.
func usual() map[string]string {
	return map[string]string{"fmt": "fmt", "math": "math", "os": "os", "sort": "sort", "strings": "strings", "time": "time"}
}

func (a *Assistant) start(ctx context.Context) error {
	path := a.o.Command
	if path == "" {
		var err error
		if path, err = Build(ctx, a.o.Workspace.Go, a.o.CacheDir, a.o.Log); err != nil {
			return err
		}
	}
	s, err := startServer(ctx, path, a.o.Workspace)
	if err != nil {
		if a.o.Command == "" {
			_ = os.Remove(path) // it may be damaged: the next kernel builds it again
		}
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		s.close()
		return nil
	}
	a.server = s
	go func() {
		<-s.conn.done
		if ctx.Err() == nil {
			a.absent(s.conn.failure())
		}
	}()
	// So that the first question finds all types read.
	return a.sync(a.current(), "", 0).err
}

// absent says once that there is no gopls.
func (a *Assistant) absent(err error) {
	a.told.Do(func() {
		a.o.Log("completion and inspection of Go are off until the kernel is started again: %v", err)
	})
}

// Update tells the assistant what the program is now.
func (a *Assistant) Update(o *program.Outline) {
	a.outline.Lock()
	a.outline.now = o
	a.outline.Unlock()
	go func() {
		if !a.running(context.Background(), 0) {
			return
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.server != nil && a.current() == o {
			a.sync(o, "", 0) // an error shows with the next question
		}
	}()
}

func (a *Assistant) current() *program.Outline {
	a.outline.Lock()
	defer a.outline.Unlock()
	if a.outline.now == nil {
		a.outline.now = new(program.Outline)
	}
	return a.outline.now
}

// Close ends gopls.
func (a *Assistant) Close() {
	a.stop()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	if a.server != nil {
		a.server.close()
	}
}

// running waits for gopls to run, but not long.
func (a *Assistant) running(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-a.ready:
	default:
		select {
		case <-a.ready:
		case <-ctx.Done():
			return false
		case <-timer.C:
			return false
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.server != nil && !a.closed && a.server.alive()
}

var errNoServer = errors.New("gopls does not run")

// question is a cell's text in gopls's hands.
type question struct {
	sketch *program.Sketch
	cursor int // in the cell's Go
	at     int // in the sketch's file
	ok     bool
	err    error
}

// sync hands the program, with a cell's text in it, to gopls. a.mu is held.
func (a *Assistant) sync(o *program.Outline, text string, cursor int) question {
	if a.server == nil {
		return question{err: errNoServer}
	}
	if o != a.last {
		a.last = o
		for name := range a.also {
			if o.Imports(name) {
				delete(a.also, name) // what the cells say counts
			}
		}
	}
	sk := o.Sketch(text, cursor, a.also)
	for name, path := range sk.Imports {
		a.also[name] = path // imports that stay the same cost gopls nothing
	}
	if err := a.server.sync(append([]program.File{sk.Cell}, sk.Others...)); err != nil {
		return question{err: fmt.Errorf("gopls does not take the program: %w", err)}
	}
	at, ok := sk.Offset(cursor)
	return question{sketch: sk, cursor: cursor, at: at, ok: ok}
}
