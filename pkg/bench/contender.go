package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// contender is one implementation of the training step, in a process of its own that waits for its turns.
type contender struct {
	Name    string // as in the table
	id      string // "go/trainer", "xla/trainer", "jax", "torch"
	stderr  io.Writer
	stdin   io.WriteCloser
	answers *bufio.Scanner
	cmd     *exec.Cmd
	steps   int // of one turn
	turns   []turn
}

// turn is what one turn took, by the step and in milliseconds, and the loss after it.
type turn struct {
	Wall, CPU, Loss float64
}

// start runs the contender's program, which may use as many threads.
func (c *contender) start(ctx context.Context, command []string, threads int, env ...string) error {
	n := strconv.Itoa(threads)
	c.cmd = exec.CommandContext(ctx, command[0], command[1:]...)
	// PyTorch's threads would wait for one another by spinning, which other programs on the same CPUs turn into many times the work.
	c.cmd.Env = append(os.Environ(), "OMP_NUM_THREADS="+n, "OMP_WAIT_POLICY=PASSIVE", "MKL_NUM_THREADS="+n, "PYTHONDONTWRITEBYTECODE=1")
	c.cmd.Env = append(c.cmd.Env, env...)
	c.cmd.Stderr = c.stderr
	if c.stderr == nil {
		c.cmd.Stderr = os.Stderr
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		return err
	}
	c.answers = bufio.NewScanner(out)
	c.turns = nil
	return c.cmd.Start()
}

// run has the contender do n steps.
func (c *contender) run(n int) (turn, error) {
	if _, err := fmt.Fprintln(c.stdin, n); err != nil || !c.answers.Scan() { // the first where it ended before it was asked
		return turn{}, fmt.Errorf("%s ended: %v", c.Name, c.cmd.Wait())
	}
	var wall, cpu, loss float64
	if _, err := fmt.Sscan(c.answers.Text(), &wall, &cpu, &loss); err != nil {
		return turn{}, fmt.Errorf("%s answered %q, want nanoseconds on the clock, nanoseconds of CPU and a loss: %w", c.Name, c.answers.Text(), err)
	}
	each := 1e6 * float64(n)
	return turn{wall / each, cpu / each, loss}, nil
}

// stop ends the contender's process.
func (c *contender) stop() {
	if c.cmd != nil && c.cmd.Process != nil {
		c.stdin.Close()
		_ = c.cmd.Wait() // its answers are what counts
		c.cmd = nil
	}
}

// work is the contender's process, for those of this program: the protocol of contender.py.
func work(spec string) error {
	parts := strings.Split(spec, "/")
	if len(parts) != 3 {
		return fmt.Errorf("-worker %q: want backend/way/activation", spec)
	}
	do, err := newSteps(parts[0], parts[1], parts[2])
	if err != nil {
		return err
	}
	return serve(do)
}

// serve answers each line "N" of the standard input with the wall and CPU nanoseconds of N steps and the loss after them.
func serve(do steps) error {
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		n, err := strconv.Atoi(in.Text())
		if err != nil {
			return err
		}
		before, used := time.Now(), cpuTime()
		loss, err := do(n)
		if err != nil {
			return err
		}
		fmt.Println(time.Since(before).Nanoseconds(), (cpuTime() - used).Nanoseconds(), loss)
	}
	return nil
}

// cpuTime is what this process has used, in all its threads.
func cpuTime() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		panic(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
