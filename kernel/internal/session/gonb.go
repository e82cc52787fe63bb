package session

import (
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/janpfeifer/gonb/gonbui/protocol"

	"github.com/gradbook/gradbook/kernel/internal/worker"
)

// gonbStream decodes what the program's display packages (gonbui and what builds on it) write. Feeding it
// returns when every message that is complete has been passed on, so displays keep their place among what is printed.
type gonbStream struct {
	o       *outlet
	answers chan *protocol.CommValue // to the program
	done    chan bool                // closed at its end
	back    *os.File                 // what the program reads; nil if it cannot be opened

	mu         sync.Mutex
	cond       *sync.Cond
	data       []byte
	idle       bool // the decoder waits for more
	closed     bool
	from       string
	subscribed map[string]bool // addresses whose values the program wants
}

// maxAnswers is how many answers wait for a program that does not read them.
const maxAnswers = 128

func newGonbStream(o *outlet, w *worker.Worker) *gonbStream {
	g := &gonbStream{o: o, answers: make(chan *protocol.CommValue, maxAnswers), done: make(chan bool), subscribed: map[string]bool{}}
	g.cond = sync.NewCond(&g.mu)
	go g.decode()
	if back, err := os.OpenFile(w.BackPipe(), os.O_RDWR, 0); err == nil {
		g.back = back
		go g.write(back)
	}
	return g
}

// feed decodes data; the outlet's lock is held.
func (g *gonbStream) feed(data []byte, from string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.data, g.from, g.idle = append(g.data, data...), from, false
	g.cond.Broadcast()
	for !g.idle && !g.closed {
		g.cond.Wait()
	}
}

func (g *gonbStream) close() {
	close(g.done)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	if g.back != nil {
		g.back.Close() // ends a write that waits
	}
	g.cond.Broadcast()
}

// Read gives the decoder what was fed.
func (g *gonbStream) Read(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.data) == 0 {
		if g.closed {
			return 0, io.EOF
		}
		g.idle = true
		g.cond.Broadcast()
		g.cond.Wait()
	}
	n := copy(p, g.data)
	g.data = g.data[n:]
	return n, nil
}

// maxBroken is how many messages in a row may be damaged before the rest is given up.
const maxBroken = 10

func (g *gonbStream) decode() {
	dec := gob.NewDecoder(g)
	for broken := 0; broken < maxBroken; {
		var d protocol.DisplayData
		err := dec.Decode(&d)
		switch {
		case err == nil:
			broken = 0
			g.message(&d)
			continue
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			broken = maxBroken
		default: // messages have their lengths: the next one may be sound
			broken++
			g.complain("%v", err)
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	g.cond.Broadcast()
}

// complain is for what is wrong with a message; feed's caller holds the outlet's lock.
func (g *gonbStream) complain(format string, args ...any) {
	g.o.deliver(Output{Kind: Stream, Name: "stderr", Text: "GONB_PIPE: " + fmt.Sprintf(format, args...) + "\n"})
}

// message passes on one message; feed's caller holds the outlet's lock meanwhile.
func (g *gonbStream) message(d *protocol.DisplayData) {
	if v, ok := d.Data[protocol.MIMEJupyterInput]; ok {
		if r, ok := v.(protocol.InputRequest); ok {
			g.o.s.ask(r.Prompt, r.Password)
		} else {
			g.complain("an input request holds %T in place of protocol.InputRequest", v)
		}
		return
	}
	if v, ok := d.Data[protocol.MIMECommValue]; ok {
		switch v, ok := v.(protocol.CommValue); {
		case !ok:
			g.complain("a value for the page is no protocol.CommValue")
		case v.Address == protocol.GonbuiSyncAddress:
			ack := func() { g.answer(&protocol.CommValue{Address: protocol.GonbuiSyncAckAddress, Value: v.Value}) }
			g.o.s.widgets.inOrder(ack, ack)
		default:
			g.o.s.widgets.send(v)
		}
		return
	}
	if v, ok := d.Data[protocol.MIMECommSubscribe]; ok {
		if v, ok := v.(protocol.CommSubscription); ok {
			g.subscribe(v)
		} else {
			g.complain("a subscription is no protocol.CommSubscription")
		}
		return
	}
	data := map[string]any{}
	for mime, v := range d.Data {
		data[string(mime)] = v
	}
	from := g.from
	show := func() { g.o.display(data, d.Metadata, d.DisplayID, from) }
	g.o.s.widgets.inOrder(show, func() {
		g.o.mu.Lock()
		defer g.o.mu.Unlock()
		show()
	})
}

func (g *gonbStream) subscribe(v protocol.CommSubscription) {
	g.mu.Lock()
	if v.Unsubscribe {
		delete(g.subscribed, v.Address)
	} else {
		g.subscribed[v.Address] = true
	}
	g.mu.Unlock()
	if !v.Unsubscribe {
		g.o.s.widgets.send(protocol.CommValue{Address: protocol.GonbuiStartAddress})
	}
}

// deliver gives the program a value of the page, if it wants it.
func (g *gonbStream) deliver(v *protocol.CommValue) {
	g.mu.Lock()
	wanted := g.subscribed[v.Address]
	g.mu.Unlock()
	if wanted {
		g.answer(v)
	}
}

// answer writes to the pipe that the program reads. One that does not read gets no more than what fits.
func (g *gonbStream) answer(v *protocol.CommValue) {
	select {
	case g.answers <- v:
	default:
	}
}

// write passes on answers. The pipe is open for both directions, so that opening it never waits.
func (g *gonbStream) write(to *os.File) {
	enc := gob.NewEncoder(to)
	for {
		select {
		case v := <-g.answers:
			enc.Encode(v)
		case <-g.done:
			return
		}
	}
}
