package gradflow

import (
	"fmt"
	"html"
	"math"
	"strings"
	"unicode/utf8"
)

// Kind is what a finding is about.
type Kind string

// The kinds of findings, in the order in which they are reported: causes before what follows from them.
const (
	// NotFinite: the loss or a layer's numbers are NaN or infinite.
	NotFinite Kind = "not finite"
	// Dead: a layer most of whose units pass no gradient for any example.
	Dead Kind = "dead"
	// Saturated: a layer most of whose pre-activations lie where phi is flat.
	Saturated Kind = "saturated"
	// Collapsed: the examples can no longer be told apart.
	Collapsed Kind = "collapsed inputs"
	// Vanishing: the gradient that reaches the first layers is a small part of the last layers'.
	Vanishing Kind = "vanishing gradient"
	// Exploding: it is many times the last layers', or the signal grows as much on its way forward.
	Exploding Kind = "exploding gradient"
)

// The thresholds. They are set so that nets known to train, at initialisation, are on the good side with room to spare, and each has its reason.
const (
	// Span is how much a gradient may shrink or grow from the last hidden layer to the first. All layers train with one learning rate, and
	// a good update-to-weight ratio is 1e-3: a layer whose gradient is a thousandth of another's moves by 1e-6 of itself a step,
	// which float32 still sees (its resolution is 6e-8) and no training run has the time for. Sigmoid nets of the usual initialisation reach it with 6 hidden layers.
	Span = 1000.0
	// DeadShare is the share of dead units from which on a layer counts as dead. With inputs that are nearly alike, as in any deep ReLU net, a random layer has
	// half of its units off for all of them by symmetry; three quarters are far outside what chance does to 64 units (4 standard deviations).
	DeadShare = 0.75
	// SaturatedShare is the share of saturated pre-activations from which on a layer counts as saturated: more than half, so that delta loses most of its entries there.
	SaturatedShare = 0.5
	// CollapsedGap is how close to 1 the correlation of different examples may come: at 1e-6 they differ by a thousandth of the
	// layer's signal (the square root of it), and the layers above would have to magnify that by as much as Span.
	CollapsedGap = 1 / (Span * Span)
)

// Finding is one thing that is wrong, and where.
type Finding struct {
	Kind Kind
	// Layers are those that it shows in, first layer first.
	Layers []string
	// Measured and Theory are the number that the finding rests on and what theory says of it: the factor of |delta| a layer for vanishing and exploding gradients;
	// else the worst layer's share or correlation. NaN where there is none.
	Measured float64
	Theory   float64
	// Words says what was found, Advice what the numbers suggest to do.
	Words  string
	Advice string
}

// Diagnosis is what Diagnose found.
type Diagnosis struct {
	// Findings is empty if nothing is wrong.
	Findings []Finding
	healthy  string
}

// Healthy reports whether nothing was found.
func (d Diagnosis) Healthy() bool { return len(d.Findings) == 0 }

// Has reports whether there is a finding of a kind.
func (d Diagnosis) Has(kind Kind) bool {
	for _, f := range d.Findings {
		if f.Kind == kind {
			return true
		}
	}
	return false
}

// String says in words what is wrong and what to do, a paragraph for each finding; if nothing is wrong, so, in one sentence. Lines have at most 96 characters, as notebooks break
// longer ones within words.
func (d Diagnosis) String() string {
	if d.Healthy() {
		return paragraph(d.healthy)
	}
	var paragraphs []string
	for _, f := range d.Findings {
		paragraphs = append(paragraphs, paragraph(strings.ToUpper(string(f.Kind[:1]))+string(f.Kind[1:])+": "+f.Words+" "+f.Advice))
	}
	return strings.Join(paragraphs, "\n")
}

// paragraph breaks a text into lines; those after the first are indented.
func paragraph(text string) string {
	const width = 96
	var b strings.Builder
	column := 0
	for i, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case column+1+n > width:
			b.WriteString("\n  ")
			column = 2
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	return b.String()
}

// HTML returns the findings as a list, for a notebook.
func (d Diagnosis) HTML() string {
	if d.Healthy() {
		return "<p>" + html.EscapeString(d.healthy) + "</p>"
	}
	var b strings.Builder
	b.WriteString("<ul>\n")
	for _, f := range d.Findings {
		fmt.Fprintf(&b, "<li><b>%s</b> (%s): %s %s</li>\n", html.EscapeString(string(f.Kind)), html.EscapeString(strings.Join(f.Layers, ", ")),
			html.EscapeString(f.Words), html.EscapeString(f.Advice))
	}
	return b.String() + "</ul>"
}

