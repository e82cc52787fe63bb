package live

import (
	"fmt"
	"internal/abi"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"unsafe"
)

// Plan says what the names of an object mean. What it does not name is private to the object.
type Plan struct {
	Object string            // path of the relocatable file
	Cell   int               // the cell it belongs to
	Vars   map[string]string // symbol of a package variable -> identity
	Funcs  map[string]string // symbol of a function -> what names its code: what is not defined is taken from an earlier object
	Types  map[string]string // type symbol -> canonical name, where it is not the symbol itself
}

// library is one loaded object.
type library struct {
	plan     Plan
	obj      *object
	md       *moduledata
	text     region
	data     region
	got      map[string]uintptr // symbol -> its slot
	stubs    map[uintptr]uintptr
	poll     *uint32
	typeCode [][2]uint64        // where the code that belongs to types is, in the text section
	fresh    map[string]storage // variables that this library brings, not yet known to the others
	// What becomes known to later libraries when this one is published.
	newNames []newName
	newSlots []typeSlots
}

// region is a piece of mapped memory that is filled from the front.
type region struct {
	base, size, used uintptr
}

func (r *region) take(size, align uintptr) uintptr {
	r.used = (r.used + align - 1) &^ (align - 1)
	at := r.base + r.used
	if r.used += size; r.used > r.size {
		panic("gradbook: a library's region is too small") // room computes it
	}
	return at
}

// storage is where a variable lives.
type storage struct {
	addr uintptr
	size uint64
	ptr  any // a pointer to it with its type, once the cell told it
}

// linker holds what libraries share. Only one load runs at a time.
var linker struct {
	sync.Mutex
	funcs  map[string]uintptr // code of functions, by what names it
	vars   map[string]storage // by identity
	base   map[string]uintptr // addresses of the base library's symbols, as asked for
	types  map[string][]*abi.Type
	slots  map[*abi.Type][]methodSlot
	libs   []*library
	mapped uintptr // bytes
}

const (
	relocNone     = 0
	reloc64       = 1
	relocPC32     = 2
	relocPLT32    = 4
	relocGOTPCREL = 9
	relocGOTTPOFF = 22
	relocGOTPCX   = 41
	relocREXGOTX  = 42

	stubSize = 16
	pageSize = 4096
)

// Load maps the object of plan into the process and makes the runtime know it. When it
// returns an error nothing has happened.
func Load(plan Plan) (*library, error) {
	linker.Lock()
	defer linker.Unlock()
	if linker.vars == nil {
		linker.vars, linker.base, linker.funcs = map[string]storage{}, map[string]uintptr{}, map[string]uintptr{}
		linker.types, linker.slots = map[string][]*abi.Type{}, map[*abi.Type][]methodSlot{}
	}
	o, err := readObject(plan.Object)
	if err != nil {
		return nil, err
	}
	l := &library{plan: plan, obj: o, got: map[string]uintptr{}, stubs: map[uintptr]uintptr{}, fresh: map[string]storage{}}
	if err := l.place(); err != nil {
		return nil, err
	}
	if err := l.link(); err != nil {
		l.unmap()
		return nil, err
	}
	return l, nil
}

// link binds and relocates what place mapped, and makes the runtime know it.
func (l *library) link() error {
	if err := l.resolve(); err != nil {
		return err
	}
	if err := l.bindVars(); err != nil {
		return err
	}
	// Types are compared in memory, so their relocations come first, bound to this object.
	if err := l.relocate(false); err != nil {
		return err
	}
	if err := l.module(); err != nil {
		return err
	}
	methods, err := l.bindTypes()
	if err != nil {
		return err
	}
	if err := l.relocate(true); err != nil { // data again: now to the shared types
		return err
	}
	if err := protect(l.text, syscall.PROT_READ|syscall.PROT_EXEC); err != nil {
		return err
	}
	l.publish(methods)
	// The runtime makes itabs of published types only; nothing of the library has run yet. From here on nothing may fail:
	// the runtime knows the library.
	l.bindItabs()
	if err := l.relocate(false); err != nil {
		panic("gradbook: " + err.Error()) // the same relocations were applied above
	}
	l.stubs, l.got = nil, nil
	return nil
}

