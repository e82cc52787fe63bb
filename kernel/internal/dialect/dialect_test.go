package dialect_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/gradbook/gradbook/kernel/internal/dialect"
)

// parse is what stands where main begins, if the program has arguments or flags.
const parse = `import ᵹflag "flag"; ᵹflag.Parse()`

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		name, text, goText string
		main               int
		args               []string
		commands           []string // name|rest
	}{
		{"plain", "x := 1\nx", "x := 1\nx", 0, nil, nil},
		{"main", "var x int\n%%\nx = 2", "var x int\n\nx = 2", 3, nil, nil},
		{"main with arguments", "%main --n 3 \"a b\"\nf()", parse + "\nf()", 2, []string{"--n", "3", "a b"}, nil},
		{"main with a flag", "var n = flag.Int(\"n\", 0, \"\")\n%%\n*n", "var n = flag.Int(\"n\", 0, \"\")\n" + parse + "\n*n", 3, nil, nil},
		{"no flag", "%%\nflag := true", "\nflag := true", 2, nil, nil},
		{"arguments before main", "%args a\n%%\nf()", "\n" + parse + "\nf()", 3, []string{"a"}, nil},
		{"main over two lines", "%% a \\\nb\nf()", parse + "\n\nf()", 3, []string{"a", "b"}, nil},
		{"comment prefix", "//gonb:%% a\nf()\n//gonb:!ls \\\n//gonb:-l", parse + "\nf()\n\n", 2, []string{"a"}, []string{"!|ls  -l"}},
		{"comment that begins alike", "//gonb: %%\nx", "//gonb: %%\nx", 0, nil, nil},
		{"exec", "%exec f", "f()", 0, nil, nil},
		{"exec with arguments", "func f() {}\n%exec f -x=13", "func f() {}\n" + parse + "; f()", 0, []string{"-x=13"}, nil},
		{"escapes", `%args "a \"b\" \n\t\\" 'c d'`, "", 0, []string{"a \"b\" \n\t\\", "'c", "d'"}, nil},
		{"empty word", `%args "" a""b`, "", 0, []string{"", "ab"}, nil},
		{"init function", "func init_a() {\n}\n", "func init_a() {\n}; func init() { init_a() }\n", 0, nil, nil},
		{"init functions", "func init_a() { if x {} }\nfunc f() {}\nfunc init_b() {}", "func init_a() { if x {} }; func init() { init_a() }\nfunc f() {}\nfunc init_b() {}; func init() { init_b() }", 0, nil, nil},
		{"no init functions", "func init_a(x int) {}\nfunc (t T) init_b() {}\n// func init_c() {}", "func init_a(x int) {}\nfunc (t T) init_b() {}\n// func init_c() {}", 0, nil, nil},
		{"spaces before the command", "%  cd /\n!  ls", "\n", 0, nil, []string{"cd|/", "!|ls"}},
		{"shell", "!ls -l | wc\nx := 1", "\nx := 1", 0, nil, []string{"!|ls -l | wc"}},
		{"shell in the module", "!*go get example.com/x", "", 0, nil, []string{"!*|go get example.com/x"}},
		{"continued", "!echo a \\\n  b\ny", "\n\ny", 0, nil, []string{"!|echo a    b"}},
		{"continued at the end", "!echo a \\", "", 0, nil, []string{"!|echo a \\"}},
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
		"%%\n%exec f":  "line 2: %exec after another one (line 1)",
		"%exec":        "line 1: %exec wants the name of a function",
		"%exec f()":    "line 1: %exec wants the name of a function",
		"x\n%%bash":    "line 2: %%bash can only be the first line of a cell",
		"%%writefile":  "line 1: %%writefile wants one file",
		"%%bash -x":    "%%script bash -x does",
		"%%script\nls": "line 1: %%script wants a command",
		"%%gx\nx":      "GX is not part of Gradbook",
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

func TestMagic(t *testing.T) {
	for _, tt := range []struct{ text, name, words, body string }{
		{"%%bash\nls\n\n# %cd", "%%bash", "", "ls\n\n# %cd"},
		{"//gonb:%%sh\nls", "%%sh", "", "ls"},
		{"%%script python3 -\nprint(1)", "%%script", "python3 -", "print(1)"},
		{"%%writefile -a \"a b\"\n", "%%writefile", "-a a b", ""},
	} {
		c, err := dialect.Parse(tt.text)
		if err != nil || c.Magic == nil {
			t.Errorf("%q: %+v, %v", tt.text, c, err)
			continue
		}
		if words := strings.Join(c.Magic.Words, " "); c.HasGo || c.Magic.Name != tt.name || words != tt.words || c.Body != tt.body {
			t.Errorf("%q: %s with %q, body %q, HasGo %v", tt.text, c.Magic.Name, words, c.Body, c.HasGo)
		}
	}
}

func TestTestCommand(t *testing.T) {
	for text, want := range map[string][]string{"%test": nil, "%test \"\"": {""}, "%test -test.v -test.run=A": {"-test.v", "-test.run=A"}} {
		c, err := dialect.Parse(text)
		if err != nil || !c.Test || c.HasArgs != (want != nil) || !reflect.DeepEqual(c.Args, want) {
			t.Errorf("%q: %+v, %v", text, c, err)
		}
	}
}

func TestFlags(t *testing.T) {
	var flags dialect.Flags
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"none", "x := 1", nil},
		{"variable", "var x = flag.Int(\"x\", 0, \"\")", []string{"x"}},
		{"bound", "flag.StringVar(&s, \"s\", \"\", \"\"); flag.Func(\"f\", \"\", nil)", []string{"f", "s"}},
		{"value", "flag.Var(v(1, 2), \"v\", \"\"); flag.CommandLine.Bool(`b`, true, \"\")", []string{"b", "v"}},
		{"not a flag", "flag.Parse(); cfg.Int(\"n\", 0, \"\"); flag.Set(\"n\", \"1\"); flag.Lookup(\"n\")", nil},
		{"another name", "import fl \"flag\"\nfl.Int(\"n\", 0, \"\")", []string{"n"}},
		{"both names", "import fl \"flag\"\nfl.Int(\"n\", 0, \"\"); flag.Int(\"m\", 0, \"\")", []string{"m", "n"}},
		{"declared only", "func deep() { flag.Int(\"deep\", 0, \"\") }\nfunc setup() { deep(); flag.Int(\"setup\", 0, \"\") }", nil},
		{"called", "setup()", []string{"deep", "setup"}},
		{"called by main", "func main() { setup() }", []string{"deep", "setup"}},
		{"called by init", "func init_a() { deep() }", []string{"deep"}},
		{"redeclared", "func setup() {}\nsetup()", nil},
		{"broken", "func (", nil},
	} {
		if got := flags.Add(tt.text); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestHelp(t *testing.T) {
	for _, name := range dialect.Names() {
		if dialect.About(name) == "" {
			t.Errorf("%s is not described", name)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "%", "!", "%%", "`", "/*", "'", "\"\\", "!a\\\nb", "x\r\n!ls\r", "func init_(}", "func init_a() {}", "%exec f", "//gonb:%%", "%%bash\nls"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := dialect.Parse(text)
		if err == nil && strings.Count(c.Go, "\n") != strings.Count(text, "\n") {
			t.Errorf("%q: the number of lines changed", text)
		}
	})
}
