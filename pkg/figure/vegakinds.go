package figure

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// over returns where the cell behind edge i ends, a hair within the next, which is drawn later: else a seam would show.
func over(edges []float64, i int) float64 { return edges[i+1] + 0.15*(edges[i+1]-edges[i]) }

// spec is of drawable. The cells are CSV, for a row of JSON for each would be three times as long.
func (h *Heat) spec() map[string]any {
	s := h.shades()
	pa, xe, ye := h.panel()
	w, height := h.size()
	write := func(v float64) string { return strconv.FormatFloat(v, 'g', 5, 64) }
	var cells, grey strings.Builder
	for j, row := range h.values {
		for i, v := range row {
			b := &cells
			text := write(v)
			if s.level(v) < 0 {
				b, text = &grey, number(v)
			}
			fmt.Fprintf(b, "%s,%s,%s,%s,%s,%s,%s\n", write(xe[i]), write(over(xe, i)), write(ye[j]), write(over(ye, j)), write(h.xs[i]), write(h.ys[j]), text)
		}
	}
	const head = "a,b,c,d,x,y,v\n"
	x, y := pa.x.channel("a", h.axes.xlabel), pa.yChannel("c")
	scale := obj{"domain": list{s.low, s.high}, "clamp": true, "scheme": "viridis", "nice": false}
	if s.log {
		scale["type"] = "log"
	}
	if s.centre != nil {
		var inks list
		for _, c := range blueRed {
			inks = append(inks, hex(c))
		}
		delete(scale, "scheme")
		scale["range"] = inks
		scale["interpolate"] = "rgb"
		if h.valueRange != nil { // else the middle is the centre already
			scale["domainMid"] = *s.centre
		}
	}
	legend := obj{"title": plain(h.label), "gradientLength": height - 150}
	if s.log {
		legend["labelExpr"] = plainLabels
	}
	tips := list{obj{"field": "x", "type": "quantitative", "title": orElse(plain(h.axes.xlabel), "x")}, obj{"field": "y", "type": "quantitative", "title": orElse(plain(h.axes.ylabel), "y")},
		obj{"field": "v", "title": orElse(plain(h.label), "value")}}
	numbers := obj{"type": "csv", "parse": obj{"a": "number", "b": "number", "c": "number", "d": "number", "x": "number", "y": "number", "v": "number"}}
	var layers []any
	place := func(e obj) obj {
		e["x"], e["x2"], e["y"], e["y2"], e["tooltip"] = x, obj{"field": "b"}, y, obj{"field": "d"}, tips
		return e
	}
	if cells.Len() > 0 {
		layers = append(layers, obj{"data": obj{"values": head + cells.String(), "format": numbers}, "mark": obj{"type": "rect", "clip": true},
			"encoding": place(obj{"color": obj{"field": "v", "type": "quantitative", "scale": scale, "legend": legend}})})
	}
	if grey.Len() > 0 {
		layers = append(layers, obj{"data": obj{"values": head + grey.String(), "format": obj{"type": "csv"}}, "mark": obj{"type": "rect", "clip": true, "color": "#bdbdbd"}, "encoding": place(obj{})})
	}
	cx, cy := pa.x.channel("x", h.axes.xlabel), pa.yChannel("y")
	for _, p := range pa.all {
		for _, l := range p.lines {
			var rows list
			for i, q := range l {
				rows = append(rows, obj{"x": sig(q.x), "y": sig(q.y), "s": plain(p.name), "i": i})
			}
			for _, mark := range []obj{{"type": "line", "stroke": paper, "strokeWidth": 4.5, "opacity": 0.85, "clip": true}, {"type": "line", "stroke": "#000000", "strokeWidth": 1.6, "strokeDash": list{6, 4}, "clip": true}} {
				layers = append(layers, obj{"data": obj{"values": rows}, "mark": mark, "encoding": obj{"x": cx, "y": cy, "order": obj{"field": "i"}, "tooltip": obj{"field": "s"}}})
			}
		}
	}
	layers = append(layers, pa.referenceLayers(cx, cy)...)
	layers[0].(obj)["params"] = list{obj{"name": "zoom", "select": "interval", "bind": "scales"}}
	notes := h.footnotes(s)
	for _, c := range pa.all {
		if c.name != "" {
			notes = append(notes, "Dashed: "+c.name)
		}
	}
	for i := range notes {
		notes[i] = plain(notes[i])
	}
	return obj{"layer": layers, "width": w - 190, "height": height - 130, "notes": notes}
}

