package live

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"internal/abi"
	"os"
	"strconv"
	"strings"
	"syscall"
	"unsafe"
)

// extend maps a shared library of packages outside the base, and runs their initializers.
func extend(path string) (err error) {
	linker.Lock()
	defer linker.Unlock()
	before := lastmoduledatap
	if err := dlopen(path); err != nil {
		return fmt.Errorf("loading %s: %w", path, err)
	}
	if lastmoduledatap == before {
		return nil // loaded already
	}
	modulesinit()
	typelinksinit()
	if err := itabsOf(path); err != nil {
		return err
	}
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("initializing the packages of %s: panic: %s", path, panicText(v))
		}
	}()
	doInit(lastmoduledatap.inittasks)
	return nil
}

// itabsOf points each word of a mapped library that refers to an itab at the one that the runtime has for the pair.
func itabsOf(path string) error {
	f, err := elf.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	bias, err := mappedAt(path)
	if err != nil {
		return err
	}
	symbols, err := f.DynamicSymbols()
	if err != nil {
		return err
	}
	for _, s := range f.Sections {
		if s.Type != elf.SHT_RELA {
			continue
		}
		data, err := s.Data()
		if err != nil {
			return err
		}
		for ; len(data) >= relaSize; data = data[relaSize:] {
			info := binary.LittleEndian.Uint64(data[8:])
			sym := int(info>>32) - 1
			if kind := elf.R_X86_64(uint32(info)); kind != elf.R_X86_64_GLOB_DAT && kind != elf.R_X86_64_64 || sym < 0 || !isItab(symbols[sym].Name) {
				continue
			}
			pointAtItab(bias + uintptr(binary.LittleEndian.Uint64(data)))
		}
	}
	return nil
}

func pointAtItab(at uintptr) {
	slot := (*uintptr)(unsafe.Pointer(at))
	own := (*abi.ITab)(unsafe.Pointer(*slot))
	one := getitab(own.Inter, own.Type, true)
	if one == nil || one == own {
		return
	}
	if one.Hash != own.Type.Hash {
		one.Hash = own.Type.Hash
	}
	page := at &^ (pageSize - 1)
	syscall.Mprotect(unsafe.Slice((*byte)(unsafe.Pointer(page)), 2*pageSize), syscall.PROT_READ|syscall.PROT_WRITE)
	*slot = uintptr(unsafe.Pointer(one))
}

// mappedAt returns the address at which a library is mapped.
func mappedAt(path string) (uintptr, error) {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(maps)) {
		if strings.HasSuffix(strings.TrimRight(line, "\n"), path) {
			start, _, _ := strings.Cut(line, "-")
			at, err := strconv.ParseUint(start, 16, 64)
			return uintptr(at), err
		}
	}
	return 0, fmt.Errorf("%s is not mapped", path)
}
