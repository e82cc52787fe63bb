package toolchain

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// Accepted are the Go releases whose compiler, linker and runtime Gradbook knows.
// Live cells depend on their insides, so others are refused rather than tried.
var Accepted = []string{"go1.26"}

// Wanted is the Go release that Gradbook is tested with.
const Wanted = "go1.26.8"

// Go is an installed Go with the C compiler that it links with.
type Go struct {
	Command   string // path of the go command
	Version   string // "go1.26.8"
	Root      string // GOROOT
	ToolDir   string // where compile and link are
	CC        string // path of the C compiler
	CCVersion string // its version line
	env       map[string]string
}

// The variables of the go command that change what it builds.
var buildEnv = []string{"GOOS", "GOARCH", "GOAMD64", "GOEXPERIMENT", "GOFLAGS", "CGO_ENABLED", "CGO_CFLAGS", "CGO_CPPFLAGS",
	"CGO_CXXFLAGS", "CGO_LDFLAGS", "CC", "CXX", "GOFIPS140"}

// Find finds the go command (GRADBOOK_GO, PATH, /usr/local/go/bin) and a C compiler (CC, gcc),
// and says what to install when one is missing or of the wrong version.
func Find(ctx context.Context) (*Go, error) {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return nil, fmt.Errorf("live cells run on linux/amd64 only, and this is %s/%s: use Gradbook's Docker image here", runtime.GOOS, runtime.GOARCH)
	}
	path, err := findGo()
	if err != nil {
		return nil, err
	}
	g := &Go{Command: path}
	out, err := command{dir: os.TempDir()}.run(ctx, path, append([]string{"env", "-json", "GOVERSION", "GOROOT", "GOTOOLDIR"}, buildEnv...)...)
	if err != nil {
		advice := "install Go " + strings.TrimPrefix(Wanted, "go") + " from go.dev/dl"
		if strings.Contains(err.Error(), "build cache") {
			advice = "set GOCACHE to a folder that can be written"
		}
		return nil, fmt.Errorf("%s does not run: %w; %s", path, err, advice)
	}
	if err := json.Unmarshal(out, &g.env); err != nil {
		return nil, fmt.Errorf("%s env does not answer as Go %s does: %w", path, strings.TrimPrefix(Wanted, "go"), err)
	}
	g.Version, g.Root, g.ToolDir = g.env["GOVERSION"], g.env["GOROOT"], g.env["GOTOOLDIR"]
	if !accepts(g.Version) {
		return nil, fmt.Errorf("%s is %s, and live cells need one of %s (%s is the one tested): set GOTOOLCHAIN=%s so that the go command gets it, or install it from go.dev/dl and set GRADBOOK_GO to its go command",
			path, g.Version, strings.Join(Accepted, ", "), Wanted, Wanted)
	}
	if os, arch := g.env["GOOS"], g.env["GOARCH"]; os != runtime.GOOS || arch != runtime.GOARCH {
		return nil, fmt.Errorf("GOOS=%s GOARCH=%s is set, and live cells run on this machine: unset GOOS and GOARCH", os, arch)
	}
	if g.env["CGO_ENABLED"] != "1" {
		return nil, errors.New("CGO_ENABLED is 0, and the base library needs cgo: set CGO_ENABLED=1 (with gcc installed this is Go's default)")
	}
	return g, g.findCC(ctx)
}

func findGo() (string, error) {
	if path := os.Getenv("GRADBOOK_GO"); path != "" {
		found, err := exec.LookPath(path)
		if err != nil {
			return "", fmt.Errorf("GRADBOOK_GO is %q, which cannot be run (%w): set it to the path of a go command of %s, or unset it", path, err, Wanted)
		}
		return filepath.Abs(found)
	}
	if path, err := exec.LookPath("go"); err == nil {
		return filepath.Abs(path)
	}
	if path := "/usr/local/go/bin/go"; executable(path) {
		return path, nil
	}
	return "", fmt.Errorf("no go command in PATH or /usr/local/go/bin: install Go %s from go.dev/dl, or set GRADBOOK_GO to the path of its go command", strings.TrimPrefix(Wanted, "go"))
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir() && info.Mode()&0o111 != 0
}

func accepts(version string) bool {
	for _, a := range Accepted {
		rest, ok := strings.CutPrefix(version, a)
		if ok && (rest == "" || rest[0] == '.' || rest[0] == ' ' || rest[0] == '-') {
			return true
		}
	}
	return false
}

// findCC finds the C compiler that the go command would use. Its version is asked of the compiler
// itself, and remembered by the file's size and time.
func (g *Go) findCC(ctx context.Context) error {
	cc := strings.Fields(g.env["CC"])
	if len(cc) == 0 {
		cc = []string{"gcc"}
	}
	path, err := exec.LookPath(cc[0])
	if err != nil {
		return fmt.Errorf("no C compiler: %q is not in PATH; install gcc (Debian, Ubuntu: apt install gcc libc6-dev; Fedora: dnf install gcc), or set CC to one that is there", cc[0])
	}
	g.CC = path
	out, err := command{}.run(ctx, path, "--version")
	if err != nil {
		return fmt.Errorf("the C compiler %s does not run: %w; install gcc, or set CC to one that works", path, err)
	}
	line, _, _ := bytes.Cut(out, []byte("\n"))
	g.CCVersion = string(line)
	return nil
}

// identity is all of the toolchain that may change what is built.
func (g *Go) identity() string {
	var b strings.Builder
	fmt.Fprintln(&b, g.Version, g.Root, g.CC, g.CCVersion)
	for _, name := range buildEnv {
		fmt.Fprintf(&b, "%s=%s\n", name, g.env[name])
	}
	return b.String()
}

// toolEnv is the environment for running the compiler and the linker without the go command, which
// would tell them what go env -w has set.
func (g *Go) toolEnv() []string {
	return []string{"GOOS=" + g.env["GOOS"], "GOARCH=" + g.env["GOARCH"], "GOAMD64=" + g.env["GOAMD64"], "GOEXPERIMENT=" + g.env["GOEXPERIMENT"]}
}

// listEnv keeps the go command from switching to the Go that a go.mod asks for.
func (g *Go) listEnv() []string { return []string{"GOTOOLCHAIN=" + strings.Fields(g.Version)[0]} }

func (g *Go) tool(name string) string { return filepath.Join(g.ToolDir, name) }
