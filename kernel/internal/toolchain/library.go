package toolchain

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sort"
	"syscall"
)

// library is a shared library of compiled packages as the linker of a cell needs to see it: its
// dynamic symbols by name, the bytes of its type descriptors, and which symbols those point to.
// All of it is read from mapped files, so that opening costs nothing.
type library struct {
	path     string
	data     []byte // the library, mapped
	pointers []byte // sorted (offset uint64, symbol uint32, 0 uint32) of the pointers between symbols; mapped
	sections []elf.SectionHeader
	notes    [][]byte
	symbols  []byte // .dynsym
	strings  []byte // .dynstr
	hash     gnuHash
}

// gnuHash is the library's own table of symbols by name (DT_GNU_HASH).
type gnuHash struct {
	first, shift   uint32
	bloom          []byte
	buckets, chain []byte
}

const (
	symSize     = 24
	pointerSize = 16
)

// pointersOf lists the pointers of a library in the form that openLibrary wants them.
func pointersOf(path string) ([]byte, error) {
	f, err := elf.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rela := f.Section(".rela.dyn")
	if rela == nil {
		return nil, fmt.Errorf("%s has no relocations: it is no library of Go packages", path)
	}
	data, err := rela.Data()
	if err != nil {
		return nil, err
	}
	type pointer struct {
		off uint64
		sym uint32
	}
	var list []pointer
	for ; len(data) >= symSize; data = data[symSize:] {
		off, info, addend := binary.LittleEndian.Uint64(data), binary.LittleEndian.Uint64(data[8:]), binary.LittleEndian.Uint64(data[16:])
		if elf.R_X86_64(info&0xffffffff) == elf.R_X86_64_64 && info>>32 != 0 && addend == 0 {
			list = append(list, pointer{off, uint32(info >> 32)})
		}
	}
	sort.Slice(list, func(i, j int) bool { return list[i].off < list[j].off })
	out := make([]byte, 0, len(list)*pointerSize)
	for _, p := range list {
		out = binary.LittleEndian.AppendUint64(out, p.off)
		out = binary.LittleEndian.AppendUint64(out, uint64(p.sym))
	}
	return out, nil
}

func mapFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return nil, errors.Join(err, fmt.Errorf("%s: %d bytes", path, info.Size()))
	}
	return syscall.Mmap(int(f.Fd()), 0, int(info.Size()), syscall.PROT_READ, syscall.MAP_SHARED)
}

func openLibrary(path, pointers string) (*library, error) {
	l := &library{path: path}
	var err error
	if l.data, err = mapFile(path); err == nil {
		l.pointers, err = mapFile(pointers)
	}
	if err == nil {
		err = l.parse()
	}
	if err != nil {
		l.close()
		return nil, fmt.Errorf("open library: %w", err)
	}
	return l, nil
}

func (l *library) close() {
	if l.data != nil {
		syscall.Munmap(l.data)
	}
	if l.pointers != nil {
		syscall.Munmap(l.pointers)
	}
	l.data, l.pointers = nil, nil
}

func (l *library) parse() error {
	f, err := elf.NewFile(bytes.NewReader(l.data))
	if err != nil {
		return fmt.Errorf("%s: %w", l.path, err)
	}
	for _, s := range f.Sections {
		l.sections = append(l.sections, s.SectionHeader)
		var body []byte
		if s.Type != elf.SHT_NOBITS && s.Type != elf.SHT_NULL {
			if s.Offset+s.FileSize > uint64(len(l.data)) {
				return fmt.Errorf("%s is cut short at section %s", l.path, s.Name)
			}
			body = l.data[s.Offset : s.Offset+s.FileSize]
		}
		switch {
		case s.Type == elf.SHT_DYNSYM:
			l.symbols = body
		case s.Name == ".dynstr":
			l.strings = body
		case s.Type == elf.SHT_NOTE:
			l.notes = append(l.notes, body)
		case s.Type == elf.SHT_GNU_HASH && len(body) >= 16:
			n, words := binary.LittleEndian.Uint32(body), binary.LittleEndian.Uint32(body[8:])
			h := &l.hash
			h.first, h.shift = binary.LittleEndian.Uint32(body[4:]), binary.LittleEndian.Uint32(body[12:])
			if uint64(len(body)) < 16+8*uint64(words)+4*uint64(n) {
				return fmt.Errorf("%s: its hash table is cut short", l.path)
			}
			h.bloom, body = body[16:16+8*words], body[16+8*words:]
			h.buckets, h.chain = body[:4*n], body[4*n:]
		}
	}
	if l.symbols == nil || l.strings == nil || len(l.hash.buckets) == 0 || len(l.hash.bloom) == 0 {
		return fmt.Errorf("%s lacks its dynamic symbols or their GNU hash table", l.path)
	}
	return nil
}

