package assist

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/mod/modfile"

	"github.com/gradbook/gradbook/kernel/internal/program"
	"github.com/gradbook/gradbook/kernel/internal/toolchain"
)

// folder is the name of the folder in which gopls believes the program's files to be. Nothing of it is on disk.
const folder = "gradbook_cells"

// server is a gopls that runs.
type server struct {
	conn *conn
	cmd  *exec.Cmd
	root string            // where the program's files would be
	open map[string]string // the files that gopls has, by name
	vers int               // of the last change
	gone chan struct{}     // closed when the process has ended
}

// settings turn off what nobody looks at.
var settings = map[string]any{
	"diagnosticsTrigger": "Save", // and nothing is ever saved
	"completeUnimported": true,
	"deepCompletion":     false,
	"matcher":            "CaseInsensitive", // front ends take what does not begin as the user began for noise
	"usePlaceholders":    false,
	"linksInHover":       false,
	"hoverKind":          "FullDocumentation",
	"completionBudget":   "1s",
	"directoryFilters":   []string{"-", "+" + folder},
	"staticcheck":        false,
	"vulncheck":          "Off",
}

// home returns the folder of the module that cells belong to: imports mean there what they mean in cells.
func home(w *toolchain.Workspace) (string, error) {
	if w.Mod != "" {
		return filepath.Dir(w.Mod), nil
	}
	data, err := os.ReadFile(w.Work)
	if err != nil {
		return "", err
	}
	work, err := modfile.ParseWork(w.Work, data, nil)
	if err != nil {
		return "", err
	}
	if len(work.Use) == 0 {
		return "", fmt.Errorf("%s names no module: add one with go work use", w.Work)
	}
	dir := filepath.FromSlash(work.Use[0].Path)
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(filepath.Dir(w.Work), dir)
	}
	return dir, nil
}

// startServer starts gopls and introduces itself.
func startServer(ctx context.Context, path string, w *toolchain.Workspace) (*server, error) {
	dir, err := home(w)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path, "serve")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(w.Go.Command)+string(os.PathListSeparator)+os.Getenv("PATH"),
		"GOTOOLCHAIN="+strings.Fields(w.Go.Version)[0], "PWD="+dir)
	// Its own group, so that a terminal's Ctrl-C is not for it, and its go commands end with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = time.Second // what it started may still hold its standard error
	var words tail
	cmd.Stderr = &words
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s := &server{cmd: cmd, root: filepath.Join(dir, folder), open: map[string]string{}, gone: make(chan struct{})}
	s.conn = newConn(out, in, answer) // before it can end
	started := make(chan error)
	go func() {
		// The signal of Pdeathsig comes when the thread ends that started the process, not only when this process does.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		s.wait(&words)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("gopls does not start: %w", err)
	}
	if err := s.initialize(ctx, dir); err != nil {
		said := ""
		if s.alive() { // else err says it
			said = words.after()
		}
		s.close()
		return nil, fmt.Errorf("gopls does not start: %w%s", err, said)
	}
	return s, nil
}

// wait waits for the end of the process.
func (s *server) wait(words *tail) {
	_ = s.cmd.Wait() // the state says more
	close(s.gone)
	s.conn.fail(fmt.Errorf("gopls has ended (%v)%s", s.cmd.ProcessState, words.after()))
}

func (s *server) initialize(ctx context.Context, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err := s.conn.call(ctx, "initialize", map[string]any{
		"processId":             os.Getpid(),
		"rootUri":               uri(dir),
		"workspaceFolders":      []any{map[string]any{"uri": uri(dir), "name": "notebook"}},
		"initializationOptions": settings,
		"capabilities": map[string]any{
			"workspace":    map[string]any{"configuration": true},
			"textDocument": map[string]any{"hover": map[string]any{"contentFormat": []string{"markdown"}}},
		},
	}, nil)
	if err != nil {
		return err
	}
	return s.conn.notify("initialized", map[string]any{})
}

// answer answers what gopls asks: for its settings, and for consent to whatever else.
func answer(method string, params json.RawMessage) any {
	if method != "workspace/configuration" {
		return nil
	}
	var ask struct{ Items []any }
	if err := json.Unmarshal(params, &ask); err != nil {
		return nil
	}
	all := []any{}
	for range ask.Items {
		all = append(all, settings)
	}
	return all
}

func (s *server) alive() bool {
	select {
	case <-s.conn.done:
		return false
	default:
		return true
	}
}

// close ends the process, and all that it has started.
func (s *server) close() {
	select {
	case <-s.gone:
		return
	default:
	}
	if err := syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		_ = s.cmd.Process.Kill() // it is gone, or nothing can be done
	}
	<-s.gone
}

// sync makes gopls's files these.
func (s *server) sync(files []program.File) error {
	have := map[string]bool{}
	for _, f := range files {
		have[f.Name] = true
		old, known := s.open[f.Name]
		if known && old == f.Text {
			continue
		}
		s.vers++
		doc := map[string]any{"uri": s.uri(f.Name), "version": s.vers}
		var err error
		if known {
			err = s.conn.notify("textDocument/didChange", map[string]any{"textDocument": doc, "contentChanges": []any{map[string]any{"text": f.Text}}})
		} else {
			doc["languageId"], doc["text"] = "go", f.Text
			err = s.conn.notify("textDocument/didOpen", map[string]any{"textDocument": doc})
		}
		if err != nil {
			return err
		}
		s.open[f.Name] = f.Text
	}
	for name := range s.open {
		if have[name] {
			continue
		}
		if err := s.conn.notify("textDocument/didClose", map[string]any{"textDocument": map[string]any{"uri": s.uri(name)}}); err != nil {
			return err
		}
		delete(s.open, name)
	}
	return nil
}

// ask asks about a place of a file.
func (s *server) ask(ctx context.Context, method string, f program.File, at int, result any) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return s.conn.call(ctx, method, map[string]any{
		"textDocument": map[string]any{"uri": s.uri(f.Name)}, "position": positionOf(f.Text, at),
	}, result)
}

func (s *server) uri(name string) string { return uri(filepath.Join(s.root, name)) }

func uri(path string) string {
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(path)}).String()
}

// tail keeps the end of what a process says.
type tail struct {
	mu   sync.Mutex // guards text
	text []byte
}

const tailSize = 2000

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if n := len(t.text) - tailSize; n > 0 {
		t.text = slices.Delete(t.text, 0, n)
	}
	return len(p), nil
}

// after returns it as something to follow a message.
func (t *tail) after() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(bytes.TrimSpace(t.text)) == 0 {
		return ""
	}
	return "\n" + string(bytes.TrimSpace(t.text))
}
