package plugin_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/gradbook/gradbook/internal/pjrt/fake"
	"github.com/gradbook/gradbook/kernel/internal/plugin"
)

// library compiles C into a shared library and returns the file's bytes.
func library(t *testing.T, text string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "a.so")
	fake.Compile(t, out, text, "-nostdlib")
	content, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// entry is a file in a wheel.
type entry struct {
	name    string
	content []byte
	mode    os.FileMode
}

// wheel writes a wheel and returns what would be pinned for it.
func wheel(t *testing.T, dir, name, version string, entries ...entry) plugin.Wheel {
	t.Helper()
	var file bytes.Buffer
	z := zip.NewWriter(&file)
	var unpacked int64
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		h.SetMode(e.mode)
		w, err := z.CreateHeader(h)
		if err == nil {
			_, err = w.Write(e.content)
		}
		if err != nil {
			t.Fatal(err)
		}
		unpacked += int64(len(e.content))
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, strings.ReplaceAll(name, "-", "_")+"-"+version+"-py3-none-any.whl")
	if err := os.WriteFile(path, file.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(file.Bytes())
	return plugin.Wheel{Name: name, Version: version, SHA256: hex.EncodeToString(sum[:]), Bytes: int64(file.Len()), Unpacked: unpacked}
}

// twoWheels is a package of a plugin and a library beside it.
func twoWheels(t *testing.T, dir string) plugin.Package {
	t.Helper()
	first := wheel(t, dir, "some-plugin", "1.2",
		entry{"some_plugin/__init__.py", []byte("x = 1\n"), 0o644},
		entry{"some_plugin/a.so", library(t, fake.Plugin), 0o644},
		entry{"some_plugin-1.2.dist-info/METADATA", []byte("License: MIT\n"), 0o644},
		entry{"some_plugin-1.2.dist-info/licenses/LICENSE", []byte("text\n"), 0o644})
	second := wheel(t, dir, "some-libs", "3",
		entry{"nvidia/__init__.py", nil, 0o644},
		entry{"nvidia/cu13/lib/liba.so.1", []byte("lib"), 0o644},
		entry{"nvidia/cu13/bin/ptxas", []byte("program"), 0o644},
		entry{"some_libs-3.dist-info/License.txt", []byte("theirs\n"), 0o644})
	return plugin.Package{Name: "xla-test", Device: "cpu", Library: "some_plugin/a.so", Wheels: []plugin.Wheel{first, second}}
}

// tree lists the files in a folder, but for the lock.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() && e.Name() != ".lock" {
			rel, _ := filepath.Rel(dir, path)
			list = append(list, rel)
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return list
}

// says checks that err is one line with the words.
func says(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want one with %q", words)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error %q, want one with %q", err, word)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("an error of several lines: %q", err)
	}
}

