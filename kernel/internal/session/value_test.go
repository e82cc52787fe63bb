package session_test

import (
	"context"
	"testing"

	"github.com/gradbook/gradbook/kernel/internal/session"
)

func TestValue(t *testing.T) {
	s := open(t, nil)
	expect(t, s, "type point struct{ x, y int }\np := point{1, 2}\nm := map[string]int{\"a\": 1}\nstop := make(chan bool)", "")
	for name, want := range map[string]string{"p": "{x:1 y:2}", "m": "map[a:1]"} {
		if got, ok := s.Value(name); !ok || got != want {
			t.Errorf("%s: %q %v, want %q", name, got, ok, want)
		}
	}
	if got, ok := s.Value("none"); ok {
		t.Errorf("a variable that there is not has the value %q", got)
	}
	// While a goroutine of an earlier cell lives, a map may be written at any moment.
	s.Execute(context.Background(), session.Request{Text: "go func() { <-stop }()"}, func(session.Output) {})
	if got, ok := s.Value("m"); ok {
		t.Errorf("m was read beside a goroutine: %q", got)
	}
	expect(t, s, "stop <- true\ntime.Sleep(50 * time.Millisecond)", "")
	if _, ok := s.Value("m"); !ok {
		t.Error("m cannot be read after the goroutine has ended")
	}
}
