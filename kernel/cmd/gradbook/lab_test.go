package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// program writes a shell script that can be run, and returns its folder.
func program(t *testing.T, name, text string) string {
	t.Helper()
	dir := files(t, name, "#!/bin/sh\n"+text)
	if err := os.Chmod(filepath.Join(dir, name), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// goPath is a PATH with the go command and the C compiler, and with no JupyterLab.
func goPath(t *testing.T, first ...string) string {
	t.Helper()
	var kept []string
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if _, err := os.Stat(filepath.Join(dir, "jupyter-lab")); err != nil {
			kept = append(kept, dir)
		}
	}
	return strings.Join(append(first, kept...), string(os.PathListSeparator))
}

// promptly is what makes JupyterLab's server load the extension by which small messages come at once.
const promptly = "--ServerApp.jpserver_extensions=gradbook_server=True"

// The JupyterLab in PATH gets the folder, what is behind --, and the kernelspec by JUPYTER_PATH.
func TestLabInPath(t *testing.T) {
	data := t.TempDir()
	t.Setenv("XDG_DATA_HOME", data)
	t.Setenv("JUPYTER_PATH", "/others")
	dir := program(t, "jupyter-lab", "echo opened \"$@\" with $JUPYTER_PATH and $PYTHONPATH\n")
	t.Setenv("PYTHONPATH", "/mine")
	t.Setenv("PATH", goPath(t, dir))
	r := gradbook(t, dir, "", "lab", dir, "--", "--no-browser", "x")
	server := filepath.Join(data, "gradbook", "server")
	if want := "opened " + dir + " " + promptly + " --no-browser x with " + filepath.Join(data, "gradbook", "jupyter") + ":/others and " + server + ":/mine\n"; r.code != 0 || r.stdout != want {
		t.Errorf("want %s; got %s", want, r)
	}
	if _, err := os.Stat(filepath.Join(server, "gradbook_server.py")); err != nil {
		t.Error(err)
	}
	checkKernelspec(t, filepath.Join(data, "gradbook", "jupyter", "kernels", "gradbook"))
	if r := gradbook(t, dir, "", "lab", "--", "--version"); r.code != 0 || !strings.HasPrefix(r.stdout, "opened . "+promptly+" --version with ") {
		t.Errorf("%s", r)
	}
}

// A JupyterLab that cannot draw widgets is named.
func TestLabWithoutWidgets(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	env := t.TempDir()
	extensions := filepath.Join(env, "share", "jupyter", "labextensions")
	if err := os.MkdirAll(extensions, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(program(t, "jupyter-lab", "echo opened\n"), filepath.Join(env, "bin")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", goPath(t, filepath.Join(env, "bin")))
	if r := gradbook(t, env, "", "lab"); r.code != 0 || r.stdout != "opened\n" || !strings.Contains(r.stderr, "has no ipywidgets") {
		t.Errorf("%s", r)
	}
	if err := os.MkdirAll(filepath.Join(extensions, "@jupyter-widgets", "jupyterlab-manager"), 0o755); err != nil {
		t.Fatal(err)
	}
	if r := gradbook(t, env, "", "lab"); r.code != 0 || strings.Contains(r.stderr, "ipywidgets") {
		t.Errorf("%s", r)
	}
}

func TestLabPrepare(t *testing.T) {
	if r := gradbook(t, t.TempDir(), "", "lab", "--prepare"); r.code != 0 || r.stdout != "" || !strings.Contains(r.stderr, "The library for cells is ready.") {
		t.Errorf("%s", r)
	}
}

// fakePython does as if it made environments and installed JupyterLab; FAKE_PIP says how that ends.
const fakePython = `echo "$0 $*" >> "$FAKE_LOG"
case "$1 $2" in
"-c "*) echo 3 ${FAKE_MINOR:-12} ;;
"-m venv") mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
"-m pip")
	while [ "$1" != -r ]; do shift; done
	grep -c sha256 "$2" >> "$FAKE_LOG"
	echo Collecting jupyterlab==4
	if [ -n "$FAKE_PIP" ]; then echo "ERROR: $FAKE_PIP"; exit 1; fi
	bin=$(dirname "$0")
	printf '#!/bin/sh\necho private "$@"\n' > "$bin/jupyter-lab"
	chmod +x "$bin/jupyter-lab" ;;
*) exit 3 ;;
esac
`

// Where there is no JupyterLab, one is installed, once; an attempt that failed leaves nothing that a later one trips over.
func TestPrivateLab(t *testing.T) {
	data, log := t.TempDir(), filepath.Join(t.TempDir(), "log")
	t.Setenv("XDG_DATA_HOME", data)
	t.Setenv("FAKE_LOG", log)
	bin := program(t, "python3", fakePython)
	t.Setenv("PATH", goPath(t, bin))

	t.Setenv("FAKE_PIP", "THESE PACKAGES DO NOT MATCH THE HASHES")
	if r := gradbook(t, bin, "", "lab"); r.code != 1 || !strings.Contains(r.stderr, "THESE PACKAGES DO NOT MATCH THE HASHES") || r.stdout != "" {
		t.Errorf("%s", r)
	}
	t.Setenv("FAKE_PIP", "")
	for range 2 {
		if r := gradbook(t, bin, "", "lab", bin, "--", "--no-browser"); r.code != 0 || r.stdout != "private "+bin+" "+promptly+" --no-browser\n" {
			t.Errorf("%s", r)
		}
	}
	text := read(t, log)
	if n := strings.Count(text, "--require-hashes --only-binary :all:"); n != 2 { // the one that failed, and one more
		t.Errorf("pip ran %d times:\n%s", n, text)
	}
	specs, err := filepath.Glob(filepath.Join(data, "gradbook", "lab-*", "share", "jupyter", "kernels", "gradbook"))
	if err != nil || len(specs) != 1 {
		t.Fatalf("%v, %v", specs, err)
	}
	checkKernelspec(t, specs[0])
	// It is preferred by --private only.
	t.Setenv("PATH", goPath(t, program(t, "jupyter-lab", "echo other\n"), bin))
	if r := gradbook(t, bin, "", "lab"); r.stdout != "other\n" {
		t.Errorf("%s", r)
	}
	if r := gradbook(t, bin, "", "lab", "--private"); r.stdout != "private . "+promptly+"\n" {
		t.Errorf("%s", r)
	}
}

func TestLabWithoutPython(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	t.Setenv("FAKE_LOG", os.DevNull)
	t.Setenv("FAKE_MINOR", "8")
	t.Setenv("PATH", program(t, "python3", fakePython))
	r := gradbook(t, t.TempDir(), "", "lab")
	if r.code != 1 || !strings.Contains(r.stderr, "needs Python 3.10 or later, and python3 is Python 3.8; install one") {
		t.Errorf("%s", r)
	}
	t.Setenv("PATH", "/nowhere")
	if r := gradbook(t, t.TempDir(), "", "lab"); r.code != 1 || !strings.Contains(r.stderr, "there is none in PATH") {
		t.Errorf("%s", r)
	}
}

// checkKernelspec looks at what was installed.
func checkKernelspec(t *testing.T, dir string) {
	t.Helper()
	var spec map[string]any
	if err := json.Unmarshal([]byte(read(t, dir, "kernel.json")), &spec); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"argv": []any{binary, "kernel", "{connection_file}"}, "display_name": "Go (Gradbook)", "language": "go",
		"interrupt_mode": "message", "metadata": map[string]any{"debugger": false},
	}
	if !reflect.DeepEqual(spec, want) {
		t.Errorf("got %v\nwant %v", spec, want)
	}
	var names []string
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if got := strings.Join(names, " "); got != "gradbook_papermill.py kernel.json logo-32x32.png logo-64x64.png logo-svg.svg" {
		t.Errorf("the kernelspec holds %s", got)
	}
}

func TestInstall(t *testing.T) {
	dir := t.TempDir()
	for _, v := range []string{"JUPYTER_DATA_DIR", "XDG_DATA_HOME", "VIRTUAL_ENV", "CONDA_PREFIX"} {
		t.Setenv(v, "")
	}
	t.Setenv("HOME", filepath.Join(dir, "home"))
	for _, test := range []struct{ variable, args, want string }{
		{"", "--user", "home/.local/share/jupyter"},
		{"XDG_DATA_HOME", "--user", "XDG_DATA_HOME/jupyter"},
		{"JUPYTER_DATA_DIR", "--user", "JUPYTER_DATA_DIR"},
		{"CONDA_PREFIX", "--sys-prefix", "CONDA_PREFIX/share/jupyter"},
		{"VIRTUAL_ENV", "--sys-prefix", "VIRTUAL_ENV/share/jupyter"},
		{"", "--prefix " + dir + "/p", "p/share/jupyter"},
		{"", "--prefix " + dir + "/p", "p/share/jupyter"}, // again
	} {
		t.Run(test.variable+test.args, func(t *testing.T) {
			if test.variable != "" {
				t.Setenv(test.variable, filepath.Join(dir, test.variable))
			}
			want := filepath.Join(dir, test.want, "kernels", "gradbook")
			r := gradbook(t, dir, "", append([]string{"install"}, strings.Fields(test.args)...)...)
			if r.code != 0 || !strings.Contains(r.stdout, want) {
				t.Fatalf("want %s; got %s", want, r)
			}
			checkKernelspec(t, want)
			if left, _ := filepath.Glob(filepath.Join(filepath.Dir(want), ".*")); len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
	if r := gradbook(t, dir, "", "install", "--prefix", "/dev/null"); r.code != 1 || !strings.Contains(r.stderr, "the kernelspec cannot be written") {
		t.Errorf("%s", r)
	}
}
