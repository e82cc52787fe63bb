package dataset

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"math"

	"github.com/pkg/errors"
)

// ReadIDX reads a file of unsigned bytes in the IDX format of LeCun's MNIST page, compressed by gzip or not: two zero bytes, the type (0x08, unsigned
// byte), the number of dimensions, each dimension as a big-endian uint32, then the values, row-major. The error of a file that is cut off, too
// long, or something else says what was found and what was expected.
func ReadIDX(r io.Reader) (dims []int, values []byte, err error) {
	in := bufio.NewReader(r)
	if magic, _ := in.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, nil, errors.WithMessage(err, "not a gzip file")
		}
		defer z.Close()
		in = bufio.NewReader(z)
	}
	var magic [4]byte
	if _, err := io.ReadFull(in, magic[:]); err != nil {
		return nil, nil, errors.WithMessage(cutOff(err), "reading the first 4 bytes of an idx file")
	}
	if magic[0] != 0 || magic[1] != 0 || magic[2] != 0x08 || magic[3] == 0 {
		return nil, nil, errors.Errorf("not an idx file of bytes: it starts with % x, expected 00 00 08 and the number of dimensions (03 for images, 01 for labels)", magic)
	}
	dims = make([]int, magic[3])
	size := int64(1)
	for i := range dims {
		var d uint32
		if err := binary.Read(in, binary.BigEndian, &d); err != nil {
			return nil, nil, errors.WithMessagef(cutOff(err), "reading dimension %d of %d of an idx file", i, len(dims))
		}
		if dims[i] = int(d); int64(d) > math.MaxInt32 || size*int64(d) > math.MaxInt32 {
			return nil, nil, errors.Errorf("idx file with dimensions %v (so far): more than %d values are not read", dims[:i+1], math.MaxInt32)
		}
		size *= int64(d)
	}
	values, err = io.ReadAll(io.LimitReader(in, size)) // grows with what comes, so that a wrong header alone takes no memory
	if err == nil && int64(len(values)) < size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, nil, errors.WithMessagef(cutOff(err), "reading the values of an idx file: got %d, its dimensions %v promise %d", len(values), dims, size)
	}
	switch _, err := in.ReadByte(); err {
	case io.EOF: // of gzip, too: its checksum has been compared
		return dims, values, nil
	case nil:
		return nil, nil, errors.Errorf("idx file is too long: there is more than the %d values that its dimensions %v promise", size, dims)
	default:
		return nil, nil, errors.WithMessage(cutOff(err), "reading the end of an idx file")
	}
}

// cutOff says what an end in the middle means.
func cutOff(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return errors.WithMessage(io.ErrUnexpectedEOF, "the file is cut off")
	}
	return err
}
