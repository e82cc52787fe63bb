package worker

import (
	"embed"
	"io/fs"
)

//go:embed all:_src
var source embed.FS

// Source returns the source of the live process: the package live and its
// command live/host, to be compiled into the base library under the import path gradbook/live.
func Source() fs.FS {
	sub, err := fs.Sub(source, "_src")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return sub
}

// HostPackage is the import path of the live process's command.
const HostPackage = "gradbook/live/host"
