// Package live is the inside of the process that holds a notebook's program: it
// loads cells' objects (in the place of a linker and of dlopen), runs them, ends them when asked, and passes on
// what they print. It is compiled into the base library as part of the standard library's tree, because it needs the runtime's own
// types. It knows no Go syntax and no notebooks: it is told what each symbol means.
package live

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// Request is what the kernel asks, one JSON value a line.
type Request struct {
	ID        int
	Op        string // "cell", "interrupt", "extend", "memory", "forget", "chdir", "setenv", "args", "flags", "gc"
	Plan      Plan
	Entry     string      // function that runs the cell; "" for none
	VarsFunc  string      // function that returns pointers to NewVars
	NewVars   []string    // identities, in the order of VarsFunc's result
	Convert   [][2]string // copy the first identity's value into the second's
	Drop      []string    // identities whose values are given up
	Extension string      // shared library with packages outside the base
	Args      []string    // for args; of "flags": names
	Target    int         // for interrupt: the request whose cell is meant; 0: whatever runs
	Name      string      // for chdir and setenv
	Value     string
}

// Reply answers a request.
type Reply struct {
	ID        int
	Err       string   // the request was refused, and nothing has happened
	Status    string   // of a cell: "ok", "panic", "interrupted", "exit" (runtime.Goexit)
	Abandoned bool     // interrupted, but its goroutine still waits for something
	Panic     *Panic   // when Status is "panic"
	Dropped   []string // parts of values that a conversion could not keep
	LoadTime  time.Duration
	RunTime   time.Duration
	Memory    *Memory
	Text      string // of "value"
}

// Panic is a panic that no one recovered.
type Panic struct {
	Text   string
	Goexit bool
	Frames []Frame
}

// Memory is what the live program costs.
type Memory struct {
	Libraries  int    // cells loaded
	Mapped     uint64 // bytes of their code and data
	Heap       uint64
	Resident   uint64
	Goroutines int
}

var current struct {
	sync.Mutex
	run       *run
	requestID int
}

// Main serves the kernel until it goes away.
func Main() {
	if err := initStop(); err != nil {
		fmt.Fprintln(os.Stderr, "gradbook:", err)
		os.Exit(1)
	}
	initStreams()
	initPipes()
	debug.SetTraceback("all")
	debug.SetMaxStack(512 << 20) // half of what Go allows: an endless recursion ends sooner, and takes less with it
	in := bufio.NewReaderSize(os.NewFile(commandFD, "commands"), 1<<16)
	sendJSON(kindReply, Reply{})
	for {
		line, err := in.ReadBytes('\n')
		if err != nil { // the kernel is gone: so is what the program started, and its pipes
			if pipesDir != "" {
				os.RemoveAll(pipesDir)
			}
			syscall.Kill(0, syscall.SIGKILL)
			os.Exit(0)
		}
		var q Request
		if err := json.Unmarshal(line, &q); err != nil {
			sendJSON(kindReply, Reply{Err: "request not understood: " + err.Error()})
			continue
		}
		serve(q)
	}
}

func serve(q Request) {
	answer := func(err error, r Reply) {
		r.ID = q.ID
		if err != nil {
			r.Err = err.Error()
		}
		sendJSON(kindReply, r)
	}
	switch q.Op {
	case "cell":
		startCell(q)
	case "interrupt":
		interrupt(q.Target)
		answer(nil, Reply{})
	case "extend":
		answer(extend(q.Extension), Reply{})
	case "forget":
		drop(q.Drop)
		answer(nil, Reply{})
	case "memory":
		answer(nil, Reply{Memory: memory()})
	case "chdir":
		answer(os.Chdir(q.Name), Reply{})
	case "setenv":
		answer(os.Setenv(q.Name, q.Value), Reply{})
	case "flags":
		forgetFlags(q.Args)
		answer(nil, Reply{})
	case "args":
		os.Args = append(os.Args[:1:1], q.Args...)
		answer(nil, Reply{})
	case "value":
		text, err := valueOf(q.Name)
		answer(err, Reply{Text: text})
	case "gc":
		runtime.GC()
		answer(nil, Reply{})
	default:
		answer(fmt.Errorf("unknown request %q", q.Op), Reply{})
	}
}