func TestInstall(t *testing.T) {
	wheels := t.TempDir()
	store := &plugin.Store{Dir: filepath.Join(t.TempDir(), "backends")}
	p := twoWheels(t, wheels)
	if store.Has(p) || store.Installed() != nil {
		t.Error("it is there before it was installed")
	}
	var i plugin.Installed
	for range 2 { // the second time in place of the first
		var err error
		if i, err = store.Install(t.Context(), p, wheels); err != nil {
			t.Fatal(err)
		}
		want := []string{"xla-test/installed.json", "xla-test/licences/some-libs/License.txt", "xla-test/licences/some-plugin/METADATA", "xla-test/licences/some-plugin/licenses/LICENSE",
			"xla-test/nvidia/cu13/bin/ptxas", "xla-test/nvidia/cu13/lib/liba.so.1", "xla-test/plugin/pjrt_c_api_cpu_plugin.so"}
		if got := tree(t, store.Dir); !slices.Equal(got, want) {
			t.Errorf("the store holds %q, want %q", got, want)
		}
	}
	if i.Version != "some-plugin 1.2" || i.Err != nil || i.Path != filepath.Join(store.Dir, "xla-test", "plugin", "pjrt_c_api_cpu_plugin.so") || !store.Has(p) {
		t.Errorf("%+v", i)
	}
	if info, err := os.Stat(filepath.Join(store.Dir, "xla-test", "nvidia", "cu13", "bin", "ptxas")); err != nil || info.Mode()&0o111 == 0 {
		t.Errorf("a program that cannot be run: %v, %v", info.Mode(), err)
	}
	other := p
	other.Wheels = p.Wheels[:1]
	if store.Has(other) {
		t.Error("it is taken for another version")
	}
	// What has happened to the file since is seen.
	for _, damage := range []func() error{
		func() error { return os.WriteFile(i.Path, append(library(t, fake.Plugin), 0), 0o644) },
		func() error { return os.Truncate(i.Path, 100) },
		func() error { return os.Remove(i.Path) },
		func() error { return os.Remove(filepath.Join(store.Dir, "xla-test", "installed.json")) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		list := store.Installed()
		if len(list) != 1 || store.Has(p) {
			t.Fatalf("%+v", list)
		}
		says(t, list[0].Err, "xla-test", "gradbook backend ")
	}
	if err := store.Remove(t.Context(), "xla-test"); err != nil {
		t.Error(err)
	}
	if got := tree(t, store.Dir); got != nil {
		t.Errorf("left behind: %q", got)
	}
	says(t, store.Remove(t.Context(), "xla-test"), "xla-test is not installed, and neither is anything else")
	for _, name := range []string{"", ".", "..", "../x", "a/b", ".lock"} {
		says(t, store.Remove(t.Context(), name), "is not the name of a package")
	}
}

// TestRefused has everything that can be wrong with wheels. What was installed before stays.
func TestRefused(t *testing.T) {
	good := library(t, fake.Plugin)
	for _, test := range []struct {
		name        string
		entries     []entry
		spoil       func(t *testing.T, p *plugin.Package, file string)
		words       string
		unavailable bool
	}{
		{"another sha256", []entry{{"a.so", good, 0o644}}, func(_ *testing.T, p *plugin.Package, _ string) { p.Wheels[0].SHA256 = strings.Repeat("ab", 32) },
			"is not the file that was checked for Gradbook: its sha256 is ", false},
		{"cut short", []entry{{"a.so", good, 0o644}}, func(t *testing.T, _ *plugin.Package, file string) {
			if err := os.Truncate(file, 50); err != nil {
				t.Fatal(err)
			}
		}, "is cut short: it has 50 of ", false},
		{"not there", []entry{{"a.so", good, 0o644}}, func(_ *testing.T, p *plugin.Package, _ string) { p.Wheels[0].Version = "2" }, "holds no wheel of bad 2", true},
		{"no such folder", nil, func(t *testing.T, _ *plugin.Package, file string) {
			if err := os.RemoveAll(filepath.Dir(file)); err != nil {
				t.Fatal(err)
			}
		}, "no such file or directory", false},
		{"not a zip file", nil, func(t *testing.T, p *plugin.Package, file string) {
			sum := sha256.Sum256([]byte("text"))
			p.Wheels[0].SHA256 = hex.EncodeToString(sum[:])
			if err := os.WriteFile(file, []byte("text"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, "cannot be unpacked: zip: not a valid zip file", false},
		{"without the plugin", []entry{{"b.so", good, 0o644}}, nil, "holds no a.so, so it is not the plugin", false},
		{"a way out", []entry{{"a.so", good, 0o644}, {"nvidia/../../../out", good, 0o644}}, nil, `names a file outside of its own folder, "nvidia/../../../out"`, false},
		{"an absolute way out", []entry{{"a.so", good, 0o644}, {"/tmp/out", good, 0o644}}, nil, `names a file outside of its own folder, "/tmp/out"`, false},
		{"another system's way out", []entry{{"a.so", good, 0o644}, {`nvidia\..\..\out`, good, 0o644}}, nil, "names a file outside of its own folder", false},
		{"a link", []entry{{"a.so", good, 0o644}, {"nvidia/link", []byte("/etc"), 0o777 | os.ModeSymlink}}, nil, `"nvidia/link" is neither a file nor a folder`, false},
		{"text for a plugin", []entry{{"a.so", []byte("hello"), 0o644}}, nil, "is not a shared library (ELF)", false},
		{"a plugin cut short", []entry{{"a.so", good[:len(good)/2], 0o644}}, nil, "cut short", false},
		{"a plugin for another machine", []entry{{"a.so", otherMachine(good), 0o644}}, nil, "is for another machine: EM_RISCV", false},
		{"a library that is no plugin", []entry{{"a.so", library(t, "int x;\n"), 0o644}}, nil, "does not export the function GetPjrtApi", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			before, dir := t.TempDir(), filepath.Join(t.TempDir(), "wheels")
			store := &plugin.Store{Dir: filepath.Join(t.TempDir(), "backends")}
			if _, err := store.Install(t.Context(), twoWheels(t, before), before); err != nil {
				t.Fatal(err)
			}
			files := tree(t, store.Dir)
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			p := plugin.Package{Name: "xla-test", Device: "cpu", Library: "a.so", Wheels: []plugin.Wheel{wheel(t, dir, "bad", "1", test.entries...)}}
			if test.spoil != nil {
				test.spoil(t, &p, filepath.Join(dir, "bad-1-py3-none-any.whl"))
			}
			_, err := store.Install(t.Context(), p, dir)
			says(t, err, test.words)
			if plugin.Unavailable(err) != test.unavailable {
				t.Errorf("unavailable: %v, want %v", !test.unavailable, test.unavailable)
			}
			if got := tree(t, store.Dir); !slices.Equal(got, files) {
				t.Errorf("the store holds %q, and held %q", got, files)
			}
			if list := store.Installed(); len(list) != 1 || list[0].Version != "some-plugin 1.2" || list[0].Err != nil {
				t.Errorf("what was there before is now %+v", list)
			}
		})
	}
}

func otherMachine(elf []byte) []byte {
	elf = slices.Clone(elf)
	elf[18], elf[19] = 243, 0 // e_machine
	return elf
}

func TestNoRoom(t *testing.T) {
	wheels := t.TempDir()
	p := twoWheels(t, wheels)
	store := &plugin.Store{Dir: filepath.Join(t.TempDir(), "backends"), Free: func(string) (uint64, error) { return 1000, nil }}
	_, err := store.Install(t.Context(), p, wheels)
	says(t, err, "xla-test takes ", store.Dir+" has only 0.0 MiB left", "make room")
	store.Free = func(string) (uint64, error) { return uint64(p.Unpacked()), nil }
	if _, err := store.Install(t.Context(), p, wheels); err != nil {
		t.Errorf("with room enough: %v", err)
	}
}

func TestNoPlace(t *testing.T) {
	wheels := t.TempDir()
	p := twoWheels(t, wheels)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for dir, words := range map[string]string{
		"/proc/gradbook":                      "set XDG_DATA_HOME to a folder that can be written",
		filepath.Join(file, "x"):              "not a directory; set XDG_DATA_HOME",
		filepath.Join(t.TempDir(), "a,b"):     "go-xla takes no path with a comma: set XDG_DATA_HOME",
		filepath.Join(t.TempDir(), "my cuda"): "set XDG_DATA_HOME to another folder",
	} {
		store := &plugin.Store{Dir: dir}
		_, err := store.Install(t.Context(), p, wheels)
		says(t, err, words)
	}
}

// TestInterrupted: nothing is left of an installation that was ended, nor of one that was killed.
func TestInterrupted(t *testing.T) {
	wheels := t.TempDir()
	p := twoWheels(t, wheels)
	store := &plugin.Store{Dir: filepath.Join(t.TempDir(), "backends")}
	ctx, cancel := context.WithCancel(t.Context())
	store.Report = func(text string) {
		if strings.HasPrefix(text, "Unpacking") {
			cancel()
		}
	}
	if _, err := store.Install(ctx, p, wheels); err == nil || ctx.Err() == nil {
		t.Errorf("interrupted: %v", err)
	}
	if got := tree(t, store.Dir); got != nil {
		t.Errorf("left behind: %q", got)
	}
	for _, name := range []string{".new-1", ".old-1/xla-test"} {
		if err := os.MkdirAll(filepath.Join(store.Dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	store.Report = nil
	if _, err := store.Install(t.Context(), p, wheels); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(store.Dir)
	if err != nil || len(entries) != 2 { // the lock and the package
		t.Errorf("%v, %v", entries, err)
	}
}

// TestPinned reads all that is pinned: a mistake there would be seen by users only.
func TestPinned(t *testing.T) {
	files, err := plugin.Pinned.ReadDir("pinned")
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	for _, p := range plugin.Known {
		for _, arch := range []string{"amd64", "arm64"} {
			wheels := plugin.WheelsFor(p.Name, arch)
			if wheels == nil {
				continue
			}
			read++
			seen := map[string]bool{}
			for _, w := range wheels {
				if seen[w.Name] || w.Bytes < 1<<20 || w.Unpacked < w.Bytes {
					t.Errorf("%s, %s: %+v", p.Name, arch, w)
				}
				seen[w.Name] = true
			}
		}
		if plugin.WheelsFor(p.Name, "amd64") == nil || p.About == "" || p.Builder == "" || p.Licence == "" || p.Library == "" {
			t.Errorf("%+v", p)
		}
		if got, err := plugin.Lookup(p.Name); runtime.GOARCH == "amd64" && (err != nil || got.Bytes() == 0 || got.Version() == "") {
			t.Errorf("%s: %+v, %v", p.Name, got, err)
		}
	}
	if read != len(files) {
		t.Errorf("%d files are pinned, and %d read", len(files), read)
	}
	_, err = plugin.Lookup("xla-tpu")
	says(t, err, `there is no package "xla-tpu": choose one of xla-cpu, xla-cpu-fastatomstruct, xla-cuda, xla-cuda12, xla-cuda13`)
}

func TestDriver(t *testing.T) {
	for _, test := range []struct{ file, text, smi, want, words string }{
		{"proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024\nGCC version:  gcc version 12.2.0", "", "xla-cuda12", ""},
		{"proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.82.07  Release Build", "", "xla-cuda13", ""},
		{"proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.199.02  x", "", "", "driver of this machine is 470.199.02, and CUDA 12 needs 525 or later"},
		{"sys/module/nvidia/version", "595.1\n", "", "xla-cuda13", ""},
		{"usr/lib/x86_64-linux-gnu/libcuda.so.535.104.05", "", "", "xla-cuda12", ""},
		{"usr/lib64/libcuda.so.600.10", "", "", "xla-cuda13", ""},
		{"", "", "echo 581.00", "xla-cuda13", ""},
		{"proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  x", `case "$1" in *compute_cap*) printf '9.0\n7.0\n';; esac`, "xla-cuda12", ""}, // one GPU is a V100
		{"proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  x", `case "$1" in *compute_cap*) echo 7.5;; esac`, "xla-cuda13", ""},
		{"", "", "", "", "no NVIDIA driver is found here"},
	} {
		t.Run(test.want+test.file+test.smi, func(t *testing.T) {
			root, bin := t.TempDir(), t.TempDir()
			if test.file != "" {
				path := filepath.Join(root, test.file)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(test.text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if test.smi != "" {
				script(t, filepath.Join(bin, "nvidia-smi"), test.smi)
			}
			t.Setenv("PATH", bin+":/bin:/usr/bin")
			if _, err := os.Stat("/usr/bin/nvidia-smi"); err == nil {
				t.Setenv("PATH", bin) // a real one would answer
			}
			got, err := plugin.ForDriver(root)
			if got != test.want {
				t.Errorf("got %q, %v; want %q", got, err, test.want)
			}
			if test.words != "" {
				says(t, err, test.words)
			}
		})
	}
}

func script(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(fmt.Sprintf("#!/bin/sh\n%s\n", text)), 0o755); err != nil {
		t.Fatal(err)
	}
}
