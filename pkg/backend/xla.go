//go:build linux && (amd64 || arm64) && cgo && !noxla

package backend

import (
	"github.com/gomlx/compute"
	"github.com/gomlx/go-xla/compute/xla"
	"github.com/gomlx/go-xla/pjrt"
	"github.com/pkg/errors"
)

const xlaBuilt = true

// go-xla would ask the network for plugins when a backend is made.
func init() { xla.EnableAutoInstall(false) }

// oneCPU makes the backend of a plugin for the CPU as one device that computes in the caller's thread. Left to itself the plugin acts as four devices with at least four
// threads, which look for work in turn: a step of a small net then takes half as long again. go-xla's configuration has no words for this.
func oneCPU(config string) (b compute.Backend, err error) {
	defer func() {
		if r := recover(); r != nil {
			b, err = nil, errors.Errorf("go-xla panicked: %v", r)
		}
	}()
	made, err := xla.NewWithOptions(config, pjrt.NamedValuesMap{"cpu_device_count": int64(1), "asynchronous": false})
	if err != nil {
		return nil, err
	}
	keepMemory()
	return made, nil
}
