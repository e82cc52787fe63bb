package figure

import (
	"math"
	"strconv"
	"strings"
)

// axis maps values to px.
type axis struct {
	log        bool
	low, high  float64
	from, to   float64 // px of low and high
	whole      bool    // ticks at whole numbers only, as layers and steps have them
	ticks      []tick
	categories []string // instead of ticks
}

// tick is a mark at a value; a minor one has no label.
type tick struct {
	value float64
	label string
}

// at returns the place of v, which may lie outside.
func (a *axis) at(v float64) float64 {
	low, high := a.low, a.high
	if a.log {
		low, high, v = math.Log10(low), math.Log10(high), math.Log10(v)
	} else if math.Max(math.Abs(low), math.Abs(high)) > 1e300 { // differences would overflow
		low, high, v = low/16, high/16, v/16
	}
	return a.from + (a.to-a.from)*((v-low)/(high-low))
}

// shows reports whether v has a place on the axis at all.
func (a *axis) shows(v float64) bool { return finite(v) && (!a.log || v > 0) }

// extent gathers the range of values.
type extent struct{ low, high float64 }

func noExtent() extent { return extent{math.Inf(1), math.Inf(-1)} }

func (e *extent) add(v float64) {
	e.low, e.high = math.Min(e.low, v), math.Max(e.high, v)
}

func (e *extent) empty() bool { return e.low > e.high }

// setRange chooses the ends of the axis: those asked for, else the data's with a margin (a share of the range) on each side.
func (a *axis) setRange(e extent, asked *[2]float64, margin float64) {
	if asked != nil {
		a.low, a.high = asked[0], asked[1]
		return
	}
	if e.empty() {
		e = extent{0, 1}
		if a.log {
			e = extent{0.1, 1}
		}
	}
	if a.log {
		low, high := math.Log10(e.low), math.Log10(e.high)
		if high-low < 0.2 {
			low, high = low-0.1, high+0.1
		} else {
			low, high = low-margin*(high-low), high+margin*(high-low)
		}
		a.low, a.high = math.Max(math.Pow(10, low), 5e-324), math.Min(math.Pow(10, high), math.MaxFloat64)
		return
	}
	low, high := e.low, e.high
	if span := high - low; span > 1e-9*math.Max(math.Abs(low), math.Abs(high)) {
		low, high = low-margin*span, high+margin*span
	} else {
		around := math.Max(math.Abs(low)*0.1, 1e-9)
		if low == 0 {
			around = 1
		}
		low, high = low-around, high+around
	}
	if math.IsInf(high-low, 0) { // wider than a float64 can say
		low, high = math.Max(low, -math.MaxFloat64/4), math.Min(high, math.MaxFloat64/4)
	}
	a.low, a.high = low, high
}

// setTicks makes about n labelled ticks.
func (a *axis) setTicks(n int) {
	if a.log {
		a.ticks = logTicks(a.low, a.high, n)
		return
	}
	least := 0.0
	if a.whole {
		least = 1
	}
	a.ticks = linearTicks(a.low, a.high, n, least)
}

// linearTicks are about n, at multiples of 1, 2 or 5 times a power of ten that is at least least.
func linearTicks(low, high float64, n int, least float64) []tick {
	raw := math.Max((high-low)/float64(max(n, 1)), least)
	exponent := int(math.Floor(math.Log10(raw)))
	digit := 10
	for _, d := range []int{1, 2, 5} {
		if float64(d)*power(exponent) >= raw*0.999 {
			digit = d
			break
		}
	}
	if digit == 10 {
		digit, exponent = 1, exponent+1
	}
	step := float64(digit) * power(exponent)
	var out []tick
	first := math.Ceil(low/step - 1e-9)
	for k := first; finite(k*step) && k*step <= high+1e-9*step && len(out) < 200; k++ {
		out = append(out, tick{value: k * step, label: multiple(k, digit, exponent, math.Max(math.Abs(low), math.Abs(high)))})
	}
	return out
}

