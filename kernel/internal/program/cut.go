package program

import (
	"go/scanner"
	"go/token"
)

// chunkKind says what a chunk of a cell's text holds.
type chunkKind int

const (
	stmtChunk    chunkKind = iota // statements, any number
	packageChunk                  // one package clause
	importChunk                   // one import declaration
	constChunk                    // one const declaration
	typeChunk                     // one type declaration
	varChunk                      // one var declaration
	funcChunk                     // one function or method
)

// chunk is a stretch of a cell's text. The chunks of a cell, joined, are the text.
type chunk struct {
	kind       chunkKind
	start, end int // byte offsets
	first      int // offset of the first token; end if there is none
}

// lexeme is one token of a cell's text.
type lexeme struct {
	tok token.Token
	lit string
	off int
}

// bracketError is a bracket that has no partner.
type bracketError struct {
	off  int    // where
	want string // the closer that is missing at the end; "" for a closer too many
	got  string // the closer that is too many
}

// lex returns the tokens of a text, the last one being EOF.
func lex(text string) []lexeme {
	fset := token.NewFileSet()
	file := fset.AddFile("", -1, len(text))
	var s scanner.Scanner
	s.Init(file, []byte(text), func(token.Position, string) {}, 0)
	var all []lexeme
	for {
		pos, tok, lit := s.Scan()
		off := file.Offset(pos)
		all = append(all, lexeme{tok, lit, off})
		if tok == token.EOF {
			return all
		}
	}
}

// width returns how many bytes of text a token takes; a semicolon that the
// scanner added at a line's end takes the newline, if there is one.
func (l lexeme) width(text string) int {
	if l.tok == token.SEMICOLON && l.lit == "\n" {
		if l.off < len(text) && text[l.off] == '\n' {
			return 1
		}
		return 0
	}
	if l.lit != "" {
		return len(l.lit)
	}
	return len(l.tok.String())
}

// cut divides a cell's text at top level into declarations and stretches of
// statements. It never fails; what is wrong with the brackets it says beside.
func cut(text string) ([]chunk, *bracketError) {
	toks := lex(text)
	var chunks []chunk
	var open []token.Token
	var wrong *bracketError
	start, kind, first, fresh := 0, stmtChunk, -1, true
	flush := func(end int) {
		if end > start {
			if first < 0 {
				first = end
			}
			chunks = append(chunks, chunk{kind, start, end, first})
		}
		start, kind, first, fresh = end, stmtChunk, -1, true
	}
	for i, t := range toks {
		if t.tok == token.EOF {
			break
		}
		if fresh && len(open) == 0 && t.tok != token.SEMICOLON {
			if k := startOf(toks[i:]); k != stmtChunk {
				if kind == stmtChunk && first >= 0 {
					// Right after the statements, so that its comments and directives stay with it.
					flush(toks[i-1].off + toks[i-1].width(text))
				}
				kind = k
			}
		}
		if first < 0 && (t.tok != token.SEMICOLON || t.lit == ";") {
			first = t.off
		}
		fresh = false
		switch t.tok {
		case token.LPAREN, token.LBRACK, token.LBRACE:
			open = append(open, t.tok)
		case token.RPAREN, token.RBRACK, token.RBRACE:
			if len(open) > 0 && closer(open[len(open)-1]) == t.tok {
				open = open[:len(open)-1]
			} else if wrong == nil {
				wrong = &bracketError{off: t.off, got: t.tok.String()}
			}
		case token.SEMICOLON:
			if len(open) > 0 {
				break
			}
			if kind != stmtChunk {
				flush(min(t.off+t.width(text), len(text)))
			}
			fresh = true
		}
	}
	flush(len(text))
	if len(open) > 0 && wrong == nil {
		wrong = &bracketError{off: len(text), want: closer(open[len(open)-1]).String()}
	}
	return chunks, wrong
}

// closer returns the bracket that closes open.
func closer(open token.Token) token.Token {
	switch open {
	case token.LPAREN:
		return token.RPAREN
	case token.LBRACK:
		return token.RBRACK
	}
	return token.RBRACE
}

// startOf says what the tokens at the start of a statement begin.
func startOf(toks []lexeme) chunkKind {
	switch toks[0].tok {
	case token.PACKAGE:
		return packageChunk
	case token.IMPORT:
		return importChunk
	case token.CONST:
		return constChunk
	case token.TYPE:
		return typeChunk
	case token.VAR:
		return varChunk
	case token.FUNC:
		if isFuncDecl(toks) {
			return funcChunk
		}
	}
	return stmtChunk
}

// isFuncDecl tells `func name(` and `func (r T) name(` from a literal that is called.
func isFuncDecl(toks []lexeme) bool {
	if len(toks) < 2 {
		return true
	}
	if toks[1].tok != token.LPAREN {
		return true
	}
	depth := 0
	for i := 1; i < len(toks); i++ {
		switch toks[i].tok {
		case token.LPAREN:
			depth++
		case token.RPAREN:
			depth--
			if depth == 0 {
				// A result type is followed by a body, a method's name by its parameters.
				return i+2 < len(toks) && toks[i+1].tok == token.IDENT && toks[i+2].tok == token.LPAREN
			}
		case token.EOF:
			return false
		}
	}
	return false
}
