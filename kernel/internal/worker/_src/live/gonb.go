package live

import (
	"os"
	"syscall"
)

// gonbFile identifies the pipe that programs write displays into (GoNB's protocol). What they write is
// taken before it gets there, so that it keeps its place among what they print.
var gonbFile struct{ dev, ino uint64 }

func initGonb() {
	path := os.Getenv("GONB_PIPE")
	var st syscall.Stat_t
	if path == "" || syscall.Stat(path, &st) != nil {
		return
	}
	gonbFile.dev, gonbFile.ino = st.Dev, st.Ino
	// Opened here for both directions, so that the program's own open never waits.
	for _, p := range []string{path, os.Getenv("GONB_PIPE_BACK")} {
		syscall.Open(p, syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	}
}

func isGonb(fd int) bool {
	if gonbFile.ino == 0 {
		return false
	}
	var st syscall.Stat_t
	return syscall.Fstat(fd, &st) == nil && st.Ino == gonbFile.ino && st.Dev == gonbFile.dev
}
