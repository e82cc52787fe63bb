package dataset

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path"
	"path/filepath"

	"github.com/pkg/errors"
)

// The MD5 sum is that of the page of the CIFAR-10 data set (Krizhevsky), of the 'binary version'. The page gives none for the files within.
var cifarArchive = file{"cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530"}

var (
	cifarTrain = []string{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"}
	cifarTest  = "test_batch.bin"
	cifarNames = []string{"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"}
)

const (
	cifarSide   = 32
	cifarPlane  = cifarSide * cifarSide
	cifarRecord = 1 + 3*cifarPlane     // label, then the red, the green and the blue plane
	cifarFile   = 10_000 * cifarRecord // bytes of each of the six files
)

// CIFAR10 returns the 50,000 training and the 10,000 test images of the 'binary version' of CIFAR-10, shape [32, 32, 3], with pixels in [0, 1], either from
// cifar-10-binary.tar.gz (checked by the published MD5) or from its six .bin files (checked by their size and labels), in the folder or
// its subfolder cifar-10 or cifar-10-batches-bin. Without a folder ("") they are looked for in cifar-10 of the folder that GRADBOOK_DATA names, and
// in data/cifar-10. A *MissingError says which file is missing. Krizhevsky 2009.
func CIFAR10(folder string) (train, test *Set, err error) {
	looked := folders(folder, "cifar-10")
	var bins []file
	for _, name := range append([]string{cifarTest}, cifarTrain...) {
		bins = append(bins, file{name: name})
	}
	for _, place := range looked {
		for _, unpacked := range []string{place, filepath.Join(place, "cifar-10-batches-bin")} {
			if firstMissing(unpacked, bins) == "" {
				return cifarFromFiles(unpacked)
			}
		}
		if firstMissing(place, []file{cifarArchive}) == "" {
			data, err := cifarArchive.read(place)
			if err != nil {
				return nil, nil, err
			}
			train, test, err = cifarFromArchive(bytes.NewReader(data))
			return train, test, errors.WithMessage(err, filepath.Join(place, cifarArchive.name))
		}
	}
	missing := cifarArchive.name
	for _, place := range looked { // an incomplete set of unpacked files is what to complete
		if name := firstMissing(place, bins); name != cifarTest {
			missing = name
		}
	}
	return nil, nil, &MissingError{Set: "CIFAR-10", File: missing, Folders: looked,
		Advice: "get the 'CIFAR-10 binary version (suitable for C programs)', " + cifarArchive.name + " (170,052,171 bytes), and put it into " + looked[0] +
			", packed or unpacked (data_batch_1.bin to data_batch_5.bin and test_batch.bin), or set " + FolderVar + " to a folder that has it in its subfolder cifar-10"}
}

// ReadCIFAR10 reads images in the binary format of CIFAR-10: of each image one byte with the label, then 32x32 bytes of the red, the green and the blue plane, row
// by row. The set has shape [32, 32, 3] and pixels in [0, 1]. The error of a file that is cut off or has a label over 9 says where.
func ReadCIFAR10(r io.Reader) (*Set, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, errors.WithStack(err)
	}
	s := &Set{Name: "CIFAR-10", Shape: []int{cifarSide, cifarSide, 3}, Classes: cifarNames}
	if err := s.appendCIFAR(data); err != nil {
		return nil, err
	}
	return s, nil
}

// appendCIFAR adds the images of one file.
func (s *Set) appendCIFAR(data []byte) error {
	if len(data) == 0 || len(data)%cifarRecord != 0 {
		return errors.Errorf("CIFAR-10: %d bytes given: a file has a positive multiple of %d, so this one is cut off or something else", len(data), cifarRecord)
	}
	n, start := len(data)/cifarRecord, len(s.Inputs)
	for i := range n {
		label := data[i*cifarRecord]
		if int(label) >= len(cifarNames) {
			return errors.Errorf("CIFAR-10: image %d has label %d, allowed are 0 to %d: not a file of CIFAR-10's binary version", i, label, len(cifarNames)-1)
		}
		s.Labels = append(s.Labels, int32(label))
	}
	s.Inputs = append(s.Inputs, make([]float32, n*3*cifarPlane)...)
	for i := range n {
		pixels, out := data[i*cifarRecord+1:(i+1)*cifarRecord], s.Inputs[start+i*3*cifarPlane:]
		for p := range cifarPlane {
			for c := range 3 {
				out[3*p+c] = float32(pixels[c*cifarPlane+p]) / 255
			}
		}
	}
	return nil
}

// cifarFromFiles reads the six unpacked files.
func cifarFromFiles(folder string) (train, test *Set, err error) {
	return cifarSets(func(name string) ([]byte, error) {
		data, err := os.ReadFile(filepath.Join(folder, name))
		return data, errors.WithStack(err)
	}, folder)
}

// cifarFromArchive reads the six files of the archive.
func cifarFromArchive(r io.Reader) (train, test *Set, err error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, nil, errors.WithStack(err)
	}
	defer z.Close()
	files := map[string][]byte{}
	for in := tar.NewReader(z); ; {
		header, err := in.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, nil, errors.WithStack(err)
		}
		if header.Typeflag != tar.TypeReg || path.Ext(header.Name) != ".bin" {
			continue
		}
		data, err := io.ReadAll(io.LimitReader(in, cifarFile+1))
		if err != nil {
			return nil, nil, errors.WithStack(err)
		}
		files[path.Base(header.Name)] = data
	}
	return cifarSets(func(name string) ([]byte, error) {
		data, ok := files[name]
		if !ok {
			return nil, errors.Errorf("the archive holds no %s", name)
		}
		return data, nil
	}, "the archive")
}

// cifarSets puts the two sets together from the files that read returns.
func cifarSets(read func(name string) ([]byte, error), place string) (train, test *Set, err error) {
	add := func(s *Set, name string) error {
		data, err := read(name)
		if err != nil {
			return err
		}
		if len(data) != cifarFile {
			return errors.Errorf("CIFAR-10: %s of %s has %d bytes, expected %d: it is cut off or something else; unpack the archive again", name, place, len(data), cifarFile)
		}
		return errors.WithMessagef(s.appendCIFAR(data), "%s of %s", name, place)
	}
	train = &Set{Name: "CIFAR-10 train", Shape: []int{cifarSide, cifarSide, 3}, Classes: cifarNames}
	train.Inputs = make([]float32, 0, len(cifarTrain)*10_000*3*cifarPlane)
	test = &Set{Name: "CIFAR-10 test", Shape: []int{cifarSide, cifarSide, 3}, Classes: cifarNames}
	for _, name := range cifarTrain {
		if err := add(train, name); err != nil {
			return nil, nil, err
		}
	}
	if err := add(test, cifarTest); err != nil {
		return nil, nil, err
	}
	return train, test, nil
}
