package assist

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/gradbook/gradbook/kernel/internal/toolchain"
)

// The module file that pins gopls and all that it is made of, and the hashes. It is no go.mod, so that the program's own
// build list does not have to agree with that of gopls.
var (
	//go:embed gopls.mod
	goplsMod string
	//go:embed gopls.sum
	goplsSum string
)

const goplsPath = "golang.org/x/tools/gopls"

var pinned = regexp.MustCompile(goplsPath + ` (v\S+)`)

// Version is the version of gopls that is used.
func Version() string { return pinned.FindStringSubmatch(goplsMod)[1] }

// Build returns the path of the pinned gopls in the user's cache; the first time it is built there, which takes a minute. Of several
// processes one builds.
func Build(ctx context.Context, g *toolchain.Go, cacheDir string, log func(string, ...any)) (string, error) {
	cache, err := toolchain.OpenCache(cacheDir)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(goplsMod + "\x00" + goplsSum + "\x00" + g.Version))
	id := hex.EncodeToString(sum[:8])
	if shared := cache.Shared; shared != nil && runs(ctx, filepath.Join(shared.Dir, "gopls", id, "gopls")) {
		return filepath.Join(shared.Dir, "gopls", id, "gopls"), nil
	}
	dir := filepath.Join(cache.Dir, "gopls", id)
	path := filepath.Join(dir, "gopls")
	if found(path) {
		now := time.Now()
		_ = os.Chtimes(path, now, now) // so that the cache knows it as used; if it cannot be, it may be built again one day
		return path, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("no place for gopls: %w; set GRADBOOK_CACHE to a folder that can be written", err)
	}
	unlock, err := toolchain.Lock(ctx, dir+".lock", nil)
	if err != nil {
		return "", err
	}
	defer unlock()
	if found(path) { // another process has built it meanwhile
		return path, nil
	}
	log("building gopls %s for completion, in the background and only once", Version())
	for name, text := range map[string]string{"go.mod": goplsMod, "go.sum": goplsSum} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return "", err
		}
	}
	if err := compile(ctx, g, dir); err != nil {
		return "", fmt.Errorf("gopls %s could not be built: %w\n(the first time this needs a network, or a module proxy that GOPROXY names)", Version(), err)
	}
	return path, nil
}

// found reports whether a program is there. It came there whole, by a rename.
func found(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// runs reports whether a program is there and says its version: one that others keep is not ours to mend.
func runs(ctx context.Context, path string) bool {
	return found(path) && exec.CommandContext(ctx, path, "version").Run() == nil
}

func compile(ctx context.Context, g *toolchain.Go, dir string) error {
	fresh := filepath.Join(dir, "gopls.new")
	cmd := exec.CommandContext(ctx, g.Command, "build", "-trimpath", "-o", fresh, goplsPath)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly", "CGO_ENABLED=0", "PWD="+dir, "GOTOOLCHAIN="+strings.Fields(g.Version)[0])
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	var words bytes.Buffer
	cmd.Stdout, cmd.Stderr = &words, &words
	if err := cmd.Start(); err != nil {
		return err
	}
	// Cells come first.
	_ = syscall.Setpriority(syscall.PRIO_PGRP, cmd.Process.Pid, 10) // if it cannot be, it is built all the same
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%w\n%s", err, strings.TrimSpace(words.String()))
	}
	return os.Rename(fresh, filepath.Join(dir, "gopls"))
}
