package main

import (
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

// interrupts calls first when SIGINT comes, and second when another comes within a second of it
// or when SIGTERM comes. If the program has not ended three seconds after that, it is ended.
// The caller ends the watch by stop.
func interrupts(first, second func()) (stop func()) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		var last time.Time
		for {
			select {
			case <-done:
				return
			case s := <-signals:
				if s == os.Interrupt && time.Since(last) > time.Second {
					last = time.Now()
					first()
					continue
				}
				second()
				time.AfterFunc(3*time.Second, func() { os.Exit(exitInterrupted) })
			}
		}
	}()
	return func() { signal.Stop(signals); close(done) }
}

// status shows what is under way, on standard error: on a terminal in one line that
// is written over, elsewhere line by line and not too often.
type status struct {
	terminal bool
	mu       sync.Mutex
	shown    bool // a line that is to be written over; guarded by mu
	stage    string
	last     time.Time
}

func newStatus() *status {
	info, err := os.Stderr.Stat()
	return &status{terminal: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

const eraseLine = "\r\033[K"

// doing shows a step that will be followed by others.
func (s *status) doing(msg string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.terminal {
		fmt.Fprint(os.Stderr, eraseLine+msg)
		s.shown = true
		return
	}
	// Of a count that grows only now and then a line: "compiling: 7 of 300 packages".
	stage, _, _ := strings.Cut(msg, ":")
	if stage == s.stage && time.Since(s.last) < 5*time.Second {
		return
	}
	s.stage, s.last = stage, time.Now()
	fmt.Fprintln(os.Stderr, msg)
}

// line shows something that stays.
func (s *status) line(msg string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	fmt.Fprintln(os.Stderr, msg)
}

// clear removes what doing has left on a terminal.
func (s *status) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
}

func (s *status) erase() {
	if s.shown {
		fmt.Fprint(os.Stderr, eraseLine)
		s.shown = false
	}
}
