package toolchain

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"github.com/gradbook/gradbook"
)

//go:embed packages/packages.go
var packagesText string

// BasePackages returns the patterns of the packages that the base library holds.
func BasePackages() ([]string, error) {
	file, err := parser.ParseFile(token.NewFileSet(), "packages.go", packagesText, parser.ImportsOnly)
	if err != nil {
		return nil, err
	}
	list := []string{"std", gradbook.Path + "/pkg/..."}
	for _, spec := range file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		list = append(list, path)
	}
	return list, nil
}

// leftOut are packages of the standard library that change a program by being in it
// (handlers on the default HTTP mux, a second source of time zones) or cannot be linked
// shared. A cell that imports one gets it as an extension.
var leftOut = map[string]bool{"expvar": true, "net/http/pprof": true, "time/tzdata": true, "plugin": true, "runtime/race": true}

// The packages of the live program, under GOROOT/src by way of the overlay.
const (
	livePath = "gradbook/live"
	hostPath = "gradbook/live/host"
)

// listed is one package as go list tells of it.
type listed struct {
	ImportPath, Name, Dir, Export, BuildID string
	Standard, DepOnly                      bool
	Module                                 *struct {
		Path, Version, Dir string
		Main               bool
		Replace            *struct{ Path, Version, Dir string }
	}
	GoFiles, CgoFiles, CFiles, CXXFiles, HFiles, SFiles, SysoFiles, EmbedFiles, Imports []string
	Error                                                                               *struct{ Err string }
	DepsErrors                                                                          []*struct{ ImportPath, Err string }
}

const listFields = "-json=ImportPath,Name,Dir,Export,BuildID,Standard,DepOnly,Module,GoFiles,CgoFiles,CFiles,CXXFiles,HFiles,SFiles,SysoFiles,EmbedFiles,Imports,Error,DepsErrors"

// local says whether the package's files are the user's own to change.
func (p *listed) local() bool {
	if p.Standard || p.Module == nil {
		return !p.Standard
	}
	if p.Module.Main || p.Module.Replace == nil || p.Module.Replace.Version != "" {
		return p.Module.Main
	}
	_, ok := frozen(p.Module.Dir)
	return !ok
}

// FrozenFile is the name of a file that says of the module in its folder that it does not change while the file does not. Where such a
// folder takes a module's place (replace), it is taken as a published version is, and the packages may be part of the base
// library; the file's text stands for the version. Images have such folders.
const FrozenFile = ".gradbook-frozen"

// frozen returns the text that stands for the version of the module in a folder.
func frozen(dir string) (version string, ok bool) {
	if dir == "" {
		return "", false
	}
	text, err := os.ReadFile(filepath.Join(dir, FrozenFile))
	return strings.TrimSpace(string(text)), err == nil
}

// module names the module that the package comes from, with its version.
func (p *listed) module() string {
	m := p.Module
	switch {
	case m == nil:
		return ""
	case m.Replace != nil && m.Replace.Version == "":
		version, _ := frozen(m.Dir)
		return fmt.Sprintf("%s@%s => %s@%s", m.Path, m.Version, m.Replace.Path, version)
	case m.Replace != nil:
		return fmt.Sprintf("%s@%s => %s@%s", m.Path, m.Version, m.Replace.Path, m.Replace.Version)
	}
	return m.Path + "@" + m.Version
}

// content is the part of the package's build id that names what was compiled, rather than from what.
func (p *listed) content() string { return p.BuildID[strings.LastIndex(p.BuildID, "/")+1:] }

// stamps returns the stamps of a local package's files and folder.
func (p *listed) stamps() []stamp {
	list := []stamp{newStamp(p.Dir, p.ImportPath)}
	for _, names := range [][]string{p.GoFiles, p.CgoFiles, p.CFiles, p.CXXFiles, p.HFiles, p.SFiles, p.SysoFiles, p.EmbedFiles} {
		for _, name := range names {
			list = append(list, newStamp(filepath.Join(p.Dir, name), p.ImportPath))
		}
	}
	return list
}

