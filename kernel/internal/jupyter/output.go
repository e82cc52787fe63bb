package jupyter

import (
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/gradbook/gradbook/kernel/internal/session"
)

// What is printed is collected for batchTime or up to batchSize bytes, whichever comes first.
const (
	batchTime = 20 * time.Millisecond
	batchSize = 64 << 10
)

// target is a cell, as far as its outputs are concerned.
type target struct {
	name   string
	origin *origin
	silent bool
	count  int
}

// output sends what the program shows, in order. The program waits while a front end is slow in taking it.
type output struct {
	k *kernel

	mu      sync.Mutex // held while a message waits for its front ends, so that the order is kept
	cells   map[string]*target
	names   []string // of cells, oldest first
	last    *target
	to      *target // of pending
	name    string  // of the stream that pending is of
	pending strings.Builder
	cut     map[string]string // the first bytes of a character, by stream, whose others are yet to come
	timer   *time.Timer
	closed  bool
}

// maxCells is how many cells are known by name, to show below them what their goroutines print.
const maxCells = 10000

func newOutput(k *kernel) *output {
	return &output{k: k, cells: map[string]*target{}, cut: map[string]string{}}
}

// begin makes a cell known.
func (o *output) begin(t *target) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.names) == maxCells {
		delete(o.cells, o.names[0])
		o.names = o.names[1:]
	}
	o.cells[t.name], o.last = t, t
	o.names = append(o.names, t.name)
}

// add takes one output of a cell; t is nil for one that came while none ran.
func (o *output) add(t *target, out session.Output) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if t == nil {
		t = o.last
	}
	if from := o.cells[out.From]; from != nil {
		t = from
	}
	if t == nil || t.silent || o.closed {
		return
	}
	if out.Kind == session.Stream {
		o.stream(t, out.Name, out.Text)
		return
	}
	o.send(true)
	data, metadata := out.Jupyter()
	content := map[string]any{"data": data, "metadata": metadata}
	if out.DisplayID != "" {
		content["transient"] = map[string]any{"display_id": out.DisplayID}
	}
	kind := "display_data"
	switch out.Kind {
	case session.Update:
		kind = "update_display_data"
	case session.Value:
		kind = "execute_result"
		content["execution_count"] = t.count
	case session.Clear:
		kind, content = "clear_output", map[string]any{"wait": out.Wait}
	}
	o.publish(t, kind, content)
}

func (o *output) stream(t *target, name, text string) {
	if o.pending.Len() > 0 && (o.to != t || o.name != name) {
		o.send(false)
	}
	o.to, o.name = t, name
	text, o.cut[name] = splitRune(o.cut[name] + text)
	o.pending.WriteString(text)
	switch {
	case o.pending.Len() >= batchSize:
		o.send(false)
	case o.timer == nil:
		o.timer = time.AfterFunc(batchTime, o.late)
	}
}

// late sends what has been collected for long enough.
func (o *output) late() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.timer = nil
	o.send(false)
}

// flush sends all that is there.
func (o *output) flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.send(true)
}

// send sends what is pending, and where whole is set also the beginnings of characters.
func (o *output) send(whole bool) {
	if o.pending.Len() > 0 {
		text := o.pending.String()
		o.pending.Reset()
		o.publish(o.to, "stream", map[string]any{"name": o.name, "text": text})
	}
	if !whole {
		return
	}
	for name, text := range o.cut {
		delete(o.cut, name)
		if text != "" && o.to != nil {
			o.publish(o.to, "stream", map[string]any{"name": name, "text": text})
		}
	}
}

func (o *output) publish(t *target, kind string, content map[string]any) {
	o.k.iopub.await()
	o.k.publish(message{kind: kind, parent: t.origin.header, content: content})
}

// between sends something of another kind at its place among the outputs.
func (o *output) between(send func(last *target)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.send(true)
	o.k.iopub.await()
	send(o.last)
}

// close sends what is there without waiting, and drops all that comes later.
func (o *output) close() {
	o.k.iopub.release()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.send(true)
	o.closed = true
}

// splitRune cuts off the beginning of a character that the text's end has cut.
func splitRune(s string) (whole, begun string) {
	for n := 1; n < utf8.UTFMax && n <= len(s); n++ {
		c := s[len(s)-n]
		if utf8.RuneStart(c) {
			if c >= utf8.RuneSelf && !utf8.FullRuneInString(s[len(s)-n:]) {
				return s[:len(s)-n], s[len(s)-n:]
			}
			break
		}
	}
	return s, ""
}

var (
	place = regexp.MustCompile(`^(\s*)((?:unnumbered )?(?:cell|expression) \d+(?:, line \d+|:\d+(?::\d+)?)?)(.*)$`)
	caret = regexp.MustCompile(`^(\s*)(\^+)$`)
)

// paint sets off the lines of an error: what happened is bold, and places in the one colour that can be read on the background which
// JupyterLab gives errors, on its light and on its dark theme.
func paint(lines []string) []string {
	const bold, cyan, plain = "\x1b[1m", "\x1b[1;36m", "\x1b[0m"
	out := make([]string, len(lines))
	for i, line := range lines {
		switch m := place.FindStringSubmatch(line); {
		case m != nil:
			out[i] = m[1] + cyan + m[2] + plain + m[3]
		case caret.MatchString(line):
			out[i] = caret.ReplaceAllString(line, "$1"+bold+"$2"+plain)
		case i == 0:
			head, rest, found := strings.Cut(line, ": ")
			if found && !strings.Contains(head, " ") {
				out[i] = bold + head + plain + ": " + rest
			} else {
				out[i] = bold + line + plain
			}
		default:
			out[i] = line
		}
	}
	return out
}
