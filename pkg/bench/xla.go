//go:build linux && (amd64 || arm64) && !noxla

package main

/*
#include <malloc.h>

static void keepMemory(void) {
#ifdef __GLIBC__
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_MMAP_THRESHOLD, 32 << 20);
	mallopt(M_TRIM_THRESHOLD, 256 << 20);
#endif
}
*/
import "C"

import (
	"github.com/gomlx/compute"
	"github.com/gomlx/go-xla/compute/xla"
	"github.com/gomlx/go-xla/pjrt"
)

// XLA takes memory for each step's intermediate values and gives it back after it. With more than one thread glibc hands it back to the system each time, from
// arenas of each thread, so that the next step faults it in page by page: a step of the MLP with ReLU then takes more than half as long again. It is to keep what was
// freed.
//
// The plugin takes the number of devices from options for which go-xla's configuration has no words.
func init() {
	C.keepMemory()
	oneDevice = func(plugin string) (compute.Backend, error) {
		b, err := xla.NewWithOptions(plugin, pjrt.NamedValuesMap{"cpu_device_count": int64(1), "asynchronous": false})
		if err != nil {
			return nil, err
		}
		return b, nil
	}
}
