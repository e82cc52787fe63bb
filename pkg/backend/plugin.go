package backend

import (
	"bufio"
	"debug/elf"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/gomlx/compute"
	"github.com/pkg/errors"
)

// pluginPath is the variable with the folders of PJRT plugins, as go-xla reads it.
const pluginPath = "PJRT_PLUGIN_LIBRARY_PATH"

// Plugin is the file of a PJRT plugin, by which XLA computes on one kind of device.
type Plugin struct {
	Name string // "cpu", "cuda", "cpu_v0.83.1": from the file's name
	Path string
	Err  error // why it cannot be loaded; nil if nothing is known against it
}

// pluginName are the names of plugins' files, as go-xla knows them.
var pluginName = []*regexp.Regexp{
	regexp.MustCompile(`^pjrt_c_api_(.+)_plugin\.so$`),
	regexp.MustCompile(`^pjrt[-_]plugin[-_](.+)\.so$`),
}

// Folders returns where plugins are searched, in this order: the folders of PJRT_PLUGIN_LIBRARY_PATH if it is set, and else go-xla's own (~/.local/lib/go-xla,
// /usr/local/lib/go-xla and older ones), those of LD_LIBRARY_PATH and those of /etc/ld.so.conf.
func Folders() []string {
	if list, ok := os.LookupEnv(pluginPath); ok {
		return slices.DeleteFunc(strings.Split(list, ":"), func(folder string) bool { return folder == "" })
	}
	var folders []string
	if home, err := os.UserHomeDir(); err == nil {
		lib := filepath.Join(home, ".local", "lib")
		folders = append(folders, filepath.Join(lib, "go-xla"), filepath.Join(lib, "go-xla", "nvidia"), filepath.Join(lib, "gomlx", "pjrt"))
	}
	folders = append(folders, "/usr/local/lib/go-xla", "/usr/local/lib/go-xla/nvidia", "/usr/local/lib/gomlx/pjrt")
	for folder := range strings.SplitSeq(os.Getenv("LD_LIBRARY_PATH"), ":") {
		if filepath.IsAbs(folder) {
			folders = append(folders, folder)
		}
	}
	return append(folders, loaderFolders("/etc/ld.so.conf", 8)...)
}

// loaderFolders reads the configuration of the system's loader; depth bounds files that include themselves.
func loaderFolders(file string, depth int) (folders []string) {
	f, err := os.Open(file)
	if err != nil || depth == 0 {
		return nil
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line, _, _ := strings.Cut(lines.Text(), "#")
		line = strings.TrimSpace(line)
		if pattern, ok := strings.CutPrefix(line, "include"); ok {
			pattern = strings.TrimSpace(pattern)
			if !filepath.IsAbs(pattern) {
				pattern = filepath.Join(filepath.Dir(file), pattern)
			}
			included, _ := filepath.Glob(pattern)
			for _, name := range included {
				folders = append(folders, loaderFolders(name, depth-1)...)
			}
		} else if filepath.IsAbs(line) {
			folders = append(folders, line)
		}
	}
	return folders
}

// Plugins returns the PJRT plugins in Folders, the first of each name, in the order in which Default tries them: cuda, cpu, then others by name. Each file was
// checked, but not loaded: see Plugin.Err.
func Plugins() []Plugin {
	var plugins []Plugin
	for _, folder := range Folders() {
		entries, err := os.ReadDir(folder)
		if err != nil {
			continue
		}
		for _, entry := range entries {
			for _, pattern := range pluginName {
				match := pattern.FindStringSubmatch(entry.Name())
				if match == nil {
					continue
				}
				path, err := filepath.Abs(filepath.Join(folder, entry.Name()))
				if err == nil {
					err = Check(path)
				}
				plugins = append(plugins, Plugin{match[1], path, err})
			}
		}
	}
	// Of two files of one name, the first that can be loaded counts: a broken one must not hide a sound one.
	slices.SortStableFunc(plugins, func(a, b Plugin) int {
		if c := rank(a.Name) - rank(b.Name); c != 0 {
			return c
		}
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		return broken(a) - broken(b)
	})
	return slices.CompactFunc(plugins, func(a, b Plugin) bool { return a.Name == b.Name })
}

// rank orders the plugins' names, whatever the versions in them.
func rank(name string) int {
	switch base, _, _ := strings.Cut(name, "_v"); base {
	case "cuda":
		return 0
	case "cpu":
		return 1
	}
	return 2
}

func broken(p Plugin) int {
	if p.Err != nil {
		return 1
	}
	return 0
}

