package experiment

import (
	"fmt"
	"html"
	"os"
	"sync"
	"time"

	"github.com/janpfeifer/gonb/gonbui"

	"github.com/gradbook/gradbook/pkg/display"
)

// progress is a bar: in a notebook (Gradbook's or GoNB's) a display that is updated, in a terminal one line, elsewhere (tests, pipes) nothing.
type progress struct {
	name     string
	total    int
	notebook bool
	terminal bool

	mu     sync.Mutex
	handle *display.Handle // guarded by mu; nil before something was shown
	last   time.Time       // guarded by mu
	ended  bool            // guarded by mu
}

// pause is the least time between two pictures of a bar.
const pause = 100 * time.Millisecond

func newProgress(name string, total int, quiet bool) *progress {
	p := &progress{name: name, total: total}
	if quiet {
		return p
	}
	p.notebook = os.Getenv("GRADBOOK_PIPE") != "" || gonbui.IsNotebook
	if info, err := os.Stderr.Stat(); err == nil && !p.notebook {
		p.terminal = info.Mode()&os.ModeCharDevice != 0
	}
	return p
}

// due reports whether a picture would be shown now: to make its words costs time, too.
func (p *progress) due() bool {
	if !p.notebook && !p.terminal {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.ended && time.Since(p.last) >= pause
}

// set shows how far it is.
func (p *progress) set(value int, words string) {
	if p.due() {
		p.show(value, words, false)
	}
}

// end shows the last words in the bar's place.
func (p *progress) end(words string) {
	if p.notebook || p.terminal {
		p.show(p.total, words, true)
	}
}

func (p *progress) show(value int, words string, last bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	p.last, p.ended = time.Now(), last
	text := p.name + ": " + words
	if p.terminal {
		fmt.Fprintf(os.Stderr, "\r\033[K%s", text)
		if last {
			fmt.Fprintln(os.Stderr)
		}
		return
	}
	view := bar{text, fmt.Sprintf(`<progress max="%d" value="%d" style="vertical-align:middle"></progress> <span>%s</span>`, p.total, value, html.EscapeString(text))}
	if last {
		view.page = fmt.Sprintf("<span>%s</span>", html.EscapeString(text))
	}
	if p.handle == nil {
		p.handle = display.Show(view)
		return
	}
	p.handle.Update(view)
}

// bar is a picture of a progress.
type bar struct{ text, page string }

func (b bar) MIMEBundle() map[string]any {
	return map[string]any{"text/plain": b.text, "text/html": b.page}
}

// remaining is a guess in words, "" if it is under a second.
func remaining(left time.Duration) string {
	if left < time.Second {
		return ""
	}
	return ", about " + round(left) + " left"
}

// round prints a duration with the digits that matter.
func round(d time.Duration) string {
	switch {
	case d >= time.Minute:
		return d.Round(time.Second).String()
	case d >= time.Second:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Millisecond).String()
}
