// Package dialect reads a cell's text: it separates GoNB's special commands (lines that begin with ! or
// %) from Go. It knows no Jupyter, and does not run what it finds.
package dialect

import (
	"fmt"
	"regexp"
	"strings"
)

// Cell is a cell's text, taken apart.
type Cell struct {
	Go       string    // the text with special commands blanked; lines keep their numbers
	HasGo    bool      // Go holds more than blanks and comments
	Main     bool      // %% or %main: what follows is the body of main
	MainLine int       // its first line, from 1
	Args     []string  // arguments after %%, %main, %exec or %test, or of %args; for os.Args
	HasArgs  bool      // Args were given
	Test     bool      // %test: run tests, with Args as their flags
	Commands []Command // in their order
	Magic    *Command  // the cell is for another reader than Go: "%%bash"; nil for Go
	Body     string    // of a Magic: the lines after the first
}

// Command is one special command.
type Command struct {
	Line  int    // from 1
	Name  string // "!" for the shell, "!*" for the shell in the module's folder, else the word after %
	Rest  string // what follows, continuation lines joined
	Words []string
}

// Prefix makes a special command a comment of Go, for editors that know no others: "//gonb:%%".
const Prefix = "//gonb:"

// reader is the state of Parse.
type reader struct {
	cell     *Cell
	out      []string
	mainAt   int    // line of %%, from 1; 0 without
	execAt   int    // line of %exec
	function string // that %exec calls
}

// Parse takes a cell's text apart.
func Parse(text string) (*Cell, error) {
	lines := strings.Split(text, "\n")
	if c, err := parseMagic(lines); c != nil || err != nil {
		return c, err
	}
	c := &Cell{}
	r := &reader{cell: c, out: make([]string, len(lines))}
	var scan scanner
	for i := 0; i < len(lines); i++ {
		line := plain(lines[i])
		if !scan.atStatement() || !special(line) {
			r.out[i] = lines[i]
			scan.line(strings.TrimSuffix(lines[i], "\r"))
			c.HasGo = c.HasGo || scan.seen
			continue
		}
		first := i
		for strings.HasSuffix(line, "\\") && i+1 < len(lines) {
			i++
			line = strings.TrimSuffix(line, "\\") + " " + plain(lines[i])
		}
		if err := r.command(line, first+1, i+2); err != nil {
			return nil, err
		}
	}
	r.insert()
	c.Go = strings.Join(r.out, "\n")
	return c, nil
}

// plain is a line without GoNB's comment prefix and without a carriage return.
func plain(line string) string {
	return strings.TrimSuffix(strings.TrimPrefix(line, Prefix), "\r")
}

func special(line string) bool {
	return len(line) > 1 && (line[0] == '%' || line[0] == '!')
}

// split takes a line apart into the command's name and the rest.
func split(line string) (name, rest string) {
	if line[0] == '!' {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line[1:]), "*"); ok {
			return "!*", strings.TrimSpace(rest)
		}
		return "!", strings.TrimSpace(line[1:])
	}
	line = strings.TrimLeft(line[1:], " \t")
	end := strings.IndexAny(line, " \t")
	if end < 0 {
		end = len(line)
	}
	name, rest = line[:end], strings.TrimSpace(line[end:])
	if name == "%" {
		name = "%%"
	}
	return name, rest
}

func (r *reader) command(line string, at, next int) error {
	c := r.cell
	cmd := Command{Line: at}
	cmd.Name, cmd.Rest = split(line)
	cmd.Words = words(cmd.Rest)
	if _, ok := magics[strings.TrimPrefix(cmd.Name, "%")]; ok && cmd.Name != "%%" {
		return fmt.Errorf("line %d: %%%s can only be the first line of a cell: the whole cell is for it", at, cmd.Name)
	}
	if _, ok := Help[cmd.Name]; !ok {
		return fmt.Errorf("line %d: unknown special command %%%s; known are %s (%%help says what they do)", at, cmd.Name, strings.Join(Names(), " "))
	}
	switch cmd.Name {
	case "%%", "main", "exec":
		if before := max(r.mainAt, r.execAt); before > 0 {
			return fmt.Errorf("line %d: %s after another one (line %d): a cell has one main", at, shown(cmd.Name), before)
		}
		return r.main(cmd, next)
	case "args":
		c.Args, c.HasArgs = cmd.Words, true
	case "test":
		c.Test = true
		if cmd.Rest != "" {
			c.Args, c.HasArgs = cmd.Words, true
		}
	default:
		c.Commands = append(c.Commands, cmd)
	}
	return nil
}

var identifier = regexp.MustCompile(`^[\pL_][\pL\pN_]*$`)

// main is %%, %main or %exec.
func (r *reader) main(cmd Command, next int) error {
	args := cmd.Words
	if cmd.Name == "exec" {
		if len(args) == 0 || !identifier.MatchString(args[0]) {
			return fmt.Errorf("line %d: %%exec wants the name of a function without parameters, and after it the program's arguments: %%exec train -steps=10", cmd.Line)
		}
		r.execAt, r.function, args = cmd.Line, args[0], args[1:]
		r.cell.HasGo = true
	} else {
		r.mainAt = cmd.Line
		r.cell.Main, r.cell.MainLine = true, next
	}
	if len(args) > 0 {
		r.cell.Args, r.cell.HasArgs = args, true
	}
	return nil
}

// parseFlags is Go that parses the program's flags, also where the cell or an earlier one calls something else "flag".
const parseFlags = `import ᵹflag "flag"; ᵹflag.Parse()`

// insert puts into the blanked lines what they stand for: the flags of the program are parsed where main begins.
func (r *reader) insert() {
	r.inits()
	at, parse := max(r.mainAt, r.execAt), ""
	if at == 0 {
		return
	}
	if r.cell.HasArgs || mentionsFlags(strings.Join(r.out, "\n")) {
		parse = parseFlags
	}
	if r.execAt > 0 {
		if parse != "" {
			parse += "; "
		}
		parse += r.function + "()"
	}
	r.out[at-1] = parse
}

// words splits as GoNB does: at blanks, save inside double quotes, where \" is a quote, \n a line feed and \t a tab.
func words(s string) []string {
	var out []string
	var word strings.Builder
	in, quoted := false, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			quoted, in = !quoted, true
		case !quoted && (c == ' ' || c == '\t' || c == '\n' || c == '\r'):
			if in {
				out = append(out, word.String())
				word.Reset()
				in = false
			}
		case quoted && c == '\\' && i+1 < len(s):
			i++
			if at := strings.IndexByte("nt", s[i]); at >= 0 {
				word.WriteByte("\n\t"[at])
			} else {
				word.WriteByte(s[i])
			}
		default:
			word.WriteByte(c)
			in = true
		}
	}
	if in {
		out = append(out, word.String())
	}
	return out
}
