package dataset_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"image"
	"image/color"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pkg/errors"

	"github.com/gradbook/gradbook/pkg/dataset"
)

// idx is a file of n images of 2x3 pixels, all different.
func idx(n byte) []byte {
	data := []byte{0, 0, 8, 3, 0, 0, 0, n, 0, 0, 0, 2, 0, 0, 0, 3}
	for i := range 6 * n {
		data = append(data, i)
	}
	return data
}

func gzipped(data []byte) []byte {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	z.Write(data)
	z.Close()
	return out.Bytes()
}

func TestReadIDX(t *testing.T) {
	for name, data := range map[string][]byte{"plain": idx(4), "gzip": gzipped(idx(4))} {
		dims, values, err := dataset.ReadIDX(bytes.NewReader(data))
		if err != nil || !slices.Equal(dims, []int{4, 2, 3}) || len(values) != 24 || values[23] != 23 {
			t.Errorf("%s: %v %v %v", name, dims, values, err)
		}
	}
	z := gzipped(idx(4))
	for _, c := range []struct {
		name string
		data []byte
		want []string
	}{
		{"empty", nil, []string{"first 4 bytes", "cut off"}},
		{"cut in the magic", idx(4)[:3], []string{"first 4 bytes", "cut off"}},
		{"cut in the dimensions", idx(4)[:10], []string{"dimension 1 of 3", "cut off"}},
		{"cut in the values", idx(4)[:30], []string{"got 14", "[4 2 3] promise 24", "cut off"}},
		{"no values", idx(4)[:16], []string{"got 0", "promise 24", "cut off"}},
		{"too long", append(idx(4), 0), []string{"too long", "24 values"}},
		{"wrong magic", []byte("PK\x03\x04 something"), []string{"50 4b 03 04", "expected 00 00 08"}},
		{"floats", append([]byte{0, 0, 0x0d, 1}, make([]byte, 8)...), []string{"00 00 0d 01", "expected 00 00 08"}},
		{"rank 0", []byte{0, 0, 8, 0, 1}, []string{"00 00 08 00"}},
		{"huge", []byte{0, 0, 8, 2, 255, 255, 255, 255, 255, 255, 255, 255}, []string{"4294967295", "2147483647"}},
		{"gzip, cut", z[:len(z)-12], []string{"cut off"}},
		{"gzip, without its checksum", z[:len(z)-8], []string{"unexpected EOF"}},
		{"gzip, head only", z[:5], []string{"gzip"}},
		{"gzip, damaged", append(slices.Clone(z[:len(z)-8]), make([]byte, 8)...), []string{"checksum"}},
	} {
		_, _, err := dataset.ReadIDX(bytes.NewReader(c.data))
		for _, part := range c.want {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%s: error %v does not say %q", c.name, err, part)
			}
		}
	}
}

func FuzzReadIDX(f *testing.F) {
	f.Add(idx(3))
	f.Add(gzipped(idx(3)))
	f.Add(idx(3)[:20])
	f.Add([]byte{0, 0, 8, 2, 0x7f, 255, 255, 255, 0, 0, 0, 0})
	f.Add([]byte{0x1f, 0x8b, 8})
	f.Fuzz(func(t *testing.T, data []byte) {
		dims, values, err := dataset.ReadIDX(bytes.NewReader(data))
		if err != nil {
			return
		}
		size := 1
		for _, d := range dims {
			size *= d
		}
		if size != len(values) {
			t.Errorf("dimensions %v, %d values", dims, len(values))
		}
	})
}

// cifar is n images in the binary format: image i has label i, and pixel values that tell the plane.
func cifar(n int) []byte {
	var data []byte
	for i := range n {
		data = append(data, byte(i))
		for plane := range 3 {
			for p := range 1024 {
				data = append(data, byte(i*100+plane*10+p%10))
			}
		}
	}
	return data
}

func TestReadCIFAR10(t *testing.T) {
	s, err := dataset.ReadCIFAR10(bytes.NewReader(cifar(2)))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(); err != nil || s.Len() != 2 || !slices.Equal(s.Shape, []int{32, 32, 3}) || !slices.Equal(s.Labels, []int32{0, 1}) {
		t.Errorf("%v, labels %v, error %v", s, s.Labels, err)
	}
	pixel := s.Inputs[3*(1024+35):][:3] // image 1, row 1, column 3
	if want := []float32{105. / 255, 115. / 255, 125. / 255}; !slices.Equal(pixel, want) {
		t.Errorf("pixel %v, want %v", pixel, want)
	}
	if got := s.Image(1).At(3, 1); got != (color.RGBA{105, 115, 125, 255}) {
		t.Errorf("the picture's pixel is %v", got)
	}
	bad := cifar(3)
	bad[2*3073] = 10
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"empty": {nil, "0 bytes"}, "cut off": {cifar(2)[:6000], "6000 bytes given: a file has a positive multiple of 3073"}, "label": {bad, "image 2 has label 10, allowed are 0 to 9"},
	} {
		if _, err := dataset.ReadCIFAR10(bytes.NewReader(c.data)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v does not say %q", name, err, c.want)
		}
	}
}

