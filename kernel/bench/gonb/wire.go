package gonb

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/go-zeromq/zmq4"
)

// client is one notebook's end of the wire.
type client struct {
	key          []byte
	session      string
	sent         int // how many requests were sent; numbers them
	shell, iopub zmq4.Socket
	cancel       context.CancelFunc
	arrived      chan message // from both sockets
}

// message is what came from the kernel.
type message struct {
	socket  string // "shell" or "iopub"
	kind    string
	parent  string // id of the request that it answers
	content map[string]any
	err     error
}

type header struct {
	ID       string `json:"msg_id"`
	Session  string `json:"session"`
	Username string `json:"username"`
	Date     string `json:"date"`
	Kind     string `json:"msg_type"`
	Version  string `json:"version"`
}

func dial(ctx context.Context, conn connection) (*client, error) {
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c := &client{
		key:     []byte(conn.Key),
		session: conn.Key[:8],
		shell:   zmq4.NewDealer(life, zmq4.WithID(zmq4.SocketIdentity(conn.Key[:8]))),
		iopub:   zmq4.NewSub(life),
		cancel:  cancel,
		arrived: make(chan message, 1000),
	}
	address := func(port int) string { return fmt.Sprintf("tcp://%s:%d", conn.IP, port) }
	if err := c.iopub.SetOption(zmq4.OptionSubscribe, ""); err != nil {
		return nil, err
	}
	if err := errors.Join(c.iopub.Dial(address(conn.IOPub)), c.shell.Dial(address(conn.Shell))); err != nil {
		return nil, err
	}
	go c.receive("shell", c.shell)
	go c.receive("iopub", c.iopub)
	return c, nil
}

func (c *client) close() {
	c.cancel()
	_ = c.shell.Close()
	_ = c.iopub.Close()
}

// receive hands on what comes over one socket, until it is closed.
func (c *client) receive(name string, s zmq4.Socket) {
	for {
		raw, err := s.Recv()
		if err != nil {
			c.arrived <- message{socket: name, err: err}
			return
		}
		m, err := parse(raw.Frames)
		m.socket, m.err = name, err
		c.arrived <- m
		if err != nil {
			return
		}
	}
}

// parse reads the frames of one message: identities, delimiter, signature, header, parent, metadata, content.
func parse(frames [][]byte) (message, error) {
	for i, f := range frames {
		if string(f) != "<IDS|MSG>" {
			continue
		}
		if len(frames) < i+6 {
			return message{}, fmt.Errorf("message of %d frames after its delimiter, want 5 or more", len(frames)-i-1)
		}
		var head, parent header
		var m message
		err := errors.Join(json.Unmarshal(frames[i+2], &head), json.Unmarshal(frames[i+3], &parent), json.Unmarshal(frames[i+5], &m.content))
		m.kind, m.parent = head.Kind, parent.ID
		return m, err
	}
	return message{}, fmt.Errorf("message of %d frames without a delimiter", len(frames))
}

// send sends a request on the shell socket and returns its id.
func (c *client) send(kind string, content any) (string, error) {
	c.sent++
	head := header{ID: c.session + "-" + strconv.Itoa(c.sent), Session: c.session, Username: "bench", Date: time.Now().UTC().Format(time.RFC3339Nano), Kind: kind, Version: "5.3"}
	h, err := json.Marshal(head)
	if err != nil {
		return "", err
	}
	body, err := json.Marshal(content)
	if err != nil {
		return "", err
	}
	empty := []byte("{}")
	mac := hmac.New(sha256.New, c.key)
	for _, part := range [][]byte{h, empty, empty, body} {
		mac.Write(part)
	}
	sign := []byte(hex.EncodeToString(mac.Sum(nil)))
	return head.ID, c.shell.Send(zmq4.NewMsgFrom([]byte("<IDS|MSG>"), sign, h, empty, empty, body))
}

// greet asks for the kernel's info until an answer's idle status comes over iopub too,
// which says that the subscription is in force.
func (c *client) greet(ctx context.Context) error {
	for {
		id, err := c.send("kernel_info_request", map[string]any{})
		if err != nil {
			return err
		}
		wait, cancel := context.WithTimeout(ctx, time.Second)
		_, err = c.finish(wait, id)
		cancel()
		if err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
	}
}

// execute runs a cell and waits for both its reply and the idle status.
func (c *client) execute(ctx context.Context, text string) (Reply, error) {
	start := time.Now()
	id, err := c.send("execute_request", map[string]any{
		"code": text, "silent": false, "store_history": true, "user_expressions": map[string]any{}, "allow_stdin": false, "stop_on_error": true,
	})
	if err != nil {
		return Reply{}, err
	}
	r, err := c.finish(ctx, id)
	r.Took = time.Since(start)
	return r, err
}

// finish reads until the request id is answered and the kernel idle again.
func (c *client) finish(ctx context.Context, id string) (Reply, error) {
	var r Reply
	var failure error
	for replied, idle := false, false; !replied || !idle; {
		var m message
		select {
		case <-ctx.Done():
			return r, ctx.Err()
		case m = <-c.arrived:
		}
		if m.err != nil {
			return r, fmt.Errorf("%s socket: %w", m.socket, m.err)
		}
		if m.parent != id {
			continue
		}
		switch m.kind {
		case "execute_reply", "kernel_info_reply":
			replied = true
			if m.content["status"] != "ok" {
				failure = fmt.Errorf("cell failed: %v: %v", m.content["ename"], m.content["evalue"])
			}
		case "status":
			idle = m.content["execution_state"] == "idle"
		case "stream":
			text, _ := m.content["text"].(string)
			if m.content["name"] == "stdout" {
				r.Stdout += text
			} else {
				r.Stderr += text
			}
		case "error":
			failure = fmt.Errorf("cell failed: %v: %v", m.content["ename"], m.content["evalue"])
		}
	}
	return r, failure
}
