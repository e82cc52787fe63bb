package model_test

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gradbook/gradbook/pkg/activation"
	"github.com/gradbook/gradbook/pkg/model"
)

func TestSaveAndLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "net")
	for _, c := range configs() {
		net := must(c.New(5))
		stir(t, net)
		if err := net.Save(path); err != nil {
			t.Fatal(err)
		}
		back, err := model.Load(path)
		if err != nil {
			t.Fatalf("%s: %v", c, err)
		}
		if !reflect.DeepEqual(back.Config(), c) || back.Seed() != 5 || back.DType() != net.DType() {
			t.Errorf("%s came back as %s of seed %d", c, back.Config(), back.Seed())
		}
		for _, name := range net.Variables() {
			if !slices.Equal(must(net.Values(name)), must(back.Values(name))) {
				t.Errorf("%s: %s differs after Save and Load", c, name)
			}
		}
	}
	if left := must(os.ReadDir(filepath.Dir(path))); len(left) != 1 {
		t.Errorf("Save left %v behind", left)
	}
}

// saved is the file of a small net.
func saved(t testing.TB) []byte {
	var b bytes.Buffer
	net := must(model.MLP{Inputs: 3, Outputs: 2, Depth: 1, Width: 4, Activation: activation.Tanh, Norm: model.BatchNorm}.New(1))
	if err := net.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestReadErrors(t *testing.T) {
	good := saved(t)
	edit := func(old, new string) []byte { return bytes.Replace(good, []byte(old), []byte(new), 1) }
	for _, test := range []struct {
		name, want string
		data       []byte
	}{
		{"nothing", "not a file of a net", nil},
		{"foreign", `not a file of a net: it begins with "\x89PNG`, []byte("\x89PNG\r\n\x1a\n0000000000000000000000000000000000000000000000000000000000000000000000000000000")},
		{"version", `format version "2"; this program reads version 1`, edit("gradbook-net 1", "gradbook-net 2")},
		{"config", `unknown activation "tanj"`, edit(`"tanh"`, `"tanj"`)},
		{"variables", "number 1 should be h1/W [3 5]", edit(`"width":4`, `"width":5`)},
		{"too many variables", "the file has 9 variables", edit(`{"name":"h1/W","dims":[3,4]},`, `{"name":"h1/W","dims":[3,4]},`)},
		{"flipped bit", "its checksum is", flip(good, len(good)-20)},
		{"one byte short", "its checksum is missing", good[:len(good)-1]},
		{"no file of this folder", "no such file", nil},
	} {
		var err error
		switch test.name {
		case "no file of this folder":
			_, err = model.Load(filepath.Join(t.TempDir(), "absent"))
		case "too many variables":
			more := bytes.Replace(good, []byte(`{"name":"out/b","dims":[2]}`), []byte(`{"name":"out/b","dims":[2]},{"name":"out/c","dims":[2]}`), 1)
			_, err = model.Read(bytes.NewReader(more))
		default:
			_, err = model.Read(bytes.NewReader(test.data))
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v; want %q", test.name, err, test.want)
		}
	}
	for n := range good {
		net, err := model.Read(bytes.NewReader(good[:n]))
		if err == nil || net != nil || !strings.Contains(err.Error(), "cut short") && n >= len("gradbook-net ") {
			t.Fatalf("%d of %d bytes: %v", n, len(good), err)
		}
	}
}

func flip(data []byte, at int) []byte {
	flipped := slices.Clone(data)
	flipped[at] ^= 1
	return flipped
}

func FuzzRead(f *testing.F) {
	good := saved(f)
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte("gradbook-net 1\n{}\n"))
	f.Add(bytes.Replace(good, []byte(`"width":4`), []byte(`"width":40000`), 1))
	f.Fuzz(func(t *testing.T, data []byte) {
		net, err := model.Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		var again bytes.Buffer
		if err := net.Write(&again); err != nil {
			t.Fatal(err)
		}
		back, err := model.Read(&again)
		if err != nil || back.String() != net.String() {
			t.Errorf("read %s, wrote it and read %v (%v)", net, back, err)
		}
	})
}
