package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gradbook/gradbook/internal/pjrt"
	"github.com/gradbook/gradbook/kernel/internal/plugin"
)

func newBackend() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "backend",
		Short: "Show, install, choose and test what GoMLX computes on",
		Long: `GoMLX computes in pure Go, which is always there, or on XLA, which compiles whole graphs and knows NVIDIA GPUs. XLA
comes as a plugin for each kind of device, built by others than Gradbook. Plugins are installed into
$XDG_DATA_HOME/gradbook/backends (default: ~/.local/share); nothing needs root.`,
		Example: `  gradbook backend list                 what there is, what is in use, and why
  gradbook backend install xla-cpu      fetch and check XLA's plugin for the CPU
  gradbook backend test xla:cpu         see it compute, beside pure Go
  gradbook backend use xla:cpu          take it from now on, in all notebooks`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newBackendList(), newBackendInstall(), newBackendRemove(), newBackendUse(), newBackendTest())
	return cmd
}

func newBackendList() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Show the backends that are here, which is in use and why, and what can be installed",
		Long: `Show the backends that are here, which of them a program that starts now computes on and why, and what can be
installed. The files of plugins are checked, but not loaded: 'gradbook backend test' does that.`,
		Example: `  gradbook backend list
  gradbook backend list --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			store, err := plugin.Open()
			if err != nil {
				return failed(err)
			}
			list := newListing(store)
			if !asJSON {
				list.print(cmd.OutOrStdout())
				return nil
			}
			text, err := json.MarshalIndent(list, "", "  ")
			if err != nil {
				return failed(err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s\n", text)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// listing is what gradbook backend list shows.
type listing struct {
	Backends  []listedBackend `json:"backends"`
	InUse     string          `json:"inUse"`
	Why       string          `json:"why"`
	Available []listedPackage `json:"available"`
}

type listedBackend struct {
	Config  string `json:"config"` // as 'use' and GOMLX_BACKEND take it
	Package string `json:"package,omitempty"`
	Version string `json:"version,omitempty"`
	Device  string `json:"device"`
	Path    string `json:"path,omitempty"`
	Bytes   int64  `json:"bytes,omitempty"`
	Problem string `json:"problem,omitempty"`
}

type listedPackage struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	About   string `json:"about"`
	Licence string `json:"licence"`
	Bytes   int64  `json:"bytes"`
}

// newListing puts together what was installed by gradbook and what else XLA's search finds.
func newListing(store *plugin.Store) listing {
	list := listing{Backends: []listedBackend{{Config: "go", Device: "cpu"}}}
	installed := store.Installed()
	taken := map[string]string{} // name of a plugin -> the path that the name stands for
	for _, p := range pjrt.Plugins() {
		taken[p.Name] = p.Path
	}
	add := func(name string, b listedBackend, problem error) {
		b.Config = "xla:" + name
		if taken[name] != b.Path { // the name stands for another one
			b.Config = "xla:" + b.Path
		}
		if problem != nil {
			b.Problem = problem.Error()
		}
		list.Backends = append(list.Backends, b)
	}
	for _, i := range installed {
		add(i.Device, listedBackend{Package: i.Name, Version: i.Version, Device: i.Device, Path: i.Path, Bytes: i.Bytes}, i.Err)
	}
	for _, p := range pjrt.All() {
		if slices.ContainsFunc(installed, func(i plugin.Installed) bool { return i.Path == p.Path }) {
			continue
		}
		b := listedBackend{Device: p.Name, Path: p.Path}
		if info, err := os.Stat(p.Path); err == nil {
			b.Bytes = info.Size()
		}
		add(p.Name, b, p.Err)
	}
	list.InUse, list.Why = plugin.InUse()
	for _, p := range plugin.Catalogue() {
		if !store.Has(p) {
			list.Available = append(list.Available, listedPackage{p.Name, p.Version(), p.About, p.Licence, p.Bytes()})
		}
	}
	return list
}

func (l listing) print(w io.Writer) {
	fmt.Fprintf(w, "go            GoMLX's backend in pure Go, always there\n")
	for _, b := range l.Backends[1:] {
		about := "not installed by gradbook"
		if b.Package != "" {
			about = b.Version + ", installed as " + b.Package
		}
		state := "ok"
		if b.Problem != "" {
			state = "CANNOT BE USED: " + b.Problem
		}
		config := b.Config
		switch { // what 'use' takes, in short
		case !strings.Contains(config, "/"):
		case b.Package != "":
			config = b.Package
		default:
			config = "by its path:"
		}
		if len(config) > 13 {
			config += "\n             "
		}
		fmt.Fprintf(w, "%-13s %s (%s)\n              %s\n              %s\n", config, about, size(b.Bytes), b.Path, state)
	}
	fmt.Fprintf(w, "\nIn use: %s\nWhy:    %s\n", l.InUse, l.Why)
	if folders, set := os.LookupEnv(pjrt.PathVariable); set {
		fmt.Fprintf(w, "%s=%s is set, so XLA looks for plugins nowhere else.\n", pjrt.PathVariable, folders)
	}
	if len(l.Available) > 0 {
		fmt.Fprintf(w, "\nCan be installed, by 'gradbook backend install NAME':\n")
	}
	for _, p := range l.Available {
		fmt.Fprintf(w, "  %-22s  %s: %s to fetch\n", p.Name, p.About, size(p.Bytes))
	}
}

func newBackendInstall() *cobra.Command {
	var force bool
	var from string
	cmd := &cobra.Command{
		Use:   "install NAME",
		Short: "Fetch, check and unpack a plugin for XLA",
		Long: `Fetch a plugin for XLA from the Python package index, by pip, check it against the sha256 that this program knows, and
