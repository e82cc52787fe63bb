//go:build linux && (amd64 || arm64) && cgo && !noxla

package backend_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/gradbook/gradbook/internal/pjrt/fake"
	"github.com/gradbook/gradbook/pkg/backend"
)

// TestPrepareCUDA: the libraries that lie beside a plugin for CUDA are loaded, what others need first, and XLA is told where the assembler is, unless it was told already.
func TestPrepareCUDA(t *testing.T) {
	root := t.TempDir()
	log := filepath.Join(root, "log")
	for _, library := range []string{"cudnn/lib/libcudnn.so.9", "cu13/lib/libcublas.so.13", "cu13/lib/libcudart.so.13", "cu13/lib/libother.so.1"} {
		path := filepath.Join(root, "nvidia", library)
		put(t, path, nil)
		fake.Compile(t, path, `#include <stdio.h>
__attribute__((constructor)) static void loaded(void) { FILE *f = fopen("`+log+`", "a"); fputs("`+filepath.Base(library)+` ", f); fclose(f); }`)
	}
	put(t, filepath.Join(root, "nvidia", "cu13", "lib", "libcusparse.so.12"), []byte("no library")) // which is passed over
	put(t, filepath.Join(root, "nvidia", "cu13", "bin", "ptxas"), nil)
	plugin := filepath.Join(root, "plugin", "pjrt_c_api_cuda_plugin.so")
	data := "--xla_gpu_cuda_data_dir=" + filepath.Join(root, "nvidia", "cu13")
	for _, test := range []struct{ before, after string }{{"", data}, {"--x=1", "--x=1 " + data}, {"--xla_gpu_cuda_data_dir=/mine", "--xla_gpu_cuda_data_dir=/mine"}} {
		t.Setenv("XLA_FLAGS", test.before)
		backend.PrepareCUDA(plugin)
		if got := os.Getenv("XLA_FLAGS"); got != test.after {
			t.Errorf("with %q XLA_FLAGS is %q, want %q", test.before, got, test.after)
		}
	}
	loaded, err := os.ReadFile(log)
	if want := "libcudart.so.13 libcublas.so.13 libcudnn.so.9 "; err != nil || string(loaded) != want {
		t.Errorf("loaded %q, %v; want %q", loaded, err, want)
	}
}
