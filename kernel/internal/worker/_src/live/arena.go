package live

import (
	"fmt"
	"syscall"
	"unsafe"
)

// arena hands out address space for libraries: near one another, so that a variable of an earlier one is
// reached by an offset, and near the base library where the kernel allows.
var arena space

type space struct{ next, end uintptr }

const arenaSize = 1 << 30

//go:linkname sysMmap syscall.mmap
func sysMmap(addr, length uintptr, prot, flags, fd int, offset int64) (uintptr, error)

func (a *space) take(size uintptr) (uintptr, error) {
	if a.end-a.next < size {
		want := uintptr(max(arenaSize, size))
		hint := firstmoduledata.text - want - 1<<28
		at, err := sysMmap(hint&^(1<<21-1), want, syscall.PROT_NONE, syscall.MAP_PRIVATE|syscall.MAP_ANON|syscall.MAP_NORESERVE, -1, 0)
		if err != nil {
			return 0, fmt.Errorf("reserving memory for cells: %w", err)
		}
		a.next, a.end = at, at+want
	}
	at := a.next
	a.next += size
	if err := protect(region{base: at, size: size}, syscall.PROT_READ|syscall.PROT_WRITE); err != nil {
		return 0, err
	}
	return at, nil
}

func protect(r region, prot int) error {
	if err := syscall.Mprotect(unsafe.Slice((*byte)(unsafe.Pointer(r.base)), r.size), prot); err != nil {
		return fmt.Errorf("mapping a cell's code: %w", err)
	}
	return nil
}