unpack it into $XDG_DATA_HOME/gradbook/backends (default: ~/.local/share). Nothing needs root, and nothing else is asked.

  xla-cpu       for the CPU
  xla-cuda      for NVIDIA GPUs, with the libraries of CUDA 13 or 12, as this machine's driver can run them
  xla-cuda13, xla-cuda12, xla-cpu-fastatomstruct
                exactly these; the last is taken in place of xla-cpu where that cannot be had

The plugins are built by third parties, and their licences are unpacked with them. What is there already is not fetched again. An installation
that fails or is interrupted leaves things as they were.`,
		Example: `  gradbook backend install xla-cpu
  gradbook backend install xla-cpu --force           once more
  gradbook backend install xla-cpu --from wheels     without a network: the wheels lie in that folder`,
		Args:      exactly("package: " + strings.Join(plugin.Names(), ", ")),
		ValidArgs: plugin.Names(),
		RunE:      func(cmd *cobra.Command, args []string) error { return installBackend(cmd, args[0], from, force) },
	}
	cmd.Flags().BoolVar(&force, "force", false, "install it again even if it is there")
	cmd.Flags().StringVar(&from, "from", "", "take the wheels from `FOLDER`, not from the network")
	return cmd
}

// installBackend installs a package or, where it cannot be had, the one that stands in for it.
func installBackend(cmd *cobra.Command, name, from string, force bool) error {
	p, err := plugin.Lookup(name)
	if err != nil {
		return failed(err)
	}
	store, err := plugin.Open()
	if err != nil {
		return failed(err)
	}
	if from != "" {
		if info, err := os.Stat(from); err != nil {
			return failed(err)
		} else if !info.IsDir() {
			return failed(fmt.Errorf("--from %s is no folder; name the folder that the wheels lie in", from))
		}
	}
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	stop := interrupts(cancel, cancel)
	defer stop()
	show := newStatus()
	store.Report = show.doing
	err = installPackage(ctx, cmd.OutOrStdout(), store, p, from, force, show)
	if plugin.Unavailable(err) && p.Instead != "" {
		if instead, lookupErr := plugin.Lookup(p.Instead); lookupErr == nil {
			show.line(fmt.Sprintf("%v; trying %s instead", err, instead.Name))
			if second := installPackage(ctx, cmd.OutOrStdout(), store, instead, from, force, show); second == nil {
				err = nil
			} else {
				err = fmt.Errorf("neither %s nor %s can be installed: %w", p.Name, instead.Name, second)
			}
		}
	}
	show.clear()
	if ctx.Err() != nil {
		return exit{exitInterrupted, "interrupted; nothing was changed"}
	}
	if err != nil {
		return failed(err)
	}
	return nil
}

func installPackage(ctx context.Context, w io.Writer, store *plugin.Store, p plugin.Package, from string, force bool, show *status) error {
	if !force && store.Has(p) {
		fmt.Fprintf(w, "%s is installed already (%s); --force installs it again\n", p.Name, p.Version())
		return nil
	}
	fmt.Fprintf(w, "%s: %s\n", p.Name, p.About)
	fmt.Fprintf(w, "  version   %s\n  built by  %s: a third party, not Gradbook\n  licence   %s\n", p.Version(), p.Builder, p.Licence)
	fetched := size(p.Bytes()) + " to fetch"
	if from != "" {
		fetched = size(p.Bytes()) + " to read from " + from
	}
	fmt.Fprintf(w, "  size      %s in %s, %s on disk\n", fetched, count(len(p.Wheels), "file"), size(p.Unpacked()))
	i, err := store.Install(ctx, p, from)
	if err != nil {
		return err
	}
	show.clear()
	fmt.Fprintf(w, "installed  %s\n", i.Path)
	if i.Err != nil {
		fmt.Fprintf(w, "  but it cannot be used here yet: %v\n", i.Err)
		return nil
	}
	fmt.Fprintf(w, "  see it compute: gradbook backend test %s\n", p.Name)
	if config, why := plugin.InUse(); !strings.HasPrefix(config, "xla:"+i.Path) {
		fmt.Fprintf(w, "  take it: gradbook backend use xla:%s   (now in use: %s, %s)\n", i.Device, config, why)
	}
	if _, set := os.LookupEnv(pjrt.PathVariable); set && !slices.ContainsFunc(pjrt.All(), func(q pjrt.Plugin) bool { return q.Path == i.Path }) {
		fmt.Fprintf(w, "  but %s is set, so XLA does not look there: unset it\n", pjrt.PathVariable)
	}
	return nil
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func newBackendRemove() *cobra.Command {
	return &cobra.Command{
		Use:     "remove NAME",
		Short:   "Delete an installed plugin",
		Long:    `Delete a plugin that 'gradbook backend install' has installed. Programs that compute on it are not disturbed.`,
		Example: `  gradbook backend remove xla-cpu`,
		Args:    exactly("package, as 'gradbook backend list' shows it"),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, err := plugin.Open()
			if err != nil {
				return failed(err)
			}
			if err := store.Remove(cmd.Context(), args[0]); err != nil {
				return failed(err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "removed %s\n", args[0])
			config, why := plugin.InUse()
			fmt.Fprintf(cmd.OutOrStdout(), "now in use: %s, %s\n", config, why)
			return nil
		},
	}
}

func newBackendUse() *cobra.Command {
	return &cobra.Command{
		Use:   "use go|xla:cpu|xla:cuda|auto",
		Short: "Choose what notebooks compute on from now on",
		Long: `Choose the backend of all programs that gradbook starts from now on: kernels, run and exec. Options follow after a comma,
