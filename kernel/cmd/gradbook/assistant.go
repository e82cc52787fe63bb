package main

import (
	"context"
	"fmt"
	"os"

	"github.com/gradbook/gradbook/kernel/internal/assist"
	"github.com/gradbook/gradbook/kernel/internal/jupyter"
	"github.com/gradbook/gradbook/kernel/internal/session"
)

// assistant lets the wire ask package assist.
type assistant struct{ *assist.Assistant }

// openAssistant starts gopls beside a session; it ends with ctx.
func openAssistant(ctx context.Context, s jupyter.Session) (jupyter.Assistant, error) {
	live, ok := s.(*session.Session)
	if !ok {
		return nil, fmt.Errorf("a %T has no program to assist with", s)
	}
	a := assist.Open(assist.Options{
		Workspace: live.Workspace(),
		Value:     live.Value,
		Log:       func(format string, args ...any) { fmt.Fprintf(os.Stderr, "gradbook kernel: "+format+"\n", args...) },
	})
	context.AfterFunc(ctx, a.Close)
	go live.Watch(a.Update) // which waits for a cell that runs
	return assistant{a}, nil
}

// Complete answers in the wire's types.
func (a assistant) Complete(ctx context.Context, code string, pos int) (jupyter.Completion, error) {
	found, err := a.Assistant.Complete(ctx, code, pos)
	c := jupyter.Completion{Start: found.Start, End: found.End}
	for _, m := range found.Matches {
		c.Matches = append(c.Matches, jupyter.Match(m))
	}
	return c, err
}

// Inspect answers in the wire's types.
func (a assistant) Inspect(ctx context.Context, code string, pos, detail int) (jupyter.Inspection, error) {
	found, err := a.Assistant.Inspect(ctx, code, pos, detail)
	return jupyter.Inspection(found), err
}
