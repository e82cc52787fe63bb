package backend_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/gradbook/gradbook/internal/pjrt/fake"
	"github.com/gradbook/gradbook/pkg/backend"
)

// library describes a fake shared library.
type library struct {
	machine   elf.Machine
	kind      elf.Type
	symbols   []string // exported
	undefined []string // used, not exported
	claims    uint64   // bytes of a segment, which the file need not have
}

// here is a library for this machine that exports the symbols.
func here(symbols ...string) library {
	machine := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[runtime.GOARCH]
	return library{machine: machine, kind: elf.ET_DYN, symbols: symbols}
}

// bytes lays the library out: header, one segment, the dynamic symbols and their names, section headers.
func (l library) bytes(t *testing.T) []byte {
	t.Helper()
	const header, segment, section = 64, 56, 64
	names, symbols := []byte{0}, []elf.Sym64{{}}
	for i, name := range append(append([]string(nil), l.symbols...), l.undefined...) {
		symbol := elf.Sym64{Name: uint32(len(names)), Info: elf.ST_INFO(elf.STB_GLOBAL, elf.STT_FUNC), Shndx: 1, Value: header}
		if i >= len(l.symbols) {
			symbol.Shndx = uint16(elf.SHN_UNDEF)
		}
		symbols, names = append(symbols, symbol), append(append(names, name...), 0)
	}
	sectionNames := []byte("\x00.dynsym\x00.dynstr\x00.shstrtab\x00")
	var table bytes.Buffer
	write := func(into *bytes.Buffer, v any) {
		if err := binary.Write(into, binary.LittleEndian, v); err != nil {
			t.Fatal(err)
		}
	}
	write(&table, symbols)
	at := uint64(header + segment)
	sections := []elf.Section64{{},
		{Name: 1, Type: uint32(elf.SHT_DYNSYM), Off: at, Size: uint64(table.Len()), Link: 2, Entsize: elf.Sym64Size},
		{Name: 9, Type: uint32(elf.SHT_STRTAB), Off: at + uint64(table.Len()), Size: uint64(len(names))},
		{Name: 17, Type: uint32(elf.SHT_STRTAB), Off: at + uint64(table.Len()+len(names)), Size: uint64(len(sectionNames))},
	}
	end := sections[3].Off + sections[3].Size
	var file bytes.Buffer
	write(&file, elf.Header64{
		Ident: [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(l.kind), Machine: uint16(l.machine), Version: uint32(elf.EV_CURRENT), Phoff: header, Shoff: end, Ehsize: header,
		Phentsize: segment, Phnum: 1, Shentsize: section, Shnum: uint16(len(sections)), Shstrndx: 3,
	})
	write(&file, elf.Prog64{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R), Filesz: max(end, l.claims), Memsz: max(end, l.claims), Align: 4096})
	file.Write(table.Bytes())
	file.Write(names)
	file.Write(sectionNames)
	write(&file, sections)
	return file.Bytes()
}

// fakes are files that are no plugins, each with words of what is wrong with it.
func fakes(t *testing.T) map[string]struct {
	content []byte
	words   string
} {
	t.Helper()
	sound := here("GetPjrtApi")
	other, program, cut := sound, sound, sound
	other.machine, program.kind, cut.claims = elf.EM_RISCV, elf.ET_EXEC, 1<<30
	user := here("main")
	user.undefined = []string{"GetPjrtApi"}
	return map[string]struct {
		content []byte
		words   string
	}{
		"pjrt_c_api_empty_plugin.so":   {nil, "is an empty file"},
		"pjrt_c_api_text_plugin.so":    {[]byte("<html>404: not found</html>"), "is not a shared library (ELF), or is cut short"},
		"pjrt_c_api_short_plugin.so":   {sound.bytes(t)[:100], "is not a shared library (ELF), or is cut short"},
		"pjrt_c_api_cut_plugin.so":     {cut.bytes(t), "is cut short"},
		"pjrt_c_api_other_plugin.so":   {other.bytes(t), "is for another machine: EM_RISCV, this one is EM_"},
		"pjrt_c_api_program_plugin.so": {program.bytes(t), "is not a shared library: its ELF type is ET_EXEC"},
		"pjrt_c_api_plain_plugin.so":   {here("main", "GetPjrtApi2").bytes(t), "does not export the function GetPjrtApi"},
		"pjrt_c_api_bare_plugin.so":    {here().bytes(t), "does not export the function GetPjrtApi"},
		"pjrt-plugin-user.so":          {user.bytes(t), "does not export the function GetPjrtApi"},
	}
}

func put(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o777); err != nil {
		t.Fatal(err)
	}
}

