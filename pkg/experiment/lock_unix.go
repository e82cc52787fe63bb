//go:build unix

package experiment

import (
	"os"
	"syscall"
)

// lock takes the file for this program alone until it is closed, or the program ends in whatever way. It reports false if another has it.
func lock(f *os.File) (bool, error) {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == syscall.EWOULDBLOCK {
		return false, nil
	}
	return err == nil, err
}

func unlock(*os.File) {} // closing the file does it
