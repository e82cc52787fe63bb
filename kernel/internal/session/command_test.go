package session_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gradbook/gradbook/kernel/internal/session"
)

// start opens a session in a folder of its own.
func start(t *testing.T, o session.Options) *session.Session {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	s, err := session.Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// The user is asked when a shell command waits for input, and as often as it does.
func TestInputs(t *testing.T) {
	answers := []string{"one", "two words", "secret", "42", "43"}
	var prompts []string
	s := start(t, session.Options{Ask: func(prompt string, password bool) (string, error) {
		prompts = append(prompts, fmt.Sprint(prompt, password))
		if len(prompts) > len(answers) {
			return "", os.ErrClosed
		}
		return answers[len(prompts)-1], nil
	}})
	expect(t, s, `%with_inputs
!read a; read b; echo "$a-$b"; sleep 0.2
!read none || echo "no input for the next"
%with_password
!read p; echo "pass $p"
import "github.com/janpfeifer/gonb/gonbui"
gonbui.RequestInput("Enter:", false)
var n, m int
fmt.Scan(&n)
gonbui.RequestInput("Pin:", true)
fmt.Scan(&m)
n + m`, "one-two words\nno input for the next\npass secret\n=> 85")
	if want := []string{" false", " false", " true", "Enter:false", "Pin:true"}; !slices.Equal(prompts, want) {
		t.Errorf("asked %q, want %q", prompts, want)
	}
}

func TestNoInputs(t *testing.T) {
	s := start(t, session.Options{})
	expect(t, s, "%with_inputs\n!read a", "! command error\n! line 1: %with_inputs: there is no one here to type the input")
}

// page is the page's side of GoNB's widgets.
type page struct {
	mu    sync.Mutex
	s     *session.Session
	id    string // of its comm
	opens int
	away  bool     // it does not answer
	got   []string // values, and what it was told
	echo  map[string]func(any) (address string, value any)
}

func (p *page) comm(c session.Comm) {
	p.mu.Lock()
	defer p.mu.Unlock()
	address, _ := c.Data["address"].(string)
	if c.ID != p.id || p.away {
		return
	}
	if address == "#heartbeat/ping" {
		go p.send("#heartbeat/pong", true)
		return
	}
	p.got = append(p.got, fmt.Sprint(address, " ", c.Data["value"], " ", c.Data["read_request"]))
	if f := p.echo[address]; f != nil {
		to, value := f(c.Data["value"])
		go p.send(to, value)
	}
}

func (p *page) send(address string, value any) {
	p.mu.Lock()
	id := p.id
	p.mu.Unlock()
	p.s.Comm(session.Comm{Op: "msg", ID: id, Data: map[string]any{"address": address, "value": value}})
}

// shown is what a page does with what cells show: it runs scripts.
func (p *page) shown(o session.Output) {
	html, _ := o.Data["text/html"].(string)
	if !strings.HasPrefix(html, "<script>") || !strings.Contains(html, `"kernel-7"`) {
		return
	}
	p.mu.Lock()
	p.opens++
	p.id, p.away = fmt.Sprint("comm", p.opens), false
	id := p.id
	p.mu.Unlock()
	go p.s.Comm(session.Comm{Op: "open", ID: id, Target: "gonb_comm"})
}

func (p *page) run(t *testing.T, text, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var b strings.Builder
	r := p.s.Execute(ctx, session.Request{Text: text}, func(o session.Output) {
		b.WriteString(o.Text)
		p.shown(o)
	})
	if b.WriteString(r.Message); b.String() != want {
		t.Errorf("%s\ngot %q, want %q", text, b.String(), want)
	}
}

// Values go to the page and come back, also to what an earlier cell listens with; a page that was loaded anew is connected again.
func TestWidgets(t *testing.T) {
	p := &page{echo: map[string]func(any) (string, any){
		"/number": func(v any) (string, any) { return "/back", 1.0 + float64(v.(int)) },
		"/list":   func(any) (string, any) { return "/numbers", []any{1.0, 2.5} },
		"/map":    func(any) (string, any) { return "/texts", map[string]any{"a": "b"} },
		"/read":   func(any) (string, any) { return "/read", "value" },
	}}
	p.s = start(t, session.Options{Comm: p.comm, Env: append(os.Environ(), "GONB_JUPYTER_KERNEL_ID=kernel-7")})
	p.run(t, `import "github.com/janpfeifer/gonb/gonbui/comms"
back := comms.Listen[int]("/back")
comms.Send("/number", 5)
fmt.Println(<-back.C)`, "6\n")
	p.run(t, `comms.Send("/number", 6)
fmt.Println(<-back.C)`, "7\n")
	p.run(t, `numbers, texts := comms.Listen[[]float64]("/numbers"), comms.Listen[map[string]string]("/texts")
comms.Send("/list", "")
comms.Send("/map", "")
fmt.Println(<-numbers.C, <-texts.C, comms.ReadValue[string]("/read"))`, "[1 2.5] map[a:b] value\n")
	p.run(t, "%widgets_hb", "Heartbeat pong received back.\n")
	p.mu.Lock()
	p.away = true
	p.mu.Unlock()
	time.Sleep(1100 * time.Millisecond)
	p.run(t, `comms.Send("/number", 7)
fmt.Println(<-back.C)`, "8\n")
	p.send("/nobody", "hears this")
	p.s.Comm(session.Comm{Op: "close", ID: "comm2"})
	p.run(t, "%widgets_hb", "Timed-out, no heartbeat pong received. Try installing front-end websockets with %widgets ?\n")
	p.run(t, "%widgets", "")
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.opens != 3 {
		t.Errorf("the script was run %d times, want 3", p.opens)
	}
	if want := "#comm_open_ack true <nil>"; p.got[0] != want {
		t.Errorf("first %q, want %q", p.got[0], want)
	}
	if want := "/read <nil> true"; !slices.Contains(p.got, want) {
		t.Errorf("%q is not among %q", want, p.got)
	}
}

// proxy writes a module into a folder that serves as a module proxy.
func proxy(t *testing.T, module, version string, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	at := filepath.Join(dir, module, "@v")
	if err := os.MkdirAll(at, 0o755); err != nil {
		t.Fatal(err)
	}
	mod := "module " + module + "\n\ngo 1.26\n"
	files["go.mod"] = mod
	for name, data := range map[string][]byte{
		"list": []byte(version + "\n"), version + ".mod": []byte(mod), version + ".zip": zipped(t, module+"@"+version+"/", files),
		version + ".info": []byte(`{"Version":"` + version + `","Time":"2026-01-01T00:00:00Z"}`),
	} {
		if err := os.WriteFile(filepath.Join(at, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return "file://" + dir
}

// A package that no module provides is fetched in the scratch module; in a module of the user's own, only after %autoget.
func TestAutoget(t *testing.T) {
	t.Setenv("GOPROXY", proxy(t, "example.com/fetched", "v1.0.0", map[string]string{"f.go": "package fetched\n\nfunc F() int { return 7 }\n"}))
	t.Setenv("GONOSUMDB", "example.com")
	s, dir := module(t, map[string]string{"go.mod": "module example.com/m\n\ngo 1.26\n"})
	if got := execute(s, "import \"example.com/fetched\"\nfetched.F()", false); !strings.Contains(got, "no required module provides package example.com/fetched") {
		t.Errorf("got %s", got)
	}
	expect(t, s, "%autoget\nimport \"example.com/fetched\"\nfetched.F()", "2> go get example.com/fetched\n=> 7")
	if mod, err := os.ReadFile(filepath.Join(dir, "go.mod")); err != nil || !strings.Contains(string(mod), "example.com/fetched v1.0.0") {
		t.Errorf("go.mod: %s, %v", mod, err)
	}
	expect(t, s, "%reset go.mod", "! command error\n! line 1: %reset go.mod would empty "+filepath.Join(dir, "go.mod")+", which is yours: it is for the scratch module, which notebooks outside of any module have")

	data := t.TempDir()
	t.Setenv("XDG_DATA_HOME", data)
	s = start(t, session.Options{})
	expect(t, s, "%noautoget\nimport \"example.com/fetched\"\nfetched.F()", "! compile error\n! cell 1:2:8: could not import example.com/fetched (no required module provides package example.com/fetched\n! run !*go get example.com/fetched)\n!     import \"example.com/fetched\"\n!            ^")
	expect(t, s, "%autoget\nimport \"example.com/fetched\"\nfetched.F()", "2> go get example.com/fetched\n=> 7")
	scratch := filepath.Join(data, "gradbook", "scratch", "go.mod")
	if mod, _ := os.ReadFile(scratch); !strings.Contains(string(mod), "example.com/fetched v1.0.0") {
		t.Errorf("go.mod: %s", mod)
	}
	execute(s, "%reset go.mod", false)
	if mod, err := os.ReadFile(scratch); err != nil || strings.Contains(string(mod), "example.com/fetched") {
		t.Errorf("after %%reset, go.mod: %s, %v", mod, err)
	}
}

// %goworkfix writes what go.work uses into go.mod, and %track knows of it.
func TestGoWorkFix(t *testing.T) {
	s, dir := module(t, map[string]string{
		"go.mod":      "module example.com/m\n\ngo 1.26\n",
		"lib/go.mod":  "module example.com/lib\n\ngo 1.26\n",
		"lib/lib.go":  "package lib\n\nfunc F() int { return 3 }\n",
		"lib2/go.mod": "module example.com/lib2\n\ngo 1.26\n",
		"go.work":     "go 1.26\n\nuse (\n\t.\n\t./lib\n)\n",
	})
	lib := filepath.Join(dir, "lib")
	expect(t, s, "import \"example.com/lib\"\nlib.F()", "=> 3")
	expect(t, s, "%goworkfix", fmt.Sprintf("\t- Added replace rule for module \"example.com/lib\" to local directory %q.", lib))
	expect(t, s, "%goworkfix", fmt.Sprintf("\t- Replace rule for module \"example.com/lib\" to local directory %q already exists.", lib))
	expect(t, s, "%track", "List of files/directories being tracked:\n  "+lib)
	expect(t, s, "!go mod edit -replace=example.com/lib=./lib2\n%goworkfix", fmt.Sprintf("2> \t- WARNING: replace rule for module \"example.com/lib\" mapping to %q, updated to `go.work` location %q", lib+"2", lib))
}
