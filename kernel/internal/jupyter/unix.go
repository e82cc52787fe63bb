package jupyter

import (
	"net"
	"sync"
	"syscall"
)

var umask sync.Mutex

// listenUnix opens a socket that is this user's alone from its first moment on.
func listenUnix(path string) (net.Listener, error) {
	umask.Lock()
	defer umask.Unlock()
	old := syscall.Umask(0o177)
	defer syscall.Umask(old)
	return net.Listen("unix", path)
}
