package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gradbook/gradbook/kernel/internal/assist"
	"github.com/gradbook/gradbook/kernel/internal/toolchain"
)

// work is where this test keeps what it need not make each time (JupyterLab); pictures is in it.
var (
	work     = filepath.Join("..", "..", "build", "e2e")
	pictures = work
)

// lab is a JupyterLab under way.
type lab struct {
	url     string // of the server, with %s for the notebook
	dir     string // its folder
	runtime string // the folder in which it says where it serves
	least   int    // how many processes must have its environment in the end: with fewer, none is looked for at all

	mu  sync.Mutex
	log bytes.Buffer // guarded by mu
}

func (l *lab) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.log.Write(p)
}

// notebook is the address of one of its notebooks.
func (l *lab) notebook(name string) string { return fmt.Sprintf(l.url, name) }

// text is what JupyterLab and the kernels have written.
func (l *lab) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.log.String()
}

// openLab builds the program and has it open JupyterLab on a folder with one notebook, away from all that is the user's.
func openLab(t testing.TB) *lab {
	t.Helper()
	root := workplace(t)
	pictures = root
	// Inside of the module, as the notebooks of the course are.
	dir := filepath.Join(root, "notebooks")
	program := filepath.Join(t.TempDir(), "gradbook")
	if out, err := exec.Command("go", "build", "-o", program, "../cmd/gradbook").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(dir, os.DirFS("testdata/notebooks")); err != nil {
		t.Fatal(err)
	}
	buildGopls(t)
	l := serve(t, program, dir)
	l.least = 3 // JupyterLab, a kernel and a program
	return l
}

// workplace makes the folder work, and returns it from the root.
func workplace(t testing.TB) string {
	t.Helper()
	root, err := filepath.Abs(work)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		t.Fatal(err)
	}
	return root
}

// serve has the program open JupyterLab on a folder, with what is added to its arguments. JupyterLab itself is kept in the workplace.
func serve(t testing.TB, program, dir string, arguments ...string) *lab {
	t.Helper()
	l, mine := &lab{dir: dir, least: 1}, t.TempDir()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := free.Addr().(*net.TCPAddr).Port
	free.Close()
	arguments = append([]string{"lab", "--private", l.dir, "--", "--no-browser", "--allow-root", "--ip=127.0.0.1", fmt.Sprint("--port=", port)}, arguments...)
	cmd := exec.Command(program, arguments...)
	cmd.Env = append(os.Environ(), "XDG_DATA_HOME="+filepath.Join(workplace(t), "data"), "JUPYTER_NO_CONFIG=1", "JUPYTER_PATH=", "JUPYTER_PREFER_ENV_PATH=1")
	l.runtime = filepath.Join(mine, "JUPYTER_RUNTIME_DIR")
	for _, part := range []string{"JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR", "IPYTHONDIR"} {
		cmd.Env = append(cmd.Env, part+"="+filepath.Join(mine, part))
	}
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = l, l, 5*time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // the state says it
		close(ended)
	}()
	t.Cleanup(func() { l.close(t, cmd, ended) })
	l.await(t, cmd, ended, filepath.Join(l.runtime, fmt.Sprintf("jpserver-%d.json", cmd.Process.Pid)))
	return l
}

// buildGopls has what completes names built beforehand, as gradbook lab's user would have it the second time.
func buildGopls(t testing.TB) {
	t.Helper()
	g, err := toolchain.Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := assist.Build(t.Context(), g, "", t.Logf); err != nil {
		if strings.Contains(err.Error(), "dial tcp") {
			t.Skip("gopls is not built, and there is no network to fetch it from:\n" + err.Error())
		}
		t.Fatal(err)
	}
}

// offline is how pip says that there is no network.
var offline = regexp.MustCompile(`NewConnectionError|NameResolutionError|ConnectTimeoutError|ReadTimeoutError|ProxyError`)

// await waits until JupyterLab serves, which it says in a file.
func (l *lab) await(t testing.TB, cmd *exec.Cmd, ended <-chan struct{}, file string) {
	t.Helper()
	for end := time.Now().Add(10 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		select {
		case <-ended:
			text := l.text()
			if strings.Contains(text, "JupyterLab could not be installed") && offline.MatchString(text) {
				t.Skip("no JupyterLab is here, and no network to install it from:\n" + text)
			}
			t.Fatalf("gradbook lab ended: %v\n%s", cmd.ProcessState, text)
		default:
		}
		var server struct{ URL, Token string }
		if text, err := os.ReadFile(file); err == nil && json.Unmarshal(text, &server) == nil && server.Token != "" {
			l.url = server.URL + "lab/tree/%s?token=" + server.Token
			return
		}
		if time.Now().After(end) {
			t.Fatalf("JupyterLab does not come up:\n%s", l.text())
		}
	}
}

// close ends JupyterLab as a service manager does. All that it has started must end with it: kernels, their programs, gopls.
func (l *lab) close(t testing.TB, cmd *exec.Cmd, ended <-chan struct{}) {
	if n := len(l.processes()); l.url != "" && n < l.least && !t.Failed() {
		t.Errorf("%d processes have the environment that JupyterLab was given", n)
	}
	_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		t.Error("JupyterLab does not end")
		_ = cmd.Process.Kill()
	}
	left := l.processes()
	for end := time.Now().Add(10 * time.Second); len(left) > 0 && time.Now().Before(end); left = l.processes() {
		time.Sleep(100 * time.Millisecond)
	}
	for _, pid := range left {
		name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)) // it may have ended now
		t.Errorf("process %d outlives JupyterLab: %q", pid, name)
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	if t.Failed() {
		t.Logf("JupyterLab and the kernels wrote:\n%s", l.text())
	}
}

// processes returns those that have this JupyterLab's environment.
func (l *lab) processes() (pids []int) {
	files, _ := filepath.Glob("/proc/[0-9]*/environ") // the pattern is right
	for _, file := range files {
		if env, err := os.ReadFile(file); err == nil && bytes.Contains(env, []byte("JUPYTER_RUNTIME_DIR="+l.runtime+"\x00")) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			pids = append(pids, pid)
		}
	}
	return pids
}
