// Package gradbook is the module's root. It carries the module's own go.mod and
// go.sum, so that the program can set up a scratch module that has what Gradbook
// itself has. It knows nothing else.
package gradbook

import (
	_ "embed"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Path is the module's path.
const Path = "github.com/gradbook/gradbook"

// Mod and Sum are the texts of the module's go.mod and go.sum.
var (
	//go:embed go.mod
	Mod string
	//go:embed go.sum
	Sum string
)

// Root returns the folder that this program was built from, or "" when it was
// built with -trimpath or the folder is no longer this module's.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	dir := filepath.Dir(file)
	if !filepath.IsAbs(dir) {
		return ""
	}
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil || !strings.Contains("\n"+string(text), "\nmodule "+Path+"\n") {
		return ""
	}
	return dir
}
