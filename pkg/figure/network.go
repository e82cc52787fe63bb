package figure

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/pkg/errors"
	"gonum.org/v1/plot/vg"
)

// Layer is a layer of a diagram.
type Layer struct {
	Name  string // "input", "h1", "out"; unique
	Units int    // how many; 0: drawn as a block
	Shape string // stands below the name: "784", "[32, 14, 14, 16]"
	Kind  string // chooses the colour as Color does ("relu", "batch norm"); "" is grey
}

// Diagram is a picture of a net's layers.
type Diagram struct {
	frame
	layers  []Layer
	weights map[int][][]float64 // into the layer of that index: [units before][units]
	skips   []skip
	blocks  bool
}

type skip struct {
	from, to int
	label    string
}

// Network makes a diagram. Up to eight layers whose Units are given are columns of units, joined by lines; else they are a chain of blocks, in as many rows as it takes. Of many units, and of many blocks, the middle ones
// are left out, which is said.
func Network(title string, layers ...Layer) *Diagram {
	d := &Diagram{frame: frame{title: title}, weights: map[int][][]float64{}}
	return d.Layers(layers...)
}

// Layers adds layers behind those that are there.
func (d *Diagram) Layers(layers ...Layer) *Diagram {
	for _, l := range layers {
		switch {
		case l.Units < 0:
			d.fail("layer %q has %d units; give a number from 0 on", l.Name, l.Units)
		case l.Name == "":
			d.fail("layer %d has no name; give each one of its own", len(d.layers))
		case d.find(l.Name) >= 0:
			d.fail("two layers are called %q; give each a name of its own", l.Name)
		}
		d.layers = append(d.layers, l)
	}
	return d
}

// Blocks draws blocks even where units could be drawn.
func (d *Diagram) Blocks() *Diagram { d.blocks = true; return d }

func (d *Diagram) find(name string) int {
	return slices.IndexFunc(d.layers, func(l Layer) bool { return l.Name == name })
}

func (d *Diagram) index(name string) int {
	i := d.find(name)
	if i < 0 {
		var names []string
		for _, l := range d.layers {
			names = append(names, l.Name)
		}
		d.fail("there is no layer %q; there are %s", name, strings.Join(names, ", "))
	}
	return i
}

// Weights colours the lines into a layer: blue for positive weights, orange for negative ones, the wider and the darker the larger; w[i][j] leads from unit i of the layer before to unit j.
func (d *Diagram) Weights(layer string, w [][]float64) *Diagram {
	i := d.index(layer)
	if i < 0 {
		return d
	}
	if i == 0 {
		d.fail("layer %q is the first, no weights lead to it", layer)
		return d
	}
	before, units := d.layers[i-1].Units, d.layers[i].Units
	var rows [][]float64
	for _, r := range w {
		if len(w) != before || len(r) != units {
			d.fail("weights of %q are %d x %d; from %d units to %d they are %d x %d", layer, len(w), len(r), before, units, before, units)
			return d
		}
		rows = append(rows, slices.Clone(r))
	}
	if len(w) == 0 {
		d.fail("weights of %q are empty", layer)
		return d
	}
	d.weights[i] = rows
	return d
}

// Skip draws a connection around layers: what leaves layer from is added to what leaves layer to.
func (d *Diagram) Skip(from, to, label string) *Diagram {
	i, j := d.index(from), d.index(to)
	if i < 0 || j < 0 {
		return d
	}
	if i >= j {
		d.fail("a skip connection from %q to %q; it leads to a later layer", from, to)
		return d
	}
	d.skips = append(d.skips, skip{i, j, label})
	return d
}

// Note adds a line below the figure.
func (d *Diagram) Note(text string) *Diagram { d.notes = append(d.notes, text); return d }

// Size sets width and height in px; the default grows with the net.
func (d *Diagram) Size(width, height int) *Diagram { d.setSize(width, height); return d }

// Err returns the first error among the calls that built the diagram, or that it has no layers.
func (d *Diagram) Err() error {
	if d.err == nil && len(d.layers) == 0 {
		return errors.Errorf("figure %q has no layers; give Network some", d.title)
	}
	return d.err
}

// asUnits reports whether columns of units are drawn.
func (d *Diagram) asUnits() bool {
	for _, l := range d.layers {
		if l.Units == 0 {
			return false
		}
	}
	return !d.blocks && len(d.layers) <= 8
}

const (
	mostUnits  = 9    // drawn of a column
	blockW     = 84   // px
	blockH     = 44   // px
	blockGap   = 26   // px
	mostBlocks = 24   // drawn of a chain
	chainW     = 720  // px
	laneH      = 15.0 // px between arcs of skip connections
)

