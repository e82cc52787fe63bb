package model

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gradbook/gradbook/pkg/activation"
	"github.com/gradbook/gradbook/pkg/gradflow"
	"github.com/gradbook/gradbook/pkg/initializer"
	"github.com/gradbook/gradbook/pkg/model/internal/convolution"
	"github.com/pkg/errors"
)

// ConvNet is a net of 6N+2 layers for small images: He et al. 2016, Deep Residual Learning, section 4.2. A 3x3 convolution h1 with Channels channels, then three stages of
// 2N 3x3 convolutions with Channels, 2 Channels and 4 Channels (the second and third stage begin with stride 2), then the mean over all positions and the
// dense layer out. Plain, layer l computes h_l = phi(N(W_l * h_(l-1))); with Residual, each pair of convolutions is a block, whose second one adds the block's input before its activation:
// z_l = h_(l-2) + N(W_l * h_(l-1)), h_l = phi(z_l), and their N is batch normalisation. Taps show what phi is applied to as Z.
//
// Inputs are [batch, H, W, C]; logits are [batch, Classes].
type ConvNet struct {
	// N blocks of two convolutions in each stage: 3 is ResNet-20, 18 is ResNet-110. 0 leaves one convolution and the output.
	N       int    `json:"n"`
	Image   [3]int `json:"image"`   // height, width, channels
	Classes int    `json:"classes"` // logits
	// Channels of the first stage; 0 means 16.
	Channels int `json:"channels,omitempty"`
	// Residual connections, and what they do where the number of channels changes.
	Residual bool     `json:"residual,omitempty"`
	Shortcut Shortcut `json:"shortcut,omitempty"`
	// Norm before each activation, and in projection shortcuts. Convolutions have a bias only where there is no batch normalisation, which would cancel it.
	Norm Norm `json:"norm,omitempty"`
	// Activation; the zero value is ReLU.
	Activation activation.Activation `json:"activation,omitzero"`
	// Weights draws kernels and matrices; the zero value is initializer.He(). OutputWeights is for the last layer alone; nil means like the others.
	Weights       initializer.Initializer  `json:"weights,omitzero"`
	OutputWeights *initializer.Initializer `json:"output_weights,omitempty"`
	// SigmaB is the standard deviation of the biases.
	SigmaB float64 `json:"sigma_b,omitempty"`
	// DType is Float32 (also the zero value) or Float64.
	DType dtypes.DType `json:"dtype,omitzero"`
}

// Kind is "convnet".
func (c ConvNet) Kind() string { return kindConvNet }

type convNetFields ConvNet

// MarshalJSON writes the fields that are set, and the kind.
func (c ConvNet) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Kind string `json:"kind"`
		convNetFields
	}{kindConvNet, convNetFields(c)})
}

// UnmarshalJSON reads what MarshalJSON writes; unknown fields are errors.
func (c *ConvNet) UnmarshalJSON(data []byte) error {
	var all struct {
		Kind string `json:"kind"`
		convNetFields
	}
	if err := unmarshal(data, &all, kindConvNet, &all.Kind); err != nil {
		return err
	}
	*c = ConvNet(all.convNetFields)
	return nil
}

// Validate says what is wrong with the configuration, if anything.
func (c ConvNet) Validate() error { return errors.WithMessage(c.validate(), "ConvNet") }

func (c ConvNet) validate() error {
	if c.N < 0 || 6*c.N > maxDepth {
		return errors.Errorf("N is %d; it must be between 0 and %d (the net has 6N+2 layers)", c.N, maxDepth/6)
	}
	for i, name := range []string{"height", "width", "number of channels"} {
		if c.Image[i] <= 0 {
			return errors.Errorf("Image is %v: the %s must be at least 1", c.Image, name)
		}
	}
	if c.Channels < 0 {
		return errors.Errorf("Channels is %d; it must be at least 1, or 0 for 16", c.Channels)
	}
	err := first(positive("Classes", c.Classes), choice("Shortcut", c.Shortcut, "identity", ProjectionShortcut),
		choice("Norm", c.Norm, "none", BatchNorm, LayerNorm), finite("SigmaB", c.SigmaB, false), validDType(c.DType), c.phi().Valid(),
		validInitializers(c.Weights, c.OutputWeights))
	if err == nil && !c.Residual && c.Shortcut != IdentityShortcut {
		return errors.Errorf("Shortcut is %q in a plain net; set Residual, or leave Shortcut out", string(c.Shortcut))
	}
	return err
}

func (c ConvNet) phi() activation.Activation { return orActivation(c.Activation, activation.ReLU) }
func (c ConvNet) initial() initializer.Initializer {
	return orInitializer(c.Weights, initializer.He())
}

func (c ConvNet) channels() int {
	if c.Channels == 0 {
		return 16
	}
	return c.Channels
}

