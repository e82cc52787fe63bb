package live

import (
	"fmt"
	"reflect"
	"sort"
	"strings"
)

// convert copies values of variables whose types changed into their successors, by field name, and
// says what could not be kept. What was one thing stays one thing: pointers into a value, slices of one
// array and maps are followed, and point into the copies as they did into the originals.
func convert(pairs [][2]string) []string {
	linker.Lock()
	defer linker.Unlock()
	c := converter{maps: map[copied]reflect.Value{}}
	type job struct {
		dst, src reflect.Value
		name     string
	}
	var jobs []job
	for _, p := range pairs {
		from, to := linker.vars[p[0]], linker.vars[p[1]]
		name, _, _ := strings.Cut(p[1], "#")
		if from.ptr == nil || to.ptr == nil {
			c.lost = append(c.lost, name)
			continue
		}
		j := job{reflect.ValueOf(to.ptr).Elem(), reflect.ValueOf(from.ptr).Elem(), name}
		c.extent(j.src.Addr().Pointer(), j.src.Type(), j.dst)
		jobs = append(jobs, j)
	}
	for _, j := range jobs {
		c.copy(j.dst, j.src, j.name)
	}
	c.follow()
	sort.Strings(c.lost)
	return c.lost
}

// converter copies values. Addresses are numbers here: the end of an array is no pointer that the collector may see.
type converter struct {
	lost    []string
	maps    map[copied]reflect.Value
	extents []extent
	waiting []reference
}

// copied names a map that was copied: where it was, and the type of the copy.
type copied struct {
	at  uintptr
	typ reflect.Type
}

// extent is memory that was copied: old values of a type, one or more, and the copy (of several, a slice).
type extent struct {
	lo, hi uintptr
	old    reflect.Type
	copy   reflect.Value
	many   bool
}

// reference is a pointer or slice that is set when all values it may point into are known.
type reference struct {
	dst, src reflect.Value
	path     string
	size     uintptr
}

func (c *converter) extent(at uintptr, old reflect.Type, to reflect.Value) {
	c.extents = append(c.extents, extent{at, at + old.Size(), old, to, false})
}

// lose notes that something other than a zero value is given up.
func (c *converter) lose(src reflect.Value, path string) {
	if !src.IsZero() {
		c.lost = append(c.lost, path)
	}
}

// open gives access to a field whatever its name.
func open(v reflect.Value) reflect.Value {
	return reflect.NewAt(v.Type(), v.Addr().UnsafePointer()).Elem()
}

func (c *converter) copy(dst, src reflect.Value, path string) {
	if dst.Type() == src.Type() {
		dst.Set(src)
		return
	}
	if dst.Kind() != src.Kind() {
		c.lose(src, path)
		return
	}
	switch dst.Kind() {
	case reflect.Struct:
		for i := range src.NumField() {
			f := src.Type().Field(i)
			to, ok := dst.Type().FieldByName(f.Name)
			if !ok || len(to.Index) != 1 {
				c.lose(open(src.Field(i)), path+"."+f.Name)
				continue
			}
			c.copy(open(dst.Field(to.Index[0])), open(src.Field(i)), path+"."+f.Name)
		}
	case reflect.Array:
		for i := range min(dst.Len(), src.Len()) {
			c.copy(dst.Index(i), src.Index(i), fmt.Sprintf("%s[%d]", path, i))
		}
	case reflect.Slice, reflect.Pointer:
		if src.IsNil() {
			return
		}
		size := src.Type().Elem().Size()
		if src.Kind() == reflect.Slice {
			size *= uintptr(src.Cap())
		}
		c.waiting = append(c.waiting, reference{dst, src, path, size})
	case reflect.Map:
		c.copyMap(dst, src, path)
	default:
		if dst.Kind() <= reflect.Complex128 || dst.Kind() == reflect.String {
			dst.Set(src.Convert(dst.Type()))
			return
		}
		c.lose(src, path)
	}
}

func (c *converter) copyMap(dst, src reflect.Value, path string) {
	if src.IsNil() {
		return
	}
	known := copied{src.Pointer(), dst.Type()}
	if v, ok := c.maps[known]; ok {
		dst.Set(v)
		return
	}
	dst.Set(reflect.MakeMapWithSize(dst.Type(), src.Len()))
	c.maps[known] = dst
	for it := src.MapRange(); it.Next(); {
		k, v := reflect.New(dst.Type().Key()).Elem(), reflect.New(dst.Type().Elem()).Elem()
		key, value := reflect.New(src.Type().Key()).Elem(), reflect.New(src.Type().Elem()).Elem()
		key.Set(it.Key())
		value.Set(it.Value())
		c.copy(k, key, path+"[key]")
		c.copy(v, value, fmt.Sprintf("%s[%v]", path, it.Key()))
		c.follow() // a map holds copies: what they refer to has to be there before
		dst.SetMapIndex(k, v)
	}
}

