package main_test

import (
	"archive/zip"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradbook/gradbook/internal/pjrt"
	"github.com/gradbook/gradbook/internal/pjrt/fake"
)

// newUser gives the program folders of its own, where nothing is installed and nothing was chosen; plugins are looked for in the folder that it returns.
func newUser(t *testing.T) (plugins string) {
	t.Helper()
	plugins = t.TempDir()
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("PJRT_PLUGIN_LIBRARY_PATH", plugins)
	for _, v := range []string{"GOMLX_BACKEND", "GRADBOOK_BACKEND", "GRADBOOK_DEFAULT_BACKEND"} {
		t.Setenv(v, "") // put back at the end
		os.Unsetenv(v)
	}
	return plugins
}

// oneSentence checks that a command has failed, with one line on standard error.
func oneSentence(t *testing.T, r result, words ...string) {
	t.Helper()
	if r.code != 1 || strings.Count(r.stderr, "\n") != 1 || strings.Contains(r.stderr, "goroutine ") {
		t.Errorf("want exit status 1 and one line; got %s", r)
	}
	for _, word := range words {
		if !strings.Contains(r.stderr, word) {
			t.Errorf("want %q; got %s", word, r)
		}
	}
}

// choice is a cell that says what it computes on, and computes.
const choice = `import "github.com/gradbook/gradbook/pkg/backend"
import "github.com/gomlx/gomlx/core/graph"
fmt.Println(backend.Choice())
fmt.Println(graph.MustNewExec(backend.MustDefault(), func(x *graph.Node) *graph.Node { return graph.Add(x, x) }).MustExec(float32(21))[0].Value())
`

// TestBackendBroken has plugins that cannot be used. Each is one sentence, and where it was chosen, pure Go goes on working.
func TestBackendBroken(t *testing.T) {
	for _, test := range []struct {
		name  string
		make  func(t *testing.T, path string)
		words string
		late  bool // it is seen only when it is loaded
	}{
		{"missing", func(*testing.T, string) {}, "no such file", false},
		{"no plugin", func(t *testing.T, path string) { fake.Compile(t, path, "int x;\n") }, "does not export the function GetPjrtApi", false},
		{"cut short", func(t *testing.T, path string) {
			fake.Compile(t, path, fake.Plugin)
			if err := os.Truncate(path, 5000); err != nil {
				t.Fatal(err)
			}
		}, "is cut short", false},
		{"another machine", func(t *testing.T, path string) {
			fake.Compile(t, path, fake.Plugin)
			elf := []byte(read(t, path))
			elf[18], elf[19] = 243, 0
			if err := os.WriteFile(path, elf, 0o755); err != nil {
				t.Fatal(err)
			}
		}, "is for another machine: EM_RISCV", false},
		{"a library is missing", func(t *testing.T, path string) {
			dir := t.TempDir()
			fake.Compile(t, filepath.Join(dir, "libnothere.so"), "int x;\n")
			fake.Compile(t, path, fake.Plugin, "-Wl,--no-as-needed", "-L"+dir, "-lnothere")
		}, "libnothere.so: cannot open shared object file", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			plugins := newUser(t)
			path := filepath.Join(plugins, "pjrt_c_api_cpu_plugin.so")
			// It was sound when it was chosen.
			fake.Compile(t, path, fake.Plugin)
			if r := gradbook(t, plugins, "", "backend", "use", "xla:"+path); r.code != 0 {
				t.Fatalf("%s", r)
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			test.make(t, path)
			oneSentence(t, gradbook(t, plugins, "", "backend", "test", "xla:"+path), path, test.words)
			oneSentence(t, gradbook(t, plugins, "", "backend", "test"), path, test.words)
			r := gradbook(t, plugins, choice, "exec", "-")
			if r.code != 0 || !strings.HasPrefix(r.stdout, "go:ops_sequential: xla:"+path+" was chosen by 'gradbook backend use', but ") || !strings.Contains(r.stdout, test.words) ||
				!strings.HasSuffix(r.stdout, "\n42\n") {
				t.Errorf("%s", r)
			}
			if !test.late && !strings.Contains(r.stderr, "pure Go computes instead") {
				t.Errorf("nothing is said: %s", r)
			}
			if r := gradbook(t, plugins, "", "backend", "list"); r.code != 0 || !test.late && !strings.Contains(r.stdout, "In use: go:ops_sequential\n") {
				t.Errorf("%s", r)
			}
		})
	}
}

