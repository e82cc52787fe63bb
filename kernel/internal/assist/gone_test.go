package assist_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gradbook/gradbook/kernel/internal/assist"
)

// descendants returns the processes that have begun below this one, by id.
func descendants(t testing.TB, pid int) map[int]string {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	parent, name := map[int]int{}, map[int]string{}
	for _, file := range stats {
		data, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended meanwhile
		}
		end := bytes.LastIndexByte(data, ')')
		fields := strings.Fields(string(data[end+1:]))
		id, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if parent[id], err = strconv.Atoi(fields[1]); err != nil || fields[0] == "Z" {
			delete(parent, id)
			continue
		}
		_, after, _ := strings.Cut(string(data[:end]), "(")
		name[id] = after
	}
	all := map[int]string{}
	for id := range parent {
		for p := parent[id]; p > 1; p = parent[p] {
			if p == pid {
				all[id] = name[id]
				break
			}
		}
	}
	return all
}

// gopls returns the process ids of the gopls below a process.
func goplsBelow(t testing.TB, pid int) (ids []int) {
	for id, name := range descendants(t, pid) {
		if name == "gopls" {
			ids = append(ids, id)
		}
	}
	return ids
}

// ended waits until the processes are no more.
func ended(t testing.TB, ids []int) {
	t.Helper()
	for range 200 {
		living := 0
		for _, id := range ids {
			data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", id))
			if err == nil && !bytes.Contains(data, []byte(") Z ")) {
				living++
			}
		}
		if living == 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("some of the processes %v live on", ids)
}

// works checks what there is without gopls.
func (n *notebook) works() {
	n.t.Helper()
	if c := n.complete("%en‸"); len(c.Matches) != 1 || c.Matches[0].Text != "%env" {
		n.t.Errorf("special commands: %v", c)
	}
	for range 2 {
		if c := n.complete("x.‸"); len(c.Matches) != 0 || c.Start != 2 || c.End != 2 {
			n.t.Errorf("completion: %v", c)
		}
		if d := n.inspect("fmt.Println‸", 0); len(d) != 0 {
			n.t.Errorf("inspection: %v", d)
		}
	}
	n.run("a := 1")
}

// toldOnce waits until the user has been told, and checks that it was once.
func (n *notebook) toldOnce(part string) {
	n.t.Helper()
	count := 0
	for range 200 {
		n.mu.Lock()
		count = strings.Count(strings.Join(n.said, "\n"), part)
		n.mu.Unlock()
		if count > 0 {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if count != 1 || len(n.said) != 1 {
		n.t.Errorf("the user heard: %q", n.said)
	}
}

func (n *notebook) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.said = nil
}

// kill ends the gopls that runs.
func (n *notebook) kill() {
	n.t.Helper()
	ids := goplsBelow(n.t, os.Getpid())
	if len(ids) == 0 {
		n.t.Fatal("no gopls is running")
	}
	for _, id := range ids {
		syscall.Kill(id, syscall.SIGKILL)
	}
	ended(n.t, ids)
}

// A gopls that has ended is started again by the next question, and that is told once. One that ends again and again is left alone.
func TestDeath(t *testing.T) {
	n := open(t, "", nil)
	n.wait()
	n.forget() // that it was built, perhaps
	n.run("type layer struct{ Weights, Bias int }\nvar l layer")
	for range 3 {
		n.kill()
		n.toldOnce("gopls has ended (signal: killed); the next question starts it again")
		n.wait()
		if c := n.complete("l.We‸"); len(c.Matches) != 1 || c.Matches[0].Text != "Weights" {
			t.Errorf("completion afterwards: %v", c)
		}
	}
	n.forget()
	n.kill()
	n.toldOnce("gopls has ended (signal: killed)")
	n.works()
	n.toldOnce("completion and inspection of Go are off")
}

// TestRest lets nothing happen: gopls ends without a word, and comes back with the next question, and with the next cell.
func TestRest(t *testing.T) {
	n := open(t, t.TempDir(), func(o *assist.Options) { o.Rest = time.Second })
	n.wait()
	n.run("type layer struct{ Weights, Bias int }\nvar l layer")
	for _, wake := range []func(){n.wait, func() {
		n.run("later := 1")
		for range 200 {
			if len(goplsBelow(t, os.Getpid())) > 0 {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
		t.Error("a cell does not bring gopls back")
	}} {
		ids := goplsBelow(t, os.Getpid())
		if len(ids) == 0 {
			t.Fatal("no gopls runs")
		}
		ended(t, ids)
		wake()
		n.wait()
		if c := n.complete("l.We‸"); len(c.Matches) != 1 || c.Matches[0].Text != "Weights" {
			t.Errorf("completion afterwards: %v", c)
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, line := range n.said {
		if !strings.Contains(line, "building gopls") {
			t.Errorf("it was said: %q", line)
		}
	}
}

func TestAbsence(t *testing.T) {
	script := filepath.Join(t.TempDir(), "gopls")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho out of order >&2\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*assist.Options)
		said   string
	}{
		"no such program": {func(o *assist.Options) { o.Command = "/nowhere/gopls" }, "/nowhere/gopls"},
		"broken program":  {func(o *assist.Options) { o.Command = script }, "out of order"},
		"no cache":        {func(o *assist.Options) { o.CacheDir = script }, "GRADBOOK_CACHE"},
	} {
		t.Run(name, func(t *testing.T) {
			n := open(t, "", c.change)
			n.toldOnce(c.said)
			n.works()
			n.toldOnce("completion and inspection of Go are off")
		})
	}
}

// Without a network and with an empty cache gopls cannot be built; the message says what it takes.
func TestNoNetwork(t *testing.T) {
	t.Setenv("GOPROXY", "off")
	t.Setenv("GOFLAGS", "-modcacherw")
	t.Setenv("GOMODCACHE", filepath.Join(t.TempDir(), "modules"))
	dir := filepath.Join(t.TempDir(), "cache")
	n := openIn(t, t.TempDir(), func(o *assist.Options) { o.CacheDir = dir }, false)
	for range 200 {
		n.mu.Lock()
		said := strings.Join(n.said, "\n")
		n.mu.Unlock()
		if strings.Contains(said, "could not be built") && strings.Contains(said, "GOPROXY") {
			n.works()
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("the user heard: %q", n.said)
}

func TestClose(t *testing.T) {
	n := open(t, "", nil)
	n.wait()
	ids := goplsBelow(t, os.Getpid())
	if len(ids) == 0 {
		t.Fatal("no gopls is running")
	}
	n.forget()
	n.assist.Close()
	ended(t, ids)
	n.works()
	if len(n.said) > 0 {
		t.Errorf("the user heard: %q", n.said)
	}
}

// TestKernelKilled kills a process that has an assistant: no gopls may outlive it.
func TestKernelKilled(t *testing.T) {
	if os.Getenv("ASSIST_TEST_CHILD") != "" {
		n := open(t, "", nil)
		n.wait()
		fmt.Println("ready")
		select {}
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestKernelKilled$")
	cmd.Env = append(os.Environ(), "ASSIST_TEST_CHILD=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 6)
	if _, err := out.Read(line); err != nil || string(line) != "ready\n" {
		t.Errorf("the child says %q (%v)", line, err)
	}
	ids := goplsBelow(t, cmd.Process.Pid)
	if len(ids) == 0 {
		t.Error("no gopls is running")
	}
	cmd.Process.Kill()
	cmd.Wait()
	ended(t, ids)
}
