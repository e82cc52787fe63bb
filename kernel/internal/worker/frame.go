package worker

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"syscall"
	"unsafe"
)

// frames reads the live process's event pipe. Each frame was one atomic write:
// kind, 1 if more follows, length (16 bits), cell, message id, 4 bytes of zero.
type frames struct {
	r       *bufio.Reader
	partial map[uint32][]byte
}

const headerLen = 16

func newFrames(r io.Reader) *frames {
	return &frames{r: bufio.NewReaderSize(r, 1<<18), partial: map[uint32][]byte{}}
}

// next returns the next event: text as it comes, all else when it is whole.
func (f *frames) next() (Event, error) {
	for {
		var head [headerLen]byte
		if _, err := io.ReadFull(f.r, head[:]); err != nil {
			if err == io.ErrUnexpectedEOF {
				err = io.EOF
			}
			return Event{}, err
		}
		kind, more := Kind(head[0]), head[1] != 0
		if kind < Stdout || kind > Message {
			return Event{}, fmt.Errorf("the live program's event pipe is out of step (frame kind %d)", kind)
		}
		cell, id := int(binary.LittleEndian.Uint32(head[4:])), binary.LittleEndian.Uint32(head[8:])
		data := make([]byte, binary.LittleEndian.Uint16(head[2:]))
		if _, err := io.ReadFull(f.r, data); err != nil {
			return Event{}, io.EOF
		}
		if kind <= Gonb || kind == Message {
			return Event{kind, cell, data}, nil
		}
		data = append(f.partial[id], data...)
		if more {
			f.partial[id] = data
			continue
		}
		delete(f.partial, id)
		return Event{kind, cell, data}, nil
	}
}

// pending returns how many bytes wait in a pipe.
func pending(fd uintptr) int {
	var n int32
	const fionread = 0x541b
	if _, _, e := syscall.Syscall(syscall.SYS_IOCTL, fd, fionread, uintptr(unsafe.Pointer(&n))); e != 0 {
		return 0
	}
	return int(n)
}
