package jupyter_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"

	"github.com/gradbook/gradbook/kernel/internal/jupyter"
)

// The tests' kernel is this test program itself, started with a connection file, as Jupyter would start one.
const kernelVariable = "GRADBOOK_TEST_KERNEL"

func TestMain(m *testing.M) {
	if os.Getenv(kernelVariable) == "" {
		os.Exit(m.Run())
	}
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	err := jupyter.Run(ctx, jupyter.Options{
		ConnectionFile: os.Args[len(os.Args)-1], Interrupts: interrupts,
		HistoryFile: os.Getenv("GRADBOOK_TEST_HISTORY"),
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// patience is how long a test waits for what must come: enough for a very busy machine to build the base library.
const patience = 10 * time.Minute

// connection is what a test's connection file holds.
type connection struct {
	Transport string `json:"transport"`
	IP        string `json:"ip"`
	Shell     int    `json:"shell_port"`
	IOPub     int    `json:"iopub_port"`
	Stdin     int    `json:"stdin_port"`
	Control   int    `json:"control_port"`
	Heartbeat int    `json:"hb_port"`
	Key       string `json:"key"`
	Scheme    string `json:"signature_scheme"`
}

func (c connection) endpoint(port int) string {
	if c.Transport == "ipc" {
		return fmt.Sprintf("ipc://%s-%d", c.IP, port)
	}
	return fmt.Sprintf("tcp://%s:%d", c.IP, port)
}

// newConnection writes a connection file with free ports into a new folder.
func newConnection(t *testing.T) (path string, c connection) {
	t.Helper()
	c = connection{Transport: "tcp", IP: "127.0.0.1", Key: "a test's secret", Scheme: "hmac-sha256"}
	for _, p := range []*int{&c.Shell, &c.IOPub, &c.Stdin, &c.Control, &c.Heartbeat} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		*p = l.Addr().(*net.TCPAddr).Port
	}
	return writeConnection(t, c), c
}

func writeConnection(t *testing.T, c connection) string {
	t.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "connection.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// process is a kernel that runs.
type process struct {
	cmd  *exec.Cmd
	conn connection
	done chan struct{}

	mu  sync.Mutex
	log strings.Builder // guarded by mu
}

func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

func (p *process) stderr() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// spawn starts a kernel on a connection file, with more in its environment.
func spawn(t *testing.T, path string, c connection, env ...string) *process {
	t.Helper()
	p := &process{conn: c, done: make(chan struct{})}
	p.cmd = exec.Command(os.Args[0], path)
	p.cmd.Dir = t.TempDir()
	p.cmd.Env = append(append(os.Environ(), kernelVariable+"=1"), env...)
	p.cmd.Stderr = p
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.cmd.Wait(); close(p.done) }()
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-p.done
		if t.Failed() {
			t.Logf("the kernel's standard error:\n%s", p.stderr())
		}
	})
	return p
}

// ended waits for the process to end.
func (p *process) ended(t *testing.T) {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		t.Fatal("the kernel does not end")
	}
}

// client is a front end.
type client struct {
	t       *testing.T
	p       *process
	session string
	cancel  context.CancelFunc
	sockets map[string]zmq4.Socket

	mu   sync.Mutex
	cond *sync.Cond
	got  []message // guarded by mu: all that came, in order
	next int       // numbers the requests
}

// message is one that came from the kernel.
type message struct {
	channel  string
	kind     string
	version  string
	parent   string
	metadata map[string]any
	content  map[string]any
	buffers  [][]byte
}

// text returns a string of the content.
func (m message) text(name string) string { s, _ := m.content[name].(string); return s }

// start starts a kernel, connects, and waits until it is ready.
func start(t *testing.T, env ...string) *client {
	t.Helper()
	path, conn := newConnection(t)
	c := connect(t, spawn(t, path, conn, env...))
	c.run("0", "silent", true) // with which the wait for the base library is over, and its progress
	return c
}

// connect connects a front end, and waits until nothing can be missed any more.
func connect(t *testing.T, p *process) *client {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c := &client{t: t, p: p, session: fmt.Sprintf("client-%d", time.Now().UnixNano()), cancel: cancel, sockets: map[string]zmq4.Socket{}}
	c.cond = sync.NewCond(&c.mu)
	id := zmq4.WithID(zmq4.SocketIdentity(c.session))
	retry := zmq4.WithDialerMaxRetries(-1)
	for name, port := range map[string]int{"shell": p.conn.Shell, "control": p.conn.Control, "stdin": p.conn.Stdin} {
		c.sockets[name] = zmq4.NewDealer(ctx, id, retry)
		c.dial(name, port)
	}
	c.sockets["iopub"] = zmq4.NewSub(ctx, retry)
	if err := c.sockets["iopub"].SetOption(zmq4.OptionSubscribe, ""); err != nil {
		t.Fatal(err)
	}
	c.dial("iopub", p.conn.IOPub)
	t.Cleanup(c.close)
	c.wait("the welcome", func(m message) bool { return m.kind == "iopub_welcome" })
	return c
}

