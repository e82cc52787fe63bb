package figure

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"strconv"
	"strings"

	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
)

// families are the fonts of the SVG: Liberation Sans, whose widths the layout is made with, and others of the same widths.
const families = "Liberation Sans,Arial,Helvetica,sans-serif"

// svgCanvas is a gonum canvas that writes SVG. gonum's own has no title, names one font without alternatives and repeats it at each text. There are no ids and no style element, since a page may hold
// several pictures inline.
type svgCanvas struct {
	w, h float64
	out  strings.Builder
	// sharp fills without blurred edges, so that rectangles that touch show no seam.
	sharp bool
	pen   svgState
	past  []svgState
}

// svgState is what Push keeps.
type svgState struct {
	width      float64
	dash       []float64
	colour     color.NRGBA
	a, b, c, d float64 // x' = a x + c y + e, y' = b x + d y + f, from the drawing's coordinates (y up) to gonum's page
	e, f       float64
}

func newSVG(w, h float64, title, description string) *svgCanvas {
	s := &svgCanvas{w: w, h: h, pen: svgState{width: 1, a: 1, d: 1, colour: color.NRGBA{A: 255}}}
	fmt.Fprintf(&s.out, `<svg xmlns="http://www.w3.org/2000/svg" role="img" width="%s" height="%s" viewBox="0 0 %s %s" style="max-width:100%%;height:auto">`, short(w), short(h), short(w), short(h))
	if title == "" {
		title = "figure"
	}
	fmt.Fprintf(&s.out, "\n<title>%s</title>\n<desc>%s</desc>\n", escape(title), escape(description))
	fmt.Fprintf(&s.out, `<g font-family="%s" font-size="12" fill="none" stroke-linejoin="round">`+"\n", families)
	return s
}

// String ends the picture and returns it.
func (s *svgCanvas) String() string { return s.out.String() + "</g>\n</svg>\n" }

// escape makes text safe within XML. Characters that XML cannot have are dropped.
func escape(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < 0x20 && r != '\n' && r != '\t' || r == 0xfffe || r == 0xffff || r == 0xfffd {
			return -1
		}
		return r
	}, text)
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace(text)
}

