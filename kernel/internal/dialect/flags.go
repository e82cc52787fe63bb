package dialect

import (
	"go/token"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Flags knows which functions of a notebook define flags of the program's command line, so that a cell that
// defines them again can be let do so.
type Flags struct{ functions map[string]*function }

// function is what matters of a function: the flags whose definitions it holds, and the names in it.
type function struct{ flags, names map[string]bool }

// Add records the functions of a cell's Go text, and returns the flags that are defined when the cell is run: by its statements and
// initialisers, and by the functions that these name. Definitions are seen where the flag's name is a string literal.
func (f *Flags) Add(text string) []string {
	if f.functions == nil {
		f.functions = map[string]*function{}
	}
	top, declared := definitions(text)
	maps.Copy(f.functions, declared)
	seen := map[string]bool{}
	var defined []string
	var visit func(fn *function)
	visit = func(fn *function) {
		defined = append(defined, slices.Collect(maps.Keys(fn.flags))...)
		for name := range fn.names {
			if called := f.functions[name]; called != nil && !seen[name] {
				seen[name] = true
				visit(called)
			}
		}
	}
	for name, fn := range declared {
		if name == "main" || name == "init" || strings.HasPrefix(name, initPrefix) { // these run with the cell
			visit(fn)
		}
	}
	visit(top)
	slices.Sort(defined)
	return slices.Compact(defined)
}

// mentionsFlags tells whether the text may use package flag.
func mentionsFlags(text string) bool {
	toks, _ := tokens(text)
	for i, t := range toks {
		if t.tok == token.STRING && t.lit == `"flag"` || t.tok == token.PERIOD && i > 0 && toks[i-1].lit == "flag" {
			return true
		}
	}
	return false
}

// definitions finds flags and names in the text: those of its functions, and those outside of any.
func definitions(text string) (top *function, declared map[string]*function) {
	toks, _ := tokens(text)
	newFunction := func() *function { return &function{map[string]bool{}, map[string]bool{}} }
	top, declared = newFunction(), map[string]*function{}
	sets := map[string]bool{"flag": true, "CommandLine": true} // what defines flags
	for i, t := range toks {
		if i > 0 && t.tok == token.STRING && t.lit == `"flag"` && toks[i-1].tok == token.IDENT {
			sets[toks[i-1].lit] = true // import name "flag"
		}
	}
	for _, part := range functions(toks) {
		fn := top
		if part.name != "" {
			fn = newFunction()
			declared[part.name] = fn
		}
		for i, t := range part.toks {
			if t.tok != token.IDENT {
				continue
			}
			fn.names[t.lit] = true
			if sets[t.lit] {
				if name, ok := definition(part.toks[i+1:]); ok {
					fn.flags[name] = true
				}
			}
		}
	}
	return top, declared
}

// part is a run of tokens: a function declaration with its name, or what is between two.
type part struct {
	name string
	toks []lexeme
}

// functions cuts tokens at the declarations of functions.
func functions(toks []lexeme) []part {
	var parts []part
	start, depth, open, name := 0, 0, false, ""
	end := func(i int) {
		if i > start {
			parts = append(parts, part{name, toks[start:i]})
		}
		start, name = i, ""
	}
	fresh := true
	for i, t := range toks {
		if fresh && depth == 0 && t.tok == token.FUNC && fileOnly(toks[i:]) {
			end(i)
			name, open = functionName(toks[i:]), true
		}
		fresh = t.tok == token.SEMICOLON
		switch t.tok {
		case token.LBRACE, token.LPAREN, token.LBRACK:
			depth++
		case token.RBRACE, token.RPAREN, token.RBRACK:
			depth--
			if depth == 0 && open && t.tok == token.RBRACE {
				end(i + 1)
				open = false
			}
		}
	}
	end(len(toks))
	return parts
}

// functionName is the name of the function or method that the tokens begin to declare.
func functionName(toks []lexeme) string {
	depth := 0
	for _, t := range toks[1:] {
		switch {
		case t.tok == token.LPAREN:
			depth++
		case t.tok == token.RPAREN:
			depth--
		case t.tok == token.IDENT && depth == 0:
			return t.lit
		}
	}
	return ""
}

// definition reads the tokens after "flag" and returns the name of the flag that they define.
func definition(toks []lexeme) (string, bool) {
	if len(toks) < 5 || toks[0].tok != token.PERIOD || toks[1].tok != token.IDENT || toks[2].tok != token.LPAREN {
		return "", false
	}
	switch base := strings.TrimSuffix(toks[1].lit, "Var"); base {
	case "Bool", "Int", "Int64", "Uint", "Uint64", "String", "Float64", "Duration", "Func", "BoolFunc", "Text", "":
	default:
		return "", false
	}
	depth, commas := 1, 0
	for i := 3; i+1 < len(toks) && depth > 0 && commas < 2; i++ {
		switch t := toks[i]; t.tok {
		case token.LPAREN, token.LBRACE, token.LBRACK:
			depth++
		case token.RPAREN, token.RBRACE, token.RBRACK:
			depth--
		case token.COMMA:
			if depth == 1 {
				commas++
			}
		case token.STRING:
			if depth == 1 && toks[i+1].tok == token.COMMA {
				name, err := strconv.Unquote(t.lit)
				return name, err == nil
			}
		}
	}
	return "", false
}

// initPrefix begins the names of functions that GoNB runs as init functions.
const initPrefix = "init_"

// inits lets the cell's functions named init_something run as its init functions do.
func (r *reader) inits() {
	text := strings.Join(r.out, "\n")
	if !strings.Contains(text, "func "+initPrefix) {
		return
	}
	toks, _ := tokens(text)
	for _, part := range slices.Backward(functions(toks)) {
		last := part.toks[len(part.toks)-1]
		if !strings.HasPrefix(part.name, initPrefix) || last.tok != token.RBRACE || part.toks[1].lit != part.name {
			continue
		}
		if part.toks[2].tok != token.LPAREN || part.toks[3].tok != token.RPAREN || part.toks[4].tok != token.LBRACE {
			continue // no init function has parameters or results
		}
		at := last.off + 1
		text = text[:at] + "; func init() { " + part.name + "() }" + text[at:]
	}
	r.out = strings.Split(text, "\n")
}