// Check says what is wrong with the file of a PJRT plugin, without loading it: it must be a whole shared library for this machine that exports GetPjrtApi,
// and a plugin for CUDA wants a GPU. nil does not promise that it loads: a library that it needs may be missing.
func Check(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return errors.Errorf("PJRT plugin %s: %v", path, withoutPath(err))
	}
	if !info.Mode().IsRegular() {
		return errors.Errorf("PJRT plugin %s is not a file", path)
	}
	if info.Size() == 0 {
		return errors.Errorf("PJRT plugin %s is an empty file", path)
	}
	f, err := elf.Open(path)
	if err != nil {
		if os.IsPermission(err) {
			return errors.Errorf("PJRT plugin %s: %v", path, withoutPath(err))
		}
		return errors.Errorf("PJRT plugin %s is not a shared library (ELF), or is cut short: %v", path, err)
	}
	defer f.Close()
	if machine, known := machines[runtime.GOARCH]; known && (f.Machine != machine || f.Class != elf.ELFCLASS64) {
		return errors.Errorf("PJRT plugin %s is for another machine: %s, this one is %s", path, f.Machine, machine)
	}
	if f.Type != elf.ET_DYN {
		return errors.Errorf("PJRT plugin %s is not a shared library: its ELF type is %s", path, f.Type)
	}
	for _, segment := range f.Progs {
		if end := segment.Off + segment.Filesz; end < segment.Off || end > uint64(info.Size()) {
			return errors.Errorf("PJRT plugin %s is cut short: it has %d bytes of at least %d", path, info.Size(), end)
		}
	}
	symbols, err := f.DynamicSymbols()
	if err != nil && !errors.Is(err, elf.ErrNoSymbols) {
		return errors.Errorf("PJRT plugin %s: its symbols cannot be read: %v", path, err)
	}
	if !slices.ContainsFunc(symbols, func(s elf.Symbol) bool { return s.Name == "GetPjrtApi" && s.Section != elf.SHN_UNDEF }) {
		return errors.Errorf("PJRT plugin %s does not export the function GetPjrtApi, so it is no PJRT plugin", path)
	}
	if isCUDA(path) && !hasGPU() {
		return errors.Errorf("PJRT plugin %s is for CUDA, and there is no NVIDIA GPU here (no /dev/nvidia*)", path)
	}
	return nil
}

var machines = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

// isCUDA goes by the file's name, not the folder's.
func isCUDA(path string) bool {
	name := strings.ToLower(filepath.Base(path))
	return strings.Contains(name, "cuda") || strings.Contains(name, "nvidia")
}

func isCPU(path string) bool {
	return strings.Contains(strings.ToLower(filepath.Base(path)), "cpu") && !isCUDA(path)
}

func hasGPU() bool {
	for _, pattern := range []string{"/dev/nvidia*", "/dev/dxg"} { // the second under WSL
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return true
		}
	}
	return false
}

// withoutPath drops the operation and the path that the message names already.
func withoutPath(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
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
		return pluginPath + ", which names no folder"
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
	if strings.ContainsRune(path, ',') {
		return nil, "", errors.Errorf("PJRT plugin %s: go-xla takes no path with a comma", path)
	}
	upper := strings.ToUpper(path)
	set := func(option string) bool {
		return slices.ContainsFunc(strings.Split(options, ","), func(given string) bool {
			key, _, _ := strings.Cut(strings.TrimSpace(given), "=")
			return key == option || key == "no"+option
		})
	}
	add := func(option, value string) {
		if !set(option) {
			options = strings.Trim(options+","+option+"="+value, ",")
		}
	}
	switch byPath := strings.Contains(upper, "CUDA") || strings.Contains(upper, "NVIDIA"); {
	case isCUDA(path):
		add("preallocate", "false")
		add("tf32", "false")
		if strings.Contains(upper, "CPU") { // go-xla would share buffers with the device
			add("shared_buffers", "false")
		}
	case byPath:
		return nil, "", errors.Errorf("PJRT plugin %s: go-xla takes it for one of CUDA by its folder's name: put it into a folder without cuda or nvidia in its path", path)
	}
	name := "xla:" + path
	if options != "" {
		name += "," + options
	}
	b, err := compute.Backend(nil), errors.New("not for the CPU")
	if isCPU(path) {
		b, err = oneCPU(strings.TrimPrefix(name, "xla:"))
	}
	if err != nil { // also where a plugin does not know these options
		b, err = protect(name)
	}
	if err != nil {
		return nil, "", errors.Errorf("PJRT plugin %s does not start: %v", path, errors.Cause(err)) // what is wrapped around it names the path again and again
	}
	return b, name, nil
}
