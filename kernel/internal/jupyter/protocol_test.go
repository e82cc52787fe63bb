package jupyter_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"
)

func TestKernelInfo(t *testing.T) {
	c := start(t)
	for _, channel := range []string{"shell", "control"} {
		r := c.ask(channel, "kernel_info_request", object{})
		if r.channel != channel || r.kind != "kernel_info_reply" || r.version < "5.5" || r.text("protocol_version") != r.version {
			t.Errorf("%s: %+v", channel, r)
		}
		if r.text("implementation") != "gradbook" || r.text("implementation_version") == "" || r.text("banner") == "" || r.content["status"] != "ok" {
			t.Errorf("%v", r.content)
		}
		if got, want := r.content["supported_features"], []any{"kernel subshells"}; !reflect.DeepEqual(got, want) {
			t.Errorf("supported_features: got %v, want %v", got, want)
		}
		language := r.content["language_info"].(object)
		for name, want := range map[string]string{"name": "go", "mimetype": "text/x-go", "file_extension": ".go", "codemirror_mode": "go",
			"pygments_lexer": "go", "nbconvert_exporter": "script"} {
			if language[name] != want {
				t.Errorf("language_info: %s is %v, want %s", name, language[name], want)
			}
		}
		for _, l := range r.content["help_links"].([]any) {
			if l := l.(object); l["text"] == "" || !strings.HasPrefix(fmt.Sprint(l["url"]), "https://") {
				t.Errorf("help link %v", l)
			}
		}
	}
}

// Requests that a kernel without an answer must still answer, or at least end.
func TestOddRequests(t *testing.T) {
	c := start(t)
	for _, test := range []struct {
		channel, kind string
		content       any
		want          object
	}{
		{"shell", "complete_request", object{"code": "é := fmt.Pri", "cursor_pos": 12}, object{"status": "ok", "matches": []any{}, "cursor_start": 12.0, "cursor_end": 12.0}},
		{"shell", "complete_request", object{"code": "ab", "cursor_pos": 99}, object{"status": "ok", "cursor_start": 2.0, "cursor_end": 2.0}},
		{"shell", "inspect_request", object{"code": "fmt", "cursor_pos": 2, "detail_level": 0}, object{"status": "ok", "found": false, "data": object{}}},
		{"shell", "comm_info_request", object{}, object{"status": "ok", "comms": object{}}},
		{"control", "debug_request", object{"type": "request", "seq": 3, "command": "debugInfo"}, object{"request_seq": 3.0, "command": "debugInfo", "success": false}},
		{"control", "execute_request", cell("1"), object{"status": "error", "evalue": "execute_request is not taken on the control channel; send it on the shell channel"}},
		{"shell", "list_subshell_request", object{}, object{"status": "error"}},
		{"shell", "execute_request", object{"code": 7}, object{"status": "error", "ename": "Error"}},
		{"shell", "history_request", "text", object{"status": "error"}},
	} {
		t.Run(test.channel+" "+test.kind, func(t *testing.T) {
			r := c.ask(test.channel, test.kind, test.content)
			if want := strings.TrimSuffix(test.kind, "request") + "reply"; r.kind != want || r.channel != test.channel {
				t.Errorf("answered by %s on %s", r.kind, r.channel)
			}
			for name, want := range test.want {
				if !reflect.DeepEqual(r.content[name], want) {
					t.Errorf("%s: got %v, want %v", name, r.content[name], want)
				}
			}
		})
	}
	c.idle(c.send("shell", "no_such_request", object{}))
	c.mustRun("1")
}

func TestIsComplete(t *testing.T) {
	c := start(t)
	for code, want := range map[string]object{
		"x := 1":      {"status": "complete"},
		"func f() {":  {"status": "incomplete", "indent": "\t"},
		"func f() }":  {"status": "invalid"},
		"!ls \\":      {"status": "incomplete", "indent": ""},
		"x := `a\nb":  {"status": "incomplete", "indent": ""},
		"fmt.Println": {"status": "complete"},
	} {
		if r := c.ask("shell", "is_complete_request", object{"code": code}); !reflect.DeepEqual(r.content, want) {
			t.Errorf("%q: got %v, want %v", code, r.content, want)
		}
	}
}