// place maps the object's sections: code apart from data.
func (l *library) place() error {
	o := l.obj
	var text, data uintptr
	for _, s := range o.sections {
		if !mapped(s) {
			continue
		}
		if s.flags&shfExec != 0 {
			text += uintptr(s.size + s.align)
		} else {
			data += uintptr(s.size + s.align)
		}
	}
	undefined, methods := uintptr(0), uintptr(0)
	for _, s := range o.symbols {
		if s.section == shnUndef {
			undefined++
		}
		if strings.HasPrefix(s.name, "type:") && !strings.HasPrefix(s.name, "type:.") {
			methods += uintptr(s.size) / 16 // a method's entry has 16 bytes
		}
	}
	text += (undefined + 2*methods + 8) * stubSize
	data += (uintptr(len(o.symbols)) + 2*methods + 8) * 8
	text, data = roundUp(text, pageSize), roundUp(data, pageSize)
	base, err := arena.take(text + data)
	if err != nil {
		return err
	}
	l.text, l.data = region{base: base, size: text}, region{base: base + text, size: data}
	linker.mapped += text + data
	for i := range o.sections {
		s := &o.sections[i]
		if !mapped(*s) {
			continue
		}
		r := &l.data
		if s.flags&shfExec != 0 {
			r = &l.text
		}
		s.addr = r.take(uintptr(s.size), uintptr(max(s.align, 8)))
		if s.kind != shtNobits {
			copy(bytesAt(s.addr, s.size), o.data[s.off:s.off+s.size])
		}
	}
	return nil
}

func mapped(s section) bool {
	return s.flags&shfAlloc != 0 && !strings.HasPrefix(s.name, ".note") && s.name != ".init_array"
}

// resolve gives every symbol an address: this object's own, a hook's, the base library's.
func (l *library) resolve() error {
	o := l.obj
	for i := range o.symbols {
		s := &o.symbols[i]
		switch {
		case s.name == "":
		case s.section == shnUndef:
			if s.addr = hook(s.name); s.addr != 0 {
				continue
			}
			if s.addr = l.known(s.name); s.addr != 0 {
				continue
			}
			if s.addr = baseSymbol(s.name); s.addr == 0 && !optional(s) {
				return fmt.Errorf("the loaded program has no symbol %s", s.name)
			}
		case int(s.section) < len(o.sections):
			if at := o.sections[s.section].addr; at != 0 {
				s.local = at + uintptr(s.value)
				s.addr = s.local
			}
		case s.section == shnAbs:
			s.addr = uintptr(s.value)
		}
	}
	if i, ok := o.byName["main.gradbook_poll"]; ok {
		l.poll = (*uint32)(unsafe.Pointer(o.symbols[i].local))
	}
	return nil
}

// known returns the address of a function that an earlier object has, or of a word that points at it.
func (l *library) known(name string) uintptr {
	base, pointer := strings.CutSuffix(name, "·f")
	code := linker.funcs[l.plan.Funcs[strings.TrimSuffix(base, ".abiinternal")]]
	if code == 0 || !pointer {
		return code
	}
	slot := l.data.take(8, 8)
	*(*uintptr)(unsafe.Pointer(slot)) = code
	return slot
}

// optional symbols are asked for by the linker, not by code.
func optional(s *symbol) bool {
	return s.info&15 == stTLS || strings.HasPrefix(s.name, "go:link.") || strings.HasSuffix(s.name, "..inittask")
}

func baseSymbol(name string) uintptr {
	addr, known := linker.base[name]
	if !known {
		if addr = dlsym(name); addr != 0 { // an extension may bring it later
			linker.base[strings.Clone(name)] = addr
		}
	}
	return addr
}

