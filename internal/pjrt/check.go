package pjrt

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

var machines = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

// Check says what is wrong with the file of a PJRT plugin, without loading it: it must be a whole shared library for this machine that exports GetPjrtApi, at a path that go-xla
// can take, and a plugin for CUDA wants a GPU. nil does not promise that it loads: a library that it needs may be missing.
func Check(path string) error {
	if err := CheckFile(path); err != nil {
		return err
	}
	if IsCUDA(path) && !HasGPU() {
		return fmt.Errorf("PJRT plugin %s is for CUDA, and there is no NVIDIA GPU here (no /dev/nvidia*)", path)
	}
	return CheckPath(path)
}

// CheckFile is Check, but for the GPU, as a plugin may be installed where there is none, and for the path.
func CheckFile(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("PJRT plugin %s: %v", path, withoutPath(err))
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("PJRT plugin %s is not a file", path)
	}
	if info.Size() == 0 {
		return fmt.Errorf("PJRT plugin %s is an empty file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("PJRT plugin %s: %v", path, withoutPath(err))
	}
	defer file.Close()
	f, err := elf.NewFile(file)
	if err != nil {
		return fmt.Errorf("PJRT plugin %s is not a shared library (ELF), or is cut short: %v", path, err)
	}
	if machine, known := machines[runtime.GOARCH]; known && f.Machine != machine {
		return fmt.Errorf("PJRT plugin %s is for another machine: %s, this one is %s", path, f.Machine, machine)
	}
	if f.Type != elf.ET_DYN {
		return fmt.Errorf("PJRT plugin %s is not a shared library: its ELF type is %s", path, f.Type)
	}
	for _, segment := range f.Progs {
		if end := segment.Off + segment.Filesz; end < segment.Off || end > uint64(info.Size()) {
			return fmt.Errorf("PJRT plugin %s is cut short: it has %d bytes of at least %d", path, info.Size(), end)
		}
	}
	symbols, err := f.DynamicSymbols()
	if err != nil && !errors.Is(err, elf.ErrNoSymbols) {
		return fmt.Errorf("PJRT plugin %s: its symbols cannot be read: %v", path, err)
	}
	if !slices.ContainsFunc(symbols, func(s elf.Symbol) bool { return s.Name == "GetPjrtApi" && s.Section != elf.SHN_UNDEF }) {
		return fmt.Errorf("PJRT plugin %s does not export the function GetPjrtApi, so it is no PJRT plugin", path)
	}
	return nil
}

// CheckPath says what go-xla cannot stand in a plugin's path.
func CheckPath(path string) error {
	if strings.ContainsRune(path, ',') {
		return fmt.Errorf("PJRT plugin %s: go-xla takes no path with a comma", path)
	}
	if upper := strings.ToUpper(path); !IsCUDA(path) && (strings.Contains(upper, "CUDA") || strings.Contains(upper, "NVIDIA")) {
		return fmt.Errorf("PJRT plugin %s: go-xla takes it for one of CUDA by its folder's name: put it into a folder without cuda or nvidia in its path", path)
	}
	return nil
}

// HasGPU tells whether an NVIDIA GPU can be reached.
func HasGPU() bool {
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
