package live

import (
	"internal/abi"
	"reflect"
	"sync"
	"unsafe"
)

// reflect makes descriptors at run time (SliceOf, PointerTo, ...) when no module has one, and
// keeps them in caches of its own. An object that brings the compiler's descriptor of such a type later must bind to the one that exists.

//go:linkname reflectLookups reflect.lookupCache
var reflectLookups sync.Map // array, channel, map, slice: -> reflect.Type

//go:linkname reflectPointers reflect.ptrMap
var reflectPointers sync.Map // -> *reflect.ptrType, which begins with the descriptor

//go:linkname reflectFuncs reflect.funcLookupCache
var reflectFuncs struct {
	sync.Mutex
	m sync.Map // -> []*reflect.rtype
}

//go:linkname reflectStructs reflect.structLookupCache
var reflectStructs struct {
	sync.Mutex
	m sync.Map // -> []reflect.Type
}

// madeByReflect returns the descriptors that reflect made and that may be t.
func madeByReflect(c *comparison, t *abi.Type) []*abi.Type {
	if t.TFlag&abi.TFlagNamed != 0 {
		return nil
	}
	if c.reflected == nil {
		c.reflected = map[string][]*abi.Type{}
		add := func(p unsafe.Pointer) {
			t := (*abi.Type)(p)
			c.reflected[oldText(t)] = append(c.reflected[oldText(t)], t)
		}
		word := func(v any) unsafe.Pointer { return (*[2]unsafe.Pointer)(unsafe.Pointer(&v))[1] }
		one := func(_, v any) bool { add(word(v)); return true }
		reflectLookups.Range(one)
		reflectPointers.Range(one)
		reflectFuncs.m.Range(func(_, v any) bool {
			for _, p := range *(*[]unsafe.Pointer)(word(v)) {
				add(p)
			}
			return true
		})
		reflectStructs.m.Range(func(_, v any) bool {
			for _, t := range v.([]reflect.Type) {
				add((*[2]unsafe.Pointer)(unsafe.Pointer(&t))[1])
			}
			return true
		})
	}
	return c.reflected[c.text(t)]
}