// spec is of drawable: areas that stand on steps of one hidden axis.
func (r *Ridge) spec() map[string]any {
	rows := r.binned()
	pa := newPanel(r.axes, nil)
	pa.scale(r.extent(rows), noExtent())
	w, h := r.size()
	x := pa.x.channel("x", r.axes.xlabel)
	n := float64(len(rows))
	hidden := obj{"field": "y", "type": "quantitative", "axis": nil, "scale": obj{"domain": list{-n, 0.5}, "nice": false, "zero": false}}
	layers := pa.regionLayers(x, nil)
	var names, remarks list
	for i, row := range rows {
		base := -float64(i + 1)
		var values list
		density := row.density()
		for k, d := range density {
			values = append(values, obj{"x": sig(row.edges[k]), "y": sig(base + 1.35*d), "base": base, "n": plain(row.name), "c": sig(row.counts[k])})
		}
		values = append(values, obj{"x": sig(row.edges[len(density)]), "y": base, "base": base, "n": plain(row.name), "c": 0})
		layers = append(layers, obj{"data": obj{"values": values}, "mark": obj{"type": "area", "interpolate": "step-after", "clip": true, "color": hex(ordered(i, len(rows))), "opacity": 0.85, "line": obj{"color": paper, "strokeWidth": 1}},
			"encoding": obj{"x": x, "y": hidden, "y2": obj{"field": "base"}, "tooltip": list{obj{"field": "n", "title": "layer"}, obj{"field": "x", "type": "quantitative", "title": "from"}, obj{"field": "c", "type": "quantitative", "title": "count"}}}})
		names = append(names, obj{"y": base, "t": plain(row.name)})
		if row.remark != "" {
			remarks = append(remarks, obj{"y": base, "t": plain(row.remark)})
		}
	}
	layers = append(layers, obj{"data": obj{"values": names}, "mark": obj{"type": "text", "align": "right", "baseline": "bottom", "fontSize": labelSize, "color": ink}, "encoding": obj{"x": obj{"value": -8}, "y": hidden, "text": obj{"field": "t"}}})
	if len(remarks) > 0 {
		layers = append(layers, obj{"data": obj{"values": remarks}, "mark": obj{"type": "text", "align": "left", "baseline": "bottom", "dx": 8, "fontSize": tickSize, "color": quiet}, "encoding": obj{"x": obj{"value": "width"}, "y": hidden, "text": obj{"field": "t"}}})
	}
	layers = append(layers, pa.referenceLayers(x, hidden)...)
	notes := r.footnotes()
	for i := range notes {
		notes[i] = plain(notes[i])
	}
	return obj{"layer": layers, "width": w - 230, "height": h - 110, "notes": notes}
}

// paperAxes returns the hidden axes of a drawing of so many px.
func paperAxes(w, h float64) (x, y obj) {
	x = obj{"field": "x", "type": "quantitative", "axis": nil, "scale": obj{"domain": list{0, w}, "nice": false, "zero": false}}
	y = obj{"field": "y", "type": "quantitative", "axis": nil, "scale": obj{"domain": list{h, 0}, "nice": false, "zero": false}}
	return x, y
}

// spec is of drawable.
func (d *Diagram) spec() map[string]any {
	w, h := d.size()
	h -= headHeight(d.title, w) - pad
	area := rect{pad, 4, w - pad, h - 16}
	var layers []any
	if d.asUnits() {
		layers = d.unitLayers(area, w, h)
	} else {
		layers = d.blockLayers(area, w, h)
	}
	notes := d.footnotes()
	for i := range notes {
		notes[i] = plain(notes[i])
	}
	return obj{"layer": layers, "width": w, "height": h, "notes": notes}
}

