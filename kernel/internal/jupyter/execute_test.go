package jupyter_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// Each cell's messages, from busy to idle, in their order.
func TestExecute(t *testing.T) {
	c := start(t)
	for _, test := range []struct {
		name    string
		content object
		status  string
		want    []string
	}{
		{"result", cell("x := 41\nx + 1"), "ok", []string{"busy", "in 1", "result 1: 42", "idle"}},
		{"streams in order", cell(`fmt.Println("a"); fmt.Fprintln(os.Stderr, "b"); fmt.Println("c"); fmt.Println("d")`), "ok",
			[]string{"busy", "in 2", "stdout a\n", "stderr b\n", "stdout c\nd\n", "idle"}},
		{"the result behind what was printed", cell("fmt.Println(\"p\")\nx"), "ok", []string{"busy", "in 3", "stdout p\n", "result 3: 41", "idle"}},
		{"compile error", cell("nothing()"), "error", []string{"busy", "in 4", "error compile error: cell 4:1:1: undefined: nothing", "idle"}},
		{"panic", cell("fmt.Println(x)\npanic(\"ouch\")"), "error", []string{"busy", "in 5", "stdout 41\n", "error panic: ouch", "idle"}},
		{"silent", cell("x++; fmt.Println(x)\nx", "silent", true), "ok", []string{"busy", "idle"}},
		{"silent error", cell("panic(1)", "silent", true), "error", []string{"busy", "idle"}},
		{"not stored", cell("x", "store_history", false), "ok", []string{"busy", "in 6", "result 6: 42", "idle"}},
		{"stored again", cell("x"), "ok", []string{"busy", "in 6", "result 6: 42", "idle"}},
		{"empty", cell(" \n"), "ok", []string{"busy", "in 7", "idle"}},
		{"characters cut by the pipe", cell(`fmt.Print(strings.Repeat("€", 40000))`), "ok", []string{"busy", "in 7", "stdout " + strings.Repeat("€", 40000), "idle"}},
		{"no UTF-8", cell(`fmt.Print("a\xffb")`), "ok", []string{"busy", "in 8", "stdout a\ufffdb", "idle"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			id := c.send("shell", "execute_request", test.content)
			reply := c.reply(id)
			c.idle(id)
			if got := c.outputs(id); !slices.Equal(got, test.want) {
				t.Errorf("got  %.600q\nwant %.600q", got, test.want)
			}
			if reply.kind != "execute_reply" || reply.content["status"] != test.status || reply.metadata["started"] == nil {
				t.Errorf("reply %+v", reply)
			}
		})
	}
}

