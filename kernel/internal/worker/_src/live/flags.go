package live

import (
	"flag"
	"fmt"
	"reflect"
	"unsafe"
)

// programName is what flags call the program: nobody knows the worker's path.
const programName = "notebook"

// plainUsage is what prints a program's usage as long as it sets no Usage of its own.
var plainUsage = reflect.ValueOf(flag.Usage).Pointer()

// ownFlags are the flags of the command line that cells defined.
var ownFlags = map[string]bool{}

// forgetFlags lets a cell define its flags again. A wrong flag is a panic from here on, for the program is not to end.
func forgetFlags(names []string) {
	set := flag.CommandLine
	set.Init(programName, flag.PanicOnError)
	if reflect.ValueOf(flag.Usage).Pointer() == plainUsage {
		flag.Usage = func() {
			fmt.Fprintf(set.Output(), "Usage of %s:\n", programName)
			flag.PrintDefaults()
		}
	}
	value := reflect.ValueOf(set).Elem()
	for _, name := range names {
		if flag.Lookup(name) == nil {
			ownFlags[name] = true
		}
		if !ownFlags[name] {
			continue // a library's: that it is defined is an error, as in any program
		}
		for _, field := range []string{"formal", "actual"} {
			m := *(*map[string]*flag.Flag)(unsafe.Pointer(value.FieldByName(field).UnsafeAddr()))
			delete(m, name)
		}
	}
}
