package figure

import (
	"fmt"
	"hash/fnv"
	"image/color"
	"math"
	"strconv"
	"strings"
)

// style is how a series looks; the zero value leaves it to its kind and name.
type style struct {
	colour string // a name for Color, or #rrggbb
	dashed bool
	marked bool
	width  float64
	quiet  bool
}

// Style changes how a series looks; give it as a last argument.
type Style func(*style)

// Dashed draws a line in dashes, as Theory does.
func Dashed(s *style) { s.dashed = true }

// Marked draws a dot at each point of a line.
func Marked(s *style) { s.marked = true }

// Quiet leaves the label out.
func Quiet(s *style) { s.quiet = true }

// Thin draws a line half as wide, for one of many.
func Thin(s *style) { s.width = 0.9 }

// As gives a series the colour of another name ("relu"), or a colour of its own ("#0072b2").
func As(name string) Style { return func(s *style) { s.colour = name } }

// Step gives the i-th of n series that have an order (depths, learning rates) its colour, from dark to light.
func Step(i, n int) Style {
	return func(s *style) { s.colour = hex(ordered(i, n)) }
}

// steps goes through the hues of viridis, but ends before it is too light for lines on white.
var steps = rampOf("#440154", "#3b528b", "#1f868c", "#2b9348", "#7f9300")

// ordered returns the i-th of n ordered colours.
func ordered(i, n int) color.NRGBA {
	if n < 2 {
		return steps.at(0.3)
	}
	return steps.at(float64(min(max(i, 0), n-1)) / float64(n-1))
}

// Colours of Okabe and Ito (Color Universal Design, 2008), which people with colour-blindness tell apart; orange, sky blue, yellow and purple are darkened until they
// have a contrast of 3:1 on white, which WCAG 2.1 asks of lines.
const (
	blue      = "#0072b2"
	vermilion = "#d55e00"
	green     = "#009264"
	purple    = "#b8628f"
	orange    = "#b87900"
	sky       = "#2f8fca"
	olive     = "#8a7f00"
	black     = "#222222"
)

// Inks of what is no data.
const (
	paper   = "#ffffff"
	ink     = "#222222" // text
	quiet   = "#595959" // text of less weight
	hair    = "#8c8c8c" // axes
	rule    = "#e6e6e6" // grid lines
	shadow  = "#eef0f3" // shaded regions
	problem = "#a30000"
)

// cycle is the order in which names without a colour of their own are given one.
var cycle = []string{blue, vermilion, green, purple, orange, sky, olive, black}

// fixed holds the colours of names that the field uses again and again.
var fixed = map[string]string{
	"sigmoid": vermilion, "tanh": orange, "relu": blue, "leaky relu": purple, "prelu": purple, "elu": green, "selu": purple, "gelu": olive, "silu": green, "softplus": olive, "softsign": purple,
	"hard sigmoid": purple, "step": black, "linear": black, "identity": black,
	"plain": vermilion, "residual": green, "residual + norm": blue, "batch norm": purple, "layer norm": sky, "no norm": vermilion, "none": vermilion,
	"glorot": orange, "he": blue, "lecun": green, "orthogonal": purple, "normal": vermilion, "uniform": sky,
	"rnn": vermilion, "vanilla": vermilion, "lstm": blue, "gru": green, "clipped": blue, "not clipped": vermilion, "unclipped": vermilion,
	"train": blue, "training": blue, "test": vermilion, "validation": vermilion, "measured": blue, "theory": black,
	"forward": blue, "backward": vermilion, "h": blue, "z": green, "delta": vermilion, "δ": vermilion, "dl/dw": purple,
}

// fold brings spellings of a name together: "leaky_relu(0.01)", "Leaky ReLU" and "leaky-relu" are one.
func fold(name string) string {
	name = strings.ToLower(strings.TrimSpace(name))
	if i := strings.IndexByte(name, '('); i > 0 {
		name = strings.TrimSpace(name[:i])
	}
	return strings.NewReplacer("_", " ", "-", " ").Replace(name)
}

// Color returns the colour of a name as #rrggbb. Names of activations, architectures and the like have one of their own ("sigmoid", "relu", "residual", "batch norm", ...), whatever their spelling
// and what they have in brackets; any other name always gets the same of eight. Within one figure two names without a colour of their own never share one as long as the eight last.
func Color(name string) string {
	key := fold(name)
	if c, ok := fixed[key]; ok {
		return c
	}
	return cycle[preference(key)]
}

func preference(key string) int {
	h := fnv.New32a()
	h.Write([]byte(key))
	return int(h.Sum32() % uint32(len(cycle)))
}

// colours gives each name of a figure its colour: first those that have one of their own, then the others in their order, each the next that is free.
func colours(names []string) map[string]string {
	out, used := map[string]string{}, map[string]bool{}
	for _, n := range names {
		if c, ok := fixed[fold(n)]; ok {
			out[n] = c
			used[c] = true
		}
	}
	for _, n := range names {
		if _, ok := out[n]; ok {
			continue
		}
		start := preference(fold(n))
		c := cycle[start]
		for i := range cycle {
			if next := cycle[(start+i)%len(cycle)]; !used[next] {
				c = next
				break
			}
		}
		out[n] = c
		used[c] = true
	}
	return out
}

// nrgba reads #rrggbb.
func nrgba(hexColour string) color.NRGBA {
	v, err := strconv.ParseUint(strings.TrimPrefix(hexColour, "#"), 16, 32)
	if err != nil || len(hexColour) != 7 {
		return color.NRGBA{0x22, 0x22, 0x22, 0xff}
	}
	return color.NRGBA{uint8(v >> 16), uint8(v >> 8), uint8(v), 0xff}
}

func hex(c color.NRGBA) string { return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B) }

// ramp is a colour map: its colours stand at equal distances.
type ramp []color.NRGBA

func rampOf(colours ...string) ramp {
	var r ramp
	for _, c := range colours {
		r = append(r, nrgba(c))
	}
	return r
}

// viridis is the sequential map of van der Walt and Smith (2015), at nine of its points.
var viridis = rampOf("#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725")

// blueRed is the diverging map RdBu of Brewer, from blue to red.
var blueRed = rampOf("#2166ac", "#4393c3", "#92c5de", "#d1e5f0", "#f7f7f7", "#fddbc7", "#f4a582", "#d6604d", "#b2182b")

// at returns the colour at t in 0..1.
func (r ramp) at(t float64) color.NRGBA {
	if !(t > 0) {
		t = 0
	}
	x := math.Min(t, 1) * float64(len(r)-1)
	i := min(int(x), len(r)-2)
	u := x - float64(i)
	mix := func(a, b uint8) uint8 { return uint8(math.Round(float64(a) + u*(float64(b)-float64(a)))) }
	return color.NRGBA{mix(r[i].R, r[i+1].R), mix(r[i].G, r[i+1].G), mix(r[i].B, r[i+1].B), 0xff}
}