func FuzzReadCIFAR10(f *testing.F) {
	f.Add(cifar(2))
	f.Add(cifar(1)[:100])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := dataset.ReadCIFAR10(bytes.NewReader(data))
		if err != nil {
			return
		}
		if err := s.Validate(); err != nil || s.Len()*3073 != len(data) {
			t.Errorf("%d bytes give %v, error %v", len(data), s, err)
		}
	})
}

// cifarFile is a whole file of CIFAR-10's size: black images with label 0, but for the first one's label.
func cifarFile(label byte) []byte {
	data := make([]byte, 30_730_000)
	data[0] = label
	return data
}

func checkCIFAR(t *testing.T, train, test *dataset.Set, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if train.Len() != 50_000 || test.Len() != 10_000 || len(train.Labels) != 50_000 {
		t.Fatalf("%v, %v", train, test)
	}
	for batch := range 5 {
		if got := train.Labels[batch*10_000]; got != int32(batch+1) {
			t.Errorf("training batch %d starts with label %d", batch+1, got)
		}
	}
	if test.Labels[0] != 9 || test.Labels[1] != 0 {
		t.Errorf("test labels %v", test.Labels[:2])
	}
}

var cifarFiles = map[string]byte{"data_batch_1.bin": 1, "data_batch_2.bin": 2, "data_batch_3.bin": 3, "data_batch_4.bin": 4, "data_batch_5.bin": 5, "test_batch.bin": 9}

func TestCIFAR10Unpacked(t *testing.T) {
	root := t.TempDir()
	folder := filepath.Join(root, "cifar-10", "cifar-10-batches-bin")
	os.MkdirAll(folder, 0o755)
	for name, label := range cifarFiles {
		file, err := os.Create(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		file.Write([]byte{label})
		file.Truncate(30_730_000)
		file.Close()
	}
	t.Setenv(dataset.FolderVar, root)
	train, test, err := dataset.CIFAR10("")
	checkCIFAR(t, train, test, err)

	os.Truncate(filepath.Join(folder, "data_batch_1.bin"), 3073)
	if _, _, err := dataset.CIFAR10(folder); err == nil || !strings.Contains(err.Error(), "data_batch_1.bin of "+folder+" has 3073 bytes, expected 30730000") {
		t.Errorf("a file that is cut off: error %v", err)
	}
	os.Remove(filepath.Join(folder, "data_batch_4.bin"))
	var missing *dataset.MissingError
	if _, _, err := dataset.CIFAR10(folder); !errors.As(err, &missing) || missing.File != "data_batch_4.bin" || missing.Folders[0] != folder {
		t.Errorf("one file is missing: error %v", err)
	}
}

func TestCIFAR10Archive(t *testing.T) {
	var data bytes.Buffer
	z, _ := gzip.NewWriterLevel(&data, gzip.BestSpeed)
	out := tar.NewWriter(z)
	out.WriteHeader(&tar.Header{Name: "cifar-10-batches-bin/readme.html", Size: 2, Mode: 0o644})
	out.Write([]byte("hi"))
	for name, label := range cifarFiles {
		out.WriteHeader(&tar.Header{Name: "cifar-10-batches-bin/" + name, Size: 30_730_000, Mode: 0o644})
		out.Write(cifarFile(label))
	}
	out.Close()
	z.Close()
	train, test, err := dataset.CIFARFromArchive(&data)
	checkCIFAR(t, train, test, err)

	folder := t.TempDir()
	path := filepath.Join(folder, "cifar-10-binary.tar.gz")
	os.WriteFile(path, []byte("not it"), 0o644)
	_, _, err = dataset.CIFAR10(folder)
	for _, part := range []string{path, "not the published file", "MD5", "(6 bytes)", "c32a1d4ab5d03f1284b67883e8d87530"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("a wrong archive: error %v does not say %q", err, part)
		}
	}
	if _, _, err := dataset.CIFARFromArchive(strings.NewReader("no archive")); err == nil {
		t.Error("no archive, no error")
	}
	var empty bytes.Buffer
	z = gzip.NewWriter(&empty)
	tar.NewWriter(z).Close()
	z.Close()
	if _, _, err := dataset.CIFARFromArchive(&empty); err == nil || !strings.Contains(err.Error(), "holds no data_batch_1.bin") {
		t.Errorf("an empty archive: error %v", err)
	}
}

