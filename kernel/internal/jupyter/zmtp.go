package jupyter

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// ZMTP 3.0 (rfc.zeromq.org/spec/23), as far as the bound end of a kernel's sockets needs it: the NULL mechanism, and frames.
// Written here because a kernel must survive what zmq4 does not: a peer that connects and says nothing (it holds up all
// others), one that announces a frame of 2^62 bytes, one that does not read (it blocks all subscribers, or
// memory grows); and because zmq4 tells neither who subscribes nor when all has been sent.

const (
	flagMore    = 1
	flagLong    = 2
	flagCommand = 4

	greetingLen = 64
	maxMessage  = 1 << 30 // bytes of one message that a peer may send
	maxFrames   = 1 << 12

	handshakeTime = 10 * time.Second
	stallTime     = 30 * time.Second // a peer that takes nothing for so long is let go; it connects again when it is back
)

var errClosed = errors.New("the peer has gone")

// peer is one connection of a bound socket.
type peer struct {
	conn net.Conn
	id   string // what a ROUTER calls it

	mu     sync.Mutex
	cond   *sync.Cond
	queue  [][]byte // guarded by mu: frames with their headers, ready to be written
	size   int      // bytes in queue and under way
	closed bool
	free   bool           // await waits no longer
	topics map[string]int // subscriptions of a SUB peer
}

// accept greets a peer that has connected to a socket of type own.
func accept(conn net.Conn, own string) (*peer, error) {
	conn.SetDeadline(time.Now().Add(handshakeTime))
	p := &peer{conn: conn, topics: map[string]int{}}
	p.cond = sync.NewCond(&p.mu)
	greeting := [greetingLen]byte{0: 0xff, 9: 0x7f, 10: 3}
	copy(greeting[12:], "NULL")
	if _, err := conn.Write(greeting[:]); err != nil {
		return nil, err
	}
	var theirs [greetingLen]byte
	if _, err := io.ReadFull(conn, theirs[:]); err != nil {
		return nil, err
	}
	mechanism, _, _ := bytes.Cut(theirs[12:32], []byte{0})
	if theirs[0] != 0xff || theirs[9] != 0x7f || theirs[10] < 3 || string(mechanism) != "NULL" {
		return nil, fmt.Errorf("not a greeting of ZMTP 3 without security: % x", theirs[:33])
	}
	ready := property(property([]byte("\x05READY"), "Socket-Type", own), "Identity", "")
	if _, err := conn.Write(append([]byte{flagCommand, byte(len(ready))}, ready...)); err != nil {
		return nil, err
	}
	flags, body, err := readFrame(conn, 1<<16)
	if err != nil {
		return nil, err
	}
	if name, rest := command(body); flags&flagCommand == 0 || name != "READY" {
		return nil, fmt.Errorf("the peer does not say that it is ready, but %q", clip(body))
	} else if p.id, err = identity(rest); err != nil {
		return nil, err
	}
	if p.id == "" { // as libzmq does: a zero byte, and what is unique
		id := make([]byte, 9)
		rand.Read(id[1:])
		p.id = string(id)
	}
	conn.SetDeadline(time.Time{})
	go p.write()
	return p, nil
}

// property adds one property of a READY command.
func property(to []byte, name, value string) []byte {
	to = append(append(to, byte(len(name))), name...)
	return append(binary.BigEndian.AppendUint32(to, uint32(len(value))), value...)
}

// identity finds what the peer calls itself.
func identity(properties []byte) (string, error) {
	for len(properties) > 0 {
		n := int(properties[0])
		if len(properties) < 1+n+4 {
			return "", errors.New("the peer's READY command is cut short")
		}
		name := string(properties[1 : 1+n])
		size := binary.BigEndian.Uint32(properties[1+n:])
		properties = properties[1+n+4:]
		if uint64(size) > uint64(len(properties)) {
			return "", errors.New("the peer's READY command is cut short")
		}
		if name == "Identity" {
			return string(properties[:size]), nil
		}
		properties = properties[size:]
	}
	return "", nil
}

// command takes a command frame apart.
func command(body []byte) (name string, rest []byte) {
	if len(body) == 0 || len(body) < 1+int(body[0]) {
		return "", nil
	}
	return string(body[1 : 1+body[0]]), body[1+body[0]:]
}

func clip(b []byte) []byte { return b[:min(len(b), 64)] }

