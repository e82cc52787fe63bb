package backend

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
)

// Variables are pointers to a program's live variables, by name.
type Variables map[string]any

// Moved says what Move found, each by the variable that reaches it.
type Moved struct {
	To      string              // the backend, in short
	Count   int                 // tensors that were moved; one that two variables reach counts once
	Bytes   int64               // their size
	Tensors []string            // where they are: "w (64x64 float32)", "net (24 tensors)"
	Lost    []string            // tensors whose value cannot be had: "batch (donated or finalised before)"
	Bound   map[string][]string // what computes on another backend, by that backend: "go": {"trainer (*train.Trainer)"}
	Unseen  []string            // what was not looked through, and why
}

// Move brings the tensors that variables reach, and that belong to another backend than b, to the host, from where b takes them when they are used next: through pointers,
// structs (with unexported fields), slices, maps and interfaces, so also those of a GoMLX store, a trainer or a net. What is bound to another backend for good (an Exec, a Trainer,
// the backend itself) is named. What a closure captured or waits in a channel cannot be found.
//
// Nothing else may use the variables meanwhile; Go itself ends a program that writes a map while it is read here.
func Move(b compute.Backend, variables Variables) Moved { return move(b, variables, false) }

// move is Move; with quiet it does not enter maps, which code that runs meanwhile might write.
func move(b compute.Backend, variables Variables, quiet bool) Moved {
	w := &walk{to: b, quiet: quiet, labels: labels(), outcomes: map[*tensors.Tensor]outcome{}, holding: holding{}}
	w.moved = Moved{To: b.String(), Bound: map[string][]string{}}
	if label, ok := w.labels[b]; ok {
		w.moved.To = label
	}
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		w.variable(name, variables[name])
	}
	return w.moved
}

// labels are the short names of the backends that Default and Use started.
func labels() map[compute.Backend]string {
	mu.Lock()
	defer mu.Unlock()
	all := map[compute.Backend]string{}
	for _, i := range started {
		all[i.backend] = Label(i.name)
	}
	return all
}

// String is what a user should know, a line for each kind of thing; empty if there is nothing.
func (m Moved) String() string {
	var b strings.Builder
	if m.Count > 0 {
		fmt.Fprintf(&b, "moved to the host: %s, %s: %s\n", number(m.Count, "tensor"), size(m.Bytes), several(m.Tensors))
	}
	if len(m.Lost) > 0 {
		fmt.Fprintf(&b, "lost: %s\n", several(m.Lost))
	}
	for _, label := range slices.Sorted(maps.Keys(m.Bound)) {
		again := "make them again"
		if len(m.Bound[label]) == 1 {
			again = "make it again"
		}
		fmt.Fprintf(&b, "still on %s: %s: %s to compute on %s\n", label, several(m.Bound[label]), again, m.To)
	}
	if len(m.Unseen) > 0 {
		fmt.Fprintf(&b, "not looked through: %s\n", several(m.Unseen))
	}
	return b.String()
}

// most is how many things are named in a line.
const most = 24

func several(list []string) string {
	if len(list) > most {
		return strings.Join(list[:most], ", ") + fmt.Sprintf(", and %d more", len(list)-most)
	}
	return strings.Join(list, ", ")
}

func number(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

func size(bytes int64) string {
	switch {
	case bytes < 1000:
		return number(int(bytes), "byte")
	case bytes < 1e6:
		return fmt.Sprintf("%.1f kB", float64(bytes)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(bytes)/1e6)
}

// dims writes a tensor's shape as "64x64 float32".
func dims(t *tensors.Tensor) string {
	shape := t.Shape()
	kind := strings.ToLower(shape.DType.String())
	if shape.DType == dtypes.InvalidDType {
		return "no shape"
	}
	if shape.Rank() == 0 {
		return "scalar " + kind
	}
	list := make([]string, shape.Rank())
	for i, d := range shape.Dimensions {
		list[i] = fmt.Sprint(d)
	}
	return strings.Join(list, "x") + " " + kind
}
