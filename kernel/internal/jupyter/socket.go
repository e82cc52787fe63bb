package jupyter

import (
	"bufio"
	"errors"
	"net"
	"strings"
	"sync"
	"time"
)

// socket is the bound end of a ZeroMQ socket: ROUTER, XPUB or REP by its type.
type socket struct {
	typ       string
	receive   func(p *peer, frames [][]byte) // called by one goroutine per peer
	subscribe func(p *peer, topic string)    // for XPUB: after a peer has subscribed
	log       func(format string, args ...any)

	mu       sync.Mutex // guards what follows; held while a message is queued for peers, which keeps one order for all
	listener net.Listener
	peers    map[*peer]bool
	byID     map[string]*peer
	closed   bool
}

// maxQueued is how much output may wait for a subscriber before the program that makes it has to wait.
const maxQueued = 4 << 20

func newSocket(typ string, log func(string, ...any)) *socket {
	return &socket{typ: typ, log: log, peers: map[*peer]bool{}, byID: map[string]*peer{}}
}

// serve takes connections until the socket is closed.
func (s *socket) serve(l net.Listener) {
	s.mu.Lock()
	s.listener = l
	s.mu.Unlock()
	for {
		conn, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			s.log("%s socket: %v", s.typ, err)
			time.Sleep(100 * time.Millisecond) // out of file descriptors, most likely
			continue
		}
		go s.connected(conn)
	}
}

func (s *socket) connected(conn net.Conn) {
	p, err := accept(conn, s.typ)
	if err != nil {
		conn.Close()
		return
	}
	if !s.add(p) {
		p.close()
		return
	}
	defer s.remove(p)
	r := bufio.NewReaderSize(conn, 1<<16)
	for {
		frames, err := p.receive(r)
		if err != nil {
			return
		}
		if s.typ == "XPUB" {
			s.subscription(p, frames)
		} else if s.receive != nil {
			s.receive(p, frames)
		}
	}
}

func (s *socket) add(p *peer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.peers[p] = true
	s.byID[p.id] = p // of two with one name, the later: a client that has connected again
	return true
}

func (s *socket) remove(p *peer) {
	p.close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.peers, p)
	if s.byID[p.id] == p {
		delete(s.byID, p.id)
	}
}

// subscription notes what a subscriber wants: 1 and a topic, or 0 and a topic.
func (s *socket) subscription(p *peer, frames [][]byte) {
	if len(frames) != 1 || len(frames[0]) == 0 {
		return
	}
	topic, on := string(frames[0][1:]), frames[0][0] == 1
	p.mu.Lock()
	if on {
		p.topics[topic]++
	} else if p.topics[topic]--; p.topics[topic] <= 0 {
		delete(p.topics, topic)
	}
	p.mu.Unlock()
	if on && s.subscribe != nil {
		s.subscribe(p, topic)
	}
}

func (p *peer) subscribed(topic string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for t := range p.topics {
		if strings.HasPrefix(topic, t) {
			return true
		}
	}
	return false
}

// send queues a message for the peer of that name and reports whether there is one.
func (s *socket) send(id string, frames [][]byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.byID[id]
	if p != nil {
		p.push(encode(frames))
	}
	return p != nil
}

// publish queues a message for all that have subscribed to its first frame.
func (s *socket) publish(frames [][]byte) {
	encoded := encode(frames)
	s.mu.Lock()
	defer s.mu.Unlock()
	for p := range s.peers {
		if p.subscribed(string(frames[0])) {
			p.push(encoded)
		}
	}
}

// await waits until every subscriber has taken most of what it was sent.
func (s *socket) await() {
	for _, p := range s.all() {
		p.await(maxQueued)
	}
}

func (s *socket) all() []*peer {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*peer
	for p := range s.peers {
		all = append(all, p)
	}
	return all
}

// close takes no more connections, and ends those that are there once all has been sent to them or the time is over.
func (s *socket) close(linger time.Time) {
	s.mu.Lock()
	s.closed = true
	if s.listener != nil {
		s.listener.Close()
	}
	s.mu.Unlock()
	timer := time.AfterFunc(time.Until(linger), func() {
		for _, p := range s.all() {
			p.close()
		}
	})
	defer timer.Stop()
	for _, p := range s.all() {
		p.await(0)
		p.close()
	}
}

// release lets await return.
func (s *socket) release() {
	for _, p := range s.all() {
		p.release()
	}
}
