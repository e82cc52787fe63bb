//go:build linux && (amd64 || arm64) && cgo && !noxla

package backend

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdlib.h>
*/
import "C"

import "unsafe"

// preload loads a shared library for good, so that what looks for it by name finds it. One that does not load is left to whoever needs it, whose message says more.
func preload(path string) {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	C.dlopen(name, C.RTLD_NOW|C.RTLD_LOCAL)
}
