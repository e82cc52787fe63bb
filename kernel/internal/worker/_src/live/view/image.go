package view

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/png"
)

// Pictures smaller than small are enlarged by whole factors so that their pixels can be seen; larger ones than large are
// thinned out; what reaches beyond huge (such as image.Uniform) is no picture.
const (
	small, seen = 64, 128
	large       = 2048
	huge        = 1 << 15
)

func imageViews(m image.Image) map[string]any {
	r := m.Bounds()
	text := fmt.Sprintf("(%T, %d×%d)", m, r.Dx(), r.Dy())
	side := max(r.Dx(), r.Dy())
	if r.Empty() || r.Dx() > huge || r.Dy() > huge {
		return map[string]any{Plain: text}
	}
	switch {
	case side < small:
		m = scaled(m, seen/side, 1)
	case side > large:
		by := (side + large - 1) / large
		m = scaled(m, 1, by)
		text = fmt.Sprintf("%s shown as %d×%d)", text[:len(text)-1]+",", m.Bounds().Dx(), m.Bounds().Dy())
	}
	var buf bytes.Buffer
	if err := png.Encode(&buf, m); err != nil {
		return map[string]any{Plain: fmt.Sprintf("%s cannot be shown: %v", text, err)}
	}
	return map[string]any{PNG: buf.Bytes(), Plain: text}
}

// scaled repeats each pixel up times, or takes one of down.
func scaled(m image.Image, up, down int) image.Image {
	r := m.Bounds()
	out := image.NewNRGBA(image.Rect(0, 0, max(1, r.Dx()*up/down), max(1, r.Dy()*up/down)))
	for y := range out.Rect.Dy() {
		for x := range out.Rect.Dx() {
			out.Set(x, y, m.At(r.Min.X+x*down/up, r.Min.Y+y*down/up))
		}
	}
	return out
}

func pngTag(p []byte) string {
	return `<img src="data:image/png;base64,` + base64.StdEncoding.EncodeToString(p) + `">`
}
