package session

import "github.com/gradbook/gradbook/kernel/internal/worker"

// maxValue bounds the text of Value.
const maxValue = 2000

// Value returns the value of a variable as text. It answers not ok while code of the session runs, which may be writing it.
func (s *Session) Value(name string) (text string, ok bool) {
	if !s.mu.TryLock() {
		return "", false
	}
	defer s.mu.Unlock()
	for _, v := range s.program.Variables() {
		if v.Name != name {
			continue
		}
		r, err := s.do(worker.Request{Op: "value", Name: v.Identity})
		if err != nil {
			return "", false
		}
		if len(r.Text) > maxValue {
			r.Text = r.Text[:maxValue] + "..."
		}
		return r.Text, true
	}
	return "", false
}
