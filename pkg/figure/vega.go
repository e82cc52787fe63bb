package figure

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// obj and list are JSON in the making.
type (
	obj  = map[string]any
	list = []any
)

// vegaOf returns the whole specification, nil if the figure has an error.
func vegaOf(d drawable) any {
	if d.Err() != nil {
		return nil
	}
	s := obj(d.spec())
	s["$schema"] = "https://vega.github.io/schema/vega-lite/v5.json"
	s["background"] = paper
	s["padding"] = 14
	if d.heading() != "" {
		lines := wrap(plain(d.heading()), 600, 15, true)
		s["title"] = obj{"text": lines, "anchor": "start", "frame": "group", "fontSize": 15, "color": ink, "offset": 12}
		if sub, ok := s["notes"].([]string); ok && len(sub) > 0 {
			s["title"].(obj)["subtitle"] = sub
			s["title"].(obj)["subtitleColor"] = quiet
			s["title"].(obj)["subtitleFontSize"] = noteSize
		}
	}
	delete(s, "notes")
	s["description"] = plain(d.description())
	s["config"] = obj{
		"font":   families,
		"view":   obj{"stroke": nil},
		"axis":   obj{"gridColor": rule, "domainColor": hair, "tickColor": hair, "labelColor": quiet, "titleColor": ink, "titleFontWeight": "normal", "titleFontSize": labelSize, "labelFontSize": tickSize, "labelOverlap": true},
		"axisX":  obj{"grid": false},
		"axisY":  obj{"titleAngle": 0, "titleAlign": "left", "titleAnchor": "end", "titleX": -30, "titleY": -10, "domain": false, "ticks": false},
		"legend": obj{"title": nil, "labelFontSize": entrySize, "labelColor": ink, "labelLimit": 220, "symbolStrokeWidth": 2.5, "symbolOpacity": 1},
		"range":  obj{"category": cycle},
	}
	return map[string]any(s)
}

// sig keeps six digits, which is more than a picture shows.
func sig(v float64) float64 {
	if !finite(v) || v == 0 {
		return v
	}
	r, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 6, 64), 64)
	return r
}

// plainLabels writes a logarithmic axis's labels as the picture has them.
const plainLabels = "datum.value >= 0.001 && datum.value < 100000 ? format(datum.value, '~r') : replace(format(datum.value, '~e'), '+', '')"

// plainNumbers does it for a linear axis: no thousands' separators.
const plainNumbers = "datum.value != 0 && (abs(datum.value) >= 1000000 || abs(datum.value) < 0.001) ? replace(format(datum.value, '~e'), '+', '') : format(datum.value, '~r')"

// channel is the encoding of an axis.
func (a *axis) channel(field, title string) obj {
	c := obj{"field": field, "type": "quantitative", "title": plain(title)}
	scale := obj{"domain": list{a.low, a.high}, "nice": false}
	ax := obj{"labelExpr": plainNumbers}
	if !a.log {
		scale["zero"] = false
	} else {
		scale["type"] = "log"
		ax["labelExpr"] = plainLabels
		if math.Log10(a.high/a.low) > 2.2 {
			ax["labelExpr"] = "abs(log(datum.value) / LN10 - round(log(datum.value) / LN10)) < 1e-6 ? (" + plainLabels + ") : ''"
			ax["tickCount"] = 8
			// Grid lines without labels would crowd the picture.
			ax["gridColor"] = obj{"condition": obj{"test": "abs(log(datum.value) / LN10 - round(log(datum.value) / LN10)) < 1e-6", "value": rule}, "value": "transparent"}
		} else { // Vega would leave out names as it finds room
			var values list
			for e := math.Floor(math.Log10(a.low)); e <= math.Log10(a.high); e++ {
				for _, digit := range []float64{1, 2, 5} {
					if v := digit * math.Pow(10, e); v >= a.low && v <= a.high {
						values = append(values, sig(v))
					}
				}
			}
			if len(values) > 1 {
				ax["values"] = values
			}
		}
	}
	if a.whole && !a.log {
		ax["tickMinStep"] = 1
		if a.high-a.low < 16 { // layers: Vega puts ticks between them all the same
			var values list
			for v := math.Ceil(a.low); v <= a.high; v++ {
				values = append(values, v)
			}
			ax["values"] = values
		}
	}
	c["scale"] = scale
	c["axis"] = ax
	return c
}

