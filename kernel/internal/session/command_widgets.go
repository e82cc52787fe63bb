package session

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/janpfeifer/gonb/gonbui/protocol"
)

// widgets is the kernel's side of GoNB's widgets. The page runs a script that opens a connection to the kernel of its own and
// a comm over it; values go both ways under addresses, and a program is told of those that it has subscribed to.
type widgets struct {
	s      *Session
	kernel string // Jupyter's name for it; "" if it has none
	wake   chan bool
	done   chan bool // closed at the session's end

	mu     sync.Mutex // guards what follows
	queue  []func()   // what is to be done, in order
	busy   bool       // one of it is being done
	id     string     // of the open comm; "" if none is
	heard  time.Time  // when the page last said something
	change chan bool  // closed and replaced when the page says something
	script string     // display id of the script that is being run
	failed time.Time  // when the page was last seen not to connect
	told   bool       // that it does not
}

const (
	widgetTarget  = "gonb_comm"
	openAck       = "#comm_open_ack"
	heartbeatPing = "#heartbeat/ping"
	heartbeatPong = "#heartbeat/pong"

	alive        = time.Second            // the page is not asked again for that long
	pongTime     = 500 * time.Millisecond // it has to answer within
	openTime     = 3 * time.Second        // the script has to connect within
	retry        = 10 * time.Second       // is not tried again so soon, unless the user asks for it
	maxUndecided = 1000                   // values that wait for the page
)

//go:embed command_widgets.js
var widgetScript string

func newWidgets(s *Session) *widgets {
	w := &widgets{s: s, wake: make(chan bool, 1), done: make(chan bool), change: make(chan bool)}
	for _, e := range s.environment() {
		if v, ok := strings.CutPrefix(e, protocol.GONB_JUPYTER_KERNEL_ID_ENV+"="); ok {
			w.kernel = v
		}
	}
	go w.work()
	return w
}

func (w *widgets) close() { close(w.done) }

// work does what is to be done, in order.
func (w *widgets) work() {
	for {
		w.mu.Lock()
		var f func()
		if w.busy = len(w.queue) > 0; w.busy {
			f, w.queue = w.queue[0], w.queue[1:]
		} else {
			w.changed()
		}
		w.mu.Unlock()
		if f != nil {
			f()
			continue
		}
		select {
		case <-w.wake:
		case <-w.done:
			return
		}
	}
}

// changed wakes those that wait; the lock is held.
func (w *widgets) changed() {
	close(w.change)
	w.change = make(chan bool)
}

// later has f done once what was asked for before is done; the program is not kept waiting.
func (w *widgets) later(f func()) {
	w.mu.Lock()
	w.queue = append(w.queue, f)
	w.mu.Unlock()
	select {
	case w.wake <- true:
	default:
	}
}

// inOrder does f at once, or after what still has to be done: a script that the program shows behind a value may need what the value has the page install.
func (w *widgets) inOrder(f, later func()) {
	w.mu.Lock()
	busy := w.busy || len(w.queue) > 0
	w.mu.Unlock()
	if busy {
		w.later(later)
	} else {
		f()
	}
}

// drain waits until all is done, but not long.
func (w *widgets) drain(ctx context.Context) {
	w.wait(ctx, 2*openTime, func() bool { return !w.busy && len(w.queue) == 0 })
}

// send gives the page a value of the program, or asks it for one.
func (w *widgets) send(v protocol.CommValue) {
	w.mu.Lock()
	full := len(w.queue) >= maxUndecided
	w.mu.Unlock()
	if full {
		return
	}
	w.later(func() {
		w.mu.Lock()
		hopeless := time.Since(w.failed) < retry
		w.mu.Unlock()
		if hopeless || !w.connected() || v.Address == protocol.GonbuiStartAddress {
			return
		}
		data := map[string]any{"address": v.Address}
		if v.Request {
			data["read_request"] = true
		} else {
			data["value"] = v.Value
		}
		w.tell(data)
	})
}

func (w *widgets) tell(data map[string]any) {
	w.mu.Lock()
	id := w.id
	w.mu.Unlock()
	if id != "" {
		w.s.o.Comm(Comm{Op: "msg", ID: id, Data: data})
	}
}

