package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/gradbook/gradbook/kernel/internal/toolchain"
)

func newCache() *cobra.Command {
	var verify bool
	cmd := &cobra.Command{
		Use:   "cache",
		Short: "Show what the cache holds and how large it is",
		Long: `Show what has been built and kept: base libraries (the packages that cells are linked against),
extensions (packages outside of those) and cells.

The cache is the folder gradbook in the user's cache folder, or the one that GRADBOOK_CACHE names. It
can be removed as a whole when no notebook runs.

A machine's users can share what is built once: the shared cache is looked into first and is never written. It is
` + toolchain.SharedDir + `, or the folder that GRADBOOK_SHARED_CACHE names ("off": none), and whoever may
write there decides what code everyone's cells run. To fill it, run notebooks with GRADBOOK_CACHE set to that folder.
What it lacks, was made by another version or is damaged there is built into the user's own cache.`,
		Example: `  gradbook cache
  gradbook cache --verify
  gradbook cache prune`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := toolchain.OpenCache("")
			if err != nil {
				return failed(err)
			}
			if c.PassedOver != nil {
				fmt.Fprintln(cmd.ErrOrStderr(), "gradbook: "+c.PassedOver.Error())
			}
			act := showCache
			if verify {
				act = verifyCache
			}
			if c.Shared != nil {
				fmt.Fprintln(cmd.OutOrStdout(), "shared, read only:")
				if err := act(cmd.OutOrStdout(), c.Shared); err != nil {
					return err
				}
				fmt.Fprintln(cmd.OutOrStdout(), "\nthis user's own:")
			}
			return act(cmd.OutOrStdout(), c)
		},
	}
	cmd.Flags().BoolVar(&verify, "verify", false, "check all entries against their hashes, and remove those that are damaged (from the user's own cache)")
	cmd.AddCommand(newPrune())
	return cmd
}

func newPrune() *cobra.Command {
	var keep int
	var unused time.Duration
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Remove what has not been used for long",
		Long: `Remove all base libraries but the one used last, and the extensions, cells and builds of gopls
that have not been used for 30 days. What is removed is built again when it is needed. A shared cache stays as it is.`,
		Example: `  gradbook cache prune
  gradbook cache prune --keep 0 --unused 0s        removes everything`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if keep < 0 || unused < 0 {
				return exit{exitUsage, fmt.Sprintf("--keep %d --unused %s: neither can be negative", keep, unused)}
			}
			c, err := toolchain.OpenCache("")
			if err != nil {
				return failed(err)
			}
			freed, err := c.Prune(keep, unused)
			fmt.Fprintf(cmd.OutOrStdout(), "removed %s\n", size(freed))
			if err != nil {
				return failed(err)
			}
			return nil
		},
	}
	cmd.Flags().IntVar(&keep, "keep", 1, "how many base `LIBRARIES` to keep, the latest used first")
	cmd.Flags().DurationVar(&unused, "unused", 30*24*time.Hour, "remove extensions, cells and builds of gopls that were not used for this long")
	return cmd
}

func showCache(w io.Writer, c *toolchain.Cache) error {
	usage, err := c.Usage()
	if err != nil {
		return failed(err)
	}
	fmt.Fprintln(w, c.Dir)
	var total int64
	for _, u := range usage {
		fmt.Fprintf(w, "  %-10s %6d entries  %10s\n", u.Kind, u.Entries, size(u.Bytes))
		total += u.Bytes
	}
	fmt.Fprintf(w, "  %-10s %6s          %10s\n", "total", "", size(total))
	entries, err := c.Entries()
	if err != nil {
		return failed(err)
	}
	for _, e := range entries {
		about := fmt.Sprintf("%d packages, %s", e.Packages, e.GoVersion)
		if e.GoVersion == "" {
			about = "damaged; 'gradbook cache --verify' removes it"
			if c.ReadOnly() {
				about = "damaged, and passed over: whoever keeps this folder should fill it anew"
			}
		}
		fmt.Fprintf(w, "%s %.12s  %10s  used %s  (%s)\n", e.Kind, e.Key, size(e.Bytes), e.Used.Format("2006-01-02 15:04"), about)
	}
	return nil
}

func verifyCache(w io.Writer, c *toolchain.Cache) error {
	checked, damaged, err := c.Verify()
	done := "removed"
	if c.ReadOnly() {
		done = "damaged, and passed over"
	}
	for _, d := range damaged {
		fmt.Fprintf(w, "%s: %v\n", done, d)
	}
	fmt.Fprintf(w, "%d entries checked, %d damaged\n", checked, len(damaged))
	if err != nil {
		return failed(err)
	}
	return nil
}

// size shows bytes as a person reads them.
func size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d B", n)
}
