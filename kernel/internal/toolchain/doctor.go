package toolchain

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// Check is one line of what the doctor finds.
type Check struct {
	Name   string
	OK     bool
	Detail string // what is there
	Advice string // what to do; "" when there is nothing to do
}

// Doctor looks at all that live cells need on this machine. cacheDir is as in [Options].
func Doctor(ctx context.Context, cacheDir string) []Check {
	list := []Check{checkSystem()}
	g, err := Find(ctx)
	if err != nil {
		list = append(list, Check{Name: "Go and C compiler", Detail: err.Error(), Advice: "do what the line above says, then run the doctor again"})
	} else {
		list = append(list,
			Check{Name: "Go", OK: true, Detail: g.Version + ", " + g.Command},
			Check{Name: "C compiler", OK: true, Detail: g.CC + ", " + g.CCVersion})
	}
	return append(list, checkLinker(ctx), checkMold(), checkCache(cacheDir), checkDisk(cacheDir), checkPython(ctx), checkJupyter(ctx))
}

func checkSystem() Check {
	c := Check{Name: "system", OK: runtime.GOOS == "linux" && runtime.GOARCH == "amd64", Detail: runtime.GOOS + "/" + runtime.GOARCH}
	if !c.OK {
		c.Advice = "live cells run on linux/amd64: use Gradbook's Docker image"
	}
	return c
}

func checkLinker(ctx context.Context) Check {
	path, err := exec.LookPath("ld.bfd")
	if err != nil {
		return Check{Name: "linker", Detail: "no ld.bfd in PATH", Advice: "install GNU binutils (Debian, Ubuntu: apt install binutils; Fedora: dnf install binutils)"}
	}
	return Check{Name: "linker", OK: true, Detail: path + ", " + firstLine(ctx, path, "--version")}
}

func checkMold() Check {
	c := Check{Name: "mold (optional)", OK: true, Detail: "not installed"}
	if path, err := exec.LookPath("mold"); err == nil {
		c.Detail = path
	}
	c.Detail += "; it makes no difference: no C linker runs for a cell, and the base library needs bfd"
	return c
}

func checkCache(dir string) Check {
	c := Check{Name: "cache"}
	cache, err := OpenCache(dir)
	if err != nil {
		c.Detail, c.Advice = err.Error(), "set GRADBOOK_CACHE to a folder that can be written"
		return c
	}
	all := 0
	for _, layer := range cache.layers() {
		entries, err := layer.Entries()
		if err != nil && !layer.readOnly {
			c.Detail, c.Advice = err.Error(), "remove "+cache.Dir+": it is made anew"
			return c
		}
		bases := 0
		var size int64
		for _, e := range entries {
			if e.Kind == "base" && e.GoVersion != "" {
				bases++
			}
			size += e.Bytes
		}
		all += bases
		if c.Detail != "" {
			c.Detail += " (shared); "
		}
		c.Detail += fmt.Sprintf("%s: %d base libraries, %d MB", layer.Dir, bases, size>>20)
	}
	c.OK = true
	if all == 0 {
		c.Advice = "the base library is not built yet: the first cell builds it, once, in a minute or two"
	}
	return c
}

// baseRoom is about what a base library and the go command's copies of its packages take.
const baseRoom = 2 << 30

func checkDisk(dir string) Check {
	c := Check{Name: "disk space"}
	cache, err := OpenCache(dir)
	if err != nil {
		c.Detail, c.Advice = err.Error(), "set GRADBOOK_CACHE to a folder that can be written"
		return c
	}
	var s syscall.Statfs_t
	if err := syscall.Statfs(cache.Dir, &s); err != nil {
		c.Detail, c.Advice = err.Error(), "set GRADBOOK_CACHE to a folder of another disk"
		return c
	}
	free := s.Bavail * uint64(s.Bsize)
	c.OK = free >= baseRoom
	c.Detail = fmt.Sprintf("%d MB free for %s", free>>20, cache.Dir)
	if !c.OK {
		c.Advice = fmt.Sprintf("a base library needs about %d MB: free some, or set GRADBOOK_CACHE to a folder of another disk", baseRoom>>20)
	}
	return c
}

func checkPython(ctx context.Context) Check {
	path, err := exec.LookPath("python3")
	if err != nil {
		return Check{Name: "Python", Detail: "no python3 in PATH", Advice: "only JupyterLab needs it (gradbook run and exec do not): install Python 3"}
	}
	return Check{Name: "Python", OK: true, Detail: path + ", " + firstLine(ctx, path, "--version")}
}

func checkJupyter(ctx context.Context) Check {
	path, err := exec.LookPath("jupyter")
	if err != nil {
		return Check{Name: "JupyterLab", Detail: "no jupyter in PATH", Advice: "only needed to work in a browser: run make lab, which sets it up"}
	}
	version := firstLine(ctx, path, "lab", "--version")
	c := Check{Name: "JupyterLab", OK: version != "", Detail: path + ", " + version}
	if !c.OK {
		c.Detail, c.Advice = path+" has no lab command", "run make lab, which sets it up"
	}
	return c
}

func firstLine(ctx context.Context, name string, args ...string) string {
	out, err := command{dir: filepath.Clean(os.TempDir())}.run(ctx, name, args...)
	if err != nil {
		return ""
	}
	line, _, _ := bytes.Cut(out, []byte("\n"))
	return strings.TrimSpace(string(line))
}
