package figure

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"

	"github.com/pkg/errors"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgpdf"

	"github.com/gradbook/gradbook/pkg/display"
)

// drawable is what each kind of figure gives to the rest of the package.
type drawable interface {
	Err() error
	heading() string
	size() (w, h float64)
	draw(p *pen)          // what is on the ground; only called where Err is nil
	body() []string       // lines of text for terminals, below the title
	spec() map[string]any // the Vega-Lite chart, without what all have
	description() string  // for people who do not see the picture
}

func (f *frame) heading() string { return f.title }

// paint draws a figure, or its error, on a canvas.
func paint(d drawable, p *pen, w, h float64) {
	p.ink(nrgba(paper))
	p.c.Fill(p.roundPath(rect{0, 0, w, h}, 6))
	if err := d.Err(); err != nil {
		drawError(p, w, h, err)
		return
	}
	d.draw(p)
}

func drawError(p *pen, w, h float64, err error) {
	y := 30.0
	p.text(pt{16, y}, "This figure cannot be drawn", textStyle{size: 14, bold: true, colour: problem})
	for _, l := range wrap(err.Error(), w-32, 12, false) {
		if y += 18; y > h-8 {
			break
		}
		p.text(pt{16, y}, l, textStyle{size: 12, colour: ink})
	}
}

func svgOf(d drawable) string {
	w, h, description := 640.0, 120.0, ""
	if err := d.Err(); err != nil {
		description = err.Error()
	} else {
		w, h = d.size()
		description = d.description()
	}
	c := newSVG(w, h, plain(d.heading()), plain(description))
	paint(d, &pen{c: c, svg: c, h: h}, w, h)
	return c.String()
}

// save writes a figure in the format that the file's ending names.
func save(d drawable, path string) error {
	ending := strings.ToLower(filepath.Ext(path))
	switch ending {
	case ".svg", ".png", ".pdf":
	default:
		return errors.Errorf("figure: %q ends in %q; a figure can be saved as .svg, .png or .pdf", path, ending)
	}
	if err := d.Err(); err != nil {
		return err
	}
	w, h := d.size()
	var b bytes.Buffer
	var err error
	switch ending {
	case ".svg":
		b.WriteString(svgOf(d))
	case ".png":
		c := vgimg.NewWith(vgimg.UseWH(vg.Length(w), vg.Length(h)), vgimg.UseDPI(144))
		paint(d, &pen{c: c, h: h}, w, h)
		_, err = vgimg.PngCanvas{Canvas: c}.WriteTo(&b)
	case ".pdf":
		c := vgpdf.New(vg.Length(w), vg.Length(h))
		paint(d, &pen{c: c, h: h, pdf: true}, w, h)
		_, err = c.WriteTo(&b)
	}
	if err != nil {
		return errors.Wrapf(err, "figure %q cannot be drawn as %s", d.heading(), ending)
	}
	return errors.Wrapf(os.WriteFile(path, b.Bytes(), 0o666), "figure %q cannot be saved; give a folder that exists and can be written", d.heading())
}

// bundle is what a notebook gets.
func bundle(d drawable) map[string]any {
	picture := display.SVG(svgOf(d))
	var b display.MIME
	if spec := vegaOf(d); spec != nil {
		b = display.VegaLite(spec, picture)
	} else {
		b = display.MIME{"image/svg+xml": string(picture)}
	}
	b["text/plain"] = textOf(d)
	return b
}

// still is the picture without the chart, for what is redrawn often.
func still(d drawable) display.MIME {
	return display.MIME{"image/svg+xml": svgOf(d), "text/plain": textOf(d)}
}

func textOf(d drawable) string {
	if err := d.Err(); err != nil {
		return "(no figure: " + err.Error() + ")"
	}
	lines := d.body()
	if d.heading() != "" {
		lines = append([]string{plain(d.heading())}, lines...)
	}
	return strings.Join(lines, "\n")
}
