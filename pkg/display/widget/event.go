package widget

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
)

// event calls a widget's callbacks, one at a time. What happens while they run is not queued: they run once more.
type event struct {
	name string // of the widget, for messages
	fire func() // calls the callbacks with the value of now

	mu      sync.Mutex
	running bool // guarded by mu
	again   bool // guarded by mu
}

// begin reports whether the caller is to run the callbacks.
func (e *event) begin() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.running {
		e.again = true
		return false
	}
	e.running = true
	return true
}

// end reports whether the callbacks are to run once more.
func (e *event) end() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.running, e.again = e.again, false
	return e.running
}

// happen runs the callbacks in a goroutine of their own, unless they run.
func (e *event) happen() {
	if e.begin() {
		go e.run()
	}
}

// now runs the callbacks and returns when they are done; if they run already, they will once more.
func (e *event) now() {
	if e.begin() {
		e.run()
	}
}

// run calls the callbacks once. What happened meanwhile is for another goroutine, so that no caller is held for ever; an interrupt
// ends this one at any place inside fire.
func (e *event) run() {
	defer func() {
		if e.end() {
			go e.run()
		}
	}()
	e.fire()
}

// call calls a callback; a panic is printed, with the places in the notebook (or the program) that led to it.
func call(name string, f func()) {
	defer func() {
		if p := recover(); p != nil {
			fmt.Fprintf(os.Stderr, "a callback of %s panicked: %v\n%s", name, p, places())
		}
	}()
	f()
}

// places lists the frames of package main below the panic; where there are none, the first that are not the runtime's.
func places() string {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	var own, all strings.Builder
	for n := 0; ; {
		f, more := frames.Next()
		line := fmt.Sprintf("    %s, line %d, in %s\n", f.File, f.Line, f.Function)
		switch {
		case strings.HasPrefix(f.Function, "main."):
			own.WriteString(line)
		case !strings.HasPrefix(f.Function, "runtime.") && n < 5:
			all.WriteString(line)
			n++
		}
		if !more {
			break
		}
	}
	if own.Len() > 0 {
		return own.String()
	}
	return all.String()
}