// readFrame reads one frame of at most limit bytes. Memory is taken as bytes come, not as they are announced.
func readFrame(r io.Reader, limit int64) (flags byte, body []byte, err error) {
	var head [9]byte
	if _, err := io.ReadFull(r, head[:2]); err != nil {
		return 0, nil, err
	}
	size := int64(head[1])
	if head[0]&flagLong != 0 {
		if _, err := io.ReadFull(r, head[2:]); err != nil {
			return 0, nil, err
		}
		size = int64(binary.BigEndian.Uint64(head[1:]))
	}
	if size < 0 || size > limit {
		return 0, nil, fmt.Errorf("a frame of %d bytes, more than the %d that are taken", uint64(size), limit)
	}
	if size <= 1<<16 {
		body = make([]byte, size)
		_, err = io.ReadFull(r, body)
		return head[0], body, err
	}
	var b bytes.Buffer
	if _, err := io.CopyN(&b, r, size); err != nil {
		return 0, nil, err
	}
	return head[0], b.Bytes(), nil
}

// receive reads the next message. Pings are answered on the way.
func (p *peer) receive(r io.Reader) ([][]byte, error) {
	var frames [][]byte
	left := int64(maxMessage)
	for {
		flags, body, err := readFrame(r, left)
		if err != nil {
			return nil, err
		}
		if flags&flagCommand != 0 {
			if name, rest := command(body); name == "PING" && len(rest) >= 2 {
				pong := append([]byte("\x04PONG"), rest[2:]...)
				p.push(appendFrame(nil, flagCommand, pong))
			}
			continue
		}
		left -= int64(len(body))
		frames = append(frames, body)
		if flags&flagMore == 0 {
			return frames, nil
		}
		if len(frames) == maxFrames {
			return nil, fmt.Errorf("a message of more than %d frames", maxFrames)
		}
	}
}

// appendFrame adds a frame to what is to be written; a long body is kept as it is, not copied.
func appendFrame(to [][]byte, flags byte, body []byte) [][]byte {
	if len(body) > 255 {
		return append(to, binary.BigEndian.AppendUint64([]byte{flags | flagLong}, uint64(len(body))), body)
	}
	return append(to, append([]byte{flags, byte(len(body))}, body...))
}

// encode makes a message ready to be written to any peer.
func encode(frames [][]byte) [][]byte {
	var out [][]byte
	for i, f := range frames {
		flags := byte(0)
		if i < len(frames)-1 {
			flags = flagMore
		}
		out = appendFrame(out, flags, f)
	}
	return out
}

// push queues what encode made. It never waits.
func (p *peer) push(frames [][]byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.queue = append(p.queue, frames...)
	for _, f := range frames {
		p.size += len(f)
	}
	p.cond.Broadcast()
}

// await waits until no more than limit bytes wait to be written to this peer, or it has gone.
func (p *peer) await(limit int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.size > limit && !p.closed && !(p.free && limit > 0) {
		p.cond.Wait()
	}
}

// release lets await return.
func (p *peer) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = true
	p.cond.Broadcast()
}

// write writes what is pushed.
func (p *peer) write() {
	for {
		p.mu.Lock()
		for len(p.queue) == 0 && !p.closed {
			p.cond.Wait()
		}
		if p.closed {
			p.mu.Unlock()
			return
		}
		frames := p.queue
		p.queue = nil
		p.mu.Unlock()
		if err := p.writeOut(frames); err != nil {
			p.close()
			return
		}
	}
}

func (p *peer) writeOut(frames [][]byte) error {
	buffers := net.Buffers(frames)
	for len(buffers) > 0 {
		// In parts, each with a time of its own: a large message to a slow peer is no stall.
		part, n := net.Buffers{}, 0
		for len(buffers) > 0 && n < 1<<18 {
			f := buffers[0]
			if len(f) > 1<<18 {
				f = f[:1<<18]
				buffers[0] = buffers[0][1<<18:]
			} else {
				buffers = buffers[1:]
			}
			part, n = append(part, f), n+len(f)
		}
		p.conn.SetWriteDeadline(time.Now().Add(stallTime))
		if _, err := part.WriteTo(p.conn); err != nil {
			return err
		}
		p.mu.Lock()
		p.size -= n
		p.cond.Broadcast()
		p.mu.Unlock()
	}
	return nil
}

func (p *peer) close() {
	p.conn.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed, p.queue, p.size = true, nil, 0
	p.cond.Broadcast()
}
