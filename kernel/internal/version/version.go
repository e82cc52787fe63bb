// Package version says which Gradbook this is. It knows nothing else.
package version

import (
	"runtime"
	"runtime/debug"
	"strings"
)

// Number is the version of Gradbook.
const Number = "0.1.0"

// String returns the version with what the build knows of its source, as
// "gradbook 0.1.0 (commit 1a2b3c4d5e6f, modified), built with go1.26.8 for linux/amd64".
func String() string {
	var b strings.Builder
	b.WriteString("gradbook " + Number)
	info, ok := debug.ReadBuildInfo()
	if ok {
		settings := map[string]string{}
		for _, s := range info.Settings {
			settings[s.Key] = s.Value
		}
		if commit := settings["vcs.revision"]; commit != "" {
			b.WriteString(" (commit " + commit[:min(12, len(commit))])
			if settings["vcs.modified"] == "true" {
				b.WriteString(", modified")
			}
			b.WriteString(")")
		}
	}
	b.WriteString(", built with " + runtime.Version() + " for " + runtime.GOOS + "/" + runtime.GOARCH)
	return b.String()
}