// lister runs go list in one workspace with the flags that everything is compiled with.
type lister struct {
	ws      *Workspace
	overlay string
}

// buildFlags make the go command compile packages so that the linker can put them into a shared
// library: -linkshared makes the compiler refer to symbols by name. The install suffix keeps
// them apart from ordinary ones in the go command's own cache.
var buildFlags = []string{"-installsuffix", "dynlink", "-trimpath", "-buildvcs=false",
	"-gcflags=all=-dynlink -linkshared", "-asmflags=all=-D=GOBUILDMODE_shared=1 -linkshared -dynlink"}

func (l *lister) list(ctx context.Context, stderr io.Writer, args ...string) ([]*listed, error) {
	args = append([]string{"list", "-overlay", l.overlay, listFields}, args...)
	flags := l.ws.Go.env["GOFLAGS"]
	env := l.ws.Go.listEnv()
	if strings.Contains(flags, "-mod=mod") { // a kernel never edits the user's go.mod
		env = append(env, "GOFLAGS="+strings.ReplaceAll(flags, "-mod=mod", "-mod=readonly"))
	}
	out, err := command{dir: l.ws.Dir, env: env, stderr: stderr}.run(ctx, l.ws.Go.Command, args...)
	if err != nil {
		return nil, err
	}
	var pkgs []*listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		p := new(listed)
		if err := dec.Decode(p); errors.Is(err, io.EOF) {
			return pkgs, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		pkgs = append(pkgs, p)
	}
}

// resolve returns those packages of the patterns that the build list can provide as it is and that are not the user's own, sorted,
// and all that it looked at: them, those left out, and what they need.
func (l *lister) resolve(ctx context.Context, patterns []string) (paths []string, all []*listed, err error) {
	all, err = l.list(ctx, nil, append([]string{"-e", "-deps"}, patterns...)...)
	if err != nil {
		return nil, nil, err
	}
	for _, p := range all {
		skip := p.DepOnly || p.local() || p.Error != nil || p.DepsErrors != nil || p.Name == "main" && p.ImportPath != hostPath
		if p.Standard {
			skip = skip || leftOut[p.ImportPath] || strings.HasPrefix(p.ImportPath, "vendor/") || internalPath(p.ImportPath)
		}
		if !skip && len(p.GoFiles)+len(p.CgoFiles) > 0 {
			paths = append(paths, p.ImportPath)
		}
	}
	sort.Strings(paths)
	return paths, all, nil
}

func internalPath(path string) bool {
	for part := range strings.SplitSeq(path, "/") {
		if part == "internal" {
			return true
		}
	}
	return false
}

// counter counts the packages that the go command says it compiles, one a line.
type counter struct {
	report func(Progress)
	p      Progress
	rest   []byte
}

func (c *counter) Write(data []byte) (int, error) {
	c.rest = append(c.rest, data...)
	for {
		line, rest, found := bytes.Cut(c.rest, []byte("\n"))
		if !found {
			return len(data), nil
		}
		c.rest = rest
		if len(line) > 0 && !bytes.ContainsAny(line, " #:") && (c.p.Total == 0 || c.p.Done < c.p.Total) {
			c.p.Done++
			c.report(c.p)
		}
	}
}

// export compiles the packages with their dependencies and says where the results are.
func (l *lister) export(ctx context.Context, stage string, total int, report func(Progress), paths []string) ([]*listed, error) {
	c := &counter{report: report, p: Progress{Stage: stage, Total: total}}
	report(Progress{Stage: "looking up what is compiled"}) // and counted is what is not
	args := append([]string{"-v", "-deps", "-export"}, buildFlags...)
	return l.list(ctx, c, append(args, paths...)...)
}

// importable says whether a notebook's package may import the path.
func importable(path string) bool {
	return !internalPath(path) && !strings.HasPrefix(path, "vendor/") && path != livePath && !strings.HasPrefix(path, livePath+"/")
}
