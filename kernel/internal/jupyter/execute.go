package jupyter

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/gradbook/gradbook/kernel/internal/dialect"
	"github.com/gradbook/gradbook/kernel/internal/session"
)

// execution is the content of an execute_request.
type execution struct {
	Code            string            `json:"code"`
	Silent          bool              `json:"silent"`
	StoreHistory    *bool             `json:"store_history"`
	UserExpressions map[string]string `json:"user_expressions"`
	AllowStdin      bool              `json:"allow_stdin"`
	StopOnError     *bool             `json:"stop_on_error"`
}

// execute runs a cell.
func (k *kernel) execute(ctx context.Context, r *request) {
	var e execution
	if !k.read(r, &e) {
		return
	}
	metadata := map[string]any{"started": stamp(time.Now()), "dependencies_met": true, "engine": k.id}
	t := k.begin(r, &e)
	if !e.Silent {
		k.publish(message{kind: "execute_input", parent: r.raw, content: map[string]any{"code": e.Code, "execution_count": t.count}})
	}
	answer := map[string]any{"status": "ok", "payload": []any{}, "user_expressions": map[string]any{}}
	run, cancel := context.WithCancel(ctx)
	defer cancel()
	if strings.TrimSpace(e.Code) != "" || len(e.UserExpressions) > 0 {
		answer = k.runCell(ctx, run, cancel, &e, t)
	}
	answer["execution_count"] = t.count
	metadata["status"] = answer["status"]
	k.output.flush()
	failed := answer["status"] == "error"
	if failed && !e.Silent {
		k.publish(message{kind: "error", parent: r.raw, content: map[string]any{
			"ename": answer["ename"], "evalue": answer["evalue"], "traceback": answer["traceback"]}})
	}
	var aborted []*request
	if failed && (e.StopOnError == nil || *e.StopOnError) {
		aborted = r.queue.take(func(r *request) bool { return r.Type == "execute_request" })
	}
	k.replyWith(r, answer, metadata)
	for _, a := range aborted {
		k.busy(a)
		k.replyWith(a, map[string]any{"status": "aborted"}, map[string]any{"status": "aborted", "started": stamp(time.Now()), "engine": k.id})
		k.idle(a)
	}
}

// begin gives a cell its number and name.
func (k *kernel) begin(r *request, e *execution) *target {
	t := &target{origin: r.origin(), silent: e.Silent}
	t.origin.allowStdin = e.AllowStdin
	stored := !e.Silent && (e.StoreHistory == nil || *e.StoreHistory) && strings.TrimSpace(e.Code) != ""
	k.mu.Lock()
	t.count = k.count + 1
	if stored {
		k.count++
		t.name = fmt.Sprintf("cell %d", k.count)
	} else {
		k.quiet++
		t.name = fmt.Sprintf("unnumbered cell %d", k.quiet)
	}
	k.mu.Unlock()
	if stored {
		k.history.add(t.count, e.Code)
	}
	k.output.begin(t)
	return t
}

// runCell runs the cell and the expressions behind it, and returns the answer. life is the kernel's, run the cell's.
func (k *kernel) runCell(life, run context.Context, cancel context.CancelFunc, e *execution, t *target) map[string]any {
	k.mu.Lock()
	k.cancel, k.running, k.current, k.mute = cancel, run, t.origin, false
	k.mu.Unlock()
	defer func() {
		k.mu.Lock()
		k.cancel, k.running = nil, nil
		k.mu.Unlock()
	}()
	if page, ok := k.question(run, e.Code); ok {
		return map[string]any{"status": "ok", "payload": page, "user_expressions": map[string]any{}}
	}
	progress := &progressLine{k: k, t: t}
	s, err := k.program.get(run, life, progress.show)
	progress.end()
	if err != nil {
		if run.Err() != nil {
			return failure(session.InterruptError, "interrupted before it ran", []string{"interrupted before it ran"})
		}
		return failure("not started", firstLine(err.Error()), paint(strings.Split("the program cannot be started: "+err.Error(), "\n")))
	}
	var result session.Result
	if strings.TrimSpace(e.Code) != "" {
		result = s.Execute(run, session.Request{Text: e.Code, Name: t.name}, func(out session.Output) { k.output.add(t, out) })
	}
	if result.Status != session.OK {
		return k.failed(result)
	}
	values := map[string]any{}
	for name, expression := range e.UserExpressions {
		values[name] = k.evaluate(run, s, expression, t)
	}
	return map[string]any{"status": "ok", "payload": []any{}, "user_expressions": values}
}

