package gradflow

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/pkg/errors"
)

// The first line of a file of reports says what it is; each line after it is one report.
const (
	fileFormat  = "gradbook gradflow reports"
	fileVersion = 1
)

type fileHeader struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
}

// TruncatedError says that the last line of a file of reports is incomplete, as after a kill while it was written. All reports before it are good.
type TruncatedError struct {
	File string
	Line int // of the incomplete line, from 1 on
}

// Error says which line is incomplete.
func (e *TruncatedError) Error() string {
	return fmt.Sprintf("gradflow: the last line of %s, line %d, is incomplete; the reports before it were read", e.File, e.Line)
}

// WriteFile writes reports to a file, over what it held: JSON lines, the first of which names the format and its version. NaN and infinities
// are kept. The file appears whole or not at all.
func WriteFile(file string, reports []*Report) error {
	temporary, err := os.CreateTemp(filepath.Dir(file), ".gradflow-*")
	if err != nil {
		return errors.Wrapf(err, "gradflow: reports cannot be written to %s", file)
	}
	defer os.Remove(temporary.Name())
	err = write(temporary, reports)
	if closing := temporary.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Chmod(temporary.Name(), 0o644)
	}
	if err == nil {
		err = os.Rename(temporary.Name(), file)
	}
	return errors.Wrapf(err, "gradflow: reports cannot be written to %s", file)
}

func write(w io.Writer, reports []*Report) error {
	b := bufio.NewWriter(w)
	lines := []any{fileHeader{fileFormat, fileVersion}}
	for _, r := range reports {
		lines = append(lines, r)
	}
	for _, line := range lines {
		data, err := json.Marshal(line)
		if err != nil {
			return err
		}
		b.Write(data)
		if err := b.WriteByte('\n'); err != nil {
			return err
		}
	}
	return b.Flush()
}

// ReadFile reads the reports of a file that WriteFile or Recorder.Write wrote.
//
// Errors: a file that is none of these, or of another version (nothing is returned then); a line that is no report; and, with all
// reports before it, a *TruncatedError for an incomplete last line.
func ReadFile(file string) ([]*Report, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, errors.Wrap(err, "gradflow: reports cannot be read")
	}
	defer f.Close()
	return read(f, file)
}

func read(source io.Reader, name string) ([]*Report, error) {
	data, err := io.ReadAll(source)
	if err != nil {
		return nil, errors.Wrapf(err, "gradflow: reports cannot be read from %s", name)
	}
	first, rest, _ := bytes.Cut(data, []byte("\n"))
	var header fileHeader
	if err := json.Unmarshal(first, &header); err != nil || header.Format != fileFormat {
		return nil, errors.Errorf("gradflow: %s is no file of reports; its first line must be %s", name,
			fmt.Sprintf(`{"format":%q,"version":%d}`, fileFormat, fileVersion))
	}
	if header.Version != fileVersion {
		return nil, errors.Errorf("gradflow: %s is a file of reports of version %d, and this program reads version %d; read it with the program that wrote it, "+
			"or record anew", name, header.Version, fileVersion)
	}
	var reports []*Report
	for line := 2; len(rest) > 0; line++ {
		text, next, whole := bytes.Cut(rest, []byte("\n"))
		r := &Report{}
		if err := json.Unmarshal(text, r); err != nil {
			if !whole {
				return reports, &TruncatedError{File: name, Line: line}
			}
			return nil, errors.Wrapf(err, "gradflow: line %d of %s is no report", line, name)
		}
		reports = append(reports, r)
		rest = next
	}
	return reports, nil
}

// Write writes what has been recorded so far to a file; ReadFile reads it.
func (r *Recorder) Write(file string) error {
	reports, err := r.Reports()
	if err != nil {
		return err
	}
	return WriteFile(file, reports)
}
