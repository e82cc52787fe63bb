// Package session runs a notebook's cells: it takes a cell's text through dialect,
// program, toolchain and worker, and says what came of it. It is the
// only package that knows those four; it knows no Jupyter and no files.
package session

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gradbook/gradbook/kernel/internal/dialect"
	"github.com/gradbook/gradbook/kernel/internal/program"
	"github.com/gradbook/gradbook/kernel/internal/toolchain"
	"github.com/gradbook/gradbook/kernel/internal/worker"
)

// Options configure a session.
type Options struct {
	Dir      string                                             // the notebook's folder: its module, and the program's working directory
	Env      []string                                           // environment of the live program; nil: this process's
	Stdin    *os.File                                           // what the live program reads; nil: nothing
	Ask      func(prompt string, password bool) (string, error) // gives the program a line of input when it waits for one; in place of Stdin
	Comm     func(Comm)                                         // comm messages from the program
	Ended    func()                                             // the program has ended, and with it the other end of all comms
	Progress func(msg string)                                   // what takes long before the first cell (building the base)
	Idle     func(Output)                                       // what goroutines print while no cell runs; nil: kept for the next cell
	Agree    bool                                               // cells may lose values without being run twice: there is no one to ask
	CacheDir string                                             // "": the user's
	Packages []string                                           // the base list; nil: the whole
}

// Kind says what an Output is.
type Kind int

// The kinds of Output.
const (
	Stream  Kind = iota // text on standard output or error
	Display             // a display_data message
	Update              // an update_display_data message
	Value               // the cell's last expression (execute_result)
	Clear               // clear_output
)

// Output is one thing that the program showed, in the order in which it did.
type Output struct {
	Kind      Kind
	Name      string         // for Stream: "stdout" or "stderr"
	Text      string         // for Stream
	Data      map[string]any // MIME bundle: text as string, binary as []byte
	Metadata  map[string]any
	DisplayID string
	From      string // the cell whose goroutine made it, when it is not the running one ("cell 3"); else ""
	Wait      bool   // for Clear
}

// Status says how a cell ended.
type Status int

// How a cell can end.
const (
	OK          Status = iota
	Failed             // it did not compile, or panicked: Name, Message and Traceback say more
	Interrupted        // it was interrupted; the variables are kept
	Died               // the live process ended; ExitCode and Message say how, and the values are lost
)

// Names of errors as a user sees them.
const (
	CompileError   = "compile error"
	PanicError     = "panic"
	InterruptError = "interrupt"
	DiedError      = "worker died"
	CommandError   = "command error"
	LossError      = "values would be lost"
	InternalError  = "internal error"
)

// Result says what came of a cell.
type Result struct {
	Status    Status
	Name      string   // error name as Jupyter shows it: "compile error", "panic", "interrupt", "worker died"
	Message   string   // one line
	Traceback []string // lines to show, message included, without colours
	ExitCode  int      // for Died: the exit status as a shell would report it
	Took      time.Duration
	Times     Times
}

// Times says where a cell's time went.
type Times struct {
	Check, Compile, Link, Load, Run time.Duration
	Cached                          bool // the compiled cell was in the cache
}

// Request is one cell to run.
type Request struct {
	Text string
	Name string // how messages call it, as "cell 3"; "" to number it
}

// Session is one notebook with its live program.
type Session struct {
	o       Options
	ws      *toolchain.Workspace
	program *program.Program
	out     *outlet

	mu     sync.Mutex // held while a cell runs
	nextID int
	cells  map[int]*cellText // every cell that was run, for traces
	byName map[string]*cellText
	watch  func(*program.Outline) // told of what the program is after each cell; nil: nobody
	agreed string                 // the text of a cell that lost values and may do so when it is run again

	set      settings
	widgets  *widgets
	numbered int          // cells that were given names here
	ended    func()       // tells that the live program has ended
	before   func() error // prepares the live program, when the cell is compiled and about to run

	backendAnswer map[string]any // to %backend; guarded by out.mu

	asking atomic.Bool // a question is with the user
	input  *os.File    // where answers go; nil without Options.Ask

	state      sync.Mutex // guards what follows
	base       *toolchain.Base
	worker     *worker.Worker
	extensions []string // of the base, in the order in which they were made
	extended   []string // those that the worker has loaded
	stale      string   // packages that have changed, as the user was told
	stop       context.CancelFunc
	cellCtx    context.Context // ends when the running cell is interrupted
	running    bool            // in the worker
	closed     bool
	abandoned  bool // a cell's goroutine may still run, and meet the variables
}