as in xla:cuda,preallocate=true.

  go                    pure Go
  xla:cpu, xla:cuda     the installed plugin for that device
  xla:/path/plugin.so   that plugin; the name of an installed package will do as well
  auto                  the first plugin that can be used (cuda, cpu), else pure Go: as if nothing had been chosen

GOMLX_BACKEND in the environment, and %backend in a notebook, say more. A choice that can no longer be had stops nothing: pure Go computes
instead, and backend.Choice() says why. The choice is kept in $XDG_CONFIG_HOME/gradbook/backend (default: ~/.config); a machine's own, for users who
chose nothing, in $XDG_CONFIG_DIRS (default: /etc/xdg).`,
		Example: `  gradbook backend use xla:cpu
  gradbook backend use auto`,
		Args:      exactly("backend: go, xla:cpu, xla:cuda or auto"),
		ValidArgs: []string{"go", "xla:cpu", "xla:cuda", "auto"},
		RunE: func(cmd *cobra.Command, args []string) error {
			store, err := plugin.Open()
			if err != nil {
				return failed(err)
			}
			choice, err := store.Choose(args[0])
			if err != nil {
				return failed(err)
			}
			config, why := plugin.InUse()
			fmt.Fprintf(cmd.OutOrStdout(), "chosen: %s\nin use: %s, %s\n", choice, config, why)
			return nil
		},
	}
}