// A plugin that kills the program which loads it.
func TestBackendCrash(t *testing.T) {
	plugins := newUser(t)
	path := filepath.Join(plugins, "pjrt_c_api_cpu_plugin.so")
	fake.Compile(t, path, fake.Plugin+"__attribute__((constructor)) static void crash(void) { *(volatile int *)0 = 1; }\n")
	oneSentence(t, gradbook(t, plugins, "", "backend", "test", "xla:cpu"), "the backend xla:cpu has killed the program that it was loaded into: SIGSEGV", "gradbook backend use go")
	if r := gradbook(t, plugins, "", "backend", "use", "go"); r.code != 0 || r.stdout != "chosen: go\nin use: go, chosen by 'gradbook backend use'\n" {
		t.Errorf("%s", r)
	}
	if r := gradbook(t, plugins, choice, "exec", "-"); r.code != 0 || r.stdout != "go:ops_sequential: go was chosen by 'gradbook backend use'\n42\n" || r.stderr != "" {
		t.Errorf("%s", r)
	}
	// The environment says more than the choice.
	t.Setenv("GOMLX_BACKEND", "go:ops_parallel")
	if r := gradbook(t, plugins, choice, "exec", "-"); r.code != 0 || r.stdout != "go:ops_parallel: GOMLX_BACKEND=go:ops_parallel\n42\n" {
		t.Errorf("%s", r)
	}
}

