package live

import (
	"fmt"
	"internal/abi"
	"slices"
	"strings"
	"sync/atomic"
	"unsafe"
)

// A type is identified by its canonical name and its content. The descriptors of a new object are compared
// with those in the process, field by field; what a descriptor points at is compared the same way, and assumed equal
// until it is shown to differ. So a type that is the same in two objects is one descriptor,
// and a type that changed is a new one, whatever its name.

// candidate pairs a descriptor of the object with those it may turn out to be.
type candidate struct {
	typ       *abi.Type
	sym       int
	name      string
	old       []*abi.Type
	out       []bool // old[j] was shown to differ
	base      bool   // old[0] is the base library's
	reflected int    // from this index on old was made by reflect
}

type comparison struct {
	lib       *library
	types     []*candidate
	at        map[*abi.Type]*candidate
	reflected map[string][]*abi.Type // what reflect made, by its text
}

// bindTypes decides what each type symbol of the object means, and returns the method
// code that its shared types are to run from now on.
func (l *library) bindTypes() ([]methodCode, error) {
	c := &comparison{lib: l, at: map[*abi.Type]*candidate{}}
	for i := range l.obj.symbols {
		s := &l.obj.symbols[i]
		if s.local == 0 || s.size < uint64(unsafe.Sizeof(abi.Type{})) || !strings.HasPrefix(s.name, "type:") || strings.HasPrefix(s.name, "type:.") {
			continue
		}
		t := (*abi.Type)(unsafe.Pointer(s.local))
		plainName(c.nameAt(int32(t.Str)))
		k := &candidate{typ: t, sym: i, name: s.name}
		if alias, ok := l.plan.Types[s.name]; ok {
			k.name = alias
		} else if at := baseSymbol(s.name); at != 0 {
			k.old, k.base = append(k.old, (*abi.Type)(unsafe.Pointer(at))), true
		}
		k.old = append(k.old, linker.types[k.name]...)
		k.reflected = len(k.old)
		k.old = append(k.old, madeByReflect(c, t)...)
		k.out = make([]bool, len(k.old))
		c.types = append(c.types, k)
		c.at[t] = k
	}
	for changed := true; changed; {
		changed = false
		for _, k := range c.types {
			for j, old := range k.old {
				if !k.out[j] && !c.same(k.typ, old, j >= k.reflected) {
					k.out[j], changed = true, true
				}
			}
		}
	}
	return c.settle()
}

// ownPrefix is before the names of what the program declares under a predeclared name; package program puts it there.
const ownPrefix = "gradbook_own_"

// plainName takes the prefix out of a type's text. The text is private to the object, and has nothing behind it but padding.
func plainName(n abi.Name) {
	text := n.Name()
	if !strings.Contains(text, ownPrefix) || n.HasTag() {
		return
	}
	short := strings.ReplaceAll(text, ownPrefix, "")
	at := unsafe.Add(unsafe.Pointer(n.Bytes), 1)
	size := 1
	for *(*byte)(unsafe.Add(at, size-1))&0x80 != 0 {
		size++
	}
	length := len(short)
	for i := range size { // a length of as many bytes as before, so that the text stays where it is
		b := byte(length & 0x7f)
		if length >>= 7; i < size-1 {
			b |= 0x80
		}
		*(*byte)(unsafe.Add(at, i)) = b
	}
	copy(unsafe.Slice((*byte)(unsafe.Add(at, size)), len(text)), short)
}

// settle binds the symbols and fills the module's type map.
func (c *comparison) settle() ([]methodCode, error) {
	l := c.lib
	var codes []methodCode
	l.md.typemap = make(map[int32]*abi.Type, len(c.types))
	pinned = append(pinned, l.md.typemap)
	fresh := map[int32]bool{}
	for _, k := range c.types {
		off := int32(uintptr(unsafe.Pointer(k.typ)) - l.md.types)
		one := k.typ
		for j := range k.old {
			if !k.out[j] {
				one = k.old[j]
				if j >= k.reflected {
					one.Hash = k.typ.Hash // reflect's differs, and type switches ask for the compiler's
				}
				break
			}
		}
		l.md.typemap[off] = one
		if one == k.typ {
			if k.base {
				return nil, fmt.Errorf("type %s is not the base library's type of that name", c.text(k.typ))
			}
			fresh[off] = true
			l.newNames = append(l.newNames, newName{k.name, one})
			codes = append(codes, l.addSlots(k.typ)...)
			continue
		}
		l.obj.symbols[k.sym].addr = uintptr(unsafe.Pointer(one))
		codes = append(codes, l.useSlots(k.typ, one)...)
	}
	links := l.md.typelinks[:0]
	for _, off := range l.md.typelinks {
		if fresh[off] {
			links = append(links, off)
		}
	}
	// reflect looks for a text by halving: sorted they were, unless plainName shortened one.
	slices.SortStableFunc(links, func(a, b int32) int { return strings.Compare(c.text(c.typeAt(a)), c.text(c.typeAt(b))) })
	l.md.typelinks = links
	return codes, nil
}

// pinned keeps type maps alive: module data is no root for the collector.
var pinned []map[int32]*abi.Type