func (d *Diagram) unitLayers(area rect, w, h float64) []any {
	x, y := paperAxes(w, h)
	nodes, edges, r := d.placeUnits(area)
	most := d.largest()
	var lines, circles, dots, names, shapes list
	for _, e := range edges {
		c, o, width := d.look(e, most)
		row := obj{"x": sig(e.a.x), "y": sig(e.a.y), "x2": sig(e.b.x), "y2": sig(e.b.y), "c": c, "o": sig(o), "w": sig(width), "from": plain(e.from), "to": plain(e.to)}
		if !math.IsNaN(e.weight) {
			row["weight"] = number(e.weight)
		}
		lines = append(lines, row)
	}
	highest := map[int]pt{}
	for _, n := range nodes {
		l := d.layers[n.layer]
		if n.unit < 0 {
			dots = append(dots, obj{"x": sig(n.at.x), "y": sig(n.at.y)})
			continue
		}
		if q, ok := highest[n.layer]; !ok || n.at.y < q.y {
			highest[n.layer] = n.at
		}
		circles = append(circles, obj{"x": sig(n.at.x), "y": sig(n.at.y), "c": d.colour(l), "layer": plain(l.Name), "unit": n.unit, "shape": orElse(plain(l.Shape), strconv.Itoa(l.Units))})
	}
	for i, l := range d.layers {
		names = append(names, obj{"x": sig(highest[i].x), "y": area.y1 - 14, "t": plain(l.Name)})
		shapes = append(shapes, obj{"x": sig(highest[i].x), "y": area.y1 + 2, "t": orElse(plain(l.Shape), strconv.Itoa(l.Units))})
	}
	literal := func(field string) obj { return obj{"field": field, "type": "nominal", "scale": nil, "legend": nil} }
	value := func(field string) obj {
		return obj{"field": field, "type": "quantitative", "scale": nil, "legend": nil}
	}
	layers := list{
		obj{"data": obj{"values": lines}, "mark": "rule", "encoding": obj{"x": x, "y": y, "x2": obj{"field": "x2"}, "y2": obj{"field": "y2"}, "color": literal("c"), "opacity": value("o"), "strokeWidth": value("w"), "tooltip": list{obj{"field": "from"}, obj{"field": "to"}, obj{"field": "weight"}}}},
		obj{"data": obj{"values": circles}, "mark": obj{"type": "circle", "size": 4 * r * r, "opacity": 1, "fill": paper}, "encoding": obj{"x": x, "y": y}},
		obj{"data": obj{"values": circles}, "mark": obj{"type": "circle", "size": 4 * r * r, "opacity": 1, "fillOpacity": 0.25, "strokeWidth": 1.5}, "encoding": obj{"x": x, "y": y, "fill": literal("c"), "stroke": literal("c"), "tooltip": list{obj{"field": "layer"}, obj{"field": "unit"}, obj{"field": "shape"}}}},
		textLayer(x, y, names, labelSize, "bold", ink), textLayer(x, y, shapes, tickSize, "normal", quiet),
	}
	if len(lines) == 0 {
		layers = layers[1:]
	}
	if len(dots) > 0 {
		layers = append(layers, obj{"data": obj{"values": dots}, "mark": obj{"type": "text", "text": "⋮", "fontSize": 18, "color": quiet}, "encoding": obj{"x": x, "y": y}})
	}
	lane, _ := d.lane()
	for k, s := range d.skips {
		a, b := highest[s.from], highest[s.to]
		top := math.Min(a.y, b.y)
		for i := s.from; i <= s.to; i++ {
			top = math.Min(top, highest[i].y)
		}
		top -= r + 12 + laneH*float64(lane[k])
		layers = append(layers, skipLayers(x, y, []pt{{a.x, a.y - r - 2}, {a.x, top}, {b.x, top}, {b.x, b.y - r - 2}}, plain(s.label))...)
	}
	return layers
}