// The choice reaches notebooks, and programs that ask GoMLX itself.
func TestBackendUseRun(t *testing.T) {
	plugins := newUser(t)
	cell := `"import (\n\"github.com/gomlx/compute\"\n\"github.com/gradbook/gradbook/pkg/backend\"\n)\nb, err := compute.New()\nfmt.Println(backend.Choice(), b, err)"`
	dir := files(t, "a.ipynb", `{"nbformat":4,"nbformat_minor":5,"metadata":{},"cells":[{"cell_type":"code","id":"a","metadata":{},"execution_count":null,"outputs":[],"source":`+cell+`}]}`)
	if r := gradbook(t, plugins, "", "backend", "use", "go"); r.code != 0 {
		t.Fatalf("%s", r)
	}
	if r := gradbook(t, dir, "", "run", "a.ipynb"); r.code != 0 || !strings.Contains(read(t, dir, "a.out.ipynb"), "go:ops_sequential: go was chosen by 'gradbook backend use' go <nil>") {
		t.Errorf("%s\n%s", r, read(t, dir, "a.out.ipynb"))
	}
	// A file that holds no choice stops nothing.
	if err := os.WriteFile(filepath.Join(os.Getenv("XDG_CONFIG_HOME"), "gradbook", "backend"), []byte("quantum\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if r := gradbook(t, dir, choice, "exec", "-"); r.code != 0 || r.stdout != "go:ops_sequential: no PJRT plugin in "+plugins+"\n42\n" || !strings.Contains(r.stderr, `"quantum" is no backend`) {
		t.Errorf("%s", r)
	}
	if r := gradbook(t, dir, "", "doctor"); !strings.Contains(r.stdout, "backend     go:ops_sequential, ") || !strings.Contains(r.stdout, `"quantum" is no backend`) {
		t.Errorf("%s", r)
	}
}

// TestBackendTest computes on pure Go, and on each plugin for which this machine has a device.
func TestBackendTest(t *testing.T) {
	names := []string{"go"}
	for _, p := range pjrt.Plugins() {
		if p.Err == nil {
			names = append(names, "xla:"+p.Path)
		}
	}
	newUser(t)
	for _, name := range names {
		r := gradbook(t, t.TempDir(), "", "backend", "test", name)
		for _, want := range []string{"backend   " + name + "\n", "device    ", "version   ", "start     ok", "graph     ok", "gradient  ok", "training  ok", "All is as it should be.\n"} {
			if r.code != 0 || !strings.Contains(r.stdout, want) {
				t.Errorf("want %q; got %s", want, r)
			}
		}
	}
}

func TestBackendInstallRefused(t *testing.T) {
	plugins := newUser(t)
	wheels := t.TempDir()
	const name = "lammps_jax_pjrt_cpu-0.11.2-py3-none-manylinux_2_27_x86_64.whl"
	f, err := os.Create(filepath.Join(wheels, name))
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	if _, err := z.Create("lammps_jax_pjrt_cpu/pjrt_c_api_cpu_plugin.so"); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	noPip := program(t, "python3", "case \"$3\" in download) echo NewConnectionError; exit 1;; esac\n")
	for _, test := range []struct{ args, path, words string }{
		{"xla-tpu", "", `there is no package "xla-tpu": choose one of xla-cpu, `},
		{"xla-cpu --from " + wheels, "", name + " is cut short: it has "},
		{"xla-cpu-fastatomstruct --from " + wheels, "", wheels + " holds no wheel of fastatomstruct-xla-cpu 2026.6.23"},
		{"xla-cpu --from " + filepath.Join(wheels, name), "", "is no folder"},
		{"xla-cpu --from /nowhere", "", "/nowhere: no such file"},
		{"xla-cpu", "/nowhere", "there is no Python 3.8 or later in PATH; install one"},
		{"xla-cpu-fastatomstruct", noPip + ":/bin:/usr/bin", "the package index cannot be reached"},
	} {
		t.Run(test.args, func(t *testing.T) {
			if test.path != "" {
				t.Setenv("PATH", test.path)
			}
			r := gradbook(t, plugins, "", append([]string{"backend", "install"}, strings.Fields(test.args)...)...)
			last := r.stderr[strings.LastIndex(strings.TrimSuffix(r.stderr, "\n"), "\n")+1:] // above it is what was under way
			oneSentence(t, result{code: r.code, stderr: last, stdout: r.stdout}, "gradbook: ", test.words)
			if left, _ := filepath.Glob(filepath.Join(os.Getenv("XDG_DATA_HOME"), "gradbook", "backends", "[^.]*")); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
	// Where the first cannot be had, the other is tried, and that is said.
	t.Setenv("PATH", noPip+":/bin:/usr/bin")
	r := gradbook(t, plugins, "", "backend", "install", "xla-cpu")
	if r.code != 1 || !strings.Contains(r.stderr, "lammps-jax-pjrt-cpu 0.11.2 cannot be fetched: the package index cannot be reached") || !strings.Contains(r.stderr, "trying xla-cpu-fastatomstruct instead") ||
		!strings.Contains(r.stderr, "gradbook: neither xla-cpu nor xla-cpu-fastatomstruct can be installed: ") {
		t.Errorf("%s", r)
	}
	for _, words := range []string{"lammps-jax-pjrt-cpu 0.11.2", "a third party, not Gradbook", "licence   Apache-2.0", "59.8 MiB to fetch in 1 file"} {
		if !strings.Contains(r.stdout, words) {
			t.Errorf("want %q; got %s", words, r)
		}
	}
	t.Setenv("XDG_DATA_HOME", "/proc")
	if r := gradbook(t, plugins, "", "backend", "install", "xla-cpu"); r.code != 1 || !strings.Contains(r.stderr, "set XDG_DATA_HOME to a folder that can be written") {
		t.Errorf("%s", r)
	}
}

func TestBackendCommandLine(t *testing.T) {
	plugins := newUser(t)
	fake.Compile(t, filepath.Join(plugins, "pjrt_c_api_abc_plugin.so"), fake.Plugin)
	for _, test := range []struct {
		args string
		code int
		want string
	}{
		{"backend", 0, "install     Fetch, check and unpack a plugin for XLA"},
		{"backend list", 0, "go            GoMLX's backend in pure Go, always there\nxla:abc       not installed by gradbook"},
		{"backend list", 0, "xla-cpu                 XLA's plugin for the CPU: 59.8 MiB to fetch"},
		{"backend list x", 2, "See 'gradbook backend list --help'."},
		{"backend install", 2, "0 arguments were given; give one, the package: xla-cpu, "},
		{"backend use", 2, "give one, the backend: go, xla:cpu, xla:cuda or auto"},
		{"backend use tpu", 1, `"tpu" is no backend: choose one of go, xla:cpu, `},
		{"backend use xla:cpu", 1, "no plugin for xla:cpu is installed: gradbook backend install xla-cpu"},
		{"backend use xla-cpu", 1, "xla-cpu is not installed: gradbook backend install xla-cpu"},
		{"backend use xla:abc", 0, "chosen: xla:abc\nin use: xla:" + plugins},
		{"backend use auto", 0, "chosen: auto"},
		{"backend test tpu", 1, `"tpu" is no backend`},
		{"backend test xla:cuda", 1, "no plugin for xla:cuda is installed: gradbook backend install xla-cuda"},
		{"backend test a b", 2, "See 'gradbook backend test --help'."},
		{"backend remove xla-cpu", 1, "xla-cpu is not installed, and neither is anything else"},
		{"backend remove ../..", 1, `"../.." is not the name of a package`},
		{"backend frobnicate", 2, `unknown command "frobnicate"`},
	} {
		r := gradbook(t, plugins, "", strings.Fields(test.args)...)
		if r.code != test.code || !strings.Contains(r.stdout+r.stderr, test.want) {
			t.Errorf("%s: want exit status %d and %q; got %s", test.args, test.code, test.want, r)
		}
	}
	var list struct {
		Backends []struct{ Config, Path, Problem string }
		InUse    string
	}
	r := gradbook(t, plugins, "", "backend", "list", "--json")
	if err := json.Unmarshal([]byte(r.stdout), &list); err != nil || len(list.Backends) != 2 || list.Backends[1].Config != "xla:abc" || !strings.HasPrefix(list.InUse, "xla:"+plugins) {
		t.Errorf("%v: %s", err, r)
	}
}
