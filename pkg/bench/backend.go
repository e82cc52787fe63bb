package main

import (
	"fmt"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gradbook/gradbook/pkg/backend"
)

// oneDevice makes the backend of an XLA plugin for the CPU as one device; nil where XLA is not part of the program.
var oneDevice func(plugin string) (compute.Backend, error)

// newBackend makes the pure-Go backend ("go") or that of XLA's plugin for the CPU ("xla").
//
// Left to itself, that plugin acts as four devices with at least four threads, which look for work in turn: on one CPU a step of the MLP takes half as
// long again. As one device it is as quick as the same XLA inside JAX.
func newBackend(kind string) (compute.Backend, error) {
	switch kind {
	case "go":
		return backend.New("go")
	case "xla":
	default:
		return nil, fmt.Errorf("no backend is called %q: go or xla", kind)
	}
	b, err := backend.New("xla:cpu")
	if err != nil || b.NumDevices() == 1 {
		return b, err
	}
	b.Finalize()
	for _, p := range backend.Plugins() {
		if p.Name == "cpu" || strings.HasPrefix(p.Name, "cpu_v") {
			return oneDevice(p.Path)
		}
	}
	return nil, fmt.Errorf("no plugin of XLA for the CPU")
}
