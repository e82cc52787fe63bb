package live

import (
	"bytes"
	"errors"
	"gradbook/live/view"
	"reflect"
	"runtime"
)

// valueOf returns the text of a variable's value. It is not read while code of the notebook
// runs: that may be writing it.
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

// busy reports whether a goroutine has a function of the notebook on its stack. Goroutines that only libraries
// run, such as the readers of pipes, do not count.
func busy() bool {
	buf := make([]byte, 1<<16)
	n := runtime.Stack(buf, true)
	for n == len(buf) && n < 1<<24 {
		buf = make([]byte, 4*n)
		n = runtime.Stack(buf, true)
	}
	for _, stack := range bytes.Split(buf[:n], []byte("\n\n")) {
		if bytes.Contains(stack, []byte("gradbook/live.newproc")) { // which the notebook started, if it has not begun yet
			return true
		}
		if bytes.Contains(stack, []byte("\nmain.")) && !bytes.Contains(stack, []byte("\ngradbook/live.Main(")) {
			return true
		}
	}
	return n == len(buf)
}
