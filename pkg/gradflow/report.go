package gradflow

import (
	"math"
	"slices"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	mlmodel "github.com/gomlx/gomlx/ml/model"
	"github.com/gradbook/gradbook/pkg/activation"
)

// Report is what flowed through a model on one batch, at one step.
type Report struct {
	// Step is the optimizer's global step that the numbers were taken in, from 1 on; a Meter's is the number of steps done before.
	Step int `json:"step"`
	// Loss is the scalar that was differentiated, regularisation included.
	Loss float64 `json:"loss"`
	// Batch is the number of examples.
	Batch int `json:"batch"`
	// Layers are the taps, in the order in which the model was built: first layer first.
	Layers []LayerReport `json:"layers"`
	// InputJacobian is the norm of d output/d input, if it was asked for.
	InputJacobian *JacobianNorm `json:"input_jacobian,omitempty"`
}

// LayerReport is what flowed through one layer. A number that was not measured is NaN (a layer tapped without z has no delta).
//
// Norms are Frobenius norms over the whole tensor, of the gradient of the loss as it stands: with a loss that is a mean over the batch, the
// row of delta that belongs to one example holds 1/batch of that example's own gradient.
type LayerReport struct {
	Name       string                `json:"name"`
	Activation activation.Activation `json:"activation"`
	// Shape is h's, batch first. Units is its last dimension, FanIn the number of inputs of one unit by W's shape (0 without W).
	Shape []int `json:"shape"`
	Units int   `json:"units"`
	FanIn int   `json:"fan_in"`
	// HasZ, HasW and HasB say what the tap knew; Plain that the layer is z = xW + b, h = phi(z) and nothing else, where x is the output of the
	// tap before (or the model's input). Mean-field theory of fully connected nets speaks of plain layers only.
	HasZ  bool `json:"has_z"`
	HasW  bool `json:"has_w"`
	HasB  bool `json:"has_b"`
	Plain bool `json:"plain"`
	// Output says that h is what the model returned: the loss acts on it directly.
	Output bool `json:"output"`

	// Mean and variance over all entries of h, and of z.
	Mean      float64 `json:"mean"`
	Variance  float64 `json:"variance"`
	ZMean     float64 `json:"z_mean"`
	ZVariance float64 `json:"z_variance"`
	// Saturated is the share of z's entries, Dead the share of units, 0 to 1, in the sense of activation.Activation's methods Saturation and
	// Dead. Of a convolution a unit is a channel, dead if it is so at all positions of all examples.
	Saturated float64 `json:"saturated"`
	Dead      float64 `json:"dead"`
	// BatchVariance is the variance over the batch of one entry of z (of h without z), averaged over the entries: what is left of the difference between examples.
	BatchVariance float64 `json:"batch_variance"`
	// Correlation is that of two different examples' z (h without z), averaged over all pairs in the batch: the mean over pairs of z_a.z_b
	// over the mean of z_a.z_a, not centred, as in the correlation map of Poole et al. 2016. At 1 the layer no longer tells examples apart.
	Correlation float64 `json:"correlation"`

	// Norms of delta = dL/dz, of dL/dh, dL/dW and dL/db, and of W and b themselves.
	DeltaNorm float64 `json:"delta_norm"`
	HGradNorm float64 `json:"h_grad_norm"`
	WGradNorm float64 `json:"w_grad_norm"`
	BGradNorm float64 `json:"b_grad_norm"`
	WNorm     float64 `json:"w_norm"`
	BNorm     float64 `json:"b_norm"`
	// UpdateRatio is the norm of one step's change of W over the norm of W: near 1e-3 in a net that trains well.
	UpdateRatio float64 `json:"update_ratio"`
	// SigmaW2 is fan-in times the mean square of W's entries, SigmaB2 the mean square of b's (0 if the layer has W and no b): sigma_w^2 and sigma_b^2 of mean-field theory.
	SigmaW2 float64 `json:"sigma_w2"`
	SigmaB2 float64 `json:"sigma_b2"`

	// On request (see Options): counts of h and of z, the singular values of dh/dx, x being the layer's input, and the likeness of two inputs.
	Histogram      *Histogram `json:"histogram,omitempty"`
	ZHistogram     *Histogram `json:"z_histogram,omitempty"`
	SingularValues *Spectrum  `json:"singular_values,omitempty"`
	Pair           *Pair      `json:"pair,omitempty"`
	// Tensors holds the tensors behind the norms; never written to a file.
	Tensors *Tensors `json:"-"`
}

