// Package worker is the kernel's side of the live process: it starts it, tells it what to
// load and run, passes on what it makes, interrupts it and says why it died.
// It knows no Go syntax and no notebooks. The live process's own source is in the folder _src.
package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Options configure a worker.
type Options struct {
	Program string   // the host program
	Dir     string   // working directory
	Env     []string // environment; nil: this process's
	Stdin   *os.File // nil: nothing to read
	Sink    func(Event)
}

// Worker is one live process.
type Worker struct {
	cmd      *exec.Cmd
	commands *os.File
	sink     func(Event)
	pipes    string        // folder of the GoNB pipes
	done     chan struct{} // closed when the process is gone and all it made was passed on

	mu      sync.Mutex
	nextID  int
	waiting map[int]chan Reply
	death   Death

	out     sync.Mutex // one event at a time
	raw     []*os.File // what C code and subprocesses write
	runtime tail       // what the runtime printed last
}

// ErrDied is returned for requests that the process's end left without an answer.
var ErrDied = errors.New("the live program has ended")

// Start starts a live process and waits until it is ready.
func Start(o Options) (*Worker, error) {
	w := &Worker{sink: o.Sink, done: make(chan struct{}), waiting: map[int]chan Reply{}}
	if err := w.start(o); err != nil {
		return nil, err
	}
	return w, nil
}

func (w *Worker) start(o Options) (err error) {
	var files []*os.File
	defer func() {
		for _, f := range files {
			f.Close()
		}
		if err != nil {
			w.removePipes()
		}
	}()
	pipe := func() (r, wr *os.File) {
		if err == nil {
			r, wr, err = os.Pipe()
		}
		return r, wr
	}
	commands, commandsIn := pipe()
	events, eventsIn := pipe()
	stdout, stdoutIn := pipe()
	stderr, stderrIn := pipe()
	if err != nil {
		return err
	}
	files = append(files, commands, eventsIn, stdoutIn, stderrIn)
	w.commands, w.raw = commandsIn, []*os.File{stdout, stderr}
	env := o.Env
	if env == nil {
		env = os.Environ()
	}
	if env, err = w.makePipes(env); err != nil {
		return err
	}
	w.cmd = exec.Command(o.Program)
	w.cmd.Dir, w.cmd.Env = o.Dir, env
	if w.cmd.Stdin, err = w.stdin(o.Stdin); err != nil {
		return err
	}
	w.cmd.Stdout, w.cmd.Stderr = stdoutIn, stderrIn
	w.cmd.ExtraFiles = []*os.File{commands, eventsIn}
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a terminal's Ctrl-C is for the kernel alone
	ready := make(chan Reply, 1)
	w.waiting[0] = ready
	if err = w.cmd.Start(); err != nil {
		return fmt.Errorf("starting the live program: %w", err)
	}
	var streams sync.WaitGroup
	streams.Add(3)
	go func() { defer streams.Done(); w.readEvents(events) }()
	go func() { defer streams.Done(); w.readRaw(stdout, Stdout) }()
	go func() { defer streams.Done(); w.readRaw(stderr, Stderr) }()
	go w.wait(&streams)
	select {
	case <-ready:
		return nil
	case <-w.done:
		return fmt.Errorf("the live program ended at its start: %s", w.Death().Message())
	}
}

// stdin is what the process reads: the file itself, unless it is a terminal, which a
// process outside of the terminal's foreground group may not read.
func (w *Worker) stdin(f *os.File) (io.Reader, error) {
	if f == nil {
		return nil, nil
	}
	if st, err := f.Stat(); err != nil || st.Mode()&os.ModeCharDevice == 0 {
		return f, nil
	}
	r, wr, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	go func() {
		io.Copy(wr, f)
		wr.Close()
	}()
	return r, nil
}

// makePipes makes the named pipes through which programs show things: GoNB's two, and ours.
func (w *Worker) makePipes(env []string) ([]string, error) {
	dir, err := os.MkdirTemp("", "gradbook")
	if err != nil {
		return nil, err
	}
	w.pipes = dir
	set := map[string]string{}
	for _, name := range []string{"GONB_PIPE", "GONB_PIPE_BACK", "GRADBOOK_PIPE", "GRADBOOK_PIPE_BACK"} {
		set[name] = filepath.Join(dir, strings.ToLower(name))
		if err := syscall.Mkfifo(set[name], 0o600); err != nil {
			return nil, fmt.Errorf("making the named pipe %s: %w", set[name], err)
		}
	}
	kept := env[:0:0]
	for _, e := range env {
		if name, _, _ := strings.Cut(e, "="); set[name] == "" {
			kept = append(kept, e)
		}
	}
	for name, value := range set {
		kept = append(kept, name+"="+value)
	}
	return kept, nil
}

// BackPipe is the path of the pipe that carries answers to GoNB's display packages.
func (w *Worker) BackPipe() string { return filepath.Join(w.pipes, "gonb_pipe_back") }

// MessagePipe is the path of the pipe that carries messages to the program.
func (w *Worker) MessagePipe() string { return filepath.Join(w.pipes, "gradbook_pipe_back") }

func (w *Worker) removePipes() {
	if w.pipes != "" {
		os.RemoveAll(w.pipes)
	}
}

