package backend

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/gomlx/compute"
	"github.com/pkg/errors"

	"github.com/gradbook/gradbook/internal/pjrt"
)

// Plugin is the file of a PJRT plugin, by which XLA computes on one kind of device.
type Plugin struct {
	Name string // "cpu", "cuda", "cpu_v0.83.1": from the file's name
	Path string
	Err  error // why it cannot be loaded; nil if nothing is known against it
}

// pluginName are the names of plugins' files.
var pluginName = pjrt.FileNames

// Folders returns where plugins are searched, in this order: the folders of PJRT_PLUGIN_LIBRARY_PATH if it is set, and else those of 'gradbook backend install'
// (~/.local/share/gradbook/backends/*/plugin), go-xla's own (~/.local/lib/go-xla, /usr/local/lib/go-xla and older ones), those of LD_LIBRARY_PATH and those of /etc/ld.so.conf.
func Folders() []string { return pjrt.Folders() }

// Plugins returns the PJRT plugins in Folders, the first of each name, in the order in which Default tries them: cuda, cpu, then others by name. Each file was
// checked, but not loaded: see Plugin.Err.
func Plugins() []Plugin {
	var plugins []Plugin
	for _, p := range pjrt.Plugins() {
		plugins = append(plugins, Plugin(p))
	}
	return plugins
}

// Check says what is wrong with the file of a PJRT plugin, without loading it: it must be a whole shared library for this machine that exports GetPjrtApi,
// at a path that go-xla can take, and a plugin for CUDA wants a GPU. nil does not promise that it loads: a library that it needs may be missing.
func Check(path string) error {
	if err := pjrt.Check(path); err != nil {
		return errors.New(err.Error())
	}
	return nil
}

// createXLA makes an XLA backend from what follows "xla:": a plugin's name or path or nothing, and options after a comma.
func createXLA(config string) (b compute.Backend, name string, err error) {
	plugin, options, _ := strings.Cut(config, ",")
	plugin = strings.TrimSpace(plugin)
	switch {
	case plugin == "":
		b, name, _, err = startAny(options)
		return b, name, err
	case strings.ContainsRune(plugin, '/'):
		path, err := filepath.Abs(plugin)
		if err != nil {
			return nil, "", errors.Wrapf(err, "PJRT plugin %s", plugin)
		}
		return start(path, options)
	}
	installed := Plugins()
	for _, p := range installed {
		if p.Name == plugin || strings.HasPrefix(p.Name, plugin+"_v") {
			return start(p.Path, options)
		}
	}
	return nil, "", errors.Errorf("no PJRT plugin %q: %s", plugin, found(installed))
}

// found says which plugins there are, and where others may be put.
func found(plugins []Plugin) string {
	if len(plugins) == 0 {
		return "no PJRT plugin in " + places()
	}
	list := make([]string, len(plugins))
	for i, p := range plugins {
		list[i] = p.Name + " (" + p.Path + ")"
	}
	return "installed is " + strings.Join(list, ", ")
}

func places() string {
	folders := Folders()
	if len(folders) == 0 {
		return pjrt.PathVariable + ", which names no folder"
	}
	return strings.Join(folders, ", ")
}

// startAny starts the first plugin that loads; passed says what is wrong with those before it. The error says why there is none.
func startAny(options string) (b compute.Backend, name string, passed []string, err error) {
	if !xlaBuilt {
		return nil, "", nil, errNoXLA
	}
	plugins := Plugins()
	if len(plugins) == 0 {
		return nil, "", nil, errors.New(found(plugins))
	}
	for _, p := range plugins {
		if b, name, err = start(p.Path, options); err == nil {
			return b, name, passed, nil
		}
		passed = append(passed, err.Error())
	}
	return nil, "", nil, errors.New(strings.Join(passed, "; "))
}

var errNoXLA = errors.Errorf("XLA is not part of this program on %s/%s (built for Linux on amd64 and arm64, without the tag noxla)", runtime.GOOS, runtime.GOARCH)

// start checks the plugin's file and hands its path to go-xla: by a name, go-xla would search for itself, and panic on any file that does not load (v0.4.2).
func start(path, options string) (compute.Backend, string, error) {
	if !xlaBuilt {
		return nil, "", errNoXLA
	}
	if err := Check(path); err != nil {
		return nil, "", err
	}
	runtime.LockOSThread() // the system's loader keeps for each thread what was wrong, and go-xla (v0.4.2) asks for that in a second call
	defer runtime.UnlockOSThread()
	name := "xla:" + path
	if options = pjrt.Options(path, options); options != "" {
		name += "," + options
	}
	b, err := compute.Backend(nil), errors.New("not for the CPU")
	switch {
	case pjrt.IsCPU(path):
		b, err = oneCPU(strings.TrimPrefix(name, "xla:"))
	case pjrt.IsCUDA(path):
		prepareCUDA(path)
	}
	if err != nil { // also where a plugin does not know these options
		b, err = protect(name)
	}
	if err != nil {
		return nil, "", errors.Errorf("PJRT plugin %s does not start: %v", path, errors.Cause(err)) // what is wrapped around it names the path again and again
	}
	return b, name, nil
}

// prepareCUDA loads NVIDIA's libraries that lie beside the plugin, in the order of what needs what, as JAX does: the plugin looks for some of them only by name, and some of them
// do so for others. And it tells XLA where the assembler and the device's library are.
func prepareCUDA(path string) {
	root := filepath.Join(filepath.Dir(filepath.Dir(path)), "nvidia")
	for _, library := range []string{"libcudart", "libnvrtc", "libnvJitLink", "libcublasLt", "libcublas", "libnccl", "libcupti", "libcusparse", "libcusolver", "libcufft",
		"libnvshmem_host", "libcudnn"} {
		found, _ := filepath.Glob(filepath.Join(root, "*", "lib", library+".so.*"))
		for _, file := range found {
			if !strings.Contains(filepath.Base(file), ".alt.") {
				preload(file)
			}
		}
	}
	for _, name := range []string{"cu13", "cuda_nvcc"} {
		data := filepath.Join(root, name)
		flags := os.Getenv(xlaFlags)
		if _, err := os.Stat(filepath.Join(data, "bin", "ptxas")); err == nil && !strings.Contains(flags, cudaData) {
			os.Setenv(xlaFlags, strings.TrimSpace(flags+" "+cudaData+data)) // which fails for no such name
			return
		}
	}
}

const (
	xlaFlags = "XLA_FLAGS"
	cudaData = "--xla_gpu_cuda_data_dir="
)
