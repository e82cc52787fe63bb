package session_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gradbook/gradbook/kernel/internal/session"
)

// samples are GoNB's sample notebooks that need no page and fetch nothing.
var samples = []string{"bash_script", "capture", "errors", "functions", "goflags", "gonbui", "gowork", "hello", "init", "input_boxes", "script", "vartuple", "wasm", "writefile"}

// varying is what differs with the place and the time.
var varying = regexp.MustCompile(`/[\w./@-]*/(TestSamples\w*/\d+/?|gradbook/scratch\b|gonb@v[\d.]+)|/home/janpf/[\w/.]*|/tmp/gonb_[\w.]+/?|\d{4}/\d\d/\d\d \d\d:\d\d:\d\d`)

// sample is what a test needs to know of a notebook file.
type sample struct {
	Cells []struct {
		Type    string `json:"cell_type"`
		Source  any
		Outputs []struct {
			Type string `json:"output_type"`
			Name string
			Text any
			Data map[string]any
		}
	}
}

// joined is a text that a notebook file may hold as a list of lines.
func joined(v any) string {
	list, _ := v.([]any)
	text, _ := v.(string)
	for _, line := range list {
		text += fmt.Sprint(line)
	}
	return text
}

// said is what a cell shows, as far as it is to be compared: no remarks, and no more than the first lines.
func said(kind, text string) string {
	var out strings.Builder
	n := 0
	for line := range strings.Lines(text) {
		if n++; n > 4 {
			out.WriteString("...\n")
			break
		}
		out.WriteString(kind + varying.ReplaceAllString(strings.TrimRight(line, "\n"), "#") + "\n")
	}
	return out.String()
}

// TestSamples runs GoNB's sample notebooks. The golden file says of each cell that it shows what GoNB showed, or what it shows in place of that.
func TestSamples(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/janpfeifer/gonb").Output()
	if err != nil {
		t.Fatal(err)
	}
	gonb := strings.TrimSpace(string(out))
	var got strings.Builder
	for _, name := range samples {
		data, err := os.ReadFile(filepath.Join(gonb, "examples", "tests", name+".ipynb"))
		if err != nil {
			t.Fatal(err)
		}
		var n sample
		if err := json.Unmarshal(data, &n); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&got, "== %s\n", name)
		t.Run(name, func(t *testing.T) { got.WriteString(runSample(t, gonb, n)) })
	}
	file := filepath.Join("testdata", "samples.golden")
	if *update {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("got:\n%s\nwant (%s):\n%s", got.String(), file, want)
	}
}

func runSample(t *testing.T, gonb string, n sample) string {
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	t.Setenv("TEST_DIR", t.TempDir()+"/")
	t.Setenv("GONB_GIT_ROOT", gonb)
	t.Setenv("GOCOVERDIR", "/tmp/gonb_coverage")
	answers := []string{"foo", "bar", "42", "123456"}
	s := start(t, session.Options{Dir: t.TempDir(), Ask: func(string, bool) (string, error) {
		if len(answers) == 0 {
			return "", os.ErrClosed
		}
		answer := answers[0]
		answers = answers[1:]
		return answer, nil
	}})
	var out strings.Builder
	for i, c := range n.Cells {
		if c.Type != "code" {
			continue
		}
		var theirs, theirRemarks, shown, remarks strings.Builder
		for _, o := range c.Outputs {
			switch {
			case o.Type == "stream" && o.Name == "stderr":
				theirRemarks.WriteString(joined(o.Text))
			case o.Type == "stream":
				theirs.WriteString(joined(o.Text))
			case o.Type == "display_data":
				for mime, v := range o.Data {
					theirs.WriteString("display " + mime + ": " + joined(v) + "\n")
				}
			}
		}
		result := s.Execute(context.Background(), session.Request{Text: joined(c.Source)}, func(o session.Output) {
			if strings.HasPrefix(o.Text, "no effect here: ") || strings.HasPrefix(o.Text, "changed since it was loaded: ") {
				return
			} else if o.Name == "stderr" {
				remarks.WriteString(o.Text)
			} else {
				shown.WriteString(o.Text)
			}
			for mime, v := range o.Data {
				shown.WriteString(fmt.Sprintf("display %s: %v\n", mime, v))
			}
		})
		ours := said("  ", shown.String()) + said("  2> ", remarks.String())
		switch {
		case result.Status != session.OK:
			fmt.Fprintf(&out, "cell %d fails\n%s%s", i, ours, said("  ! ", result.Name+": "+result.Message+"\n"))
		case ours == said("  ", withoutPrompts(theirs.String()))+said("  2> ", theirRemarks.String()):
			fmt.Fprintf(&out, "cell %d shows the same\n", i)
		default:
			fmt.Fprintf(&out, "cell %d differs\n%s", i, ours)
		}
	}
	return out.String()
}

var prompts = regexp.MustCompile(`(?m)^(Enter:|Pin:| ) (\w+|·+)\n`)

// withoutPrompts takes out what the notebook has of questions to its user.
func withoutPrompts(text string) string { return prompts.ReplaceAllString(text, "") }
