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
	"strings"
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
	Rest      time.Duration                            // gopls ends when nobody asked or changed anything for that long; 0: ten minutes
}

// Assistant assists with one session's cells. Its methods may be called at any time from any goroutine.
type Assistant struct {
	o     Options
	life  context.Context // ends with Close
	stop  context.CancelFunc
	ready chan struct{} // closed when gopls runs, or will not

	mu      sync.Mutex        // guards what follows; held while a question is asked, as the files must not change meanwhile
	server  *server           // nil before gopls runs, and without it
	also    map[string]string // imports by name that sketches get beside those of the cells
	last    *program.Outline  // the one that gopls has
	closed  bool
	path    string        // of gopls
	own     bool          // it is in the user's own cache
	deaths  int           // how often it has ended by itself
	idle    *time.Timer   // ends it when nothing happens
	resting bool          // it was ended so, and starts again with the next question or cell
	revival chan struct{} // closed when the attempt under way to start it again is over; nil: none is
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
	patience  = 2 * time.Second  // how long a question waits for gopls to start
	limit     = 10 * time.Second // how long an answer may take
	maxDeaths = 3                // gopls is started again so often
	rest      = 10 * time.Minute // without a question or a cell, and gopls gives back its 80 MB
)

// Open returns at once; gopls is built, if need be, and started in the background.
func Open(o Options) *Assistant {
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	if o.Rest == 0 {
		o.Rest = rest
	}
	life, stop := context.WithCancel(context.Background())
	a := &Assistant{o: o, life: life, stop: stop, ready: make(chan struct{}), also: usual()}
	go func() {
		defer close(a.ready)
		if err := a.open(); err != nil && life.Err() == nil {
			a.absent(err)
		}
	}()
	return a
}

// usual are imports so common that they are there from the start: gopls reads a package's types once, and that takes a moment.
func usual() map[string]string {
	return map[string]string{"fmt": "fmt", "math": "math", "os": "os", "sort": "sort", "strings": "strings", "time": "time"}
}

// open builds gopls, if need be, starts it, and has it read what every program needs.
func (a *Assistant) open() error {
	a.path = a.o.Command
	if a.path == "" {
		var err error
		if a.path, err = Build(a.life, a.o.Workspace.Go, a.o.CacheDir, a.o.Log); err != nil {
			return err
		}
		cache, err := toolchain.OpenCache(a.o.CacheDir)
		a.own = err == nil && strings.HasPrefix(a.path, cache.Dir+string(os.PathSeparator))
	}
	err := a.start()
	if err != nil && a.own {
		_ = os.Remove(a.path) // it may be damaged: the next kernel builds it again
	}
	return err
}

// start starts gopls, and asks it something: the first answer takes longer than all others, and nobody should wait for it.
func (a *Assistant) start() error {
	s, err := startServer(a.life, a.path, a.o.Workspace)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		s.close()
		return nil
	}
	a.server, a.last, a.resting = s, nil, false
	if a.idle == nil {
		a.idle = time.AfterFunc(a.o.Rest, a.rest)
	}
	a.idle.Reset(a.o.Rest)
	go a.watch(s)
	q := a.sync(a.current(), "fmt.", len("fmt."))
	if q.err == nil && q.ok {
		go s.ask(a.life, "textDocument/completion", q.sketch.Cell, q.at, nil)
	}
	return q.err
}

// rest ends gopls, as nothing has happened for long.
func (a *Assistant) rest() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed || !a.server.alive() {
		return
	}
	a.resting = true
	a.server.close()
}

// watch waits for the end of gopls. The next question starts it again; after some ends it is believed to be broken.
func (a *Assistant) watch(s *server) {
	<-s.conn.done
	if a.life.Err() != nil {
		return
	}
	a.mu.Lock()
	if a.resting {
		a.mu.Unlock()
		return
	}
	a.deaths++
	deaths := a.deaths
	a.mu.Unlock()
	switch {
	case deaths == 1:
		a.o.Log("%v; the next question starts it again", s.conn.failure())
	case deaths > maxDeaths:
		a.absent(s.conn.failure())
	}
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
	if a.idle != nil {
		a.idle.Stop()
	}
	if a.server != nil {
		a.server.close()
	}
}

// running waits for gopls to run, but not long. One that has ended is started again.
func (a *Assistant) running(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	await := func(done <-chan struct{}) bool {
		select {
		case <-done:
			return true
		default:
		}
		select {
		case <-done:
			return true
		case <-ctx.Done():
		case <-timer.C:
		}
		return false
	}
	if !await(a.ready) {
		return false
	}
	alive, revival := a.revive(wait > 0)
	if revival != nil && await(revival) {
		alive, _ = a.revive(false)
	}
	return alive
}

// revive reports whether gopls runs. If it does not, but may, it is started again in the background where that is wanted.
func (a *Assistant) revive(wanted bool) (alive bool, revival <-chan struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.closed || a.server == nil:
		return false, nil
	case a.revival != nil:
		return false, a.revival
	case a.server.alive():
		a.idle.Reset(a.o.Rest)
		return true, nil
	case !wanted && !a.resting || a.deaths > maxDeaths:
		return false, nil
	}
	done := make(chan struct{})
	a.revival = done
	go func() {
		err := a.start()
		a.mu.Lock()
		a.revival = nil
		if err != nil {
			a.deaths = maxDeaths + 1
		}
		a.mu.Unlock()
		close(done)
		if err != nil && a.life.Err() == nil {
			a.absent(err)
		}
	}()
	return false, done
}

// gone reports whether gopls has ended, perhaps in the middle of a question, which is then asked again.
func (a *Assistant) gone() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.server != nil && !a.server.alive()
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
