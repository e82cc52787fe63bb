package live

import (
	"internal/abi"
	"unsafe"
)

// moduledata mirrors runtime.moduledata of Go 1.26. The fields that the loader
// leaves alone are kept as padding of the right size.
type moduledata struct {
	pcHeader     unsafe.Pointer
	funcnametab  []byte
	cutab        []uint32
	filetab      []byte
	pctab        []byte
	pclntable    []byte
	ftab         []struct{ entry, fn uint32 }
	findfunctab  uintptr
	minpc, maxpc uintptr

	text, etext           uintptr
	noptrdata, enoptrdata uintptr
	data, edata           uintptr
	bss, ebss             uintptr
	noptrbss, enoptrbss   uintptr
	covctrs, ecovctrs     uintptr
	end, gcdata, gcbss    uintptr
	types, etypes         uintptr
	rodata                uintptr
	gofunc                uintptr
	epclntab              uintptr

	textsectmap []struct{ vaddr, end, base uintptr }
	typelinks   []int32
	itablinks   []*abi.ITab

	ptab       []struct{ name, typ int32 }
	pluginpath string
	pkghashes  []modulehash
	inittasks  []unsafe.Pointer

	modulename   string
	modulehashes []modulehash

	hasmain uint8
	bad     bool

	gcdatamask, gcbssmask struct {
		n        int32
		bytedata *uint8
	}
	typemap map[int32]*abi.Type
	next    *moduledata
}

type modulehash struct {
	name, link string
	run        *string
}

//go:linkname firstmoduledata runtime.firstmoduledata
var firstmoduledata moduledata

//go:linkname lastmoduledatap runtime.lastmoduledatap
var lastmoduledatap *moduledata

//go:linkname modulesinit runtime.modulesinit
func modulesinit()

//go:linkname typelinksinit runtime.typelinksinit
func typelinksinit()

//go:linkname doInit runtime.doInit
func doInit(tasks []unsafe.Pointer)

//go:linkname getitab runtime.getitab
func getitab(inter *abi.InterfaceType, typ *abi.Type, canfail bool) *abi.ITab

//go:linkname resolveNameOff runtime.resolveNameOff
func resolveNameOff(in unsafe.Pointer, off int32) abi.Name

//go:linkname resolveTypeOff runtime.resolveTypeOff
func resolveTypeOff(in unsafe.Pointer, off int32) *abi.Type

//go:linkname cgocall runtime.cgocall
func cgocall(fn, arg unsafe.Pointer) int32

//go:linkname getProfLabel runtime/pprof.runtime_getProfLabel
func getProfLabel() unsafe.Pointer

//go:linkname setProfLabel runtime/pprof.runtime_setProfLabel
func setProfLabel(p unsafe.Pointer)

//go:linkname overrideWrite runtime.overrideWrite
var overrideWrite func(fd uintptr, p unsafe.Pointer, n int32) int32

// entryOf returns the address of the code of a function without a closure.
func entryOf(f func()) uintptr { return **(**uintptr)(unsafe.Pointer(&f)) }

// funcAt makes a function value of the code at pc.
func funcAt(pc uintptr) func() {
	v := unsafe.Pointer(&struct{ pc uintptr }{pc})
	return *(*func())(unsafe.Pointer(&v))
}