type newName struct {
	name string
	typ  *abi.Type
}

// child reports whether x, which a descriptor of the object points at, is y.
func (c *comparison) child(x, y *abi.Type) bool {
	if x == y {
		return true
	}
	k := c.at[x]
	if k == nil {
		return false
	}
	for j, old := range k.old {
		if old == y {
			return !k.out[j]
		}
	}
	return false
}

// typeAt and nameAt resolve offsets of the object's own descriptors, which the runtime does not know yet.
func (c *comparison) typeAt(off int32) *abi.Type {
	return (*abi.Type)(unsafe.Pointer(c.lib.md.types + uintptr(off)))
}

func (c *comparison) nameAt(off int32) abi.Name {
	return abi.Name{Bytes: (*byte)(unsafe.Pointer(c.lib.md.types + uintptr(off)))}
}

func (c *comparison) text(t *abi.Type) string {
	s := c.nameAt(int32(t.Str)).Name()
	if t.TFlag&abi.TFlagExtraStar != 0 {
		return s[1:]
	}
	return s
}

func oldName(t *abi.Type, off int32) abi.Name { return resolveNameOff(unsafe.Pointer(t), off) }

// same compares the descriptor a of the object with b of the process, which reflect may have made.
func (c *comparison) same(a, b *abi.Type, reflected bool) bool {
	if reflected && b.TFlag&abi.TFlagUncommon != 0 { // with methods it may have itabs, which are found by its hash
		return false
	}
	if a.Size_ != b.Size_ || a.PtrBytes != b.PtrBytes || a.Hash != b.Hash && !reflected || a.Align_ != b.Align_ || a.FieldAlign_ != b.FieldAlign_ ||
		a.Kind_ != b.Kind_ || (a.Equal == nil) != (b.Equal == nil) {
		return false
	}
	const flags = abi.TFlagNamed | abi.TFlagRegularMemory
	if a.TFlag&flags != b.TFlag&flags || c.text(a) != oldText(b) {
		return false
	}
	if !c.sameMethods(a, b) {
		return false
	}
	switch a.Kind() {
	case abi.Array:
		x, y := (*abi.ArrayType)(unsafe.Pointer(a)), (*abi.ArrayType)(unsafe.Pointer(b))
		return x.Len == y.Len && c.child(x.Elem, y.Elem)
	case abi.Chan:
		x, y := (*abi.ChanType)(unsafe.Pointer(a)), (*abi.ChanType)(unsafe.Pointer(b))
		return x.Dir == y.Dir && c.child(x.Elem, y.Elem)
	case abi.Func:
		return c.sameFunc((*abi.FuncType)(unsafe.Pointer(a)), (*abi.FuncType)(unsafe.Pointer(b)))
	case abi.Interface:
		return c.sameInterface((*abi.InterfaceType)(unsafe.Pointer(a)), (*abi.InterfaceType)(unsafe.Pointer(b)))
	case abi.Map:
		x, y := (*abi.MapType)(unsafe.Pointer(a)), (*abi.MapType)(unsafe.Pointer(b))
		return x.SlotSize == y.SlotSize && x.ElemOff == y.ElemOff && x.Flags == y.Flags && c.child(x.Key, y.Key) && c.child(x.Elem, y.Elem)
	case abi.Pointer:
		return c.child((*abi.PtrType)(unsafe.Pointer(a)).Elem, (*abi.PtrType)(unsafe.Pointer(b)).Elem)
	case abi.Slice:
		return c.child((*abi.SliceType)(unsafe.Pointer(a)).Elem, (*abi.SliceType)(unsafe.Pointer(b)).Elem)
	case abi.Struct:
		return c.sameStruct((*abi.StructType)(unsafe.Pointer(a)), (*abi.StructType)(unsafe.Pointer(b)))
	}
	return true
}

func oldText(t *abi.Type) string {
	s := oldName(t, int32(t.Str)).Name()
	if t.TFlag&abi.TFlagExtraStar != 0 {
		return s[1:]
	}
	return s
}

func sameName(a, b abi.Name) bool {
	if a.Bytes == nil || b.Bytes == nil {
		return a.Bytes == b.Bytes
	}
	return a.Name() == b.Name() && a.Tag() == b.Tag() && a.IsExported() == b.IsExported() && a.IsEmbedded() == b.IsEmbedded()
}

func (c *comparison) sameFunc(x, y *abi.FuncType) bool {
	if x.InCount != y.InCount || x.OutCount != y.OutCount {
		return false
	}
	return c.sameList(x.InSlice(), y.InSlice()) && c.sameList(x.OutSlice(), y.OutSlice())
}

func (c *comparison) sameList(x, y []*abi.Type) bool {
	for i := range x {
		if !c.child(x[i], y[i]) {
			return false
		}
	}
	return len(x) == len(y)
}

func (c *comparison) sameInterface(x, y *abi.InterfaceType) bool {
	if len(x.Methods) != len(y.Methods) || !sameName(x.PkgPath, y.PkgPath) {
		return false
	}
	for i := range x.Methods {
		a, b := x.Methods[i], y.Methods[i]
		if !sameName(c.nameAt(int32(a.Name)), oldName(&y.Type, int32(b.Name))) ||
			!c.child(c.typeAt(int32(a.Typ)), resolveTypeOff(unsafe.Pointer(y), int32(b.Typ))) {
			return false
		}
	}
	return true
}

