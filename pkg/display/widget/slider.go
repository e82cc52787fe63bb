package widget

import (
	"fmt"
	"math"
	"strings"
)

// IntSlider is a slider over whole numbers.
type IntSlider struct{ Input[int] }

// NewIntSlider makes a slider from low to high. A value outside of them becomes the nearer one; bounds that are the wrong way round are swapped.
func NewIntSlider(label string, low, high, value int) *IntSlider {
	low, high = min(low, high), max(low, high)
	s := &IntSlider{}
	s.init("IntSlider", "IntSliderView", "SliderStyle", sliderState(label, low, high, 1, "d"))
	s.name = "the slider " + quoted(label)
	s.start("value", value, func(v int) int { return min(max(v, low), high) }, readInt, plain[int])
	s.static = func() (string, string) {
		return s.slider(fmt.Sprint(s.Value()), fmt.Sprint(low), fmt.Sprint(high))
	}
	return s
}

// FloatSlider is a slider over real numbers.
type FloatSlider struct{ Input[float64] }

// NewFloatSlider makes a slider from low to high in a hundred steps; Set("step", ...) makes it others. What is outside becomes the nearer bound, and NaN the lower.
func NewFloatSlider(label string, low, high, value float64) *FloatSlider {
	low, high = min(low, high), max(low, high)
	s := &FloatSlider{}
	s.init("FloatSlider", "FloatSliderView", "SliderStyle", sliderState(label, low, high, (high-low)/100, ".3~g"))
	s.name = "the slider " + quoted(label)
	clean := func(v float64) float64 {
		if math.IsNaN(v) {
			return low
		}
		return min(max(v, low), high)
	}
	s.start("value", value, clean, as[float64], plain[float64])
	s.static = func() (string, string) {
		return s.slider(fmt.Sprintf("%.4g", s.Value()), fmt.Sprintf("%.4g", low), fmt.Sprintf("%.4g", high))
	}
	return s
}

func sliderState[T int | float64](label string, low, high, step T, format string) map[string]any {
	return described(label, map[string]any{
		"min": low, "max": high, "step": step, "orientation": "horizontal", "readout": true, "readout_format": format,
		"continuous_update": true, "behavior": "drag-tap", "disabled": false,
	})
}

// slider is a slider as text and as HTML.
func (m *Model) slider(value, low, high string) (text, page string) {
	l, p := m.heading()
	text = fmt.Sprintf("%s%s (%s to %s)", l, value, low, high)
	page = fmt.Sprintf(`<label>%s<input type="range" min="%s" max="%s" step="any" value="%s" disabled> %s</label>`, p, low, high, value, value)
	return text, page
}

func readInt(v any) (int, bool) {
	f, ok := v.(float64)
	return int(math.Round(f)), ok
}

func quoted(label string) string { return fmt.Sprintf("%q", label) }

// Progress is a bar that shows how far something has come.
type Progress struct{ Model }

// NewProgress makes a bar that is full at total.
func NewProgress(label string, total float64) *Progress {
	p := &Progress{}
	p.init("FloatProgress", "ProgressView", "ProgressStyle", described(label, map[string]any{
		"min": 0.0, "max": total, "value": 0.0, "bar_style": "", "orientation": "horizontal",
	}))
	p.name = "the progress bar " + quoted(label)
	p.static = func() (string, string) {
		l, page := p.heading()
		share := p.share()
		n := int(share * 20)
		text := fmt.Sprintf("%s[%s%s] %.0f %%", l, strings.Repeat("#", n), strings.Repeat("-", 20-n), 100*share)
		return text, fmt.Sprintf(`<label>%s<progress max="1" value="%.4g"></progress> %.0f %%</label>`, page, share, 100*share)
	}
	return p
}

// SetValue says how far it has come. The front end is told a hundred times a second at most, however often it is called.
func (p *Progress) SetValue(v float64) { p.set(map[string]any{"value": v}) }

// SetLabel changes what stands before the bar.
func (p *Progress) SetLabel(label string) { p.set(map[string]any{"description": label}) }

func (p *Progress) share() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	var value, total float64 // total may have been set to any number
	fmt.Sscan(fmt.Sprint(p.state["value"], " ", p.state["max"]), &value, &total)
	if share := value / total; share > 0 { // not so if it is NaN
		return min(share, 1)
	}
	return 0
}
