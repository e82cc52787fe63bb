package toolchain

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// object is the Go object in a compiled archive; it is edited in place.
type object struct {
	data    []byte
	blocks  [blockEnd + 1]uint32
	imports []string // packages whose symbols it refers to
	refs    []string // symbols that it does not define
	defs    []string // symbols that it defines, by index; "" for those without a name
	first   int      // index of the first definition that belongs to no package
}

// Parts of Go's object format (cmd/internal/goobj) that are read here.
const (
	objectMagic   = "\x00go120ld"
	blockAutolib  = 0
	blockDefs     = 3 // definitions: of the package, short hashed, hashed, of no package; one block after the other
	blockFreeDefs = 6
	blockRefs     = 7 // references to symbols of no package
	blockFlags    = 8
	blockRelocIdx = 11
	blockReloc    = 14
	blockNames    = 17 // names of the symbols that are referred to by index
	blockEnd      = 18

	objSymSize = 21
	objSymType = 10 // offset of a symbol's type
	relocSize  = 23
	relocType  = 5 // offsets in a relocation
	relocPkg   = 15
	relocSym   = 19

	noPackage   = 1<<31 - 1 // package index of symbols of no package
	selfPackage = noPackage - 4

	relocOffset  = 5 // R_ADDROFF, and R_WEAKADDROFF with the weak bit
	relocUseType = 22
	relocMethod  = 26
	relocWeak    = 1 << 15
)

// parseObject reads the Go object in an archive.
func parseObject(archive []byte) (*object, error) {
	at := bytes.Index(archive, []byte("\n!\n"+objectMagic))
	if at < 0 {
		return nil, fmt.Errorf("the compiler's archive holds no object of the form that %s writes", Wanted)
	}
	o := &object{data: archive[at+3:]}
	const header = len(objectMagic) + 8 + 4
	if len(o.data) < header+4*len(o.blocks) {
		return nil, errors.New("the compiler's object is cut short")
	}
	for i := range o.blocks {
		o.blocks[i] = binary.LittleEndian.Uint32(o.data[header+4*i:])
		if uint64(o.blocks[i]) > uint64(len(o.data)) || i > 0 && o.blocks[i] < o.blocks[i-1] {
			return nil, errors.New("the compiler's object has blocks out of order")
		}
	}
	var indexed []string
	for _, part := range []struct {
		list                       *[]string
		block, after, size, nameAt int
	}{
		{&o.imports, blockAutolib, blockAutolib + 1, 16, 0},
		{&o.defs, blockDefs, blockRefs, objSymSize, 0},
		{&o.refs, blockRefs, blockFlags, objSymSize, 0},
		{&indexed, blockNames, blockEnd, 16, 8},
	} {
		for d := o.data[o.blocks[part.block]:o.blocks[part.after]]; len(d) >= part.size; d = d[part.size:] {
			n, off := uint64(binary.LittleEndian.Uint32(d[part.nameAt:])), uint64(binary.LittleEndian.Uint32(d[part.nameAt+4:]))
			if off+n > uint64(len(o.data)) {
				return nil, errors.New("the compiler's object has a name outside of it")
			}
			*part.list = append(*part.list, string(o.data[off:off+n]))
		}
	}
	o.refs = append(o.refs, indexed...)
	o.first = int(o.blocks[blockFreeDefs]-o.blocks[blockDefs]) / objSymSize
	if n := len(o.defs) + 1; int(o.blocks[blockRelocIdx])+4*n > len(o.data) {
		return nil, errors.New("the compiler's object is cut short")
	}
	return o, nil
}

// relocs returns the relocations of definition i.
func (o *object) relocs(i int) [][]byte {
	index := o.data[o.blocks[blockRelocIdx]:]
	from, to := binary.LittleEndian.Uint32(index[4*i:]), binary.LittleEndian.Uint32(index[4*i+4:])
	var list [][]byte
	for ; from < to; from++ {
		at := uint64(o.blocks[blockReloc]) + uint64(from)*relocSize
		if at+relocSize > uint64(len(o.data)) {
			break
		}
		list = append(list, o.data[at:at+relocSize])
	}
	return list
}

// borrowTypes mends type descriptors that the linker would refuse. The compiler emits descriptors of other packages'
// generic types in every unit that needs them, but their methods only where the type was first used: offsets to such methods
// would have to reach from this object into a library. A descriptor that a library has is taken from there: its definition here
// becomes a reference. For one that none has, the linker's refusal stands.
func (o *object) borrowTypes(has func(name string) bool) {
	borrowed := map[int]bool{}
	for again := true; again; {
		again = false
		for i, name := range o.defs {
			if borrowed[i] || !strings.HasPrefix(name, "type:") || strings.HasPrefix(name, "type:.") || !o.reachesOut(i, borrowed) {
				continue
			}
			linked := mangle(name)
			if i < o.first || linked == name || !has(linked) {
				continue
			}
			o.undefine(i, linked)
			borrowed[i], again = true, true
		}
	}
	for i, name := range o.defs {
		if borrowed[i] || !strings.HasPrefix(name, "type:") || !o.reachesOut(i, borrowed) {
			continue
		}
		for _, r := range o.relocs(i) {
			if o.outside(r, borrowed) && binary.LittleEndian.Uint16(r[relocType:]) == relocOffset|relocWeak {
				binary.LittleEndian.PutUint16(r[relocType:], relocUseType) // a mark only: the offset stays 0, which means unknown
			}
		}
	}
}

// reachesOut says whether definition i has an offset to a symbol that is not defined here.
func (o *object) reachesOut(i int, borrowed map[int]bool) bool {
	for _, r := range o.relocs(i) {
		if t := binary.LittleEndian.Uint16(r[relocType:]) &^ relocWeak; (t == relocMethod || t == relocOffset) && o.outside(r, borrowed) {
			return true
		}
	}
	return false
}

func (o *object) outside(reloc []byte, borrowed map[int]bool) bool {
	pkg, sym := binary.LittleEndian.Uint32(reloc[relocPkg:]), binary.LittleEndian.Uint32(reloc[relocSym:])
	if pkg == noPackage {
		i := o.first + int(sym)
		return i >= len(o.defs) || borrowed[i]
	}
	return pkg != 0 && pkg < selfPackage
}

// undefine makes definition i a reference to the symbol of that name, which is shorter than its own.
func (o *object) undefine(i int, name string) {
	d := o.data[int(o.blocks[blockDefs])+i*objSymSize:]
	off := binary.LittleEndian.Uint32(d[4:])
	copy(o.data[off:], name)
	binary.LittleEndian.PutUint32(d, uint32(len(name)))
	d[objSymType] = 0
	o.refs = append(o.refs, name)
}

// localTypes maps the linked names of the types that are declared inside functions, which the compiler
// numbers anew each time, to their full names.
func (o *object) localTypes() map[string]string {
	list := map[string]string{}
	for _, names := range [][]string{o.defs, o.refs} {
		for _, name := range names {
			if strings.HasPrefix(name, "type:") && !strings.HasPrefix(name, "type:.") && strings.Contains(name, "·") {
				list[mangle(name)] = name
			}
		}
	}
	return list
}
