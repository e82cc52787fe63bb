// Package jupyter speaks Jupyter's messaging protocol: five sockets, signed messages, and what a front end may ask of a
// kernel. It knows no Go code: cells are text that a session runs, and questions about text (is it
// complete, what could follow) are passed on. It knows no command lines either.
package jupyter

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/user"
	"time"

	"github.com/gradbook/gradbook/kernel/internal/session"
)

// Session is what runs the cells; *session.Session is one.
type Session interface {
	Execute(ctx context.Context, r session.Request, out func(session.Output)) session.Result
	Comm(c session.Comm) error
	Interrupt()
	Close() error
}

// Assistant knows what could follow in a text, and what a name in it means. Positions are byte offsets.
type Assistant interface {
	Complete(ctx context.Context, code string, pos int) (Completion, error)
	Inspect(ctx context.Context, code string, pos, detail int) (Inspection, error)
}

// Completion is what could stand in place of the text from Start to End.
type Completion struct {
	Start, End int
	Matches    []Match
}

// Match is one of the texts that could.
type Match struct {
	Text      string
	Type      string // "function", "keyword", "class", ...: what JupyterLab has icons for
	Signature string
}

// Inspection describes a name; without data nothing is known of it.
type Inspection struct {
	Data map[string]any // MIME bundle
}

// Options configure a kernel.
type Options struct {
	ConnectionFile string
	Session        session.Options                                               // of which Progress, Idle, Ask, Comm and Ended are the kernel's own
	Open           func(ctx context.Context, o session.Options) (Session, error) // nil: session.Open
	Assist         func(ctx context.Context, s Session) (Assistant, error)       // nil: no completion and no inspection
	Interrupts     <-chan os.Signal                                              // each interrupts what runs, as a message would
	HistoryFile    string                                                        // "": nothing is kept
	Log            io.Writer                                                     // what the user need not see; nil: standard error
}

// linger is how long what was said last may take to reach the front ends when the kernel ends.
const linger = 2 * time.Second

// Run serves front ends until one of them shuts the kernel down, or ctx ends.
func Run(ctx context.Context, o Options) error {
	conn, err := readConnection(o.ConnectionFile)
	if err != nil {
		return err
	}
	k := newKernel(o, conn)
	listeners, err := conn.listen(o.ConnectionFile)
	if err != nil {
		return err
	}
	ctx, k.stop = context.WithCancel(ctx)
	defer k.stop()
	for i, s := range []*socket{k.shell, k.iopub, k.stdin, k.control, k.heartbeat} {
		go s.serve(listeners[i])
	}
	k.start(ctx)
	for {
		select {
		case _, ok := <-o.Interrupts:
			if !ok {
				o.Interrupts = nil
			}
			k.interrupt()
		case <-ctx.Done():
			k.close()
			return nil
		}
	}
}

func userName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "kernel"
}

// logger writes lines that tell which kernel they are from.
func logger(w io.Writer) func(string, ...any) {
	if w == nil {
		w = os.Stderr
	}
	return func(format string, args ...any) { fmt.Fprintf(w, "gradbook kernel: "+format+"\n", args...) }
}
