package backend

import (
	"reflect"
	"strings"

	"github.com/gomlx/gomlx/core/graph"
)

// holding knows of types whether a tensor or a backend may be reached from their values, so that large data is not looked through number by number.
type holding map[reflect.Type]bool

func (h holding) in(t reflect.Type) bool {
	if known, ok := h[t]; ok {
		return known
	}
	visited := map[reflect.Type]bool{}
	answer := h.find(t, visited)
	for v := range visited {
		// Within a cycle a type is taken for harmless until shown otherwise; that holds for all of it only if nothing was found at all.
		if !answer {
			h[v] = false
		}
	}
	h[t] = answer
	return answer
}

func (h holding) find(t reflect.Type, visited map[reflect.Type]bool) bool {
	if known, ok := h[t]; ok {
		return known
	}
	if visited[t] {
		return false
	}
	visited[t] = true
	switch t.Kind() {
	case reflect.Interface:
		return true
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return h.find(t.Elem(), visited)
	case reflect.Map:
		return h.find(t.Key(), visited) || h.find(t.Elem(), visited)
	case reflect.Struct:
		switch {
		case t == tensorType || t == execType || t == syncMapType || t == atomicType || atomicPointer(t):
			return true
		case opaque(t):
			return t.Implements(backendType) || reflect.PointerTo(t).Implements(backendType)
		}
		for i := range t.NumField() {
			if h.find(t.Field(i).Type, visited) {
				return true
			}
		}
	}
	return false
}

// atomicPointer tells whether t is an atomic.Pointer of some type; its first field names the type and takes no room.
func atomicPointer(t reflect.Type) bool {
	return t.PkgPath() == "sync/atomic" && strings.HasPrefix(t.Name(), "Pointer[") && t.Field(0).Type.Kind() == reflect.Array && t.Field(0).Type.Elem().Kind() == reflect.Pointer
}

// graphPath is the package whose values are compiled for one backend.
var graphPath = reflect.TypeFor[graph.Graph]().PkgPath()

// opaque are structs whose inside is nobody's variables: of graphs, of backends, and of most of the standard library.
func opaque(t reflect.Type) bool {
	path := t.PkgPath()
	if path == graphPath || strings.HasPrefix(path, "github.com/gomlx/compute/") || strings.HasPrefix(path, "github.com/gomlx/go-xla/") {
		return true
	}
	first, _, _ := strings.Cut(path, "/")
	return standard[first] && !strings.HasPrefix(path, "container/")
}

// standard are the first words of the standard library's paths.
var standard = func() map[string]bool {
	all := map[string]bool{}
	for name := range strings.FieldsSeq(`archive bufio bytes compress context crypto database debug embed encoding errors expvar flag fmt go hash html image index internal io iter
		log maps math mime net os path plugin reflect regexp runtime slices sort strconv strings sync syscall testing text time unicode unique unsafe weak`) {
		all[name] = true
	}
	return all
}()
