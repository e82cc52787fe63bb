package toolchain

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// thin makes import libraries: for each library an ELF file that has of its symbols only those that
// one link needs, and of its contents only the type descriptors among them, with their GC masks. So the
// linker's time does not grow with the library.
type thin struct {
	libs []*library
	need []map[string]symbol // of each library
	data []map[uint64]uint64 // of each library: address -> size of what is copied
	ptrs []map[uint64]string // of each library: address -> name of the symbol pointed to
}

// alwaysNeeded are the symbols that the linker asks for whatever it links. The last ones it makes itself, but in the order
// in which the library has them: with them the object is, to the byte, what linking against the whole library gives.
var alwaysNeeded = []string{"runtime.lastmoduledatap", "runtime.addmoduledata", "runtime.unreachableMethod", "runtime.tlsg", "type:runtime.moduledata",
	"runtime..inittask", "runtime.textsectionmap", "go:buildinfo", "go:buildinfo.ref", "go:fipsinfo"}

// Layout of a type descriptor (internal/abi.Type).
const (
	typePtrBytes = 8  // offset of the number of bytes that may hold pointers
	typeFlags    = 20 // offset of the flags
	typeKind     = 23
	typeGCMask   = 32
	typeHead     = 48
	kindMask     = 31
	kindArray    = 17
	kindStruct   = 25
	maskOnDemand = 1 << 4
)

func newThin(libs []*library, refs []string) *thin {
	t := &thin{libs: libs}
	for range libs {
		t.need = append(t.need, map[string]symbol{})
		t.data = append(t.data, map[uint64]uint64{})
		t.ptrs = append(t.ptrs, map[uint64]string{})
	}
	for _, names := range [][]string{alwaysNeeded, refs} {
		for _, name := range names {
			name = mangle(name)
			if !t.add(name) {
				t.add(name + ".abiinternal") // a function is there under its calling convention's name
				t.add(name + ".abi0")
			}
		}
	}
	for _, l := range libs {
		t.add("go:link.abihash." + filepath.Base(l.path))
	}
	return t
}

// add adds the symbol of the first library that defines it, and what a type descriptor leads to.
func (t *thin) add(name string) bool {
	for i, l := range t.libs {
		if _, ok := t.need[i][name]; ok {
			return true
		}
		s, ok := l.lookup(name)
		if !ok {
			continue
		}
		t.need[i][name] = s
		if strings.HasPrefix(name, "type:") && !strings.HasPrefix(name, "type:.") {
			t.addType(i, s)
		}
		return true
	}
	return false
}

// addFunc adds a function that no library has, but the live program, with the word that points at it.
func (t *thin) addFunc(name string) {
	const global = byte(elf.STB_GLOBAL) << 4
	t.need[0][name+".abiinternal"] = symbol{info: global | byte(elf.STT_FUNC), section: 1}
	t.need[0][name+"·f"] = symbol{info: global | byte(elf.STT_OBJECT), section: 1, size: 8}
}

// addType adds what the linker reads of a type when a variable has it: its descriptor, its GC mask, and for
// arrays and structs the types that they are made of.
func (t *thin) addType(i int, s symbol) {
	l := t.libs[i]
	d, ok := l.bytesAt(s.value, s.size)
	if !ok || len(d) < typeHead {
		return
	}
	t.data[i][s.value] = s.size
	mask := binary.LittleEndian.Uint64(d[typeGCMask:])
	if bits := binary.LittleEndian.Uint64(d[typePtrBytes:]) / 8; bits > 0 && d[typeFlags]&maskOnDemand == 0 && mask != 0 {
		t.data[i][mask] = max(t.data[i][mask], (bits+7)/8)
	}
	if kind := d[typeKind] & kindMask; kind != kindArray && kind != kindStruct {
		return
	}
	l.pointersIn(s.value, s.size, func(at uint64, index uint32) {
		name := l.name(index)
		if strings.HasPrefix(name, "type:") && !strings.HasPrefix(name, "type:.") && t.add(name) {
			t.ptrs[i][at] = name
			if _, ok := t.need[i][name]; !ok { // another library defines it: it is there by name only, as symbols without a type are
				t.need[i][name] = symbol{info: byte(elf.STB_GLOBAL) << 4}
			}
		}
	})
}

// span is a piece of a library's data: one section of the import library.
type span struct{ addr, size uint64 }

// spans returns the pieces of library i in order, those that touch made one.
func (t *thin) spans(i int) []span {
	var list []span
	for addr, size := range t.data[i] {
		list = append(list, span{addr, size})
	}
	slices.SortFunc(list, func(a, b span) int {
		if a.addr < b.addr {
			return -1
		}
		return 1
	})
	var out []span
	for _, s := range list {
		if n := len(out); n > 0 && s.addr <= out[n-1].addr+out[n-1].size {
			out[n-1].size = max(out[n-1].size, s.addr+s.size-out[n-1].addr)
			continue
		}
		out = append(out, s)
	}
	return out
}

