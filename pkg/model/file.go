package model

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"hash"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/pkg/errors"
)

// A file of a net is one line with the magic word and the version, one line of JSON (configuration, seed, the variables' names and shapes), the values of the variables in
// that order, little-endian in the net's type, and the CRC-32C of all before.
const (
	fileMagic   = "gradbook-net "
	fileVersion = 1
	// maxHeader bounds the line of JSON: 100,000 layers take 30 MB.
	maxHeader = 1 << 28
)

type fileHeader struct {
	Config    json.RawMessage `json:"config"`
	Seed      uint64          `json:"seed"`
	DType     dtypes.DType    `json:"dtype"`
	Variables []fileVariable  `json:"variables"`
}

type fileVariable struct {
	Name string `json:"name"`
	Dims []int  `json:"dims"`
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Save writes configuration, seed, weights and running averages to one file; an existing one is replaced in one step, so that it is never half written.
func (n *Net) Save(path string) error {
	temporary, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return errors.Wrap(err, "saving a net")
	}
	defer os.Remove(temporary.Name()) // after the rename there is nothing left to remove
	err = first(n.Write(temporary), temporary.Chmod(0o644), temporary.Close(), os.Rename(temporary.Name(), path))
	return errors.WithMessagef(err, "saving a net to %s", path)
}

// Load reads a net that Save wrote. A file that is not one, of another version, cut short or damaged is an error that says so.
func Load(path string) (*Net, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, errors.Wrap(err, "loading a net")
	}
	defer file.Close()
	n, err := Read(file)
	return n, errors.WithMessagef(err, "loading a net from %s", path)
}

// Write is Save to any writer.
func (n *Net) Write(w io.Writer) error {
	config, err := json.Marshal(n.config)
	if err != nil {
		return errors.Wrapf(err, "the configuration %s", n.config)
	}
	header := fileHeader{Config: config, Seed: n.seed, DType: n.dtype}
	for _, l := range n.plan.layers {
		for _, v := range l.variables {
			header.Variables = append(header.Variables, fileVariable{v.path, v.dims})
		}
	}
	line, err := json.Marshal(header)
	if err != nil {
		return errors.WithStack(err)
	}
	sum := crc32.New(castagnoli)
	buffered := bufio.NewWriter(w)
	out := io.MultiWriter(buffered, sum)
	_, err = io.WriteString(out, fileMagic+strconv.Itoa(fileVersion)+"\n"+string(line)+"\n")
	if err != nil {
		return errors.WithStack(err)
	}
	for _, v := range header.Variables {
		values, err := n.Values(v.Name)
		if err != nil {
			return err
		}
		if _, err := out.Write(encode(values, n.dtype)); err != nil {
			return errors.WithStack(err)
		}
	}
	if err := binary.Write(buffered, binary.LittleEndian, sum.Sum32()); err != nil {
		return errors.WithStack(err)
	}
	return errors.WithStack(buffered.Flush())
}

// Read is Load from any reader. It reads nothing beyond the net but what it buffers.
func Read(r io.Reader) (*Net, error) {
	in := &summed{r: bufio.NewReader(r), sum: crc32.New(castagnoli)}
	header, err := in.header()
	if err != nil {
		return nil, err
	}
	config, err := ParseConfig(header.Config)
	if err != nil {
		return nil, err
	}
	n, err := emptyNet(config, header.DType, header.Seed)
	if err != nil {
		return nil, err
	}
	i := 0
	for _, l := range n.plan.layers {
		for _, v := range l.variables {
			if i >= len(header.Variables) || header.Variables[i].Name != v.path || !slices.Equal(header.Variables[i].Dims, v.dims) {
				return nil, errors.Errorf("the file's variables are not those of its net %s: number %d should be %s %v; it was written by another version of this package",
					config, i+1, v.path, v.dims)
			}
			i++
			data, err := in.bytes(size(v.dims) * n.dtype.Size())
			if err != nil {
				return nil, errors.WithMessagef(err, "in variable %s %v", v.path, v.dims)
			}
			if err := n.create(v, decode(data, n.dtype)); err != nil {
				return nil, err
			}
		}
	}
	if i != len(header.Variables) {
		return nil, errors.Errorf("the file has %d variables, its net %s only %d; it was written by another version of this package", len(header.Variables), config, i)
	}
	if err := in.check(); err != nil {
		return nil, err
	}
	return n, nil
}

// summed reads and sums what it has read.
type summed struct {
	r   *bufio.Reader
	sum hash.Hash32
}

func (s *summed) header() (fileHeader, error) {
	var header fileHeader
	first, err := s.line(64)
	if !strings.HasPrefix(first, fileMagic) {
		return header, errors.Errorf("not a file of a net: it begins with %q instead of %q", first[:min(len(first), len(fileMagic))], fileMagic)
	}
	if err != nil {
		return header, err
	}
	if version := strings.TrimPrefix(first, fileMagic); version != strconv.Itoa(fileVersion) {
		return header, errors.Errorf("a file of a net of format version %q; this program reads version %d", version, fileVersion)
	}
	line, err := s.line(maxHeader)
	if err != nil {
		return header, err
	}
	if err := json.Unmarshal([]byte(line), &header); err != nil {
		return header, errors.Wrap(err, "the file's header is damaged")
	}
	if header.DType == dtypes.InvalidDType {
		return header, errors.New("the file's header is damaged: it names no dtype")
	}
	return header, validDType(header.DType)
}

// line reads up to a newline, which it drops.
func (s *summed) line(limit int) (string, error) {
	var line []byte
	for len(line) < limit {
		b, err := s.r.ReadByte()
		if err != nil {
			return string(line), errors.New("the file is cut short: it ends within its header")
		}
		s.sum.Write([]byte{b})
		if b == '\n' {
			return string(line), nil
		}
		line = append(line, b)
	}
	return string(line), errors.Errorf("the file's header is damaged: a line of more than %d bytes", limit)
}

// bytes reads n bytes. It grows with what comes, so that a damaged header cannot ask for memory that the file does not fill.
func (s *summed) bytes(n int) ([]byte, error) {
	var buffer bytes.Buffer
	got, err := io.CopyN(io.MultiWriter(&buffer, s.sum), s.r, int64(n))
	if err != nil {
		return nil, errors.Errorf("the file is cut short: %d of %d bytes", got, n)
	}
	return buffer.Bytes(), nil
}

// check compares the sum at the end of the file.
func (s *summed) check() error {
	var want uint32
	if err := binary.Read(s.r, binary.LittleEndian, &want); err != nil {
		return errors.New("the file is cut short: its checksum is missing")
	}
	if got := s.sum.Sum32(); got != want {
		return errors.Errorf("the file is damaged: its checksum is %08x, and that of its content %08x", want, got)
	}
	return nil
}

func encode(values []float64, dtype dtypes.DType) []byte {
	data := make([]byte, 0, len(values)*dtype.Size())
	for _, v := range values {
		if dtype == dtypes.Float64 {
			data = binary.LittleEndian.AppendUint64(data, math.Float64bits(v))
		} else {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(v)))
		}
	}
	return data
}

func decode(data []byte, dtype dtypes.DType) []float64 {
	values := make([]float64, len(data)/dtype.Size())
	for i := range values {
		if dtype == dtypes.Float64 {
			values[i] = math.Float64frombits(binary.LittleEndian.Uint64(data[8*i:]))
		} else {
			values[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:])))
		}
	}
	return values
}
