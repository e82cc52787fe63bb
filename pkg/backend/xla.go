//go:build linux && (amd64 || arm64) && !noxla

package backend

import "github.com/gomlx/go-xla/compute/xla"

const xlaBuilt = true

// go-xla would ask the network for plugins when a backend is made.
func init() { xla.EnableAutoInstall(false) }