func TestErrorContent(t *testing.T) {
	c := start(t)
	id := c.send("shell", "execute_request", cell("func f(m map[string]int) { m[\"a\"] = 1 }\nf(nil)"))
	reply := c.reply(id)
	c.idle(id)
	want := []string{
		"\x1b[1mpanic\x1b[0m: assignment to entry in nil map",
		"  \x1b[1;36mcell 1, line 1\x1b[0m, in f", "      func f(m map[string]int) { m[\"a\"] = 1 }",
		"  \x1b[1;36mcell 1, line 2\x1b[0m", "      f(nil)",
	}
	var got []string
	for _, line := range reply.content["traceback"].([]any) {
		got = append(got, line.(string))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	for _, m := range c.iopub(id) {
		if m.kind == "error" && (fmt.Sprint(m.content["traceback"]) != fmt.Sprint(reply.content["traceback"]) || m.text("ename") != reply.text("ename")) {
			t.Errorf("the error published is %v, and the reply says %v", m.content, reply.content)
		}
	}
}

func TestUserExpressions(t *testing.T) {
	c := start(t)
	reply, outputs := c.run("n := 20", "user_expressions", object{"twice": "2*n", "missing": "nothing", "statement": "n = 3", "call": "strings.Repeat(\"a\", 3)"})
	if want := []string{"busy", "in 1", "idle"}; !slices.Equal(outputs, want) {
		t.Errorf("got %q, want %q", outputs, want)
	}
	values := reply.content["user_expressions"].(object)
	for name, want := range map[string]string{"twice": "40", "call": `"aaa"`} {
		v := values[name].(object)
		if v["status"] != "ok" || v["data"].(object)["text/plain"] != want {
			t.Errorf("%s: got %v, want %s", name, v, want)
		}
	}
	for name, want := range map[string]string{"missing": "undefined: nothing", "statement": "is not a Go expression"} {
		v := values[name].(object)
		if v["status"] != "error" || v["ename"] != "compile error" || !strings.Contains(fmt.Sprint(v["evalue"]), want) {
			t.Errorf("%s: got %v, want %s", name, v, want)
		}
	}
	if outputs := c.mustRun("n"); outputs[2] != "result 2: 20" {
		t.Errorf("after the expressions: %q", outputs)
	}
}

func TestStopOnError(t *testing.T) {
	c := start(t)
	c.mustRun("ran := 0")
	other := c.ask("control", "create_subshell_request", object{}).text("subshell_id")
	for _, test := range []struct {
		stop bool
		want []any
	}{{true, []any{"error", "aborted", "aborted"}}, {false, []any{"error", "ok", "ok"}}} {
		// The first one fails when the others wait behind it.
		flag := filepath.Join(t.TempDir(), "go")
		first := c.send("shell", "execute_request", cell(fmt.Sprintf(
			"for {\n\tif _, err := os.Stat(%q); err == nil {\n\t\tpanic(\"first\")\n\t}\n\ttime.Sleep(5 * time.Millisecond)\n}", flag), "stop_on_error", test.stop))
		second := c.send("shell", "execute_request", cell("ran++"))
		info := c.send("shell", "kernel_info_request", object{})
		third := c.send("shell", "execute_request", cell("ran++"))
		c.ask("shell", "kernel_info_request", object{}, subshell(other)) // behind them on the same socket, and answered beside the running cell
		if err := os.WriteFile(flag, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		var got []any
		for _, id := range []string{first, second, third} {
			got = append(got, c.reply(id).content["status"])
			c.idle(id)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("stop_on_error %v: got %v, want %v", test.stop, got, test.want)
		}
		if r := c.reply(info); r.kind != "kernel_info_reply" {
			t.Errorf("between aborted cells: %v", r)
		}
	}
	if outputs := c.mustRun("ran"); !strings.HasSuffix(outputs[2], ": 2") {
		t.Errorf("how often cells ran: %q", outputs)
	}
}

// Interrupted, a cell ends and the variables keep their values; control is served meanwhile.
func TestInterrupt(t *testing.T) {
	c := start(t)
	for i, test := range []struct {
		name      string
		cell      string
		interrupt func(*testing.T)
	}{
		{"message", `for { n++ }`, func(t *testing.T) {
			if r := c.ask("control", "interrupt_request", object{}); r.kind != "interrupt_reply" || r.content["status"] != "ok" {
				t.Errorf("%v", r)
			}
		}},
		{"signal", `for { n++ }`, func(t *testing.T) {
			if err := c.p.cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
		}},
		{"blocked", `select {}`, func(t *testing.T) { c.ask("control", "interrupt_request", object{}) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			id := c.send("shell", "execute_request", cell(fmt.Sprintf("n, kept := 0, %d\nfmt.Println(\"running\")\n%s", i, test.cell)))
			c.printed(id, "running")
			if r := c.ask("control", "kernel_info_request", object{}); r.kind != "kernel_info_reply" {
				t.Errorf("while a cell runs: %v", r)
			}
			test.interrupt(t)
			if r := c.reply(id); r.content["status"] != "error" || r.text("ename") != "interrupt" {
				t.Errorf("%v", r.content)
			}
			c.idle(id)
			if outputs := c.mustRun("kept"); !strings.HasSuffix(outputs[2], fmt.Sprintf(": %d", i)) {
				t.Errorf("after the interrupt: %q", outputs)
			}
		})
	}
	if r := c.ask("control", "interrupt_request", object{}); r.content["status"] != "ok" { // nothing to interrupt
		t.Errorf("%v", r.content)
	}
	c.mustRun("n")
}

func TestStdin(t *testing.T) {
	c := start(t)
	id := c.send("shell", "execute_request", cell("var name string\nfmt.Print(\"name? \")\nfmt.Scanln(&name)\nfmt.Println(\"hello\", name)", "allow_stdin", true))
	q := c.wait("the input request", func(m message) bool { return m.kind == "input_request" && m.parent == id })
	if q.channel != "stdin" || q.content["password"] != false {
		t.Errorf("%+v", q)
	}
	c.printed(id, "name? ")
	c.send("stdin", "input_reply", object{"value": "Ada"})
	c.printed(id, "hello Ada\n")
	if r := c.reply(id); r.content["status"] != "ok" {
		t.Errorf("%v", r.content)
	}
	c.idle(id)

	// Interrupted while it waits, the next question gets the next answer.
	id = c.send("shell", "execute_request", cell("fmt.Scanln(&name)", "allow_stdin", true))
	c.wait("the input request", func(m message) bool { return m.kind == "input_request" && m.parent == id })
	c.ask("control", "interrupt_request", object{})
	if r := c.reply(id); r.text("ename") != "interrupt" {
		t.Errorf("%v", r.content)
	}
	c.idle(id)
	id = c.send("shell", "execute_request", cell("fmt.Scanln(&name)\nname", "allow_stdin", true))
	c.wait("the input request", func(m message) bool { return m.kind == "input_request" && m.parent == id })
	c.send("stdin", "input_reply", object{"value": "Emmy"})
	c.idle(id)
	if outputs := c.outputs(id); !slices.ContainsFunc(outputs, func(s string) bool { return strings.HasSuffix(s, `: "Emmy"`) }) {
		t.Errorf("%q", outputs)
	}

	// A front end that gives no input is not waited for.
	r, _ := c.run("fmt.Scanln(&name)")
	if r.text("ename") != "no input" || !strings.Contains(r.text("evalue"), "gives none") {
		t.Errorf("%v", r.content)
	}
	if outputs := c.mustRun("name"); !strings.HasSuffix(outputs[2], `: "Emmy"`) {
		t.Errorf("%q", outputs)
	}
}

// What GoNB's programs ask for comes with their prompt, and can be a password.
func TestPassword(t *testing.T) {
	c := start(t)
	id := c.send("shell", "execute_request", cell("var name string\ngonbui.RequestInput(\"secret: \", true)\nfmt.Scanln(&name)\nname", "allow_stdin", true))
	q := c.wait("the input request", func(m message) bool { return m.kind == "input_request" && m.parent == id })
	if q.text("prompt") != "secret: " || q.content["password"] != true {
		t.Errorf("%+v", q)
	}
	c.send("stdin", "input_reply", object{"value": "xyzzy"})
	c.idle(id)
	if outputs := c.outputs(id); !slices.ContainsFunc(outputs, func(s string) bool { return strings.HasSuffix(s, `: "xyzzy"`) }) {
		t.Errorf("%q", outputs)
	}
}

// show is a cell's function that writes into the pipe for displays and comms.
const show = `func show(line string) {
	f, err := os.OpenFile(os.Getenv("GRADBOOK_PIPE"), os.O_WRONLY, 0)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	fmt.Fprintln(f, line)
}
`

func TestDisplay(t *testing.T) {
	c := start(t)
	outputs := c.mustRun(show + `fmt.Print("before")
show(` + "`" + `{"op":"display","id":"d","display":{"text/plain":"one","application/json":{"a":[1]}},"binary":{"image/png":"AQID"},"metadata":{"m":1}}` + "`" + `)
show(` + "`" + `{"op":"update","id":"d","display":{"text/plain":"two"}}` + "`" + `)
show(` + "`" + `{"op":"clear","wait":true}` + "`" + `)
fmt.Print("after")`)
	want := []string{"busy", "in 1", "stdout before",
		"display_data map[data:map[application/json:map[a:[1]] image/png:AQID text/plain:one] metadata:map[m:1] transient:map[display_id:d]]",
		"update_display_data map[data:map[text/plain:two] metadata:map[] transient:map[display_id:d]]",
		"clear_output map[wait:true]", "stdout after", "idle"}
	if !slices.Equal(outputs, want) {
		t.Errorf("got  %q\nwant %q", outputs, want)
	}
}

// What a goroutine prints later belongs to the cell that started it.
func TestGoroutineOutput(t *testing.T) {
	c := start(t)
	id := c.send("shell", "execute_request", cell("next := make(chan int)\ngo func() {\n\tfor i := range next {\n\t\tfmt.Println(\"late\", i)\n\t}\n}()"))
	c.idle(id)
	other := c.send("shell", "execute_request", cell("next <- 1\nfmt.Println(\"mine\")"))
	c.idle(other)
	c.printed(id, "late 1")
	c.printed(other, "mine")
	if outputs := c.outputs(other); slices.ContainsFunc(outputs, func(s string) bool { return strings.Contains(s, "late") }) {
		t.Errorf("the other cell's outputs: %q", outputs)
	}
	c.mustRun("go func() { time.Sleep(300 * time.Millisecond); next <- 2 }()") // when no cell runs
	c.printed(id, "late 2")
}

// A hundred megabytes come whole and in order, while control is answered; the kernel's memory stays as it was.
func TestFlood(t *testing.T) {
	c := start(t)
	c.mustRun("block := strings.Repeat(\"0123456789abcde\\n\", 4096)")
	before := memory(t, c.p.cmd.Process.Pid)
	id := c.send("shell", "execute_request", cell("for range 1600 {\n\tfmt.Print(block)\n}"))
	c.printed(id, "0123456789abcde\n")
	if r := c.ask("control", "kernel_info_request", object{}); r.kind != "kernel_info_reply" {
		t.Errorf("%v", r)
	}
	c.reply(id)
	c.idle(id)
	size, messages := 0, 0
	for _, m := range c.iopub(id) {
		if m.kind == "stream" {
			size += len(m.text("text"))
			messages++
		}
	}
	if size != 1600*65536 {
		t.Errorf("%d bytes came, want %d", size, 1600*65536)
	}
	if messages > 4*1600 {
		t.Errorf("%d messages for %d bytes: they are not collected", messages, size)
	}
	if after := memory(t, c.p.cmd.Process.Pid); after > before+100<<20 {
		t.Errorf("the kernel's memory went from %d to %d MB", before>>20, after>>20)
	}
}

// memory returns the largest size that a process has had.
func memory(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var kb int
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kb); n == 1 {
			return kb << 10
		}
	}
	t.Fatal("no VmHWM")
	return 0
}