// String is one line such as "resnet-20 32x32x3-10 relu he(gain 1), batch norm".
func (c ConvNet) String() string {
	var b strings.Builder
	kind := "plain"
	if c.Residual {
		kind = "resnet"
	}
	fmt.Fprintf(&b, "%s-%d %s-%d %s %s", kind, 6*c.N+2, shapeText(c.Image[:]), c.Classes, c.phi(), c.initial())
	if c.channels() != 16 {
		fmt.Fprintf(&b, ", %d channels", c.channels())
	}
	if c.OutputWeights != nil {
		fmt.Fprintf(&b, ", out %s", *c.OutputWeights)
	}
	if c.SigmaB != 0 {
		fmt.Fprintf(&b, ", sigma_b %g", c.SigmaB)
	}
	if c.Shortcut != IdentityShortcut {
		fmt.Fprintf(&b, ", %s", string(c.Shortcut))
	}
	if c.Norm != NoNorm {
		fmt.Fprintf(&b, ", %s norm", string(c.Norm))
	}
	b.WriteString(precision(c.DType))
	return b.String()
}

// New makes the net and draws its weights from seed.
func (c ConvNet) New(seed uint64) (*Net, error) { return newNet(c, c.DType, seed) }

// convLayer is one convolution of the net.
type convLayer struct {
	name    string
	in, out int // channels
	stride  int
	skip    string // layer whose output it adds
	// skipIn and skipStride are the channels of that output and the stride from it to here.
	skipIn, skipStride int
}

// convolutions lists the 6N+1 convolutions.
func (c ConvNet) convolutions() []convLayer {
	width := c.channels()
	list := []convLayer{{name: "h1", in: c.Image[2], out: width, stride: 1}}
	in := width
	for stage := range 3 {
		out := width << stage
		for block := range c.N {
			first := convLayer{name: fmt.Sprint("h", len(list)+1), in: in, out: out, stride: 1}
			if stage > 0 && block == 0 {
				first.stride = 2
			}
			second := convLayer{name: fmt.Sprint("h", len(list)+2), in: out, out: out, stride: 1}
			if c.Residual {
				second.skip, second.skipIn, second.skipStride = list[len(list)-1].name, in, first.stride
			}
			list = append(list, first, second)
			in = out
		}
	}
	return list
}

func (c ConvNet) projects(l convLayer) bool {
	return l.skip != "" && c.Shortcut == ProjectionShortcut && l.skipIn != l.out
}

func (c ConvNet) plan() *plan {
	p := &plan{}
	h, w := c.Image[0], c.Image[1]
	last := c.Image[2]
	for _, conv := range c.convolutions() {
		l := layer{name: conv.name, kind: "conv 3x3", in: []int{h, w, conv.in}, skipFrom: conv.skip, initial: c.initial().String()}
		if conv.stride > 1 {
			l.kind += fmt.Sprint(" /", conv.stride)
			h, w = (h+conv.stride-1)/conv.stride, (w+conv.stride-1)/conv.stride
		}
		l.out = []int{h, w, conv.out}
		l.weights(l.name+"/W", c.initial(), 3, 3, conv.in, conv.out)
		if c.Norm != BatchNorm {
			l.bias(l.name+"/b", c.SigmaB, conv.out)
		}
		l.normalised(c.Norm, conv.out)
		if c.projects(conv) {
			l.weights(l.name+"/skip/W", c.initial(), 1, 1, conv.skipIn, conv.out)
			l.normVariables(l.name+"/skip", c.Norm, conv.out)
		}
		l.activated(c.phi())
		p.layers = append(p.layers, l)
		last = conv.out
	}
	init := c.initial()
	if c.OutputWeights != nil {
		init = *c.OutputWeights
	}
	out := layer{name: "out", kind: "mean + dense", in: []int{h, w, last}, out: []int{c.Classes}, activation: activation.Linear.String(), initial: init.String()}
	out.weights("out/W", init, last, c.Classes)
	out.bias("out/b", c.SigmaB, c.Classes)
	p.layers = append(p.layers, out)
	return p
}

func (c ConvNet) forward(f *flow, x *graph.Node) *graph.Node {
	h := f.input(x, c.Image[:]...)
	block := h // the output that the next residual connection starts from
	for i, conv := range c.convolutions() {
		tap := gradflow.LayerTap{Name: conv.name, W: f.value(conv.name + "/W"), Activation: c.phi()}
		if i > 0 {
			tap.X = h
		}
		z := convolution.Convolve(h, tap.W, conv.stride)
		if c.Norm != BatchNorm {
			tap.B = f.value(conv.name + "/b")
			z = addRow(z, tap.B)
		}
		z = f.normalise(conv.name, z, c.Norm)
		if conv.skip != "" {
			z = graph.Add(z, c.shortcut(f, block, conv))
		}
		h = f.activate(conv.name, z, c.phi())
		tap.Z, tap.H = z, h
		gradflow.Layer(tap)
		if i%2 == 0 {
			block = h
		}
	}
	return f.output(graph.ReduceMean(h, 1, 2))
}

// shortcut brings x, the input of a block, to the shape of the block's output.
func (c ConvNet) shortcut(f *flow, x *graph.Node, conv convLayer) *graph.Node {
	if c.projects(conv) {
		x = convolution.Convolve(x, f.value(conv.name+"/skip/W"), conv.skipStride)
		return f.normalise(conv.name+"/skip", x, c.Norm)
	}
	if conv.skipStride > 1 {
		every := graph.AxisRange().Stride(conv.skipStride)
		x = graph.Slice(x, graph.AxisRange(), every, every, graph.AxisRange())
	}
	if extra := conv.out - conv.skipIn; extra > 0 {
		x = appendZeros(x, extra)
	}
	return x
}
