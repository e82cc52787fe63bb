package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/gradbook/gradbook/internal/table"
)

// The goals: the speed of one compiled step on XLA as a share of JAX's, on one CPU; GoMLX's convolution against ours.
const (
	jaxGoal         = 0.9
	convolutionGoal = 3.0
)

const (
	warmUp      = 20                     // steps
	aTurn       = 100 * time.Millisecond // about
	convolution = 9                      // steps
)

// measureMLP returns the table, and an error that says which goal was missed; with an empty table it could not be made.
func measureMLP(ctx context.Context, o options) (string, error) {
	versions, err := versionsOf(ctx, o.python)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("| activation | step | 1 CPU: ms | CPU ms | speed, JAX = 1 | 2 CPUs: ms | CPU ms | speed, JAX = 1 |\n|---|---|---:|---:|---:|---:|---:|---:|\n")
	var missed error
	for _, phi := range []string{"sigmoid", "relu"} {
		one, err := duel(ctx, o, phi, "0")
		if err != nil {
			return "", err
		}
		two := one
		if runtime.NumCPU() > 1 {
			if two, err = duel(ctx, o, phi, "0,1"); err != nil {
				return "", err
			}
		}
		for i, c := range one {
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", phi, c.Name, cells(c, one), cells(two[i], two))
			if speed := share(c, one); c.id == "xla/step" && speed < jaxGoal {
				missed = fmt.Errorf("%s, %s: %.2f of JAX's speed on one CPU, the goal is %g", phi, c.Name, speed, jaxGoal)
			}
		}
	}
	fmt.Fprintf(&b, "\nMedians of %d turns of about %v in one run; the speed is by CPU time, turn by turn. Each process was bound to its CPUs and had one thread for each; PyTorch's threads sleep while they wait. Where the time on the clock is far above CPU time, other programs had the CPU. %s. Measured on %s.\n",
		o.rounds, aTurn, versions, where())
	return b.String(), missed
}

// duel lets all contenders take turns on the given CPUs.
func duel(ctx context.Context, o options, phi, cpus string) ([]*contender, error) {
	list := []*contender{
		{Name: "GoMLX, pure Go", id: "go/trainer"},
		{Name: "GoMLX, XLA: Trainer", id: "xla/trainer"},
		{Name: "GoMLX, XLA: one compiled step", id: "xla/step"},
		{Name: fmt.Sprintf("GoMLX, XLA: %d steps to a call", stepsOfACall), id: "xla/steps"},
		{Name: "JAX", id: "jax"},
		{Name: "PyTorch", id: "torch"},
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	for _, c := range list {
		defer c.stop()
		threads := strings.Count(cpus, ",") + 1
		command := []string{"taskset", "-c", cpus, self, "-worker", c.id + "/" + phi}
		if c.id == "jax" || c.id == "torch" {
			command = []string{"taskset", "-c", cpus, o.python, filepath.Join(o.folder, "bench", c.id+"_mlp.py"), phi, strconv.Itoa(threads)}
		}
		if err := c.start(ctx, command, threads, "JAX_PLATFORMS=cpu"); err != nil {
			return nil, fmt.Errorf("%s: %w", c.Name, err)
		}
	}
	first := math.NaN()
	for _, c := range list {
		t, err := c.run(warmUp)
		if err != nil {
			return nil, err
		}
		if math.IsNaN(first) {
			first = t.Loss
		}
		if !(math.Abs(t.Loss-first) < 1e-3*first) {
			return nil, fmt.Errorf("%s: after %d steps the loss is %g, that of %s %g: they do not compute the same", c.Name, warmUp, t.Loss, list[0].Name, first)
		}
		if t, err = c.run(stepsOfACall); err != nil {
			return nil, err
		}
		calls := int(float64(aTurn.Milliseconds()) / t.CPU / stepsOfACall)
		c.steps = stepsOfACall * max(1, calls)
	}
	for range o.rounds {
		for _, c := range list {
			t, err := c.run(c.steps)
			if err != nil {
				return nil, err
			}
			c.turns = append(c.turns, t)
		}
	}
	return list, nil
}

// share is the contender's speed as a share of JAX's.
func share(c *contender, all []*contender) float64 {
	var ratios []float64
	for _, jax := range all {
		if jax.id != "jax" {
			continue
		}
		for i, t := range c.turns {
			ratios = append(ratios, jax.turns[i].CPU/t.CPU)
		}
	}
	return table.Median(ratios)
}

// cells are a contender's numbers in the table.
func cells(c *contender, all []*contender) string {
	var wall, cpu []float64
	for _, t := range c.turns {
		wall, cpu = append(wall, t.Wall), append(cpu, t.CPU)
	}
	return fmt.Sprintf("%.3g | %.3g | %.2f", table.Median(wall), table.Median(cpu), share(c, all))
}

// versionsOf says which packages the Python has.
func versionsOf(ctx context.Context, python string) (string, error) {
	out, err := exec.CommandContext(ctx, python, "-c", `
from importlib.metadata import version
import platform
print("JAX", version("jax"), "and PyTorch", version("torch"), "on Python", platform.python_version())`).Output()
	if err != nil {
		return "", fmt.Errorf("%s lacks JAX or PyTorch: install pkg/bench/requirements.txt there, or name another by -python: %w", python, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// measureConvolution runs BenchmarkStep on one CPU.
func measureConvolution(ctx context.Context, o options) (string, error) {
	out, err := exec.CommandContext(ctx, "taskset", "-c", "0", "go", "test", "-run", "^$", "-bench", "^BenchmarkStep$",
		"-benchtime", strconv.Itoa(convolution)+"x", "./"+filepath.Join(o.folder, "model/internal/convolution")).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("the convolution's benchmark: %w\n%s", err, out)
	}
	figure := func(unit string) float64 {
		m := regexp.MustCompile(`([\d.]+) ` + regexp.QuoteMeta(unit) + `\b`).FindSubmatch(out)
		if m == nil {
			return math.NaN()
		}
		v, _ := strconv.ParseFloat(string(m[1]), 64) // the pattern allows numbers only
		return v
	}
	ours, theirs, ratio := figure("cpu-ms/step"), figure("gomlx-cpu-ms/step"), figure("ratio")
	var b strings.Builder
	fmt.Fprintf(&b, "| convolution, pure Go | CPU ms a step | speed |\n|---|---:|---:|\n| GoMLX's | %.0f | 1 |\n| pkg/model's | %.0f | %.2f |\n", theirs, ours, ratio)
	fmt.Fprintf(&b, "\nMedians of %d steps each, in turns, on one CPU; the speed is the median of the ratios. Measured on %s.\n", convolution, where())
	if !(ratio >= convolutionGoal) {
		return b.String(), fmt.Errorf("convolution: %.2f times GoMLX's speed, the goal is %g\n%s", ratio, convolutionGoal, out)
	}
	return b.String(), nil
}

// where says on what machine, with what Go, when.
func where() string {
	processor := runtime.GOARCH
	text, _ := os.ReadFile("/proc/cpuinfo") // elsewhere than on Linux there is none
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			processor = strings.TrimSpace(value)
			break
		}
	}
	return fmt.Sprintf("%s, %d cores, %s, %s", processor, runtime.NumCPU(), runtime.Version(), time.Now().Format(time.DateOnly))
}