// failed is the answer for a cell that did not come to its end.
func (k *kernel) failed(result session.Result) map[string]any {
	k.mu.Lock()
	mute := k.mute
	k.mute = false
	k.mu.Unlock()
	if mute && result.Status == session.Interrupted {
		text := "the program waits for input, and this front end gives none; it was interrupted (the variables are kept)"
		return failure("no input", text, paint([]string{text}))
	}
	lines := result.Traceback
	if len(lines) == 0 {
		lines = []string{result.Name + ": " + result.Message}
	}
	return failure(result.Name, result.Message, paint(lines))
}

// evaluate returns the value of one of the user_expressions.
func (k *kernel) evaluate(ctx context.Context, s Session, expression string, t *target) map[string]any {
	if err := dialect.Expression(expression); err != nil {
		return failure(session.CompileError, firstLine(err.Error()), []string{err.Error()})
	}
	k.mu.Lock()
	k.quiet++
	name := fmt.Sprintf("expression %d", k.quiet)
	k.mu.Unlock()
	value := map[string]any{"status": "ok", "data": map[string]any{}, "metadata": map[string]any{}}
	result := s.Execute(ctx, session.Request{Text: expression, Name: name}, func(out session.Output) {
		if out.Kind != session.Value {
			k.output.add(t, out)
			return
		}
		value["data"], value["metadata"] = out.Jupyter()
	})
	if result.Status != session.OK {
		return k.failed(result)
	}
	return value
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// progressLine shows in a cell how its wait is coming along, in one line that is written over.
type progressLine struct {
	k *kernel
	t *target

	mu    sync.Mutex // guards what follows
	width int
	last  time.Time
}

func (p *progressLine) show(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.last) < 300*time.Millisecond {
		return
	}
	p.last = time.Now()
	text := line
	if p.width > 0 {
		text = "\r" + line + strings.Repeat(" ", max(0, p.width-len(line)))
	}
	p.width = len(line)
	p.k.output.add(p.t, session.Output{Kind: session.Stream, Name: "stderr", Text: text})
}

func (p *progressLine) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.width > 0 {
		p.k.output.add(p.t, session.Output{Kind: session.Stream, Name: "stderr", Text: "\n"})
	}
}

// ask gets a line of input from the front end whose cell is running.
func (k *kernel) ask(prompt string, password bool) (string, error) {
	answer := make(chan string, 1)
	k.mu.Lock()
	origin, run, cancel := k.current, k.running, k.cancel
	if run == nil {
		k.mu.Unlock()
		return "", errors.New("no cell is running that a front end could be asked for")
	}
	k.asking = answer
	k.mu.Unlock()
	defer func() {
		k.mu.Lock()
		k.asking = nil
		k.mu.Unlock()
	}()
	sent := false
	if origin.allowStdin {
		k.output.flush()
		sent = k.stdin.send(string(origin.ids[0]), k.frames(origin.ids[1:], message{
			kind: "input_request", parent: origin.header, content: map[string]any{"prompt": prompt, "password": password}}))
	}
	if !sent { // the program would wait for ever
		k.mu.Lock()
		k.mute = true
		k.mu.Unlock()
		cancel()
		return "", errors.New("the front end gives no input")
	}
	select {
	case line := <-answer:
		return line, nil
	case <-run.Done():
		return "", run.Err()
	}
}

// answered takes what the user has typed.
func (k *kernel) answered(r *request) {
	var content struct {
		Value string `json:"value"`
	}
	if r.Type != "input_reply" || !k.read(r, &content) {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.asking != nil {
		select {
		case k.asking <- content.Value:
		default:
		}
	}
}
