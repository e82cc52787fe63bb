package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gradbook/gradbook/internal/table"
)

const (
	lossSteps     = 5                      // after which the losses are compared
	lossTolerance = 1e-3                   // of the loss
	deviceTurn    = 200 * time.Millisecond // about
)

// cell is what one implementation did on one case.
type cell struct {
	step   float64 // ms, the median of the turns; 0 if it was not measured
	first  float64 // seconds of the first step, compilation included
	memory float64 // MiB of the GPU; 0 if it was not read
	loss   float64 // after lossSteps
	why    string  // it was not measured, or not to the end
	left   bool    // it was left out, as too slow
}

// row is a case with a cell for each column.
type row struct {
	netCase
	cells []cell
}

// measureDevices measures all cases and returns the tables, and an error that says where losses differ or something failed.
func measureDevices(ctx context.Context, o options) (string, error) {
	cases, err := o.cases()
	if err != nil {
		return "", err
	}
	p := askPython(ctx, o.python)
	list, err := columns(o, p)
	if err != nil {
		return "", err
	}
	if text := notMeasured(list); text != "" {
		fmt.Fprintln(os.Stderr, text)
	}
	folder, err := os.MkdirTemp("", "gradbook-bench-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(folder)
	end := time.Now().Add(o.limit)
	busy := loadAverage()
	var rows []row
	for i, c := range cases {
		fmt.Fprintf(os.Stderr, "%s, %s\n", c.net, c.size)
		var before *row
		if i > 0 && cases[i-1].net == c.net {
			before = &rows[i-1]
		}
		share := time.Until(end) / time.Duration(len(cases)-i)
		r, err := measureCase(ctx, c, list, before, o, folder, share)
		if err != nil {
			return "", err
		}
		rows = append(rows, r)
	}
	return deviceTables(list, rows, deviceNote(ctx, list, p, o, busy)), verdict(list, rows)
}

// cases lists what is to be measured: of each net the smallest case only if it is to be quick.
func (o options) cases() ([]netCase, error) {
	var all []netCase
	for net := range strings.SplitSeq(o.nets, ",") {
		list, err := netCases(strings.TrimSpace(net))
		if err != nil {
			return nil, err
		}
		if o.quick {
			list = list[:1]
		}
		all = append(all, list...)
	}
	return all, nil
}

// measureCase lets the columns' contenders take turns on a case, for no longer than limit; before is the case of the next smaller size, if there is one. The error is
// about the machine or an interrupt: what goes wrong with one contender stands in its cell.
func measureCase(ctx context.Context, c netCase, list []column, before *row, o options, folder string, limit time.Duration) (row, error) {
	if err := c.write(folder); err != nil {
		return row{}, err
	}
	within, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	r := row{c, make([]cell, len(list))}
	contenders := make([]*contender, len(list))
	for _, i := range slowLast(list) {
		column, result := list[i], &r.cells[i]
		if column.absent != "" {
			continue
		}
		if column.slow && before != nil {
			smaller := before.cells[i]
			if smaller.left || smaller.step*c.work/before.work > float64(o.slow.Milliseconds()) {
				result.left = true
				continue
			}
		}
		contenders[i] = &contender{Name: column.String(), stderr: &tail{}}
		defer contenders[i].stop()
		if err := enter(within, contenders[i], column, folder, result); err != nil {
			result.why = failure(within, contenders[i], err)
			contenders[i].stop()
			contenders[i] = nil
		}
	}
	for range o.rounds {
		for i, contender := range contenders {
			if contender == nil || within.Err() != nil {
				continue
			}
			t, err := contender.run(contender.steps)
			if err == nil {
				contender.turns = append(contender.turns, t)
			} else if within.Err() == nil {
				r.cells[i].why = failure(within, contender, err)
				contenders[i] = nil
			}
		}
	}
	for i, contender := range contenders {
		if contender != nil && len(contender.turns) > 0 {
			var wall []float64
			for _, t := range contender.turns {
				wall = append(wall, t.Wall)
			}
			r.cells[i].step = table.Median(wall)
		}
	}
	return r, ctx.Err()
}

// slowLast are the columns' indices in the order in which they start, so that the slow ones do not use up the others' time.
func slowLast(list []column) []int {
	var first, last []int
	for i, c := range list {
		if c.slow {
			last = append(last, i)
		} else {
			first = append(first, i)
		}
	}
	return append(first, last...)
}

// enter starts a contender and has it do its first steps, which also tell how many make a turn, and what the step takes if there is no time for any.
func enter(ctx context.Context, c *contender, column column, folder string, result *cell) error {
	used, read := 0.0, false
	if column.device == "CUDA" {
		used, read = gpuMemory(ctx)
	}
	if err := c.start(ctx, column.command(folder), runtime.NumCPU(), column.env...); err != nil {
		c.cmd = nil
		return err
	}
	t, err := c.run(1)
	if err != nil {
		return err
	}
	result.first = t.Wall / 1000
	if t, err = c.run(lossSteps - 1); err != nil {
		return err
	}
	result.step, result.loss = t.Wall, t.Loss
	c.steps = max(1, int(float64(deviceTurn.Milliseconds())/t.Wall))
	if after, ok := gpuMemory(ctx); read && ok {
		result.memory = max(0, after-used)
	}
	return nil
}

// failure says in a line why a contender has no number.
func failure(ctx context.Context, c *contender, err error) string {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return "not measured, as the time for its row was up (-limit)"
	}
	if last := c.stderr.(*tail).last(); last != "" {
		return "failed: " + last
	}
	return "failed: " + err.Error()
}

// verdict joins what went wrong: losses that differ, and contenders that failed.
func verdict(list []column, rows []row) error {
	var all []error
	for _, r := range rows {
		if differ := r.disagree(list); differ != "" {
			all = append(all, fmt.Errorf("%s, %s: after %d steps the losses differ: %s", r.net, r.size, lossSteps, differ))
		}
		for i, c := range r.cells {
			if strings.HasPrefix(c.why, "failed") {
				all = append(all, fmt.Errorf("%s, %s: %s %s", r.net, r.size, list[i], c.why))
			}
		}
	}
	return errors.Join(all...)
}

// disagree names the losses if they are not one within the tolerance.
func (r row) disagree(list []column) string {
	var losses []float64
	var words []string
	for i, c := range r.cells {
		if c.step != 0 {
			losses = append(losses, c.loss)
			words = append(words, fmt.Sprintf("%s %.5g", list[i], c.loss))
		}
	}
	if len(losses) == 0 || slices.Max(losses)-slices.Min(losses) <= lossTolerance*math.Abs(losses[0]) {
		return ""
	}
	return strings.Join(words, ", ")
}

// tail keeps the end of what a contender writes to its standard error.
type tail struct {
	mu   sync.Mutex
	kept []byte // guarded by mu
}

// Write never fails.
func (t *tail) Write(text []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, text...)
	t.kept = t.kept[max(0, len(t.kept)-4096):]
	return len(text), nil
}

// last is the last line that is not empty: the message, in a Python's trace as in this program's error.
func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := bytes.Split(bytes.TrimSpace(t.kept), []byte("\n"))
	return strings.TrimSpace(string(lines[len(lines)-1]))
}

// loadAverage is how many programs wanted the CPU in the last minute; 0 where the system does not say.
func loadAverage() float64 {
	var load float64
	text, err := os.ReadFile("/proc/loadavg")
	if err == nil {
		_, err = fmt.Sscan(string(text), &load)
	}
	if err != nil {
		return 0
	}
	return load
}
