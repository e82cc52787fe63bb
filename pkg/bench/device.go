package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/gradbook/gradbook/pkg/backend"
)

// column is one implementation on one device: a column of the table by devices.
type column struct {
	device, name string // "CPU", "GoMLX, XLA"
	absent       string // why it cannot be measured here; "" if it can
	slow         bool   // may be left out where a step takes long
	env          []string
	command      func(folder string) []string // the contender's program for the case in folder
}

func (c column) String() string { return c.device + ": " + c.name }

// columns are all implementations, those that this machine cannot run among them.
func columns(o options, p python) ([]column, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	gomlx := func(config string) func(string) []string {
		return func(folder string) []string { return []string{self, "-worker", config, "-case", folder} }
	}
	script := func(name, device string) func(string) []string {
		return func(folder string) []string {
			return []string{o.python, filepath.Join(o.folder, "bench", name), folder, device, strconv.Itoa(runtime.NumCPU())}
		}
	}
	list := []column{{device: "CPU", name: "GoMLX, pure Go", slow: true, command: gomlx("go")}}
	gpu := hasGPU()
	for _, d := range []struct{ device, id string }{{"CPU", "cpu"}, {"CUDA", "cuda"}} {
		list = append(list,
			column{device: d.device, name: "GoMLX, XLA", absent: pluginMissing(d.id), command: gomlx("xla:" + d.id)},
			column{device: d.device, name: "JAX", absent: p.jaxMissing(o.python, d.id), env: []string{"JAX_PLATFORMS=" + d.id, "XLA_PYTHON_CLIENT_PREALLOCATE=false"}, command: script("jax_case.py", d.id)},
			column{device: d.device, name: "PyTorch", absent: p.torchMissing(o.python, d.id), command: script("torch_case.py", d.id)})
	}
	for i := range list {
		if list[i].device == "CUDA" && !gpu {
			list[i].absent = noGPU
		}
	}
	return list, nil
}

const noGPU = "this machine has no NVIDIA GPU (no /dev/nvidia*)"

func hasGPU() bool {
	for _, pattern := range []string{"/dev/nvidia[0-9]*", "/dev/dxg"} { // the second under WSL
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return true
		}
	}
	return false
}

// pluginMissing says why XLA cannot compute on a device here.
func pluginMissing(id string) string {
	for _, p := range backend.Plugins() {
		if p.Name == id || strings.HasPrefix(p.Name, id+"_v") {
			if p.Err != nil {
				return p.Err.Error()
			}
			return ""
		}
	}
	return fmt.Sprintf("no PJRT plugin %q is installed", id)
}

// python is what a Python has.
type python struct {
	Version, JAX, Torch string // versions; "" if it is not there
	JAXCuda, TorchCuda  bool
	missing             string // why it was not asked
}

// askPython asks; a Python that cannot be run has nothing.
func askPython(ctx context.Context, command string) python {
	out, err := exec.CommandContext(ctx, command, "-c", `
import json, os, platform
os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
has = {"Version": platform.python_version()}
try:
    import torch
    has |= {"Torch": torch.__version__, "TorchCuda": torch.cuda.is_available()}
except ImportError:
    pass
try:
    import jax
    has |= {"JAX": jax.__version__}
    has |= {"JAXCuda": bool(jax.devices("cuda"))}
except (ImportError, RuntimeError):
    pass
print(json.dumps(has))`).Output()
	var p python
	if err == nil {
		err = json.Unmarshal(out, &p)
	}
	if err != nil {
		p.missing = fmt.Sprintf("%s does not run: %v", command, err)
	}
	return p
}

func (p python) jaxMissing(command, id string) string {
	return p.lacks(command, "JAX", id, p.JAX != "", p.JAXCuda)
}
func (p python) torchMissing(command, id string) string {
	return p.lacks(command, "PyTorch", id, p.Torch != "", p.TorchCuda)
}

func (p python) lacks(command, what, id string, there, cuda bool) string {
	switch {
	case p.missing != "":
		return p.missing
	case !there:
		return command + " has no " + what
	case id == "cuda" && !cuda:
		return what + " finds no CUDA device"
	}
	return ""
}

// gpuQuery asks NVIDIA's driver about the GPUs; there are no lines if there is none.
func gpuQuery(ctx context.Context, what string) []string {
	out, err := exec.CommandContext(ctx, "nvidia-smi", "--query-gpu="+what, "--format=csv,noheader,nounits").Output()
	if err != nil || strings.TrimSpace(string(out)) == "" {
		return nil
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// gpuMemory is what all GPUs together have in use, in MiB; false if it cannot be read.
func gpuMemory(ctx context.Context) (float64, bool) {
	total, read := 0.0, false
	for _, line := range gpuQuery(ctx, "memory.used") {
		v, err := strconv.ParseFloat(strings.TrimSpace(line), 64)
		if err != nil {
			return 0, false
		}
		total, read = total+v, true
	}
	return total, read
}
