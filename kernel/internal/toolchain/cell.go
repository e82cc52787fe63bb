package toolchain

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
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
func (c *Cache) readCell(stem string) (*Object, error) {
	var about cell
	if err := readSealed(stem+".json", &about); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(stem + ".o")
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(data); len(data) != about.Size || hex.EncodeToString(sum[:]) != about.Hash {
		return nil, fmt.Errorf("%s.o is damaged: its content is not what was written", stem)
	}
	c.used(stem+".o", stem+".json")
	return &Object{Path: stem + ".o", Cached: true, LocalTypes: about.LocalTypes}, nil
}