// Diagnose looks for what is wrong with the flow in a report, by the thresholds above. What follows from something else is not reported
// beside it: numbers that are not finite hide all the rest, and a layer that is dead altogether hides that no gradient and no difference between examples passes it.
func Diagnose(r *Report) Diagnosis {
	if f := r.notFinite(); f != nil {
		return Diagnosis{Findings: []Finding{*f}}
	}
	var d Diagnosis
	add := func(f *Finding) {
		if f != nil {
			d.Findings = append(d.Findings, *f)
		}
	}
	dead := r.dead()
	add(dead)
	add(r.saturated())
	if dead == nil || dead.Measured < 1 {
		add(r.collapsed())
		add(r.steep())
	}
	add(r.growing(d))
	if d.Healthy() {
		d.healthy = r.health()
	}
	return d
}

func (r *Report) notFinite() *Finding {
	f := &Finding{Kind: NotFinite, Measured: r.Loss, Theory: math.NaN()}
	// In the order of computation: forward, then back from the last layer.
	first := ""
	sick := make([]bool, len(r.Layers))
	check := func(i int, what string, known bool, value float64) {
		if !known || !math.IsNaN(value) && !math.IsInf(value, 0) {
			return
		}
		sick[i] = true
		if first == "" {
			first = fmt.Sprintf("%s of %s", what, r.Layers[i].Name)
		}
	}
	for i := range r.Layers {
		l := &r.Layers[i]
		check(i, "W", l.HasW, l.WNorm)
		check(i, "z", l.HasZ, l.ZVariance)
		check(i, "h", true, l.Variance)
	}
	for i := len(r.Layers) - 1; i >= 0; i-- {
		l := &r.Layers[i]
		check(i, "dL/dh", true, l.HGradNorm)
		check(i, "delta", l.HasZ, l.DeltaNorm)
		check(i, "dL/dW", l.HasW, l.WGradNorm)
	}
	for i := range sick {
		if sick[i] {
			f.Layers = append(f.Layers, r.Layers[i].Name)
		}
	}
	lossGone := math.IsNaN(r.Loss) || math.IsInf(r.Loss, 0)
	if !lossGone && len(f.Layers) == 0 {
		return nil
	}
	f.Words = fmt.Sprintf("the loss is %.4g at step %d", r.Loss, r.Step)
	if first != "" {
		f.Words += fmt.Sprintf("; the first one computed that is not finite is %s", first)
	}
	f.Words += "."
	f.Advice = "Look at the reports before it: weights or activations that grow from step to step ask for a smaller learning rate or for clipping the gradient's norm (Pascanu et al. " +
		"2013); finite weights with NaN in the first layer's z point at the data."
	return f
}

// worst collects the hidden layers whose number is over a limit, and the largest number.
func (r *Report) worst(limit float64, number func(*LayerReport) float64) (layers []string, most float64, where *LayerReport) {
	for _, l := range r.hidden() {
		if v := number(l); v > limit {
			layers = append(layers, l.Name)
			if where == nil || v > most {
				most, where = v, l
			}
		}
	}
	return layers, most, where
}

func (r *Report) dead() *Finding {
	layers, share, where := r.worst(DeadShare, func(l *LayerReport) float64 { return l.Dead })
	if where == nil {
		return nil
	}
	f := &Finding{Kind: Dead, Layers: layers, Measured: share, Theory: math.NaN(),
		Words: fmt.Sprintf("%.0f %% of the units of %s (%s) pass no gradient for any of the %d examples.", 100*share, where.Name, where.Activation, r.Batch)}
	f.Advice = "They cannot come back by training. Start with biases at 0 and a smaller learning rate, or use an activation with a slope on both sides (leaky ReLU, ELU, GELU)."
	if where.HasZ && where.ZMean < -math.Sqrt(where.ZVariance) {
		f.Advice = fmt.Sprintf("Their pre-activations lie low, %.3g on average with a standard deviation of %.3g: look at the biases. ", where.ZMean, math.Sqrt(where.ZVariance)) + f.Advice
	}
	return f
}

func (r *Report) saturated() *Finding {
	layers, share, where := r.worst(SaturatedShare, func(l *LayerReport) float64 { return l.Saturated })
	if where == nil {
		return nil
	}
	f := &Finding{Kind: Saturated, Layers: layers, Measured: share, Theory: math.NaN(),
		Words: fmt.Sprintf("%.0f %% of the pre-activations of %s lie where %s is flat; z has a mean of %.3g and a standard deviation of %.3g there.",
			100*share, where.Name, where.Activation, where.ZMean, math.Sqrt(where.ZVariance))}
	f.Advice = "Make z smaller: normalise the inputs, start with smaller weights, or normalise z."
	if where.HasW {
		f.Advice = fmt.Sprintf("Make z smaller: sigma_w^2 is %.3g there (1 is the usual start); start with smaller weights, normalise the inputs, or normalise z.", where.SigmaW2)
	}
	return f
}