// A worker that is killed costs the values, and nothing else.
func TestWorkerDies(t *testing.T) {
	c := start(t)
	for _, test := range []struct{ name, cell, want string }{
		{"kill -9", "fmt.Println(os.Getpid())\nsyscall.Kill(os.Getpid(), syscall.SIGKILL)\nselect {}", "signal 9"},
		{"os.Exit", "os.Exit(3)", "os.Exit(3)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c.mustRun("v := 7\nfunc double(n int) int { return 2 * n }")
			r, _ := c.run(test.cell)
			if r.text("ename") != "worker died" || !strings.Contains(r.text("evalue"), test.want) {
				t.Errorf("%v", r.content)
			}
			if outputs := c.mustRun("double(v) + 1"); !strings.HasSuffix(outputs[2], ": 1") {
				t.Errorf("afterwards: %q", outputs)
			}
		})
	}
}

// workerPID returns the process that runs the cells.
func workerPID(c *client) int {
	c.t.Helper()
	var pid int
	outputs := c.mustRun("os.Getpid()")
	if _, err := fmt.Sscanf(outputs[2][strings.Index(outputs[2], ": ")+2:], "%d", &pid); err != nil {
		c.t.Fatalf("%q: %v", outputs, err)
	}
	return pid
}

// No process is left behind, however the kernel ends.
func TestNothingIsLeftBehind(t *testing.T) {
	for name, end := range map[string]func(*client){
		"kill -9 while a cell runs": func(c *client) {
			id := c.send("shell", "execute_request", cell("fmt.Println(\"running\")\nfor {}"))
			c.printed(id, "running")
			c.p.cmd.Process.Kill()
		},
		"kill -9 while a cell waits": func(c *client) {
			id := c.send("shell", "execute_request", cell("fmt.Println(\"running\")\nselect {}"))
			c.printed(id, "running")
			c.p.cmd.Process.Kill()
		},
		"kill -9 between cells": func(c *client) { c.p.cmd.Process.Kill() },
		"kill -9 in a flood": func(c *client) {
			id := c.send("shell", "execute_request", cell("for {\n\tfmt.Println(\"running\")\n}"))
			c.printed(id, "running")
			c.p.cmd.Process.Kill()
		},
		"SIGTERM": func(c *client) { c.p.cmd.Process.Signal(syscall.SIGTERM) },
		"shutdown while a cell runs": func(c *client) {
			id := c.send("shell", "execute_request", cell("fmt.Println(\"running\")\nfor {}"))
			c.printed(id, "running")
			r := c.reply(c.send("control", "shutdown_request", object{"restart": true}))
			if r.kind != "shutdown_reply" || r.content["status"] != "ok" || r.content["restart"] != true {
				c.t.Errorf("%v", r)
			}
			c.wait("shutdown_reply on iopub", func(m message) bool { return m.kind == "shutdown_reply" && m.channel == "iopub" })
		},
		"shutdown in a flood": func(c *client) {
			id := c.send("shell", "execute_request", cell("for {\n\tfmt.Println(\"running\")\n}"))
			c.printed(id, "running")
			c.send("control", "shutdown_request", object{"restart": false})
		},
		"shutdown": func(c *client) { c.send("control", "shutdown_request", object{"restart": false}) },
	} {
		t.Run(name, func(t *testing.T) {
			c := start(t)
			pid := workerPID(c)
			if !alive(pid) {
				t.Fatalf("the worker %d does not run", pid)
			}
			end(c)
			c.p.ended(t)
			gone(t, pid)
		})
	}
}
