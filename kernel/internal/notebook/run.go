package notebook

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gradbook/gradbook/kernel/internal/session"
)

// Session is what a run needs of a session.
type Session interface {
	Execute(ctx context.Context, r session.Request, out func(session.Output)) session.Result
	Variable(name string) (typ string, ok bool)
}

// Step is one code cell of a run, for showing progress.
type Step struct {
	N, Of int // the N-th of the Of cells that are run
	Line  string
	Cell  *Cell
}

// Runner runs the code cells of notebooks.
type Runner struct {
	Session     Session
	Set         []Setting
	AllowErrors bool          // go on after a cell that fails
	Timeout     time.Duration // for each cell; 0: none
	Times       bool          // record when each cell ran; the file then differs with each run
	Start       func(Step)    // before a cell; may be nil
	Done        func(Step, session.Result)

	mu          sync.Mutex
	cancel      context.CancelFunc // of the cell that runs; guarded by mu
	interrupted bool               // an interrupt came; guarded by mu
}

// ErrStopped is what a run ends with when its context has ended between two cells.
var ErrStopped = errors.New("the run was stopped")

// CellError says which cell stopped a run.
type CellError struct {
	Step    Step
	Result  session.Result
	Timeout time.Duration // not 0 if the cell was interrupted since it took longer
}

// Error names the cell and says in one line what came of it.
func (e *CellError) Error() string {
	where := fmt.Sprintf("cell %d of %d (%s)", e.Step.N, e.Step.Of, e.Step.Line)
	if e.Timeout > 0 {
		return fmt.Sprintf("%s took longer than the timeout of %s and was interrupted", where, e.Timeout)
	}
	switch e.Result.Status {
	case session.Interrupted:
		return where + " was interrupted"
	case session.Died:
		return fmt.Sprintf("%s ended the program: %s", where, e.Result.Message)
	}
	return fmt.Sprintf("%s failed: %s: %s", where, e.Result.Name, e.Result.Message)
}

// Interrupt ends the cell that runs, or the next one if none does. The run goes on
// behind it if errors are allowed.
func (r *Runner) Interrupt() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.interrupted = true
	if r.cancel != nil {
		r.cancel()
	}
}

// Check tells, without running anything, what keeps the notebook from being run.
func (r *Runner) Check(n *Notebook) error {
	if err := n.CheckLanguage(); err != nil {
		return err
	}
	if len(r.Set) > 0 {
		return n.checkSettings(r.Set)
	}
	return nil
}

// Run runs the code cells in order and puts what they show into the notebook; outputs of
// earlier runs are removed first. It stops at the first cell that fails with a *CellError;
// what has run until then stays in the notebook.
func (r *Runner) Run(ctx context.Context, n *Notebook) error {
	if err := r.Check(n); err != nil {
		return err
	}
	var injected *Cell
	if len(r.Set) > 0 {
		injected = n.inject(r.Set)
	}
	var run []*Cell
	for _, c := range n.Cells {
		if c.Kind == Code && !c.HasTag(TagSkip) {
			c.reset()
		}
		if c.runs() {
			run = append(run, c)
		}
	}
	k := newCollector()
	for i, c := range run {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("%w before cell %d of %d", ErrStopped, i+1, len(run))
		}
		if c == injected {
			text, err := assignments(r.Set, r.Session.Variable)
			if err != nil {
				return err
			}
			c.Source = text
		}
		if err := r.cell(ctx, Step{N: i + 1, Of: len(run), Line: c.title(), Cell: c}, k); err != nil {
			return err
		}
	}
	return nil
}

// reset forgets what earlier runs have left.
func (c *Cell) reset() {
	c.Outputs = nil
	c.ExecutionCount = 0
	delete(c.extra, "execution_count")
	delete(c.Metadata, "execution")
}

// cell runs one cell and returns what ends the run.
func (r *Runner) cell(ctx context.Context, step Step, k *collector) error {
	c := step.Cell
	c.ExecutionCount = step.N
	name := fmt.Sprintf("cell %d", step.N)
	k.cells[name] = c
	if r.Start != nil {
		r.Start(step)
	}
	begin := time.Now()
	res, timeout := r.execute(ctx, session.Request{Text: c.Source, Name: name}, func(out session.Output) { k.add(c, out) })
	if r.Times {
		c.recordTimes(begin, time.Now())
	}
	if res.Status != session.OK {
		lines := res.Traceback
		if len(lines) == 0 {
			lines = []string{res.Name + ": " + res.Message} // Jupyter shows nothing else
		}
		if timeout {
			lines = append(lines, fmt.Sprintf("The cell took longer than the timeout of %s and was interrupted.", r.Timeout))
		}
		c.Outputs = append(c.Outputs, &Output{Type: "error", ErrorName: res.Name, ErrorValue: res.Message, Traceback: lines})
	}
	if r.Done != nil {
		r.Done(step, res)
	}
	failure := &CellError{Step: step, Result: res}
	switch {
	case timeout:
		failure.Timeout = r.Timeout
		return failure
	case res.Status != session.OK && ctx.Err() != nil: // the whole run is to end
		return failure
	case res.Status == session.OK, r.AllowErrors, res.Status == session.Failed && c.HasTag(TagRaises):
		return nil
	}
	return failure
}

// execute runs one cell under the timeout; timeout tells whether that ended it.
func (r *Runner) execute(ctx context.Context, req session.Request, out func(session.Output)) (res session.Result, timeout bool) {
	tooLong := errors.New("timeout")
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if r.Timeout > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeoutCause(ctx, r.Timeout, tooLong)
		defer stop()
	}
	r.mu.Lock()
	r.cancel = cancel
	if r.interrupted {
		cancel()
	}
	r.mu.Unlock()
	res = r.Session.Execute(ctx, req, out)
	r.mu.Lock()
	r.cancel, r.interrupted = nil, false
	r.mu.Unlock()
	// A cell that ended by itself just then has not been stopped by the timeout.
	timeout = res.Status != session.OK && res.Status != session.Failed && context.Cause(ctx) == tooLong
	return res, timeout
}

// recordTimes writes down when the cell ran, under the names that Jupyter uses.
func (c *Cell) recordTimes(begin, end time.Time) {
	stamp := func(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }
	c.Metadata = orEmpty(c.Metadata)
	c.Metadata["execution"] = map[string]any{
		"iopub.status.busy":   stamp(begin),
		"iopub.execute_input": stamp(begin),
		"iopub.status.idle":   stamp(end),
		"shell.execute_reply": stamp(end),
	}
}

// CodeCells returns how many cells a run would run.
func (n *Notebook) CodeCells() int {
	count := 0
	for _, c := range n.Cells {
		if c.runs() {
			count++
		}
	}
	return count
}
