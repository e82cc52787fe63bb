package backend

import (
	"fmt"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

var (
	tensorType  = reflect.TypeFor[tensors.Tensor]()
	backendType = reflect.TypeFor[compute.Backend]()
	execType    = reflect.TypeFor[graph.Exec]()
	syncMapType = reflect.TypeFor[sync.Map]()
	atomicType  = reflect.TypeFor[atomic.Value]()
)

// outcome is what became of a tensor.
type outcome struct {
	moved bool
	lost  string // why it has no value
	busy  bool   // somebody holds its lock
}

// walk looks through variables. It keeps a list of what is still to be looked at, since a linked list of the user's may be longer than a stack is deep.
type walk struct {
	to       compute.Backend
	quiet    bool // maps are not entered
	labels   map[compute.Backend]string
	outcomes map[*tensors.Tensor]outcome
	holding  holding
	moved    Moved

	// Of the variable that is looked through:
	todo    []place
	seen    map[visit]bool
	found   []*tensors.Tensor // that were moved
	problem string            // why the rest was not looked through
}

// place is a value and the way to it.
type place struct {
	v   reflect.Value
	way *way
}

// way leads from a variable to a value in it; steps that the user could not write are not part of it.
type way struct {
	from *way
	text string       // "net", ".Trainer", "[...]"
	typ  reflect.Type // of what is there
	open bool         // the user could write it so
}

func (w *way) String() string {
	if w.from == nil {
		return w.text
	}
	return w.from.String() + w.text
}

// visit is a place in memory that was seen as a type: a struct and its first field share an address.
type visit struct {
	at     unsafe.Pointer
	length int
	typ    reflect.Type
}

// limit is how many values of one variable are looked at: some seconds' work.
const limit = 4 << 20

// variable looks through one variable, given by a pointer to it. Whatever goes wrong (somebody changes it meanwhile) costs the rest of this variable only.
func (w *walk) variable(name string, pointer any) {
	w.todo, w.seen, w.found, w.problem = w.todo[:0], map[visit]bool{}, nil, ""
	v := reflect.ValueOf(pointer)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return
	}
	func() {
		defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
		defer func() {
			if r := recover(); r != nil {
				w.problem = fmt.Sprintf("it could not be read: %v", r)
			}
		}()
		w.push(v.Elem(), &way{text: name, typ: v.Type().Elem(), open: true})
		for n := 0; len(w.todo) > 0; n++ {
			if n == limit {
				w.problem = fmt.Sprintf("it has more than %d parts", limit)
				return
			}
			p := w.todo[len(w.todo)-1]
			w.todo = w.todo[:len(w.todo)-1]
			w.look(p.v, p.way)
		}
	}()
	if w.problem != "" {
		w.moved.Unseen = append(w.moved.Unseen, name+" ("+w.problem+")")
	}
	switch t := v.Elem(); {
	case len(w.found) == 0:
	case len(w.found) == 1 && (t.Kind() == reflect.Pointer && t.Type().Elem() == tensorType || t.Type() == tensorType):
		w.moved.Tensors = append(w.moved.Tensors, name+" ("+dims(w.found[0])+")")
	default:
		w.moved.Tensors = append(w.moved.Tensors, name+" ("+number(len(w.found), "tensor")+")")
	}
}

// push puts a value on the list if something of interest may be reached from it.
func (w *walk) push(v reflect.Value, at *way) {
	if w.holding.in(v.Type()) {
		w.todo = append(w.todo, place{v, at})
	}
}

// first tells whether a place in memory is seen for the first time.
func (w *walk) first(at unsafe.Pointer, length int, t reflect.Type) bool {
	key := visit{at, length, t}
	if at == nil || w.seen[key] {
		return false
	}
	w.seen[key] = true
	return true
}

func (w *walk) look(v reflect.Value, at *way) {
	t := v.Type()
	if t.Kind() != reflect.Interface && t.Implements(backendType) {
		w.bound(v, at)
		return
	}
	switch t.Kind() {
	case reflect.Interface:
		if !v.IsNil() {
			if e := v.Elem(); t != backendType && !e.Type().Implements(backendType) {
				w.push(e, &way{from: at.from, text: at.text, typ: e.Type(), open: at.open})
			} else {
				w.bound(e, at)
			}
		}
	case reflect.Pointer:
		if v.IsNil() || !w.first(v.UnsafePointer(), 0, t) {
			return
		}
		if t.Elem() == tensorType {
			w.tensor((*tensors.Tensor)(v.UnsafePointer()), at)
			return
		}
		w.push(v.Elem(), at)
	case reflect.Slice:
		if w.first(v.UnsafePointer(), v.Len(), t) {
			w.elements(v, at)
		}
	case reflect.Array:
		w.elements(v, at)
	case reflect.Map:
		w.entries(v, at)
	case reflect.Struct:
		w.fields(v, at)
	}
}

func (w *walk) elements(v reflect.Value, at *way) {
	inner := &way{from: at, text: "[...]", typ: v.Type().Elem(), open: at.open}
	for i := range v.Len() {
		w.push(v.Index(i), inner)
		if len(w.todo) > limit {
			return
		}
	}
}

func (w *walk) entries(v reflect.Value, at *way) {
	if v.IsNil() || !w.first(v.UnsafePointer(), 0, v.Type()) {
		return
	}
	if w.quiet {
		if at.open {
			w.moved.Unseen = append(w.moved.Unseen, fmt.Sprintf("%s (a map, which goroutines may be writing)", at))
		}
		return
	}
	inner := &way{from: at, text: "[...]", typ: v.Type().Elem(), open: at.open}
	for entries := v.MapRange(); entries.Next(); {
		w.push(entries.Key(), inner)
		w.push(entries.Value(), inner)
	}
}

