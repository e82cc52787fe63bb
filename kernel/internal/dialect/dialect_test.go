package dialect_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/gradbook/gradbook/kernel/internal/dialect"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		name, text, goText string
		main               int
		args               []string
		commands           []string // name|rest
	}{
		{"plain", "x := 1\nx", "x := 1\nx", 0, nil, nil},
		{"main", "var x int\n%%\nx = 2", "var x int\n\nx = 2", 3, nil, nil},
		{"main with arguments", "%main --n 3 \"a b\"\nf()", "\nf()", 2, []string{"--n", "3", "a b"}, nil},
		{"shell", "!ls -l | wc\nx := 1", "\nx := 1", 0, nil, []string{"!|ls -l | wc"}},
		{"shell in the module", "!*go get example.com/x", "", 0, nil, []string{"!*|go get example.com/x"}},
		{"continued", "!echo a \\\n  b\ny", "\n\ny", 0, nil, []string{"!|echo a   b"}},
		{"raw string", "s := `\n%cd /\n!ls`", "s := `\n%cd /\n!ls`", 0, nil, nil},
		{"comment", "/*\n%cd /\n*/", "/*\n%cd /\n*/", 0, nil, nil},
		{"expression", "f(\n!x,\n)", "f(\n!x,\n)", 0, nil, nil},
		{"paren in a string", "s := \"(\"\n!ls", "s := \"(\"\n", 0, nil, []string{"!|ls"}},
		{"env", "%env A b c", "", 0, nil, []string{"env|A b c"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := dialect.Parse(tt.text)
			if err != nil {
				t.Fatal(err)
			}
			var commands []string
			for _, cmd := range c.Commands {
				commands = append(commands, cmd.Name+"|"+cmd.Rest)
			}
			if c.Go != tt.goText || c.MainLine != tt.main || !reflect.DeepEqual(c.Args, tt.args) || !reflect.DeepEqual(commands, tt.commands) {
				t.Errorf("got %q main %d args %q commands %q", c.Go, c.MainLine, c.Args, commands)
			}
			if got, want := strings.Count(c.Go, "\n"), strings.Count(tt.text, "\n"); got != want {
				t.Errorf("%d lines became %d", want, got)
			}
		})
	}
}

func TestParseErrors(t *testing.T) {
	for text, want := range map[string]string{
		"x\n%nosuch a": "line 2: unknown special command %nosuch",
		"%%\n%%":       "line 2: %% after another one (line 1)",
	} {
		if _, err := dialect.Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func TestHasGo(t *testing.T) {
	for text, want := range map[string]bool{"": false, " \n\t": false, "// only\n/* comment\n*/": false, "!ls": false, "x": true, "`a`": true, "%%\nx": true} {
		c, err := dialect.Parse(text)
		if err != nil || c.HasGo != want {
			t.Errorf("%q: HasGo %v, %v", text, c.HasGo, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "%", "!", "%%", "`", "/*", "'", "\"\\", "!a\\\nb", "x\r\n!ls\r"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := dialect.Parse(text)
		if err == nil && strings.Count(c.Go, "\n") != strings.Count(text, "\n") {
			t.Errorf("%q: the number of lines changed", text)
		}
	})
}
