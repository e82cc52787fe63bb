package jupyter

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/gradbook/gradbook/kernel/internal/session"
)

// program is the session, which takes long to open when the base library is yet to be built. The kernel
// serves meanwhile, and the first cell waits.
type program struct {
	k *kernel

	mu      sync.Mutex // guards what follows
	session Session
	assist  Assistant
	err     error
	opening chan struct{} // closed when the attempt under way has ended; nil when none is
	show    func(string)  // where the cell that waits wants progress
	last    string        // the last line of progress
	late    bool          // the attempt takes so long that progress is shown
	logged  bool          // and that was logged
	closed  bool
}

func newProgram(k *kernel) *program { return &program{k: k} }

// open opens the session, unless someone else does or has.
func (p *program) open(ctx context.Context) {
	p.mu.Lock()
	if p.session != nil || p.opening != nil || p.closed {
		p.mu.Unlock()
		return
	}
	done := make(chan struct{})
	p.opening = done
	p.mu.Unlock()
	defer close(done)
	timer := time.AfterFunc(slow, p.reveal)
	s, err := p.start(ctx)
	timer.Stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err, p.opening = err, nil
	if err != nil {
		p.k.log("the program could not be started: %v", err)
		return
	}
	if p.closed {
		s.Close()
		return
	}
	p.session = s
	if p.logged {
		p.k.log("ready")
	}
	if p.k.o.Assist != nil {
		go p.openAssistant(ctx, s)
	}
}

func (p *program) start(ctx context.Context) (Session, error) {
	o := p.k.o.Session
	o.Progress = p.progress
	o.Idle = func(out session.Output) { p.k.output.add(nil, out) }
	o.Ask = p.k.ask
	o.Comm = p.k.commFromProgram
	o.Ended = p.k.comms.lost
	if p.k.o.Open != nil {
		return p.k.o.Open(ctx, o)
	}
	s, err := session.Open(ctx, o)
	if err != nil {
		return nil, err // and no nil pointer in an interface
	}
	return s, nil
}

func (p *program) openAssistant(ctx context.Context, s Session) {
	a, err := p.k.o.Assist(ctx, s)
	if err != nil {
		p.k.log("no completion: %v", err)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.assist = a
}

func (p *program) assistant() Assistant {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.assist
}

// get returns the session once it is open, and shows how that is coming along. An attempt that failed is made again: what was missing may
// have been installed.
func (p *program) get(ctx context.Context, life context.Context, show func(string)) (Session, error) {
	p.mu.Lock()
	if p.session != nil {
		defer p.mu.Unlock()
		return p.session, nil
	}
	done := p.opening
	p.show = show
	last := ""
	if p.late {
		last = p.last
	}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.show = nil
		p.mu.Unlock()
	}()
	if done == nil {
		again := make(chan struct{})
		done = again
		go func() { p.open(life); close(again) }()
	} else if last != "" {
		show(last)
	}
	select {
	case <-done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.session == nil && p.err == nil {
		return nil, errors.New("the kernel is shutting down")
	}
	return p.session, p.err
}

// now returns the session, or nil while it is not open.
func (p *program) now() Session {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.session
}

// slow is how long it may take before progress is shown.
const slow = 1500 * time.Millisecond

// reveal begins to show progress.
func (p *program) reveal() {
	p.mu.Lock()
	p.late = true
	line := p.last
	p.mu.Unlock()
	if line != "" {
		p.progress(line)
	}
}

func (p *program) progress(line string) {
	p.mu.Lock()
	show, late, log := p.show, p.late, p.late && !p.logged
	p.last, p.logged = line, p.logged || log
	p.mu.Unlock()
	if log {
		p.k.log("%s", line)
	}
	if show != nil && late {
		show(line)
	}
}

// close ends the program. One that is being started is waited for, but not long.
func (p *program) close() {
	p.mu.Lock()
	p.closed = true
	s, opening := p.session, p.opening
	p.mu.Unlock()
	if s != nil {
		s.Close()
	} else if opening != nil {
		select {
		case <-opening:
		case <-time.After(linger):
		}
	}
}