// cellText is what traces quote.
type cellText struct {
	id    int
	name  string
	lines []string
}

// Open prepares the toolchain and the base library (built at first use, which
// takes a minute or two) and starts the live program.
func Open(ctx context.Context, o Options) (*Session, error) {
	g, err := toolchain.Find(ctx)
	if err != nil {
		return nil, err
	}
	if o.Dir == "" {
		if o.Dir, err = os.Getwd(); err != nil {
			return nil, err
		}
	}
	if o.Dir, err = filepath.Abs(o.Dir); err != nil { // it is shown, and programs are told
		return nil, err
	}
	ws, err := g.Workspace(ctx, o.Dir)
	if err != nil {
		return nil, err
	}
	s := &Session{o: o, ws: ws, cells: map[int]*cellText{}, byName: map[string]*cellText{}}
	s.out, s.widgets = newOutlet(s), newWidgets(s)
	if err := s.openBase(ctx); err != nil {
		return nil, err
	}
	s.program = program.New(imports{s})
	if err := s.startWorker(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Session) openBase(ctx context.Context) error {
	base, err := toolchain.OpenBase(ctx, s.ws, toolchain.Options{
		Source: worker.Source(), CacheDir: s.o.CacheDir, Packages: s.o.Packages,
		Progress: func(p toolchain.Progress) {
			if s.o.Progress != nil {
				s.o.Progress(p.String())
			}
		},
	})
	if err != nil {
		return err
	}
	s.state.Lock()
	defer s.state.Unlock()
	if s.base != nil {
		s.base.Close()
	}
	s.base = base
	return nil
}

func (s *Session) startWorker() error {
	stdin := s.o.Stdin
	if s.o.Ask != nil {
		r, w, err := os.Pipe()
		if err != nil {
			return err
		}
		defer r.Close() // the worker has its own
		if s.input != nil {
			s.input.Close()
		}
		stdin, s.input = r, w
	}
	if s.ended != nil { // before the new one opens comms of its own
		s.ended()
	}
	w, err := worker.Start(worker.Options{Program: s.base.Worker, Dir: s.o.Dir, Env: s.environment(), Stdin: stdin, Sink: s.out.event})
	if err != nil {
		return err
	}
	ended := s.farewell()
	s.ended = ended
	go func() { <-w.Done(); ended() }()
	s.state.Lock()
	defer s.state.Unlock()
	s.worker, s.extended, s.abandoned = w, nil, false
	s.out.reset(w)
	s.program.Promote = true
	return nil
}

// farewell returns what tells, once, that a live program has ended. The session's own end is no news.
func (s *Session) farewell() func() {
	return sync.OnceFunc(func() {
		s.state.Lock()
		closed := s.closed
		s.state.Unlock()
		if s.o.Ended != nil && !closed {
			s.o.Ended()
		}
	})
}

// defaultBackend is what compute.New makes in a cell where the user's environment names no backend.
const defaultBackend = "go:ops_sequential"

func (s *Session) environment() []string {
	env := s.o.Env
	if env == nil {
		env = os.Environ()
	}
	env = append(env[:len(env):len(env)], "GONB_DIR="+s.o.Dir, "GONB_TMP_DIR="+s.ws.Dir, "GONB_VERSION="+GonbVersion, "GOMLX_NO_AUTO_INSTALL=1")
	if s.set.backend.name != "" {
		return append(env, "GOMLX_BACKEND="+s.set.backend.name, "GRADBOOK_DEFAULT_BACKEND=")
	}
	if !slices.ContainsFunc(env, func(e string) bool { return strings.HasPrefix(e, "GOMLX_BACKEND=") }) {
		// The base holds XLA too, which GoMLX would prefer even with no plugin; and the parallel mode of the pure-Go backend can deadlock. The second variable says that
		// nobody chose this: a library that knows which plugins are installed may choose better.
		env = append(env, "GOMLX_BACKEND="+defaultBackend, "GRADBOOK_DEFAULT_BACKEND="+defaultBackend)
	}
	return env
}

// Execute runs one cell and hands what it shows to out, one call at a time, in order.
// Cancelling ctx interrupts the cell.
func (s *Session) Execute(ctx context.Context, r Request, out func(Output)) (result Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	start := time.Now()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.state.Lock()
	s.stop, s.cellCtx = cancel, ctx
	s.state.Unlock()
	defer func() {
		s.state.Lock()
		s.stop = nil
		s.state.Unlock()
	}()
	cell := s.addCell(r.Name, r.Text)
	s.out.begin(cell.id, out)
	defer s.out.end()
	defer s.grown()
	defer func() { result.Took = time.Since(start) }()
	if err := valid(r.Text); err != nil {
		return failed(CompileError, err)
	}
	d, err := dialect.Parse(r.Text)
	if err != nil {
		return failed(CommandError, err)
	}
	commands := &cellCommands{s: s, d: d}
	defer commands.close()
	if result := commands.run(ctx); result.Status != OK || !d.HasGo && !d.Test {
		return result
	}
	if err := s.refresh(ctx); err != nil {
		return failed(InternalError, err)
	}
	s.before = commands.begin
	defer s.widgets.drain(ctx)
	if d.HasGo {
		result = s.run(ctx, r.Text, program.Cell{ID: cell.id, Name: cell.name, Text: d.Go, Main: d.Main, MainLine: d.MainLine})
	}
	if d.Test && result.Status == OK {
		result = commands.test(ctx, cell.name)
	}
	return result
}

// run compiles a cell's Go and runs it.
func (s *Session) run(ctx context.Context, text string, cell program.Cell) Result {
	var times Times
	if _, err := s.revive(); err != nil {
		return failed(DiedError, err)
	}
	start := time.Now()
	step, err := s.program.Grow(cell)
	times.Check = time.Since(start)
	if err != nil {
		return s.compileFailure(err)
	}
	if len(step.Lost) > 0 && s.agreed != text {
		result := lossResult(step.Lost)
		if !s.o.Agree {
			s.agreed = text
			return result
		}
		s.out.note("lost: %s", strings.Join(result.Traceback[1:], "\n      "))
	}
	s.agreed = ""
	unit := toolchain.Unit{Imports: step.Imports, Known: step.Known}
	for _, f := range step.Files {
		unit.Files = append(unit.Files, toolchain.File(f))
	}
	object, err := s.base.Build(ctx, unit)
	if err != nil {
		if ctx.Err() != nil {
			return interrupted("interrupted while it was compiled: nothing of it ran")
		}
		return s.compileFailure(err)
	}
	times.Compile, times.Link, times.Cached = object.Timings.Compile, object.Timings.Link+object.Timings.Thin, object.Cached
	request, err := s.request(cell.ID, step, object)
	if err != nil {
		return failed(InternalError, err)
	}
	if died, err := s.revive(); err != nil {
		return failed(DiedError, err)
	} else if died { // the step was made for the one before
		return s.run(ctx, text, cell)
	}
	if err := s.extend(); err != nil {
		return failed(DiedError, err)
	}
	if before := s.before; before != nil {
		s.before = nil
		if err := before(); err != nil {
			return failed(DiedError, err)
		}
	}
	reply, err := s.worker.Do(ctx, request)
	times.Load, times.Run = reply.LoadTime, reply.RunTime
	if reply.Err != "" && len(step.Known) > 0 { // with all code in it, it asks for less
		s.program.Recompile()
		s.agreed = text
		return s.run(ctx, text, cell)
	}
	if reply.Err != "" {
		return failed(InternalError, errors.New("the compiled cell was not loaded, and nothing has changed: "+reply.Err))
	}
	step.Commit()
	s.notes(step, reply)
	var result Result
	if err != nil {
		result = s.died()
	} else {
		result = s.outcome(reply)
	}
	result.Times = times
	return result
}

// request says what the symbols of a compiled step mean.
func (s *Session) request(id int, step *program.Step, object *toolchain.Object) (worker.Request, error) {
	q := worker.Request{Op: "cell", Entry: step.Entry, VarsFunc: step.VarsFunc, Drop: step.Dropped}
	q.Plan = worker.Plan{Object: object.Path, Cell: id, Vars: map[string]string{}, Types: map[string]string{}, Funcs: step.Funcs}
	for _, v := range step.Vars {
		q.Plan.Vars[v.Symbol] = v.Identity
		if v.New && step.VarsFunc != "" {
			q.NewVars = append(q.NewVars, v.Identity)
		}
	}
	for _, c := range step.Convert {
		q.Convert = append(q.Convert, [2]string{c.From, c.To})
	}
	for linked, full := range object.LocalTypes {
		name, err := localName(full, step.LocalTypes)
		if err != nil {
			return q, err
		}
		q.Plan.Types[linked] = name
	}
	return q, nil
}

// localName replaces the numbers that the compiler gave to types declared inside functions
// ("·3") by names that stay the same from one compile to the next.
func localName(full string, names []string) (string, error) {
	var out strings.Builder
	for {
		before, after, found := strings.Cut(full, "·")
		out.WriteString(before)
		if !found {
			return out.String(), nil
		}
		n, digits := 0, 0
		for digits < len(after) && after[digits] >= '0' && after[digits] <= '9' {
			n, digits = 10*n+int(after[digits]-'0'), digits+1
		}
		if n < 1 || n > len(names) {
			return "", fmt.Errorf("the compiler's local type %q is not known (there are %d)", full, len(names))
		}
		out.WriteString("·" + names[n-1])
		full = after[digits:]
	}
}

// revive starts the live program again if it died while no cell ran, and tells of that.
func (s *Session) revive() (died bool, err error) {
	select {
	case <-s.worker.Done():
	default:
		return false, nil
	}
	result := s.died()
	s.out.note("%s", strings.Join(result.Traceback, "\n"))
	select {
	case <-s.worker.Done():
		return true, errors.New(result.Message)
	default:
		return true, nil
	}
}

func (s *Session) do(q worker.Request) (worker.Reply, error) {
	r, err := s.worker.Do(context.Background(), q)
	if err == nil && r.Err != "" {
		err = errors.New(r.Err)
	}
	return r, err
}

// outcome turns the worker's answer into a result.
func (s *Session) outcome(r worker.Reply) Result {
	switch r.Status {
	case "panic":
		result := s.panicResult(r.Panic)
		if text := hint(r.Panic.Text); text != "" {
			result.Traceback = append(result.Traceback, text)
		}
		return result
	case "interrupted":
		if r.Abandoned {
			s.abandoned, s.program.Promote = true, false
			return interrupted("interrupted; its goroutine still waits for something and ends when that is over (the variables are kept)")
		}
		return interrupted("interrupted (the variables are kept)")
	}
	return Result{}
}

// died says how the live program ended, and starts another.
func (s *Session) died() Result {
	<-s.worker.Done()
	death := s.worker.Death()
	result := Result{Status: Died, Name: DiedError, Message: death.Message(), ExitCode: death.ExitCode}
	result.Traceback = append(result.Traceback, "the live program has ended: "+death.Message())
	result.Traceback = append(result.Traceback, s.frames(death.Frames)...)
	if os.Getenv("GRADBOOK_DEBUG") != "" {
		result.Traceback = append(result.Traceback, strings.Split(death.Dump, "\n")...)
	}
	if lost := s.variableNames(); lost != "" {
		result.Traceback = append(result.Traceback, "lost are the values of "+lost+"; the declarations are kept")
	}
	if err := s.restart(); err != nil {
		result.Traceback = append(result.Traceback, "another could not be started: "+err.Error())
	}
	return result
}

// restart starts a new live program; variables are zero in it.
func (s *Session) restart() error {
	s.worker.Close()
	s.program.Restarted()
	return s.startWorker()
}

func (s *Session) variableNames() string {
	var names []string
	for _, v := range s.program.Variables() {
		names = append(names, v.Name)
	}
	return enumerate(names)
}

// Interrupt ends the running cell, or else the callbacks of widgets that run, and keeps the variables. A program
// that listens for os.Interrupt has two seconds to end by itself, unless it is interrupted again.
func (s *Session) Interrupt() {
	s.state.Lock()
	first, w := s.stop != nil && s.cellCtx.Err() == nil, s.worker
	if first {
		s.stop()
	}
	s.state.Unlock()
	if !first {
		w.Interrupt()
	}
}

// Variable returns the type of a variable of the program, as a user would write it.
func (s *Session) Variable(name string) (typ string, ok bool) {
	for _, v := range s.program.Variables() {
		if v.Name == name {
			return v.Type, true
		}
	}
	return "", false
}

// WorkerPID is the process id of the live program.
func (s *Session) WorkerPID() int {
	s.state.Lock()
	defer s.state.Unlock()
	return s.worker.PID()
}

// Close ends the live program.
func (s *Session) Close() error {
	s.state.Lock()
	s.closed = true
	s.state.Unlock()
	s.worker.Close()
	s.widgets.close()
	s.out.close()
	return s.base.Close()
}
