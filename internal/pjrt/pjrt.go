// Package pjrt finds the files of PJRT plugins, by which XLA computes on one kind of device, and says what is wrong with them. The kernel's program, which lists and installs
// them, and the library, which loads them, so agree on what there is. It loads nothing, and knows neither GoMLX nor where plugins come from.
package pjrt

import (
	"bufio"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// PathVariable is the variable with the folders of PJRT plugins, as go-xla reads it.
const PathVariable = "PJRT_PLUGIN_LIBRARY_PATH"

// ChoiceVariable holds what 'gradbook backend use' chose: a wish, which gives way to pure Go where it cannot be had. The kernel sets it for the live program.
const ChoiceVariable = "GRADBOOK_BACKEND"

// Plugin is the file of a PJRT plugin.
type Plugin struct {
	Name string // "cpu", "cuda", "cpu_v0.83.1": from the file's name
	Path string
	Err  error // why it cannot be loaded; nil if nothing is known against it
}

// FileNames are the names of plugins' files, as go-xla knows them.
var FileNames = []*regexp.Regexp{
	regexp.MustCompile(`^pjrt_c_api_(.+)_plugin\.so$`),
	regexp.MustCompile(`^pjrt[-_]plugin[-_](.+)\.so$`),
}

// FileName is the name of the file of the plugin for a device: "cpu", "cuda".
func FileName(device string) string { return "pjrt_c_api_" + device + "_plugin.so" }

// InstallDir is the folder into which 'gradbook backend install' puts plugins, each into a folder of its own: $XDG_DATA_HOME/gradbook/backends.
func InstallDir() (string, error) {
	data := os.Getenv("XDG_DATA_HOME")
	if data == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		data = filepath.Join(home, ".local", "share")
	}
	return filepath.Join(data, "gradbook", "backends"), nil
}

// Folder is the subfolder of an installed plugin's folder with the plugin's file; the libraries that it needs lie beside it.
const Folder = "plugin"

// installed returns the folders of what 'gradbook backend install' has installed: those without a suffix come before their substitutes, and newer CUDA before older.
func installed() []string {
	dir, err := InstallDir()
	if err != nil {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	slices.SortStableFunc(entries, func(a, b os.DirEntry) int {
		if strings.Contains(a.Name(), "cuda") && strings.Contains(b.Name(), "cuda") {
			return strings.Compare(b.Name(), a.Name())
		}
		return strings.Compare(a.Name(), b.Name())
	})
	var folders []string
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			folders = append(folders, filepath.Join(dir, e.Name(), Folder))
		}
	}
	return folders
}

// Folders returns where plugins are searched, in this order: the folders of PJRT_PLUGIN_LIBRARY_PATH if it is set, and else those of 'gradbook backend install', go-xla's own
// (~/.local/lib/go-xla, /usr/local/lib/go-xla and older ones), those of LD_LIBRARY_PATH and those of /etc/ld.so.conf.
func Folders() []string {
	if list, ok := os.LookupEnv(PathVariable); ok {
		return slices.DeleteFunc(strings.Split(list, ":"), func(folder string) bool { return folder == "" })
	}
	folders := installed()
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

// Plugins returns the PJRT plugins in Folders, the first of each name, in the order in which they are to be tried: cuda, cpu, then others by name. Each file was
// checked, but not loaded: see Plugin.Err.
func Plugins() []Plugin {
	plugins := All()
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

// All returns all the PJRT plugins in Folders, in the order in which they are found.
func All() []Plugin {
	var plugins []Plugin
	for _, folder := range Folders() {
		entries, err := os.ReadDir(folder)
		if err != nil {
			continue
		}
		for _, entry := range entries {
			for _, pattern := range FileNames {
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
	return plugins
}

// Find returns the plugins that a name stands for, the best first: "cpu" also stands for cpu_v0.83.1, and "" for all.
func Find(plugins []Plugin, name string) []Plugin {
	var found []Plugin
	for _, p := range plugins {
		if name == "" || p.Name == name || strings.HasPrefix(p.Name, name+"_v") {
			found = append(found, p)
		}
	}
	return found
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

// IsCUDA goes by the file's name, not the folder's.
func IsCUDA(path string) bool {
	name := strings.ToLower(filepath.Base(path))
	return strings.Contains(name, "cuda") || strings.Contains(name, "nvidia")
}

// IsCPU goes by the file's name, not the folder's.
func IsCPU(path string) bool {
	return strings.Contains(strings.ToLower(filepath.Base(path)), "cpu") && !IsCUDA(path)
}

// Options completes the options that go-xla gets for the plugin of a path: of CUDA, not to take the GPU's memory in advance and to compute in full float32, unless they say otherwise.
func Options(path, options string) string {
	add := func(option, value string) {
		set := slices.ContainsFunc(strings.Split(options, ","), func(given string) bool {
			key, _, _ := strings.Cut(strings.TrimSpace(given), "=")
			return key == option || key == "no"+option
		})
		if !set {
			options = strings.Trim(options+","+option+"="+value, ",")
		}
	}
	if IsCUDA(path) {
		add("preallocate", "false")
		add("tf32", "false")
		if strings.Contains(strings.ToUpper(path), "CPU") { // go-xla would share buffers with the device
			add("shared_buffers", "false")
		}
	}
	return options
}