func (c *client) dial(name string, port int) {
	c.t.Helper()
	if err := c.sockets[name].Dial(c.p.conn.endpoint(port)); err != nil {
		c.t.Fatal(err)
	}
	go c.receive(name, c.sockets[name])
}

func (c *client) close() {
	c.cancel()
	for _, s := range c.sockets {
		s.Close()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cond.Broadcast()
}

// receive files what comes over one socket.
func (c *client) receive(name string, s zmq4.Socket) {
	for {
		raw, err := s.Recv()
		if err != nil {
			return
		}
		m, err := parse(c.p.conn.Key, raw.Frames)
		m.channel = name
		if err != nil {
			m.kind, m.content = "ERROR", map[string]any{"error": err.Error()}
		}
		c.mu.Lock()
		c.got = append(c.got, m)
		c.cond.Broadcast()
		c.mu.Unlock()
	}
}

// parse reads one message, and checks its signature.
func parse(key string, frames [][]byte) (m message, err error) {
	for len(frames) > 0 && string(frames[0]) != "<IDS|MSG>" {
		frames = frames[1:]
	}
	if len(frames) < 6 {
		return m, fmt.Errorf("%d parts from the delimiter on", len(frames))
	}
	if got, want := string(frames[1]), string(sign(key, frames[2:6])); got != want {
		return m, fmt.Errorf("signature %s, want %s", got, want)
	}
	var head, parent struct {
		ID      string `json:"msg_id"`
		Kind    string `json:"msg_type"`
		Version string `json:"version"`
		Date    string `json:"date"`
		Session string `json:"session"`
	}
	for i, to := range []any{&head, &parent, &m.metadata, &m.content} {
		if err := json.Unmarshal(frames[2+i], to); err != nil {
			return m, fmt.Errorf("part %d: %w", i, err)
		}
	}
	if m.metadata == nil || m.content == nil {
		return m, fmt.Errorf("%s has no metadata or no content", head.Kind)
	}
	if _, err := time.Parse(time.RFC3339Nano, head.Date); err != nil || head.ID == "" || head.Session == "" {
		return m, fmt.Errorf("header %+v", head)
	}
	m.kind, m.version, m.parent, m.buffers = head.Kind, head.Version, parent.ID, frames[6:]
	return m, nil
}

func sign(key string, parts [][]byte) []byte {
	if key == "" {
		return nil
	}
	mac := hmac.New(sha256.New, []byte(key))
	for _, p := range parts {
		mac.Write(p)
	}
	return []byte(hex.EncodeToString(mac.Sum(nil)))
}

// object is a JSON object.
type object = map[string]any

// outgoing is a request as it can be changed before it is sent.
type outgoing struct {
	header  object
	key     string
	buffers [][]byte
}

// send sends a request and returns its id.
func (c *client) send(channel, kind string, content any, change ...func(*outgoing)) string {
	c.t.Helper()
	c.mu.Lock()
	c.next++
	id := fmt.Sprintf("%s-%d", c.session, c.next)
	c.mu.Unlock()
	o := outgoing{key: c.p.conn.Key, header: object{
		"msg_id": id, "session": c.session, "username": "test", "date": time.Now().UTC().Format(time.RFC3339Nano), "msg_type": kind, "version": "5.5"}}
	for _, f := range change {
		f(&o)
	}
	parts := [][]byte{encode(c.t, o.header), []byte("{}"), []byte("{}"), encode(c.t, content)}
	frames := append([][]byte{[]byte("<IDS|MSG>"), sign(o.key, parts)}, parts...)
	if err := c.sockets[channel].SendMulti(zmq4.NewMsgFrom(append(frames, o.buffers...)...)); err != nil {
		c.t.Fatal(err)
	}
	return id
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// subshell sends a request to a subshell.
func subshell(id string) func(*outgoing) {
	return func(o *outgoing) { o.header["subshell_id"] = id }
}

// cell is the content of an execute_request, with changes: names and values alternate.
func cell(code string, changes ...any) object {
	content := object{"code": code, "silent": false, "store_history": true, "user_expressions": object{}, "allow_stdin": false, "stop_on_error": true}
	for i := 0; i < len(changes); i += 2 {
		content[changes[i].(string)] = changes[i+1]
	}
	return content
}

// wait waits for a message, whether it has come already or comes yet.
func (c *client) wait(what string, want func(message) bool) message {
	c.t.Helper()
	timer := time.AfterFunc(patience, func() { c.mu.Lock(); c.cond.Broadcast(); c.mu.Unlock() })
	defer timer.Stop()
	limit := time.Now().Add(patience)
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := 0; ; i++ {
		for i == len(c.got) {
			if !time.Now().Before(limit) {
				var kinds []string
				for _, m := range c.got {
					kinds = append(kinds, fmt.Sprintf("%s %s %.200v", m.channel, m.kind, m.content))
				}
				c.t.Fatalf("%s does not come; there are:\n%s", what, strings.Join(kinds, "\n"))
			}
			c.cond.Wait()
		}
		if c.got[i].kind == "ERROR" {
			c.t.Fatalf("%s channel: %v", c.got[i].channel, c.got[i].content)
		}
		if want(c.got[i]) {
			return c.got[i]
		}
	}
}

// idle waits until the kernel has said that a request is done.
func (c *client) idle(id string) {
	c.t.Helper()
	c.wait("idle for "+id, func(m message) bool {
		return m.kind == "status" && m.parent == id && m.content["execution_state"] == "idle"
	})
}

// reply waits for the answer to a request.
func (c *client) reply(id string) message {
	c.t.Helper()
	return c.wait("the reply to "+id, func(m message) bool { return m.parent == id && m.channel != "iopub" && m.channel != "stdin" })
}

// printed waits until a request's output holds text.
func (c *client) printed(id, text string) {
	c.t.Helper()
	var all strings.Builder
	c.wait(fmt.Sprintf("%q on a stream", text), func(m message) bool {
		if m.kind == "stream" && m.parent == id {
			all.WriteString(m.text("text"))
		}
		return strings.Contains(all.String(), text)
	})
}

// ask sends a request and waits until it is answered and done.
func (c *client) ask(channel, kind string, content any, change ...func(*outgoing)) message {
	c.t.Helper()
	id := c.send(channel, kind, content, change...)
	m := c.reply(id)
	c.idle(id)
	return m
}

// iopub returns what a request has caused to be published until now.
func (c *client) iopub(id string) []message {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []message
	for _, m := range c.got {
		if m.channel == "iopub" && m.parent == id {
			out = append(out, m)
		}
	}
	return out
}

// run executes a cell; its outputs come as lines.
func (c *client) run(code string, changes ...any) (reply message, outputs []string) {
	c.t.Helper()
	id := c.send("shell", "execute_request", cell(code, changes...))
	reply = c.reply(id)
	c.idle(id)
	return reply, c.outputs(id)
}

// outputs writes down what a request has caused to be published; neighbouring texts of one stream are one.
func (c *client) outputs(id string) []string {
	var out []string
	last := ""
	for _, m := range c.iopub(id) {
		line := ""
		stream := ""
		switch m.kind {
		case "status":
			line = m.text("execution_state")
		case "execute_input":
			line = fmt.Sprintf("in %v", m.content["execution_count"])
		case "stream":
			stream = m.text("name")
			line = stream + " " + m.text("text")
			if stream == last {
				out[len(out)-1] += m.text("text")
				continue
			}
		case "execute_result":
			line = fmt.Sprintf("result %v: %v", m.content["execution_count"], m.content["data"].(object)["text/plain"])
		case "error":
			line = fmt.Sprintf("error %s: %s", m.text("ename"), m.text("evalue"))
		default:
			line = fmt.Sprintf("%s %v", m.kind, m.content)
		}
		last = stream
		out = append(out, line)
	}
	return out
}

// mustRun runs a cell that must end well.
func (c *client) mustRun(code string) []string {
	c.t.Helper()
	reply, outputs := c.run(code)
	if reply.content["status"] != "ok" {
		c.t.Fatalf("%s\n%v", code, reply.content)
	}
	return outputs
}

// alive tells whether a process is there and no zombie.
func alive(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	return !strings.HasPrefix(rest, "Z")
}

// gone waits until a process has ended.
func gone(t *testing.T, pid int) {
	t.Helper()
	for limit := time.Now().Add(patience); alive(pid); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("process %d is still there", pid)
		}
	}
}
