package figure

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"slices"
)

// Strip is a row of small pictures, such as digits; it has several rows where one is too short.
type Strip struct {
	frame
	height, width int
	channels      int
	pixels        [][]float32 // one for each picture
	captions      []string
	bright        bool
}

// Images makes one of pictures that follow one another in pixels, each of the given shape ([height, width], or [height, width, channels] with 1 or 3 channels; a data set's Shape and Inputs). Values from 0 to 1 are
// drawn as they are; if any lies outside, black and white are the least and the largest value of all. One channel is ink on paper, 1 is black, as MNIST means it. Captions stand below the pictures.
func Images(title string, shape []int, pixels []float32, captions ...string) *Strip {
	s := &Strip{frame: frame{title: title}, captions: slices.Clone(captions)}
	if len(shape) < 2 || len(shape) > 3 || slices.Min(shape) < 1 || len(shape) == 3 && shape[2] != 1 && shape[2] != 3 {
		s.fail("pictures of shape %v; give [height, width], [height, width, 1] or [height, width, 3]", shape)
		return s
	}
	s.height, s.width, s.channels = shape[0], shape[1], 1
	if len(shape) == 3 {
		s.channels = shape[2]
	}
	each := s.height * s.width * s.channels
	if len(pixels) == 0 || len(pixels)%each != 0 {
		s.fail("%d pixels; pictures of shape %v take a multiple of %d", len(pixels), shape, each)
		return s
	}
	for i := 0; i < len(pixels); i += each {
		s.pixels = append(s.pixels, slices.Clone(pixels[i:i+each]))
	}
	if len(captions) > 0 && len(captions) != len(s.pixels) {
		s.fail("%d captions for %d pictures; give one for each, or none", len(captions), len(s.pixels))
	}
	return s
}

// Bright draws 1 as white and 0 as black where there is one channel.
func (s *Strip) Bright() *Strip { s.bright = true; return s }

// Note adds a line below the figure.
func (s *Strip) Note(text string) *Strip { s.notes = append(s.notes, text); return s }

// Err returns the first error among the calls that built the strip.
func (s *Strip) Err() error { return s.err }

const thumb = 52.0 // px, of a picture's longer side

func (s *Strip) grid() (columns, rows int, w, h float64) {
	scale := thumb / float64(max(s.height, s.width))
	w, h = scale*float64(s.width), scale*float64(s.height)
	columns = min(len(s.pixels), int((640-2*pad+8)/(w+8)))
	return columns, (len(s.pixels) + columns - 1) / columns, w, h
}

func (s *Strip) size() (w, h float64) {
	if len(s.pixels) == 0 {
		return 640, 120
	}
	columns, rows, pw, ph := s.grid()
	w = math.Max(320, 2*pad+float64(columns)*(pw+8)-8)
	below := 0.0
	if n := len(s.footnotes()); n > 0 {
		below = 14*float64(n) + 6
	}
	return w, headHeight(s.title, w) + float64(rows)*(ph+8+s.captionHeight()) + 8 + below
}

func (s *Strip) captionHeight() float64 {
	if len(s.captions) == 0 {
		return 0
	}
	return 15
}

// levels returns which values are black and white.
func (s *Strip) levels() (low, high float32) {
	low, high = 0, 1
	for _, p := range s.pixels {
		for _, v := range p {
			if !finite(float64(v)) {
				continue
			}
			low, high = min(low, v), max(high, v)
		}
	}
	if low < 0 || high > 1 { // those of the data alone
		low, high = float32(math.Inf(1)), float32(math.Inf(-1))
		for _, p := range s.pixels {
			for _, v := range p {
				if finite(float64(v)) {
					low, high = min(low, v), max(high, v)
				}
			}
		}
	}
	return low, high
}

func (s *Strip) footnotes() []string {
	out := slices.Clone(s.notes)
	if low, high := s.levels(); low != 0 || high != 1 {
		out = append(out, fmt.Sprintf("Pixels from %s to %s.", number(rounded(float64(low))), number(rounded(float64(high)))))
	}
	strange := 0
	for _, p := range s.pixels {
		for _, v := range p {
			if !finite(float64(v)) {
				strange++
			}
		}
	}
	if strange > 0 {
		out = append(out, fmt.Sprintf("Red: %s not finite.", values(strange)))
	}
	return out
}

