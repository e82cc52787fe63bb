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
var reflectLookups sync.Map

//go:linkname reflectPointers reflect.ptrMap
var reflectPointers sync.Map

// madeByReflect returns the descriptors that reflect made and that may be t.
func madeByReflect(c *comparison, t *abi.Type) []*abi.Type {
	if t.TFlag&abi.TFlagNamed != 0 {
		return nil
	}
	if c.reflected == nil {
		c.reflected = map[string][]*abi.Type{}
		collect := func(_, v any) bool {
			if t, ok := v.(reflect.Type); ok {
				p := (*[2]unsafe.Pointer)(unsafe.Pointer(&t))[1]
				c.reflected[t.String()] = append(c.reflected[t.String()], (*abi.Type)(p))
			} else { // ptrMap holds *reflect.ptrType, which begins with the descriptor
				p := (*abi.Type)((*[2]unsafe.Pointer)(unsafe.Pointer(&v))[1])
				c.reflected[oldText(p)] = append(c.reflected[oldText(p)], p)
			}
			return true
		}
		reflectLookups.Range(collect)
		reflectPointers.Range(collect)
	}
	return c.reflected[c.text(t)]
}