// colourChannel ties the names to their colours. The legend shows dots, lines and dashes as they are, so far from the chart.
func colourChannel(all []*prepared, offset float64) obj {
	var names, inks, entries, dots, dashes list
	entered := map[string]bool{}
	known := map[string]bool{}
	for _, p := range all {
		n := p.vegaName()
		if !known[n] {
			known[n] = true
			names, inks = append(names, n), append(inks, p.colour)
		}
		if p.label == "" || entered[n] {
			continue
		}
		entered[n] = true
		entries = append(entries, n)
		if p.kind == points {
			dots = append(dots, n)
		}
		if p.dashed() {
			dashes = append(dashes, n)
		}
	}
	c := obj{"field": "s", "type": "nominal", "scale": obj{"domain": names, "range": inks}}
	if len(entries) == 0 {
		c["legend"] = nil
		return c
	}
	legend := obj{"values": entries, "symbolType": "stroke", "offset": offset}
	if slices.ContainsFunc(all, func(p *prepared) bool { return p.kind == bars }) {
		legend["symbolType"] = "square"
	} else if len(dots)+len(dashes) > 0 {
		legend["encoding"] = obj{"symbols": obj{
			"shape":      obj{"value": obj{"signal": oneOf(dots) + " ? 'circle' : 'stroke'"}},
			"size":       obj{"value": obj{"signal": oneOf(dots) + " ? 40 : 100"}},
			"strokeDash": obj{"value": obj{"signal": oneOf(dashes) + " ? [4, 3] : [1, 0]"}}}}
	}
	c["legend"] = legend
	return c
}

// oneOf is a Vega expression that tells whether the entry of a legend is one of these.
func oneOf(names list) string {
	text, err := json.Marshal(append(list{}, names...))
	if err != nil {
		panic(err) // strings can be written as JSON
	}
	return "indexof(" + string(text) + ", datum.value) >= 0"
}

// vegaName is the series' name in the data; unnamed ones are told apart.
func (p *prepared) vegaName() string {
	if p.name == "" {
		return fmt.Sprintf("(%s %s)", p.kind, p.colour)
	}
	return plain(p.name)
}

// column is what a notebook's column has beside an axis's labels, for a chart and its legend, in px.
const column = 750

// spec is of drawable.
func (f *Figure) spec() map[string]any {
	all := f.prepare(colours(f.names()))
	pa := newPanel(f, all)
	x, y := f.extents(all)
	pa.scale(x, y)
	pa.alone = true
	s := pa.chart("zoom")
	w, h := f.size()
	s["width"], s["height"] = math.Min(w-210, math.Max(300, column-pa.legendOffset()-pa.legendWidth())), h-130
	s["notes"] = vegaNotes(f.footnotes(all), all)
	return s
}

// vegaNotes are the footnotes, and what dashes mean: the legend does not say it.
func vegaNotes(notes []string, all []*prepared) []string {
	var out []string
	said := slices.ContainsFunc(notes, func(n string) bool { return strings.HasPrefix(n, "Dashed:") })
	if !said && slices.ContainsFunc(all, func(p *prepared) bool { return p.kind == theory }) {
		out = append(out, "Dashed: theory.")
	}
	for _, n := range notes {
		out = append(out, plain(n))
	}
	return out
}