// says checks that err is one line that names path and has the words.
func says(t *testing.T, err error, path string, words ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error, want one with %q", path, words)
		return
	}
	for _, word := range append(words, path) {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error %q, want one with %q", err, word)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("error of several lines: %q", err)
	}
}

func TestCheck(t *testing.T) {
	folder := t.TempDir()
	for name, fake := range fakes(t) {
		path := filepath.Join(folder, name)
		put(t, path, fake.content)
		says(t, backend.Check(path), path, fake.words)
		_, err := backend.New("xla:" + path)
		says(t, err, path, fake.words)
	}
	says(t, backend.Check(folder), folder, "is not a file")
	missing := filepath.Join(folder, "pjrt_c_api_cpu_plugin.so")
	says(t, backend.Check(missing), missing, "no such file")
	sound := filepath.Join(folder, "sound.so")
	put(t, sound, here("GetPjrtApi").bytes(t))
	if err := backend.Check(sound); err != nil {
		t.Errorf("a library that exports GetPjrtApi: %v", err)
	}
}

// TestUnloadable has files that pass for plugins and that the system's loader, or go-xla, refuses: errors, where go-xla by itself would panic or mistake one
// device for another.
func TestUnloadable(t *testing.T) {
	folder := t.TempDir()
	for name, words := range map[string][]string{
		"pjrt_c_api_cpu_plugin.so":        {"does not start", "failed to dynamically load"},
		"cuda12/pjrt_c_api_cpu_plugin.so": {"by its folder's name"},
		"pjrt_c_api_cuda_plugin.so":       {"PJRT plugin"},
	} {
		path := filepath.Join(folder, name)
		put(t, path, here("GetPjrtApi").bytes(t))
		_, err := backend.New("xla:" + path)
		says(t, err, path, words...)
	}
	comma := filepath.Join(folder, "a,b", "pjrt_c_api_cpu_plugin.so")
	put(t, comma, here("GetPjrtApi").bytes(t))
	t.Setenv("PJRT_PLUGIN_LIBRARY_PATH", filepath.Dir(comma))
	_, err := backend.New("xla:cpu")
	says(t, err, comma, "comma")
	cuda := filepath.Join(folder, "pjrt_c_api_cuda_plugin.so")
	if gpu, _ := filepath.Glob("/dev/nvidia*"); len(gpu) == 0 {
		says(t, backend.Check(cuda), cuda, "no NVIDIA GPU")
	} else if err := backend.Check(cuda); err != nil {
		t.Error(err)
	}
}

// TestWhyUnloadable loads a plugin that needs a library which is in none of many folders, so that it takes a while, and others want the processors too: the
// loader's own words, which it keeps for each thread, must arrive all the same.
func TestWhyUnloadable(t *testing.T) {
	folder := t.TempDir()
	path, nowhere := filepath.Join(folder, "pjrt_c_api_cpu_plugin.so"), filepath.Join(folder, "libnothere.so")
	var folders []string
	for i := range 500 {
		folders = append(folders, fmt.Sprint("/none/", i))
	}
	fake.Compile(t, nowhere, "int x;\n")
	fake.Compile(t, path, fake.Plugin, "-Wl,--no-as-needed", "-Wl,-rpath,"+strings.Join(folders, ":"), "-L"+folder, "-lnothere")
	if err := os.Remove(nowhere); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	defer close(done)
	for range 4 * runtime.GOMAXPROCS(0) {
		go func() {
			for {
				select {
				case <-done:
					return
				default:
					runtime.Gosched()
				}
			}
		}()
	}
	for range 200 {
		_, err := backend.New("xla:" + path)
		says(t, err, path, "libnothere.so: cannot open shared object file")
	}
}