func TestMissing(t *testing.T) {
	folder := t.TempDir()
	t.Setenv(dataset.FolderVar, "")
	for name, c := range map[string]struct {
		load func(folder string) (train, test *dataset.Set, err error)
		file string
	}{
		"Fashion-MNIST": {dataset.FashionMNIST, "train-images-idx3-ubyte.gz"},
		"CIFAR-10":      {dataset.CIFAR10, "cifar-10-binary.tar.gz"},
	} {
		_, _, err := c.load(folder)
		var missing *dataset.MissingError
		if !errors.As(err, &missing) || !errors.Is(err, fs.ErrNotExist) || missing.Set != name || missing.File != c.file || missing.Folders[0] != folder {
			t.Fatalf("%s: error %v", name, err)
		}
		for _, part := range []string{name, c.file, folder, dataset.FolderVar, "put"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: error %q does not say %q", name, err, part)
			}
		}
		here, _ := os.Getwd()
		if _, _, err := c.load(""); !errors.As(err, &missing) || !strings.HasPrefix(missing.Folders[0], filepath.Join(here, "data")) {
			t.Errorf("%s without a folder: error %v", name, err)
		}
	}
	for _, name := range []string{"train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz"} {
		os.WriteFile(filepath.Join(folder, name), gzipped(idx(2)), 0o644)
	}
	var missing *dataset.MissingError
	if _, _, err := dataset.FashionMNIST(folder); !errors.As(err, &missing) || missing.File != "t10k-labels-idx1-ubyte.gz" {
		t.Errorf("one file is missing: error %v", err)
	}
	os.WriteFile(filepath.Join(folder, "t10k-labels-idx1-ubyte.gz"), gzipped(idx(2)), 0o644)
	if _, _, err := dataset.FashionMNIST(folder); err == nil || !strings.Contains(err.Error(), "train-images-idx3-ubyte.gz is not the published file: its MD5") {
		t.Errorf("files of another origin: error %v", err)
	}
}

func TestMNIST(t *testing.T) {
	train, test, err := dataset.MNIST()
	if err != nil {
		t.Fatal(err)
	}
	if train.Len() != 60_000 || test.Len() != 10_000 || !slices.Equal(train.Shape, []int{28, 28, 1}) || len(train.Labels) != 60_000 {
		t.Fatalf("%v, %v", train, test)
	}
	// What everyone normalises by, to the digits in which it is handed on.
	if mean, std := train.Moments(); math.Abs(mean-0.1307) > 5e-5 || math.Abs(std-0.3081) > 5e-5 {
		t.Errorf("moments %v, %v; known are 0.1307, 0.3081", mean, std)
	}
	if got := train.Labels[:10]; !slices.Equal(got, []int32{5, 0, 4, 1, 9, 2, 1, 3, 1, 4}) { // as every tutorial shows them
		t.Errorf("training labels start with %v", got)
	}
	if got := test.Labels[:5]; !slices.Equal(got, []int32{7, 2, 1, 0, 4}) {
		t.Errorf("test labels start with %v", got)
	}
	five := train.Image(0)
	if five.Bounds() != image.Rect(0, 0, 28, 28) || five.At(0, 0) != (color.Gray{0}) || five.At(16, 5) != (color.Gray{126}) {
		t.Errorf("the picture of the first digit: %v, %v", five.Bounds(), five.At(16, 5))
	}
}

func TestMNISTFolder(t *testing.T) {
	root := t.TempDir()
	folder := filepath.Join(root, "mnist")
	os.Mkdir(folder, 0o755)
	for _, name := range []string{"train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"} {
		os.WriteFile(filepath.Join(folder, name), gzipped(idx(2)), 0o644)
	}
	t.Setenv(dataset.FolderVar, root)
	_, _, err := dataset.MNIST() // the folder comes first, and its files are not MNIST
	for _, part := range []string{folder, "train-images-idx3-ubyte.gz is not the published file", "SHA-256"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("wrong files: error %v does not say %q", err, part)
		}
	}
	os.Remove(filepath.Join(folder, "t10k-labels-idx1-ubyte.gz"))
	if _, test, err := dataset.MNIST(); err != nil || test.Len() != 10_000 { // an incomplete folder does not hide the module
		t.Errorf("an incomplete folder: %v, error %v", test, err)
	}
}

func TestDigits(t *testing.T) {
	s, err := dataset.Digits()
	if err != nil {
		t.Fatal(err)
	}
	counts := make([]int, 10)
	for _, label := range s.Labels {
		counts[label]++
	}
	// The class distribution of the UCI page's test set.
	if want := []int{178, 182, 177, 183, 181, 182, 181, 179, 174, 180}; s.Len() != 1797 || !slices.Equal(counts, want) || !slices.Equal(s.Shape, []int{8, 8, 1}) {
		t.Errorf("%v, of each class %v, want %v", s, counts, want)
	}
	if got, want := s.Inputs[:8], []float32{0, 0, 5. / 16, 13. / 16, 9. / 16, 1. / 16, 0, 0}; !slices.Equal(got, want) {
		t.Errorf("first row %v, want %v", got, want)
	}
	if slices.Min(s.Inputs) != 0 || slices.Max(s.Inputs) != 1 {
		t.Errorf("pixels from %v to %v", slices.Min(s.Inputs), slices.Max(s.Inputs))
	}
	stretched := s.Standardise().Image(0)
	if got := stretched.At(3, 0); got.(color.Gray).Y < 150 || stretched.At(0, 0) != (color.Gray{0}) {
		t.Errorf("a standardised picture has pixels %v, %v", got, stretched.At(0, 0))
	}
}
