package experiment

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/pkg/errors"
)

// Grid is an experiment: settings x seeds. A setting is anything that marshals to JSON: a struct, a map, a number; its JSON is what it is known by.
type Grid[S any] struct {
	Name     string   // of the file: Name + ".jsonl"
	Settings []S      // no two may have the same JSON
	Seeds    []uint64 // of the runs of each setting; see Seeds
	Fixed    any      // what all runs have in common (steps, data, ...), for the file: results of another Fixed are not mixed in; may be nil
	Version  string   // of the code that runs; change it when the function's results change
	Folder   string   // where the file goes, relative to the working folder (in a notebook, the notebook's); "" is "results"
	Workers  int      // runs at a time; 0 is GOMAXPROCS. Results do not depend on it
	Quiet    bool     // no progress bar
}

// Seeds are the seeds 1 to n.
func Seeds(n int) []uint64 {
	seeds := make([]uint64, max(n, 0))
	for i := range seeds {
		seeds[i] = uint64(i + 1)
	}
	return seeds
}

// Path is the results file.
func (g Grid[S]) Path() string {
	folder := g.Folder
	if folder == "" {
		folder = "results"
	}
	return filepath.Join(folder, g.Name+".jsonl")
}

// Run calls run for each setting and seed that has no result in the file yet, Workers at a time, adds each result to the file when it is there, and returns all of them,
// in the order of Settings and Seeds. What run returns must depend on its arguments alone; it should return soon once ctx is done.
//
// Files: JSON lines, a header and then one line for each finished run, with a checksum. A line that was cut off by a kill is dropped, and its run repeated. More settings and seeds
// may be added to a grid later; a file with another Version, Fixed or format, with settings that the grid does not have, or with damaged lines is an error that says what
// differs and what to do. Only one program can add to a file; a grid that is complete can be read by any.
//
// At the first error of run no further run is begun, and Run returns that error with the setting and the seed. When ctx is done or the program is interrupted (os.Interrupt; Jupyter's
// stop button), Run waits for the runs under way, drops what they return, and the error, for which errors.Is(err, context.Canceled) holds (or ctx's own), says how
// many are done. In both cases the results so far are returned beside the error, and kept: Run again goes on from there.
func (g Grid[S]) Run(ctx context.Context, run func(ctx context.Context, setting S, seed uint64) (Values, error)) (*Results[S], error) {
	s, err := g.store()
	if err != nil {
		return nil, err
	}
	done, err := runAll(ctx, s, g.Seeds, g.Workers, g.Quiet, func(ctx context.Context, i int, seed uint64) (Values, error) {
		return run(ctx, g.Settings[i], seed)
	})
	return g.results(s, done), err
}

// Load returns the results that are in the file, without running anything: all, some or none.
func (g Grid[S]) Load() (*Results[S], error) {
	s, err := g.store()
	if err != nil {
		return nil, err
	}
	done, err := s.peek()
	return g.results(s, done), err
}

func (g Grid[S]) store() (*store, error) {
	if g.Name == "" || g.Name != filepath.Base(g.Name) {
		return nil, errors.Errorf("a grid with the name %q: it must have a Name that can be a file's (for a folder there is Folder)", g.Name)
	}
	settings := make([]any, len(g.Settings))
	for i, setting := range g.Settings {
		settings[i] = setting
	}
	return newStore(g.Path(), g.Name, g.Version, g.Fixed, settings, g.Seeds)
}

// newStore checks a grid. It is no method of Grid, and so compiled once for all types of settings.
func newStore(path, name, version string, fixed any, settings []any, seeds []uint64) (*store, error) {
	if len(settings) == 0 || len(seeds) == 0 {
		return nil, errors.Errorf("grid %q has %d settings and %d seeds: at least one of each is needed", name, len(settings), len(seeds))
	}
	common, err := json.Marshal(fixed)
	if err != nil {
		return nil, errors.WithMessagef(err, "grid %q: Fixed (%T) must marshal to JSON", name, fixed)
	}
	s := &store{path: path, head: header{Format: fileFormat, Name: name, Version: version, Fixed: common}}
	places := map[string]int{}
	for i, setting := range settings {
		data, err := json.Marshal(setting)
		if err != nil {
			return nil, errors.WithMessagef(err, "grid %q: setting %d (%T) must marshal to JSON", name, i, setting)
		}
		if first, twice := places[string(data)]; twice {
			return nil, errors.Errorf("grid %q: settings %d and %d have the same JSON, %s: settings must differ, and only exported fields count", name, first, i, data)
		}
		places[string(data)] = i
		s.settings = append(s.settings, data)
	}
	given := map[uint64]bool{}
	for _, seed := range seeds {
		if given[seed] {
			return nil, errors.Errorf("grid %q: seed %d is given twice", name, seed)
		}
		given[seed] = true
	}
	return s, nil
}

func (g Grid[S]) results(s *store, done map[string]record) *Results[S] {
	r := &Results[S]{Name: g.Name}
	for i, setting := range g.Settings {
		for _, seed := range g.Seeds {
			if found, ok := done[key(s.settings[i], seed)]; ok {
				r.Runs = append(r.Runs, newRun(setting, found))
			}
		}
	}
	return r
}

