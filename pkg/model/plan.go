package model

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gradbook/gradbook/pkg/activation"
	"github.com/gradbook/gradbook/pkg/initializer"
	"github.com/pkg/errors"
)

// plan is a net before any weight exists: its layers, in the order of the forward pass, and their variables.
type plan struct {
	layers []layer
}

// layer is one row of the table that a net prints as.
type layer struct {
	name       string
	kind       string // "dense", "conv 3x3", "conv 3x3 /2", "lstm", ...
	in, out    []int  // shapes of one example
	activation string
	norm       string
	skipFrom   string // name of the layer whose output is added here; "" for none
	initial    string // how the weights are drawn
	variables  []variable
}

// variable is one tensor of a layer.
type variable struct {
	path      string // "h1/W"; its name in the store has a slash before it
	dims      []int
	trainable bool
	draw      func(seed uint64) ([]float64, error)
}

func size(dims []int) int {
	n := 1
	for _, d := range dims {
		n *= d
	}
	return n
}

// parameters counts the scalars of the trainable variables.
func (l *layer) parameters() int {
	n := 0
	for _, v := range l.variables {
		if v.trainable {
			n += size(v.dims)
		}
	}
	return n
}

// maxParameters bounds what New allocates (8 GiB in float32), so that a mistyped width is an error and not a machine out of memory.
const maxParameters = 1 << 31

// check refuses plans that are too large. It multiplies in float64, which cannot overflow.
func (p *plan) check() error {
	total := 0.0
	for _, l := range p.layers {
		for _, v := range l.variables {
			n := 1.0
			for _, d := range v.dims {
				n *= float64(d)
			}
			total += n
		}
	}
	if total > maxParameters {
		return errors.Errorf("the net would have %.3g values in its variables; at most %d are allowed", total, maxParameters)
	}
	return nil
}

// weights adds a variable that init draws from the stream of its name.
func (l *layer) weights(path string, init initializer.Initializer, dims ...int) {
	l.variables = append(l.variables, variable{path: path, dims: dims, trainable: true, draw: func(seed uint64) ([]float64, error) {
		return init.Draw(initializer.Stream(seed, path), dims...)
	}})
}

// gates adds a variable [in, len(names) width] whose blocks of columns, one a gate, are drawn one by one: an orthogonal matrix and the fans are a gate's.
func (l *layer) gates(path string, init initializer.Initializer, in, width int, names ...string) {
	l.variables = append(l.variables, variable{path: path, dims: []int{in, len(names) * width}, trainable: true, draw: func(seed uint64) ([]float64, error) {
		all := make([]float64, in*len(names)*width)
		for k, name := range names {
			block, err := init.Draw(initializer.Stream(seed, path+name), in, width)
			if err != nil {
				return nil, err
			}
			for row := range in {
				copy(all[(row*len(names)+k)*width:], block[row*width:(row+1)*width])
			}
		}
		return all, nil
	}})
}

// bias adds a bias of n values with standard deviation sigma.
func (l *layer) bias(path string, sigma float64, n int) {
	l.variables = append(l.variables, variable{path: path, dims: []int{n}, trainable: true, draw: func(seed uint64) ([]float64, error) {
		return initializer.Bias(initializer.Stream(seed, path), sigma, n), nil
	}})
}

// constant adds a variable of one value throughout; without dims it is a scalar.
func (l *layer) constant(path string, value float64, trainable bool, dims ...int) {
	l.variables = append(l.variables, variable{path: path, dims: dims, trainable: trainable, draw: func(uint64) ([]float64, error) {
		return slices.Repeat([]float64{value}, size(dims)), nil
	}})
}

// normalised adds what a normalisation of n features needs.
func (l *layer) normalised(norm Norm, n int) {
	if norm == NoNorm {
		return
	}
	l.norm = string(norm)
	l.normVariables(l.name, norm, n)
}

func (l *layer) normVariables(name string, norm Norm, n int) {
	if norm == NoNorm {
		return
	}
	l.constant(name+"/norm/scale", 1, true, n)
	l.constant(name+"/norm/offset", 0, true, n)
	if norm == BatchNorm {
		l.constant(name+"/norm/mean", 0, false, n)
		l.constant(name+"/norm/variance", 1, false, n)
		l.constant(name+"/norm/steps", 0, false)
	}
}

// activated notes the activation and adds the slope that a PReLU learns.
func (l *layer) activated(a activation.Activation) {
	l.activation = a.String()
	if slope, learned := a.Slope(); learned {
		l.constant(l.name+"/slope", slope, true)
	}
}

// LayerShape is one layer as a diagram needs it.
type LayerShape struct {
	Name string // "h1", "out"
	Kind string // "dense", "conv 3x3 /2", "pool + dense", "lstm", ...
	// In and Out are the shapes of one example, without the batch: [64], [32, 32, 16] or [steps, features].
	In, Out    []int
	Activation string // the activation's name; "linear" for the output
	Norm       string // "batch", "layer" or ""
	Parameters int    // trainable scalars, those of a projection shortcut among them
	SkipFrom   string // the layer whose output (in a pre-activation net, whose z) the residual connection adds here; "" if there is none
}

// Diagram returns the layers in the order of the forward pass.
func (n *Net) Diagram() []LayerShape {
	shapes := make([]LayerShape, len(n.plan.layers))
	for i, l := range n.plan.layers {
		shapes[i] = LayerShape{Name: l.name, Kind: l.kind, In: slices.Clone(l.in), Out: slices.Clone(l.out), Activation: l.activation, Norm: l.norm,
			Parameters: l.parameters(), SkipFrom: l.skipFrom}
	}
	return shapes
}

// table lays rows out in columns; the columns in right are aligned to the right.
func table(rows [][]string, right ...int) string {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len(cell))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			if slices.Contains(right, i) {
				fmt.Fprintf(&line, "%*s  ", widths[i], cell)
			} else {
				fmt.Fprintf(&line, "%-*s  ", widths[i], cell)
			}
		}
		b.WriteString(strings.TrimRight(line.String(), " "))
		b.WriteByte('\n')
	}
	return b.String()
}

func shapeText(dims []int) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(dims), " ", "x"), "[]")
}

// String is a table of the layers: kind, shapes of one example, activation, trainable parameters and how the weights are drawn; long runs of alike layers are
// cut to their first and last.
func (n *Net) String() string {
	head := []string{"layer", "kind", "in", "out", "activation", "parameters", "weights"}
	rows := make([][]string, 0, len(n.plan.layers))
	for _, l := range n.plan.layers {
		act := l.activation
		if l.norm != "" {
			act += " (" + l.norm + " norm)"
		}
		kind := l.kind
		if l.skipFrom != "" {
			kind += " + " + l.skipFrom
		}
		rows = append(rows, []string{l.name, kind, shapeText(l.in), shapeText(l.out), act, fmt.Sprint(l.parameters()), l.initial})
	}
	const longest = 30 // rows; deeper nets show both ends
	if len(rows) > longest {
		gap := []string{"...", fmt.Sprintf("%d more", len(rows)-longest), "", "", "", "", ""}
		rows = slices.Concat(rows[:longest-10], [][]string{gap}, rows[len(rows)-10:])
	}
	return fmt.Sprintf("%s, seed %d: %d parameters, %s\n%s", n.config, n.seed, n.Parameters(), n.dtype,
		table(append([][]string{head}, rows...), 5))
}
