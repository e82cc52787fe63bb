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
//	go run ./pkg/bench -devices -python build/python-bench/bin/python -write
//
// measures steps of the MLP, of a ResNet-20 and of an LSTM at three sizes each, on the CPU (pure Go, XLA, JAX, PyTorch) and on a GPU where there is one, and writes the tables
// of devices; -quick is a try of a minute or two. What is not there (a plugin, a GPU, JAX or PyTorch) is a dash, and the note below the table says why.
//
// It exits with 1 when a goal is missed: for XLA that of one compiled step (the table has the other ways, too); with -devices when losses differ or a contender fails.
// The package knows how to measure, and nothing of why a net is slow; that is in pkg/README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/gradbook/gradbook/internal/table"
)

func main() {
	var o options
	flag.StringVar(&o.python, "python", "python3", "a Python with the packages of pkg/bench/requirements.txt")
	flag.IntVar(&o.rounds, "rounds", 21, "turns of each contender")
	flag.BoolVar(&o.write, "write", false, "put the tables into pkg/README.md")
	flag.StringVar(&o.folder, "folder", "pkg", "the folder pkg of the module")
	flag.BoolVar(&o.devices, "devices", false, "measure the table by devices instead: CPU and CUDA")
	flag.StringVar(&o.nets, "nets", "mlp,resnet,lstm", "with -devices: which nets")
	flag.DurationVar(&o.limit, "limit", 0, "with -devices: how long all may take (default 10m, with -quick 3m)")
	flag.DurationVar(&o.slow, "slow", 5*time.Second, "with -devices: leave pure Go out where a step is expected to take longer")
	flag.BoolVar(&o.quick, "quick", false, "with -devices: the smallest size of each net, 3 turns: a try")
	worker := flag.String("worker", "", "be a contender (this program starts itself)")
	folder := flag.String("case", "", "be a contender on the case in this folder")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	switch {
	case flag.NArg() > 0:
		err = fmt.Errorf("%q is no flag; see -help", flag.Arg(0))
	case *folder != "":
		err = workCase(*folder, *worker)
	case *worker != "":
		err = work(*worker)
	case o.devices:
		err = runDevices(ctx, o)
	default:
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

	devices, quick bool
	nets           string
	limit, slow    time.Duration
}

// runDevices prints the tables by devices, and writes them.
func runDevices(ctx context.Context, o options) error {
	standard := 10 * time.Minute
	if o.quick {
		o.rounds, standard = min(o.rounds, 3), 3*time.Minute
	}
	if o.limit == 0 {
		o.limit = standard
	}
	if o.rounds < 1 || o.limit <= 0 || o.slow <= 0 {
		return fmt.Errorf("-rounds is %d, -limit %v and -slow %v; each must be above 0", o.rounds, o.limit, o.slow)
	}
	text, wrong := measureDevices(ctx, o)
	if text == "" {
		return wrong
	}
	fmt.Print(text)
	if o.write {
		if err := table.Replace(o.folder+"/README.md", "devices", text); err != nil {
			return err
		}
	}
	return wrong
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
