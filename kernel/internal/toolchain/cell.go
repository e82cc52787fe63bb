package toolchain

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// cell is what is kept beside the object of a cell.
type cell struct {
	Size       int
	Hash       string
	LocalTypes map[string]string
}

func writeCell(stem string, data []byte, o *Object) error {
	sum := sha256.Sum256(data)
	if err := os.MkdirAll(filepath.Dir(stem), 0o755); err != nil {
		return err
	}
	if err := writeFile(stem+".o", data, 0o644); err != nil {
		return err
	}
	o.Path = stem + ".o"
	return writeSealed(stem+".json", cell{Size: len(data), Hash: hex.EncodeToString(sum[:]), LocalTypes: o.LocalTypes})
}

// readCell finds an object in the cache; a damaged one is an error, and is written anew.
func readCell(stem string) (*Object, error) {
	var c cell
	if err := readSealed(stem+".json", &c); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(stem + ".o")
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(data); len(data) != c.Size || hex.EncodeToString(sum[:]) != c.Hash {
		return nil, fmt.Errorf("%s.o is damaged: its content is not what was written", stem)
	}
	now := time.Now()
	_ = errors.Join(os.Chtimes(stem+".o", now, now), os.Chtimes(stem+".json", now, now)) // last use, for pruning
	return &Object{Path: stem + ".o", Cached: true, LocalTypes: c.LocalTypes}, nil
}
