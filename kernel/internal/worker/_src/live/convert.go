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
	c := converter{made: map[[2]unsafe.Pointer]reflect.Value{}}
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
	made map[[2]unsafe.Pointer]reflect.Value // pointers copied already, by old address and new type; one for all variables
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
	case reflect.Slice:
		if src.IsNil() {
			return
		}
		dst.Set(reflect.MakeSlice(dst.Type(), src.Len(), src.Len()))
		for i := range src.Len() {
			c.copy(dst.Index(i), src.Index(i), fmt.Sprintf("%s[%d]", path, i))
		}
	case reflect.Map:
		if src.IsNil() {
			return
		}
		dst.Set(reflect.MakeMapWithSize(dst.Type(), src.Len()))
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
		known := [2]unsafe.Pointer{src.UnsafePointer(), (*[2]unsafe.Pointer)(unsafe.Pointer(ptrTo(dst.Type())))[1]}
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

func ptrTo(t reflect.Type) *reflect.Type { return &t }
