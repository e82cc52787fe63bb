package gonb_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"

	"github.com/gradbook/gradbook/kernel/bench/gonb"
)

// stand is the environment variable that makes this test program stand in for GoNB.
const stand = "GONB_STAND_IN"

func TestMain(m *testing.M) {
	if os.Getenv(stand) != "" {
		if err := serve(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// start starts the stand-in through the package's face.
func start(t *testing.T) *gonb.Kernel {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.Symlink(self, filepath.Join(bin, "gonb")); err != nil {
		t.Fatal(err)
	}
	t.Setenv(stand, "1")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	k, err := gonb.Start(ctx, bin)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	return k
}

func TestExecute(t *testing.T) {
	k := start(t)
	for _, late := range []string{"reply", "idle"} { // whichever comes last ends the wait
		r, err := k.Execute(t.Context(), "late "+late)
		if err != nil || r.Stdout != "ab" || r.Stderr != "e" || r.Took <= 0 {
			t.Errorf("%s last: %+v, %v", late, r, err)
		}
	}
	if _, err := k.Execute(t.Context(), "fail"); err == nil || !strings.Contains(err.Error(), "cell failed: ERROR: it broke") {
		t.Errorf("a failing cell gives %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := k.Execute(ctx, "late idle"); err == nil || !strings.Contains(err.Error(), "context canceled") {
		t.Errorf("a cancelled wait gives %v", err)
	}
}

func TestRequire(t *testing.T) {
	k := start(t)
	dir := t.TempDir()
	mod := filepath.Join(dir, "go.mod")
	if err := os.WriteFile(mod, []byte("module x\n\ngo 1.26\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := k.Require(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "requires nothing") {
		t.Errorf("a module without requirements gives %v", err)
	}
	if err := os.WriteFile(mod, []byte("module x\n\ngo 1.26\n\nrequire (\n\ta.b/c v1.0.0\n\ta.b/d v1.2.3 // indirect\n)\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	// The stand-in fails, with the text, any cell that it does not know.
	want := "!*go mod edit -require=a.b/c@v1.0.0 -require=a.b/d@v1.2.3\n!*cp '" + dir + "/go.sum' go.sum\n"
	if err := k.Require(t.Context(), dir); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want the cell\n%s", err, want)
	}
}

// kernel is the stand-in's end of the wire.
type kernel struct {
	key          []byte
	shell, iopub zmq4.Socket
}

func serve(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var conn struct {
		Key   string
		Shell int `json:"shell_port"`
		IOPub int `json:"iopub_port"`
	}
	if err := json.Unmarshal(text, &conn); err != nil {
		return err
	}
	k := kernel{[]byte(conn.Key), zmq4.NewRouter(context.Background()), zmq4.NewPub(context.Background())}
	if err := k.iopub.Listen(fmt.Sprintf("tcp://127.0.0.1:%d", conn.IOPub)); err != nil {
		return err
	}
	if err := k.shell.Listen(fmt.Sprintf("tcp://127.0.0.1:%d", conn.Shell)); err != nil {
		return err
	}
	for {
		m, err := k.shell.Recv()
		if err != nil {
			return err
		}
		if err := k.answer(m.Frames); err != nil {
			return err
		}
	}
}

// answer answers one request: identity, delimiter, signature, header, parent, metadata, content.
func (k kernel) answer(f [][]byte) error {
	if len(f) != 7 || string(f[1]) != "<IDS|MSG>" || string(f[2]) != k.sign(f[3:]) {
		return fmt.Errorf("bad request %q", f)
	}
	var head struct {
		Kind string `json:"msg_type"`
	}
	var content struct{ Code string }
	if err := json.Unmarshal(f[3], &head); err != nil {
		return err
	}
	if err := json.Unmarshal(f[6], &content); err != nil {
		return err
	}
	own, other := string(f[3]), `{"msg_id":"another"}`
	publish := func(parent, kind, body string) { k.send(k.iopub, []byte(kind), kind, parent, body) }
	reply := func(body string) {
		k.send(k.shell, f[0], strings.Replace(head.Kind, "request", "reply", 1), own, body)
	}
	idle := func() { publish(own, "status", `{"execution_state":"idle"}`) }
	publish(own, "status", `{"execution_state":"busy"}`)
	switch {
	case head.Kind == "kernel_info_request":
		reply(`{"status":"ok"}`)
		idle()
	case strings.HasPrefix(content.Code, "late "):
		publish(own, "stream", `{"name":"stdout","text":"a"}`)
		publish(other, "stream", `{"name":"stdout","text":"not ours"}`)
		publish(other, "status", `{"execution_state":"idle"}`)
		publish(own, "stream", `{"name":"stderr","text":"e"}`)
		if content.Code == "late idle" {
			reply(`{"status":"ok"}`)
			time.Sleep(50 * time.Millisecond)
		}
		publish(own, "stream", `{"name":"stdout","text":"b"}`)
		idle()
		if content.Code == "late reply" {
			time.Sleep(50 * time.Millisecond)
			reply(`{"status":"ok"}`)
		}
	default:
		value, err := json.Marshal(strings.Replace(content.Code, "fail", "it broke", 1))
		if err != nil {
			return err
		}
		reply(`{"status":"error","ename":"ERROR","evalue":` + string(value) + `}`)
		idle()
	}
	return nil
}

func (k kernel) sign(parts [][]byte) string {
	mac := hmac.New(sha256.New, k.key)
	for _, part := range parts {
		mac.Write(part)
	}
	return hex.EncodeToString(mac.Sum(nil))
}

func (k kernel) send(s zmq4.Socket, prefix []byte, kind, parent, body string) {
	parts := [][]byte{[]byte(`{"msg_type":"` + kind + `"}`), []byte(parent), []byte("{}"), []byte(body)}
	frames := append([][]byte{prefix, []byte("<IDS|MSG>"), []byte(k.sign(parts))}, parts...)
	if err := s.Send(zmq4.NewMsgFrom(frames...)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