// Do sends a request and waits for its answer. Cancelling ctx interrupts the cell that the request runs, and no
// other; the answer then comes soon. Subprocesses that the cell waits for get a SIGINT, as they would at a terminal.
func (w *Worker) Do(ctx context.Context, q Request) (Reply, error) {
	answer := make(chan Reply, 1)
	w.mu.Lock()
	w.nextID++
	q.ID = w.nextID
	w.waiting[q.ID] = answer
	err := w.write(q)
	w.mu.Unlock()
	if err != nil {
		<-w.done
		return Reply{}, ErrDied
	}
	stop := context.AfterFunc(ctx, func() { w.interrupt(q.ID) })
	defer stop()
	select {
	case r := <-answer:
		return r, nil
	case <-w.done:
		select {
		case r := <-answer:
			return r, nil
		default:
			return Reply{}, ErrDied
		}
	}
}

// write sends a request; w.mu is held.
func (w *Worker) write(q Request) error {
	line, err := json.Marshal(q)
	if err == nil {
		_, err = w.commands.Write(append(line, '\n'))
	}
	return err
}

// Interrupt ends what runs: a cell, also one that was interrupted before and takes its time, or else the callbacks of widgets.
func (w *Worker) Interrupt() { w.interrupt(0) }

func (w *Worker) interrupt(target int) {
	w.signalChildren(syscall.SIGINT)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.nextID++
	w.write(Request{ID: w.nextID, Op: "interrupt", Target: target})
}

func (w *Worker) signalChildren(s syscall.Signal) {
	pid := w.cmd.Process.Pid
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, t := range tasks {
		data, _ := os.ReadFile(t)
		for _, child := range strings.Fields(string(data)) {
			if n, err := strconv.Atoi(child); err == nil {
				syscall.Kill(n, s)
			}
		}
	}
}

// PID is the process id.
func (w *Worker) PID() int { return w.cmd.Process.Pid }

// Kill ends the process at once.
func (w *Worker) Kill() {
	syscall.Kill(-w.cmd.Process.Pid, syscall.SIGKILL)
	<-w.done
}

// Close lets the process end, and ends it if it does not.
func (w *Worker) Close() {
	w.commands.Close()
	select {
	case <-w.done:
	case <-time.After(time.Second):
	}
	w.Kill()
}

// Done is closed when the process has ended.
func (w *Worker) Done() <-chan struct{} { return w.done }

// Death says how the process ended; only after Done is closed.
func (w *Worker) Death() Death {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.death
}

func (w *Worker) wait(streams *sync.WaitGroup) {
	err := w.cmd.Wait()
	// What the process left in its pipes is read to the end; a subprocess that still holds them is not waited for.
	read := make(chan struct{})
	go func() { streams.Wait(); close(read) }()
	select {
	case <-read:
	case <-time.After(300 * time.Millisecond):
	}
	w.mu.Lock()
	w.death = newDeath(w.cmd.ProcessState, err, w.runtime.crash())
	w.mu.Unlock()
	w.commands.Close()
	w.removePipes()
	close(w.done)
}

// emit passes an event on.
func (w *Worker) emit(e Event) {
	w.out.Lock()
	defer w.out.Unlock()
	w.sink(e)
}

// readRaw passes on what C code and subprocesses write.
func (w *Worker) readRaw(f *os.File, kind Kind) {
	buf := make([]byte, 1<<16)
	for {
		n, err := f.Read(buf)
		if n > 0 {
			if kind == Stderr && w.runtime.raw(buf[:n]) {
				continue // a crash report of the C side, kept for Death
			}
			w.emit(Event{Kind: kind, Data: append([]byte(nil), buf[:n]...)})
		}
		if err != nil {
			f.Close()
			return
		}
	}
}

// settle waits until what was written to the plain pipes before now has been passed on.
func (w *Worker) settle() {
	for _, f := range w.raw {
		conn, err := f.SyscallConn()
		if err != nil {
			continue
		}
		for range 50 {
			left := 0
			conn.Control(func(fd uintptr) { left = pending(fd) })
			if left == 0 {
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
	w.out.Lock()
	w.out.Unlock() //nolint:staticcheck // waits for the event under way
}

// readEvents reads frames until the process has closed its end.
func (w *Worker) readEvents(f *os.File) {
	defer f.Close()
	r := newFrames(f)
	for {
		e, err := r.next()
		if err != nil {
			if err != io.EOF {
				w.emit(Event{Kind: Stderr, Data: []byte("gradbook: " + err.Error() + "\n")})
			}
			return
		}
		switch e.Kind {
		case reply:
			var a Reply
			if err := json.Unmarshal(e.Data, &a); err != nil {
				a = Reply{Err: "answer not understood: " + err.Error()}
			}
			w.settle()
			if text := w.runtime.flush(); len(text) > 0 { // println("panic: ...") of the program itself
				w.emit(Event{Kind: Stderr, Data: text})
			}
			w.mu.Lock()
			answer := w.waiting[a.ID]
			delete(w.waiting, a.ID)
			w.mu.Unlock()
			if answer != nil {
				answer <- a
			}
		case Runtime:
			if text := w.runtime.add(e.Data); len(text) > 0 {
				w.emit(Event{Kind: Stderr, Cell: e.Cell, Data: text})
			}
		default:
			w.emit(e)
		}
	}
}