// job is a run that is yet to be done.
type job struct {
	setting int
	seed    uint64
}

// missing lists the runs that are not done, seed by seed: so all settings can be compared early.
func missing(s *store, seeds []uint64, done map[string]record) (jobs []job) {
	for _, seed := range seeds {
		for i, setting := range s.settings {
			if _, ok := done[key(setting, seed)]; !ok {
				jobs = append(jobs, job{i, seed})
			}
		}
	}
	return jobs
}

// runAll is Run for settings known by their index.
func runAll(ctx context.Context, s *store, seeds []uint64, workers int, quiet bool, run func(ctx context.Context, setting int, seed uint64) (Values, error)) (map[string]record, error) {
	done, err := s.peek()
	if err != nil {
		return nil, err
	}
	if len(missing(s, seeds, done)) == 0 {
		return done, nil
	}
	f, done, err := s.open()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	defer unlock(f)
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()

	jobs := missing(s, seeds, done)
	c := &crew{store: s, file: f, run: run, done: done, total: len(s.settings) * len(seeds), before: len(s.settings)*len(seeds) - len(jobs), started: time.Now()}
	c.bar = newProgress(s.head.Name, c.total, quiet)
	c.bar.set(c.before, fmt.Sprintf("%d of %d runs", c.before, c.total)) // the first run may take long
	c.ctx, c.cancel = context.WithCancel(ctx)
	defer c.cancel()
	if workers < 1 {
		workers = runtime.GOMAXPROCS(0)
	}
	queue := make(chan job)
	var group sync.WaitGroup
	for range min(workers, len(jobs)) {
		group.Add(1)
		go func() {
			defer group.Done()
			for j := range queue {
				c.one(j)
			}
		}()
	}
feed:
	for _, j := range jobs {
		select {
		case queue <- j:
		case <-c.ctx.Done():
			break feed
		}
	}
	close(queue)
	group.Wait()
	return c.finish(ctx)
}

// crew is what the workers share.
type crew struct {
	store   *store
	file    *os.File
	run     func(ctx context.Context, setting int, seed uint64) (Values, error)
	ctx     context.Context // done when the caller's is, or a run failed
	cancel  context.CancelFunc
	bar     *progress
	total   int // runs of the grid
	before  int // of them done before this call
	started time.Time

	mu   sync.Mutex
	done map[string]record // guarded by mu
	now  int               // guarded by mu; runs that this call did
	err  error             // guarded by mu; the first one
}

// one does one run, in a goroutine of its own: what ends it (runtime.Goexit, by which the Gradbook kernel interrupts a notebook's code) ends no worker.
func (c *crew) one(j job) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		setting := c.store.settings[j.setting]
		start := time.Now()
		values, err := c.call(j)
		if c.ctx.Err() != nil { // what comes out now may be half a run
			return
		}
		r := record{Setting: setting, Seed: j.seed, Seconds: time.Since(start).Seconds()}
		if err == nil {
			r.Values, r.Series, err = values.split()
		}
		if err == nil {
			err = c.keep(r)
		}
		if err != nil {
			c.fail(setting, j.seed, err)
		}
	}()
	<-ended
}

// call calls run; a panic (as GoMLX raises when a graph cannot be built) is an error.
func (c *crew) call(j job) (values Values, err error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		if p := recover(); p != nil {
			err = errors.Errorf("panic: %v\n%s", p, debug.Stack())
			return
		}
		c.fail(c.store.settings[j.setting], j.seed, errors.New("it was ended from within (runtime.Goexit)"))
	}()
	values, err = c.run(c.ctx, j.setting, j.seed)
	returned = true
	return values, err
}

// keep adds a finished run to the file.
func (c *crew) keep(r record) error {
	line, err := seal(r)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := c.file.Write(line); err != nil { // in one piece
		return errors.WithStack(err)
	}
	c.done[key(r.Setting, r.Seed)] = r
	c.now++
	did := c.before + c.now
	left := time.Duration(float64(time.Since(c.started)) / float64(c.now) * float64(c.total-did))
	c.bar.set(did, fmt.Sprintf("%d of %d runs%s", did, c.total, remaining(left)))
	return nil
}

// fail keeps the first error and has no further run begun.
func (c *crew) fail(setting json.RawMessage, seed uint64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil && c.ctx.Err() == nil {
		c.err = errors.WithMessagef(err, "the run of setting %s with seed %d (the runs that are done are kept in %s)", setting, seed, c.store.path)
	}
	c.cancel()
}

func (c *crew) finish(ctx context.Context) (map[string]record, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	did := c.before + c.now
	if c.err == nil && did < c.total {
		c.err = errors.WithMessagef(ctx.Err(), "interrupted: %d of %d runs are done and kept in %s; run it again to go on", did, c.total, c.store.path)
	}
	words := fmt.Sprintf("%d runs in %s", did, round(time.Since(c.started)))
	if c.before > 0 {
		words = fmt.Sprintf("%d runs, %d of them from %s, the others in %s", did, c.before, c.store.path, round(time.Since(c.started)))
	}
	if did < c.total {
		words = fmt.Sprintf("stopped after %d of %d runs", did, c.total)
	}
	c.bar.end(words)
	return c.done, c.err
}
