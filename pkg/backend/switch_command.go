package backend

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"

	"github.com/gomlx/compute"
)

// answer is what Command returns, for a kernel to read.
type answer struct {
	Name    string   `json:"name,omitempty"`    // the full configuration that is in force; empty if no backend was started
	Label   string   `json:"label,omitempty"`   // in short
	Text    string   `json:"text,omitempty"`    // for the user
	Error   string   `json:"error,omitempty"`   // one sentence
	Choices []string `json:"choices,omitempty"` // what may be chosen
}

// Command is for a kernel's command that shows and switches the backend of a program that lives on between cells. With an empty configuration it returns Overview; else it does
// what Use and Move do. The answer is a JSON object with "text" or "error" for the user, "name" and "label" of the backend that is in force, and "choices".
//
// While another goroutine of package main computes with GoMLX or runs, no tensor is moved from under it; and while there are others at all, maps are not read.
func Command(config string, variables Variables) string {
	a := perform(config, variables)
	a.Choices = choices()
	mu.Lock()
	if current != nil && !current.IsFinalized() {
		a.Name, a.Label = chosen.Name, Label(chosen.Name)
	}
	mu.Unlock()
	text, err := json.Marshal(a)
	if err != nil { // no value of these types does that
		panic(err)
	}
	return string(text)
}

// perform shows or switches; a panic, of a backend's or of its library's, is an error.
func perform(config string, variables Variables) (a answer) {
	defer func() {
		if r := recover(); r != nil {
			a.Error = fmt.Sprintf("panic: %v", r)
		}
		a.Error = strings.Join(strings.Fields(a.Error), " ")
	}()
	if config == "" {
		a.Text = Overview()
	} else if c, err := Use(config); err != nil {
		a.Error = err.Error()
	} else {
		a.Text = switched(c, variables)
	}
	return a
}

// switched moves tensors to the backend that Use has taken, and says all of it.
func switched(c Chosen, variables Variables) string {
	b, err := Default()
	if err != nil {
		return err.Error() + "\n"
	}
	text := fmt.Sprintf("backend: %s\ndevice:  %s\n", Label(c.Name), device(b))
	if strings.HasPrefix(c.Reason, "it was asked for") {
		c.Reason = ""
	}
	if c.Reason != "" {
		text += fmt.Sprintf("why:     %s\n", c.Reason)
	}
	others, computing := goroutines()
	if computing {
		return text + "nothing was moved: a goroutine still computes, perhaps with these tensors; give the command again when it has ended, to move them\n"
	}
	m := move(b, variables, others)
	text += m.String()
	if others && len(m.Unseen) > 0 {
		text += "give the command again when the program's goroutines have ended, to move what is in there\n"
	}
	return text
}

// goroutines tells whether other goroutines run code of package main, and whether one of these is at work, or waits inside of GoMLX.
func goroutines() (others, computing bool) {
	buf := make([]byte, 1<<16)
	n := runtime.Stack(buf, true)
	for n == len(buf) && n < 1<<24 {
		buf = make([]byte, 4*n)
		n = runtime.Stack(buf, true)
	}
	all := strings.Split(string(buf[:n]), "\n\n")
	for _, stack := range all[1:] { // the first is this one
		if !strings.Contains(stack, "\nmain.") || strings.Contains(stack, "\nmain.main()") {
			continue
		}
		head, _, _ := strings.Cut(stack, "\n") // goroutine 7 [chan receive, 2 minutes]:
		_, state, _ := strings.Cut(head, "[")
		others = true
		for _, at := range []string{"running", "runnable", "syscall"} {
			computing = computing || strings.HasPrefix(state, at)
		}
		computing = computing || strings.Contains(stack, "\ngithub.com/gomlx/")
	}
	return others, computing
}

// device says what b computes on. XLA's own description begins with the configuration, which is said already.
func device(b compute.Backend) string {
	text := Describe(b)
	if _, rest, ok := strings.Cut(text, " - "); ok && strings.HasPrefix(text, b.String()+":") {
		text = rest
	}
	if name := b.DeviceDescription(0); !IsGo(b) && name != "" && !strings.Contains(text, name) {
		text = name + ", " + text
	}
	return text
}

// choices are the configurations that may be given to Use here.
func choices() []string {
	list := []string{"go"}
	if xlaBuilt {
		for _, p := range Plugins() {
			if p.Err == nil {
				list = append(list, "xla:"+p.Name)
			}
		}
	}
	return append(list, Automatic)
}

// Overview says which backend the program computes on and why, and what else is installed. It starts none: before the first use it says which one that would take.
func Overview() string {
	mu.Lock()
	defer mu.Unlock()
	var b strings.Builder
	name, reason := "", ""
	if current != nil && !current.IsFinalized() {
		reason = chosen.Reason
		fmt.Fprintf(&b, "backend: %s\ndevice:  %s\nwhy:     %s\n", Label(chosen.Name), device(current), reason)
		var others []string
		for _, i := range started {
			if i.backend != current && !i.backend.IsFinalized() {
				others = append(others, Label(i.name))
			}
		}
		if len(others) > 0 {
			fmt.Fprintf(&b, "others:  %s (started before; what was made there goes on)\n", strings.Join(others, ", "))
		}
	} else {
		name, reason = outlook()
		fmt.Fprintf(&b, "backend: none was started yet; the first use would take %s\nwhy:     %s\n", name, reason)
	}
	head := "plugins: "
	plugins := Plugins()
	for _, p := range plugins {
		state := p.Path
		if p.Err != nil {
			state = "cannot be used: " + p.Err.Error()
		}
		fmt.Fprintf(&b, "%sxla:%s, %s\n", head, p.Name, state)
		head = strings.Repeat(" ", len(head))
	}
	switch {
	case !xlaBuilt:
		fmt.Fprintf(&b, "%snone: %v\n", head, errNoXLA)
	case len(plugins) == 0 && !strings.HasSuffix(reason, places()): // which said so
		fmt.Fprintf(&b, "%snone in %s\n", head, places())
	}
	return b.String()
}

// outlook says what Default would take, as far as that can be known without starting it; mu is held.
func outlook() (name, reason string) {
	config := asked
	if config == "" {
		config = configured()
	}
	if strings.TrimSpace(config) != "" {
		kind, options, _ := strings.Cut(config, ":")
		if strings.EqualFold(kind, "go") {
			config = goConfig(options)
		}
		return Label(config), compute.ConfigEnvVar + "=" + config
	}
	if wish := wished(); wish != "" {
		return wish, wish + byUse
	}
	plugins := Plugins()
	if xlaBuilt {
		for _, p := range plugins {
			if p.Err == nil {
				return "xla:" + p.Name, "it is installed"
			}
		}
	}
	if len(plugins) > 0 {
		return Label(goSequential), "no plugin for XLA can be used"
	}
	return Label(goSequential), "no plugin for XLA is installed"
}