func textLayer(x, y obj, rows list, size float64, weight, colour string) obj {
	return obj{"data": obj{"values": rows}, "mark": obj{"type": "text", "fontSize": size, "fontWeight": weight, "color": colour}, "encoding": obj{"x": x, "y": y, "text": obj{"field": "t"}}}
}

// pathLayer draws one line through points.
func pathLayer(x, y obj, ps []pt, colour string, width float64) obj {
	var rows list
	for i, q := range ps {
		rows = append(rows, obj{"x": sig(q.x), "y": sig(q.y), "i": i})
	}
	return obj{"data": obj{"values": rows}, "mark": obj{"type": "line", "color": colour, "strokeWidth": width, "strokeJoin": "round"}, "encoding": obj{"x": x, "y": y, "order": obj{"field": "i"}}}
}

func skipLayers(x, y obj, ps []pt, label string) []any {
	layers := list{pathLayer(x, y, ps, green, 1.8)}
	if label != "" {
		layers = append(layers, textLayer(x, y, list{obj{"x": sig((ps[1].x + ps[2].x) / 2), "y": sig(ps[1].y - 7), "t": label}}, tickSize, "normal", ink))
	}
	return layers
}

func (d *Diagram) blockLayers(area rect, w, h float64) []any {
	x, y := paperAxes(w, h)
	places := d.placeBlocks(area, w)
	var boxes, names, shapes, arrows list
	var layers []any
	rows := d.rows(w)
	for j, row := range rows {
		for k, i := range row {
			b := places[i]
			middle, centre := (b.x0+b.x1)/2, (b.y0+b.y1)/2
			if i < 0 {
				first, last, _ := d.hidden()
				names = append(names, obj{"x": sig(middle), "y": sig(centre), "t": fmt.Sprintf("… %d more", last-first)})
			} else {
				l := d.layers[i]
				shape := l.Shape
				if shape == "" && l.Units > 0 {
					shape = strconv.Itoa(l.Units)
				}
				up := 0.0
				if shape != "" {
					up = 8
					shapes = append(shapes, obj{"x": sig(middle), "y": sig(centre + 9), "t": fit(plain(shape), blockW-6, tickSize, false)})
				}
				names = append(names, obj{"x": sig(middle), "y": sig(centre - up), "t": fit(plain(l.Name), blockW-8, labelSize, true)})
				boxes = append(boxes, obj{"x": sig(b.x0), "x2": sig(b.x1), "y": sig(b.y0), "y2": sig(b.y1), "c": d.colour(l), "layer": plain(l.Name), "shape": plain(shape), "kind": l.Kind})
			}
			if k+1 < len(row) {
				arrows = append(arrows, obj{"x": sig(b.x1), "x2": sig(b.x1 + blockGap), "y": sig(centre)})
			} else if j+1 < len(rows) {
				next := places[rows[j+1][0]]
				to := (next.y0 + next.y1) / 2
				layers = append(layers, pathLayer(x, y, []pt{{b.x1, centre}, {b.x1 + blockGap/2, centre}, {b.x1 + blockGap/2, b.y1 + 10}, {next.x0 - 12, b.y1 + 10}, {next.x0 - 12, to}, {next.x0, to}}, quiet, 1.3))
			}
		}
	}
	literal := obj{"field": "c", "type": "nominal", "scale": nil, "legend": nil}
	layers = append(layers, obj{"data": obj{"values": boxes}, "mark": obj{"type": "rect", "cornerRadius": 5, "fillOpacity": 0.14, "strokeWidth": 1.5},
		"encoding": obj{"x": x, "x2": obj{"field": "x2"}, "y": y, "y2": obj{"field": "y2"}, "fill": literal, "stroke": literal, "tooltip": list{obj{"field": "layer"}, obj{"field": "shape"}, obj{"field": "kind"}}}},
		textLayer(x, y, names, labelSize, "bold", ink))
	if len(shapes) > 0 {
		layers = append(layers, textLayer(x, y, shapes, tickSize, "normal", quiet))
	}
	if len(arrows) > 0 {
		layers = append(layers, obj{"data": obj{"values": arrows}, "mark": obj{"type": "rule", "color": quiet, "strokeWidth": 1.3}, "encoding": obj{"x": x, "x2": obj{"field": "x2"}, "y": y}})
	}
	var heads, sums list
	for _, a := range arrows {
		heads = append(heads, obj{"x": a.(obj)["x2"].(float64) - 3, "y": a.(obj)["y"]})
	}
	for j := 1; j < len(rows); j++ {
		b := places[rows[j][0]]
		heads = append(heads, obj{"x": sig(b.x0 - 3), "y": sig((b.y0 + b.y1) / 2)})
	}
	if len(heads) > 0 {
		layers = append(layers, obj{"data": obj{"values": heads}, "mark": obj{"type": "point", "shape": "triangle-right", "filled": true, "size": 36, "color": quiet, "opacity": 1}, "encoding": obj{"x": x, "y": y}})
	}
	lane, _ := d.lane()
	behind := func(r rect) float64 { return r.x1 + blockGap/2 - 4 }
	for k, s := range d.skips {
		a, okA := places[s.from]
		b, okB := places[s.to]
		rise := 8 + laneH*float64(lane[k])
		middleA, middleB := (a.y0+a.y1)/2, (b.y0+b.y1)/2
		if okB {
			sums = append(sums, obj{"x": sig(behind(b)), "y": sig(middleB), "t": "+"})
		}
		if okA && okB && a.y0 == b.y0 {
			layers = append(layers, skipLayers(x, y, []pt{{behind(a), middleA}, {behind(a), a.y0 - rise}, {behind(b), a.y0 - rise}, {behind(b), middleB}}, plain(s.label))...)
			continue
		}
		if okA {
			layers = append(layers, pathLayer(x, y, []pt{{behind(a), middleA}, {behind(a), a.y0 - rise}, {behind(a) + 20, a.y0 - rise}}, green, 1.8))
		}
		if okB {
			layers = append(layers, pathLayer(x, y, []pt{{pad + 4, b.y0 - rise}, {behind(b), b.y0 - rise}, {behind(b), middleB}}, green, 1.8))
		}
	}
	if len(sums) > 0 {
		layers = append(layers, obj{"data": obj{"values": sums}, "mark": obj{"type": "point", "fill": paper, "stroke": green, "size": 90, "opacity": 1}, "encoding": obj{"x": x, "y": y}},
			textLayer(x, y, sums, labelSize, "bold", green))
	}
	return layers
}