// chart returns the layers of a panel; zoom names the selection that moves the axes.
func (pa *panel) chart(zoom string) obj {
	if pa.categories != nil {
		return pa.barChart()
	}
	f := pa.f
	x, y, colour := pa.x.channel("x", f.xlabel), pa.yChannel("y"), colourChannel(pa.all, pa.legendOffset())
	layers := pa.regionLayers(x, y)
	var belts, marked, unmarked, thin, dashed, shown, dots, lone, crosses []any
	dot := 0.0
	for _, p := range pa.all {
		n := p.vegaName()
		for k, belt := range p.bands {
			for _, i := range belt {
				belts = append(belts, obj{"x": sig(i.x), "y": sig(math.Max(i.low, pa.lowest())), "high": sig(i.high), "s": n, "k": k})
			}
		}
		for k, l := range p.lines {
			for _, q := range l {
				row := obj{"x": sig(q.x), "y": sig(q.y), "s": n, "k": fmt.Sprintf("%s%d", p.kind, k)}
				switch {
				case p.kind == points && pa.dotRadius(len(p.xs)) == loneDot:
					lone = append(lone, row)
				case p.kind == points:
					dots, dot = append(dots, row), pa.dotRadius(len(p.xs))
				case p.dashed():
					if len(shown) == 0 {
						shown = append(shown, maps.Clone(row))
					}
					row["c"] = hex(p.ink())
					dashed = append(dashed, row)
				case p.style.width > 0:
					row["w"] = p.style.width
					thin = append(thin, row)
				case p.style.marked || len(p.xs) <= 16:
					marked = append(marked, row)
				default:
					unmarked = append(unmarked, row)
				}
			}
		}
		if p.kind != points {
			for _, q := range p.breaks {
				crosses = append(crosses, obj{"x": sig(q.x), "y": sig(q.y), "s": n})
			}
		}
	}
	tips := list{obj{"field": "s", "title": "series"}, obj{"field": "x", "title": orElse(plain(f.xlabel), "x"), "type": "quantitative"}, obj{"field": "y", "title": orElse(plain(f.ylabel), "y"), "type": "quantitative", "format": ".4~g"}}
	add := func(rows []any, mark obj, encoding obj) {
		if len(rows) == 0 {
			return
		}
		mark["clip"] = true
		e := obj{"x": x, "y": y, "color": colour}
		maps.Copy(e, encoding)
		if e["stroke"] != nil {
			delete(e, "color")
		}
		layers = append(layers, obj{"data": obj{"values": rows}, "mark": mark, "encoding": e})
	}
	detail := obj{"field": "k"}
	flatX, flatY := maps.Clone(x), maps.Clone(y) // Vega-Lite 5.6, which JupyterLab has, stacks areas that lie side by side
	flatX["stack"], flatY["stack"] = nil, nil
	add(belts, obj{"type": "area", "opacity": 0.2}, obj{"x": flatX, "y": flatY, "y2": obj{"field": "high"}, "detail": detail})
	add(thin, obj{"type": "line"}, obj{"detail": detail, "tooltip": tips, "strokeWidth": obj{"field": "w", "type": "quantitative", "scale": nil}})
	add(unmarked, obj{"type": "line", "strokeWidth": 2}, obj{"detail": detail, "tooltip": tips})
	add(marked, obj{"type": "line", "strokeWidth": 2, "point": obj{"size": 26}}, obj{"detail": detail, "tooltip": tips})
	add(dashed, obj{"type": "line", "strokeWidth": 1.6, "strokeDash": list{6, 4}}, obj{"detail": list{detail, obj{"field": "s"}}, "tooltip": tips, "stroke": obj{"field": "c", "type": "nominal", "scale": nil}})
	add(shown, obj{"type": "line", "opacity": 0}, nil) // the legend takes its strokes from those that have a colour by name
	add(dots, obj{"type": "point", "filled": true, "size": sig(math.Pi * dot * dot), "opacity": 0.85}, obj{"tooltip": tips})
	add(lone, obj{"type": "point", "filled": true, "size": sig(math.Pi * (loneDot + 1.5) * (loneDot + 1.5)), "opacity": 1}, obj{"color": obj{"value": paper}})
	add(lone, obj{"type": "point", "filled": true, "size": sig(math.Pi * loneDot * loneDot), "opacity": 1}, obj{"tooltip": tips})
	add(unmarked, obj{"type": "point", "filled": true, "size": 80, "opacity": 0}, obj{"tooltip": tips}) // lines are hard to point at
	add(crosses, obj{"type": "point", "shape": "M-1,-1L1,1M-1,1L1,-1", "size": 40, "strokeWidth": 2}, obj{"tooltip": tips})
	layers = append(layers, pa.referenceLayers(x, y)...)
	if len(layers) == 0 {
		layers = append(layers, obj{"data": obj{"values": list{obj{}}}, "mark": "point", "encoding": obj{"x": x, "y": y}})
	}
	for _, l := range slices.Backward(layers) { // a reference line has no field to zoom by
		l := l.(obj)
		if e, ok := l["encoding"].(obj); ok && hasField(e["x"]) && hasField(e["y"]) {
			l["params"] = list{obj{"name": zoom, "select": "interval", "bind": "scales"}}
			break
		}
	}
	return obj{"layer": layers}
}

// yChannel is the encoding of the vertical axis, whose title makes room for what stands above the chart.
func (pa *panel) yChannel(field string) obj {
	c := pa.y.channel(field, pa.f.ylabel)
	if pa.labelsAbove() {
		c["axis"].(obj)["titleY"] = -24
	}
	return c
}

