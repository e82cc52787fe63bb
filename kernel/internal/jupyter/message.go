package jupyter

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"
)

// protocolVersion is the version of Jupyter's messaging protocol that is spoken.
const protocolVersion = "5.5"

var delimiter = []byte("<IDS|MSG>")

// header is a message's header.
type header struct {
	ID         string `json:"msg_id"`
	Session    string `json:"session"`
	Username   string `json:"username"`
	Date       string `json:"date"`
	Type       string `json:"msg_type"`
	Version    string `json:"version"`
	SubshellID string `json:"subshell_id,omitempty"`
}

// request is a message from a front end.
type request struct {
	header
	raw      json.RawMessage // the header as it came: the parent of all that answers it
	from     *socket
	ids      [][]byte // the road back to the sender
	content  json.RawMessage
	metadata json.RawMessage
	buffers  [][]byte
	queue    *queue // that it waited in
	last     bool   // the kernel ends behind it
}

// origin is what messages refer to that a request has caused.
type origin struct {
	header     json.RawMessage
	ids        [][]byte
	allowStdin bool
}

func (r *request) origin() *origin { return &origin{header: r.raw, ids: r.ids} }

// signer signs and checks messages.
type signer struct {
	key []byte // empty: nothing is signed

	mu   sync.Mutex
	seen map[string]bool // signatures of late: a message counts once
	ring []string
	next int
	bad  int // messages dropped
}

// remembered is how many signatures are kept, to know a message that is played back.
const remembered = 1 << 14

func newSigner(key string) *signer {
	return &signer{key: []byte(key), seen: map[string]bool{}, ring: make([]string, remembered)}
}

func (s *signer) sign(parts [][]byte) []byte {
	if len(s.key) == 0 {
		return nil
	}
	mac := hmac.New(sha256.New, s.key)
	for _, p := range parts {
		mac.Write(p)
	}
	return hex.AppendEncode(nil, mac.Sum(nil))
}

var errSignature = errors.New("the signature is wrong")

// check accepts parts with their signature, once.
func (s *signer) check(signature []byte, parts [][]byte) error {
	if len(s.key) == 0 {
		return nil
	}
	if !hmac.Equal(signature, s.sign(parts)) {
		return errSignature
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen[string(signature)] {
		return errSignature
	}
	delete(s.seen, s.ring[s.next])
	s.ring[s.next] = string(signature)
	s.seen[string(signature)] = true
	s.next = (s.next + 1) % remembered
	return nil
}

// refused counts a message that is dropped; first tells whether it is the first.
func (s *signer) refused() (first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bad++
	return s.bad == 1
}

// dropped returns how many messages were.
func (s *signer) dropped() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bad
}

// parse takes a message apart: identities, delimiter, signature, header, parent, metadata, content, buffers.
func (s *signer) parse(frames [][]byte) (*request, error) {
	for i, f := range frames {
		if !bytes.Equal(f, delimiter) {
			continue
		}
		rest := frames[i+1:]
		if len(rest) < 5 {
			return nil, fmt.Errorf("a message of %d parts after the delimiter, and there must be 5 or more", len(rest))
		}
		if err := s.check(rest[0], rest[1:5]); err != nil {
			return nil, err
		}
		r := &request{raw: rest[1], ids: frames[:i], metadata: rest[3], content: rest[4], buffers: rest[5:]}
		if err := json.Unmarshal(rest[1], &r.header); err != nil {
			return nil, fmt.Errorf("a message's header: %w", err)
		}
		return r, nil
	}
	return nil, fmt.Errorf("a message of %d parts without the delimiter %s", len(frames), delimiter)
}

// message is what the kernel sends.
type message struct {
	kind     string
	parent   json.RawMessage // nil: none
	metadata map[string]any
	content  any
	buffers  [][]byte
}

// frames makes a message ready to be sent, behind what leads to its receiver.
func (k *kernel) frames(to [][]byte, m message) [][]byte {
	head := header{ID: newID(), Session: k.id, Username: k.user, Date: stamp(time.Now()), Type: m.kind, Version: protocolVersion}
	parent := []byte(m.parent)
	if len(parent) == 0 {
		parent = []byte("{}")
	}
	metadata := []byte("{}")
	if m.metadata != nil {
		metadata = encodeJSON(m.metadata)
	}
	parts := [][]byte{encodeJSON(head), parent, metadata, encodeJSON(m.content)}
	out := append(to[:len(to):len(to)], delimiter, k.signer.sign(parts))
	return append(append(out, parts...), m.buffers...)
}

// encodeJSON encodes what the kernel itself has made, or has checked to be JSON.
func encodeJSON(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(fmt.Sprintf("encoding %T: %v", v, err))
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

// newID returns a random UUID.
func newID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
