package pjrt_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradbook/gradbook/internal/pjrt"
)

func TestOptions(t *testing.T) {
	const gpu = "/x/pjrt_c_api_cuda_plugin.so"
	for _, test := range []struct{ path, given, want string }{
		{"/x/pjrt_c_api_cpu_plugin.so", "", ""},
		{"/x/pjrt_c_api_cpu_plugin.so", "o=1", "o=1"},
		{gpu, "", "preallocate=false,tf32=false"},
		{gpu, "preallocate=true", "preallocate=true,tf32=false"},
		{gpu, "o=1, nopreallocate,tf32", "o=1, nopreallocate,tf32"},
		{"/cpu/pjrt_c_api_cuda_plugin.so", "tf32=true", "tf32=true,preallocate=false,shared_buffers=false"},
	} {
		if got := pjrt.Options(test.path, test.given); got != test.want {
			t.Errorf("%s, %q: %q, want %q", test.path, test.given, got, test.want)
		}
	}
}

func TestFind(t *testing.T) {
	all := []pjrt.Plugin{{Name: "cuda"}, {Name: "cpu_v0.83.1"}, {Name: "cpu"}, {Name: "cpux"}}
	for name, want := range map[string]string{"cpu": "cpu_v0.83.1 cpu", "": "cuda cpu_v0.83.1 cpu cpux", "tpu": "", "cpu_v0.83.1": "cpu_v0.83.1"} {
		var got []string
		for _, p := range pjrt.Find(all, name) {
			got = append(got, p.Name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func TestPath(t *testing.T) {
	for path, words := range map[string]string{
		"/x/pjrt_c_api_cpu_plugin.so":       "",
		"/cuda/x/pjrt_c_api_cuda_plugin.so": "",
		"/Cuda/x/pjrt_c_api_cpu_plugin.so":  "by its folder's name",
		"/nvidia/pjrt_c_api_cpu_plugin.so":  "by its folder's name",
		"/a,b/pjrt_c_api_cuda_plugin.so":    "no path with a comma",
	} {
		if err := pjrt.CheckPath(path); (err == nil) != (words == "") || err != nil && !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v, want %q", path, err, words)
		}
	}
}

// The folder of what was installed is the user's; without a home there is none, and that is an error.
func TestInstallDir(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", "/data")
	if got, err := pjrt.InstallDir(); got != "/data/gradbook/backends" || err != nil {
		t.Errorf("%s, %v", got, err)
	}
	t.Setenv("XDG_DATA_HOME", "")
	t.Setenv("HOME", "/home/me")
	if got, err := pjrt.InstallDir(); got != "/home/me/.local/share/gradbook/backends" || err != nil {
		t.Errorf("%s, %v", got, err)
	}
	os.Unsetenv("HOME")
	if got, err := pjrt.InstallDir(); err == nil {
		t.Errorf("without a home: %s", got)
	}
	t.Setenv("PJRT_PLUGIN_LIBRARY_PATH", "")
	if got := pjrt.Folders(); len(got) != 0 {
		t.Errorf("folders %q", got)
	}
	if got := filepath.Base(pjrt.FileName("cpu")); got != "pjrt_c_api_cpu_plugin.so" {
		t.Error(got)
	}
}