// labelsAbove tells whether vertical lines or regions are labelled above the chart.
func (pa *panel) labelsAbove() bool {
	return slices.ContainsFunc(pa.f.marks, func(m mark) bool { return m.vertical && m.label != "" && pa.visible(m) })
}

// legendOffset makes room for the labels of horizontal lines between a chart that stands alone and its legend.
func (pa *panel) legendOffset() float64 {
	offset := 18.0
	for _, m := range pa.f.marks {
		if pa.alone && !m.vertical && m.from == m.to && m.label != "" && pa.visible(m) {
			offset = math.Max(offset, math.Ceil(width(plain(m.label), tickSize, false))+20)
		}
	}
	return offset
}

// legendWidth is what a legend takes; 0: there is none.
func (pa *panel) legendWidth() float64 {
	w := 0.0
	for _, p := range pa.all {
		if p.label != "" {
			w = math.Max(w, width(p.vegaName(), entrySize, false)+40)
		}
	}
	return math.Ceil(w)
}

// hasField tells whether a channel shows data.
func hasField(channel any) bool {
	c, ok := channel.(obj)
	return ok && c["field"] != nil
}

// lowest is where bands that reach down to the edge of a logarithmic axis end.
func (pa *panel) lowest() float64 {
	if pa.y.log {
		return pa.y.low
	}
	return math.Inf(-1)
}

// within brings the end of a region into an axis.
func (a *axis) within(v float64) float64 { return math.Max(a.low, math.Min(v, a.high)) }

func (pa *panel) regionLayers(x, y obj) []any {
	var layers []any
	for _, m := range pa.f.marks {
		if m.from == m.to || !pa.visible(m) {
			continue
		}
		a, from, to, channel := &pa.y, "y", "y2", y
		if m.vertical {
			a, from, to, channel = &pa.x, "x", "x2", x
		}
		c := obj{}
		for k, v := range channel {
			c[k] = v
		}
		row := obj{from: sig(a.within(m.from)), to: sig(a.within(m.to)), "label": plain(m.label)}
		layers = append(layers, obj{"data": obj{"values": list{row}}, "mark": obj{"type": "rect", "color": shadow, "clip": true},
			"encoding": obj{from: c, to: obj{"field": to}, "tooltip": obj{"field": "label"}}})
		if m.label != "" {
			layers = append(layers, pa.labelLayers(m, x, y, from, sig((a.within(m.from)+a.within(m.to))/2))...)
		}
	}
	return layers
}

func (pa *panel) referenceLayers(x, y obj) []any {
	var layers []any
	for _, m := range pa.f.marks {
		if m.from != m.to || !pa.visible(m) || m.vertical && x == nil {
			continue
		}
		field, channel := "y", y
		if m.vertical {
			field, channel = "x", x
		}
		row := obj{field: sig(m.from), "label": plain(m.label)}
		layers = append(layers, obj{"data": obj{"values": list{row}}, "mark": obj{"type": "rule", "color": quiet, "clip": true}, "encoding": obj{field: channel, "tooltip": obj{"field": "label"}}})
		if m.label != "" {
			layers = append(layers, pa.labelLayers(m, x, y, field, sig(m.from))...)
		}
	}
	return layers
}

// labelLayers write the label of a mark: of vertical ones at the top, of others at the right, within panels that have a neighbour there.
func (pa *panel) labelLayers(m mark, x, y obj, field string, at float64) []any {
	row := obj{field: at, "label": plain(m.label)}
	mark := obj{"type": "text", "color": quiet, "fontSize": tickSize, "clip": false} // axes that can be moved clip what does not say otherwise
	e := obj{"text": obj{"field": "label"}}
	layer := obj{"data": obj{"values": list{row}}, "mark": mark, "encoding": e}
	switch {
	case m.vertical:
		mark["baseline"], mark["dy"] = "bottom", -3
		e["x"], e["y"] = x, obj{"value": 0}
	case pa.alone:
		mark["align"], mark["baseline"], mark["dx"] = "left", "middle", 5
		e["y"], e["x"] = y, obj{"value": "width"}
	default:
		mark["align"], mark["baseline"], mark["dy"] = "right", "bottom", -2
		e["y"], e["x"] = y, obj{"value": "width"}
		halo := maps.Clone(mark)
		halo["stroke"], halo["strokeWidth"], halo["opacity"] = paper, 3, 0.85
		return []any{obj{"data": layer["data"], "mark": halo, "encoding": e}, layer}
	}
	return []any{layer}
}