// Messages with a wrong signature have no effect, and are not answered.
func TestSignatures(t *testing.T) {
	c := start(t)
	wrong := c.send("shell", "execute_request", cell("fmt.Println(\"should not run\")"), func(o *outgoing) { o.key = "another key" })
	none := c.send("shell", "execute_request", cell("fmt.Println(\"should not run\")"), func(o *outgoing) { o.key = "" })
	c.send("control", "shutdown_request", object{"restart": false}, func(o *outgoing) { o.key = "another key" })
	date := time.Now().UTC().Format(time.RFC3339Nano)
	same := func(o *outgoing) { o.header["msg_id"], o.header["date"] = "played back", date }
	c.send("shell", "execute_request", cell("fmt.Println(\"once\")"), same)
	c.idle("played back")
	c.send("shell", "execute_request", cell("fmt.Println(\"once\")"), same)
	for _, frames := range [][][]byte{{[]byte("<IDS|MSG>")}, {[]byte("nonsense")}, {[]byte("<IDS|MSG>"), {}, {}, {}, {}, {}}} {
		if err := c.sockets["shell"].SendMulti(zmq4.NewMsgFrom(frames...)); err != nil {
			t.Fatal(err)
		}
	}
	c.mustRun("1") // on the same socket, so all of them have been seen
	for _, id := range []string{wrong, none} {
		if got := c.iopub(id); len(got) != 0 {
			t.Errorf("a message with a wrong signature had an effect: %v", got)
		}
	}
	if got := c.outputs("played back"); !slices.Equal(got, []string{"busy", "in 1", "stdout once\n", "idle"}) {
		t.Errorf("a message that was sent twice: %q", got)
	}
	if n := strings.Count(c.p.stderr(), "a message was dropped"); n != 1 {
		t.Errorf("it was logged %d times, want once", n)
	}
}

// With an empty key nothing is signed, and the kernel says so.
func TestNoKey(t *testing.T) {
	_, conn := newConnection(t)
	conn.Key = ""
	c := connect(t, spawn(t, writeConnection(t, conn), conn))
	c.mustRun("1")
	if !strings.Contains(c.p.stderr(), "has no key") {
		t.Errorf("it does not warn: %s", c.p.stderr())
	}
}

