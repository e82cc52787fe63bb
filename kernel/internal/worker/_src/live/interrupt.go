package live

import (
	"internal/runtime/pprof/label"
	"os"
	_ "os/signal" // of offerSignal
	"time"
	"unsafe"
)

// An interrupt goes to what runs: a cell, or else the callbacks that libraries run for the front end. As in any Go program, who
// listens for os.Interrupt decides what it means, and has a while for that; nobody need listen.

const (
	patience = 250 * time.Millisecond // how long an interrupted cell may take to end before it is left behind
	grace    = 2 * time.Second        // how long it may take before that, when someone listens for interrupts
)

// callbackKey is the profiler label of goroutines that are no cell's, and end at an interrupt that comes while no cell runs.
const callbackKey = "gradbook-callback"

//go:linkname offerSignal os/signal.offer
func offerSignal(sig os.Signal) (taken int)

// interrupt ends the cell of a request or, for target 0, whatever runs. Asked a second time it waits for no listener.
func interrupt(target int) {
	current.Lock()
	r, id := current.run, current.requestID
	current.Unlock()
	switch {
	case r != nil && (target == 0 || target == id):
		first := !r.stopped.Load()
		r.stopped.Store(true)
		if first && offerSignal(os.Interrupt) > 0 {
			go func() {
				select {
				case <-r.done:
				case <-time.After(grace):
					r.end(id)
				}
			}()
			return
		}
		r.end(id)
	case r == nil && target == 0:
		interruptCallbacks()
	}
}

// end ends a cell; if it waits for something, the prompt comes back without it.
func (r *run) end(id int) {
	linker.Lock()
	stop(r.label)
	linker.Unlock()
	go func() {
		select {
		case <-r.done:
		case <-time.After(patience):
			if r.finish() {
				sendJSON(kindReply, Reply{ID: id, Status: "interrupted", Abandoned: true})
			}
		}
	}()
}

var warned time.Time // when callbacks were last asked to end; of the goroutine that serves

func interruptCallbacks() {
	labels := callbacks()
	if len(labels) == 0 {
		return
	}
	end := func() {
		linker.Lock()
		defer linker.Unlock()
		for _, label := range labels {
			stop(label)
		}
	}
	again := time.Since(warned) < grace
	warned = time.Now()
	if !again && offerSignal(os.Interrupt) > 0 {
		time.AfterFunc(grace, end)
		return
	}
	end()
}

// callbacks returns the labels of the goroutines that run callbacks.
func callbacks() (labels []unsafe.Pointer) {
	var seen [256]unsafe.Pointer // nothing may be allocated while the runtime's list is locked
	n := 0
	forEachG(func(g unsafe.Pointer) {
		p := *(*unsafe.Pointer)(unsafe.Add(g, labelOffset))
		if p == nil || n == len(seen) || dead(g) {
			return
		}
		for _, other := range seen[:n] {
			if other == p {
				return
			}
		}
		seen[n] = p
		n++
	})
	for _, p := range seen[:n] {
		if list := (*label.Set)(p).List; len(list) > 0 && list[0].Key == callbackKey {
			labels = append(labels, p)
		}
	}
	return labels
}