// symbol is one entry of .dynsym.
type symbol struct {
	index       uint32
	info        byte
	section     uint16
	value, size uint64
}

// at returns the symbol of that index.
func (l *library) at(index uint32) (symbol, bool) {
	i := uint64(index) * symSize
	if i+symSize > uint64(len(l.symbols)) {
		return symbol{}, false
	}
	d := l.symbols[i:]
	return symbol{index, d[4], binary.LittleEndian.Uint16(d[6:]), binary.LittleEndian.Uint64(d[8:]), binary.LittleEndian.Uint64(d[16:])}, true
}

// name returns the name of the symbol of that index.
func (l *library) name(index uint32) string {
	i := uint64(index) * symSize
	if i+symSize > uint64(len(l.symbols)) {
		return ""
	}
	off := uint64(binary.LittleEndian.Uint32(l.symbols[i:]))
	if off > uint64(len(l.strings)) {
		return ""
	}
	name, _, _ := bytes.Cut(l.strings[off:], []byte{0})
	return string(name)
}

// lookup finds a symbol that the library defines.
func (l *library) lookup(name string) (symbol, bool) {
	h := uint32(5381)
	for i := range len(name) {
		h = h*33 + uint32(name[i])
	}
	t := &l.hash
	word := binary.LittleEndian.Uint64(t.bloom[8*(uint64(h/64)%uint64(len(t.bloom)/8)):])
	if word>>(h%64)&1 == 0 || word>>((h>>t.shift)%64)&1 == 0 {
		return symbol{}, false
	}
	i := binary.LittleEndian.Uint32(t.buckets[4*(uint64(h)%uint64(len(t.buckets)/4)):])
	if i < t.first {
		return symbol{}, false
	}
	for ; uint64(i-t.first)*4+4 <= uint64(len(t.chain)); i++ {
		c := binary.LittleEndian.Uint32(t.chain[4*(i-t.first):])
		if c|1 == h|1 && l.name(i) == name {
			return l.at(i)
		}
		if c&1 != 0 {
			break
		}
	}
	return symbol{}, false
}

// bytesAt returns n bytes of the library's data at an address.
func (l *library) bytesAt(addr, n uint64) ([]byte, bool) {
	for _, s := range l.sections {
		if s.Flags&elf.SHF_ALLOC != 0 && s.Type == elf.SHT_PROGBITS && s.Addr <= addr && addr+n <= s.Addr+s.FileSize {
			off := s.Offset + addr - s.Addr
			if off+n > uint64(len(l.data)) {
				return nil, false
			}
			return l.data[off : off+n], true
		}
	}
	return nil, false
}

// pointersIn calls f for each pointer to a symbol within n bytes at addr.
func (l *library) pointersIn(addr, n uint64, f func(at uint64, index uint32)) {
	count := len(l.pointers) / pointerSize
	for i := sort.Search(count, func(i int) bool { return binary.LittleEndian.Uint64(l.pointers[i*pointerSize:]) >= addr }); i < count; i++ {
		d := l.pointers[i*pointerSize:]
		at := binary.LittleEndian.Uint64(d)
		if at >= addr+n {
			return
		}
		f(at, binary.LittleEndian.Uint32(d[8:]))
	}
}