// Histogram counts entries in bins of equal width between Low and High.
type Histogram struct {
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
	Counts []int   `json:"counts"` // Counts[i] entries lie in [Low + i*width, Low + (i+1)*width)
	Below  int     `json:"below"`  // entries < Low
	Above  int     `json:"above"`  // entries >= High
	NaN    int     `json:"nan"`    // entries that are no number
}

// Pair compares how a layer sees two given examples.
type Pair struct {
	// Correlation is z_a.z_b/(|z_a||z_b|), not centred: the correlation c of mean-field theory (Poole et al. 2016). Cosine is the same of h.
	Correlation float64 `json:"correlation"`
	Cosine      float64 `json:"cosine"`
}

// Tensors are a layer's forward values and gradients, in the model's precision; those that the tap did not know are nil.
type Tensors struct {
	H, Z, W, B, Delta, HGrad, WGrad, BGrad *tensors.Tensor
}

// place is what a graph's taps look like: all that turns sums into a LayerReport.
type place struct {
	blank          LayerReport
	batch          int
	entries        float64 // of h
	wSize, bSize   float64
	active, update bool // activation known; update of W known
}

// surroundings is what is known of the graph around the taps.
type surroundings struct {
	variables map[*graph.Node]*mlmodel.Variable // by their values before the step
	outputs   []*graph.Node                     // the model's, if known
	loss      *graph.Node                       // without regularisation, if known
}

func placesOf(flows []flow, around surroundings) []place {
	var places []place
	var previous *graph.Node
	for _, f := range flows {
		dims := f.H.Shape().Dimensions
		p := place{batch: dims[0], entries: float64(f.H.Shape().Size()), active: f.Activation.Valid() == nil, update: f.updated != nil}
		p.blank = LayerReport{Name: f.Name, Activation: f.Activation, Shape: append([]int(nil), dims...), Units: 1,
			HasZ: f.Z != nil, HasW: f.W != nil, HasB: f.B != nil}
		p.blank.Plain = (f.X == nil || f.X == previous) && around.isPlain(f.LayerTap, previous)
		if len(dims) > 1 {
			p.blank.Units = dims[len(dims)-1]
		}
		if f.W != nil {
			p.wSize = float64(f.W.Shape().Size())
			if rank := f.W.Rank(); rank > 0 {
				p.blank.FanIn = f.W.Shape().Size() / max(1, f.W.Shape().Dimensions[rank-1])
			}
		}
		if f.B != nil {
			p.bSize = float64(f.B.Shape().Size())
		}
		p.blank.Output = slices.Contains(around.outputs, f.H)
		places = append(places, p)
		previous = f.H
	}
	if last := len(places) - 1; !places[last].blank.Output {
		places[last].blank.Output = around.isLast(flows[last].H)
	}
	return places
}

func firstFloat(nodes []*graph.Node) *graph.Node {
	for _, n := range nodes {
		if n.DType().IsFloat() {
			return n
		}
	}
	return nil
}