func TestComms(t *testing.T) {
	c := start(t)
	c.mustRun(show + `heard := make(chan string, 10)
go func() {
	f, err := os.Open(os.Getenv("GRADBOOK_PIPE_BACK"))
	if err != nil {
		panic(err)
	}
	for s := bufio.NewScanner(f); s.Scan(); {
		heard <- s.Text()
	}
}()`)
	// From the program to the front end.
	id := c.send("shell", "execute_request", cell("show(`"+`{"op":"open","id":"p","target":"jupyter.widget","data":{"state":{"value":3}},"metadata":{"version":"2.1.0"},"buffers":["AAEC"]}`+"`)"))
	m := c.wait("comm_open", func(m message) bool { return m.kind == "comm_open" })
	want := object{"comm_id": "p", "target_name": "jupyter.widget", "data": object{"state": object{"value": 3.0}}}
	if !reflect.DeepEqual(m.content, want) || m.parent != id || m.metadata["version"] != "2.1.0" || len(m.buffers) != 1 || string(m.buffers[0]) != "\x00\x01\x02" {
		t.Errorf("%+v", m)
	}
	info := func(target string) object {
		return c.ask("shell", "comm_info_request", object{"target_name": target}).content["comms"].(object)
	}
	if got, want := info("jupyter.widget"), (object{"p": object{"target_name": "jupyter.widget"}}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := info("other"); len(got) != 0 {
		t.Errorf("got %v, want none", got)
	}
	// From the front end to the program.
	c.idle(c.send("shell", "comm_msg", object{"comm_id": "p", "data": object{"method": "update"}}, func(o *outgoing) { o.buffers = [][]byte{{9, 8}} }))
	var line struct {
		Op, ID  string
		Data    object
		Buffers [][]byte
	}
	outputs := c.mustRun("fmt.Print(<-heard)")
	text := strings.TrimPrefix(outputs[2], "stdout ")
	if err := json.Unmarshal([]byte(text), &line); err != nil {
		t.Fatalf("%v: %q", err, outputs)
	}
	if line.Op != "msg" || line.ID != "p" || line.Data["method"] != "update" || len(line.Buffers) != 1 || string(line.Buffers[0]) != "\x09\x08" {
		t.Errorf("the program hears %s", text)
	}
	c.idle(c.send("shell", "comm_open", object{"comm_id": "f", "target_name": "mine", "data": object{}}))
	if got := info("mine"); len(got) != 1 {
		t.Errorf("got %v, want one", got)
	}
	c.idle(c.send("shell", "comm_close", object{"comm_id": "f", "data": object{}}))
	c.mustRun("show(`" + `{"op":"close","id":"p"}` + "`)")
	c.wait("comm_close", func(m message) bool { return m.kind == "comm_close" && m.text("comm_id") == "p" })
	if got := info(""); len(got) != 0 {
		t.Errorf("got %v, want none", got)
	}
}

// A program that does not read its comm messages can still be used.
func TestUnreadComms(t *testing.T) {
	c := start(t)
	data := object{"text": strings.Repeat("x", 1<<18)} // more than a pipe holds
	c.idle(c.send("shell", "comm_open", object{"comm_id": "u", "target_name": "unread", "data": data}))
	if outputs := c.mustRun("6 * 7"); !strings.HasSuffix(outputs[2], ": 42") {
		t.Errorf("%q", outputs)
	}
}

// In a subshell, requests are answered while a cell runs.
func TestSubshells(t *testing.T) {
	c := start(t)
	c.mustRun("heard := make(chan string, 10)\ngo func() {\n\tf, _ := os.Open(os.Getenv(\"GRADBOOK_PIPE_BACK\"))\n\tfor s := bufio.NewScanner(f); s.Scan(); {\n\t\theard <- s.Text()\n\t}\n}()")
	first := c.ask("control", "create_subshell_request", object{})
	second := c.ask("control", "create_subshell_request", object{})
	a, b := first.text("subshell_id"), second.text("subshell_id")
	if first.kind != "create_subshell_reply" || a == "" || b == "" || a == b {
		t.Fatalf("%v, %v", first, second)
	}
	list := func() []any {
		ids := c.ask("control", "list_subshell_request", object{}).content["subshell_id"].([]any)
		slices.SortFunc(ids, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
		return ids
	}
	want := []any{a, b}
	if a > b {
		want = []any{b, a}
	}
	if got := list(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	running := c.send("shell", "execute_request", cell("fmt.Println(\"running\")\nfmt.Println(<-heard)"))
	c.printed(running, "running")
	if r := c.ask("shell", "kernel_info_request", object{}, subshell(a)); r.kind != "kernel_info_reply" {
		t.Errorf("%v", r)
	}
	c.idle(c.send("shell", "comm_msg", object{"comm_id": "w", "data": object{"n": 1}}, subshell(b)))
	c.printed(running, `"id":"w"`) // the running cell got it
	c.reply(running)
	c.idle(running)
	// A cell in a subshell takes its turn.
	id := c.send("shell", "execute_request", cell("1+1"), subshell(a))
	if r := c.reply(id); r.content["status"] != "ok" {
		t.Errorf("%v", r.content)
	}
	c.idle(id)
	if r := c.ask("control", "delete_subshell_request", object{"subshell_id": a}); r.content["status"] != "ok" {
		t.Errorf("%v", r.content)
	}
	if got := list(); !reflect.DeepEqual(got, []any{b}) {
		t.Errorf("got %v, want %v", got, b)
	}
	for _, r := range []message{
		c.ask("control", "delete_subshell_request", object{"subshell_id": a}),
		c.ask("shell", "kernel_info_request", object{}, subshell(a)),
	} {
		if r.content["status"] != "error" || !strings.Contains(r.text("evalue"), "there is no subshell") {
			t.Errorf("of a deleted subshell: %v", r.content)
		}
	}
}

// The history outlives the kernel, and sessions are numbered.
func TestHistory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "folder", "history.jsonl")
	env := "GRADBOOK_TEST_HISTORY=" + file
	old := start(t, env)
	old.mustRun("a := 1")
	old.mustRun("b := 2")
	old.ask("control", "shutdown_request", object{})
	old.p.ended(t)
	info, err := os.Stat(file)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("the file: %v, %v", info, err)
	}
	c := start(t, env)
	for _, text := range []string{"// é\nc := 1", "a := 1", "a := 1"} {
		c.mustRun(text)
	}
	c.run("hidden := 1", "store_history", false)
	c.run("hidden = 2", "silent", true)
	entry := func(session, line float64, text any) any { return []any{session, line, text} }
	for _, test := range []struct {
		name  string
		query object
		want  []any
	}{
		{"tail", object{"hist_access_type": "tail", "n": 4}, []any{entry(1, 2, "b := 2"), entry(2, 1, "// é\nc := 1"), entry(2, 2, "a := 1"), entry(2, 3, "a := 1")}},
		{"tail with outputs", object{"hist_access_type": "tail", "n": 1, "output": true}, []any{entry(2, 3, []any{"a := 1", nil})}},
		{"tail of none", object{"hist_access_type": "tail", "n": 0}, []any{}},
		{"range", object{"hist_access_type": "range", "session": 0, "start": 1, "stop": 3}, []any{entry(2, 1, "// é\nc := 1"), entry(2, 2, "a := 1")}},
		{"range of the last session", object{"hist_access_type": "range", "session": -1, "start": 2}, []any{entry(1, 2, "b := 2")}},
		{"range of session 1", object{"hist_access_type": "range", "session": 1, "start": 0, "stop": 2}, []any{entry(1, 1, "a := 1")}},
		{"search", object{"hist_access_type": "search", "pattern": "?*:= 2*"}, []any{entry(1, 2, "b := 2")}},
		{"search across lines", object{"hist_access_type": "search", "pattern": "*é*c*"}, []any{entry(2, 1, "// é\nc := 1")}},
		{"search once", object{"hist_access_type": "search", "pattern": "a*", "unique": true}, []any{entry(2, 3, "a := 1")}},
		{"search the last", object{"hist_access_type": "search", "pattern": "a*", "n": 2}, []any{entry(2, 2, "a := 1"), entry(2, 3, "a := 1")}},
		{"search by a set", object{"hist_access_type": "search", "pattern": "[^ac-z]*[1-2]"}, []any{entry(1, 2, "b := 2"), entry(2, 1, "// é\nc := 1")}},
		{"search by an open set", object{"hist_access_type": "search", "pattern": "[a"}, []any{}},
		{"search by a damaged set", object{"hist_access_type": "search", "pattern": "[z-a]"}, []any{}},
		{"search for nothing", object{"hist_access_type": "search", "pattern": "a"}, []any{}},
		{"unknown", object{"hist_access_type": "head", "n": 3}, []any{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := c.ask("shell", "history_request", test.query)
			if !reflect.DeepEqual(r.content["history"], test.want) {
				t.Errorf("got %v, want %v", r.content["history"], test.want)
			}
		})
	}
}

