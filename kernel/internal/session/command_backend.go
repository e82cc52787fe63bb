package session

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/template"

	"github.com/gradbook/gradbook"
	"github.com/gradbook/gradbook/kernel/internal/dialect"
	"github.com/gradbook/gradbook/kernel/internal/program"
	"github.com/gradbook/gradbook/kernel/internal/worker"
)

// backendPath is the package that knows backends; it runs in the live program.
const backendPath = gradbook.Path + "/pkg/backend"

// chosenBackend is what %backend chose; a live program that is started anew gets it too.
type chosenBackend struct {
	words string // as the user gave it
	name  string // the full form of it; empty if nothing was chosen
}

//go:embed command_backend.tmpl
var backendText string

var backendTemplate = template.Must(template.New("backend").Parse(backendText))

// backendCall is what the template makes a cell of.
type backendCall struct {
	Path, Config string
	Variables    []string
}

// backend shows or switches what the live program computes on.
func (c *cellCommands) backend(ctx context.Context, cmd dialect.Command) Result {
	s := c.s
	fail := func(err error) Result { return failed(CommandError, fmt.Errorf("line %d: %w", cmd.Line, err)) }
	if len(cmd.Words) > 1 {
		return fail(fmt.Errorf("%%backend takes one configuration and was given %d words: options follow after commas, as in %%backend xla:cuda,preallocate=true", len(cmd.Words)))
	}
	config := strings.TrimSpace(cmd.Rest)
	if len(cmd.Words) == 1 {
		config = cmd.Words[0]
	}
	if err := s.hasBackends(); err != nil {
		return fail(err)
	}
	before, auto := s.set.backend, strings.EqualFold(config, "auto")
	if auto { // the live program is to find what it would have found without %backend
		if err := s.chooseBackend(chosenBackend{}); err != nil {
			return fail(err)
		}
	}
	answer, result := s.askBackend(ctx, config)
	text, _ := answer["text"].(string)
	name, _ := answer["name"].(string)
	complaint, _ := answer["error"].(string)
	if auto && (result.Status != OK || complaint != "") {
		if err := s.chooseBackend(before); err != nil {
			return fail(err)
		}
	}
	if result.Status != OK {
		return result
	}
	if complaint != "" {
		after := "nothing has changed"
		if label, _ := answer["label"].(string); label != "" {
			after = "the program still computes on " + label
		}
		return fail(fmt.Errorf("%%backend %s: %s; %s%s", config, complaint, after, installHint(complaint)))
	}
	s.print("%s", text)
	if config == "" {
		s.print("%s", s.backendChoices(answer))
	} else if !auto {
		s.set.backend = chosenBackend{config, name}
	}
	return Result{}
}

// installHint says how to get a plugin, after a complaint that there is none.
func installHint(complaint string) string {
	if strings.Contains(complaint, "no PJRT plugin") && !strings.Contains(complaint, "backend install") {
		return "; gradbook backend install xla-cpu (or xla-cuda) brings one"
	}
	return ""
}

// backendChoices are the last lines of what %backend shows.
func (s *Session) backendChoices(answer map[string]any) string {
	var list []string
	all, _ := answer["choices"].([]any)
	xla := false
	for _, choice := range all {
		list = append(list, fmt.Sprintf("%%backend %v", choice))
		xla = xla || strings.HasPrefix(fmt.Sprint(choice), "xla:")
	}
	text := "switch:  " + strings.Join(list, ", ") + " (options after commas; %backend auto leaves the choice to Gradbook)\n"
	if !xla {
		text += "install: gradbook backend install xla-cpu (or xla-cuda), in a terminal\n"
	}
	if s.set.backend.name != "" {
		text += "chosen:  by %backend " + s.set.backend.words + ", also for a program that is started anew (%restart)\n"
	}
	return text
}

// hasBackends tells whether the notebook's module can provide the package that knows backends.
func (s *Session) hasBackends() error {
	if _, err := (imports{s}).Import(backendPath); err != nil {
		where := "this notebook's module"
		if s.ws.Mod != "" {
			where += " (" + s.ws.Mod + ")"
		}
		return fmt.Errorf("%%backend needs the package %s, and %s cannot provide it: %s; !*go get %s adds it. Without it, GOMLX_BACKEND chooses what compute.New makes: %%env GOMLX_BACKEND go",
			backendPath, where, firstLine(err.Error()), gradbook.Path)
	}
	return nil
}

// chooseBackend keeps a choice, and sets the live program's variables to what they are at its start with that.
func (s *Session) chooseBackend(b chosenBackend) error {
	s.set.backend = b
	env := s.environment()
	for _, name := range []string{"GOMLX_BACKEND", "GRADBOOK_DEFAULT_BACKEND"} {
		value := ""
		for _, e := range env {
			if n, v, _ := strings.Cut(e, "="); n == name {
				value = v
			}
		}
		if err := s.tell(worker.Request{Op: "setenv", Name: name, Value: value}); err != nil {
			return err
		}
	}
	return nil
}

// askBackend runs a cell of its own making that calls the package in the live program, with pointers to the variables.
func (s *Session) askBackend(ctx context.Context, config string) (map[string]any, Result) {
	call := backendCall{Path: backendPath, Config: config}
	if config != "" {
		for _, v := range s.program.Variables() {
			call.Variables = append(call.Variables, v.Name)
		}
	}
	text, err := s.callText(call)
	if err != nil {
		return nil, failed(InternalError, err)
	}
	cell := s.addCell("%backend", text)
	s.out.mu.Lock()
	user := s.out.cell
	s.out.cell, s.backendAnswer = cell.id, nil
	s.out.mu.Unlock()
	s.before = nil // a cell that did not compile may have left one
	result := s.run(ctx, text, program.Cell{ID: cell.id, Name: cell.name, Text: text, Peek: true})
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	s.out.cell = user
	if result.Status == OK && s.backendAnswer == nil {
		return nil, failed(InternalError, errors.New("%backend: the live program gave no answer"))
	}
	return s.backendAnswer, result
}

// callText is the text of that cell. Variables that cannot be used now, since the declaration of their type is set aside, are left out.
func (s *Session) callText(call backendCall) (string, error) {
	for {
		var text strings.Builder
		if err := backendTemplate.Execute(&text, call); err != nil {
			return "", err
		}
		_, err := s.program.Grow(program.Cell{ID: s.nextID + 1, Name: "%backend", Text: text.String(), Peek: true})
		var errs program.Errors
		if !errors.As(err, &errs) {
			return text.String(), err
		}
		lines := strings.Split(text.String(), "\n")
		kept := slices.DeleteFunc(slices.Clone(call.Variables), func(name string) bool {
			return slices.ContainsFunc(errs, func(d program.Diagnostic) bool {
				return d.Line > 0 && d.Line <= len(lines) && strings.HasSuffix(lines[d.Line-1], "&"+name+",")
			})
		})
		if len(kept) == len(call.Variables) {
			return "", err
		}
		call.Variables = kept
	}
}
