package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/gradbook/gradbook/kernel/internal/plugin"
	"github.com/gradbook/gradbook/kernel/internal/toolchain"
	"github.com/gradbook/gradbook/kernel/internal/version"
)

func newDoctor() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Say what is installed, what is missing and what to do",
		Long: `Look at what Gradbook needs on this machine (Go, a C compiler, a linker, the module that this folder
belongs to, the cache and room for it) and at what it can use (JupyterLab). Nothing is built.

Exit status: 0 if all that is needed is there, else 1.`,
		Example: `  gradbook doctor`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d := &doctor{w: cmd.OutOrStdout()}
			d.examine(cmd.Context())
			if d.missing > 0 {
				return exit{exitFailed, fmt.Sprintf("%d of what is needed is missing; see above for what to do", d.missing)}
			}
			fmt.Fprintln(d.w, "All that is needed is there.")
			return nil
		},
	}
}

// doctor prints one line for each thing it looks at.
type doctor struct {
	w       io.Writer
	missing int
}

func (d *doctor) line(mark, name, about string) {
	about = strings.ReplaceAll(about, "\n", "\n"+strings.Repeat(" ", 21))
	fmt.Fprintf(d.w, "%-8s %-11s %s\n", mark, name, about)
}

// need reports something that nothing works without.
func (d *doctor) need(name, about string, err error) {
	if err != nil {
		d.missing++
		d.line("MISSING", name, err.Error())
		return
	}
	d.line("ok", name, about)
}

// want reports a program that is used if it is there.
func (d *doctor) want(name, program, without string) {
	if path, err := exec.LookPath(program); err == nil {
		d.line("ok", name, path)
		return
	}
	d.line("optional", name, without)
}

func (d *doctor) examine(ctx context.Context) {
	d.line("ok", "gradbook", strings.TrimPrefix(version.String(), "gradbook "))
	g, err := toolchain.Find(ctx)
	cc := ""
	if g == nil {
		d.need("Go", "", err)
	} else {
		// With a Go in hand, what Find complains of is the C compiler.
		d.need("Go", g.Version+", "+g.Command, nil)
		d.need("C compiler", g.CC+", "+g.CCVersion, err)
		cc = g.CC
	}
	d.linker(ctx, cc)
	if g != nil && err == nil {
		ws, err := g.Workspace(ctx, ".")
		about := ""
		if err == nil {
			about = module(ws)
		}
		d.need("module", about, err)
	}
	c, err := toolchain.OpenCache("")
	if err != nil {
		d.need("cache", "", err)
	} else {
		d.cache(c)
	}
	d.backend()
	d.want("JupyterLab", "jupyter-lab", "not installed; 'gradbook lab' installs one of its own, and 'gradbook run' works without it")
}

// backend says what GoMLX computes on; pure Go is always there, so nothing can be missing.
func (d *doctor) backend() {
	config, why := plugin.InUse()
	d.line("ok", "backend", config+", "+why)
}

// module says what the folder belongs to.
func module(ws *toolchain.Workspace) string {
	switch {
	case ws.Scratch:
		return "this folder is in none; its notebooks use the scratch module " + ws.Dir
	case ws.Work != "":
		return ws.Work
	}
	return ws.Mod
}

// cache says how large the cache is and whether a base library is in it, or in the one that is shared.
func (d *doctor) cache(c *toolchain.Cache) {
	bases := 0
	if c.PassedOver != nil {
		d.line("optional", "shared", c.PassedOver.Error())
	}
	if c.Shared != nil {
		about, n, err := contents(c.Shared)
		if err != nil {
			d.line("optional", "shared", fmt.Sprintf("the shared cache is passed over: %v", err))
		} else {
			d.line("ok", "shared", about+", read only")
		}
		bases += n
	}
	about, n, err := contents(c)
	if bases += n; bases == 0 {
		about += "; no base library yet: the first run builds it, which takes a minute or two"
	}
	d.need("cache", about, err)
	d.room(c.Dir, bases)
}

// linker looks for the one that the base library is linked with: the C compiler may have one of its own, outside of PATH.
func (d *doctor) linker(ctx context.Context, cc string) {
	name := "ld.bfd"
	if out, err := exec.CommandContext(ctx, cc, "-print-prog-name="+name).Output(); err == nil {
		name = strings.TrimSpace(string(out))
	}
	path, err := exec.LookPath(name)
	if err != nil {
		err = errors.New("no ld.bfd in PATH; install GNU binutils (Debian, Ubuntu: apt install binutils; Fedora: dnf install binutils)")
	}
	d.need("linker", path, err)
}

// baseRoom is about what a base library and the go command's copies of its packages take.
const baseRoom = 2 << 30

// room says how much of the cache's disk is free; a base library must fit where there is none.
func (d *doctor) room(dir string, bases int) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		d.need("disk", "", fmt.Errorf("%s: %w; set GRADBOOK_CACHE to a folder of another disk", dir, err))
		return
	}
	free := int64(s.Bavail) * s.Bsize
	about := size(free) + " free for the cache"
	if bases == 0 && free < baseRoom {
		d.need("disk", "", fmt.Errorf("%s; a base library needs about %s: free some, or set GRADBOOK_CACHE to a folder of another disk", about, size(baseRoom)))
		return
	}
	d.line("ok", "disk", about)
}

// contents says where a cache is and how large, and how many base libraries it holds.
func contents(c *toolchain.Cache) (about string, bases int, err error) {
	usage, err := c.Usage()
	if err != nil {
		return "", 0, err
	}
	var total int64
	for _, u := range usage {
		total += u.Bytes
		if u.Kind == "base" {
			bases = u.Entries
		}
	}
	return fmt.Sprintf("%s, %s", c.Dir, size(total)), bases, nil
}
