package jupyter

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
)

// history keeps the cells that were run in a file of JSON lines, which the user's kernels share.
type history struct {
	path string
	log  func(string, ...any)

	mu      sync.Mutex
	session int     // this kernel's number; 0 until its first cell
	own     []entry // of this kernel, for when the file cannot be written
	failed  bool    // and that was logged
}

// entry is one line of the file.
type entry struct {
	Session int    `json:"session"`
	Line    int    `json:"line"`
	Input   string `json:"input"`
}

// maxHistory is the size at which a history file loses its older half.
const maxHistory = 4 << 20

func openHistory(path string, log func(string, ...any)) *history {
	return &history{path: path, log: log}
}

// add keeps a cell.
func (h *history) add(line int, input string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := entry{Session: max(h.session, 1), Line: line, Input: input}
	if err := h.write(&e); err != nil && !h.failed {
		h.failed = true
		h.log("the history is not kept on disk: %v", err)
	}
	h.session = e.Session
	h.own = append(h.own, e)
}

// write adds an entry to the file. The first one of a kernel gets the next session number.
func (h *history) write(e *entry) error {
	if h.path == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(h.path), 0o700); err != nil {
		return err
	}
	lock, err := os.OpenFile(h.path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close() // which unlocks it
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	if h.session == 0 {
		all, err := h.read()
		if err != nil {
			return err
		}
		e.Session = 1
		if len(all) > 0 {
			e.Session = all[len(all)-1].Session + 1
		}
		for _, o := range all {
			e.Session = max(e.Session, o.Session+1)
		}
	}
	if err := h.shrink(); err != nil {
		return err
	}
	f, err := os.OpenFile(h.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(encodeJSON(e), '\n'))
	return errors.Join(err, f.Close())
}

// shrink removes the older half of a file that has become too large.
func (h *history) shrink() error {
	info, err := os.Stat(h.path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() < maxHistory {
		return nil
	}
	text, err := os.ReadFile(h.path)
	if err != nil {
		return err
	}
	text = text[len(text)/2:]
	text = text[bytes.IndexByte(text, '\n')+1:]
	if err := os.WriteFile(h.path+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(h.path+".new", h.path)
}

// read returns what the file holds; lines that are not entries are passed over.
func (h *history) read() ([]entry, error) {
	if h.path == "" {
		return h.own, nil
	}
	text, err := os.ReadFile(h.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var all []entry
	lines := bufio.NewReader(bytes.NewReader(text))
	for {
		line, err := lines.ReadBytes('\n')
		var e entry
		if json.Unmarshal(line, &e) == nil && e.Session > 0 {
			all = append(all, e)
		}
		if err != nil {
			return all, nil
		}
	}
}

// all returns every entry, this kernel's last.
func (h *history) all() []entry {
	h.mu.Lock()
	defer h.mu.Unlock()
	stored, err := h.read()
	if err != nil || h.failed {
		return h.own
	}
	var others []entry
	for _, e := range stored {
		if e.Session != h.session {
			others = append(others, e)
		}
	}
	return append(others, h.own...)
}

// historyQuery is the content of a history_request.
type historyQuery struct {
	Output  bool   `json:"output"`
	Access  string `json:"hist_access_type"`
	Session int    `json:"session"`
	Start   int    `json:"start"`
	Stop    *int   `json:"stop"`
	N       *int   `json:"n"`
	Pattern string `json:"pattern"`
	Unique  bool   `json:"unique"`
}

func (k *kernel) historyRequest(_ context.Context, r *request) {
	var q historyQuery
	if !k.read(r, &q) {
		return
	}
	entries := []any{}
	for _, e := range k.history.find(q) {
		var text any = e.Input
		if q.Output {
			text = []any{e.Input, nil} // outputs are not kept
		}
		entries = append(entries, []any{e.Session, e.Line, text})
	}
	k.reply(r, map[string]any{"status": "ok", "history": entries})
}

// find answers a query.
func (h *history) find(q historyQuery) []entry {
	all := h.all()
	keep := func(wanted func(entry) bool) {
		var kept []entry
		for _, e := range all {
			if wanted(e) {
				kept = append(kept, e)
			}
		}
		all = kept
	}
	switch q.Access {
	case "range":
		h.mu.Lock()
		number := q.Session
		if number <= 0 { // counted back from this one
			number += h.session
		}
		h.mu.Unlock()
		keep(func(e entry) bool {
			return e.Session == number && e.Line >= q.Start && (q.Stop == nil || e.Line < *q.Stop)
		})
		return all
	case "search":
		glob := globPattern(q.Pattern)
		keep(func(e entry) bool { return glob.MatchString(e.Input) })
		if q.Unique { // the last of each
			last := map[string]int{}
			for i, e := range all {
				last[e.Input] = i
			}
			i := -1
			keep(func(e entry) bool { i++; return last[e.Input] == i })
		}
	case "tail":
	default:
		return nil
	}
	if q.N != nil && *q.N < len(all) {
		all = all[len(all)-max(0, *q.N):]
	}
	return all
}

// globPattern turns a pattern with *, ? and [sets] into a regular expression. Without a pattern all is found.
func globPattern(glob string) *regexp.Regexp {
	if glob == "" {
		glob = "*"
	}
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	for i := 0; i < len(glob); i++ {
		switch c := glob[i]; c {
		case '*':
			b.WriteString(".*")
		case '?':
			b.WriteString(".")
		case '[':
			set, n := globSet(glob[i:])
			b.WriteString(set)
			i += n - 1
		default:
			b.WriteString(regexp.QuoteMeta(glob[i : i+1]))
		}
	}
	p, err := regexp.Compile(b.String() + `\z`)
	if err != nil { // a set such as [z-a]: then it stands for itself
		return regexp.MustCompile(`(?s)\A` + regexp.QuoteMeta(glob) + `\z`)
	}
	return p
}

// globSet turns the set that a pattern begins with into one of a regular expression; n is its length in the pattern.
func globSet(glob string) (set string, n int) {
	begin := 1
	if strings.HasPrefix(glob[1:], "^") {
		begin++
	}
	end := -1
	if begin < len(glob) {
		end = strings.IndexByte(glob[begin+1:], ']') // the first one may be a member
	}
	if end < 0 {
		return `\[`, 1
	}
	end += begin + 1
	members := strings.NewReplacer(`\`, `\\`, `[`, `\[`, `]`, `\]`, `^`, `\^`).Replace(glob[begin:end])
	return glob[:begin] + members + "]", end + 1
}
