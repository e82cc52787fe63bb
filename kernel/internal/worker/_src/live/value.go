package live

import (
	"errors"
	"gradbook/live/view"
	"reflect"
	"unsafe"
)

// valueOf returns the text of a variable's value. It is not read while goroutines of cells
// live: they may be writing it.
func valueOf(id string) (string, error) {
	if busy() {
		return "", errors.New("code of the notebook is running")
	}
	linker.Lock()
	st := linker.vars[id]
	linker.Unlock()
	if st.ptr == nil {
		return "", errors.New("no such variable")
	}
	return view.Text(reflect.ValueOf(st.ptr).Elem().Interface()), nil
}

// busy reports whether a goroutine that a cell started is alive.
func busy() bool {
	runs.RLock()
	defer runs.RUnlock()
	alive := false
	forEachG(func(g unsafe.Pointer) {
		label := *(*unsafe.Pointer)(unsafe.Add(g, labelOffset))
		alive = alive || label != nil && !dead(g) && runs.byLabel[label] != nil
	})
	return alive
}
