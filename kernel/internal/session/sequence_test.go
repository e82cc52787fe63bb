package session_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/gradbook/gradbook/kernel/internal/session"
)

var update = flag.Bool("update", false, "rewrite the expected output in testdata")

// TestSequences runs each testdata/*.txtar as a session: the files named "cell" in turn, each followed by
// one named "out" with what it must show. Comment lines before the first file may set the session up:
//
//	env GOGC=1
//	interrupt 2      cell 2 is interrupted after it printed its first line
//	promote          nothing: for readers
func TestSequences(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no sequences", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			runSequence(t, file)
		})
	}
}

func runSequence(t *testing.T, file string) {
	arc, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var env []string
	interrupts := map[int]bool{}
	for line := range strings.Lines(string(arc.Comment)) {
		var n int
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "env "); ok {
			env = append(env, v)
		} else if c, _ := fmt.Sscanf(line, "interrupt %d", &n); c == 1 {
			interrupts[n] = true
		}
	}
	s := open(t, env)
	var out []txtar.File
	n := 0
	for i, f := range arc.Files {
		if f.Name != "cell" {
			if f.Name != "out" || i == 0 || arc.Files[i-1].Name != "cell" {
				t.Fatalf("file %q is not expected at this place: cells and outs take turns", f.Name)
			}
			continue
		}
		n++
		got := execute(s, strings.TrimSuffix(string(f.Data), "\n"), interrupts[n])
		out = append(out, f, txtar.File{Name: "out", Data: []byte(got)})
		want := ""
		if i+1 < len(arc.Files) && arc.Files[i+1].Name == "out" {
			want = string(arc.Files[i+1].Data)
		}
		if got != want && !*update {
			t.Errorf("cell %d:\n%s\ngot:\n%s\nwant:\n%s", n, f.Data, got, want)
		}
	}
	if *update {
		arc.Files = out
		if err := os.WriteFile(file, txtar.Format(arc), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func open(t *testing.T, env []string) *session.Session {
	t.Helper()
	s, err := session.Open(context.Background(), session.Options{Dir: t.TempDir(), Env: append(os.Environ(), env...)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

var address = regexp.MustCompile(`[^\s"]*/TestSequences[^\s"/]*/\d+|\(\d+\.\d+s\)|0x[0-9a-f]{6,}|\b\d+(\.\d+)? (MB|kB)\b|\b\d+ goroutines\b|parallelism=\d+\)`)

// building is what is shown where a library of packages is built, which is once.
var building = regexp.MustCompile(`(?m)^2> (linking|compiling) .*\n`)

// execute runs a cell and writes down what it showed, in order.
func execute(s *session.Session, text string, interrupt bool) string {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	var b strings.Builder
	started := make(chan bool, 1)
	if interrupt {
		go func() {
			<-started
			time.Sleep(50 * time.Millisecond)
			s.Interrupt()
		}()
	}
	lineStart := true
	prefixed := func(prefix, text string) {
		for line := range strings.Lines(text) {
			if lineStart {
				b.WriteString(prefix)
			}
			b.WriteString(line)
			lineStart = strings.HasSuffix(line, "\n")
		}
	}
	result := s.Execute(ctx, session.Request{Text: text}, func(o session.Output) {
		from := ""
		if o.From != "" {
			from = "[" + o.From + "] "
		}
		switch o.Kind {
		case session.Stream:
			if o.Name == "stderr" {
				from += "2> "
			}
			prefixed(from, o.Text)
		case session.Value:
			prefixed(from+"=> ", fmt.Sprint(o.Data["text/plain"])+"\n")
		default:
			for mime, v := range o.Data {
				prefixed(from, fmt.Sprintf("display %s: %v\n", mime, v))
			}
		}
		select {
		case started <- true:
		default:
		}
	})
	if !lineStart {
		b.WriteString("⏎\n")
	}
	lineStart = true
	if result.Status != session.OK {
		prefixed("! ", result.Name+"\n"+strings.Join(result.Traceback, "\n")+"\n")
	}
	return address.ReplaceAllString(building.ReplaceAllString(b.String(), ""), "#")
}
