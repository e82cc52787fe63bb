package toolchain

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
)

// PackageName is the name in the package clause of a unit's files. Were it main, the compiler would
// emit a table of plugin symbols that cannot be linked. In the compiled archive it is replaced by main, which
// has as many bytes; no other text of a unit may hold it.
const PackageName = "ᵹb"

// The build id leaves room in the archive's headers for the line "main" that the linker asks for.
const (
	buildID       = "gradbook"
	buildIDBefore = "build id \"gradbook\"\n"
	buildIDAfter  = "build id \"gra\"\nmain\n"
)

// makeMain edits a compiled archive in place so that its package is main.
func makeMain(archive []byte) error {
	from, to := []byte(PackageName+"."), []byte("main.")
	for rest := archive; ; {
		i := bytes.Index(rest, from)
		if i < 0 {
			break
		}
		copy(rest[i:], to)
		rest = rest[i+len(to):]
	}
	found := false
	for rest := archive; ; {
		i := bytes.Index(rest, []byte(buildIDBefore))
		if i < 0 {
			break
		}
		copy(rest[i:], buildIDAfter)
		rest, found = rest[i+len(buildIDAfter):], true
	}
	if !found {
		return fmt.Errorf("the compiler's archive has no header with %q: this Go is not as %s", strings.TrimSpace(buildIDBefore), Wanted)
	}
	return nil
}

// mangle returns the name under which the linker puts a symbol into a library's symbol table: long names
// of types, and type arguments that hold an @, are replaced by a hash.
func mangle(name string) string {
	isType := strings.HasPrefix(name, "type:")
	at := strings.Contains(name, "@")
	switch {
	case !isType && !at, strings.HasPrefix(name, "type:runtime."), strings.HasPrefix(name, "go:string."), len(name) <= 14 && !at:
		return name
	case isType:
		prefix := "type:"
		if strings.HasPrefix(name, "type:.") {
			prefix = "type:."
		}
		return prefix + shortHash(name[len("type:"):])
	}
	open, end := strings.IndexByte(name, '['), strings.LastIndexByte(name, ']')
	if end <= open {
		end = len(name)
	}
	return name[:open+1] + shortHash(name[open+1:end]) + name[end:]
}

func shortHash(s string) string {
	sum := sha256.Sum256([]byte(s))
	sum[0] ^= 0xff // the toolchain's hash differs from SHA-256 by this
	return base64.StdEncoding.EncodeToString(sum[:6])
}
