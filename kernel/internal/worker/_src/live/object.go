package live

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"unsafe"
)

// object is a relocatable ELF file (go.o of the Go linker) with its symbols.
type object struct {
	data     []byte
	sections []section
	symbols  []symbol
	byName   map[string]int // global and local definitions; undefined ones too
}

type section struct {
	name        string
	kind, flags uint64
	off, size   uint64
	align       uint64
	info        uint32
	addr        uintptr // where it is mapped; 0 if it is not
}

type symbol struct {
	name    string
	info    byte
	section uint16
	value   uint64
	size    uint64
	addr    uintptr // what references are bound to
	local   uintptr // where this object defines it; 0 if it does not
}

type reloc struct {
	off    uint64
	kind   uint32
	sym    uint32
	addend int64
}

const (
	shtNobits   = 8
	shtRela     = 4
	shfAlloc    = 2
	shfExec     = 4
	shnUndef    = 0
	shnAbs      = 0xfff1
	stTLS       = 6
	symbolSize  = 24
	relaSize    = 24
	headerSize  = 64
	sectionSize = 64
)

func readObject(path string) (*object, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	o := &object{data: data}
	le := binary.LittleEndian
	if len(data) < headerSize || !bytes.HasPrefix(data, []byte("\x7fELF\x02\x01")) || le.Uint16(data[16:]) != 1 {
		return nil, fmt.Errorf("%s is not a relocatable 64-bit ELF file", path)
	}
	shoff, shnum, shstr := le.Uint64(data[40:]), int(le.Uint16(data[60:])), int(le.Uint16(data[62:]))
	if shoff+uint64(shnum)*sectionSize > uint64(len(data)) || shstr >= shnum {
		return nil, fmt.Errorf("%s is truncated", path)
	}
	var names []uint32
	var links []uint32
	for i := range shnum {
		h := data[shoff+uint64(i)*sectionSize:]
		s := section{kind: uint64(le.Uint32(h[4:])), flags: le.Uint64(h[8:]), off: le.Uint64(h[24:]), size: le.Uint64(h[32:]),
			align: max(le.Uint64(h[48:]), 1), info: le.Uint32(h[44:])}
		if s.kind != shtNobits && s.off+s.size > uint64(len(data)) {
			return nil, fmt.Errorf("%s is truncated", path)
		}
		o.sections = append(o.sections, s)
		names = append(names, le.Uint32(h))
		links = append(links, le.Uint32(h[40:]))
	}
	strings := func(sec int, at uint32) string {
		s := o.sections[sec]
		b := data[s.off+uint64(at) : s.off+s.size]
		return unsafe.String(&b[0], max(bytes.IndexByte(b, 0), 0)) // data outlives every name
	}
	for i := range o.sections {
		o.sections[i].name = strings(shstr, names[i])
	}
	for i, s := range o.sections {
		if s.kind != 2 {
			continue
		}
		count := s.size / symbolSize
		o.symbols = make([]symbol, 0, count)
		o.byName = make(map[string]int, count)
		for at := s.off; at < s.off+s.size; at += symbolSize {
			e := data[at:]
			sym := symbol{name: strings(int(links[i]), le.Uint32(e)), info: e[4], section: le.Uint16(e[6:]), value: le.Uint64(e[8:]), size: le.Uint64(e[16:])}
			if sym.name != "" {
				if old, dup := o.byName[sym.name]; !dup || o.symbols[old].section == shnUndef {
					o.byName[sym.name] = len(o.symbols)
				}
			}
			o.symbols = append(o.symbols, sym)
		}
	}
	return o, nil
}

// relocs calls f for each relocation of the mapped sections.
func (o *object) relocs(f func(target *section, r reloc) error) error {
	le := binary.LittleEndian
	for _, s := range o.sections {
		if s.kind != shtRela || int(s.info) >= len(o.sections) {
			continue
		}
		target := &o.sections[s.info]
		if target.addr == 0 {
			continue
		}
		for at := s.off; at+relaSize <= s.off+s.size; at += relaSize {
			info := le.Uint64(o.data[at+8:])
			r := reloc{off: le.Uint64(o.data[at:]), kind: uint32(info), sym: uint32(info >> 32), addend: int64(le.Uint64(o.data[at+16:]))}
			if r.off+4 > target.size || int(r.sym) >= len(o.symbols) {
				return fmt.Errorf("relocation outside of section %s", target.name)
			}
			if err := f(target, r); err != nil {
				return err
			}
		}
	}
	return nil
}
