package session_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/gradbook/gradbook/kernel/internal/session"
)

// A long call of a library is left behind by an interrupt: the prompt comes back, the variables stay, and the
// next cell works with the same backend while the call still goes on.
func TestInterruptGoMLX(t *testing.T) {
	s := open(t, nil)
	expect(t, s, `import (
	"github.com/gomlx/compute"
	_ "github.com/gomlx/compute/gobackend"
	. "github.com/gomlx/gomlx/core/graph"
)
var backend = compute.MustNew()
var rounds = 0
func product(x *Node) *Node {
	for range 200 {
		x = MulScalar(MatMul(x, x), 0.001)
	}
	return x
}`, "")
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	started := make(chan bool, 1)
	go func() {
		<-started
		time.Sleep(300 * time.Millisecond)
		s.Interrupt()
	}()
	r := s.Execute(ctx, session.Request{Text: `big := make([][]float32, 1024)
for i := range big {
	big[i] = make([]float32, 1024)
}
rounds++
fmt.Println("started")
x := MustExecOnce(backend, product, big)
rounds++`}, func(session.Output) {
		select {
		case started <- true:
		default:
		}
	})
	if r.Status != session.Interrupted || !strings.Contains(r.Message, "still waits") {
		t.Fatalf("status %v: %s", r.Status, r.Message)
	}
	expect(t, s, "fmt.Println(rounds, len(big), MustExecOnce(backend, func(x *Node) *Node { return Square(x) }, float32(3)))", "1 1024 float32(9)")
}