// short writes a coordinate to a hundredth.
func short(v float64) string {
	v = math.Round(v*100) / 100
	if v == 0 {
		return "0" // and not -0
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// Size is of vg.CanvasSizer.
func (s *svgCanvas) Size() (w, h vg.Length) { return vg.Length(s.w), vg.Length(s.h) }

// SetLineWidth is of vg.Canvas.
func (s *svgCanvas) SetLineWidth(w vg.Length) { s.pen.width = float64(w) }

// SetLineDash is of vg.Canvas.
func (s *svgCanvas) SetLineDash(pattern []vg.Length, _ vg.Length) {
	s.pen.dash = nil
	for _, p := range pattern {
		s.pen.dash = append(s.pen.dash, float64(p))
	}
}

// SetColor is of vg.Canvas.
func (s *svgCanvas) SetColor(c color.Color) {
	if c == nil {
		c = color.Black
	}
	s.pen.colour = color.NRGBAModel.Convert(c).(color.NRGBA)
}

// Push is of vg.Canvas.
func (s *svgCanvas) Push() { s.past = append(s.past, s.pen) }

// Pop is of vg.Canvas.
func (s *svgCanvas) Pop() {
	s.pen = s.past[len(s.past)-1]
	s.past = s.past[:len(s.past)-1]
}

// transform puts another map before the present one.
func (s *svgCanvas) transform(a, b, c, d, e, f float64) {
	p := s.pen
	s.pen.a, s.pen.b = p.a*a+p.c*b, p.b*a+p.d*b
	s.pen.c, s.pen.d = p.a*c+p.c*d, p.b*c+p.d*d
	s.pen.e, s.pen.f = p.a*e+p.c*f+p.e, p.b*e+p.d*f+p.f
}

// Rotate is of vg.Canvas.
func (s *svgCanvas) Rotate(rad float64) {
	sin, cos := math.Sincos(rad)
	s.transform(cos, sin, -sin, cos, 0, 0)
}

// Translate is of vg.Canvas.
func (s *svgCanvas) Translate(pt vg.Point) { s.transform(1, 0, 0, 1, float64(pt.X), float64(pt.Y)) }

// Scale is of vg.Canvas.
func (s *svgCanvas) Scale(x, y float64) { s.transform(x, 0, 0, y, 0, 0) }

// at returns a point in the SVG's coordinates.
func (s *svgCanvas) at(p vg.Point) (x, y float64) {
	px, py := float64(p.X), float64(p.Y)
	return s.pen.a*px + s.pen.c*py + s.pen.e, s.h - (s.pen.b*px + s.pen.d*py + s.pen.f)
}

// pair writes "x y".
func (s *svgCanvas) pair(b *strings.Builder, p vg.Point) {
	x, y := s.at(p)
	b.WriteString(short(x))
	b.WriteByte(' ')
	b.WriteString(short(y))
}

func (s *svgCanvas) data(p vg.Path) string {
	var b strings.Builder
	lastX, lastY := "", "" // of the point before, "" if it is not known
	for i, c := range p {
		x, y := s.at(c.Pos)
		sx, sy := short(x), short(y)
		switch c.Type {
		case vg.MoveComp:
			b.WriteString("M" + sx + " " + sy)
		case vg.LineComp:
			switch {
			case sy == lastY:
				b.WriteString("H" + sx)
			case sx == lastX:
				b.WriteString("V" + sy)
			default:
				b.WriteString("L" + sx + " " + sy)
			}
		case vg.CurveComp:
			letter := byte('C')
			if len(c.Control) == 1 {
				letter = 'Q'
			}
			b.WriteByte(letter)
			for _, q := range c.Control {
				s.pair(&b, q)
				b.WriteByte(' ')
			}
			b.WriteString(sx + " " + sy)
		case vg.ArcComp:
			s.arc(&b, c, i > 0 && p[i-1].Type == vg.MoveComp)
			sx, sy = "", ""
		case vg.CloseComp:
			b.WriteByte('Z')
			sx, sy = "", ""
		}
		lastX, lastY = sx, sy
	}
	return b.String()
}

// arc writes an arc as two, so that a full circle is one too; there says that the path is where it begins. Transformations are taken to keep circles round.
func (s *svgCanvas) arc(b *strings.Builder, c vg.PathComp, there bool) {
	r := vg.Length(c.Radius)
	on := func(angle float64) vg.Point {
		return vg.Point{X: c.Pos.X + r*vg.Length(math.Cos(angle)), Y: c.Pos.Y + r*vg.Length(math.Sin(angle))}
	}
	if !there {
		letter := byte('L')
		if b.Len() == 0 {
			letter = 'M'
		}
		b.WriteByte(letter)
		s.pair(b, on(c.Start))
	}
	scaled := short(float64(r) * math.Hypot(s.pen.a, s.pen.b))
	sweep := "0" // SVG's y points down
	if c.Angle < 0 {
		sweep = "1"
	}
	for _, part := range []float64{0.5, 1} {
		fmt.Fprintf(b, "A%s %s 0 0 %s ", scaled, scaled, sweep)
		s.pair(b, on(c.Start+part*c.Angle))
	}
}

// inked writes a colour's attributes.
func inked(attribute string, c color.NRGBA) string {
	out := fmt.Sprintf(` %s="%s"`, attribute, hex(c))
	if c.A < 255 {
		out += fmt.Sprintf(` %s-opacity="%s"`, attribute, short(float64(c.A)/255))
	}
	return out
}

// Stroke is of vg.Canvas.
func (s *svgCanvas) Stroke(p vg.Path) {
	if s.pen.width <= 0 || len(p) == 0 {
		return
	}
	fmt.Fprintf(&s.out, `<path d="%s"%s`, s.data(p), inked("stroke", s.pen.colour))
	if s.pen.width != 1 {
		fmt.Fprintf(&s.out, ` stroke-width="%s"`, short(s.pen.width))
	}
	if len(s.pen.dash) > 0 {
		parts := make([]string, len(s.pen.dash))
		for i, d := range s.pen.dash {
			parts[i] = short(d)
		}
		fmt.Fprintf(&s.out, ` stroke-dasharray="%s"`, strings.Join(parts, " "))
	}
	s.out.WriteString("/>\n")
}

// Fill is of vg.Canvas.
func (s *svgCanvas) Fill(p vg.Path) {
	if len(p) == 0 {
		return
	}
	sharp := ""
	if s.sharp {
		sharp = ` shape-rendering="crispEdges"`
	}
	fmt.Fprintf(&s.out, `<path d="%s"%s%s/>`+"\n", s.data(p), inked("fill", s.pen.colour), sharp)
}

// FillString is of vg.Canvas.
func (s *svgCanvas) FillString(f font.Face, pt vg.Point, text string) {
	if f.Font.Size == 0 || text == "" {
		return
	}
	x, y := s.at(pt)
	where := fmt.Sprintf(` x="%s" y="%s"`, short(x), short(y))
	if s.pen.b != 0 || s.pen.c != 0 {
		where = fmt.Sprintf(` transform="translate(%s %s) rotate(%s)"`, short(x), short(y), short(-math.Atan2(s.pen.b, s.pen.a)*180/math.Pi))
	}
	s.text(where, text, float64(f.Font.Size), f.Font.Weight == xfont.WeightBold, "")
}

// text writes a text element; its runs are a letter and its subscripts.
func (s *svgCanvas) text(where, text string, size float64, bold bool, anchor string) {
	fmt.Fprintf(&s.out, "<text%s", where)
	if size != 12 {
		fmt.Fprintf(&s.out, ` font-size="%s"`, short(size))
	}
	if bold {
		s.out.WriteString(` font-weight="bold"`)
	}
	if anchor != "" {
		fmt.Fprintf(&s.out, ` text-anchor="%s"`, anchor)
	}
	fmt.Fprintf(&s.out, "%s>", inked("fill", s.pen.colour))
	shift := 0.0
	for _, r := range runsOf(text) {
		size := size
		drop := 0.0
		if r.sub {
			drop = subDrop * size
			size *= subSize
		}
		if drop == shift && !r.sub {
			s.out.WriteString(escape(r.text))
		} else {
			fmt.Fprintf(&s.out, `<tspan dy="%s" font-size="%s">%s</tspan>`, short(drop-shift), short(size), escape(r.text))
		}
		shift = drop
	}
	s.out.WriteString("</text>\n")
}

// DrawImage is of vg.Canvas.
func (s *svgCanvas) DrawImage(rect vg.Rectangle, img image.Image) {
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		return // an image of no size
	}
	x0, y0 := s.at(rect.Min)
	x1, y1 := s.at(rect.Max)
	fmt.Fprintf(&s.out, `<image x="%s" y="%s" width="%s" height="%s" preserveAspectRatio="none" style="image-rendering:pixelated" href="data:image/png;base64,%s"/>`+"\n",
		short(math.Min(x0, x1)), short(math.Min(y0, y1)), short(math.Abs(x1-x0)), short(math.Abs(y1-y0)), base64.StdEncoding.EncodeToString(b.Bytes()))
}