func (d *Diagram) size() (w, h float64) {
	if d.asUnits() {
		most := 1
		for _, l := range d.layers {
			most = max(most, min(l.Units, mostUnits))
		}
		return d.sized(math.Max(400, math.Min(760, 150*float64(len(d.layers)))), 130+30*float64(most)+laneH*float64(d.lanes())+14*float64(len(d.notes)))
	}
	rows := d.rows(chainW)
	w = chainW
	if len(rows) <= 1 {
		w = math.Max(400, float64(len(d.layers))*(blockW+blockGap)+2*pad+20)
	}
	below := 0.0
	if n := len(d.footnotes()); n > 0 {
		below = 14*float64(n) + 6
	}
	return d.sized(w, headHeight(d.title, w)+float64(len(rows))*d.rowHeight()+below)
}

// lanes gives each skip connection a height at which it crosses no other, and returns how many there are.
func (d *Diagram) lanes() int {
	_, n := d.lane()
	return n
}

func (d *Diagram) lane() (of []int, n int) {
	of = make([]int, len(d.skips))
	order := make([]int, len(d.skips))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { // short ones lowest
		return (d.skips[a].to - d.skips[a].from) - (d.skips[b].to - d.skips[b].from)
	})
	for k, i := range order {
		for _, j := range order[:k] {
			a, b := d.skips[i], d.skips[j]
			if a.from < b.to && b.from < a.to {
				of[i] = max(of[i], of[j]+1)
			}
		}
		n = max(n, of[i]+1)
	}
	return of, n
}

func (d *Diagram) colour(l Layer) string {
	if l.Kind == "" {
		return quiet
	}
	return Color(l.Kind)
}

// draw is of drawable.
func (d *Diagram) draw(p *pen) {
	w, h := d.size()
	area := drawFrame(p, w, h, d.title, d.footnotes())
	if d.asUnits() {
		d.drawUnits(p, area)
	} else {
		d.drawBlocks(p, area, w)
	}
}

func (d *Diagram) footnotes() []string {
	out := slices.Clone(d.notes)
	if len(d.weights) > 0 && d.asUnits() {
		out = append(out, fmt.Sprintf("Weights: blue positive, orange negative; the widest is %s.", number(rounded(d.largest()))))
	}
	if !d.asUnits() {
		if first, last, cut := d.hidden(); cut {
			out = append(out, fmt.Sprintf("Left out in the middle: %s to %s, %d layers.", d.layers[first].Name, d.layers[last-1].Name, last-first))
		}
	}
	return out
}

func (d *Diagram) largest() float64 {
	most := 0.0
	for _, w := range d.weights {
		for _, r := range w {
			for _, v := range r {
				if finite(v) {
					most = math.Max(most, math.Abs(v))
				}
			}
		}
	}
	return most
}

// unitsShown returns the indices of the units of a column that are drawn; -1 stands for those left out.
func unitsShown(n int) []int {
	var out []int
	for i := range n {
		if n > mostUnits {
			if i == 5 {
				out = append(out, -1)
			}
			if i >= 5 && i < n-3 {
				continue
			}
		}
		out = append(out, i)
	}
	return out
}

// edge is a line between units in px.
type edge struct {
	a, b   pt
	weight float64 // NaN: not given
	from   string
	to     string
}

// node is a unit in px.
type node struct {
	at    pt
	layer int
	unit  int // -1: dots for those left out
}

// placeUnits gives all units and the lines between them their places.
func (d *Diagram) placeUnits(area rect) (nodes []node, edges []edge, r float64) {
	n := len(d.layers)
	rows := 1
	for _, l := range d.layers {
		rows = max(rows, len(unitsShown(l.Units)))
	}
	top, bottom := area.y0+laneH*float64(d.lanes())+6, area.y1-38
	step := math.Min((bottom-top)/float64(rows), 34)
	r = math.Min(step*0.36, 11)
	places := make([]map[int]pt, n)
	for i, l := range d.layers {
		x := (area.x0 + area.x1) / 2
		if n > 1 {
			x = area.x0 + 50 + (area.w()-100)*float64(i)/float64(n-1)
		}
		shown := unitsShown(l.Units)
		places[i] = map[int]pt{}
		for k, u := range shown {
			at := pt{x, (top+bottom)/2 + step*(float64(k)-float64(len(shown)-1)/2)}
			if u >= 0 {
				places[i][u] = at
			}
			nodes = append(nodes, node{at, i, u})
		}
	}
	for i := 1; i < n; i++ {
		for u := range d.layers[i-1].Units {
			for v := range d.layers[i].Units {
				a, okA := places[i-1][u]
				b, okB := places[i][v]
				if !okA || !okB {
					continue
				}
				e := edge{a: a, b: b, weight: math.NaN(), from: fmt.Sprintf("%s[%d]", d.layers[i-1].Name, u), to: fmt.Sprintf("%s[%d]", d.layers[i].Name, v)}
				if w := d.weights[i]; w != nil {
					e.weight = w[u][v]
				}
				edges = append(edges, e)
			}
		}
	}
	return nodes, edges, r
}

