package main

import (
	"fmt"

	"github.com/gomlx/compute"
	"github.com/gradbook/gradbook/pkg/backend"
)

// newBackend makes the pure-Go backend ("go") or that of XLA's plugin for the CPU ("xla").
func newBackend(kind string) (compute.Backend, error) {
	switch kind {
	case "go":
		return backend.New("go")
	case "xla":
		return backend.New("xla:cpu")
	}
	return nil, fmt.Errorf("no backend is called %q: go or xla", kind)
}
