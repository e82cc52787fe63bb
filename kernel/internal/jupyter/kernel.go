package jupyter

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"
)

// kernel is the state of one kernel.
type kernel struct {
	o      Options
	id     string // of this kernel's own session
	user   string
	log    func(string, ...any)
	conn   *connection
	signer *signer
	stop   context.CancelFunc // ends the kernel

	shell, iopub, stdin, control, heartbeat *socket

	program *program // the session, as soon as it is open
	output  *output
	history *history
	usage   usage
	comms   *comms

	main, controls *queue

	mu        sync.Mutex // guards what follows
	subshells map[string]*queue
	cancel    context.CancelFunc // of the request that runs code; nil while none does
	running   context.Context    // of that request
	current   *origin            // of that request; later: of the last one
	count     int                // of cells run
	quiet     int                // of cells run without a number
	asking    chan string        // takes the answer to an input request; nil while there is none
	mute      bool               // the program asked for input that it cannot get, and was interrupted for it
	unknown   map[string]bool    // message types that were logged as unknown
}

func newKernel(o Options, conn *connection) *kernel {
	k := &kernel{
		o: o, id: newID(), user: userName(), log: logger(o.Log), conn: conn, signer: newSigner(conn.Key),
		subshells: map[string]*queue{}, unknown: map[string]bool{},
	}
	if conn.Key == "" {
		k.log("the connection file has no key: messages are not signed, and whoever reaches the sockets can run code")
	}
	k.shell, k.stdin, k.control = newSocket("ROUTER", k.log), newSocket("ROUTER", k.log), newSocket("ROUTER", k.log)
	k.iopub, k.heartbeat = newSocket("XPUB", k.log), newSocket("REP", k.log)
	k.heartbeat.receive = func(p *peer, frames [][]byte) { p.push(encode(frames)) }
	k.iopub.subscribe = k.welcome
	k.shell.receive = func(p *peer, frames [][]byte) { k.arrived(k.shell, p, frames) }
	k.control.receive = func(p *peer, frames [][]byte) { k.arrived(k.control, p, frames) }
	k.stdin.receive = func(p *peer, frames [][]byte) { k.arrived(k.stdin, p, frames) }
	k.output = newOutput(k)
	k.history = openHistory(o.HistoryFile, k.log)
	k.program = newProgram(k)
	k.comms = newComms(k)
	k.main, k.controls = newQueue(), newQueue()
	return k
}

// start begins to serve.
func (k *kernel) start(ctx context.Context) {
	k.publish(message{kind: "status", content: status("starting")})
	go k.program.open(ctx)
	go k.comms.run(ctx)
	go k.main.run(ctx, k.handle)
	go k.controls.run(ctx, k.handle)
}

// close ends all that the kernel has started.
func (k *kernel) close() {
	k.output.close()
	k.interrupt()
	k.program.close()
	until := time.Now().Add(linger)
	var all sync.WaitGroup
	for _, s := range []*socket{k.shell, k.iopub, k.stdin, k.control, k.heartbeat} {
		all.Go(func() { s.close(until) })
	}
	all.Wait()
	if n := k.signer.dropped(); n > 1 {
		k.log("%d messages were dropped in all", n)
	}
}

// welcome tells a subscriber that from here on it misses nothing.
func (k *kernel) welcome(p *peer, topic string) {
	p.push(encode(k.frames([][]byte{[]byte(topic)}, message{kind: "iopub_welcome", content: map[string]any{"subscription": topic}})))
}

// arrived checks a message and puts it where it belongs.
func (k *kernel) arrived(from *socket, p *peer, frames [][]byte) {
	r, err := k.signer.parse(frames)
	if err != nil {
		if k.signer.refused() {
			k.log("a message was dropped, as all like it will be: %v", err)
		}
		return
	}
	r.from, r.ids = from, append([][]byte{[]byte(p.id)}, r.ids...)
	switch {
	case from == k.stdin:
		k.answered(r)
		return
	case from == k.control:
		r.queue = k.controls
	case r.SubshellID != "":
		k.mu.Lock()
		r.queue = k.subshells[r.SubshellID]
		k.mu.Unlock()
		if r.queue == nil { // answered at once, by an error
			go k.noSubshell(r)
			return
		}
	default:
		r.queue = k.main
	}
	r.queue.push(r)
}

func (k *kernel) noSubshell(r *request) {
	k.busy(r)
	defer k.idle(r)
	k.replyError(r, fmt.Errorf("there is no subshell %q: it was deleted, or never created", r.SubshellID))
}

// handler returns what answers requests of that type; nil if nothing does.
func (k *kernel) handler(kind string) func(context.Context, *request) {
	switch kind {
	case "kernel_info_request":
		return k.kernelInfo
	case "execute_request":
		return k.execute
	case "complete_request":
		return k.complete
	case "inspect_request":
		return k.inspect
	case "is_complete_request":
		return k.isComplete
	case "history_request":
		return k.historyRequest
	case "comm_info_request":
		return k.commInfo
	case "comm_open", "comm_msg", "comm_close":
		return k.comm
	case "connect_request":
		return k.connect
	case "shutdown_request":
		return k.shutdown
	case "interrupt_request":
		return k.interruptRequest
	case "usage_request":
		return k.usageRequest
	case "debug_request":
		return k.debug
	case "create_subshell_request":
		return k.createSubshell
	case "delete_subshell_request":
		return k.deleteSubshell
	case "list_subshell_request":
		return k.listSubshells
	}
	return nil
}

