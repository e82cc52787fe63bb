package jupyter

import (
	"context"
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"unicode/utf8"

	"github.com/gradbook/gradbook/kernel/internal/dialect"
	"github.com/gradbook/gradbook/kernel/internal/session"
	"github.com/gradbook/gradbook/kernel/internal/version"
)

func (k *kernel) kernelInfo(_ context.Context, r *request) {
	link := func(text, url string) map[string]any { return map[string]any{"text": text, "url": url} }
	k.reply(r, map[string]any{
		"status":                 "ok",
		"protocol_version":       protocolVersion,
		"implementation":         "gradbook",
		"implementation_version": version.Number,
		"banner": "Gradbook " + version.Number + ": Go notebooks whose program stays alive between cells (" + runtime.Version() + ")\n" +
			"%help lists the special commands.",
		"debugger":           false,
		"supported_features": []string{"kernel subshells"},
		"help_links": []any{
			link("Gradbook", "https://github.com/gradbook/gradbook"),
			link("The Go language", "https://go.dev/ref/spec"),
			link("Go's standard library", "https://pkg.go.dev/std"),
			link("GoMLX", "https://pkg.go.dev/github.com/gomlx/gomlx"),
		},
		"language_info": map[string]any{
			"name":               "go",
			"version":            strings.TrimPrefix(runtime.Version(), "go"),
			"mimetype":           "text/x-go",
			"file_extension":     ".go",
			"pygments_lexer":     "go",
			"codemirror_mode":    "go",
			"nbconvert_exporter": "script",
		},
	})
}

// connect answers an old request, which some clients still send.
func (k *kernel) connect(_ context.Context, r *request) {
	answer := map[string]any{"status": "ok"}
	for _, p := range k.conn.ports() {
		answer[p.name] = *p.number
	}
	k.reply(r, answer)
}

func (k *kernel) debug(_ context.Context, r *request) {
	var content struct {
		Seq     int    `json:"seq"`
		Command string `json:"command"`
	}
	if !k.read(r, &content) {
		return
	}
	k.reply(r, map[string]any{
		"type": "response", "request_seq": content.Seq, "command": content.Command, "success": false,
		"message": "Gradbook has no debugger for notebooks",
	})
}

func (k *kernel) isComplete(_ context.Context, r *request) {
	var content struct {
		Code string `json:"code"`
	}
	if !k.read(r, &content) {
		return
	}
	state, indent := dialect.Complete(content.Code)
	answer := map[string]any{"status": state}
	if state == dialect.Incomplete {
		answer["indent"] = indent
	}
	k.reply(r, answer)
}

// offset turns the protocol's cursor position, which counts code points, into bytes.
func offset(code string, pos int) int {
	for i := range code {
		if pos <= 0 {
			return i
		}
		pos--
	}
	return len(code)
}

// position is what offset turns back.
func position(code string, off int) int {
	return utf8.RuneCountInString(code[:max(0, min(off, len(code)))])
}

func (k *kernel) complete(ctx context.Context, r *request) {
	content := struct {
		Code   string `json:"code"`
		Cursor *int   `json:"cursor_pos"`
	}{}
	if !k.read(r, &content) {
		return
	}
	at := len(content.Code)
	if content.Cursor != nil {
		at = offset(content.Code, *content.Cursor)
	}
	c := Completion{Start: at, End: at}
	if a := k.program.assistant(); a != nil {
		found, err := a.Complete(ctx, content.Code, at)
		if err != nil {
			k.replyError(r, fmt.Errorf("no completion: %w", err))
			return
		}
		c = found
	}
	start, end := position(content.Code, c.Start), position(content.Code, c.End)
	matches, types := []string{}, []any{}
	for _, m := range c.Matches {
		matches = append(matches, m.Text)
		types = append(types, map[string]any{"text": m.Text, "type": m.Type, "signature": m.Signature, "start": start, "end": end})
	}
	k.reply(r, map[string]any{
		"status": "ok", "matches": matches, "cursor_start": start, "cursor_end": end,
		"metadata": map[string]any{"_jupyter_types_experimental": types},
	})
}

func (k *kernel) inspect(ctx context.Context, r *request) {
	content := struct {
		Code   string `json:"code"`
		Cursor *int   `json:"cursor_pos"`
		Detail int    `json:"detail_level"`
	}{}
	if !k.read(r, &content) {
		return
	}
	at := len(content.Code)
	if content.Cursor != nil {
		at = offset(content.Code, *content.Cursor)
	}
	var found Inspection
	if a := k.program.assistant(); a != nil {
		var err error
		if found, err = a.Inspect(ctx, content.Code, at, content.Detail); err != nil {
			k.replyError(r, fmt.Errorf("no inspection: %w", err))
			return
		}
	}
	data, metadata := session.Output{Data: found.Data}.Jupyter()
	k.reply(r, map[string]any{"status": "ok", "found": len(data) > 0, "data": data, "metadata": metadata})
}

var question = regexp.MustCompile(`^\s*(?:(\?{1,2})\s*([\pL_][\pL\pN_.]*)|([\pL_][\pL\pN_.]*)(\?{1,2}))\s*$`)

// question answers a cell that is a name with a question mark (no Go is), by a text for the pager.
func (k *kernel) question(ctx context.Context, code string) (payload []any, ok bool) {
	m, a := question.FindStringSubmatch(code), k.program.assistant()
	if m == nil || a == nil {
		return nil, false
	}
	name, marks := m[2]+m[3], m[1]+m[4]
	found, err := a.Inspect(ctx, name, len(name), len(marks)-1)
	data, _ := session.Output{Data: found.Data}.Jupyter()
	if err != nil || len(data) == 0 {
		data = map[string]any{"text/plain": "nothing is known of " + name}
	}
	return []any{map[string]any{"source": "page", "data": data, "start": 0}}, true
}