// A file that has become large loses its older half; what is no entry is passed over.
func TestHistoryIsBounded(t *testing.T) {
	file := filepath.Join(t.TempDir(), "history.jsonl")
	line := fmt.Sprintf(`{"session":1,"line":1,"input":%q}`+"\n", strings.Repeat("x", 1000))
	text := strings.Repeat(line, 5000) + "damaged\n" + `{"session":8,"line":2,"input":"last"}` + "\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c := start(t, "GRADBOOK_TEST_HISTORY="+file)
	c.mustRun("1")
	info, err := os.Stat(file)
	if err != nil || info.Size() > int64(len(text)/2+200) || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	r := c.ask("shell", "history_request", object{"hist_access_type": "tail", "n": 2})
	if want := []any{[]any{8.0, 2.0, "last"}, []any{9.0, 1.0, "1"}}; !reflect.DeepEqual(r.content["history"], want) {
		t.Errorf("got %v, want %v", r.content["history"], want)
	}
}

func TestUsage(t *testing.T) {
	c := start(t)
	c.mustRun("held := make([]byte, 300<<20)\nfor i := range held {\n\theld[i] = 1\n}")
	c.ask("control", "usage_request", object{})
	c.mustRun("for end := time.Now().Add(200 * time.Millisecond); time.Now().Before(end); {\n}")
	r := c.ask("control", "usage_request", object{})
	if r.kind != "usage_reply" || r.content["pid"] != float64(c.p.cmd.Process.Pid) || r.text("hostname") == "" {
		t.Errorf("%+v", r)
	}
	if n, _ := r.content["kernel_memory"].(float64); n < 300<<20 { // the program's is counted
		t.Errorf("kernel_memory %v", r.content["kernel_memory"])
	}
	if n, _ := r.content["kernel_cpu"].(float64); n <= 0 {
		t.Errorf("kernel_cpu %v", r.content["kernel_cpu"])
	}
	host, _ := r.content["host_virtual_memory"].(object)
	if total, _ := host["total"].(float64); total < host["available"].(float64) || total <= 0 || r.content["cpu_count"].(float64) < 1 {
		t.Errorf("%v", r.content)
	}
}