// controlOnly are the requests that only the control channel takes, and shellOnly those that it does not take.
var (
	controlOnly = map[string]bool{"create_subshell_request": true, "delete_subshell_request": true, "list_subshell_request": true}
	shellOnly   = map[string]bool{"execute_request": true, "comm_open": true, "comm_msg": true, "comm_close": true}
)

// handle answers one request.
func (k *kernel) handle(ctx context.Context, r *request) {
	k.busy(r)
	defer func() {
		k.idle(r)
		if r.last {
			k.stop()
		}
	}()
	h := k.handler(r.Type)
	control := r.from == k.control
	switch {
	case h == nil:
		k.mu.Lock()
		seen := k.unknown[r.Type]
		k.unknown[r.Type] = true
		k.mu.Unlock()
		if !seen {
			k.log("messages of type %q are not known, and not answered", r.Type)
		}
	case control && shellOnly[r.Type]:
		k.replyError(r, fmt.Errorf("%s is not taken on the control channel; send it on the shell channel", r.Type))
	case !control && controlOnly[r.Type]:
		k.replyError(r, fmt.Errorf("%s is not taken on the shell channel; send it on the control channel", r.Type))
	default:
		h(ctx, r)
	}
}

func status(state string) map[string]any { return map[string]any{"execution_state": state} }

func (k *kernel) busy(r *request) {
	k.publish(message{kind: "status", parent: r.raw, content: status("busy")})
}

// idle says that all that the request has caused was sent.
func (k *kernel) idle(r *request) {
	if r.queue != k.controls { // which is not to wait for front ends that are slow in taking output
		k.output.flush()
	}
	k.publish(message{kind: "status", parent: r.raw, content: status("idle")})
}

// publish sends a message to all front ends.
func (k *kernel) publish(m message) {
	k.iopub.publish(k.frames([][]byte{[]byte("kernel." + k.id + "." + m.kind)}, m))
}

// reply answers a request, on the road that it came.
func (k *kernel) reply(r *request, content map[string]any) { k.replyWith(r, content, nil) }

func (k *kernel) replyWith(r *request, content, metadata map[string]any) {
	kind, _ := bytes.CutSuffix([]byte(r.Type), []byte("_request"))
	m := message{kind: string(kind) + "_reply", parent: r.raw, metadata: metadata, content: content}
	r.from.send(string(r.ids[0]), k.frames(r.ids[1:], m))
}

func (k *kernel) replyError(r *request, err error) {
	k.reply(r, failure("Error", err.Error(), []string{err.Error()}))
}

// failure is the content of an answer that is an error.
func failure(name, value string, traceback []string) map[string]any {
	return map[string]any{"status": "error", "ename": name, "evalue": value, "traceback": traceback}
}

// read decodes a request's content; what is wrong with it is answered.
func (k *kernel) read(r *request, content any) bool {
	if err := json.Unmarshal(r.content, content); err != nil {
		k.replyError(r, fmt.Errorf("the content of %s is not as the protocol has it: %w", r.Type, err))
		return false
	}
	return true
}

// interrupt ends the cell that runs; one that was interrupted before, and callbacks of widgets, are the session's.
func (k *kernel) interrupt() {
	k.mu.Lock()
	first := k.cancel != nil && k.running.Err() == nil
	if first {
		k.cancel()
	}
	k.mu.Unlock()
	if s := k.program.now(); s != nil && !first {
		s.Interrupt()
	}
}

func (k *kernel) interruptRequest(_ context.Context, r *request) {
	k.interrupt()
	k.reply(r, map[string]any{"status": "ok"})
}

func (k *kernel) shutdown(_ context.Context, r *request) {
	var content struct {
		Restart bool `json:"restart"`
	}
	if !k.read(r, &content) {
		return
	}
	answer := map[string]any{"status": "ok", "restart": content.Restart}
	k.reply(r, answer)
	k.publish(message{kind: "shutdown_reply", parent: r.raw, content: answer})
	r.last = true
}

func (k *kernel) createSubshell(ctx context.Context, r *request) {
	id, q := newID(), newQueue()
	k.mu.Lock()
	k.subshells[id] = q
	k.mu.Unlock()
	go q.run(ctx, k.handle)
	k.reply(r, map[string]any{"status": "ok", "subshell_id": id})
}

func (k *kernel) deleteSubshell(_ context.Context, r *request) {
	var content struct {
		ID string `json:"subshell_id"`
	}
	if !k.read(r, &content) {
		return
	}
	k.mu.Lock()
	q := k.subshells[content.ID]
	delete(k.subshells, content.ID)
	k.mu.Unlock()
	if q == nil {
		k.replyError(r, fmt.Errorf("there is no subshell %q", content.ID))
		return
	}
	q.close()
	k.reply(r, map[string]any{"status": "ok"})
}

func (k *kernel) listSubshells(_ context.Context, r *request) {
	ids := []string{}
	k.mu.Lock()
	for id := range k.subshells {
		ids = append(ids, id)
	}
	k.mu.Unlock()
	k.reply(r, map[string]any{"status": "ok", "subshell_id": ids})
}
