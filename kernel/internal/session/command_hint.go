package session

import "strings"

// lasting are the panics of what can be registered once in the life of a program, which for a notebook is longer than a cell.
var lasting = []struct{ text, what, remedy string }{
	{"flag redefined: ", "a flag", ""},
	{"conflicts with pattern ", "an HTTP pattern", "http.DefaultServeMux = http.NewServeMux() forgets the patterns, or "},
	{"http: multiple registrations for ", "an HTTP pattern", "http.DefaultServeMux = http.NewServeMux() forgets the patterns, or "},
	{"Reuse of exported var name: ", "an expvar", "expvar.Get finds the one that is there, or "},
	{"gob: registering duplicate ", "a gob type", ""},
	{"Register called twice for ", "a driver", ""},
	{"duplicate metrics collector registration attempted", "a metric", ""},
}

// hint says what to do about a panic that comes from running a cell again; "" if that is not its cause.
func hint(panicText string) string {
	for _, l := range lasting {
		if strings.Contains(panicText, l.text) {
			return "hint: the program lives on between cells, and " + l.what + " is registered in it once: " + l.remedy +
				"put the registration into a cell of its own that is run once, or start the program anew with %restart"
		}
	}
	return ""
}
