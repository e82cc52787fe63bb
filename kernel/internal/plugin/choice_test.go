package plugin_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradbook/gradbook/internal/pjrt/fake"
	"github.com/gradbook/gradbook/kernel/internal/plugin"
)

// home gives the test folders of its own, and an environment in which nothing was chosen.
func home(t *testing.T) (data, config string) {
	t.Helper()
	data, config = t.TempDir(), t.TempDir()
	t.Setenv("XDG_DATA_HOME", data)
	t.Setenv("XDG_CONFIG_HOME", config)
	t.Setenv("XDG_CONFIG_DIRS", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	for _, v := range []string{"GOMLX_BACKEND", "GRADBOOK_DEFAULT_BACKEND", "GRADBOOK_BACKEND", "LD_LIBRARY_PATH"} {
		t.Setenv(v, "")
	}
	return data, config
}

func TestChoose(t *testing.T) {
	_, config := home(t)
	wheels, folder := t.TempDir(), t.TempDir()
	t.Setenv("PJRT_PLUGIN_LIBRARY_PATH", folder)
	store, err := plugin.Open()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Install(t.Context(), twoWheels(t, wheels), wheels); err != nil {
		t.Fatal(err)
	}
	there := filepath.Join(folder, "pjrt_c_api_abc_plugin.so")
	if err := os.WriteFile(there, library(t, fake.Plugin), 0o755); err != nil {
		t.Fatal(err)
	}
	installed := filepath.Join(store.Dir, "xla-test", "plugin", "pjrt_c_api_cpu_plugin.so")
	for _, test := range []struct{ given, choice, inUse, environment string }{
		{"auto", "auto", "xla:" + there, ""},
		{"go", "go", "go", "GRADBOOK_BACKEND=go GOMLX_BACKEND=go:ops_sequential GRADBOOK_DEFAULT_BACKEND=go:ops_sequential"},
		{"go:parallelism=2", "go:parallelism=2", "go:parallelism=2",
			"GRADBOOK_BACKEND=go:parallelism=2 GOMLX_BACKEND=go:ops_sequential,parallelism=2 GRADBOOK_DEFAULT_BACKEND=go:ops_sequential,parallelism=2"},
		{"xla:abc", "xla:abc", "xla:" + there, "GRADBOOK_BACKEND=xla:abc GOMLX_BACKEND=xla:" + there + " GRADBOOK_DEFAULT_BACKEND=xla:" + there},
		{"xla:abc,o=1", "xla:abc,o=1", "xla:" + there + ",o=1", "GRADBOOK_BACKEND=xla:abc,o=1 GOMLX_BACKEND=xla:" + there + ",o=1 GRADBOOK_DEFAULT_BACKEND=xla:" + there + ",o=1"},
		{"xla-test", "xla:" + installed, "xla:" + installed, "GRADBOOK_BACKEND=xla:" + installed + " GOMLX_BACKEND=xla:" + installed + " GRADBOOK_DEFAULT_BACKEND=xla:" + installed},
		{"xla:" + there, "xla:" + there, "xla:" + there, "GRADBOOK_BACKEND=xla:" + there + " GOMLX_BACKEND=xla:" + there + " GRADBOOK_DEFAULT_BACKEND=xla:" + there},
	} {
		choice, err := store.Choose(test.given)
		if err != nil || choice != test.choice {
			t.Errorf("%s: %q, %v; want %q", test.given, choice, err, test.choice)
		}
		if got, err := plugin.Chosen(); got != test.choice || err != nil {
			t.Errorf("%s: it is remembered as %q, %v", test.given, got, err)
		}
		if got, why := plugin.InUse(); got != test.inUse || why == "" {
			t.Errorf("%s: in use is %q, %s; want %q", test.given, got, why, test.inUse)
		}
		if got, complaint := plugin.Environment(); strings.Join(got, " ") != test.environment || complaint != nil {
			t.Errorf("%s: the environment gets\n%q, %v; want\n%q", test.given, got, complaint, test.environment)
		}
	}
	// Nothing that cannot be had is chosen, and what was chosen before stays.
	for given, words := range map[string]string{
		"tpu":           `"tpu" is no backend: choose one of go, xla:cpu, xla:cuda`,
		"":              `"" is no backend`,
		"xla:":          `"xla:" is no backend`,
		"xla:cuda":      "no plugin for xla:cuda is installed: gradbook backend install xla-cuda, and unset PJRT_PLUGIN_LIBRARY_PATH, because of which XLA looks into ",
		"xla:def":       `no plugin "def" is installed`,
		"xla-cpu":       "xla-cpu is not installed: gradbook backend install xla-cpu",
		"xla:/none.so":  "PJRT plugin /none.so: no such file",
		"xla:./none.so": "none.so: no such file",
	} {
		_, err := store.Choose(given)
		says(t, err, words)
	}
	if got, _ := plugin.Chosen(); got != "xla:"+there {
		t.Errorf("now %q is chosen", got)
	}
	// The environment says more.
	t.Setenv("GOMLX_BACKEND", "xla:mine")
	if got, why := plugin.InUse(); got != "xla:mine" || why != "GOMLX_BACKEND is set in the environment" {
		t.Errorf("%s: %s", got, why)
	}
	if got, err := plugin.Environment(); got != nil || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	// But not what another gradbook has put there.
	t.Setenv("GRADBOOK_DEFAULT_BACKEND", "xla:mine")
	if got, _ := plugin.InUse(); got != "xla:"+there {
		t.Errorf("in use is %s", got)
	}
	t.Setenv("GOMLX_BACKEND", "")
	t.Setenv("GRADBOOK_DEFAULT_BACKEND", "")
	// A choice that is gone leaves pure Go.
	if err := os.Remove(there); err != nil {
		t.Fatal(err)
	}
	got, complaint := plugin.Environment()
	says(t, complaint, "cannot be had, and pure Go computes instead", "no such file")
	if want := "GRADBOOK_BACKEND=xla:" + there + " GOMLX_BACKEND=go:ops_sequential GRADBOOK_DEFAULT_BACKEND=go:ops_sequential"; strings.Join(got, " ") != want {
		t.Errorf("the environment gets %q", got)
	}
	if got, why := plugin.InUse(); got != "go:ops_sequential" || !strings.Contains(why, "was chosen by 'gradbook backend use', but ") {
		t.Errorf("%s: %s", got, why)
	}
	if err := os.WriteFile(filepath.Join(config, "gradbook", "backend"), []byte("\x00\x01"), 0o644); err != nil {
		t.Fatal(err)
	}
	got, complaint = plugin.Environment()
	says(t, complaint, "holds no choice of a backend", "gradbook backend use auto")
	if got != nil {
		t.Errorf("the environment gets %q", got)
	}
	if _, err := store.Choose("auto"); err != nil {
		t.Error(err)
	}
	if got, err := plugin.Chosen(); got != "auto" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// TestChosenForTheMachine has a file of the machine's that stands behind the user's own choice, auto among them.
func TestChosenForTheMachine(t *testing.T) {
	home(t)
	machine := t.TempDir()
	t.Setenv("XDG_CONFIG_DIRS", t.TempDir()+":"+machine)
	file := filepath.Join(machine, "gradbook", "backend")
	must(t, os.MkdirAll(filepath.Dir(file), 0o755))
	must(t, os.WriteFile(file, []byte("go:parallelism=2\n"), 0o644))
	store, err := plugin.Open()
	must(t, err)
	says := func(choice, why string) {
		t.Helper()
		if got, err := plugin.Chosen(); got != choice || err != nil {
			t.Errorf("chosen is %q, %v; want %q", got, err, choice)
		}
		if _, got := plugin.InUse(); !strings.Contains(got, why) {
			t.Errorf("the reason is %q, without %q", got, why)
		}
	}
	says("go:parallelism=2", "chosen for this machine, in "+file)
	for _, choice := range []string{"go", "auto"} {
		if _, err := store.Choose(choice); err != nil {
			t.Fatal(err)
		}
		says(choice, map[string]string{"go": "gradbook backend use", "auto": "no plugin"}[choice])
	}
	must(t, os.WriteFile(file, nil, 0o644))
	if _, err := store.Choose("auto"); err != nil { // takes the user's own file away
		t.Fatal(err)
	}
	must(t, os.WriteFile(file, []byte("abacus\n"), 0o644))
	if got, err := plugin.Chosen(); got != "auto" || err == nil || !strings.Contains(err.Error(), file+" holds no choice") {
		t.Errorf("of a damaged file: %q, %v", got, err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
