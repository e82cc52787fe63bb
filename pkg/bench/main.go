// Command bench measures a training step of the module's nets against the same step elsewhere, and writes the tables of pkg/README.md:
//
//	go run ./pkg/bench -python build/python-bench/bin/python -write
//
// The first table is the MLP of the course, 784-64x10-10, batch 256, plain SGD, float32: in pure Go and with XLA through GoMLX, in JAX and in PyTorch (both from the Python
// given, with the packages of requirements.txt). All have the same weights and data; their losses must agree after 20 steps, so that they compute
// the same thing. Each runs in a process of its own, bound to one CPU or to two, and they take turns, so that a busy machine slows all alike: the
// table has medians over the turns, and the ratio to JAX is the median of the ratios turn by turn. The second table is a training step of a small residual net with
// this module's convolution against GoMLX's (BenchmarkStep in pkg/model/internal/convolution).
//
// It exits with 1 when a goal is missed: for XLA that of one compiled step (the table has the other ways, too). The package knows how to measure, and nothing of why a net is slow; that is in pkg/README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/gradbook/gradbook/internal/table"
)

func main() {
	var o options
	flag.StringVar(&o.python, "python", "python3", "a Python with the packages of pkg/bench/requirements.txt")
	flag.IntVar(&o.rounds, "rounds", 21, "turns of each contender")
	flag.BoolVar(&o.write, "write", false, "put the tables into pkg/README.md")
	flag.StringVar(&o.folder, "folder", "pkg", "the folder pkg of the module")
	worker := flag.String("worker", "", "be a contender (this program starts itself)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	if *worker != "" {
		err = work(*worker)
	} else {
		err = run(ctx, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1)
	}
}

type options struct {
	python, folder string
	rounds         int
	write          bool
}

func run(ctx context.Context, o options) error {
	if o.rounds < 1 {
		return fmt.Errorf("-rounds is %d; give 1 or more", o.rounds)
	}
	mlp, missedMLP := measureMLP(ctx, o)
	if mlp == "" {
		return missedMLP
	}
	fmt.Print(mlp)
	conv, missedConv := measureConvolution(ctx, o)
	fmt.Print("\n", conv)
	if o.write {
		for name, text := range map[string]string{"mlp": mlp, "convolution": conv} {
			if text == "" {
				continue
			}
			if err := table.Replace(o.folder+"/README.md", name, text); err != nil {
				return err
			}
		}
	}
	return errors.Join(missedMLP, missedConv)
}
