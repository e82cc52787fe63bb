// Package plugin installs PJRT plugins, by which GoMLX computes on XLA: it has them fetched from the Python package index by pip, checks them against the hashes that are
// pinned here, unpacks them into the user's data folder, lists what is there, and remembers what the user chose. It knows no cells and no live programs, and loads no plugin.
package plugin

import (
	"embed"
	"fmt"
	"io/fs"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// Package is something that can be installed: a plugin with the libraries that it needs.
type Package struct {
	Name    string // "xla-cpu"
	Device  string // "cpu", "cuda": by xla:cpu and so on it is used
	About   string // what it is
	Builder string // who builds it
	Licence string
	Library string  // the plugin's file in the first wheel
	Wheels  []Wheel // for this machine; none where there are none for it
	Instead string  // the package that is taken where this one cannot be had
}

// Wheel is one file of the Python package index.
type Wheel struct {
	Name, Version, SHA256 string
	Bytes, Unpacked       int64
}

// Bytes is how much is fetched.
func (p Package) Bytes() (n int64) {
	for _, w := range p.Wheels {
		n += w.Bytes
	}
	return n
}

// Unpacked is how much room it takes.
func (p Package) Unpacked() (n int64) {
	for _, w := range p.Wheels {
		n += w.Unpacked
	}
	return n
}

// Version is that of the plugin itself, with the name under which the index knows it.
func (p Package) Version() string {
	if len(p.Wheels) == 0 {
		return ""
	}
	return p.Wheels[0].Name + " " + p.Wheels[0].Version
}

const (
	xla    = "XLA's plugin for the CPU"
	cuda   = "XLA's plugin for NVIDIA GPUs, with NVIDIA's libraries of CUDA "
	jax    = "the JAX team (Google) builds the plugin, NVIDIA the libraries"
	nvidia = "Apache-2.0 (the plugin), NVIDIA's proprietary licences (the libraries)"
)

// known is what can be installed; the wheels are in pinned.
var known = []Package{
	{Name: "xla-cpu", Device: "cpu", About: xla, Builder: "the authors of lammps-jax", Licence: "Apache-2.0", Library: "lammps_jax_pjrt_cpu/pjrt_c_api_cpu_plugin.so",
		Instead: "xla-cpu-fastatomstruct"},
	{Name: "xla-cpu-fastatomstruct", Device: "cpu", About: xla, Builder: "ZML; packed by the authors of fastatomstruct", Licence: "Apache-2.0", Library: "fastatomstruct_xla_cpu/libpjrt_cpu.so"},
	{Name: "xla-cuda13", Device: "cuda", About: cuda + "13", Builder: jax, Licence: nvidia, Library: "jax_plugins/xla_cuda13/xla_cuda_plugin.so"},
	{Name: "xla-cuda12", Device: "cuda", About: cuda + "12", Builder: jax, Licence: nvidia, Library: "jax_plugins/xla_cuda12/xla_cuda_plugin.so"},
}

// pinned holds a requirements file for each package and machine, as pip reads them.
//
//go:embed pinned/*.txt
var pinned embed.FS

// Catalogue returns the packages that can be installed on this machine.
func Catalogue() []Package {
	var list []Package
	for _, p := range known {
		if p.Wheels = wheels(p.Name, runtime.GOARCH); len(p.Wheels) > 0 {
			list = append(list, p)
		}
	}
	return list
}

var requirement = regexp.MustCompile(`^(\S+)==(\S+) --hash=sha256:([0-9a-f]{64})  # (\d+) bytes, (\d+) unpacked$`)

// wheels reads what is pinned for a machine; a file that is not as it should be is a mistake of ours, which a test finds.
func wheels(name, arch string) (list []Wheel) {
	text, err := fs.ReadFile(pinned, "pinned/"+name+"-"+arch+".txt")
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(text)) {
		m := requirement.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			panic("pinned requirement " + line)
		}
		bytes, _ := strconv.ParseInt(m[4], 10, 64)
		unpacked, _ := strconv.ParseInt(m[5], 10, 64)
		list = append(list, Wheel{m[1], m[2], m[3], bytes, unpacked})
	}
	return list
}

// line is the wheel's requirement as pip reads it.
func (w Wheel) line() string { return w.Name + "==" + w.Version + " --hash=sha256:" + w.SHA256 + "\n" }

// Lookup returns the package of a name; "xla-cuda" is the one that the NVIDIA driver of this machine can run.
func Lookup(name string) (Package, error) {
	if name == "xla-cuda" {
		cuda, err := forDriver("/")
		if err != nil {
			return Package{}, err
		}
		name = cuda
	}
	i := slices.IndexFunc(known, func(p Package) bool { return p.Name == name })
	if i < 0 {
		return Package{}, fmt.Errorf("there is no package %q: choose one of %s", name, strings.Join(Names(), ", "))
	}
	p := known[i]
	if p.Wheels = wheels(name, runtime.GOARCH); len(p.Wheels) == 0 || runtime.GOOS != "linux" {
		return Package{}, fmt.Errorf("%s cannot be had for %s/%s: %s", name, runtime.GOOS, runtime.GOARCH, builds(name))
	}
	return p, nil
}

// builds says which machines a package is for.
func builds(name string) string {
	var archs []string
	for _, arch := range []string{"amd64", "arm64"} {
		if len(wheels(name, arch)) > 0 {
			archs = append(archs, "linux/"+arch)
		}
	}
	return "it is built for " + strings.Join(archs, " and ") + " only; pure Go works everywhere"
}

// Names are the names that Lookup takes.
func Names() []string {
	list := []string{"xla-cuda"}
	for _, p := range known {
		list = append(list, p.Name)
	}
	slices.Sort(list)
	return list
}
