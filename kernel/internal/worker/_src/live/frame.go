package live

import (
	"encoding/json"
	"errors"
	"internal/poll"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"unsafe"
)

// What the program shows, and what the worker answers, goes through one pipe, in frames that are each one atomic write: a
// header of 16 bytes and at most maxData bytes. So the order in which the program made things is kept.

// Kinds of frames; kernel/internal/worker/frame.go has the same list.
const (
	kindStdout  = 1 // text
	kindStderr  = 2
	kindRuntime = 3 // what the runtime itself prints: println, fatal errors
	kindGonb    = 4 // bytes that the program wrote into GONB_PIPE
	kindReply   = 5 // JSON: the answer to a request
	kindValue   = 6 // JSON: the cell's last expression
	kindGoPanic = 7 // JSON: a panic that ended a goroutine
	kindInput   = 8 // the program waits for standard input
	kindMessage = 9 // bytes that the program wrote into GRADBOOK_PIPE
)

const (
	headerLen = 16
	maxData   = 4096 - headerLen // PIPE_BUF
	eventFD   = 4
	commandFD = 3
)

var frameID atomic.Uint32

// sendFrame writes data as one message of that kind, in as many frames as it takes.
//
//go:nosplit
func sendFrame(kind byte, cell uint32, id uint32, p unsafe.Pointer, n int) {
	var head [headerLen]byte
	for first := true; n > 0 || first; first = false {
		size := min(n, maxData)
		head[0] = kind
		head[1] = 0
		if n > size {
			head[1] = 1 // more follows
		}
		*(*uint16)(unsafe.Pointer(&head[2])) = uint16(size)
		*(*uint32)(unsafe.Pointer(&head[4])) = cell
		*(*uint32)(unsafe.Pointer(&head[8])) = id
		iov := [2]syscall.Iovec{{Base: &head[0], Len: headerLen}, {Base: (*byte)(p), Len: uint64(size)}}
		for {
			_, _, e := syscall.RawSyscall(syscall.SYS_WRITEV, eventFD, uintptr(unsafe.Pointer(&iov)), 2)
			if e == 0 {
				break
			}
			if e != syscall.EINTR && e != syscall.EAGAIN {
				return // the kernel is gone
			}
		}
		p = unsafe.Add(p, size)
		n -= size
	}
}

// send writes a message from ordinary code: the thread may block while the pipe is full.
func send(kind byte, data []byte) {
	cell := uint32(0)
	if r := runOf(); r != nil {
		cell = uint32(r.cell)
	}
	id := frameID.Add(1)
	for first := true; len(data) > 0 || first; first = false {
		size := min(len(data), maxData)
		var frame [headerLen + maxData]byte
		frame[0] = kind
		if len(data) > size {
			frame[1] = 1
		}
		*(*uint16)(unsafe.Pointer(&frame[2])) = uint16(size)
		*(*uint32)(unsafe.Pointer(&frame[4])) = cell
		*(*uint32)(unsafe.Pointer(&frame[8])) = id
		copy(frame[headerLen:], data[:size])
		for {
			_, err := syscall.Write(eventFD, frame[:headerLen+size])
			if err == nil {
				break
			}
			if err != syscall.EINTR && err != syscall.EAGAIN {
				return
			}
		}
		data = data[size:]
	}
}

func sendJSON(kind byte, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		data, _ = json.Marshal(map[string]string{"error": err.Error()})
	}
	send(kind, data)
}

// initStreams takes over what Go code writes to standard output, standard error and GONB_PIPE.
func initStreams() {
	syscall.Syscall(syscall.SYS_FCNTL, eventFD, 1031, 1<<20) // F_SETPIPE_SZ; fails harmlessly
	poll.WriteHook = func(fd int, p []byte) (int, error, bool) {
		switch fd {
		case 1:
			send(kindStdout, p)
		case 2:
			send(kindStderr, p)
		default:
			kind := pipeKind(fd)
			if kind == 0 {
				return 0, nil, false
			}
			send(kind, p)
		}
		return len(p), nil, true
	}
	overrideWrite = func(fd uintptr, p unsafe.Pointer, n int32) int32 {
		if fd == 2 || fd == 1 {
			sendFrame(kindRuntime, 0, 0, p, int(n))
			return n
		}
		r, _, _ := syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(p), uintptr(n))
		return int32(r)
	}
	poll.ReadHook = beforeRead
}

// Frame is one entry of a stack trace.
type Frame struct {
	Func string `json:"func"`
	File string `json:"file"`
	Line int    `json:"line"`
}

// panicFrames returns the stack of the panic v that the calling deferred function recovered. An error that carries the stack of
// where it was made (as github.com/pkg/errors has it) and was thrown on by a library tells more than the last throw.
func panicFrames(v any) []Frame {
	if frames := framesOf(errorStack(v)); slices.ContainsFunc(frames, func(f Frame) bool { return strings.HasPrefix(f.Func, "main.") }) {
		return frames
	}
	pcs := make([]uintptr, 256)
	return framesOf(pcs[:runtime.Callers(2, pcs)])
}

// errorStack returns the program counters of the innermost error that has them.
func errorStack(v any) (pcs []uintptr) {
	err, _ := v.(error)
	for ; err != nil; err = errors.Unwrap(err) {
		m := reflect.ValueOf(err).MethodByName("StackTrace")
		if !m.IsValid() || m.Type().NumIn() != 0 || m.Type().NumOut() != 1 || m.Type().Out(0).Kind() != reflect.Slice || m.Type().Out(0).Elem().Kind() != reflect.Uintptr {
			continue
		}
		trace := m.Call(nil)[0]
		pcs = pcs[:0]
		for i := range trace.Len() {
			pcs = append(pcs, uintptr(trace.Index(i).Uint()))
		}
	}
	return pcs
}

func framesOf(pcs []uintptr) []Frame {
	if len(pcs) == 0 {
		return nil
	}
	frames := runtime.CallersFrames(pcs)
	var out []Frame
	own := true // what is above the first gopanic; more of them follow where a deferred call panicked anew
	for {
		f, more := frames.Next()
		if own && f.Function == "runtime.gopanic" {
			own, out = false, out[:0]
		} else {
			out = append(out, Frame{f.Function, f.File, f.Line})
		}
		if !more {
			return out
		}
	}
}
