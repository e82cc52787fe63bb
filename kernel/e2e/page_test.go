package e2e_test

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// patience is how long the page may take to show what it is to show. It is for slow machines: nothing waits longer than it must.
const patience = 40 * time.Second

// findJS defines find(selector, text), which returns the centre of the one element that a person would click on.
//
//go:embed testdata/find.js
var findJS string

// page is a browser's page that shows JupyterLab, and what a person does with it.
type page struct {
	t   testing.TB // of the step under way
	ctx context.Context
}

// openPage starts the browser with an empty profile.
func openPage(t testing.TB, browser, url string) *page {
	t.Helper()
	home := t.TempDir()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(browser), chromedp.UserDataDir(filepath.Join(home, "profile")), chromedp.Env("HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home),
		chromedp.NoSandbox, // the sandbox does not work for root, as which CI runs
		chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.WSURLReadTimeout(time.Minute),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true))
	allocator, stopBrowser := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, stopPage := chromedp.NewContext(allocator)
	t.Cleanup(func() { stopPage(); stopBrowser() })
	p := &page{t: t, ctx: ctx}
	if err := chromedp.Run(ctx); err != nil { // no more than a start: the browser lives as long as its first context
		t.Fatalf("%s: %v", browser, err)
	}
	p.do(chromedp.EmulateViewport(1280, 1200), chromedp.Navigate(url))
	return p
}

// step runs a part of the story, and takes a picture of its end. The parts build on one another: none follows one that failed.
func (p *page) step(name string, f func()) {
	outer := p.t.(*testing.T)
	ok := outer.Run(name, func(t *testing.T) {
		p.t = t
		defer p.picture(name)
		f()
	})
	p.t = outer
	if !ok {
		outer.FailNow()
	}
}

func (p *page) do(actions ...chromedp.Action) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		p.t.Fatalf("the browser: %v", err)
	}
}

// picture writes what the page looks like.
func (p *page) picture(name string) {
	p.t.Helper()
	var png []byte
	if err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot(&png)); err != nil {
		p.t.Errorf("no picture of %s: %v", name, err)
		return
	}
	if err := os.WriteFile(filepath.Join(pictures, name+".png"), png, 0o644); err != nil {
		p.t.Error(err)
	}
}

// try evaluates a JavaScript expression into v, which stays as it is where the expression fails.
func (p *page) try(expression string, v any) error {
	var text string
	err := chromedp.Run(p.ctx, chromedp.Evaluate("(() => {"+findJS+"; return JSON.stringify("+expression+") ?? 'null'})()", &text))
	if err != nil {
		return err
	}
	return json.Unmarshal([]byte(text), v)
}

// until waits until a JavaScript expression is true; what says what a person waits for.
func (p *page) until(what, expression string) {
	p.t.Helper()
	p.insist(what, expression, func() {})
}

// insist does it again every few seconds until the expression is true: JupyterLab waits for completions for one
// second, in which gopls may not be done with what it does once.
func (p *page) insist(what, expression string, do func()) {
	p.t.Helper()
	var ok bool
	var err error
	for n, end := 0, time.Now().Add(patience); time.Now().Before(end); n++ {
		if n%100 == 0 {
			do()
		}
		time.Sleep(30 * time.Millisecond)
		if err = p.try("!!("+expression+")", &ok); ok {
			return
		}
	}
	var text string
	_ = p.try("document.body.innerText", &text)
	p.t.Fatalf("the page does not show %s (%s, %v); it shows:\n%s", what, expression, err, text)
}

// at waits for an element and returns its centre. Text, unless empty, is (all of) what the element shows.
func (p *page) at(selector, text string) (x, y float64) {
	p.t.Helper()
	call := fmt.Sprintf("find(%s, %s)", quote(selector), quote(text))
	p.until(fmt.Sprintf("%q as %s", text, selector), call)
	var at struct{ X, Y float64 }
	if err := p.try(call, &at); err != nil {
		p.t.Fatal(err)
	}
	return at.X, at.Y
}

// click clicks on an element.
func (p *page) click(selector, text string) {
	p.t.Helper()
	x, y := p.at(selector, text)
	p.do(chromedp.MouseEvent(input.MouseMoved, x, y), chromedp.MouseClickXY(x, y))
}

// menu chooses from the menus at the top: menu("Run", "Run All Cells").
func (p *page) menu(names ...string) {
	p.t.Helper()
	p.click(".lm-MenuBar-itemLabel", names[0])
	for _, name := range names[1:] {
		p.click(".lm-Menu-itemLabel", name)
	}
}

// press presses one key.
func (p *page) press(key string, modifiers ...input.Modifier) {
	p.t.Helper()
	p.do(chromedp.KeyEvent(key, chromedp.KeyModifiers(modifiers...)))
}

// write types a line, key by key.
func (p *page) write(text string) {
	p.t.Helper()
	p.do(chromedp.KeyEvent(text))
}

// cell is the JavaScript of the cell that came n-th in the notebook.
func cell(n int) string {
	return fmt.Sprintf("document.querySelector('.jp-Notebook .jp-Cell[data-windowed-list-index=\"%d\"]')", n)
}

// output is the JavaScript of the text below a cell.
func output(n int) string {
	return fmt.Sprintf("(%s?.querySelector('.jp-Cell-outputWrapper')?.innerText ?? '')", cell(n))
}

// shows waits until a cell's output holds text.
func (p *page) shows(n int, text string) {
	p.t.Helper()
	p.until(fmt.Sprintf("%q below cell %d", text, n), fmt.Sprintf("%s.includes(%s)", output(n), quote(text)))
}

// prompt waits until a cell has that number, or "*" while it runs, or " ".
func (p *page) prompt(n int, want string) {
	p.t.Helper()
	p.until(fmt.Sprintf("[%s] beside cell %d", want, n), fmt.Sprintf("%s?.querySelector('.jp-InputPrompt')?.innerText.trim() === %s", cell(n), quote("["+want+"]:")))
}

// status waits until the status bar tells that of the kernel.
func (p *page) status(want string) {
	p.t.Helper()
	p.until("the kernel as "+want, fmt.Sprintf("document.querySelector('#jp-main-statusbar').innerText.includes(%s)", quote("Go (Gradbook) | "+want)))
}

// edit puts the cursor into a cell and replaces its text.
func (p *page) edit(n int, text string) {
	p.t.Helper()
	p.click(fmt.Sprintf(`.jp-Notebook .jp-Cell[data-windowed-list-index="%d"] .cm-content`, n), "")
	p.press("a", input.ModifierCtrl)
	p.press(kb.Delete)
	p.write(text)
}

// run replaces a cell's text and runs it, and stays in the cell.
func (p *page) run(n int, text string) {
	p.t.Helper()
	p.edit(n, text)
	p.press(kb.Enter, input.ModifierCtrl)
}

func quote(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings can be written as JSON
	}
	return string(text)
}
