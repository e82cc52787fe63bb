package widget

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
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

// end reports whether the callbacks are to run once more. Those that were interrupted are not: what happened meanwhile is forgotten.
func (e *event) end(interrupted bool) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.running, e.again = e.again && !interrupted, false
	return e.running
}

// happen runs the callbacks in a goroutine of their own, unless they run.
func (e *event) happen() {
	if e.begin() {
		e.background()
	}
}

// now runs the callbacks and returns when they are done; if they run already, they will once more.
func (e *event) now() {
	if e.begin() {
		e.run()
	}
}

// callbackLabel is the profiler label by which the live program knows what an interrupt ends while no cell runs.
const callbackLabel = "gradbook-callback"

// background runs the callbacks in a goroutine of their own. Each call has a label of its own: an interrupt ends those that run, and none that come later.
func (e *event) background() {
	go func() {
		pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), pprof.Labels(callbackLabel, e.name)))
		e.run()
	}()
}

// run calls the callbacks once. What happened meanwhile is for another goroutine, so that no caller is held for ever; an interrupt
// ends this one at any place inside fire.
func (e *event) run() {
	returned := false
	defer func() {
		if !returned {
			report("a callback of %s was interrupted", e.name)
		}
		if e.end(!returned) {
			e.background()
		}
	}()
	e.fire()
	returned = true
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
