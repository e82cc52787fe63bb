package live

import (
	"syscall"
	"unsafe"
)

// beforeRead is called when Go code is about to read standard input. It tells the kernel that the program waits, and
// waits here rather than in the read, so that an interrupt can end the goroutine and leaves the input to others.
func beforeRead(int) {
	if inputReady(0) {
		return
	}
	send(kindInput, nil)
	for !inputReady(50) {
		Poll()
	}
}

// inputReady waits up to that many milliseconds for input, or its end.
func inputReady(ms int) bool {
	fd := struct {
		fd              int32
		events, revents int16
	}{0, 1, 0} // POLLIN
	n, _, e := syscall.Syscall(syscall.SYS_POLL, uintptr(unsafe.Pointer(&fd)), 1, uintptr(ms))
	return e != syscall.EINTR && (e != 0 || n != 0)
}