// layer turns one row of sums into a LayerReport.
func (p place) layer(row []float64) LayerReport {
	nan := math.NaN()
	l := p.blank
	l.Mean, l.Variance = meanVariance(row[sumH], row[squaresH], p.entries)
	l.ZMean, l.ZVariance, l.Saturated, l.Dead, l.DeltaNorm = nan, nan, nan, nan, nan
	l.WGradNorm, l.WNorm, l.SigmaW2, l.UpdateRatio = nan, nan, nan, nan
	l.BGradNorm, l.BNorm, l.SigmaB2 = nan, nan, nan
	squares := row[squaresH]
	if l.HasZ {
		l.ZMean, l.ZVariance = meanVariance(row[sumZ], row[squaresZ], p.entries)
		l.DeltaNorm = math.Sqrt(row[squaresDelta])
		squares = row[squaresZ]
		if p.active {
			l.Saturated = row[saturatedEntries] / p.entries
			l.Dead = row[deadUnits] / float64(l.Units)
			if math.IsNaN(squares) { // comparisons with NaN are all false, which would look healthy
				l.Saturated, l.Dead = nan, nan
			}
		}
	}
	b := float64(p.batch)
	l.BatchVariance = max(0, squares-row[unitSquares]/b) / p.entries
	l.Correlation = nan
	if p.batch > 1 && squares > 0 {
		l.Correlation = min(1, 1-l.BatchVariance*p.entries/squares*b/(b-1))
	}
	l.HGradNorm = math.Sqrt(row[squaresHGrad])
	if l.HasW {
		l.WGradNorm, l.WNorm = math.Sqrt(row[squaresWGrad]), math.Sqrt(row[squaresW])
		l.SigmaW2 = float64(l.FanIn) * row[squaresW] / p.wSize
		l.SigmaB2 = 0
		if p.update {
			l.UpdateRatio = math.Sqrt(row[squaresUpdate]) / l.WNorm
		}
	}
	if l.HasB {
		l.BGradNorm, l.BNorm = math.Sqrt(row[squaresBGrad]), math.Sqrt(row[squaresB])
		l.SigmaB2 = row[squaresB] / p.bSize
	}
	return l
}

func meanVariance(sum, squares, n float64) (mean, variance float64) {
	mean = sum / n
	variance = squares/n - mean*mean
	if variance < 0 { // rounding
		variance = 0
	}
	return mean, variance
}

// Factors returns the factor by which the gradient's norm changes from each layer to the one before: entry i is |delta_i|/|delta_(i+1)|, so
// that there is one fewer than layers. Below 1 the gradient shrinks on its way back. Where a layer has no z, dL/dh stands for delta.
func (r *Report) Factors() []float64 {
	var factors []float64
	for i := 0; i+1 < len(r.Layers); i++ {
		factors = append(factors, r.Layers[i].gradient()/r.Layers[i+1].gradient())
	}
	return factors
}

func (l *LayerReport) gradient() float64 {
	if l.HasZ {
		return l.DeltaNorm
	}
	return l.HGradNorm
}

// Factor returns the geometric mean of the factors of |delta| a layer, going back through the hidden layers (all taps but the model's
// output, on which the loss acts directly): (|delta_1|/|delta_n|)^(1/(n-1)). Below 1 gradients vanish, above 1 they explode. Theory's is
// sqrt(chi_1) (Schoenholz et al. 2017). NaN with fewer than two hidden layers.
func (r *Report) Factor() float64 {
	hidden := r.hidden()
	if len(hidden) < 2 {
		return math.NaN()
	}
	first, last := hidden[0].gradient(), hidden[len(hidden)-1].gradient()
	return math.Pow(first/last, 1/float64(len(hidden)-1))
}

// hidden returns the layers that are not the model's output.
func (r *Report) hidden() []*LayerReport {
	var hidden []*LayerReport
	for i := range r.Layers {
		if !r.Layers[i].Output {
			hidden = append(hidden, &r.Layers[i])
		}
	}
	return hidden
}

// Layer returns the report of the layer of that name, nil if there is none.
func (r *Report) Layer(name string) *LayerReport {
	for i := range r.Layers {
		if r.Layers[i].Name == name {
			return &r.Layers[i]
		}
	}
	return nil
}
