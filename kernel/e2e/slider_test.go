package e2e_test

import (
	"math"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
)

// watchJS notes when pictures come, how long the page is busy in one piece, and what goes over the kernel's connection.
const watchJS = `
window.pictures = []; window.sent = []; window.heard = []; window.long = 0;
new PerformanceObserver(l => { for (const e of l.getEntries()) window.long += e.duration }).observe({entryTypes: ['longtask']});
const send = WebSocket.prototype.send;
WebSocket.prototype.send = function (data) {
	if (!this.watched) { this.watched = true; this.addEventListener('message', e => window.heard.push([performance.now(), e.data.byteLength ?? e.data.length])) }
	window.sent.push(performance.now());
	return send.call(this, data);
};
let last = '';
new MutationObserver(() => {
	const title = document.querySelector('.jp-Cell-outputWrapper .widget-html svg title')?.textContent ?? '';
	if (title !== last) { last = title; window.pictures.push([performance.now(), title]) }
}).observe(document.body, {childList: true, subtree: true, characterData: true});
true`

// BenchmarkSlider drags a slider whose callback draws a net's picture, for a few seconds, and counts the pictures that the page shows.
func BenchmarkSlider(b *testing.B) {
	browser := chromium(b)
	l := openLab(b)
	p := openPage(b, browser, l.notebook("slider.ipynb"))
	p.until("the notebook", cell(1))
	p.click(`.jp-Cell[data-windowed-list-index="1"] .cm-content`, "") // the status bar speaks of what was clicked last
	p.status("Idle")
	p.menu("Run", "Run All Cells")
	p.prompt(1, "2")
	p.do(chromedp.Evaluate(cell(0)+".querySelector('.jp-Cell-outputWrapper').scrollIntoView()", nil))
	var ok bool
	p.do(chromedp.Evaluate(watchJS, &ok))
	x, y := p.at(".noUi-handle", "")
	p.do(chromedp.MouseEvent(input.MouseMoved, x, y), chromedp.MouseEvent(input.MousePressed, x, y, chromedp.ButtonLeft, chromedp.ClickCount(1)))
	time.Sleep(300 * time.Millisecond)
	var from, to float64
	p.do(chromedp.Evaluate("performance.now()", &from))
	moves := 0
	for begun := time.Now(); time.Since(begun) < 5*time.Second; moves++ {
		p.do(chromedp.MouseEvent(input.MouseMoved, x+150*math.Sin(time.Since(begun).Seconds()*2), y, chromedp.ButtonLeft))
		time.Sleep(4 * time.Millisecond)
	}
	p.do(chromedp.Evaluate("performance.now()", &to))
	p.do(chromedp.MouseEvent(input.MouseReleased, x, y, chromedp.ButtonLeft, chromedp.ClickCount(1)))
	time.Sleep(time.Second)
	var pictures, heard [][]any
	var sent []float64
	var long float64
	p.do(chromedp.Evaluate("window.pictures", &pictures), chromedp.Evaluate("window.sent", &sent), chromedp.Evaluate("window.heard", &heard), chromedp.Evaluate("window.long", &long))
	count := func(at func(i int) float64, n int) (c float64) {
		for i := range n {
			if t := at(i); t >= from && t <= to {
				c++
			}
		}
		return c
	}
	seconds := (to - from) / 1e3
	b.ReportMetric(count(func(i int) float64 { return pictures[i][0].(float64) }, len(pictures))/seconds, "pictures/s")
	b.ReportMetric(count(func(i int) float64 { return sent[i] }, len(sent))/seconds, "sent/s")
	b.ReportMetric(count(func(i int) float64 { return heard[i][0].(float64) }, len(heard))/seconds, "heard/s")
	b.ReportMetric(long/10/seconds, "%busy")
	b.ReportMetric(float64(moves)/seconds, "moves/s")
	var text string
	if err := p.try(output(0)+" + "+output(1), &text); err != nil {
		b.Fatal(err)
	}
	b.Log(text)
}