// connect makes sure that the page listens.
func (w *widgets) connect(ctx context.Context) error {
	w.mu.Lock()
	open, heard := w.id != "", w.heard
	w.mu.Unlock()
	if open && (time.Since(heard) < alive || w.ping(ctx)) {
		return nil
	}
	err := w.install(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failed = (time.Time{}); err != nil {
		w.failed = time.Now()
	}
	return err
}

// connected connects for the program; that it cannot be done is told once.
func (w *widgets) connected() bool {
	err := w.connect(context.Background())
	w.mu.Lock()
	tell := err != nil && !w.told
	w.told = w.told || tell
	w.mu.Unlock()
	if tell {
		w.s.out.note("%v", err)
	}
	return err == nil
}

// ping asks the page whether it is still there.
func (w *widgets) ping(ctx context.Context) bool {
	start := time.Now()
	w.tell(map[string]any{"address": heartbeatPing, "value": true})
	return w.wait(ctx, pongTime, func() bool { return w.heard.After(start) })
}

// wait waits until ok, which is called with the lock held.
func (w *widgets) wait(ctx context.Context, most time.Duration, ok func() bool) bool {
	timeout := time.After(most)
	for {
		w.mu.Lock()
		done, change := ok(), w.change
		w.mu.Unlock()
		if done {
			return true
		}
		select {
		case <-change:
		case <-timeout:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// install has the page run the script, and waits for its comm.
func (w *widgets) install(ctx context.Context) error {
	if w.s.o.Comm == nil || w.kernel == "" {
		return errors.New("the program wants to speak to the page that shows the notebook (as widgets and package dom do), and there is none here: open the notebook in JupyterLab")
	}
	quoted, err := json.Marshal(w.kernel)
	if err != nil {
		return err
	}
	w.mu.Lock()
	w.id, w.script = "", fmt.Sprintf("gonb_websocket_%d", time.Now().UnixNano())
	script := w.script
	w.mu.Unlock()
	w.show(script, "<script>"+strings.ReplaceAll(widgetScript, "KERNEL_ID", string(quoted))+"</script>")
	if !w.wait(ctx, openTime, func() bool { return w.id != "" }) {
		return errors.New("the page did not connect to the program: widgets and package dom will not work (they are made for JupyterLab and Jupyter Notebook)")
	}
	return nil
}

func (w *widgets) show(id, html string) {
	w.s.out.mu.Lock()
	defer w.s.out.mu.Unlock()
	w.s.out.display(map[string]any{"text/html": html}, nil, id, "")
}

// take is given the comm messages of the front end; it reports whether this one is for it.
func (w *widgets) take(c Comm) bool {
	if w.s.o.Comm == nil {
		return false
	}
	w.mu.Lock()
	switch {
	case c.Op == "open" && c.Target == widgetTarget:
		w.id = c.ID
	case w.id == "" || c.ID != w.id:
		w.mu.Unlock()
		return false
	case c.Op == "close":
		w.id = ""
	}
	w.heard = time.Now()
	w.changed()
	script := w.script
	w.script = ""
	w.mu.Unlock()
	if c.Op == "open" {
		w.tell(map[string]any{"address": openAck, "value": true})
		if script != "" {
			w.show(script, "") // so that it is not saved
		}
	}
	address, _ := c.Data["address"].(string)
	switch {
	case c.Op != "msg" || address == "" || address == heartbeatPong:
	case address == heartbeatPing:
		w.tell(map[string]any{"address": heartbeatPong, "value": true})
	default:
		w.s.out.mu.Lock()
		g := w.s.out.gonb
		w.s.out.mu.Unlock()
		if value, ok := commValue(c.Data["value"]); ok && g != nil {
			g.deliver(&protocol.CommValue{Address: address, Value: value})
		}
	}
	return true
}

// commValue turns what JSON gave into one of the types that programs take (protocol.CommValueTypes).
func commValue(v any) (any, bool) {
	switch v := v.(type) {
	case nil:
		return nil, false
	case []any:
		if numbers, ok := all[float64](v); ok {
			return numbers, true
		}
		return anyOf(all[string](v))
	case map[string]any:
		if numbers, ok := allOf[float64](v); ok {
			return numbers, true
		}
		return anyOf(allOf[string](v))
	}
	return v, true
}

func anyOf[T any](v T, ok bool) (any, bool) { return v, ok }

func all[T any](list []any) ([]T, bool) {
	out := make([]T, len(list))
	for i, v := range list {
		t, ok := v.(T)
		if !ok {
			return nil, false
		}
		out[i] = t
	}
	return out, true
}

func allOf[T any](m map[string]any) (map[string]T, bool) {
	out := make(map[string]T, len(m))
	for k, v := range m {
		t, ok := v.(T)
		if !ok {
			return nil, false
		}
		out[k] = t
	}
	return out, true
}

// heartbeat is %widgets_hb.
func (s *Session) heartbeat(ctx context.Context) {
	s.widgets.mu.Lock()
	open := s.widgets.id != ""
	s.widgets.mu.Unlock()
	if open && s.widgets.ping(ctx) {
		s.print("Heartbeat pong received back.\n")
	} else {
		s.print("Timed-out, no heartbeat pong received. Try installing front-end websockets with %%widgets ?\n")
	}
}