// bindVars binds package variables to their storage.
func (l *library) bindVars() error {
	for name, id := range l.plan.Vars {
		i, ok := l.obj.byName[name]
		if !ok {
			continue // not referred to by any code, and so dropped by the linker
		}
		s := &l.obj.symbols[i]
		if s.local == 0 {
			return fmt.Errorf("variable %s is not defined in the object", name)
		}
		if s.size == 0 {
			s.addr = baseSymbol("runtime.zerobase") // where Go has all variables of no size
			continue
		}
		if st, ok := linker.vars[id]; ok {
			if st.size != s.size {
				return fmt.Errorf("variable %s (%s) has %d bytes, and %d in this object", name, id, st.size, s.size)
			}
			s.addr = st.addr
			continue
		}
		l.fresh[id] = storage{addr: s.local, size: s.size}
	}
	return nil
}

// relocate applies the relocations: of data, or of code too.
func (l *library) relocate(code bool) error {
	return l.obj.relocs(func(t *section, r reloc) error {
		exec := t.flags&shfExec != 0
		if exec && !code {
			return nil
		}
		s := &l.obj.symbols[r.sym]
		at := t.addr + uintptr(r.off)
		switch r.kind {
		case relocNone:
		case reloc64:
			if s.addr == 0 && !optional(s) {
				return fmt.Errorf("symbol %s has no address", s.name)
			}
			value := s.addr + uintptr(r.addend)
			*(*uintptr)(unsafe.Pointer(at)) = value
		case relocPC32, relocPLT32:
			to := s.addr
			if exec && r.kind == relocPLT32 {
				if to = l.callee(s, r.off); !near(to+uintptr(r.addend), at) {
					to = l.stub(to)
				}
			}
			if to == 0 || !near(to+uintptr(r.addend), at) {
				return fmt.Errorf("symbol %s is out of reach", s.name)
			}
			*(*int32)(unsafe.Pointer(at)) = int32(int64(to) + r.addend - int64(at))
		case relocGOTPCREL, relocGOTPCX, relocREXGOTX:
			to := s.addr
			op := (*byte)(unsafe.Pointer(at - 2))
			if *op == 0x8b && r.addend == -4 && to != 0 && near(to-4, at) && !isItab(s.name) { // mov sym@GOT, reg -> lea sym, reg
				*op = 0x8d
			} else {
				to = l.gotSlot(s)
			}
			*(*int32)(unsafe.Pointer(at)) = int32(int64(to) + r.addend - int64(at))
		case relocGOTTPOFF:
			slot, err := l.threadSlot(s)
			if err != nil {
				return err
			}
			*(*int32)(unsafe.Pointer(at)) = int32(int64(slot) + r.addend - int64(at))
		default:
			return fmt.Errorf("relocation of kind %d for %s is not known", r.kind, s.name)
		}
		return nil
	})
}

func near(to, at uintptr) bool {
	d := int64(to) - int64(at)
	return d == int64(int32(d))
}

// gotSlot returns the address of a word that holds the symbol's address.
func (l *library) gotSlot(s *symbol) uintptr {
	slot, ok := l.got[s.name]
	if !ok {
		slot = l.data.take(8, 8)
		l.got[s.name] = slot
	}
	*(*uintptr)(unsafe.Pointer(slot)) = s.addr
	return slot
}

