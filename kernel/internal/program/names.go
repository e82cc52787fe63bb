package program

import (
	"fmt"
	"go/types"
	"hash/fnv"
	"strings"
)

// PackageName is the name of the generated package: four bytes that
// the toolchain turns into "main" in the object.
const PackageName = "ᵹb"

// packagePath is the import path of the generated package.
const packagePath = "main"

// Names in generated code. All begin with the reserved prefix, which a cell may not use.
const (
	reserved     = "gradbook_"
	importPrefix = "gradbook_import_" // an import whose plain name means something else in the package
	oldPrefix    = "gradbook_old_"    // what a name meant before the cell that declares it anew
	ownPrefix    = "gradbook_own_"    // a name of the program that is also predeclared, so that Go's own meaning stays in reach
	pathPrefix   = "gradbook_path_"   // an import made for a variable's type
	showName     = "gradbook_show"    // stands for live.Show in checks
	pollName     = "gradbook_poll"    // the variable that polls read
	liveName     = "gradbook_live"    // the import of livePath
	zeroName     = "gradbook_zero"    // the zero value of its argument's type
	livePath     = "gradbook/live"
)

// goName is the name in generated code of what a cell declares as name.
func goName(name string) string {
	if types.Universe.Lookup(name) != nil {
		return ownPrefix + name
	}
	return name
}

// plain is the inverse of goName.
func plain(name string) string { return strings.TrimPrefix(name, ownPrefix) }

func entryName(id int) string       { return fmt.Sprintf("gradbook_cell_%d", id) }
func varsName(id int) string        { return fmt.Sprintf("gradbook_vars_%d", id) }
func typesName(id int) string       { return fmt.Sprintf("gradbook_types_%d", id) }
func initName(id, n int) string     { return fmt.Sprintf("gradbook_init_%d_%d", id, n) }
func symbol(name string) string     { return packagePath + "." + name }
func sourceFile(s *source) string   { return fmt.Sprintf("cell%d.go", s.cell.ID) }
func importName(name string) string { return importPrefix + name }

// variablesFile is the generated file that declares all variables.
const variablesFile = "variables.go"

// alias returns the name by which generated code calls the package at path.
func alias(path string) string {
	h := fnv.New32a()
	h.Write([]byte(path))
	plain := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, path)
	return fmt.Sprintf("%s%s_%08x", pathPrefix, plain, h.Sum32())
}
