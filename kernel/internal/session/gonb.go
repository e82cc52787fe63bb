package session

import (
	"encoding/gob"
	"io"
	"os"
	"sync"

	"github.com/janpfeifer/gonb/gonbui/protocol"

	"github.com/gradbook/gradbook/kernel/internal/worker"
)

// gonbStream decodes what the program's display packages (gonbui and what builds on it) write. Feeding it
// returns when every message that is complete has been passed on, so displays keep their place among what is printed.
type gonbStream struct {
	o    *outlet
	back string

	mu     sync.Mutex
	cond   *sync.Cond
	data   []byte
	idle   bool // the decoder waits for more
	closed bool
	from   string
	write  *os.File // answers to the program
	enc    *gob.Encoder
}

func newGonbStream(o *outlet, w *worker.Worker) *gonbStream {
	g := &gonbStream{o: o, back: w.BackPipe()}
	g.cond = sync.NewCond(&g.mu)
	go g.decode()
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
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	if g.write != nil {
		g.write.Close()
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

func (g *gonbStream) decode() {
	dec := gob.NewDecoder(g)
	for {
		var d protocol.DisplayData
		if err := dec.Decode(&d); err != nil {
			g.mu.Lock()
			g.closed = true
			g.cond.Broadcast()
			g.mu.Unlock()
			return
		}
		g.message(&d)
	}
}

// message passes on one message; feed's caller holds the outlet's lock meanwhile.
func (g *gonbStream) message(d *protocol.DisplayData) {
	if v, ok := d.Data[protocol.MIMEJupyterInput]; ok {
		if r, ok := v.(protocol.InputRequest); ok {
			g.o.s.ask(r.Prompt, r.Password)
		}
		return
	}
	if v, ok := d.Data[protocol.MIMECommValue]; ok {
		if v, ok := v.(*protocol.CommValue); ok && v.Address == protocol.GonbuiSyncAddress {
			g.answer(&protocol.CommValue{Address: protocol.GonbuiSyncAckAddress, Value: v.Value})
		}
		return
	}
	data := map[string]any{}
	for mime, v := range d.Data {
		data[string(mime)] = v
	}
	g.o.display(data, d.Metadata, d.DisplayID, g.from)
}

// answer writes to the pipe that the program reads.
func (g *gonbStream) answer(v *protocol.CommValue) {
	if g.write == nil {
		f, err := os.OpenFile(g.back, os.O_RDWR, 0) // for both directions, so that it never waits
		if err != nil {
			return
		}
		g.mu.Lock()
		g.write, g.enc = f, gob.NewEncoder(f)
		g.mu.Unlock()
	}
	g.enc.Encode(v)
}
