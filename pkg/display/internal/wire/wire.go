// Package wire carries messages between a program and the kernel that shows what it makes: JSON lines, through the named pipes
// that the environment names. It knows neither what is shown nor how it looks.
package wire

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"runtime/pprof"
	"strconv"
	"sync"
	"sync/atomic"
)

// Environment variables with the paths of the pipes.
const (
	PipeVar = "GRADBOOK_PIPE"      // the program writes
	BackVar = "GRADBOOK_PIPE_BACK" // the program reads
)

// Message is one line.
type Message struct {
	Op       string            `json:"op"`           // "display", "update", "clear"; of comms "open", "msg", "close"
	ID       string            `json:"id,omitempty"` // of the display or the comm
	Target   string            `json:"target,omitempty"`
	Data     map[string]any    `json:"data,omitempty"`
	Metadata map[string]any    `json:"metadata,omitempty"`
	Buffers  [][]byte          `json:"buffers,omitempty"`
	Display  map[string]any    `json:"display,omitempty"` // MIME type -> text or JSON
	Binary   map[string][]byte `json:"binary,omitempty"`  // MIME type -> bytes
	Wait     bool              `json:"wait,omitempty"`    // of "clear"
}

// conn is an open pair of pipes.
type conn struct {
	path    string
	to      *os.File // nil: it could not be opened
	reading bool
}

var (
	mu       sync.Mutex
	current  conn          // guarded by mu
	receiver func(Message) // guarded by mu
)

// open returns the connection that the environment names now; mu is held.
func open() *conn {
	path := os.Getenv(PipeVar)
	if path == current.path {
		return &current
	}
	if current.to != nil {
		current.to.Close()
	}
	current = conn{path: path}
	if path == "" {
		return &current
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		fmt.Fprintf(os.Stderr, "display: %s does not name a pipe that can be written (%v): text is printed instead\n", PipeVar, err)
		return &current
	}
	current.to = f
	return &current
}

// Connected reports whether there is a kernel to send messages to.
func Connected() bool {
	mu.Lock()
	defer mu.Unlock()
	return open().to != nil
}

// Send sends a message; messages arrive in the order in which they are sent.
func Send(m Message) error {
	line, err := json.Marshal(m)
	if err != nil {
		return err
	}
	mu.Lock()
	defer mu.Unlock()
	c := open()
	if c.to == nil {
		return fmt.Errorf("no kernel: %s is not set to a pipe", PipeVar)
	}
	_, err = c.to.Write(append(line, '\n')) // in one piece: the live process passes it on as it comes
	return err
}

// Receive has f called with each message from the kernel, one at a time and in order. f must not block for long.
func Receive(f func(Message)) {
	mu.Lock()
	defer mu.Unlock()
	receiver = f
	c := open()
	if c.to == nil || c.reading {
		return
	}
	c.reading = true
	path := os.Getenv(BackVar)
	go read(path)
}

// read passes on what arrives until the pipe ends.
func read(path string) {
	// The cell that happened to start this goroutine may be interrupted; this goroutine is not part of it.
	pprof.SetGoroutineLabels(context.Background())
	f, err := os.Open(path)
	if err != nil {
		fmt.Fprintf(os.Stderr, "display: %s does not name a pipe that can be read (%v): nothing comes back from the front end\n", BackVar, err)
		return
	}
	defer f.Close()
	in := bufio.NewReader(f)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var m Message
		if err := json.Unmarshal(line, &m); err != nil {
			fmt.Fprintf(os.Stderr, "display: message from the kernel not understood: %v\n", err)
			continue
		}
		mu.Lock()
		f := receiver
		mu.Unlock()
		f(m)
	}
}

var (
	process = sync.OnceValue(func() string {
		var b [8]byte
		rand.Read(b[:]) // it never fails
		return hex.EncodeToString(b[:])
	})
	lastID atomic.Int64
)

// NewID returns a name that no other display or comm has.
func NewID() string { return process() + "-" + strconv.FormatInt(lastID.Add(1), 10) }