func TestPlugins(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	t.Setenv("PJRT_PLUGIN_LIBRARY_PATH", first+"::"+second+":/nowhere")
	if got := backend.Folders(); strings.Join(got, " ") != strings.Join([]string{first, second, "/nowhere"}, " ") {
		t.Errorf("folders %q", got)
	}
	if got := backend.Plugins(); len(got) != 0 {
		t.Errorf("plugins in empty folders: %v", got)
	}
	sound := here("GetPjrtApi").bytes(t)
	put(t, filepath.Join(first, "pjrt_c_api_cpu_plugin.so"), []byte("broken"))
	put(t, filepath.Join(second, "pjrt_c_api_cpu_plugin.so"), sound)
	put(t, filepath.Join(first, "pjrt_c_api_abc_plugin.so"), sound)
	put(t, filepath.Join(second, "pjrt_c_api_abc_plugin.so"), sound)
	put(t, filepath.Join(second, "pjrt_plugin_cpu_v0.83.1.so"), sound)
	put(t, filepath.Join(second, "pjrt-plugin-cuda.so"), []byte("broken"))
	put(t, filepath.Join(second, "libcpu.so"), sound)
	var got []string
	for _, p := range backend.Plugins() {
		text := p.Name + " " + strings.NewReplacer(first, "1", second, "2").Replace(p.Path)
		if p.Err != nil {
			says(t, p.Err, p.Path, "is not a shared library")
			text += " broken"
		}
		got = append(got, text)
	}
	want := []string{
		"cuda 2/pjrt-plugin-cuda.so broken",
		"cpu 2/pjrt_c_api_cpu_plugin.so", // the sound one, though the broken one is found first
		"cpu_v0.83.1 2/pjrt_plugin_cpu_v0.83.1.so",
		"abc 1/pjrt_c_api_abc_plugin.so",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("plugins:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	_, err := backend.New("xla:tpu")
	says(t, err, "tpu", "no PJRT plugin", "installed is cuda (", "abc ("+first)
}

// TestChosenForAll: what 'gradbook backend use' chose is taken, gives way to pure Go where it cannot be had, and to GOMLX_BACKEND.
func TestChosenForAll(t *testing.T) {
	folder := t.TempDir()
	broken := filepath.Join(folder, "pjrt_c_api_cpu_plugin.so")
	put(t, broken, []byte("broken"))
	for choice, reason := range map[string]string{
		"go":      "go was chosen by 'gradbook backend use'",
		"xla:cpu": "xla:cpu was chosen by 'gradbook backend use', but PJRT plugin " + broken + " is not a shared library",
		"abacus":  "abacus was chosen by 'gradbook backend use', but unknown backend",
	} {
		t.Setenv("GRADBOOK_BACKEND", choice)
		if a := ask(t, "", folder); a.Choice.Name != "go:ops_sequential" || !strings.HasPrefix(a.Choice.Reason, reason) || a.Error != "" {
			t.Errorf("%s: %+v", choice, a)
		}
		if a := ask(t, "go:ops_parallel", folder); a.Choice.Reason != "GOMLX_BACKEND=go:ops_parallel" {
			t.Errorf("%s: %+v", choice, a)
		}
	}
	// What the kernel puts into GOMLX_BACKEND for it is no word of the user's.
	t.Setenv("GRADBOOK_BACKEND", "go")
	t.Setenv("GRADBOOK_DEFAULT_BACKEND", "go:ops_sequential")
	if a := ask(t, "go:ops_sequential", folder); a.Choice.Reason != "go was chosen by 'gradbook backend use'" {
		t.Errorf("%+v", a)
	}
}

// TestInstalledFolders: what 'gradbook backend install' has installed is found first, the newer CUDA before the older.
func TestInstalledFolders(t *testing.T) {
	data := t.TempDir()
	t.Setenv("XDG_DATA_HOME", data)
	if path, set := os.LookupEnv("PJRT_PLUGIN_LIBRARY_PATH"); set {
		t.Setenv("PJRT_PLUGIN_LIBRARY_PATH", path) // put back at the end
		os.Unsetenv("PJRT_PLUGIN_LIBRARY_PATH")
	}
	backends := filepath.Join(data, "gradbook", "backends")
	for name, device := range map[string]string{"xla-cpu": "cpu", "xla-cpu-fastatomstruct": "cpu", "xla-cuda12": "cuda", "xla-cuda13": "cuda", ".new-1": "cpu"} {
		put(t, filepath.Join(backends, name, "plugin", "pjrt_c_api_"+device+"_plugin.so"), here("GetPjrtApi").bytes(t))
	}
	folders := strings.Join(backend.Folders(), " ")
	want := filepath.Join(backends, "xla-cpu", "plugin") + " " + filepath.Join(backends, "xla-cpu-fastatomstruct", "plugin") + " " +
		filepath.Join(backends, "xla-cuda13", "plugin") + " " + filepath.Join(backends, "xla-cuda12", "plugin") + " "
	if !strings.HasPrefix(folders, want) {
		t.Errorf("folders %s, want %s first", folders, want)
	}
	var got []string
	for _, p := range backend.Plugins()[:2] {
		got = append(got, p.Path)
	}
	for i, name := range []string{"xla-cuda13/plugin/pjrt_c_api_cuda_plugin.so", "xla-cpu/plugin/pjrt_c_api_cpu_plugin.so"} {
		if got[i] != filepath.Join(backends, name) {
			t.Errorf("plugin %d is %s, want %s", i, got[i], name)
		}
	}
}
