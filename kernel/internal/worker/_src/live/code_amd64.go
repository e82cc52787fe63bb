package live

import (
	"encoding/binary"
	"syscall"
	"unsafe"
)

// code holds the addresses of a few instructions that Go cannot express. They are written here
// byte by byte because packages of an overlay cannot have assembly files.
var code struct {
	ccall      uintptr // C function on the system stack
	currentG   uintptr // func() unsafe.Pointer: the goroutine's g
	noctxt     uintptr // in place of runtime.morestack_noctxt
	ctxt       uintptr // in place of runtime.morestack
	realNoctxt uintptr
	realCtxt   uintptr
}

func initCode() error {
	at, err := arena.take(pageSize)
	if err != nil {
		return err
	}
	r := region{base: at, size: pageSize}
	emit := func(b []byte) uintptr {
		to := r.take(uintptr(len(b)), 16)
		copy(bytesAt(to, uint64(len(b))), b)
		return to
	}
	code.ccall = emit([]byte{
		0x53,             // push rbx
		0x48, 0x89, 0xfb, // mov rbx, rdi
		0x48, 0x8b, 0x7b, 0x08, // mov rdi, [rbx+8]
		0x48, 0x8b, 0x73, 0x10, // mov rsi, [rbx+16]
		0xff, 0x13, // call [rbx]
		0x48, 0x89, 0x43, 0x18, // mov [rbx+24], rax
		0x5b, // pop rbx
		0xc3, // ret
	})
	code.currentG = emit([]byte{0x4c, 0x89, 0xf0, 0xc3}) // mov rax, r14; ret
	if err := protect(r, syscall.PROT_READ|syscall.PROT_EXEC); err != nil {
		return err
	}
	code.realNoctxt, code.realCtxt = dlsym("runtime.morestack_noctxt.abi0"), dlsym("runtime.morestack.abi0")
	findLabelOffset()
	if err := protect(r, syscall.PROT_READ|syscall.PROT_WRITE); err != nil {
		return err
	}
	code.noctxt = emit(stackHook(code.realNoctxt))
	code.ctxt = emit(stackHook(code.realCtxt))
	return protect(r, syscall.PROT_READ|syscall.PROT_EXEC)
}

func currentG() unsafe.Pointer {
	f := funcAt(code.currentG)
	return (*(*func() unsafe.Pointer)(unsafe.Pointer(&f)))()
}

// stackHook makes the code that cell code calls in a function's prologue, where the compiler means runtime.morestack: when the
// stack is too small or its guard was poisoned. If the goroutine is to end, it ends as if the function's
// caller had called endGoroutine in place of the function; else the runtime does what it does. At this
// point argument registers are spilled, r12 and r13 are free, r14 is the goroutine's g, and rdx the closure, which must stay.
func stackHook(real uintptr) []byte {
	word := func(op []byte, v uintptr) []byte { return binary.LittleEndian.AppendUint64(op, uint64(v)) }
	movR12 := []byte{0x49, 0xbc}
	jmpR12 := []byte{0x41, 0xff, 0xe4}

	var compare []byte
	n := len(stopped)
	for i := range stopped {
		left := (n-1-i)*6 + 13 // to the end of this block, and over what goes on
		compare = append(compare, 0x4d, 0x3b, 0x65, byte(8*i), 0x74, byte(left))
	}
	goOn := append(word(movR12, real), jmpR12...) // 13 bytes
	stop := append([]byte{0x48, 0x83, 0xc4, 0x08}, append(word(movR12, endGoroutinePC), jmpR12...)...)

	load := []byte{0x4d, 0x8b, 0xa6} // mov r12, [r14+labelOffset]
	load = binary.LittleEndian.AppendUint32(load, uint32(labelOffset))
	load = append(load, 0x4d, 0x85, 0xe4) // test r12, r12
	set := word([]byte{0x49, 0xbd}, uintptr(unsafe.Pointer(&stopped)))
	load = append(load, 0x74, byte(len(set)+len(compare))) // je goOn

	out := word(movR12, uintptr(unsafe.Pointer(&stopping)))
	out = append(out, 0x4d, 0x8b, 0x24, 0x24, 0x4d, 0x85, 0xe4) // mov r12, [r12]; test r12, r12
	out = append(out, 0x74, byte(len(load)+len(set)+len(compare)))
	for _, part := range [][]byte{load, set, compare, goOn, stop} {
		out = append(out, part...)
	}
	return out
}
