package session

import (
	"github.com/gradbook/gradbook/kernel/internal/program"
	"github.com/gradbook/gradbook/kernel/internal/toolchain"
)

// Workspace is where the session's imports are looked up.
func (s *Session) Workspace() *toolchain.Workspace { return s.ws }

// Watch calls f with the program as it is now, and again whenever a cell has run.
func (s *Session) Watch(f func(*program.Outline)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watch = f
	s.grown()
}

// grown shows the program to who watches it. s.mu is held.
func (s *Session) grown() {
	if s.watch != nil {
		s.watch(s.program.Outline())
	}
}
