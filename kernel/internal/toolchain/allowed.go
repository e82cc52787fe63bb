package toolchain

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/modfile"
)

// Allowed says whether a notebook of this workspace may write an import of path, in the go command's words. Generated
// code may import more: it names types that the user cannot spell.
func (b *Base) Allowed(path string) error {
	if path == livePath || strings.HasPrefix(path, livePath+"/") || strings.HasPrefix(path, "vendor/") {
		return fmt.Errorf("package %s is not in std", path)
	}
	parent, _, found := cutInternal(path)
	if !found {
		return nil
	}
	if own := b.ws.importPath(); parent != "" && (own == parent || strings.HasPrefix(own, parent+"/")) {
		return nil
	}
	return fmt.Errorf("use of internal package %s not allowed", path)
}

// cutInternal returns the path of the folder that holds the last element "internal".
func cutInternal(path string) (parent, rest string, found bool) {
	parts := strings.Split(path, "/")
	for i := len(parts) - 1; i >= 0; i-- {
		if parts[i] == "internal" {
			return strings.Join(parts[:i], "/"), strings.Join(parts[i+1:], "/"), true
		}
	}
	return "", "", false
}

// importPath is what the workspace's folder would be called in an import; "" outside of a module.
func (w *Workspace) importPath() string {
	if w.Mod == "" {
		return ""
	}
	text, err := os.ReadFile(w.Mod)
	if err != nil {
		return ""
	}
	rel, err := filepath.Rel(filepath.Dir(w.Mod), w.Dir)
	if err != nil || rel == "." {
		return modfile.ModulePath(text)
	}
	return modfile.ModulePath(text) + "/" + filepath.ToSlash(rel)
}
