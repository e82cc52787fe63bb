package widget

import (
	"encoding/base64"
	"fmt"
	"strings"
	"sync"

	"github.com/gradbook/gradbook/pkg/display"
	"github.com/gradbook/gradbook/pkg/display/internal/view"
)

// Figure shows any value, and others in its place: a plot that follows a slider.
type Figure struct {
	Model

	drawing sync.Mutex
	text    string // guarded by drawing; what a terminal shows
	page    string // guarded by drawing
}

// NewFigure makes one that shows v, as display.Show would; an SVG is best.
func NewFigure(v any) *Figure {
	f := &Figure{}
	f.init("HTML", "HTMLView", "HTMLStyle", described("", map[string]any{"placeholder": "\u200b"}))
	f.name = "a figure"
	f.static = func() (string, string) {
		f.drawing.Lock()
		defer f.drawing.Unlock()
		return f.text, "<div>" + still(f.page) + "</div>"
	}
	f.Draw(v)
	return f
}

// still makes of an SVG a picture of its own: of a notebook that is not trusted yet, front ends show an SVG within HTML as the mere words that are in it.
func still(page string) string {
	head, _, _ := strings.Cut(page, ">")
	if !strings.HasPrefix(head, "<svg") || !strings.Contains(head, "xmlns=") { // which a picture of its own must name
		return page
	}
	title := ""
	if _, rest, ok := strings.Cut(page, "<title>"); ok {
		title, _, _ = strings.Cut(rest, "</title>")
	}
	return fmt.Sprintf(`<img style="max-width:100%%" alt="%s" src="data:image/svg+xml;base64,%s">`,
		strings.ReplaceAll(title, `"`, "&quot;"), base64.StdEncoding.EncodeToString([]byte(page)))
}

// Draw shows v in place of what is there.
func (f *Figure) Draw(v any) {
	b := display.Bundle(v)
	page, _ := view.Inline(b)
	f.drawing.Lock()
	f.text, f.page = fmt.Sprint(b[view.Plain]), page
	f.drawing.Unlock()
	f.set(map[string]any{"value": page})
}

// Image shows a picture whose bytes go to the front end as they are.
type Image struct{ Model }

// NewImage makes one that shows v: an image.Image, or what has a method PNG.
func NewImage(v any) *Image {
	m := &Image{}
	m.init("Image", "ImageView", "", map[string]any{"format": "png", "width": "", "height": "", "value": []byte{}})
	m.name = "an image"
	m.layout.state["align_self"] = "flex-start" // else boxes stretch it to their own size
	m.static = func() (string, string) {
		p, _ := m.get("value").([]byte)
		b := display.Bundle(display.PNG(p))
		page, _ := view.Inline(b)
		return fmt.Sprint(b[view.Plain]), page
	}
	m.Draw(v)
	return m
}

// Draw shows v in place of what is there. What is no picture is refused, and the picture stays.
func (m *Image) Draw(v any) {
	p, ok := display.Bundle(v)[view.PNG].([]byte)
	if !ok {
		report("%s: a %T is no picture; give it an image.Image, a display.PNG or what has a method PNG() []byte (a Figure shows anything)", m.name, v)
		return
	}
	m.set(map[string]any{"value": p})
}
