package jupyter_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"

	"github.com/gradbook/gradbook/kernel/internal/jupyter"
)

func TestConnectionFile(t *testing.T) {
	good := `{"transport":"tcp","ip":"127.0.0.1","shell_port":1,"iopub_port":1,"stdin_port":1,"control_port":1,"hb_port":1,"key":"k","signature_scheme":"hmac-sha256"}`
	for _, test := range []struct{ name, text, want string }{
		{"no JSON", "{", "is not what Jupyter writes"},
		{"transport", strings.Replace(good, "tcp", "pgm", 1), `transport "pgm" is not supported; allowed are tcp and ipc`},
		{"scheme", strings.Replace(good, "sha256", "md5", 1), `signature_scheme "hmac-md5" is not supported; use hmac-sha256`},
		{"port", strings.Replace(good, `"hb_port":1`, `"hb_port":70000`, 1), "hb_port is 70000; give a number from 1 to 65535"},
		{"ipc without a path", strings.Replace(strings.Replace(good, "tcp", "ipc", 1), "127.0.0.1", "", 1), "ip must be the path"},
		{"address of another machine", strings.Replace(good, "127.0.0.1", "192.0.2.1", 1), "shell_port 1 of"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "c.json")
			if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			err := jupyter.Run(context.Background(), jupyter.Options{ConnectionFile: path, Log: io.Discard})
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
	if err := jupyter.Run(context.Background(), jupyter.Options{ConnectionFile: "/nowhere/c.json"}); err == nil || !strings.Contains(err.Error(), "Jupyter writes one") {
		t.Errorf("without a file: %v", err)
	}
}

// Unix sockets are this user's alone.
func TestIPC(t *testing.T) {
	conn := connection{Transport: "ipc", IP: filepath.Join(t.TempDir(), "k"), Key: "k", Shell: 1, IOPub: 2, Stdin: 3, Control: 4, Heartbeat: 5}
	left, err := net.Listen("unix", conn.IP+"-3") // of a kernel that was killed
	if err != nil {
		t.Fatal(err)
	}
	left.(*net.UnixListener).SetUnlinkOnClose(false)
	left.Close()
	c := connect(t, spawn(t, writeConnection(t, conn), conn))
	c.run("0", "silent", true)
	c.mustRun("1")
	for port := 1; port <= 5; port++ {
		info, err := os.Stat(fmt.Sprintf("%s-%d", conn.IP, port))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("port %d: %v, %v", port, info, err)
		}
	}
}

// A heartbeat comes back as it went.
func TestHeartbeat(t *testing.T) {
	c := start(t)
	req := zmq4.NewReq(context.Background())
	defer req.Close()
	if err := req.Dial(c.p.conn.endpoint(c.p.conn.Heartbeat)); err != nil {
		t.Fatal(err)
	}
	for _, beat := range []string{"ping", "", strings.Repeat("x", 1000)} {
		if err := req.Send(zmq4.NewMsgString(beat)); err != nil {
			t.Fatal(err)
		}
		if m, err := req.Recv(); err != nil || len(m.Frames) != 1 || string(m.Frames[0]) != beat {
			t.Errorf("sent %.20q, got %.60q, %v", beat, m.Frames, err)
		}
	}
}

// greeting is what a ZMTP 3.0 peer sends first.
func greeting() []byte {
	b := make([]byte, 64)
	b[0], b[9], b[10] = 0xff, 0x7f, 3
	copy(b[12:], "NULL")
	return b
}

func dial(t *testing.T, port int) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// Peers that do not behave harm no one else.
func TestBadPeers(t *testing.T) {
	c := start(t)
	huge := binary.BigEndian.AppendUint64([]byte{2}, 1<<62)
	negative := binary.BigEndian.AppendUint64([]byte{2}, 1<<63)
	ready := append([]byte{4, 25}, "\x05READY\x0bSocket-Type\x00\x00\x00\x03REQ"...)
	for _, port := range []int{c.p.conn.Shell, c.p.conn.IOPub, c.p.conn.Control, c.p.conn.Stdin, c.p.conn.Heartbeat} {
		dial(t, port) // says nothing
		for _, data := range [][]byte{
			[]byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" + strings.Repeat("x", 64)),
			append(greeting(), huge...),
			append(greeting(), negative...),
			append(append(greeting(), ready...), huge...),
			append(append(greeting(), ready...), negative...),
			append(greeting(), 4, 7, 5, 'R', 'E', 'A', 'D', 'Y', 200),
			append(greeting(), 4, 12, 5, 'R', 'E', 'A', 'D', 'Y', 1, 'I', 255, 255, 255, 255),
			append(append(greeting(), ready...), 4, 0),
		} {
			conn := dial(t, port)
			if _, err := conn.Write(data); err != nil {
				t.Fatal(err)
			}
			if len(data) > 64 && !bytes.HasSuffix(data, []byte{4, 0}) {
				io.Copy(io.Discard, conn) // until the kernel lets it go
			}
		}
	}
	if outputs := c.mustRun("6 * 7"); !strings.HasSuffix(outputs[2], ": 42") {
		t.Errorf("%q", outputs)
	}
}