// barChart returns bars side by side.
func (pa *panel) barChart() obj {
	var rows, whiskers []any
	order := list{}
	for _, c := range pa.categories {
		order = append(order, plain(c))
	}
	for _, p := range pa.all {
		for i, v := range p.ys {
			if !pa.y.shows(v) {
				continue
			}
			row := obj{"x": plain(p.categories[i]), "y": sig(v), "s": p.vegaName()}
			rows = append(rows, row)
			if p.low != nil && finite(p.low[i]) && finite(p.high[i]) {
				whiskers = append(whiskers, obj{"x": row["x"], "s": row["s"], "y": sig(p.low[i]), "high": sig(p.high[i])})
			}
		}
	}
	x := obj{"field": "x", "type": "nominal", "title": plain(pa.f.xlabel), "sort": order, "axis": obj{"labelAngle": 0, "labelLimit": 140, "labelOverlap": false}}
	w, _ := pa.f.size()
	if slot := (w - 210) / float64(len(pa.categories)); pa.slanted(slot) {
		x["axis"].(obj)["labelAngle"] = -45
	} else {
		lines := obj{}
		for _, c := range pa.categories {
			lines[plain(c)], _ = categoryLabel(plain(c), slot)
		}
		text, err := json.Marshal(lines)
		if err != nil {
			panic(err) // strings can be written as JSON
		}
		x["axis"].(obj)["labelExpr"] = string(text) + "[datum.value]"
	}
	y, offset, colour := pa.yChannel("y"), obj{"field": "s", "sort": nil}, colourChannel(pa.all, pa.legendOffset())
	layers := list{obj{"data": obj{"values": rows}, "mark": obj{"type": "bar", "clip": true}, "encoding": obj{"x": x, "y": y, "xOffset": offset, "color": colour,
		"tooltip": list{obj{"field": "s", "title": "series"}, obj{"field": "x", "title": orElse(plain(pa.f.xlabel), "category")}, obj{"field": "y", "type": "quantitative", "title": orElse(plain(pa.f.ylabel), "value"), "format": ".4~g"}}}}}
	if len(whiskers) > 0 {
		layers = append(layers, obj{"data": obj{"values": whiskers}, "mark": obj{"type": "rule", "color": ink}, "encoding": obj{"x": x, "y": y, "y2": obj{"field": "high"}, "xOffset": offset}})
	}
	return obj{"layer": append(layers, pa.referenceLayers(nil, y)...)}
}

// spec is of drawable.
func (g *Panels) spec() map[string]any {
	panels := g.panels()
	w, h := g.size()
	columns := min(g.columns, len(panels))
	shared := g.sameColours(panels)
	var out []any
	for i, pa := range panels {
		s := pa.chart(fmt.Sprintf("zoom%d", i))
		names := pa.legendWidth()
		s["width"] = math.Max(120, (w-60-names)/float64(columns)-55)
		if !shared && names > 0 { // each panel has a legend of its own
			s["width"] = math.Max(120, (w-60)/float64(columns)-62-names)
		}
		s["height"] = math.Max(100, (h-90)/float64(g.rows())-60)
		if pa.f.title != "" {
			s["title"] = obj{"text": plain(pa.f.title), "anchor": "start", "fontSize": labelSize, "offset": 18}
			if pa.labelsAbove() {
				s["title"].(obj)["offset"] = 32
			}
		}
		out = append(out, s)
	}
	var all []*prepared
	for _, pa := range panels {
		all = append(all, pa.all...)
	}
	spec := obj{"concat": out, "columns": columns, "notes": vegaNotes(g.footnotes(panels), all)}
	if shared {
		spec["resolve"] = obj{"scale": obj{"color": "shared"}}
	} else {
		spec["resolve"] = obj{"scale": obj{"color": "independent"}}
	}
	return spec
}

// sameColours reports whether all panels have the same names, so that one legend serves.
func (g *Panels) sameColours(panels []*panel) bool {
	names := func(pa *panel) string {
		var out []string
		for _, p := range pa.all {
			out = append(out, p.vegaName()+p.colour)
		}
		return strings.Join(out, "\x00")
	}
	for _, pa := range panels {
		if names(pa) != names(panels[0]) || pa.categories != nil {
			return false
		}
	}
	return true
}
