package experiment

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/pkg/errors"
)

// fileFormat is the number of the format that this version writes and reads.
const fileFormat = 1

// header is the first line of a results file. What it says must be the same for all runs in the file.
type header struct {
	Format  int             `json:"gradbook_experiment"`
	Name    string          `json:"name"`
	Version string          `json:"version"`
	Fixed   json.RawMessage `json:"fixed"`
}

// record is one finished run, a line of a results file.
type record struct {
	Setting json.RawMessage     `json:"setting"`
	Seed    uint64              `json:"seed"`
	Values  map[string]number   `json:"values"`
	Series  map[string][]number `json:"series,omitempty"`
	Seconds float64             `json:"seconds"`
}

// key tells runs apart.
func key(setting json.RawMessage, seed uint64) string { return fmt.Sprintf("%s %d", setting, seed) }

// seal turns a value into a line, with a checksum as its last field.
func seal(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, errors.WithStack(err)
	}
	body := data[:len(data)-1] // without the closing brace
	return fmt.Appendf(nil, `%s,"sum":"%08x"}`+"\n", body, crc32.ChecksumIEEE(body)), nil
}

// unseal reads a line, and refuses one that is not as it was written.
func unseal(line []byte, v any) error {
	const tail = len(`,"sum":"00000000"}`)
	if len(line) < tail {
		return errors.New("it is too short")
	}
	body := line[:len(line)-tail]
	if want := fmt.Sprintf(`,"sum":"%08x"}`, crc32.ChecksumIEEE(body)); string(line[len(body):]) != want {
		return errors.New("its checksum is wrong")
	}
	return errors.WithStack(json.Unmarshal(line, v))
}

// store is a results file, with what it must agree with.
type store struct {
	path     string
	head     header
	settings []json.RawMessage
}

// read returns the finished runs in data by their keys, and how many bytes of it are whole lines; the rest is a line that was being written when the program was
// killed.
func (s *store) read(data []byte) (runs map[string]record, whole int, err error) {
	runs = map[string]record{}
	known := map[string]bool{}
	for _, setting := range s.settings {
		known[string(setting)] = true
	}
	for number := 1; ; number++ {
		end := bytes.IndexByte(data[whole:], '\n')
		if end < 0 {
			return runs, whole, nil
		}
		line := data[whole : whole+end]
		if number == 1 {
			if err := s.checkHeader(line); err != nil {
				return nil, 0, err
			}
		} else {
			var r record
			if err := unseal(line, &r); err != nil {
				return nil, 0, errors.Errorf("line %d of %s is damaged (%v): remove the line to have its run repeated, or move the file away", number, s.path, err)
			}
			if !known[string(r.Setting)] {
				return nil, 0, errors.Errorf("%s holds results of a setting that this grid does not have: %s (the grid's first is %s). Results of different settings are not mixed: add the setting, "+
					"give the grid another Name or Folder, or move the file away", s.path, r.Setting, s.settings[0])
			}
			k := key(r.Setting, r.Seed)
			if _, twice := runs[k]; twice {
				return nil, 0, errors.Errorf("line %d of %s is a second result of setting %s with seed %d: remove one of the two lines", number, s.path, r.Setting, r.Seed)
			}
			runs[k] = r
		}
		whole += end + 1
	}
}

// checkHeader says what differs, and what to do.
func (s *store) checkHeader(line []byte) error {
	var found struct {
		Format *int `json:"gradbook_experiment"`
	}
	if err := json.Unmarshal(line, &found); err != nil || found.Format == nil {
		return errors.Errorf("%s is not a results file: its first line is %.80q; give the grid another Name or Folder, or move the file away", s.path, line)
	}
	if *found.Format != fileFormat {
		return errors.Errorf("%s was written in format %d, by another version of this package, which reads and writes format %d: give the grid another Name or Folder, or move the file away",
			s.path, *found.Format, fileFormat)
	}
	var h header
	if err := unseal(line, &h); err != nil {
		return errors.Errorf("the first line of %s is damaged (%v): move the file away", s.path, err)
	}
	var differ []string
	for _, d := range []struct{ what, file, grid string }{
		{"Name", fmt.Sprintf("%q", h.Name), fmt.Sprintf("%q", s.head.Name)},
		{"Version", fmt.Sprintf("%q", h.Version), fmt.Sprintf("%q", s.head.Version)},
		{"Fixed", string(h.Fixed), string(s.head.Fixed)},
	} {
		if d.file != d.grid {
			differ = append(differ, fmt.Sprintf("%s is %s in the file and %s in the grid", d.what, d.file, d.grid))
		}
	}
	if differ != nil {
		return errors.Errorf("%s holds results of another experiment: %s. They are not mixed: give the grid another Name or Folder, or move the file away to run all of it again", s.path, strings.Join(differ, "; "))
	}
	return nil
}

// peek returns the finished runs on disk, without a lock and without a change; none if there is no file.
func (s *store) peek() (map[string]record, error) {
	data, err := os.ReadFile(s.path)
	if os.IsNotExist(err) {
		return map[string]record{}, nil
	}
	if err != nil {
		return nil, errors.WithStack(err)
	}
	runs, _, err := s.read(data)
	return runs, err
}

// open takes the file for writing and returns the finished runs in it. A line that was cut off is dropped.
func (s *store) open() (f *os.File, runs map[string]record, err error) {
	if err := os.MkdirAll(filepath.Dir(s.path), 0o755); err != nil {
		return nil, nil, errors.WithStack(err)
	}
	f, err = os.OpenFile(s.path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, nil, errors.WithStack(err)
	}
	locked := false
	defer func() {
		if err != nil {
			if locked {
				unlock(f)
			}
			f.Close()
		}
	}()
	if locked, err = lock(f); err != nil {
		return nil, nil, errors.WithMessagef(err, "locking %s", s.path)
	}
	if !locked {
		return nil, nil, errors.Errorf("%s is being written by another program, or another cell, that runs this grid: wait until it is done or end it, or give this grid another Name or Folder", s.path)
	}
	data, err := io.ReadAll(f)
	if err != nil {
		return nil, nil, errors.WithStack(err)
	}
	runs, whole, err := s.read(data)
	if err != nil {
		return nil, nil, err
	}
	if whole < len(data) {
		if err := f.Truncate(int64(whole)); err != nil {
			return nil, nil, errors.WithStack(err)
		}
	}
	if whole == 0 {
		line, err := seal(s.head)
		if err != nil {
			return nil, nil, err
		}
		if _, err := f.Write(line); err != nil {
			return nil, nil, errors.WithStack(err)
		}
	}
	return f, runs, nil
}
