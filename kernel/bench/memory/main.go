// Command memory runs 1,000 changed cells in one session of 100 declarations and
// measures what the live program's memory comes to, and whether cells get slower.
// It exits with 1 when a goal is missed.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gradbook/gradbook/internal/table"
	"github.com/gradbook/gradbook/kernel/bench/live"
)

const (
	cells       = 1000
	memoryGoal  = 1024 // MiB
	slowdown    = 1.3
	early, late = 10, 500 // the cells compared
	around      = 5       // how many neighbours on each side the medians are over
)

func main() {
	write := flag.Bool("write", false, "put the table into the module's README.md")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *write); err != nil {
		fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, write bool) error {
	dir, err := live.Module()
	if err != nil {
		return err
	}
	s, err := live.Open(ctx, dir)
	if err != nil {
		return err
	}
	defer s.Close()
	if _, _, err := s.Run(ctx, declarations()); err != nil {
		return err
	}
	// Numbers that no earlier run has used, so that no cell is found in the cache.
	first := int(time.Now().Unix() % 1e6)
	took, sum := make([]float64, cells+1), 0
	for i := 1; i <= cells; i++ {
		sum += first + i
		out, d, err := s.Run(ctx, fmt.Sprintf("func step() int { return %d + f30(layer29{}) }\n\n%%%%\ncounter += step()\nfmt.Println(counter)\n", first+i))
		if err != nil {
			return fmt.Errorf("cell %d: %w", i, err)
		}
		if want := fmt.Sprintln(sum); out != want {
			return fmt.Errorf("cell %d printed %q, want %q", i, out, want)
		}
		took[i] = d.Seconds()
		if i%100 == 0 {
			fmt.Fprintf(os.Stderr, "%d cells, the last took %v\n", i, d.Round(time.Millisecond))
		}
	}
	resident, err := residentMiB(ctx, s)
	if err != nil {
		return err
	}
	before := table.Median(took[early-around : early+around+1])
	after := table.Median(took[late-around : late+around+1])
	t := table.Table{
		Head: []string{"1,000 cells", "value"},
		Note: fmt.Sprintf("A session of 100 declarations; each cell changes one more function and calls it; medians of %d neighbours.", 2*around+1),
		Rows: []table.Row{
			{Cells: []string{"resident memory of the live program", fmt.Sprintf("%.0f MiB", resident)}, Got: resident, Goal: memoryGoal, Unit: " MiB"},
			{Cells: []string{fmt.Sprintf("cell %d against cell %d", late, early), fmt.Sprintf("%.0f ms, %.0f ms", 1000*after, 1000*before)}, Got: after / before, Goal: slowdown, Unit: "x"},
		},
	}
	readme := ""
	if write {
		readme = filepath.Join(dir, "README.md")
	}
	return t.Finish("memory", readme)
}

// declarations returns a cell of 100 declarations: 32 types with a method each, 35 functions, a variable.
func declarations() string {
	var b strings.Builder
	b.WriteString("import \"fmt\"\n\nvar counter int\n\n")
	for i := range 32 {
		fmt.Fprintf(&b, "type layer%d struct {\n\tweights []float64\n\tnames map[string]int\n}\n\n", i)
		fmt.Fprintf(&b, "func (l layer%d) size() int { return len(l.weights) + len(l.names) }\n\n", i)
	}
	for i := range 35 {
		fmt.Fprintf(&b, "func f%d(l interface{ size() int }) int {\n\tn := l.size()\n\tfor _, s := range []string{\"a\", fmt.Sprint(n)} {\n\t\tn += len(s) - 1\n\t}\n\treturn n\n}\n\n", i)
	}
	return b.String()
}

// residentMiB asks the live program itself how much memory it holds.
func residentMiB(ctx context.Context, s *live.Session) (float64, error) {
	out, _, err := s.Run(ctx, "import \"os\"\n\n%%\nstatus, _ := os.ReadFile(\"/proc/self/status\")\nfmt.Println(string(status))\n")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(out) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "VmRSS:" {
			kb, err := strconv.ParseFloat(fields[1], 64)
			return kb / 1024, err
		}
	}
	return 0, fmt.Errorf("the live program's /proc/self/status has no line VmRSS")
}
