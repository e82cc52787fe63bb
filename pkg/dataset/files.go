package dataset

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/pkg/errors"
)

// FolderVar is the environment variable that names a folder with data sets. MNIST is looked for in its subfolder mnist, Fashion-MNIST in
// fashion-mnist, CIFAR-10 in cifar-10.
const FolderVar = "GRADBOOK_DATA"

// MissingError says which file of a data set was not found, where it was looked for, and what to do. errors.Is(err, fs.ErrNotExist) holds for it.
type MissingError struct {
	Set     string   // such as "CIFAR-10"
	File    string   // the first file that is missing
	Folders []string // where it was looked for
	Advice  string   // what to do
}

// Error says all of it.
func (e *MissingError) Error() string {
	return fmt.Sprintf("%s: there is no file %s in %s; %s", e.Set, e.File, strings.Join(e.Folders, ", nor in "), e.Advice)
}

// Unwrap makes it an fs.ErrNotExist.
func (e *MissingError) Unwrap() error { return fs.ErrNotExist }

// file is a file of a data set as it was published.
type file struct {
	name     string
	checksum string // in hexadecimal: SHA-256 (64 digits) or MD5 (32 digits), whichever is published
}

// read reads the file from a folder and compares its checksum.
func (f file) read(folder string) ([]byte, error) {
	path := filepath.Join(folder, f.name)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, errors.WithStack(err)
	}
	name, h := "SHA-256", hash.Hash(sha256.New())
	if len(f.checksum) == 2*md5.Size {
		name, h = "MD5", md5.New()
	}
	h.Write(data)
	if got := hex.EncodeToString(h.Sum(nil)); got != f.checksum {
		return nil, errors.Errorf("%s is not the published file: its %s is %s (%d bytes), expected %s; remove it and put the original in its place", path, name, got, len(data), f.checksum)
	}
	return data, nil
}

// firstMissing is the first of the files that is not in the folder, or "".
func firstMissing(folder string, files []file) string {
	for _, f := range files {
		if _, err := os.Stat(filepath.Join(folder, f.name)); err != nil {
			return f.name
		}
	}
	return ""
}

// folders are the places to look for a data set: the folder given (and its subfolder), or where no folder is given, those that FolderVar
// and the working folder suggest.
func folders(given, subfolder string) []string {
	if given != "" {
		return []string{absolute(given), absolute(filepath.Join(given, subfolder))}
	}
	var list []string
	if root := os.Getenv(FolderVar); root != "" {
		list = append(list, absolute(filepath.Join(root, subfolder)))
	}
	return append(list, absolute(filepath.Join("data", subfolder)))
}

// absolute tells a person more than a relative path does; in a notebook it is relative to the notebook's folder.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// idxPair are a part's images and labels as MNIST's format has them.
type idxPair struct {
	name           string // of the set
	images, labels file
}

// read reads both files from the folder.
func (p idxPair) read(folder string, classes []string) (*Set, error) {
	images, dims, err := readIDXFile(p.images, folder)
	if err != nil {
		return nil, err
	}
	labels, labelDims, err := readIDXFile(p.labels, folder)
	if err != nil {
		return nil, err
	}
	if len(dims) != 3 || len(labelDims) != 1 || dims[0] != labelDims[0] {
		return nil, errors.Errorf("%s: images have dimensions %v and labels %v: expected [n, height, width] and [n] of the same n", p.name, dims, labelDims)
	}
	s := &Set{Name: p.name, Shape: []int{dims[1], dims[2], 1}, Inputs: make([]float32, len(images)), Labels: make([]int32, len(labels)), Classes: classes}
	for i, v := range images {
		s.Inputs[i] = float32(v) / 255
	}
	for i, v := range labels {
		s.Labels[i] = int32(v)
	}
	return s, s.Validate()
}

func readIDXFile(f file, folder string) (values []byte, dims []int, err error) {
	data, err := f.read(folder)
	if err != nil {
		return nil, nil, err
	}
	dims, values, err = ReadIDX(bytes.NewReader(data))
	return values, dims, errors.WithMessage(err, filepath.Join(folder, f.name))
}
