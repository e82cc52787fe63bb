package main

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
)

// deviceTables renders the rows: the step, the first step, and the GPU's memory if it was read.
func deviceTables(list []column, rows []row, note string) string {
	var b strings.Builder
	b.WriteString("A step, in milliseconds:\n\n")
	writeTable(&b, list, rows, func(c cell) float64 { return c.step }, true)
	for _, r := range rows {
		for i, c := range r.cells {
			said := slices.ContainsFunc(r.cells[:i], func(before cell) bool { return before.why == c.why })
			if c.why == "" || said {
				continue
			}
			var columns []string
			for k := range list {
				if r.cells[k].why == c.why {
					columns = append(columns, list[k].String())
				}
			}
			fmt.Fprintf(&b, "\n%s, %s, %s: %s.\n", r.net, r.size, strings.Join(columns, " and "), strings.TrimSuffix(c.why, "."))
		}
	}
	b.WriteString("\nThe first step, in seconds, with what is compiled before it:\n\n")
	writeTable(&b, list, rows, func(c cell) float64 { return c.first }, false)
	memory := func(c cell) float64 { return c.memory }
	if slices.ContainsFunc(rows, func(r row) bool { return slices.ContainsFunc(r.cells, func(c cell) bool { return memory(c) != 0 }) }) {
		gpu := slices.DeleteFunc(slices.Clone(list), func(c column) bool { return c.device != "CUDA" })
		cut := make([]row, len(rows))
		for i, r := range rows {
			cut[i] = row{r.netCase, r.cells[len(r.cells)-len(gpu):]} // those of CUDA come last
		}
		b.WriteString("\nMemory of the GPU that the process took, in MiB:\n\n")
		writeTable(&b, gpu, cut, memory, false)
	}
	b.WriteString("\n" + note)
	return b.String()
}

// writeTable writes one number of each cell; a dash stands for none.
func writeTable(b *strings.Builder, list []column, rows []row, number func(cell) float64, losses bool) {
	b.WriteString("| net | size |")
	for _, c := range list {
		fmt.Fprintf(b, " %s |", c)
	}
	if losses {
		fmt.Fprintf(b, " loss after %d steps |", lossSteps)
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---:|", len(list)))
	if losses {
		b.WriteString("---|")
	}
	b.WriteByte('\n')
	for _, r := range rows {
		fmt.Fprintf(b, "| %s | %s |", r.net, r.size)
		for _, c := range r.cells {
			switch v := number(c); {
			case v != 0:
				fmt.Fprintf(b, " %s |", digits(v))
			case c.left:
				b.WriteString(" left out |")
			default:
				b.WriteString(" - |")
			}
		}
		if losses {
			fmt.Fprintf(b, " %s |", r.agreement(list))
		}
		b.WriteByte('\n')
	}
}

// digits writes three digits that count, without an exponent.
func digits(v float64) string {
	if v >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

// agreement is the loss that all have, or what each has.
func (r row) agreement(list []column) string {
	if differ := r.disagree(list); differ != "" {
		return "**differs**: " + differ
	}
	n, loss := 0, 0.0
	for _, c := range r.cells {
		if c.step != 0 {
			n, loss = n+1, c.loss
		}
	}
	switch n {
	case 0:
		return "-"
	case 1:
		return fmt.Sprintf("%.4g, of one alone", loss)
	}
	return fmt.Sprintf("%.4g, all %d agree", loss, n)
}

// deviceNote says how it was measured, and what was not.
func deviceNote(ctx context.Context, list []column, p python, o options, busy float64) string {
	var b strings.Builder
	fmt.Fprintf(&b, "float32 throughout (no TF32), plain SGD, the same weights and batches for all, which lie ready on the device; losses agree if they differ by less than %g of their size. "+
		"GoMLX with XLA: one compiled step; JAX: one jitted step, the LSTM as a scan; PyTorch: eager, with its own LSTM. ", lossTolerance)
	fmt.Fprintf(&b, "Medians of up to %d turns of about %v on the clock, as many as the time for the row allows, each process with a thread for each of the CPUs; pure Go is left out where a step would take more than %v, going by the size before. ", o.rounds, deviceTurn, o.slow)
	if names := gpuQuery(ctx, "name,driver_version"); names != nil {
		fmt.Fprintf(&b, "GPU: %s. ", strings.Join(names, "; "))
	}
	if text := notMeasured(list); text != "" {
		b.WriteString(text + " ")
	}
	if n := runtime.NumCPU(); busy > float64(n)/4 {
		fmt.Fprintf(&b, "Other programs had the CPUs too: the load average was %.1f on %d of them. ", busy, n)
	}
	if p.Version != "" {
		fmt.Fprintf(&b, "JAX %s and PyTorch %s on Python %s. ", orNone(p.JAX), orNone(p.Torch), p.Version)
	}
	fmt.Fprintf(&b, "Measured on %s.\n", where())
	return b.String()
}

// notMeasured says which columns are empty and why; what all of a device's columns lack is said once.
func notMeasured(list []column) string {
	var words []string
	if slices.ContainsFunc(list, func(c column) bool { return c.absent == noGPU }) {
		words = append(words, "CUDA was not measured: "+noGPU+".")
	}
	for _, c := range list {
		if c.absent != "" && c.absent != noGPU {
			words = append(words, fmt.Sprintf("%s was not measured: %s.", c, strings.TrimSuffix(c.absent, ".")))
		}
	}
	return strings.Join(words, " ")
}

func orNone(version string) string {
	if version == "" {
		return "(none)"
	}
	return version
}