func (r *Report) collapsed() *Finding {
	layers, _, where := r.worst(1-CollapsedGap, func(l *LayerReport) float64 {
		if l.Correlation > 1-CollapsedGap || r.Batch > 1 && l.BatchVariance == 0 && l.Dead < 1 {
			return 1
		}
		return 0
	})
	if where == nil {
		return nil
	}
	gap := 1 - where.Correlation
	f := &Finding{Kind: Collapsed, Layers: layers, Measured: where.Correlation, Theory: math.NaN(),
		Words: fmt.Sprintf("from %s on the examples look alike: the correlation of two of them is 1 - %.1e, and one entry's standard deviation over the batch is %.1e.",
			layers[0], gap, math.Sqrt(where.BatchVariance))}
	f.Advice = "The output cannot depend on the input. Fewer layers, an odd activation (tanh) or weights at the edge of chaos keep inputs apart; so do residual connections and " +
		"normalisation over the batch. If the inputs themselves are all alike, look at the data."
	return f
}

// steep finds vanishing and exploding gradients.
func (r *Report) steep() *Finding {
	hidden := r.hidden()
	if len(hidden) < 2 {
		return nil
	}
	first, last := hidden[0], hidden[len(hidden)-1]
	ratio := first.gradient() / last.gradient()
	if ratio >= 1/Span && ratio <= Span || math.IsNaN(ratio) && last.gradient() != 0 {
		return nil
	}
	theory := r.Theory().Factor
	name := "|delta|"
	if !first.HasZ || !last.HasZ {
		name = "|dL/dh|"
	}
	f := &Finding{Kind: Vanishing, Measured: r.Factor(), Theory: theory}
	for i := len(hidden) - 1; i >= 0; i-- {
		if v := hidden[i].gradient() / last.gradient(); v < 1/Span || v > Span || math.IsNaN(v) {
			f.Layers = append([]string{hidden[i].Name}, f.Layers...)
		}
	}
	if last.gradient() == 0 {
		f.Measured = 0
		f.Words = fmt.Sprintf("no gradient arrives at any hidden layer: %s is exactly 0 at %s.", name, last.Name)
		f.Advice = "Something between it and the loss has slope 0 (a step, a layer that is dead or stopped); look there."
		return f
	}
	f.Words = fmt.Sprintf("%s goes from %.3g at %s to %.3g at %s, by a factor of %.3g a layer", name, last.gradient(), last.Name, first.gradient(), first.Name, f.Measured)
	if !math.IsNaN(theory) {
		f.Words += fmt.Sprintf("; theory says %.3g for these weights", theory)
	}
	f.Words += "."
	if ratio > Span {
		f.Kind = Exploding
	} else if first.gradient() == 0 {
		f.Words += " It has left the range of the floating-point format."
	}
	f.Advice = advice(f.Kind, hidden)
	return f
}

// growing finds a signal that explodes on its way forward, which the gradient need not do along with it.
func (r *Report) growing(d Diagnosis) *Finding {
	hidden := r.hidden()
	if len(hidden) < 2 || d.Has(Exploding) {
		return nil
	}
	size := func(l *LayerReport) float64 { return math.Sqrt(l.Variance + l.Mean*l.Mean) }
	first, last := hidden[0], hidden[len(hidden)-1]
	growth := size(last) / size(first)
	if !(growth > Span) {
		return nil
	}
	return &Finding{Kind: Exploding, Layers: []string{last.Name}, Measured: math.Pow(growth, 1/float64(len(hidden)-1)), Theory: math.NaN(),
		Words:  fmt.Sprintf("the activations grow from %.3g at %s to %.3g at %s (root mean square).", size(first), first.Name, size(last), last.Name),
		Advice: "Start with smaller weights, normalise, or scale residual branches down by the square root of their number."}
}

func (r *Report) health() string {
	text := fmt.Sprintf("Nothing is wrong in these %d layers", len(r.Layers))
	var parts []string
	if f := r.Factor(); !math.IsNaN(f) {
		part := fmt.Sprintf("the gradient changes by a factor of %.3g a layer", f)
		if t := r.Theory().Factor; !math.IsNaN(t) {
			part += fmt.Sprintf(" (theory %.3g)", t)
		}
		parts = append(parts, part)
	}
	for _, share := range []struct {
		text   string
		number func(*LayerReport) float64
	}{{"at most %.0f %% of a layer's pre-activations are saturated", func(l *LayerReport) float64 { return l.Saturated }},
		{"at most %.0f %% of a layer's units are dead", func(l *LayerReport) float64 { return l.Dead }}} {
		if _, most, where := r.worst(-1, share.number); where != nil {
			parts = append(parts, fmt.Sprintf(share.text, 100*most))
		}
	}
	if _, c, where := r.worst(-2, func(l *LayerReport) float64 { return l.Correlation }); where != nil {
		parts = append(parts, fmt.Sprintf("two examples correlate by at most %.3g", c))
	}
	if len(parts) == 0 {
		return text + "."
	}
	return text + ": " + strings.Join(parts, ", ") + "."
}
