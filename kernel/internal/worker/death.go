package worker

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// Death says how a live process ended.
type Death struct {
	ExitCode int    // as a shell reports it: 128+n for signal n
	Cause    string // "os.Exit(3)", "fatal error: concurrent map writes", "killed (signal 9)"
	Frames   []Frame
	Dump     string // what the runtime printed, whole
}

// Message is the cause in one line.
func (d Death) Message() string { return d.Cause }

func newDeath(s *os.ProcessState, err error, dump string) Death {
	d := Death{ExitCode: -1, Dump: dump}
	if s == nil {
		d.Cause = fmt.Sprint(err)
		return d
	}
	status, _ := s.Sys().(syscall.WaitStatus)
	d.ExitCode = s.ExitCode()
	if status.Signaled() {
		d.ExitCode = 128 + int(status.Signal())
	}
	d.Frames = crashFrames(dump)
	switch cause := crashCause(dump); {
	case cause != "":
		d.Cause = cause
	case status.Signaled() && status.Signal() == syscall.SIGKILL:
		d.Cause = "killed from outside (signal 9: by a person, or by the system when memory ran out)"
	case status.Signaled():
		d.Cause = fmt.Sprintf("ended by signal %d (%s)", int(status.Signal()), status.Signal())
	default:
		d.Cause = fmt.Sprintf("os.Exit(%d)", d.ExitCode)
	}
	return d
}

var crashStart = regexp.MustCompile(`(?m)^(fatal error: |panic: |SIG[A-Z]+: |unexpected fault address|runtime: goroutine stack exceeds|runtime: out of memory|fatal: )`)

// crashCause finds the runtime's own words for what happened.
func crashCause(dump string) string {
	var cause string
	for line := range strings.Lines(dump) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "fatal error: "):
			if cause == "" || !strings.HasPrefix(cause, "SIG") {
				cause = line
			}
		case strings.HasPrefix(line, "panic: ") && cause == "":
			cause = "panic in a goroutine that a library started: " + strings.TrimPrefix(line, "panic: ")
			if strings.Contains(dump, "\ngradbook/live.Main(") && !strings.Contains(dump, "\nmain.") {
				cause = "internal error of Gradbook's loader: " + strings.TrimPrefix(line, "panic: ")
			}
		case strings.HasPrefix(line, "SIG") && strings.Contains(line, ": ") && cause == "":
			cause = line
		case strings.Contains(line, "signal arrived during cgo execution"):
			cause += " in C code"
		}
	}
	if strings.Contains(dump, "goroutine stack exceeds") {
		return "stack overflow: a goroutine's stack grew beyond its limit (endless recursion?)"
	}
	if strings.Contains(cause, "out of memory") { // in whichever of its words
		return "fatal error: out of memory"
	}
	return cause
}

var dumpFrame = regexp.MustCompile(`(?m)^(\S.*)\((?:[^()]*|\.\.\.)\)\n\t(.+?):(\d+)(?: .*)?$`)

// crashFrames reads the frames of the goroutine that the crash report is about: the first that was
// running the program's code, else the first of all.
func crashFrames(dump string) []Frame {
	var first []Frame
	for _, block := range strings.Split(dump, "\n\n") {
		head, _, _ := strings.Cut(block, "\n")
		if !strings.HasPrefix(head, "goroutine ") {
			continue
		}
		var frames []Frame
		mine := false
		for _, m := range dumpFrame.FindAllStringSubmatch(block, -1) {
			line, _ := strconv.Atoi(m[3])
			frames = append(frames, Frame{Func: m[1], File: m[2], Line: line})
			mine = mine || strings.HasPrefix(m[1], "main.")
		}
		if first == nil {
			first = frames
		}
		if mine && (strings.Contains(head, "[running") || strings.Contains(head, "[syscall")) {
			return frames
		}
	}
	return first
}

// tail sorts what the runtime prints: text of println goes to the user, a crash report is kept for Death.
type tail struct {
	mu   sync.Mutex
	held []byte // from the first line of a crash report on
	line []byte // the line under way
}

const maxDump = 1 << 20

// add takes text and returns what may be shown.
func (t *tail) add(data []byte) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.held != nil {
		if len(t.held) < maxDump {
			t.held = append(t.held, data...)
		}
		return nil
	}
	// A crash report begins at a line's start; so the start of a line waits until it is long enough to tell.
	text := append(t.line, data...)
	t.line = nil
	if at := crashStart.FindIndex(text); at != nil {
		t.held = append([]byte{}, text[at[0]:]...)
		return text[:at[0]]
	}
	if i := bytes.LastIndexByte(text, '\n') + 1; maybeCrash(text[i:]) {
		t.line = append([]byte{}, text[i:]...)
		return text[:i]
	}
	return text
}

// maybeCrash reports whether a line's start could become that of a crash report.
func maybeCrash(line []byte) bool {
	for _, start := range []string{"fatal error: ", "panic: ", "SIG", "unexpected fault address", "runtime: goroutine stack exceeds", "runtime: out of memory", "fatal: "} {
		n := min(len(start), len(line))
		if n > 0 && string(line[:n]) == start[:n] {
			return true
		}
	}
	return false
}

// raw looks at what arrives on the plain standard error pipe, and reports whether it kept it.
func (t *tail) raw(data []byte) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.held == nil && !crashStart.Match(data) {
		return false
	}
	t.held = append(t.held, data...)
	return true
}

// crash returns the crash report, or what was held back in the belief that it would become one.
func (t *tail) crash() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.held) + string(t.line)
}

// flush returns text that was held back though no crash came of it.
func (t *tail) flush() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := append(t.held, t.line...)
	t.held, t.line = nil, nil
	return out
}
