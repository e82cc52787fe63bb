//go:build linux && (amd64 || arm64) && cgo && !noxla

package backend

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

// keepMemory tells glibc to keep what XLA frees after each step. With more than one thread it hands that back to the system each time, from arenas of each
// thread, and the next step faults it in page by page: a step of the MLP with ReLU takes half as long again.
func keepMemory() { C.keepMemory() }
