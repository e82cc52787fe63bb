package session

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
)

// Comm is a message between the program and the front end: a Jupyter comm is opened, spoken to or closed.
type Comm struct {
	Op       string         `json:"op"` // "open", "msg" or "close"
	ID       string         `json:"id"`
	Target   string         `json:"target,omitempty"`
	Data     map[string]any `json:"data,omitempty"`
	Metadata map[string]any `json:"metadata,omitempty"`
	Buffers  [][]byte       `json:"buffers,omitempty"`
}

// message is one JSON line that the program wrote into GRADBOOK_PIPE: a comm message, or something to show.
type message struct {
	Comm
	Display map[string]any    `json:"display,omitempty"` // MIME type -> text or JSON
	Binary  map[string][]byte `json:"binary,omitempty"`  // MIME type -> bytes
	Wait    bool              `json:"wait,omitempty"`    // of "clear": only when something new comes
}

// messages reads what the program writes into GRADBOOK_PIPE, and writes what it reads from GRADBOOK_PIPE_BACK.
type messages struct {
	back string
	line []byte

	mu sync.Mutex
	to *os.File
}

// feed reads lines; the outlet's lock is held.
func (m *messages) feed(o *outlet, data []byte, from string) {
	m.line = append(m.line, data...)
	for {
		i := bytes.IndexByte(m.line, '\n')
		if i < 0 {
			return
		}
		var msg message
		err := json.Unmarshal(m.line[:i], &msg)
		m.line = append([]byte(nil), m.line[i+1:]...)
		if err != nil {
			o.deliver(Output{Kind: Stream, Name: "stderr", Text: "GRADBOOK_PIPE: " + err.Error() + "\n"})
			continue
		}
		o.message(&msg, from)
	}
}

func (o *outlet) message(m *message, from string) {
	data := m.Display
	for mime, b := range m.Binary {
		if data == nil {
			data = map[string]any{}
		}
		data[mime] = b
	}
	out := Output{Kind: Display, Data: data, Metadata: m.Metadata, DisplayID: m.ID, From: from}
	switch m.Op {
	case "display":
	case "update":
		out.Kind = Update
	case "clear":
		out = Output{Kind: Clear, Wait: m.Wait}
	case "backend":
		o.s.backendAnswer = m.Data
		return
	case "open", "msg", "close":
		if o.s.o.Comm != nil {
			o.s.o.Comm(m.Comm)
		}
		return
	default:
		out = Output{Kind: Stream, Name: "stderr", Text: fmt.Sprintf("GRADBOOK_PIPE: unknown op %q\n", m.Op)}
	}
	o.deliver(out)
}

// send writes a message to the program.
func (m *messages) send(c Comm) error {
	line, err := json.Marshal(c)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.to == nil {
		if m.to, err = os.OpenFile(m.back, os.O_RDWR, 0); err != nil { // for both directions, so that it never waits
			return err
		}
	}
	_, err = m.to.Write(append(line, '\n'))
	return err
}

func (m *messages) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.to != nil {
		m.to.Close()
	}
	m.to, m.back = nil, ""
}

// Comm hands a comm message from the front end to the program.
func (s *Session) Comm(c Comm) error {
	if s.widgets.take(c) {
		return nil
	}
	s.out.mu.Lock()
	m := s.out.messages
	s.out.mu.Unlock()
	if m == nil {
		return errors.New("no program is running")
	}
	return m.send(c)
}

// ask gets a line of input from the user and gives it to the program; it does not wait for it. A program that is being asked
// for already (it asked by GoNB's protocol, and then reads) is not asked for twice.
func (s *Session) ask(prompt string, password bool) {
	if s.o.Ask == nil || s.input == nil || !s.asking.CompareAndSwap(false, true) {
		return
	}
	to := s.input
	go func() {
		line, err := s.o.Ask(prompt, password)
		s.asking.Store(false) // before the program can read the answer, and ask again
		if err == nil {
			to.WriteString(line + "\n")
		}
	}()
}
