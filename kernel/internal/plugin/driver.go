package plugin

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// The oldest drivers that run programs of CUDA 12 and 13.
const (
	driver12 = 525
	driver13 = 580
)

// oldest13 is the oldest compute capability that the libraries of CUDA 13 know, as nvidia-smi writes it: that of Turing.
const oldest13 = 7.5

// forDriver chooses by the NVIDIA driver of a machine whose files are under root.
func forDriver(root string) (name string, err error) {
	driver := driverVersion(root)
	major, _ := strconv.Atoi(strings.Split(driver, ".")[0])
	switch {
	case driver == "":
		return "", errors.New("no NVIDIA driver is found here, so xla-cuda cannot tell which CUDA this machine can run; if the GPU is to come later, choose by name: xla-cuda13 (driver 580 or later) or " +
			"xla-cuda12 (525 or later)")
	case major < driver12:
		return "", fmt.Errorf("the NVIDIA driver of this machine is %s, and CUDA 12 needs %d or later: update the driver", driver, driver12)
	case major < driver13, oldGPU():
		return "xla-cuda12", nil
	}
	return "xla-cuda13", nil
}

var version = regexp.MustCompile(`\b\d{3,4}\.\d+(\.\d+)?\b`)

// driverVersion asks the kernel's module, nvidia-smi and the name of libcuda's file, in this order; empty if none knows.
func driverVersion(root string) string {
	for _, file := range []string{"proc/driver/nvidia/version", "sys/module/nvidia/version"} {
		text, err := os.ReadFile(filepath.Join(root, file))
		first, _, _ := strings.Cut(string(text), "\n") // the second is the compiler's
		if v := version.FindString(first); err == nil && v != "" {
			return v
		}
	}
	if out, err := exec.Command("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader").Output(); err == nil {
		if v := version.FindString(string(out)); v != "" {
			return v
		}
	}
	for _, pattern := range []string{"usr/lib/*/libcuda.so.*.*", "usr/lib64/libcuda.so.*.*", "usr/lib/libcuda.so.*.*", "usr/lib/wsl/drivers/*/libcuda.so.*.*"} {
		found, _ := filepath.Glob(filepath.Join(root, pattern))
		for _, file := range found {
			if v := version.FindString(filepath.Base(file)); v != "" {
				return v
			}
		}
	}
	return ""
}

// oldGPU tells whether nvidia-smi knows a GPU that is too old for CUDA 13.
func oldGPU() bool {
	out, err := exec.Command("nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader").Output()
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(out)) {
		if capability, err := strconv.ParseFloat(strings.TrimSpace(line), 64); err == nil && capability < oldest13 {
			return true
		}
	}
	return false
}
