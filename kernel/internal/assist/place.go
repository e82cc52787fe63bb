package assist

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// position is a place in a text as the language server protocol counts: lines, and UTF-16 code units, from 0.
type position struct {
	Line      int `json:"line"`
	Character int `json:"character"`
}

// span is a stretch of a text.
type span struct {
	Start position `json:"start"`
	End   position `json:"end"`
}

// positionOf returns the position of a byte offset.
func positionOf(text string, off int) position {
	before := text[:min(max(off, 0), len(text))]
	start := strings.LastIndexByte(before, '\n') + 1
	n := 0
	for _, r := range before[start:] {
		n += utf16Len(r)
	}
	return position{strings.Count(before, "\n"), n}
}

// offsetOf is the inverse of positionOf; a place beyond the end of its line is that end.
func offsetOf(text string, p position) int {
	off := 0
	for range p.Line {
		i := strings.IndexByte(text[off:], '\n')
		if i < 0 {
			return len(text)
		}
		off += i + 1
	}
	n := 0
	for i, r := range text[off:] {
		if n >= p.Character || r == '\n' {
			return off + i
		}
		n += utf16Len(r)
	}
	return len(text)
}

func utf16Len(r rune) int { return max(utf16.RuneLen(r), 1) }

// wordAt returns the letters, digits and underscores around an offset.
func wordAt(text string, off int) (lo, hi int) {
	lo, hi = off, off
	for lo > 0 {
		r, n := utf8.DecodeLastRuneInString(text[:lo])
		if !letter(r) {
			break
		}
		lo -= n
	}
	for hi < len(text) {
		r, n := utf8.DecodeRuneInString(text[hi:])
		if !letter(r) {
			break
		}
		hi += n
	}
	return lo, hi
}
