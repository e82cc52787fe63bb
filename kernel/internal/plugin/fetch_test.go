package plugin_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gradbook/gradbook/kernel/internal/plugin"
)

// fakePython does as if it were a Python with pip. FAKE_FILE is what "pip download" brings, FAKE_PIP what it fails with; with FAKE_BARE it has no pip, and FAKE_VENV tells whether it
// can make an environment that has.
const fakePython = `echo "$*" >> "$FAKE_LOG"
case "$1 $2 $3" in
"-c "*) exit ${FAKE_OLD:-0} ;;
"-m pip --version") if [ -n "$FAKE_BARE" ]; then exit 1; fi ;;
"-m venv "*)
	if [ -z "$FAKE_VENV" ]; then echo "No module named venv"; exit 1; fi
	mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
"-m pip download")
	while [ "$1" != -d ]; do shift; done
	cat "$4" >> "$FAKE_LOG"
	if [ -n "$FAKE_PIP" ]; then echo "Looking in indexes"; printf '%s\n' "$FAKE_PIP"; exit 1; fi
	if [ -n "$FAKE_FILE" ]; then cp "$FAKE_FILE" "$2"; fi ;;
*) exit 3 ;;
esac`

func TestPip(t *testing.T) {
	wheels, bin := t.TempDir(), t.TempDir()
	p := twoWheels(t, wheels)
	p.Wheels = p.Wheels[:1]
	file := filepath.Join(wheels, "some_plugin-1.2-py3-none-any.whl")
	other := filepath.Join(t.TempDir(), "some_plugin-1.2-py3-none-any.whl")
	if err := os.WriteFile(other, append([]byte("xx"), make([]byte, 1<<20)...), 0o644); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(t.TempDir(), "log")
	script(t, filepath.Join(bin, "python3"), fakePython)
	t.Setenv("PATH", bin+":/bin:/usr/bin")
	for _, v := range []string{"FAKE_FILE", "FAKE_PIP", "FAKE_BARE", "FAKE_VENV", "FAKE_OLD"} {
		t.Setenv(v, "")
	}
	t.Setenv("FAKE_LOG", log)
	for _, test := range []struct {
		name, env   string // NAME=VALUE;...
		words       string // empty: it is installed
		unavailable bool
	}{
		{"fetched", "FAKE_FILE=" + file, "", false},
		{"fetched by an environment's pip", "FAKE_BARE=1;FAKE_VENV=1;FAKE_FILE=" + file, "", false},
		{"another file", "FAKE_FILE=" + other, "is not the file that was checked for Gradbook", false},
		{"no file", "", "pip says that it has fetched some-plugin 1.2, and it is not there", true},
		{"no network", "FAKE_PIP=WARNING: Retrying after connection broken by 'NewConnectionError'\nERROR: No matching distribution found for some-plugin==1.2",
			"the package index cannot be reached; try again, or bring the wheels from elsewhere: --from FOLDER", true},
		{"not in the index", "FAKE_PIP=ERROR: No matching distribution found for some-plugin==1.2", "the package index has no such file", true},
		{"another hash in the index", "FAKE_PIP=ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "offers a file with another sha256", false},
		{"full disk", "FAKE_PIP=ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "no space left on the device", false},
		{"something else", "FAKE_PIP=ERROR: the sky has fallen", "pip says: ERROR: the sky has fallen", true},
		{"no pip and no way to it", "FAKE_BARE=1", "has no pip and cannot make an environment that has (No module named venv); install one", false},
		{"too old", "FAKE_OLD=1", "there is no Python 3.8 or later in PATH; install one", false},
		{"no Python", "PATH=/nowhere", "there is no Python 3.8 or later in PATH; install one", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			for setting := range strings.SplitSeq(test.env, ";") {
				if name, value, ok := strings.Cut(setting, "="); ok {
					t.Setenv(name, value)
				}
			}
			store := &plugin.Store{Dir: filepath.Join(t.TempDir(), "backends")}
			i, err := store.Install(t.Context(), p, "")
			if test.words == "" {
				if err != nil || i.Err != nil || !store.Has(p) {
					t.Errorf("%+v, %v", i, err)
				}
				return
			}
			says(t, err, test.words)
			if plugin.Unavailable(err) != test.unavailable {
				t.Errorf("unavailable: %v, want %v", !test.unavailable, test.unavailable)
			}
			if got := tree(t, store.Dir); got != nil {
				t.Errorf("left behind: %q", got)
			}
		})
	}
	said, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"-m pip download --no-deps --only-binary=:all: --require-hashes ", "some-plugin==1.2 --hash=sha256:" + p.Wheels[0].SHA256 + "\n"} {
		if !strings.Contains(string(said), want) {
			t.Errorf("pip was not given %q: %s", want, said)
		}
	}
}