// spec is of drawable.
func (s *Strip) spec() map[string]any {
	w, h := s.size()
	h -= headHeight(s.title, w) - 4
	x, y := paperAxes(w, h)
	_, _, pw, ph := s.grid()
	var rows, names list
	for i := range s.pixels {
		r := s.place(i, 0)
		row := obj{"x": sig((r.x0 + r.x1) / 2), "y": sig((r.y0 + r.y1) / 2), "u": s.dataURI(i), "i": i}
		if len(s.captions) > 0 {
			row["caption"] = plain(s.captions[i])
			names = append(names, obj{"x": row["x"], "y": sig(r.y1 + 9), "t": fit(plain(s.captions[i]), r.w()+6, tickSize, false)})
		}
		rows = append(rows, row)
	}
	layers := list{obj{"data": obj{"values": rows}, "mark": obj{"type": "image", "width": pw, "height": ph}, "encoding": obj{"x": x, "y": y, "url": obj{"field": "u"}, "tooltip": list{obj{"field": "i", "title": "picture"}, obj{"field": "caption"}}}}}
	if len(names) > 0 {
		layers = append(layers, textLayer(x, y, names, tickSize, "normal", ink))
	}
	notes := s.footnotes()
	for i := range notes {
		notes[i] = plain(notes[i])
	}
	return obj{"layer": layers, "width": w, "height": h, "notes": notes}
}
