package plugin

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/gradbook/gradbook/internal/pjrt"
)

// verify compares a wheel's file with what is pinned.
func (w Wheel) verify(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	hash := sha256.New()
	n, err := io.Copy(hash, f)
	if err != nil {
		return err
	}
	sum := hex.EncodeToString(hash.Sum(nil))
	switch {
	case sum == w.SHA256:
		return nil
	case n < w.Bytes:
		return fmt.Errorf("%s is cut short: it has %d of %d bytes", file, n, w.Bytes)
	}
	return fmt.Errorf("%s is not the file that was checked for Gradbook: its sha256 is %s, not %s", file, sum, w.SHA256)
}

// unpack takes from a wheel what a plugin needs: the plugin's file (library is its name in the wheel; empty if it is in another one), NVIDIA's libraries and the licences.
func (w Wheel) unpack(ctx context.Context, file, dir, device, library string) error {
	z, err := zip.OpenReader(file)
	if err != nil {
		return fmt.Errorf("%s cannot be unpacked: %w", file, err)
	}
	defer z.Close()
	for _, f := range z.File {
		// What is not wanted is looked at too: a wheel with such names is not to be trusted at all.
		if !filepath.IsLocal(f.Name) || strings.Contains(f.Name, `\`) {
			return fmt.Errorf("%s is refused: it names a file outside of its own folder, %q", file, f.Name)
		}
	}
	found := library == ""
	for _, f := range z.File {
		to := w.place(f.Name)
		if library != "" && f.Name == library {
			to, found = path.Join(pjrt.Folder, pjrt.FileName(device)), true
		}
		if to == "" || f.Mode().IsDir() {
			continue
		}
		if !f.Mode().IsRegular() {
			return fmt.Errorf("%s is refused: %q is neither a file nor a folder", file, f.Name)
		}
		if err := extract(ctx, f, filepath.Join(dir, filepath.FromSlash(to))); err != nil {
			return fmt.Errorf("%s cannot be unpacked: %w", filepath.Base(file), err)
		}
	}
	if !found {
		return fmt.Errorf("%s holds no %s, so it is not the plugin", file, library)
	}
	return nil
}

// place says where a file of a wheel goes; empty for nowhere.
func (w Wheel) place(name string) string {
	base := strings.ToLower(path.Base(name))
	switch {
	case strings.Contains(name, ".dist-info/"):
		for _, word := range []string{"licen", "notice", "copying", "metadata"} { // the index's description names the licence where there is no text
			if strings.Contains(base, word) {
				_, rest, _ := strings.Cut(name, ".dist-info/")
				return path.Join("licences", w.Name, rest)
			}
		}
	case strings.HasPrefix(name, "nvidia/") && path.Ext(name) != ".py" && path.Ext(name) != ".pyi":
		return name
	}
	return ""
}

func extract(ctx context.Context, f *zip.File, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	mode := os.FileMode(0o644)
	if f.Mode()&0o111 != 0 || strings.Contains(f.Name, "/bin/") || strings.HasSuffix(to, ".so") {
		mode = 0o755
	}
	in, err := f.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, reader{ctx, in})
	return errors.Join(err, out.Close())
}

// reader ends with its context.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// same is a package's name as it stands in the names of its wheels.
func same(name string) string {
	return strings.ToLower(strings.NewReplacer("-", "_", ".", "_").Replace(name))
}

// in finds the wheel in a folder.
func (w Wheel) in(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	var wrong error
	for _, e := range entries {
		name, rest, _ := strings.Cut(e.Name(), "-")
		if same(name) != same(w.Name) || !strings.HasPrefix(rest, w.Version+"-") || path.Ext(rest) != ".whl" {
			continue
		}
		file := filepath.Join(dir, e.Name())
		if err := w.verify(file); err == nil {
			return file, nil
		} else if wrong == nil {
			wrong = err
		}
	}
	if wrong != nil {
		return "", wrong
	}
	return "", unavailable{fmt.Errorf("%s holds no wheel of %s %s", dir, w.Name, w.Version)}
}