func (c *comparison) sameStruct(x, y *abi.StructType) bool {
	if len(x.Fields) != len(y.Fields) || !sameName(x.PkgPath, y.PkgPath) {
		return false
	}
	for i := range x.Fields {
		a, b := &x.Fields[i], &y.Fields[i]
		if a.Offset != b.Offset || !sameName(a.Name, b.Name) || !c.child(a.Typ, b.Typ) {
			return false
		}
	}
	return true
}

// sameMethods compares method sets: names, packages and types; not the code.
func (c *comparison) sameMethods(a, b *abi.Type) bool {
	x, y := a.Uncommon(), b.Uncommon()
	if x == nil || y == nil {
		return x == nil && y == nil
	}
	if x.Mcount != y.Mcount || x.Xcount != y.Xcount || c.nameAt(int32(x.PkgPath)).Name() != pkgName(b, y) {
		return false
	}
	m, n := x.Methods(), y.Methods()
	for i := range m {
		if c.nameAt(int32(m[i].Name)).Name() != oldName(b, int32(n[i].Name)).Name() {
			return false
		}
		if m[i].Mtyp > 0 && n[i].Mtyp > 0 && !c.child(c.typeAt(int32(m[i].Mtyp)), resolveTypeOff(unsafe.Pointer(b), int32(n[i].Mtyp))) {
			return false
		}
	}
	return true
}

func pkgName(t *abi.Type, u *abi.UncommonType) string {
	if u.PkgPath == 0 {
		return ""
	}
	return oldName(t, int32(u.PkgPath)).Name()
}

// methodSlot is the word through which one method of a shared type is reached.
type methodSlot struct{ ifn, tfn *uintptr }

// methodCode is what a slot is to hold once the library is published.
type methodCode struct {
	slot *uintptr
	code uintptr
}

func (m methodCode) set() { atomic.StoreUintptr(m.slot, m.code) }

// addSlots makes the methods of a new type reachable through slots, so that an
// edited body reaches its values, also inside interfaces.
func (l *library) addSlots(t *abi.Type) []methodCode {
	u := t.Uncommon()
	if u == nil || u.Mcount == 0 {
		return nil
	}
	methods := u.Methods()
	slots := make([]methodSlot, len(methods))
	var codes []methodCode
	for i := range methods {
		m := &methods[i]
		slots[i].ifn = l.addSlot(&m.Ifn)
		slots[i].tfn = l.addSlot(&m.Tfn)
		for _, s := range []*uintptr{slots[i].ifn, slots[i].tfn} {
			if s != nil {
				codes = append(codes, methodCode{s, *s})
			}
		}
	}
	l.newSlots = append(l.newSlots, typeSlots{t, slots})
	return codes
}

type typeSlots struct {
	typ   *abi.Type
	slots []methodSlot
}

func (l *library) addSlot(off *abi.TextOff) *uintptr {
	if *off <= 0 && *off == -1 {
		return nil // never called, says the linker
	}
	slot := (*uintptr)(unsafe.Pointer(l.data.take(8, 8)))
	*slot = l.md.text + uintptr(*off)
	*off = abi.TextOff(l.jumpThrough(uintptr(unsafe.Pointer(slot))) - l.md.text)
	return slot
}

// useSlots says which code of this object the methods of a type known already are to run.
func (l *library) useSlots(t, one *abi.Type) []methodCode {
	slots := linker.slots[one]
	u := t.Uncommon()
	if slots == nil || u == nil {
		return nil
	}
	var codes []methodCode
	for i, m := range u.Methods() {
		if m.Ifn != -1 && slots[i].ifn != nil {
			codes = append(codes, methodCode{slots[i].ifn, l.md.text + uintptr(m.Ifn)})
		}
		if m.Tfn != -1 && slots[i].tfn != nil {
			codes = append(codes, methodCode{slots[i].tfn, l.md.text + uintptr(m.Tfn)})
		}
	}
	return codes
}

// bindItabs makes every reference to a (interface, type) pair's itab the one that the
// runtime has: compiled code compares them by address.
func (l *library) bindItabs() {
	for i := range l.obj.symbols {
		s := &l.obj.symbols[i]
		if !isItab(s.name) || s.addr == 0 {
			continue
		}
		own := (*abi.ITab)(unsafe.Pointer(s.addr))
		one := getitab(own.Inter, own.Type, true)
		if one == nil {
			continue // generic code that compares with a type that never implements it
		}
		if one.Hash != own.Type.Hash { // itabs that the runtime made lack it; type switches ask for it
			one.Hash = own.Type.Hash
		}
		s.addr = uintptr(unsafe.Pointer(one))
		if slot, ok := l.got[s.name]; ok {
			*(*uintptr)(unsafe.Pointer(slot)) = s.addr
		}
	}
}

func isItab(name string) bool { return strings.HasPrefix(name, "go:itab.") }
