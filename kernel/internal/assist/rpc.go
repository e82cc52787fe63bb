package assist

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"strconv"
	"sync"
	"time"
)

// conn speaks JSON-RPC 2.0 in the frames of the language server protocol: a header that says how long the message is, and the message.
type conn struct {
	w     io.Writer
	write sync.Mutex // held while a frame is written

	mu      sync.Mutex // guards what follows
	last    int
	waiting map[int]chan frame // by the id of the request
	err     error              // why nothing more will come; nil while something may
	done    chan struct{}      // closed when err is set
}

// frame is any message of the protocol.
type frame struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id,omitempty"`
	Method  string          `json:"method,omitempty"`
	Params  json.RawMessage `json:"params,omitempty"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *rpcError       `json:"error,omitempty"`
}

// rpcError is the server's refusal.
type rpcError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (e *rpcError) Error() string { return fmt.Sprintf("gopls: %s (%d)", e.Message, e.Code) }

// maxFrame bounds what is read at once; gopls's answers are some megabytes at most.
const maxFrame = 256 << 20

// newConn speaks over r and w. What the server asks is answered by answer, which must not call the server.
func newConn(r io.Reader, w io.Writer, answer func(method string, params json.RawMessage) any) *conn {
	c := &conn{w: w, waiting: map[int]chan frame{}, done: make(chan struct{})}
	go c.read(bufio.NewReader(r), answer)
	return c
}

// call sends a request and waits for its result.
func (c *conn) call(ctx context.Context, method string, params, result any) error {
	c.mu.Lock()
	if c.err != nil {
		defer c.mu.Unlock()
		return c.err
	}
	c.last++
	id, reply := c.last, make(chan frame, 1)
	c.waiting[id] = reply
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.waiting, id)
		c.mu.Unlock()
	}()
	if err := c.send(frame{ID: json.RawMessage(strconv.Itoa(id)), Method: method}, params); err != nil {
		return err
	}
	select {
	case f := <-reply:
		if f.Error != nil {
			return f.Error
		}
		if result == nil || len(f.Result) == 0 {
			return nil
		}
		return json.Unmarshal(f.Result, result)
	case <-c.done:
		return c.failure()
	case <-ctx.Done():
		_ = c.notify("$/cancelRequest", map[string]any{"id": id}) // a wish; the answer is not waited for in any case
		return ctx.Err()
	}
}

// notify sends a message that has no answer.
func (c *conn) notify(method string, params any) error { return c.send(frame{Method: method}, params) }

func (c *conn) send(f frame, params any) error {
	f.Version = "2.0"
	if params != nil {
		data, err := json.Marshal(params)
		if err != nil {
			return err
		}
		f.Params = data
	}
	data, err := json.Marshal(f)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n", len(data))
	b.Write(data)
	c.write.Lock()
	_, err = c.w.Write(b.Bytes())
	c.write.Unlock()
	if err == nil {
		return nil
	}
	select {
	case <-c.done: // how the process ended says more than that it does not read
		return c.failure()
	case <-time.After(time.Second):
		return err
	}
}

// read takes what the server says, until it says no more.
func (c *conn) read(r *bufio.Reader, answer func(string, json.RawMessage) any) {
	for {
		f, err := readFrame(r)
		if err != nil {
			select {
			case <-c.done: // how the process ended says more than that it is silent
			case <-time.After(time.Second):
				c.fail(err)
			}
			return
		}
		switch {
		case f.Method != "" && f.ID != nil:
			result, err := json.Marshal(answer(f.Method, f.Params))
			if err != nil {
				result = json.RawMessage("null")
			}
			// In the background: the server may write before it reads.
			go func() { _ = c.send(frame{ID: f.ID, Result: result}, nil) }() // a server that is gone is noticed by the reader
		case f.ID != nil:
			id, err := strconv.Atoi(string(f.ID))
			if err != nil {
				continue
			}
			c.mu.Lock()
			reply := c.waiting[id]
			delete(c.waiting, id)
			c.mu.Unlock()
			if reply != nil {
				reply <- f
			}
		}
	}
}

func readFrame(r *bufio.Reader) (f frame, err error) {
	header, err := textproto.NewReader(r).ReadMIMEHeader()
	if err != nil {
		return f, err
	}
	n, err := strconv.Atoi(header.Get("Content-Length"))
	if err != nil || n < 0 || n > maxFrame {
		return f, fmt.Errorf("a message of gopls says that its length is %q; it must be a number up to %d", header.Get("Content-Length"), maxFrame)
	}
	data := make([]byte, n)
	if _, err := io.ReadFull(r, data); err != nil {
		return f, err
	}
	return f, json.Unmarshal(data, &f)
}

// fail ends the conversation.
func (c *conn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	if errors.Is(err, io.EOF) {
		err = errors.New("gopls has closed its output")
	}
	c.err = err
	close(c.done)
}

func (c *conn) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}
