// Package dialect reads a cell's text: it separates GoNB's special commands (lines that begin with ! or
// %) from Go. It knows no Jupyter, and does not run what it finds.
package dialect

import (
	"fmt"
	"sort"
	"strings"
)

// Cell is a cell's text, taken apart.
type Cell struct {
	Go       string    // the text with special commands blanked; lines keep their numbers
	HasGo    bool      // Go holds more than blanks and comments
	Main     bool      // %% or %main: what follows is the body of main
	MainLine int       // its first line, from 1
	Args     []string  // arguments after %% or %main, or of %args; for os.Args
	HasArgs  bool      // Args were given
	Commands []Command // in their order
}

// Command is one special command.
type Command struct {
	Line  int    // from 1
	Name  string // "!" for the shell, "!*" for the shell in the module's folder, else the word after %
	Rest  string // what follows, continuation lines joined
	Words []string
}

// Help describes the special commands, by name.
var Help = map[string]string{
	"%%":        "the lines that follow are the body of main; what they declare lives on. Words after it are the program's arguments",
	"main":      "the same as %%",
	"args":      "sets the program's arguments (os.Args[1:])",
	"!":         "runs the rest of the line in a shell, in the notebook's folder",
	"!*":        "runs the rest of the line in a shell, in the folder of the notebook's module: !*go get example.com/pkg@v1.2.3",
	"env":       "%env NAME VALUE sets an environment variable of the program and of shell commands",
	"cd":        "%cd FOLDER changes the folder of the program and of shell commands; without FOLDER it shows it",
	"list":      "shows the declarations and variables of the notebook",
	"ls":        "the same as %list",
	"rm":        "%rm NAME ... removes declarations and variables",
	"reset":     "removes all declarations and variables",
	"restart":   "starts the program anew: variables lose their values, declarations stay, changed packages take effect",
	"memory":    "shows what the live program and its cells cost",
	"help":      "shows this list",
	"autoget":   "accepted and ignored: packages are built when a cell imports them; use !*go get to add a module",
	"noautoget": "accepted and ignored, as %autoget",
}

// Parse takes a cell's text apart.
func Parse(text string) (*Cell, error) {
	c := &Cell{}
	var scan scanner
	lines := strings.Split(text, "\n")
	out := make([]string, len(lines))
	for i := 0; i < len(lines); i++ {
		line := strings.TrimSuffix(lines[i], "\r")
		special := scan.atStatement() && (strings.HasPrefix(line, "%") || strings.HasPrefix(line, "!"))
		if !special {
			out[i] = lines[i]
			scan.line(line)
			if scan.seen && !c.HasGo {
				c.HasGo = true
			}
			continue
		}
		first := i
		for strings.HasSuffix(line, "\\") && i+1 < len(lines) {
			i++
			line = strings.TrimSuffix(line, "\\") + strings.TrimSuffix(lines[i], "\r")
		}
		if err := c.command(line, first+1, i+2); err != nil {
			return nil, err
		}
	}
	c.Go = strings.Join(out, "\n")
	return c, nil
}

func (c *Cell) command(line string, at, next int) error {
	cmd := Command{Line: at}
	switch {
	case strings.HasPrefix(line, "!*"):
		cmd.Name, cmd.Rest = "!*", line[2:]
	case strings.HasPrefix(line, "!"):
		cmd.Name, cmd.Rest = "!", line[1:]
	case strings.HasPrefix(line, "%%"):
		cmd.Name, cmd.Rest = "%%", line[2:]
	default:
		cmd.Name, cmd.Rest, _ = strings.Cut(line[1:], " ")
	}
	cmd.Rest = strings.TrimSpace(cmd.Rest)
	cmd.Words = words(cmd.Rest)
	if _, ok := Help[cmd.Name]; !ok {
		return fmt.Errorf("line %d: unknown special command %%%s; known are %s (%%help says what they do)", at, cmd.Name, strings.Join(Names(), " "))
	}
	switch cmd.Name {
	case "%%", "main":
		if c.Main {
			return fmt.Errorf("line %d: %s after another one (line %d): a cell has one main", at, shown(cmd.Name), c.MainLine-1)
		}
		c.Main, c.MainLine = true, next
		if len(cmd.Words) > 0 {
			c.Args, c.HasArgs = cmd.Words, true
		}
	case "args":
		c.Args, c.HasArgs = cmd.Words, true
	default:
		c.Commands = append(c.Commands, cmd)
	}
	return nil
}

// Names lists the special commands as a user types them.
func Names() []string {
	var out []string
	for name := range Help {
		out = append(out, shown(name))
	}
	sort.Strings(out)
	return out
}

// shown is a command's name as a user types it.
func shown(name string) string {
	if name[0] != '!' && name[0] != '%' {
		return "%" + name
	}
	return name
}

// words splits as a shell would, with single and double quotes.
func words(s string) []string {
	var out []string
	var word strings.Builder
	var quote rune
	in := false
	for _, r := range s {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '"' || r == '\'':
			quote, in = r, true
		case r == ' ' || r == '\t':
			if in {
				out = append(out, word.String())
				word.Reset()
				in = false
			}
		default:
			word.WriteRune(r)
			in = true
		}
	}
	if in {
		out = append(out, word.String())
	}
	return out
}

// scanner knows where a line of Go may begin: not inside a raw string, a
// comment or parentheses, where ! and % at a line's start are Go.
type scanner struct {
	raw, comment bool
	depth        int
	seen         bool // something other than blanks and comments
}

func (s *scanner) atStatement() bool { return !s.raw && !s.comment && s.depth <= 0 }

func (s *scanner) line(text string) {
	for i := 0; i < len(text); i++ {
		rest := text[i:]
		switch {
		case s.raw:
			if text[i] == '`' {
				s.raw = false
			}
		case s.comment:
			if strings.HasPrefix(rest, "*/") {
				s.comment = false
				i++
			}
		case strings.HasPrefix(rest, "//"):
			return
		case strings.HasPrefix(rest, "/*"):
			s.comment = true
			i++
		case text[i] == '`':
			s.raw, s.seen = true, true
		case text[i] == '"' || text[i] == '\'':
			s.seen = true
			i = closing(text, i)
		case text[i] == '(' || text[i] == '[':
			s.depth++
			s.seen = true
		case text[i] == ')' || text[i] == ']':
			s.depth--
			s.seen = true
		case text[i] != ' ' && text[i] != '\t' && text[i] != '\r':
			s.seen = true
		}
	}
}

// closing returns where the string or rune that begins at i ends.
func closing(text string, i int) int {
	for j := i + 1; j < len(text); j++ {
		switch text[j] {
		case '\\':
			j++
		case text[i]:
			return j
		}
	}
	return len(text)
}