// threadSlot returns the address of a word that holds where, from the thread pointer, a variable of each thread
// is (the runtime's pointer to g is the only one that Go code names).
func (l *library) threadSlot(s *symbol) (uintptr, error) {
	if slot, ok := l.got[s.name]; ok {
		return slot, nil
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const getFS = 0x1003
	var pointer uintptr
	_, _, e := syscall.RawSyscall(syscall.SYS_ARCH_PRCTL, getFS, uintptr(unsafe.Pointer(&pointer)), 0)
	mine := dlsym(s.name)
	if e != 0 || mine == 0 {
		return 0, fmt.Errorf("thread variable %s is not known", s.name)
	}
	slot := l.data.take(8, 8)
	*(*uintptr)(unsafe.Pointer(slot)) = mine - pointer
	l.got[s.name] = slot
	return slot, nil
}

// stub returns the address of code that jumps to a far address.
func (l *library) stub(to uintptr) uintptr {
	at, ok := l.stubs[to]
	if !ok {
		slot := l.data.take(8, 8)
		*(*uintptr)(unsafe.Pointer(slot)) = to
		at = l.jumpThrough(slot)
		l.stubs[to] = at
	}
	return at
}

// jumpThrough makes code that jumps to the address in slot.
func (l *library) jumpThrough(slot uintptr) uintptr {
	at := l.text.take(stubSize, stubSize)
	code := bytesAt(at, 6) // jmp *slot(%rip)
	code[0], code[1] = 0xff, 0x25
	*(*int32)(unsafe.Pointer(at + 2)) = int32(int64(slot) - int64(at) - 6)
	return at
}

// module finds the object's module data and mends what the linker could not know.
func (l *library) module() error {
	i, ok := l.obj.byName["local.moduledata"]
	if !ok || l.obj.symbols[i].local == 0 {
		return fmt.Errorf("%s has no module data", l.plan.Object)
	}
	l.md = (*moduledata)(unsafe.Pointer(l.obj.symbols[i].local))
	if text := l.md.text; text < l.text.base || text >= l.text.base+l.text.size {
		return fmt.Errorf("%s: module data that this version of Gradbook does not know", l.plan.Object)
	}
	l.md.hasmain = 0 // the host program is the main module
	// The runtime compares a file's number, which counts bytes here, with this length, which counts files; of a cell with few files it would know none.
	l.md.filetab = unsafe.Slice(unsafe.SliceData(l.md.filetab), max(len(l.md.filetab), 1<<20))
	l.md.inittasks = nil
	l.md.itablinks = nil
	l.md.modulehashes = nil
	return nil
}

// publish makes the library known: to the runtime, and to later libraries.
func (l *library) publish(methods []methodCode) {
	lastmoduledatap.next = l.md
	lastmoduledatap = l.md
	modulesinit()
	for id, st := range l.fresh {
		linker.vars[id] = st
	}
	for name, id := range l.plan.Funcs {
		if i, ok := l.obj.byName[name+".abiinternal"]; ok && l.obj.symbols[i].local != 0 {
			linker.funcs[id] = l.obj.symbols[i].local
		}
	}
	for _, n := range l.newNames {
		n.name = strings.Clone(n.name) // not with the whole file behind it
		linker.types[n.name] = append(linker.types[n.name], n.typ)
	}
	for _, s := range l.newSlots {
		linker.slots[s.typ] = s.slots
	}
	for _, m := range methods {
		m.set()
	}
	linker.libs = append(linker.libs, l)
	l.fresh, l.newNames, l.newSlots = nil, nil, nil
}

// entry returns the function of a linker symbol.
func (l *library) entry(symbol string) (func(), error) {
	i, ok := l.obj.byName[symbol+".abiinternal"]
	if !ok || l.obj.symbols[i].local == 0 {
		return nil, fmt.Errorf("no function %s in the object", symbol)
	}
	return funcAt(l.obj.symbols[i].local), nil
}

func (l *library) unmap() {
	// Addresses are not used again: a stale pointer then faults rather than lies.
	syscall.Mprotect(unsafe.Slice((*byte)(unsafe.Pointer(l.text.base)), l.text.size+l.data.size), syscall.PROT_NONE)
}

func roundUp(n, to uintptr) uintptr { return (n + to - 1) &^ (to - 1) }

func bytesAt(addr uintptr, n uint64) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(addr)), n)
}
