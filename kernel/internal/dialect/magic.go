package dialect

import (
	"fmt"
	"strings"
)

// magics are the commands that take the whole cell.
var magics = map[string]string{
	"writefile": "%%writefile [-a] FILE writes the cell's other lines to a file; -a appends",
	"script":    "%%script COMMAND ... runs a command with the cell's other lines as its input",
	"bash":      "runs the cell's other lines in bash",
	"sh":        "runs the cell's other lines in sh",
	"gx":        "GX is not part of Gradbook (nor of GoNB, unless it was built for it)",
}

// parseMagic reads a cell whose first line gives it to another reader than Go; nil if it does not.
func parseMagic(lines []string) (*Cell, error) {
	line := plain(lines[0])
	name, ok := strings.CutPrefix(line, "%%")
	if !ok {
		return nil, nil
	}
	name, rest, _ := strings.Cut(name, " ")
	if _, ok := magics[name]; !ok {
		return nil, nil
	}
	cmd := &Command{Line: 1, Name: "%%" + name, Rest: strings.TrimSpace(rest)}
	cmd.Words = words(cmd.Rest)
	switch n := len(cmd.Words); {
	case name == "writefile" && n != 1 && (n != 2 || cmd.Words[0] != "-a"):
		return nil, fmt.Errorf("line 1: %%%%writefile wants one file, and before it may have -a (to append); given were %d words", n)
	case name == "script" && n == 0:
		return nil, fmt.Errorf("line 1: %%%%script wants a command, as in %%%%script python3")
	case (name == "bash" || name == "sh") && n > 0:
		return nil, fmt.Errorf("line 1: %%%%%s takes no words after it; %%%%script %s %s does", name, name, cmd.Rest)
	case name == "gx":
		return nil, fmt.Errorf("line 1: %%%%gx: %s", magics[name])
	}
	return &Cell{Go: strings.Repeat("\n", len(lines)-1), Magic: cmd, Body: strings.Join(lines[1:], "\n")}, nil
}
