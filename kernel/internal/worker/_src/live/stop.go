package live

import (
	"context"
	"internal/runtime/atomic"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"time"
	"unsafe"
)

// An interrupt ends the goroutines that a cell started, and keeps everything else. Goroutines know their cell by
// the profiler label, which is handed down by the go statement. They end at a poll (loop back-edges) or at a function entry.

var (
	stopping       uintptr           // not 0 while stopped has entries
	stopped        [8]unsafe.Pointer // labels of cells whose goroutines are to end
	labelOffset    uintptr           // of g.labels
	endGoroutinePC uintptr
)

const guardOffset = 16 // of g.stackguard0

const stackPreempt = ^uintptr(1313) // runtime.stackPreempt: -1314

//go:linkname allgs runtime.allgs
var allgs []unsafe.Pointer

//go:linkname forEachG runtime.forEachG
func forEachG(fn func(gp unsafe.Pointer))

// run is one execution of a cell.
type run struct {
	cell    int
	label   unsafe.Pointer
	done    chan struct{} // closed when the cell's own goroutine has ended
	stopped atomic.Bool   // it was asked to end
}

var runs struct {
	sync.RWMutex
	byLabel map[unsafe.Pointer]*run
}

// label marks the current goroutine, and those that it will start, as r's.
func (r *run) mark() {
	pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), pprof.Labels("cell", strconv.Itoa(r.cell))))
	r.label = getProfLabel()
	runs.Lock()
	runs.byLabel[r.label] = r
	runs.Unlock()
}

// runOf returns the run whose code the current goroutine executes, nil if it is no cell's.
func runOf() *run {
	label := getProfLabel()
	if label == nil {
		return nil
	}
	runs.RLock()
	defer runs.RUnlock()
	return runs.byLabel[label]
}

func initStop() error {
	runs.byLabel = map[unsafe.Pointer]*run{}
	endGoroutinePC = entryOf(endGoroutine)
	return initCode()
}

// findLabelOffset looks for g.labels, whose place differs between releases.
func findLabelOffset() {
	old, mark := getProfLabel(), new(int)
	setProfLabel(unsafe.Pointer(mark))
	g := currentG()
	for off := uintptr(0); off < 1024; off += 8 {
		if *(*uintptr)(unsafe.Add(g, off)) == uintptr(unsafe.Pointer(mark)) {
			labelOffset = off
			break
		}
	}
	setProfLabel(old)
}

// endGoroutine ends the current goroutine; its deferred calls run, unharmed.
func endGoroutine() {
	setProfLabel(nil)
	runtime.Goexit()
}

// Poll is called by cell code at a loop's back-edge while an interrupt is under way.
func Poll() {
	if label := getProfLabel(); label != nil && atomic.Loaduintptr(&stopping) != 0 {
		for i := range stopped {
			if atomic.Loadp(unsafe.Pointer(&stopped[i])) == label {
				endGoroutine()
			}
		}
	}
}

// stop asks the goroutines with a label to end, and goes on asking while any of them lives. linker is locked.
func stop(label unsafe.Pointer) {
	slot := -1
	for i := range stopped {
		if stopped[i] == label {
			return
		}
		if stopped[i] == nil && slot < 0 {
			slot = i
		}
	}
	if slot < 0 {
		slot = 0 // eight abandoned cells: the first of them is left alone from now on
	}
	stopped[slot] = label
	atomic.Storeuintptr(&stopping, 1)
	setPolls(1)
	go func() {
		for wait := time.Millisecond; ; wait = min(wait*2, 50*time.Millisecond) {
			if poison(label) == 0 {
				break
			}
			time.Sleep(wait)
		}
		linker.Lock()
		defer linker.Unlock()
		stopped[slot] = nil
		for i := range stopped {
			if stopped[i] != nil {
				return
			}
		}
		atomic.Storeuintptr(&stopping, 0)
		setPolls(0)
	}()
}

func setPolls(to uint32) {
	for _, l := range linker.libs {
		if l.poll != nil {
			atomic.Store(l.poll, to)
		}
	}
}

// poison makes the next function entry of a label's goroutines call morestack, and returns how many there are.
func poison(label unsafe.Pointer) int {
	n := 0
	forEachG(func(g unsafe.Pointer) {
		if *(*unsafe.Pointer)(unsafe.Add(g, labelOffset)) == label && !dead(g) {
			n++
			atomic.Storeuintptr((*uintptr)(unsafe.Add(g, guardOffset)), stackPreempt)
		}
	})
	return n
}

//go:linkname readgstatus runtime.readgstatus
func readgstatus(gp unsafe.Pointer) uint32

func dead(g unsafe.Pointer) bool {
	const gdead, gscan = 6, 0x1000
	return readgstatus(g)&^gscan == gdead
}

// hook returns the address that cell code is to use in place of a symbol of the runtime, 0 for the symbol itself.
func hook(symbol string) uintptr {
	switch symbol {
	case "runtime.morestack_noctxt.abi0":
		return code.noctxt
	case "runtime.morestack.abi0":
		return code.ctxt
	case "runtime.newproc.abiinternal":
		f := newproc
		return **(**uintptr)(unsafe.Pointer(&f))
	}
	return 0
}

// callee returns what a call in cell code goes to. Functions that the compiler made for types (equality, hashing) run in
// the middle of the runtime's map code: no goroutine may end there.
func (l *library) callee(s *symbol, off uint64) uintptr {
	if s.section != shnUndef || !strings.HasPrefix(s.name, "runtime.morestack") {
		return s.addr
	}
	if l.typeCode == nil {
		l.typeCode = [][2]uint64{}
		for i := range l.obj.symbols {
			f := &l.obj.symbols[i]
			if f.info&15 == 2 && strings.Contains(f.name, "type:.") {
				l.typeCode = append(l.typeCode, [2]uint64{f.value, f.value + f.size})
			}
		}
	}
	for _, r := range l.typeCode {
		if off >= r[0] && off < r[1] {
			return baseSymbol(s.name)
		}
	}
	return s.addr
}

// newproc stands where cell code calls runtime.newproc: a panic in the new goroutine is
// shown, and ends that goroutine alone.
func newproc(fn unsafe.Pointer) {
	f := *(*func())(unsafe.Pointer(&fn))
	go guarded(f)
}

func guarded(f func()) {
	ended := false
	defer func() {
		if ended {
			return
		}
		if v := recover(); v != nil {
			sendPanic(kindGoPanic, v, panicFrames(v))
		}
	}()
	f()
	ended = true
}