// picture returns the i-th picture, each pixel a square of n dots.
func (s *Strip) picture(i, n int) image.Image {
	low, high := s.levels()
	span := high - low
	level := func(v float32) uint8 {
		t := float64((v - low) / span)
		if s.channels == 1 && !s.bright {
			t = 1 - t
		}
		return uint8(math.Round(255 * math.Min(1, math.Max(0, t))))
	}
	out := image.NewNRGBA(image.Rect(0, 0, s.width*n, s.height*n))
	for y := range s.height {
		for x := range s.width {
			var c color.NRGBA
			at := (y*s.width + x) * s.channels
			v := s.pixels[i][at : at+s.channels]
			c = color.NRGBA{level(v[0]), level(v[0]), level(v[0]), 255}
			if s.channels == 3 {
				c = color.NRGBA{level(v[0]), level(v[1]), level(v[2]), 255}
			}
			for _, one := range v {
				if !finite(float64(one)) {
					c = nrgba(problem)
				}
			}
			for k := range n * n {
				out.SetNRGBA(x*n+k%n, y*n+k/n, c)
			}
		}
	}
	if s.channels == 1 && !slices.ContainsFunc(s.pixels[i], func(v float32) bool { return !finite(float64(v)) }) {
		grey := image.NewGray(out.Bounds()) // a quarter of the bytes
		for k := range grey.Pix {
			grey.Pix[k] = out.Pix[4*k]
		}
		return grey
	}
	return out
}

// place returns the i-th picture's region below y.
func (s *Strip) place(i int, y float64) rect {
	columns, _, w, h := s.grid()
	x := pad + float64(i%columns)*(w+8)
	y += float64(i/columns) * (h + 8 + s.captionHeight())
	return rect{x, y, x + w, y + h}
}

// draw is of drawable.
func (s *Strip) draw(p *pen) {
	w, h := s.size()
	area := drawFrame(p, w, h, s.title, s.footnotes())
	dots := 1
	if p.svg == nil { // what is enlarged would be blurred
		dots = max(1, 256/max(s.height, s.width))
	}
	for i := range s.pixels {
		r := s.place(i, area.y0)
		p.c.DrawImage(p.rectangle(r), s.picture(i, dots))
		p.lines(nrgba(rule), 1, nil, append(corners(r), pt{r.x0, r.y0}))
		if len(s.captions) > 0 {
			p.text(pt{(r.x0 + r.x1) / 2, r.y1 + 13}, fit(s.captions[i], r.w()+6, tickSize, false), textStyle{size: tickSize, colour: ink, anchor: 0.5})
		}
	}
}

// dataURI is the i-th picture as a link that holds it.
func (s *Strip) dataURI(i int) string {
	var b bytes.Buffer
	if err := png.Encode(&b, s.picture(i, max(1, 112/max(s.height, s.width)))); err != nil {
		return ""
	}
	return "data:image/png;base64," + base64.StdEncoding.EncodeToString(b.Bytes())
}

// body is of drawable: the first picture in letters, and the captions.
func (s *Strip) body() []string {
	lines := []string{fmt.Sprintf("%d pictures of %d x %d pixels", len(s.pixels), s.height, s.width)}
	if s.channels == 3 {
		lines[0] += " in colour"
	} else if s.width <= 32 && s.height <= 32 {
		low, high := s.levels()
		letters := []rune(" ░▒▓█")
		for y := 0; y < s.height; y += 2 { // letters are twice as high as wide
			text := ""
			for x := range s.width {
				v := s.pixels[0][y*s.width+x]
				if y+1 < s.height {
					v = (v + s.pixels[0][(y+1)*s.width+x]) / 2
				}
				if !finite(float64(v)) {
					text += "×"
					continue
				}
				text += string(letters[min(4, int(5*(v-low)/(high-low)))])
			}
			lines = append(lines, "|"+text+"|")
		}
	}
	for i, c := range s.captions {
		if i == 10 {
			lines = append(lines, fmt.Sprintf("… %d more", len(s.captions)-10))
			break
		}
		lines = append(lines, fmt.Sprintf("%d: %s", i, plain(c)))
	}
	for _, n := range s.footnotes() {
		lines = append(lines, plain(n))
	}
	return lines
}

func (s *Strip) description() string {
	return fmt.Sprintf("%d pictures of %d x %d pixels.", len(s.pixels), s.height, s.width)
}

// SVG returns the picture.
func (s *Strip) SVG() string { return svgOf(s) }

// VegaLite returns the same as a Vega-Lite 5 specification.
func (s *Strip) VegaLite() any { return vegaOf(s) }

// Save writes the picture to a file: .svg, .png or .pdf.
func (s *Strip) Save(path string) error { return save(s, path) }

// MIMEBundle returns Vega-Lite, SVG and text.
func (s *Strip) MIMEBundle() map[string]any { return bundle(s) }

// String returns the title and the first picture in letters.
func (s *Strip) String() string { return textOf(s) }
