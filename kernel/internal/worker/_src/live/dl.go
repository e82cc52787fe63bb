package live

import (
	"errors"
	"runtime"
	"unsafe"
)

//go:cgo_import_dynamic libc_dlopen dlopen "libc.so.6"
//go:cgo_import_dynamic libc_dlsym dlsym "libc.so.6"
//go:cgo_import_dynamic libc_dlerror dlerror "libc.so.6"

//go:linkname libc_dlopen libc_dlopen
//go:linkname libc_dlsym libc_dlsym
//go:linkname libc_dlerror libc_dlerror

// The addresses of these are the C functions'.
var libc_dlopen, libc_dlsym, libc_dlerror byte

// ccall calls a C function of at most two arguments on the system stack.
func ccall(fn *byte, a, b uintptr) uintptr {
	arg := &struct{ fn, a, b, result uintptr }{uintptr(unsafe.Pointer(fn)), a, b, 0}
	cgocall(unsafe.Pointer(code.ccall), unsafe.Pointer(arg))
	return arg.result
}

// dlopen maps a shared library (one that the Go linker made, of packages outside
// the base) into the process.
func dlopen(path string) error {
	const nowGlobal = 0x2 | 0x100
	name := cstring(path)
	runtime.LockOSThread() // dlerror is per thread
	defer runtime.UnlockOSThread()
	handle := ccall(&libc_dlopen, uintptr(unsafe.Pointer(name)), nowGlobal)
	runtime.KeepAlive(name)
	if handle != 0 {
		return nil
	}
	return errors.New(gostring((*byte)(unsafe.Pointer(ccall(&libc_dlerror, 0, 0)))))
}

// dlsym returns the address of a symbol of the base library or of an
// extension, 0 if there is none.
func dlsym(name string) uintptr {
	p := cstring(name)
	at := ccall(&libc_dlsym, 0, uintptr(unsafe.Pointer(p)))
	runtime.KeepAlive(p)
	return at
}

// cstring returns a zero-terminated copy. It is on the heap, which does not move.
func cstring(s string) *byte {
	b := make([]byte, len(s)+1)
	copy(b, s)
	sink = b
	return &b[0]
}

var sink []byte // makes what it is assigned escape

func gostring(p *byte) string {
	if p == nil {
		return ""
	}
	n := 0
	for *(*byte)(unsafe.Add(unsafe.Pointer(p), n)) != 0 {
		n++
	}
	return string(unsafe.Slice(p, n))
}
