package figure

import (
	"fmt"
	"image/color"
	"math"
	"strings"
	"unicode"

	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot" // it puts the Liberation fonts into font.DefaultCache
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// pt is a place in px, from the top left corner.
type pt struct{ x, y float64 }

// rect is a region in px; y grows downwards.
type rect struct{ x0, y0, x1, y1 float64 }

func (r rect) w() float64 { return r.x1 - r.x0 }
func (r rect) h() float64 { return r.y1 - r.y0 }

// pen draws on a canvas of gonum/plot with y downwards.
type pen struct {
	c   vg.Canvas
	h   float64
	svg *svgCanvas // c, if that is what it is
	pdf bool       // c is gonum's PDF: text is drawn as outlines, for it has the letters of cp1252 only
}

var _ = plot.New // see the import

// gonum's coordinates of a point.
func (p *pen) to(q pt) vg.Point { return vg.Point{X: vg.Length(q.x), Y: vg.Length(p.h - q.y)} }

func (p *pen) rectangle(r rect) vg.Rectangle {
	return vg.Rectangle{Min: p.to(pt{r.x0, r.y1}), Max: p.to(pt{r.x1, r.y0})}
}

// canvas returns r as a canvas for plotters.
func (p *pen) canvas(r rect) draw.Canvas { return draw.Canvas{Canvas: p.c, Rectangle: p.rectangle(r)} }

func alpha(c color.NRGBA, a float64) color.NRGBA {
	c.A = uint8(math.Round(a * 255))
	return c
}

// straight is a colour as gonum's PDF takes it: it multiplies by the opacity itself, and would do so twice.
type straight color.NRGBA

// RGBA is of color.Color, but for the factor.
func (c straight) RGBA() (r, g, b, a uint32) {
	return 0x101 * uint32(c.R), 0x101 * uint32(c.G), 0x101 * uint32(c.B), 0x101 * uint32(c.A)
}

// ink sets the colour.
func (p *pen) ink(c color.NRGBA) {
	if p.pdf {
		p.c.SetColor(straight(c))
		return
	}
	p.c.SetColor(c)
}

// lines strokes polylines as one path.
func (p *pen) lines(c color.NRGBA, width float64, dash []float64, lines ...[]pt) {
	var path vg.Path
	for _, l := range lines {
		for i, q := range l {
			if i == 0 {
				path.Move(p.to(q))
			} else {
				path.Line(p.to(q))
			}
		}
	}
	p.stroke(c, width, dash, path)
}

func (p *pen) stroke(c color.NRGBA, width float64, dash []float64, path vg.Path) {
	if len(path) == 0 {
		return
	}
	var pattern []vg.Length
	for _, d := range dash {
		pattern = append(pattern, vg.Length(d))
	}
	p.ink(c)
	p.c.SetLineWidth(vg.Length(width))
	p.c.SetLineDash(pattern, 0)
	p.c.Stroke(path)
}

// polygons fills them as one path.
func (p *pen) polygons(c color.NRGBA, polygons ...[]pt) {
	var path vg.Path
	for _, l := range polygons {
		if len(l) < 3 {
			continue
		}
		for i, q := range l {
			if i == 0 {
				path.Move(p.to(q))
			} else {
				path.Line(p.to(q))
			}
		}
		path.Close()
	}
	if len(path) > 0 {
		p.ink(c)
		p.c.Fill(path)
	}
}

// sharply has f fill rectangles that touch.
func (p *pen) sharply(f func()) {
	if p.svg != nil {
		p.svg.sharp = true
		defer func() { p.svg.sharp = false }()
	}
	f()
}

func corners(r rect) []pt { return []pt{{r.x0, r.y0}, {r.x1, r.y0}, {r.x1, r.y1}, {r.x0, r.y1}} }

func (p *pen) rect(c color.NRGBA, r rect) { p.polygons(c, corners(r)) }

func (p *pen) circles(c color.NRGBA, radius float64, at ...pt) {
	if len(at) > 0 {
		p.ink(c)
		p.c.Fill(p.circlePath(radius, at...))
	}
}

func (p *pen) circlePath(radius float64, at ...pt) vg.Path {
	var path vg.Path
	const k = 0.5522847498 // a quarter of a circle as a cubic curve
	r := radius
	for _, q := range at {
		if p.svg != nil { // shorter; gonum's PDF draws arcs apart from their path
			path.Move(p.to(pt{q.x + r, q.y}))
			path.Arc(p.to(q), vg.Length(r), 0, 2*math.Pi)
			path.Close()
			continue
		}
		path.Move(p.to(pt{q.x + r, q.y}))
		path.CubeTo(p.to(pt{q.x + r, q.y + k*r}), p.to(pt{q.x + k*r, q.y + r}), p.to(pt{q.x, q.y + r}))
		path.CubeTo(p.to(pt{q.x - k*r, q.y + r}), p.to(pt{q.x - r, q.y + k*r}), p.to(pt{q.x - r, q.y}))
		path.CubeTo(p.to(pt{q.x - r, q.y - k*r}), p.to(pt{q.x - k*r, q.y - r}), p.to(pt{q.x, q.y - r}))
		path.CubeTo(p.to(pt{q.x + k*r, q.y - r}), p.to(pt{q.x + r, q.y - k*r}), p.to(pt{q.x + r, q.y}))
		path.Close()
	}
	return path
}

// roundPath is a rectangle with round corners.
func (p *pen) roundPath(r rect, radius float64) vg.Path {
	var path vg.Path
	k := 0.4477 * radius
	path.Move(p.to(pt{r.x0 + radius, r.y0}))
	path.Line(p.to(pt{r.x1 - radius, r.y0}))
	path.CubeTo(p.to(pt{r.x1 - k, r.y0}), p.to(pt{r.x1, r.y0 + k}), p.to(pt{r.x1, r.y0 + radius}))
	path.Line(p.to(pt{r.x1, r.y1 - radius}))
	path.CubeTo(p.to(pt{r.x1, r.y1 - k}), p.to(pt{r.x1 - k, r.y1}), p.to(pt{r.x1 - radius, r.y1}))
	path.Line(p.to(pt{r.x0 + radius, r.y1}))
	path.CubeTo(p.to(pt{r.x0 + k, r.y1}), p.to(pt{r.x0, r.y1 - k}), p.to(pt{r.x0, r.y1 - radius}))
	path.Line(p.to(pt{r.x0, r.y0 + radius}))
	path.CubeTo(p.to(pt{r.x0, r.y0 + k}), p.to(pt{r.x0 + k, r.y0}), p.to(pt{r.x0 + radius, r.y0}))
	path.Close()
	return path
}

// textStyle is a text's size in px, weight, colour and which part of it stands at the given place (0 start, 0.5 middle, 1 end).
type textStyle struct {
	size   float64
	bold   bool
	colour string
	anchor float64
	turn   float64 // radians, anticlockwise
}

// run is a part of a text on one level.
type run struct {
	text string
	sub  bool
}

const (
	subSize = 0.72 // of the letter
	subDrop = 0.24 // of the letter's size
)

// runsOf parts "σ_w = 1" into σ, its subscript w, and the rest. A subscript follows a letter that stands alone, so that "batch_norm" is left as it is.
func runsOf(text string) []run {
	if !strings.ContainsRune(text, '_') {
		return []run{{text, false}}
	}
	var out []run
	rs := []rune(text)
	word := func(i int) bool {
		return i >= 0 && i < len(rs) && (unicode.IsLetter(rs[i]) || unicode.IsDigit(rs[i]) || rs[i] == '_')
	}
	start := 0
	for i := 1; i < len(rs)-1; i++ {
		if rs[i] != '_' || !unicode.IsLetter(rs[i-1]) || word(i-2) {
			continue
		}
		from, end, next := i+1, i+1, 0
		if rs[from] == '{' {
			from++
			for end = from; end < len(rs) && rs[end] != '}'; end++ {
			}
			next = min(end+1, len(rs))
		} else {
			for end < len(rs) && word(end) && rs[end] != '_' {
				end++
			}
			next = end
		}
		if end == from {
			continue
		}
		out = append(out, run{string(rs[start:i]), false}, run{string(rs[from:end]), true})
		start, i = next, next
	}
	if start < len(rs) {
		out = append(out, run{string(rs[start:]), false})
	}
	return out
}

// plain is a text without the marks of subscripts where a letter for it exists, for terminals and Vega-Lite.
func plain(text string) string {
	var b strings.Builder
	for _, r := range runsOf(text) {
		if !r.sub {
			b.WriteString(r.text)
			continue
		}
		for _, digit := range r.text {
			if digit < '0' || digit > '9' {
				b.WriteByte('_')
				break
			}
		}
		if strings.Trim(r.text, "0123456789") != "" {
			b.WriteString(r.text)
			continue
		}
		for _, digit := range r.text {
			b.WriteRune('₀' + digit - '0')
		}
	}
	return b.String()
}

func face(size float64, bold bool) font.Face {
	f := font.Font{Typeface: "Liberation", Variant: "Sans"}
	if bold {
		f.Weight = xfont.WeightBold
	}
	return font.DefaultCache.Lookup(f, vg.Length(size))
}

// width returns how wide a text is.
func width(text string, size float64, bold bool) float64 {
	w := 0.0
	for _, r := range runsOf(text) {
		s := size
		if r.sub {
			s *= subSize
		}
		f := face(s, bold)
		w += float64(f.Width(r.text))
	}
	return w
}

// text writes s with its baseline at q.
func (p *pen) text(q pt, s string, st textStyle) {
	if s == "" {
		return
	}
	c := nrgba(st.colour)
	p.ink(c)
	if p.svg != nil && st.turn == 0 {
		anchor := map[float64]string{0.5: "middle", 1: "end"}[st.anchor]
		p.svg.text(fmt.Sprintf(` x="%s" y="%s"`, short(q.x), short(q.y)), s, st.size, st.bold, anchor)
		return
	}
	p.c.Push()
	p.c.Translate(p.to(q))
	if st.turn != 0 {
		p.c.Rotate(st.turn)
	}
	x := -st.anchor * width(s, st.size, st.bold)
	if p.svg != nil {
		p.svg.FillString(face(st.size, st.bold), vg.Point{X: vg.Length(x)}, s)
	} else {
		for _, r := range runsOf(s) {
			size, y := st.size, 0.0
			if r.sub {
				y = -subDrop * size
				size *= subSize
			}
			f := face(size, st.bold)
			at := vg.Point{X: vg.Length(x), Y: vg.Length(y)}
			if p.pdf {
				p.c.Fill(outline(f, at, r.text))
			} else {
				p.c.FillString(f, at, r.text)
			}
			x += float64(f.Width(r.text))
		}
	}
	p.c.Pop()
}

// outline returns a text's letters as a path.
func outline(f font.Face, at vg.Point, text string) vg.Path {
	const units = 1000 // of a letter's size, for the outlines
	scale := f.Font.Size / (units * 64)
	var path vg.Path
	for _, r := range text {
		i, err := f.Face.GlyphIndex(nil, r)
		if err != nil {
			continue
		}
		segments, err := f.Face.LoadGlyph(nil, i, units<<6, nil)
		if err != nil {
			continue
		}
		for n, s := range segments {
			v := func(k int) vg.Point {
				return vg.Point{X: at.X + scale*vg.Length(s.Args[k].X), Y: at.Y - scale*vg.Length(s.Args[k].Y)}
			}
			switch s.Op {
			case 0: // move
				if n > 0 {
					path.Close()
				}
				path.Move(v(0))
			case 1:
				path.Line(v(0))
			case 2:
				path.QuadTo(v(0), v(1))
			case 3:
				path.CubeTo(v(0), v(1), v(2))
			}
		}
		if len(segments) > 0 {
			path.Close()
		}
		at.X += f.Width(string(r))
	}
	return path
}

// wrap breaks a text at spaces into lines of at most w px; a word that is longer stands alone.
func wrap(text string, w, size float64, bold bool) []string {
	var lines []string
	for paragraph := range strings.SplitSeq(text, "\n") {
		current := ""
		for _, word := range strings.Fields(paragraph) {
			next := word
			if current != "" {
				next = current + " " + word
			}
			if current != "" && width(next, size, bold) > w {
				lines = append(lines, current)
				next = word
			}
			current = next
		}
		if current != "" {
			lines = append(lines, fit(current, w, size, bold))
		}
	}
	for i, l := range lines {
		lines[i] = fit(l, w, size, bold)
	}
	return lines
}

// fit cuts a text to w px.
func fit(text string, w, size float64, bold bool) string {
	if width(text, size, bold) <= w {
		return text
	}
	rs := []rune(text)
	for len(rs) > 1 && width(string(rs)+"…", size, bold) > w {
		rs = rs[:len(rs)-1]
	}
	return string(rs) + "…"
}