// power returns 10^e as it is read from text, which math.Pow misses by an ulp at times.
func power(e int) float64 {
	v, _ := strconv.ParseFloat("1e"+strconv.Itoa(e), 64)
	return v
}

// multiple writes k * digit * 10^exponent, exactly; all ticks of an axis have as many decimals.
func multiple(k float64, digit, exponent int, largest float64) string {
	whole := k * float64(digit)
	if largest >= 1e6 || largest < 1e-3 {
		return minus(number(whole * power(exponent)))
	}
	if whole == 0 {
		return "0"
	}
	return minus(strconv.FormatFloat(whole*power(exponent), 'f', max(0, -exponent), 64))
}

// minus gives a negative number the sign that print has; an exponent keeps what Go reads.
func minus(s string) string {
	if strings.HasPrefix(s, "-") {
		return "−" + s[1:]
	}
	return s
}

// number writes a value for people: 0.0001 as 1e-4, 12345678 as 1.2346e7; never more than five digits.
func number(v float64) string {
	switch {
	case math.IsNaN(v):
		return "not a number"
	case math.IsInf(v, 1):
		return "∞"
	case math.IsInf(v, -1):
		return "-∞"
	case v == 0:
		return "0"
	}
	abs := math.Abs(v)
	var s string
	if abs >= 1e-3 && abs < 1e6 {
		s = strconv.FormatFloat(v, 'g', 5, 64)
		if strings.Contains(s, "e") {
			s = strconv.FormatFloat(v, 'f', 0, 64)
		}
	} else {
		s = strconv.FormatFloat(v, 'e', 4, 64)
		mantissa, exponent, _ := strings.Cut(s, "e")
		if strings.Contains(mantissa, ".") {
			mantissa = strings.TrimRight(strings.TrimRight(mantissa, "0"), ".")
		}
		e, _ := strconv.Atoi(exponent)
		s = mantissa + "e" + strconv.Itoa(e)
	}
	return s
}

// logTicks are at powers of ten; between them at 2 and 5 where there is room, without labels at the others.
func logTicks(low, high float64, n int) []tick {
	first, last := int(math.Floor(math.Log10(low)+1e-9)), int(math.Ceil(math.Log10(high)-1e-9))
	decades := math.Log10(high) - math.Log10(low)
	if decades < 0.7 { // hardly a decade: the ticks of a linear axis serve better
		return linearTicks(low, high, n, 0)
	}
	every := 1
	for _, e := range []int{1, 2, 3, 5, 10, 20, 50, 100} {
		every = e
		if decades/float64(e) <= float64(n)+0.5 {
			break
		}
	}
	labelled := []int{1}
	if every == 1 {
		if decades*3 <= float64(n)+1 {
			labelled = []int{1, 2, 5}
		} else if decades*2 <= float64(n)+0.5 {
			labelled = []int{1, 3}
		}
	}
	var out []tick
	for e := first; e <= last; e++ {
		for d := 1; d <= 9; d++ {
			v := float64(d) * power(e)
			if d > 1 {
				v, _ = strconv.ParseFloat(strconv.Itoa(d)+"e"+strconv.Itoa(e), 64)
			}
			if v < low*(1-1e-9) || v > high*(1+1e-9) || v == 0 {
				continue
			}
			has := false
			for _, l := range labelled {
				has = has || l == d
			}
			switch {
			case has && mod(e, every) == 0:
				out = append(out, tick{v, decade(d, e)})
			case every == 1 && decades <= 5 || d == 1 && every <= 3:
				out = append(out, tick{value: v})
			}
		}
	}
	return out
}

func mod(a, b int) int { return (a%b + b) % b }

// decade writes d * 10^e: from 0.001 to 10000 plainly, else as 1e-6.
func decade(d, e int) string {
	if e >= -3 && e <= 4 {
		return strconv.FormatFloat(float64(d)*power(e), 'f', max(0, -e), 64)
	}
	return strconv.Itoa(d) + "e" + strconv.Itoa(e)
}