// look is colour and width of a line between units.
func (d *Diagram) look(e edge, most float64) (colour string, opacity, width float64) {
	if math.IsNaN(e.weight) || most == 0 {
		return hair, 0.55, 0.8
	}
	t := math.Min(1, math.Abs(e.weight)/most)
	if e.weight < 0 {
		return vermilion, 0.25 + 0.65*t, 0.4 + 3.2*t
	}
	return blue, 0.25 + 0.65*t, 0.4 + 3.2*t
}

func (d *Diagram) drawUnits(p *pen, area rect) {
	nodes, edges, r := d.placeUnits(area)
	most := d.largest()
	var plainLines [][]pt
	slices.SortStableFunc(edges, func(a, b edge) int { // the large ones on top
		return int(math.Copysign(1, math.Abs(a.weight)-math.Abs(b.weight)))
	})
	for _, e := range edges {
		if math.IsNaN(e.weight) || most == 0 {
			plainLines = append(plainLines, []pt{e.a, e.b})
		}
	}
	p.lines(alpha(nrgba(hair), 0.55), 0.8, nil, plainLines...)
	for _, e := range edges {
		if !math.IsNaN(e.weight) && most > 0 {
			c, o, w := d.look(e, most)
			p.lines(alpha(nrgba(c), o), w, nil, []pt{e.a, e.b})
		}
	}
	highest := map[int]pt{}
	for _, n := range nodes {
		c := nrgba(d.colour(d.layers[n.layer]))
		if n.unit < 0 {
			p.circles(nrgba(quiet), 1.5, pt{n.at.x, n.at.y - 6}, n.at, pt{n.at.x, n.at.y + 6})
			continue
		}
		if q, ok := highest[n.layer]; !ok || n.at.y < q.y {
			highest[n.layer] = n.at
		}
		p.circles(nrgba(paper), r, n.at)
		p.circles(alpha(c, 0.25), r, n.at)
		p.stroke(c, 1.5, nil, p.circlePath(r, n.at))
	}
	for i, l := range d.layers {
		x := highest[i].x
		room := area.w()/float64(len(d.layers)) - 4
		p.text(pt{x, area.y1 - 18}, fit(l.Name, room, labelSize, true), textStyle{size: labelSize, bold: true, colour: ink, anchor: 0.5})
		shape := l.Shape
		if shape == "" {
			shape = fmt.Sprint(l.Units)
		}
		p.text(pt{x, area.y1 - 3}, fit(shape, room, tickSize, false), textStyle{size: tickSize, colour: quiet, anchor: 0.5})
	}
	lane, _ := d.lane()
	for k, s := range d.skips {
		a, b := highest[s.from], highest[s.to]
		a.y, b.y = a.y-r-2, b.y-r-2
		top := math.Min(a.y, b.y)
		for i := s.from; i <= s.to; i++ {
			top = math.Min(top, highest[i].y-r-2)
		}
		y := top - 10 - laneH*float64(lane[k])
		var path vg.Path
		path.Move(p.to(a))
		path.CubeTo(p.to(pt{a.x, y}), p.to(pt{a.x + 10, y}), p.to(pt{a.x + 40, y}))
		path.Line(p.to(pt{b.x - 40, y}))
		path.CubeTo(p.to(pt{b.x - 10, y}), p.to(pt{b.x, y}), p.to(pt{b.x, b.y - 5}))
		p.stroke(nrgba(green), 1.8, nil, path)
		p.polygons(nrgba(green), []pt{{b.x - 4, b.y - 6}, {b.x + 4, b.y - 6}, {b.x, b.y + 1}})
		d.skipLabel(p, s, pt{(a.x + b.x) / 2, y})
	}
}

func (d *Diagram) skipLabel(p *pen, s skip, at pt) {
	if s.label == "" {
		return
	}
	w := width(s.label, tickSize, false)
	p.rect(nrgba(paper), rect{at.x - w/2 - 4, at.y - 6, at.x + w/2 + 4, at.y + 6})
	p.text(pt{at.x, at.y + 4}, s.label, textStyle{size: tickSize, colour: ink, anchor: 0.5})
}
