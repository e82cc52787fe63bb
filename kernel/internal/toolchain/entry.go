package toolchain

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// manifest describes one library in the cache. It is written last, so that an entry without one is no entry.
type manifest struct {
	Key       string
	GoVersion string
	Library   string
	Worker    string `json:",omitempty"`
	Created   time.Time
	Packages  []*Package
	Files     []entryFile
}

type entryFile struct {
	Name string
	Size int64
	Hash string
}

const (
	manifestFile = "manifest.json"
	pointersFile = "pointers"
)

// writeSealed writes v as JSON, after a line with its hash.
func writeSealed(path string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	return writeFile(path, append([]byte(hex.EncodeToString(sum[:])+"\n"), data...), 0o644)
}

// readSealed reads what writeSealed wrote, and refuses it when it is damaged.
func readSealed(path string, v any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	seal, data, _ := bytes.Cut(text, []byte("\n"))
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != string(seal) {
		return fmt.Errorf("%s is damaged", path)
	}
	return json.Unmarshal(data, v)
}

// readManifest reads an entry's manifest and checks that its files are there and of their size.
func (c *Cache) readManifest(dir string) (*manifest, error) {
	m := new(manifest)
	path := filepath.Join(dir, manifestFile)
	if err := readSealed(path, m); err != nil {
		return nil, err
	}
	for _, f := range m.Files {
		info, err := os.Stat(filepath.Join(dir, f.Name))
		if err != nil {
			return nil, fmt.Errorf("the cache entry is damaged: %w", err)
		}
		if info.Size() != f.Size {
			return nil, fmt.Errorf("the cache entry is damaged: %s has %d bytes, not %d", filepath.Join(dir, f.Name), info.Size(), f.Size)
		}
	}
	c.used(path)
	return m, nil
}

// verify compares the contents of an entry's files with their hashes.
func (m *manifest) verify(dir string) error {
	var errs []error
	for _, f := range m.Files {
		hash, err := hashFile(filepath.Join(dir, f.Name))
		if err == nil && hash != f.Hash {
			err = fmt.Errorf("%s is damaged: its content is not what was written", filepath.Join(dir, f.Name))
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// seal lists the files of a new entry and writes its manifest.
func (m *manifest) seal(dir string) error {
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		hash, err := hashFile(path)
		m.Files = append(m.Files, entryFile{Name: name, Size: info.Size(), Hash: hash})
		return err
	})
	if err != nil {
		return err
	}
	return writeSealed(filepath.Join(dir, manifestFile), m)
}

// keepExport copies the export data of a compiled package into a cache entry: the go command may throw
// away its own copy at any time.
func keepExport(dir string, p *listed) (*Package, error) {
	data, err := os.ReadFile(p.Export)
	if err != nil {
		return nil, err
	}
	part, err := exportPart(data)
	if err != nil {
		return nil, fmt.Errorf("%s (%s): %w", p.Export, p.ImportPath, err)
	}
	name := filepath.Join("export", strings.ReplaceAll(p.ImportPath, "/", "+")+".a")
	if err := os.MkdirAll(filepath.Join(dir, "export"), 0o755); err != nil {
		return nil, err
	}
	entry := &Package{Path: p.ImportPath, Name: p.Name, Standard: p.Standard, Module: p.module(), Content: p.content(), Export: name}
	return entry, os.WriteFile(filepath.Join(dir, name), part, 0o644)
}

// exportPart returns an archive that has the first member only, which is what importers read.
func exportPart(archive []byte) ([]byte, error) {
	const magic, head = "!<arch>\n", 60
	if !bytes.HasPrefix(archive, []byte(magic+"__.PKGDEF")) || len(archive) < len(magic)+head {
		return nil, errors.New("it is no archive of a Go package")
	}
	size, err := strconv.Atoi(strings.TrimSpace(string(archive[len(magic)+48 : len(magic)+58])))
	end := len(magic) + head + size + size%2
	if err != nil || size < 0 || end > len(archive) {
		return nil, errors.New("it is cut short")
	}
	return archive[:end], nil
}
