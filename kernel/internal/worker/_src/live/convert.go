package live

import (
	"fmt"
	"reflect"
	"sort"
	"strings"
	"unsafe"
)

// convert copies values of variables whose types changed into their successors, by field name, and
// says what could not be kept.
func convert(pairs [][2]string) []string {
	linker.Lock()
	defer linker.Unlock()
	c := converter{made: map[copied]reflect.Value{}}
	for _, p := range pairs {
		from, to := linker.vars[p[0]], linker.vars[p[1]]
		name, _, _ := strings.Cut(p[1], "#")
		if from.ptr == nil || to.ptr == nil {
			c.lost = append(c.lost, name)
			continue
		}
		c.copy(reflect.ValueOf(to.ptr).Elem(), reflect.ValueOf(from.ptr).Elem(), name)
	}
	sort.Strings(c.lost)
	return c.lost
}

type converter struct {
	lost []string
	made map[copied]reflect.Value // pointers copied already, by old address and new type; one for all variables
}

// copied names what was copied: where it was, and the type of the copy. Addresses are numbers here: the end
// of an array is no pointer that the collector may see.
type copied struct{ at, typ uintptr }

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
	case reflect.Slice:
		if !src.IsNil() {
			c.slice(dst, src, path)
		}
	case reflect.Map:
		if src.IsNil() {
			return
		}
		known := copied{src.Pointer(), typeWord(dst.Type())}
		if v, ok := c.made[known]; ok {
			dst.Set(v)
			return
		}
		dst.Set(reflect.MakeMapWithSize(dst.Type(), src.Len()))
		c.made[known] = dst
		for it := src.MapRange(); it.Next(); {
			k, v := reflect.New(dst.Type().Key()).Elem(), reflect.New(dst.Type().Elem()).Elem()
			from := reflect.New(src.Type().Elem()).Elem()
			from.Set(it.Value())
			key := reflect.New(src.Type().Key()).Elem()
			key.Set(it.Key())
			c.copy(k, key, path+"[key]")
			c.copy(v, from, fmt.Sprintf("%s[%v]", path, it.Key()))
			dst.SetMapIndex(k, v)
		}
	case reflect.Pointer:
		if src.IsNil() {
			return
		}
		known := copied{src.Pointer(), typeWord(dst.Type())}
		if v, ok := c.made[known]; ok {
			dst.Set(v)
			return
		}
		dst.Set(reflect.New(dst.Type().Elem()))
		c.made[known] = dst
		c.copy(dst.Elem(), src.Elem(), path)
	default:
		if dst.Kind() <= reflect.Complex128 || dst.Kind() == reflect.String {
			dst.Set(src.Convert(dst.Type()))
			return
		}
		c.lose(src, path)
	}
}

// slice copies a slice so that slices of one array stay slices of one array: what is shared is
// known by where the capacity ends, and copied whole with the first that is met.
func (c *converter) slice(dst, src reflect.Value, path string) {
	size := src.Type().Elem().Size()
	end := src.Pointer() + uintptr(src.Cap())*size
	known := copied{end, typeWord(dst.Type())}
	all, ok := c.made[known]
	if !ok || all.Cap() < src.Cap() {
		all = reflect.MakeSlice(dst.Type(), src.Cap(), src.Cap())
		c.made[known] = all
		from := src.Slice(0, src.Cap())
		for i := range from.Len() {
			c.copy(all.Index(i), from.Index(i), fmt.Sprintf("%s[%d]", path, i))
		}
	}
	start := all.Cap() - src.Cap()
	dst.Set(all.Slice(start, start+src.Len()))
}

// typeWord is the address of a type's descriptor.
func typeWord(t reflect.Type) uintptr { return (*[2]uintptr)(unsafe.Pointer(&t))[1] }