// section is one section of the import library in the making.
type section struct {
	typ   elf.SectionType
	addr  uint64
	link  uint32
	entry uint64
	data  []byte
}

// wholeLibraries makes links go against the libraries themselves, as the linker expects it; a test compares.
var wholeLibraries = false

// write puts the import library of library i into dir and returns its path.
func (t *thin) write(i int, dir string) (string, error) {
	if wholeLibraries {
		return t.libs[i].path, nil
	}
	path := filepath.Join(dir, filepath.Base(t.libs[i].path))
	return path, os.WriteFile(path, t.file(i), 0o600)
}

// file returns the import library of library i.
func (t *thin) file(i int) []byte {
	l := t.libs[i]
	sections := []section{{}, {}, {}, {}} // null, .dynsym, .dynstr, .rela
	for _, note := range l.notes {
		sections = append(sections, section{typ: elf.SHT_NOTE, data: note})
	}
	first := len(sections)
	spans := t.spans(i)
	for _, s := range spans {
		data, _ := l.bytesAt(s.addr, s.size)
		sections = append(sections, section{typ: elf.SHT_PROGBITS, addr: s.addr, data: data})
	}
	strs, syms, index := []byte{0}, make([]byte, symSize), map[string]uint64{}
	names := sortedKeys(t.need[i])
	slices.SortStableFunc(names, func(a, b string) int { // the library's order: the linker's follows it
		return int(t.need[i][a].index) - int(t.need[i][b].index)
	})
	for n, name := range names {
		s := t.need[i][name]
		index[name] = uint64(n + 1)
		in := s.section
		if in != 0 {
			in = 1 // any section: only those of types are looked at
			if j, ok := slices.BinarySearchFunc(spans, s.value, func(p span, v uint64) int {
				if p.addr+p.size <= v {
					return -1
				} else if p.addr > v {
					return 1
				}
				return 0
			}); ok {
				in = uint16(first + j)
			}
		}
		syms = binary.LittleEndian.AppendUint32(syms, uint32(len(strs)))
		syms = append(syms, s.info, 0)
		syms = binary.LittleEndian.AppendUint16(syms, in)
		syms = binary.LittleEndian.AppendUint64(syms, s.value)
		syms = binary.LittleEndian.AppendUint64(syms, s.size)
		strs = append(append(strs, name...), 0)
	}
	var rela []byte
	for _, at := range sortedKeys(t.ptrs[i]) {
		rela = binary.LittleEndian.AppendUint64(rela, at)
		rela = binary.LittleEndian.AppendUint64(rela, index[t.ptrs[i][at]]<<32|uint64(elf.R_X86_64_64))
		rela = binary.LittleEndian.AppendUint64(rela, 0)
	}
	sections[1] = section{typ: elf.SHT_DYNSYM, link: 2, entry: symSize, data: syms}
	sections[2] = section{typ: elf.SHT_STRTAB, data: strs}
	sections[3] = section{typ: elf.SHT_RELA, link: 1, entry: symSize, data: rela}
	return writeELF(sections)
}

// writeELF lays sections out as a shared library that only a linker reads. Sections have no names but the table of names.
func writeELF(sections []section) []byte {
	sections = append(sections, section{typ: elf.SHT_STRTAB, data: []byte{0}})
	head := elf.Header64{
		Ident:     [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:      uint16(elf.ET_DYN),
		Machine:   uint16(elf.EM_X86_64),
		Version:   uint32(elf.EV_CURRENT),
		Ehsize:    64,
		Phentsize: 56,
		Shentsize: 64,
		Shnum:     uint16(len(sections)),
		Shstrndx:  uint16(len(sections) - 1),
	}
	body := make([]byte, 64)
	headers := make([]elf.Section64, len(sections))
	for i, s := range sections {
		for len(body)%8 != 0 {
			body = append(body, 0)
		}
		headers[i] = elf.Section64{Type: uint32(s.typ), Addr: s.addr, Off: uint64(len(body)), Size: uint64(len(s.data)), Link: s.link, Entsize: s.entry, Addralign: 1}
		if s.typ == elf.SHT_PROGBITS {
			headers[i].Flags = uint64(elf.SHF_ALLOC)
		}
		body = append(body, s.data...)
	}
	headers[0] = elf.Section64{}
	for len(body)%8 != 0 {
		body = append(body, 0)
	}
	head.Shoff = uint64(len(body))
	out := bytes.NewBuffer(body)
	binary.Write(out, binary.LittleEndian, headers) // a bytes.Buffer takes all
	body = out.Bytes()
	var h bytes.Buffer
	binary.Write(&h, binary.LittleEndian, head)
	copy(body, h.Bytes())
	return body
}