// follow sets what waits, the largest things first: so that a pointer into a value finds the value.
func (c *converter) follow() {
	for len(c.waiting) > 0 {
		at := 0
		for i := range c.waiting {
			if c.waiting[i].size > c.waiting[at].size {
				at = i
			}
		}
		r := c.waiting[at]
		c.waiting = append(c.waiting[:at], c.waiting[at+1:]...)
		if r.src.Kind() == reflect.Pointer {
			c.pointer(r)
		} else {
			c.slice(r)
		}
	}
}

func (c *converter) pointer(r reference) {
	at := r.src.Pointer()
	for _, e := range c.extents {
		if at < e.lo || at >= e.hi {
			continue
		}
		if v, ok := e.find(at, r.src.Type().Elem(), r.dst.Type().Elem()); ok {
			r.dst.Set(open(v).Addr())
			return
		}
	}
	made := reflect.New(r.dst.Type().Elem())
	c.extent(at, r.src.Type().Elem(), made.Elem())
	r.dst.Set(made)
	c.copy(made.Elem(), r.src.Elem(), r.path)
}

func (c *converter) slice(r reference) {
	at, elem := r.src.Pointer(), r.src.Type().Elem()
	if elem.Size() > 0 {
		for _, e := range c.extents {
			if at < e.lo || at+uintptr(r.src.Cap())*elem.Size() > e.hi {
				continue
			}
			if v, i, ok := e.array(at, elem); ok && v.Type().Elem() == r.dst.Type().Elem() && i+r.src.Cap() <= v.Len() {
				r.dst.Set(v.Slice3(i, i+r.src.Len(), i+r.src.Cap()).Convert(r.dst.Type()))
				return
			}
		}
	}
	all := reflect.MakeSlice(r.dst.Type(), r.src.Cap(), r.src.Cap())
	c.extents = append(c.extents, extent{at, at + uintptr(r.src.Cap())*elem.Size(), elem, all, true})
	from := r.src.Slice(0, r.src.Cap())
	for i := range from.Len() {
		c.copy(all.Index(i), from.Index(i), fmt.Sprintf("%s[%d]", r.path, i))
	}
	r.dst.Set(all.Slice(0, r.src.Len()))
}

// find returns the part of an extent's copy that stands for an old value of a type at an address.
func (e extent) find(at uintptr, old, now reflect.Type) (reflect.Value, bool) {
	v, t, off := e.copy, e.old, at-e.lo
	if e.many {
		v, off = v.Index(int(off/t.Size())), off%t.Size()
	}
	for off != 0 || t != old || v.Type() != now {
		switch t.Kind() {
		case reflect.Struct:
			var ok bool
			if v, t, off, ok = field(v, t, off); !ok {
				return v, false
			}
		case reflect.Array:
			t = t.Elem()
			if t.Size() == 0 || int(off/t.Size()) >= v.Len() {
				return v, false
			}
			v, off = v.Index(int(off/t.Size())), off%t.Size()
		default:
			return v, false
		}
	}
	return v, true
}

// array returns the array or slice of an extent's copy that stands for the old one with an element at an address, and which that is.
func (e extent) array(at uintptr, elem reflect.Type) (v reflect.Value, i int, ok bool) {
	v, t, off := e.copy, e.old, at-e.lo
	if e.many {
		if t == elem && off%t.Size() == 0 {
			return v, int(off / t.Size()), true
		}
		v, off = v.Index(int(off/t.Size())), off%t.Size()
	}
	for {
		switch t.Kind() {
		case reflect.Struct:
			if v, t, off, ok = field(v, t, off); !ok {
				return v, 0, false
			}
		case reflect.Array:
			t = t.Elem()
			if t.Size() == 0 || int(off/t.Size()) >= v.Len() {
				return v, 0, false
			}
			if t == elem && off%t.Size() == 0 {
				return open(v), int(off / t.Size()), true
			}
			v, off = v.Index(int(off/t.Size())), off%t.Size()
		default:
			return v, 0, false
		}
	}
}

// field returns the field of v that stands for the one at an offset of the old struct t.
func field(v reflect.Value, t reflect.Type, off uintptr) (reflect.Value, reflect.Type, uintptr, bool) {
	for i := range t.NumField() {
		f := t.Field(i)
		if off < f.Offset || off >= f.Offset+f.Type.Size() {
			continue
		}
		to, ok := v.Type().FieldByName(f.Name)
		if !ok || len(to.Index) != 1 {
			return v, t, off, false
		}
		return open(v.Field(to.Index[0])), f.Type, off - f.Offset, true
	}
	return v, t, off, false
}
