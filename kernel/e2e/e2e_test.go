// Package e2e_test drives JupyterLab in a browser, as a person would, with the kernel behind it. What counts is what the page shows.
// It knows the program by its command line only, and the kernel not at all.
//
// TestCourse, which runs only where it is asked for (-course all), goes through the notebooks of the course in the same way.
//
// Each step leaves a picture in build/e2e. Without Chromium, or without JupyterLab and the network to
// install it from, the test is skipped.
package e2e_test

import (
	"fmt"
	"os/exec"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// Cells of testdata/notebooks/tour.ipynb, from the top.
const (
	cellTypes = iota + 1
	cellValue
	cellPlot
	cellPanic
	cellNet
	cellSlider
	cellEmpty
)

func TestJupyterLab(t *testing.T) {
	browser := chromium(t)
	l := openLab(t)
	p := openPage(t, browser, l.notebook("tour.ipynb"))
	for _, step := range []struct {
		name string
		do   func()
	}{
		{"01-open", p.open},
		{"02-run-all", func() { p.menu("Run", "Run All Cells"); p.all(1) }},
		{"03-panic", p.panics},
		{"04-complete", p.complete},
		{"05-inspect", p.inspect},
		{"06-slider", func() { p.slide(60) }},
		{"07-reload", p.reload},
		{"08-interrupt", p.interrupt},
		{"09-input", p.input},
		{"10-restart", p.restart},
		{"11-gone", p.gone},
		{"12-dark", p.dark},
		{"13-launcher", p.launcher},
	} {
		p.step(step.name, step.do)
	}
}

// chromium finds the browser.
func chromium(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("no Chromium: install it (Debian, Ubuntu: apt install chromium) to have JupyterLab tested as a person uses it")
	return ""
}

// open waits for the notebook, with a kernel and Go's colours.
func (p *page) open() {
	p.until("the notebook", cell(cellTypes))
	p.click(".jp-RenderedMarkdown h1", "A tour") // the status bar speaks of what was clicked last
	p.status("Idle")
	p.prompt(cellTypes, " ")
	p.until("keywords in a colour of their own", fmt.Sprintf(`(() => {
		const spans = [...%s.querySelectorAll('.cm-line span')], colour = e => getComputedStyle(e).color
		const word = spans.find(e => e.innerText === 'func'), comment = spans.find(e => e.innerText.startsWith('//'))
		const plain = colour(word.closest('.cm-line'))
		return colour(word) !== plain && colour(comment) !== plain && colour(word) !== colour(comment)
	})()`, cell(cellTypes)))
}

// all looks at the whole notebook after it ran, its first cell as number first.
func (p *page) all(first int) {
	for n := range cellEmpty - cellTypes {
		p.prompt(cellTypes+n, fmt.Sprint(first+n))
	}
	p.shows(cellValue, "the last layer has 168 weights")
	p.until("a table", fmt.Sprintf(`[...%s.querySelectorAll('table td')].map(e => e.innerText).join() === '3,4,4,42'`, cell(cellValue)))
	p.sine(cellPlot)
	p.shows(cellPanic, "index out of range [43] with length 2")
	p.shows(cellNet, "[3]float32{0.1192, 0.5, 0.8808}")
	p.sine(cellSlider)
	p.status("Idle")
}

// sine looks for a sine of three periods.
func (p *page) sine(n int) {
	p.t.Helper()
	p.until("a plot of 3 periods", plotted(n)+" === '3 periods'")
	p.until("a plot of some size", cell(n)+".querySelector('.jp-Cell-outputWrapper svg').getBoundingClientRect().width > 200")
}

// plotted is the JavaScript of the title that the plot below a cell has.
func plotted(n int) string {
	return fmt.Sprintf("[...(%s?.querySelectorAll('.jp-Cell-outputWrapper svg text') ?? [])].map(e => e.textContent).find(s => s.endsWith('periods'))", cell(n))
}

// panics looks at the trace: places in the notebook with their lines, and no one else's.
func (p *page) panics() {
	p.do(chromedp.Evaluate(cell(cellPanic)+".scrollIntoView()", nil))
	p.until("the trace", output(cellPanic)+".trim().replace(/\\s+/g, ' ') === "+quote(`panic: runtime error: index out of range [43] with length 2 `+
		`cell 4, line 3, in deeper return net[width].Weights() `+
		`cell 4, line 5, in deeper return deeper(n-1) + 1 cell 4, line 5, in deeper return deeper(n-1) + 1 `+
		`cell 4, line 10 deeper(2)`))
}

func (p *page) complete() {
	p.edit(cellEmpty, "net[1].")
	p.insist("completions", "find('.jp-Completer-item code', 'In')", func() { p.press(kb.Tab) })
	p.at(".jp-Completer-item code", "Out")
	p.picture("04-complete-list")
	p.click(".jp-Completer-item code", "Weights")
	p.write("()")
	p.press(kb.Enter, input.ModifierCtrl)
	p.shows(cellEmpty, "168")
}

func (p *page) inspect() {
	tooltip := func() { p.press(kb.Tab, input.ModifierShift) }
	p.edit(cellEmpty, "net[1].Weights")
	p.insist("the comment of Weights", "document.querySelector('.jp-Tooltip')?.innerText.includes('how many numbers the layer learns')", tooltip)
	p.picture("05-inspect-method")
	p.press(kb.Escape)
	p.edit(cellEmpty, "width")
	p.insist("the type of width", "document.querySelector('.jp-Tooltip')?.innerText.includes('var width int')", tooltip)
	p.press(kb.Escape)
}

// slide moves the slider's thumb by so many pixels; the plot follows before the button is let go.
func (p *page) slide(by float64) {
	p.until("a plot", plotted(cellSlider))
	was := 0
	if err := p.try("parseInt("+plotted(cellSlider)+")", &was); err != nil {
		p.t.Fatal(err)
	}
	x, y := p.at(fmt.Sprintf(`.jp-Cell[data-windowed-list-index="%d"] .noUi-handle`, cellSlider), "")
	p.do(chromedp.MouseEvent(input.MouseMoved, x, y), chromedp.MouseEvent(input.MousePressed, x, y, chromedp.ButtonLeft, chromedp.ClickCount(1)))
	for range 20 {
		x += by / 20
		p.do(chromedp.MouseEvent(input.MouseMoved, x, y, chromedp.ButtonLeft))
	}
	moved := map[bool]string{true: ">", false: "<"}[by > 0]
	p.until("another plot", fmt.Sprintf("parseInt(%s) %s %d", plotted(cellSlider), moved, was))
	p.picture("06-slider-held")
	p.do(chromedp.MouseEvent(input.MouseReleased, x, y, chromedp.ButtonLeft, chromedp.ClickCount(1)))
	p.until("the plot of the slider's number", fmt.Sprintf("parseInt(%s) === parseInt(%s.querySelector('.widget-readout').innerText)", plotted(cellSlider), cell(cellSlider)))
}

// reload saves, loads the page again, and finds the slider with its program still behind it.
func (p *page) reload() {
	p.press("s", input.ModifierCtrl)
	p.until("a notebook that is saved", "!document.querySelector('.jp-mod-current.jp-mod-dirty')")
	p.do(chromedp.Reload())
	p.status("Idle")
	p.slide(-40)
}

// interrupt ends an endless loop, and the variables are as the loop left them.
func (p *page) interrupt() {
	p.run(cellEmpty, `fmt.Println("counting"); for { width++ }`)
	p.shows(cellEmpty, "counting")
	p.prompt(cellEmpty, "*")
	p.status("Busy")
	p.click("[data-jp-item-name=interrupt] jp-button", "")
	p.shows(cellEmpty, "interrupted (the variables are kept)")
	p.status("Idle")
	p.picture("08-interrupt-done")
	p.run(cellEmpty, "width > 43")
	p.shows(cellEmpty, "true")
}

// input answers a program that reads its standard input.
func (p *page) input() {
	p.run(cellEmpty, `var name string; fmt.Print("Who is there? "); fmt.Scanln(&name); fmt.Println("hello", name)`)
	p.click("input.jp-Stdin-input", "")
	p.write("gopher")
	p.picture("09-input-asked")
	p.press(kb.Enter)
	p.shows(cellEmpty, "hello gopher")
	p.status("Idle")
}

// restart starts the kernel anew by the toolbar, after which nothing is known, and runs all.
func (p *page) restart() {
	p.click("[data-jp-item-name=restart] jp-button", "")
	p.at(".jp-Dialog-header", "Restart Kernel?")
	p.picture("10-restart-dialog")
	p.click(".jp-Dialog-button", "Restart")
	p.until("the slider as one whose program is gone", disconnected)
	p.status("Idle")
	p.run(cellEmpty, "width")
	p.shows(cellEmpty, "undefined: width")
	p.picture("10-restart-undefined")
	p.menu("Run", "Run All Cells")
	p.all(2)
}

// disconnected is the JavaScript that tells whether the slider looks like one whose program is gone.
var disconnected = cell(cellSlider) + "?.querySelector('.jupyter-widgets-disconnected')"

// gone ends the program below the kernel: its slider looks as after a restart, and what it drew stays.
func (p *page) gone() {
	p.until("a slider with a program", "!"+disconnected)
	p.run(cellEmpty, "os.Exit(3)")
	p.shows(cellEmpty, "the live program has ended")
	p.until("the slider as one whose program is gone", disconnected)
	p.until("the plot that it drew", plotted(cellSlider))
	p.picture("11-gone-exit")
	p.edit(cellEmpty, "1")
	p.menu("Run", "Run All Cells")
	p.all(10)
	p.until("a slider with a program", "!"+disconnected)
}

// dark looks at it all in the dark theme.
func (p *page) dark() {
	p.menu("Settings", "Theme", "JupyterLab Dark")
	p.until("the dark theme", "document.body.dataset.jpThemeLight === 'false' && !document.querySelector('#jupyterlab-splash')")
	for n, name := range []string{cellValue: "value", cellPanic: "panic"} {
		if name != "" {
			p.do(chromedp.Evaluate(cell(n)+".scrollIntoView()", nil))
			p.picture("12-dark-" + name)
		}
	}
	p.readable()
	p.menu("Settings", "Theme", "JupyterLab Light")
	p.until("the light theme", "document.body.dataset.jpThemeLight === 'true' && !document.querySelector('#jupyterlab-splash')")
	p.readable()
}

// readable looks whether the text below cells stands out from its background.
func (p *page) readable() {
	p.t.Helper()
	list := []string{"nothing was looked at"}
	if err := p.try("unreadable('.jp-OutputArea-output')", &list); err != nil || len(list) > 0 {
		p.t.Errorf("hard to read, by their contrast: %q %v", list, err)
	}
}

// launcher finds the kernel, with its logo, where new notebooks are made, and looks at a value in a new one.
func (p *page) launcher() {
	p.menu("File", "New Launcher")
	const card, here = `.jp-LauncherCard[data-category="Notebook"]`, ".jp-NotebookPanel:not(.lm-mod-hidden)"
	p.at(card, "Go (Gradbook)")
	p.until("the logo", "[...document.querySelectorAll("+quote(card+" img")+")].some(e => e.src.includes('/gradbook/') && e.naturalWidth > 0)")
	p.picture("13-launcher-card")
	p.click(card, "Go (Gradbook)")
	p.until("an empty notebook", "document.querySelectorAll("+quote(here+" .jp-CodeCell")+").length === 1")
	p.status("Idle")
	p.click(here+" .cm-content", "")
	p.write("big := 1 << 20")
	p.press(kb.Enter, input.ModifierShift)
	p.until("a second cell, and the first one run", "[...document.querySelectorAll("+quote(here+" .jp-InputPrompt")+")].map(e => e.innerText.trim()).join() === '[1]:,[ ]:'")
	p.write("big")
	p.insist("the value of big", "document.querySelector('.jp-Tooltip')?.innerText.includes('1048576')", func() { p.press(kb.Tab, input.ModifierShift) })
}