func (w *walk) fields(v reflect.Value, at *way) {
	t := v.Type()
	switch {
	case t == tensorType:
		if v.CanAddr() {
			w.tensor((*tensors.Tensor)(v.Addr().UnsafePointer()), at)
		}
		return
	case t == execType: // of the rest nothing is the user's
		if f, ok := t.FieldByName("backend"); ok {
			w.push(v.FieldByIndex(f.Index), &way{from: at, text: ".backend"})
		}
		return
	case t == syncMapType:
		if v.CanAddr() {
			(*sync.Map)(v.Addr().UnsafePointer()).Range(func(key, value any) bool {
				for _, x := range []any{key, value} {
					if x != nil {
						w.push(reflect.ValueOf(x), at)
					}
				}
				return true
			})
		}
		return
	case t == atomicType:
		if v.CanAddr() {
			if x := (*atomic.Value)(v.Addr().UnsafePointer()).Load(); x != nil {
				w.push(reflect.ValueOf(x), at)
			}
		}
		return
	case atomicPointer(t):
		if v.CanAddr() {
			p := atomic.LoadPointer((*unsafe.Pointer)(v.Addr().UnsafePointer()))
			w.push(reflect.NewAt(t.Field(0).Type.Elem().Elem(), p), at)
		}
		return
	}
	for i := range t.NumField() {
		if f := t.Field(i); w.holding.in(f.Type) {
			w.push(v.Field(i), &way{from: at, text: "." + f.Name, typ: f.Type, open: at.open && (f.IsExported() || f.PkgPath == "main")})
		}
	}
}

// bound notes that what is at a place computes on another backend; v holds that.
func (w *walk) bound(v reflect.Value, at *way) {
	var b compute.Backend
	switch {
	case v.Kind() == reflect.Pointer && v.IsNil():
		return
	case v.Kind() == reflect.Pointer: // made anew: reflect hands out nothing that came from an unexported field
		b, _ = reflect.NewAt(v.Type().Elem(), v.UnsafePointer()).Interface().(compute.Backend)
	case v.CanInterface():
		b, _ = v.Interface().(compute.Backend)
	}
	if b == nil || b == w.to {
		return
	}
	for ; !at.open; at = at.from {
	}
	text, label := fmt.Sprintf("%s (%s)", at, at.typ), w.label(b)
	if !slices.Contains(w.moved.Bound[label], text) {
		w.moved.Bound[label] = append(w.moved.Bound[label], text)
	}
}

func (w *walk) label(b compute.Backend) string {
	if label, ok := w.labels[b]; ok {
		return label
	}
	return "another " + b.String() + " backend"
}

// tensor brings a tensor to the host, once.
func (w *walk) tensor(t *tensors.Tensor, at *way) {
	o, known := w.outcomes[t]
	if !known {
		o = w.toHost(t)
		w.outcomes[t] = o
		if o.moved {
			w.moved.Count++
			w.moved.Bytes += t.ByteSize()
		}
	}
	for ; !at.open; at = at.from {
	}
	note := func(list *[]string, why string) {
		if text := fmt.Sprintf("%s (%s)", at, why); !slices.Contains(*list, text) {
			*list = append(*list, text)
		}
	}
	switch {
	case o.moved && w.first(unsafe.Pointer(t), -1, tensorType):
		w.found = append(w.found, t)
	case o.lost != "":
		note(&w.moved.Lost, o.lost)
	case o.busy:
		note(&w.moved.Unseen, "in use by a goroutine")
	}
}

// patience is how long a tensor's lock is waited for.
const patience = time.Second

func (w *walk) toHost(t *tensors.Tensor) (o outcome) {
	defer func() {
		if r := recover(); r != nil {
			o = outcome{lost: fmt.Sprint(r)}
		}
	}()
	b, free := belongs(t)
	switch {
	case !free:
		return outcome{busy: true}
	case b == nil || b == w.to:
		return outcome{}
	case t.CheckValid() != nil:
		if b.IsFinalized() {
			return outcome{lost: "its backend was finalised"}
		}
		return outcome{lost: "donated or finalised before"}
	}
	if err := t.ToLocal(); err != nil {
		return outcome{lost: firstLine(err.Error())}
	}
	return outcome{moved: true}
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// belongs returns the backend that a tensor can be used with, nil if with any; GoMLX tells that of a tensor only while it has a copy there. It reports false if
// somebody keeps the tensor locked.
func belongs(t *tensors.Tensor) (b compute.Backend, free bool) {
	lock, ok := tensorType.FieldByName("mu")
	field, has := tensorType.FieldByName("backend")
	if !ok || !has || lock.Type != reflect.TypeFor[sync.Mutex]() || field.Type != backendType { // another GoMLX
		b, _ = t.Backend()
		return b, true
	}
	locked := (*sync.Mutex)(unsafe.Add(unsafe.Pointer(t), lock.Offset))
	for start := time.Now(); !locked.TryLock(); time.Sleep(time.Millisecond) {
		if time.Since(start) > patience {
			return nil, false
		}
	}
	defer locked.Unlock()
	return *(*compute.Backend)(unsafe.Add(unsafe.Pointer(t), field.Offset)), true
}