// startCell loads a cell, and runs it in a goroutine of its own.
func startCell(q Request) {
	start := time.Now()
	reply := Reply{ID: q.ID, Status: "ok"}
	var fn func()
	lib, err := Load(q.Plan)
	if err == nil && q.Entry != "" {
		fn, err = lib.entry(q.Entry)
	}
	if err == nil && q.VarsFunc != "" {
		err = lib.recordVars(q.VarsFunc, q.NewVars)
	}
	if err != nil {
		reply.Err = err.Error()
		sendJSON(kindReply, reply)
		return
	}
	lib.obj = nil // the file's content and symbols are of no use from here on
	reply.Dropped = convert(q.Convert)
	drop(q.Drop)
	reply.LoadTime = time.Since(start)
	if fn == nil {
		sendJSON(kindReply, reply)
		return
	}
	r := &run{cell: q.Plan.Cell, done: make(chan struct{})}
	current.Lock()
	current.run, current.requestID = r, q.ID
	current.Unlock()
	ready := make(chan struct{})
	go func() {
		r.mark()
		close(ready)
		started := time.Now()
		returned := false
		defer func() {
			v := recover()
			frames := []Frame(nil)
			if v != nil {
				frames = panicFrames(v)
			}
			setProfLabel(r.label) // cleared when the cell was made to end
			close(r.done)
			if !r.finish() {
				if v != nil {
					sendPanic(kindGoPanic, v, frames)
				}
				return // its reply was given when it was abandoned
			}
			reply.RunTime = time.Since(started)
			switch {
			case v != nil:
				reply.Status, reply.Panic = "panic", &Panic{Text: panicText(v), Frames: frames}
			case r.stopped.Load():
				reply.Status = "interrupted"
			case !returned:
				reply.Status = "exit"
			}
			setProfLabel(nil) // it is no longer the cell's: nothing of that runs on
			sendJSON(kindReply, reply)
		}()
		fn()
		returned = true
	}()
	<-ready
}

// finish reports whether it is the caller who answers for r: the cell's goroutine or, when it was abandoned, the interrupt.
func (r *run) finish() bool {
	current.Lock()
	defer current.Unlock()
	if current.run != r {
		return false
	}
	current.run = nil
	return true
}

// recordVars asks the cell for typed pointers to its new variables.
func (l *library) recordVars(symbol string, ids []string) error {
	fn, err := l.entry(symbol)
	if err != nil {
		return err
	}
	pointers := (*(*func() []any)(unsafe.Pointer(&fn)))()
	if len(pointers) != len(ids) {
		return fmt.Errorf("%s returns %d pointers for %d variables", symbol, len(pointers), len(ids))
	}
	linker.Lock()
	defer linker.Unlock()
	for i, id := range ids {
		v := reflect.ValueOf(pointers[i])
		st := linker.vars[id]
		if at := v.Pointer(); st.addr != 0 && st.addr != at {
			return fmt.Errorf("variable %s is at %#x, and the cell says %#x", id, st.addr, at)
		}
		linker.vars[id] = storage{addr: v.Pointer(), size: uint64(v.Type().Elem().Size()), ptr: pointers[i]}
	}
	return nil
}

// drop zeroes variables that nothing can reach any more, so that what they hold can be collected.
func drop(ids []string) {
	linker.Lock()
	defer linker.Unlock()
	for _, id := range ids {
		if st := linker.vars[id]; st.ptr != nil {
			reflect.ValueOf(st.ptr).Elem().SetZero()
		}
	}
}

func sendPanic(kind byte, v any, frames []Frame) {
	sendJSON(kind, Panic{Text: panicText(v), Frames: frames})
}

// panicText says what a panic's value is, as the runtime would.
func panicText(v any) string {
	switch v := v.(type) {
	case error:
		return v.Error()
	case fmt.Stringer:
		return v.String()
	case string:
		return v
	}
	switch reflect.TypeOf(v).Kind() {
	case reflect.Struct, reflect.Slice, reflect.Map, reflect.Pointer, reflect.Func, reflect.Chan, reflect.Array:
		return fmt.Sprintf("(%T) %+v", v, v)
	}
	if t := reflect.TypeOf(v); t.PkgPath() != "" || t.Kind() != reflect.String {
		return fmt.Sprintf("%T(%v)", v, v)
	}
	return fmt.Sprint(v)
}

func memory() *Memory {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	linker.Lock()
	defer linker.Unlock()
	out := &Memory{Libraries: len(linker.libs), Mapped: uint64(linker.mapped), Heap: m.HeapAlloc, Goroutines: runtime.NumGoroutine()}
	if data, err := os.ReadFile("/proc/self/statm"); err == nil {
		var total, resident uint64
		fmt.Sscan(string(data), &total, &resident)
		out.Resident = resident * uint64(os.Getpagesize())
	}
	return out
}
