package toolchain

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// insertion is text that is added to a file of the standard library, at one exact place.
type insertion struct {
	file  string // under GOROOT/src
	after string // must be there exactly once
	text  string
}

// patches let the live program see what goes through file descriptors 0, 1 and 2, so that output arrives in the order in which it was
// written, and hand an interrupt to those who listen for it. The ones of stkframe.go mend Go itself: there the compiler knows where a descriptor's pointer
// mask is and folds it into a reference to a symbol that a shared library does not export, which ends up bound to some
// other one; the collector then reads the arguments of reflect's calls by a wrong mask.
var patches = []insertion{{
	file:  "internal/poll/fd_unix.go",
	after: "\n// Read implements io.Reader.\nfunc (fd *FD) Read(p []byte) (int, error) {\n",
	text:  "\tif hook := ReadHook; hook != nil && fd.Sysfd == 0 {\n\t\thook(0)\n\t}\n",
}, {
	file:  "internal/poll/fd_unix.go",
	after: "\n// Write implements io.Writer.\nfunc (fd *FD) Write(p []byte) (int, error) {\n",
	text: "\tif hook := WriteHook; hook != nil && fd.isFile {\n" +
		"\t\tif n, err, ok := hook(fd.Sysfd, p); ok {\n\t\t\treturn n, err\n\t\t}\n\t}\n",
}, {
	file:  "internal/poll/fd_unix.go",
	after: "\nconst maxRW = 1 << 30\n",
	text: "\n// WriteHook is offered each write to a file (not to a socket); it answers ok when it took it.\n" +
		"var WriteHook func(fd int, p []byte) (n int, err error, ok bool)\n\n" +
		"// ReadHook is told of each read from descriptor 0.\nvar ReadHook func(fd int)\n",
}, {
	file:  "runtime/stkframe.go",
	after: "\n\tabiRegArgsType := efaceOf(&abiRegArgsEface)._type\n",
	text:  "\tabiRegArgsType = opaqueType(abiRegArgsType)\n",
}, {
	file:  "runtime/stkframe.go",
	after: "\nvar methodValueCallFrameObjs [1]stackObjectRecord // initialized in stkobjinit\n",
	text:  "\n//go:noinline\nfunc opaqueType(t *_type) *_type { return t }\n",
}, {
	file:  "os/signal/signal.go",
	after: "\ntype stopping struct {\n\tc chan<- os.Signal\n\th *handler\n}\n",
	text: "\n// offer sends a signal to those who listen for it and have read the last one, and returns how many took it.\n" +
		"func offer(sig os.Signal) (taken int) {\n\thandlers.Lock()\n\tdefer handlers.Unlock()\n" +
		"\tfor c, h := range handlers.m {\n\t\tif !h.want(signum(sig)) || len(c) > 0 {\n\t\t\tcontinue\n\t\t}\n" +
		"\t\tselect {\n\t\tcase c <- sig:\n\t\t\ttaken++\n\t\tdefault:\n\t\t}\n\t}\n\treturn taken\n}\n",
}}

// patched returns the text of a file of the standard library with all its insertions.
func patched(root, file string) (string, error) {
	path := filepath.Join(root, "src", filepath.FromSlash(file))
	data, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("the standard library's source is not complete: %w; install Go %s again", err, strings.TrimPrefix(Wanted, "go"))
	}
	text := string(data)
	for _, p := range patches {
		if p.file != file {
			continue
		}
		if n := strings.Count(text, p.after); n != 1 {
			return "", fmt.Errorf("%s is not as %s has it (%q is there %d times): install %s unchanged, or set GRADBOOK_GO to one", path, Wanted, strings.TrimSpace(p.after), n, Wanted)
		}
		text = strings.Replace(text, p.after, p.after+p.text, 1)
	}
	return text, nil
}

// overlay writes the patched files and the live program's source, and the file that
// tells the go command of them. It returns that file's path; the folder's name is its content's hash.
func overlay(g *Go, source fs.FS, dir string) (path string, err error) {
	files := map[string]string{} // path under GOROOT/src -> text
	for _, p := range patches {
		if files[p.file], err = patched(g.Root, p.file); err != nil {
			return "", err
		}
	}
	if source != nil {
		err = fs.WalkDir(source, ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !sourceExt[filepath.Ext(name)] {
				return err
			}
			data, err := fs.ReadFile(source, name)
			files["gradbook/"+name] = string(data)
			return err
		})
		if err != nil {
			return "", fmt.Errorf("the live program's source: %w", err)
		}
	}
	parts := []string{g.Root}
	for _, name := range sortedKeys(files) {
		parts = append(parts, name, files[name])
	}
	dir = filepath.Join(dir, hashOf(parts...)[:20])
	replace := map[string]string{}
	for name, text := range files {
		to := filepath.Join(dir, filepath.FromSlash(name))
		replace[filepath.Join(g.Root, "src", filepath.FromSlash(name))] = to
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return "", err
		}
		if err := writeChanged(to, []byte(text)); err != nil {
			return "", err
		}
	}
	data, err := json.MarshalIndent(map[string]any{"Replace": replace}, "", "\t")
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, "overlay.json")
	return path, writeChanged(path, data)
}
