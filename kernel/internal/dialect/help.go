package dialect

import "sort"

// Help describes the special commands, by name.
var Help = map[string]string{
	"%%":            "the lines that follow are the body of main; what they declare lives on. Words after it are the program's arguments, and flags are parsed",
	"main":          "the same as %%",
	"exec":          "%exec FUNCTION [ARG ...] parses the arguments as flags and calls the function",
	"args":          "sets the program's arguments (os.Args[1:]) for this cell",
	"test":          "%test [FLAG ...] runs the tests and benchmarks that the cell declares, or all if it declares none; flags as in -test.run=Name; %test \"\" runs all without -test.v",
	"!":             "runs the rest of the line in a shell, in the notebook's folder",
	"!*":            "runs the rest of the line in a shell, in the folder of the notebook's module: !*go get example.com/pkg@v1.2.3",
	"with_inputs":   "the next shell command of the cell asks for its input",
	"with_password": "as %with_inputs, without showing what is typed",
	"env":           "%env NAME VALUE sets an environment variable of the program and of shell commands",
	"cd":            "%cd FOLDER changes the folder of the program and of shell commands; without FOLDER it shows it",
	"capture":       "%capture [-a] FILE writes what the cell's Go shows to a file too; -a appends",
	"list":          "shows the declarations and variables of the notebook",
	"ls":            "the same as %list",
	"rm":            "%rm NAME ... removes declarations and variables",
	"remove":        "the same as %rm",
	"reset":         "removes all declarations and variables; %reset go.mod makes the scratch module anew instead",
	"backend":       "shows what GoMLX computes on, and what else is installed; %backend xla:cpu (or go, xla:cuda, auto, ...) switches the live program, and moves its tensors",
	"restart":       "starts the program anew: variables lose their values, declarations stay, changed packages take effect",
	"memory":        "shows what the live program and its cells cost",
	"autoget":       "a package that no module here provides is fetched by go get when a cell imports it (the default outside of a module of your own)",
	"noautoget":     "such a package is an error",
	"goflags":       "%goflags [FLAG ...] keeps flags of go build, and says why they have no effect; %goflags \"\" forgets them",
	"goworkfix":     "adds a replace rule to go.mod for each module that go.work uses",
	"track":         "%track [FILE_OR_FOLDER ...] adds to the list of what is being developed beside the notebook, or shows it",
	"untrack":       "%untrack FILE_OR_FOLDER takes from that list; with ... at its end, all that begins so",
	"widgets":       "connects the page to the program for GoNB's widgets; they do so by themselves",
	"widgets_hb":    "asks the page whether it is still connected",
	"wasm":          "not supported: the program lives in a process, not in the page",
	"version":       "shows the versions of Gradbook and Go",
	"help":          "shows this list",
}

// Names lists the special commands as a user types them.
func Names() []string {
	var out []string
	for name := range Help {
		out = append(out, shown(name))
	}
	for name := range magics {
		out = append(out, "%%"+name)
	}
	sort.Strings(out)
	return out
}

// About says what a command of Names does.
func About(name string) string {
	for _, key := range []string{name, name[1:]} {
		if text, ok := Help[key]; ok {
			return text
		}
	}
	return magics[name[2:]]
}

// Values are the words that often follow a command of Names, for completion.
func Values(name string) []string {
	if name == "%backend" {
		return []string{"auto", "go", "xla:cpu", "xla:cuda"}
	}
	return nil
}

// shown is a command's name as a user types it.
func shown(name string) string {
	if name[0] != '!' && name[0] != '%' {
		return "%" + name
	}
	return name
}
