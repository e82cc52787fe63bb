package main_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startKernel starts a kernel that chooses its ports, and waits until it serves; the shell that started it says by which process.
func startKernel(t *testing.T, env ...string) (shell *exec.Cmd, pid int) {
	t.Helper()
	dir := files(t, "c.json", `{"key":"secret"}`)
	shell = exec.Command("/bin/sh", "-c", `"$1" kernel c.json & echo $!; wait`, "sh", binary)
	shell.Dir = dir
	shell.Env = append(append(os.Environ(), "XDG_DATA_HOME="+dir), env...)
	out, err := shell.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	if _, err := fmt.Sscan(line, &pid); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	t.Cleanup(func() {
		syscall.Kill(pid, syscall.SIGKILL)
		shell.Process.Kill()
		shell.Wait()
	})
	for limit := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		var c map[string]any
		if err := json.Unmarshal([]byte(read(t, dir, "c.json")), &c); err != nil {
			t.Fatal(err)
		}
		if c["hb_port"] != nil {
			return shell, pid
		}
		if time.Now().After(limit) {
			t.Fatal("the kernel does not serve")
		}
	}
}

// below returns a process's children.
func below(pid int) []string {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	var all []string
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		all = append(all, strings.Fields(string(text))...)
	}
	return all
}

func running(pid string) bool {
	text, err := os.ReadFile("/proc/" + pid + "/stat")
	_, rest, _ := strings.Cut(string(text), ") ")
	return err == nil && !strings.HasPrefix(rest, "Z")
}

func waitFor(t *testing.T, what string, is func() bool) {
	t.Helper()
	for limit := time.Now().Add(patience); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("waiting in vain: %s", what)
		}
	}
}

// A kernel ends with the Jupyter that started it, when that says so, and leaves nothing behind.
func TestKernelEndsWithItsParent(t *testing.T) {
	shell, pid := startKernel(t, "JPY_PARENT_PID=12345")
	waitFor(t, "the worker starts", func() bool { return len(below(pid)) > 0 })
	children := below(pid)
	shell.Process.Kill()
	shell.Wait()
	waitFor(t, "the kernel ends", func() bool { return !running(fmt.Sprint(pid)) })
	for _, child := range children {
		waitFor(t, "the worker ends", func() bool { return !running(child) })
	}
}

// Without the variable it stays: it may have been started to stay.
func TestKernelOutlivesItsParent(t *testing.T) {
	shell, pid := startKernel(t, "JPY_PARENT_PID=")
	shell.Process.Kill()
	shell.Wait()
	time.Sleep(2 * time.Second) // longer than it takes to notice
	if !running(fmt.Sprint(pid)) {
		t.Error("the kernel has ended")
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the kernel ends", func() bool { return !running(fmt.Sprint(pid)) })
}
