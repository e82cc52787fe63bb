package session

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/gradbook/gradbook/kernel/internal/worker"
)

// outlet turns what the worker sends into Outputs, and gives them to the cell that runs.
type outlet struct {
	s *Session

	mu       sync.Mutex
	cell     int // that runs; 0 for none
	to       func(Output)
	kept     []Output // made while no cell ran
	shown    map[string]bool
	gonb     *gonbStream
	messages *messages
}

// maxKept bounds what goroutines may print while no cell runs and no one listens.
const maxKept = 10000

func newOutlet(s *Session) *outlet { return &outlet{s: s, shown: map[string]bool{}} }

// reset prepares for a new worker.
func (o *outlet) reset(w *worker.Worker) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.gonb != nil {
		o.gonb.close()
		o.messages.close()
	}
	o.gonb, o.messages = newGonbStream(o, w), &messages{back: w.MessagePipe()}
}

func (o *outlet) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.gonb != nil {
		o.gonb.close()
		o.messages.close()
	}
}

// begin gives what follows to a cell.
func (o *outlet) begin(cell int, to func(Output)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.cell, o.to = cell, to
	for _, out := range o.kept {
		to(out)
	}
	o.kept = nil
}

func (o *outlet) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.cell, o.to = 0, nil
}

// show passes on an output of the session itself.
func (o *outlet) show(out Output) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.deliver(out)
}

// note shows a remark of the session on standard error.
func (o *outlet) note(format string, args ...any) {
	o.show(Output{Kind: Stream, Name: "stderr", Text: fmt.Sprintf(format, args...) + "\n"})
}

func (o *outlet) deliver(out Output) {
	switch {
	case o.to != nil:
		o.to(out)
	case o.s.o.Idle != nil:
		o.s.o.Idle(out)
	case len(o.kept) < maxKept:
		o.kept = append(o.kept, out)
	}
}

// event is the worker's sink.
func (o *outlet) event(e worker.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	out := Output{Kind: Stream}
	if e.Cell != 0 && e.Cell != o.cell {
		out.From = o.s.cellName(e.Cell)
	}
	switch e.Kind {
	case worker.Stdout:
		out.Name, out.Text = "stdout", string(e.Data)
	case worker.Stderr, worker.Runtime:
		out.Name, out.Text = "stderr", string(e.Data)
	case worker.Value:
		out.Kind = Value
		if err := json.Unmarshal(e.Data, &out.Data); err != nil {
			return
		}
	case worker.GoPanic:
		var p worker.Panic
		if err := json.Unmarshal(e.Data, &p); err != nil {
			return
		}
		out.Name, out.Text = "stderr", "a goroutine ended: "+strings.Join(o.s.panicLines(&p), "\n")+"\n"
	case worker.Gonb:
		o.gonb.feed(e.Data, out.From)
		return
	case worker.Message:
		o.messages.feed(o, e.Data, out.From)
		return
	case worker.Input:
		o.s.ask("", false)
		return
	default:
		return
	}
	o.deliver(out)
}

// display passes on a MIME bundle; the second one with an id updates the first.
func (o *outlet) display(data, metadata map[string]any, id, from string) {
	out := Output{Kind: Display, Data: data, Metadata: metadata, DisplayID: id, From: from}
	if id != "" {
		if o.shown[id] {
			out.Kind = Update
		}
		o.shown[id] = true
	}
	o.deliver(out)
}

func (s *Session) cellName(id int) string {
	s.state.Lock()
	defer s.state.Unlock()
	if c := s.cells[id]; c != nil {
		return c.name
	}
	return fmt.Sprintf("cell %d", id)
}

// progressText shows what takes long: in the cell, for a person who waits for it; before the first cell, and where nobody looks on (Agree), to whoever opened the
// session, so that it is no part of a notebook's results.
func (s *Session) progressText(text string) {
	s.out.mu.Lock()
	inCell := s.out.to != nil
	s.out.mu.Unlock()
	switch {
	case s.o.Progress != nil && (s.o.Agree || !inCell):
		s.o.Progress(text)
	case inCell:
		s.out.note("%s", text)
	}
}

// slow is how long something may take before its progress is shown.
const slow = 2 * time.Second