// A subscriber that does not read stops neither the others nor the kernel: control is served, and an interrupt ends the flood.
func TestStuckSubscriber(t *testing.T) {
	c := start(t)
	stuck := dial(t, c.p.conn.IOPub)
	if _, err := stuck.Write(append(append(greeting(), append([]byte{4, 25}, "\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB"...)...), 0, 1, 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(stuck, make([]byte, 200)); err != nil { // its welcome has begun to come: it is subscribed
		t.Fatal(err)
	}
	before := memory(t, c.p.cmd.Process.Pid)
	id := c.send("shell", "execute_request", cell("text := strings.Repeat(\"x\", 99) + \"\\n\"\nfor range 4000000 {\n\tfmt.Print(text)\n}"))
	c.printed(id, "x")
	for last := -1; last < len(c.iopub(id)); time.Sleep(time.Second) { // until nothing more comes
		last = len(c.iopub(id))
	}
	if got := c.outputs(id); got[len(got)-1] == "idle" {
		t.Error("the program was not made to wait")
	}
	for range 20 {
		if r := c.ask("control", "kernel_info_request", object{}); r.kind != "kernel_info_reply" {
			t.Errorf("%v", r)
		}
	}
	c.ask("control", "interrupt_request", object{})
	stuck.Close()
	if r := c.reply(id); r.text("ename") != "interrupt" {
		t.Errorf("%v", r.content)
	}
	c.idle(id)
	if after := memory(t, c.p.cmd.Process.Pid); after > before+100<<20 {
		t.Errorf("the kernel's memory went from %d to %d MB", before>>20, after>>20)
	}
}

// Two front ends see the same outputs; answers and questions go to the one that asked.
func TestTwoFrontEnds(t *testing.T) {
	a := start(t)
	b := connect(t, a.p)
	id := b.send("shell", "execute_request", cell("var s string\nfmt.Scanln(&s)\ns", "allow_stdin", true))
	b.wait("the input request", func(m message) bool { return m.kind == "input_request" && m.parent == id })
	b.send("stdin", "input_reply", object{"value": "b"})
	b.reply(id)
	b.idle(id)
	a.idle(id)
	if got, want := fmt.Sprint(a.outputs(id)), fmt.Sprint(b.outputs(id)); got != want || !strings.Contains(got, `result 1: "b"`) {
		t.Errorf("one sees %s, the other %s", got, want)
	}
	if outputs := a.mustRun("1 + 1"); outputs[2] != "result 2: 2" {
		t.Errorf("%q", outputs)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, m := range a.got {
		if m.parent == id && m.channel != "iopub" {
			t.Errorf("%s on %s came to the wrong front end", m.kind, m.channel)
		}
	}
}

// Ports that are 0 are chosen, and the file says which.
func TestChosenPorts(t *testing.T) {
	conn := connection{Transport: "tcp", IP: "127.0.0.1", Key: "k"}
	path := writeConnection(t, conn)
	p := spawn(t, path, conn)
	p.conn = readConnection(t, path)
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	connect(t, p).mustRun("1")
}

// readConnection reads a connection file once the kernel has written its ports into it.
func readConnection(t *testing.T, path string) (c connection) {
	t.Helper()
	for limit := time.Now().Add(patience); c.Heartbeat == 0; time.Sleep(10 * time.Millisecond) {
		text, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(text, &c)
		}
		if err != nil || time.Now().After(limit) {
			t.Fatalf("no ports: %v, %s", err, text)
		}
	}
	return c
}
