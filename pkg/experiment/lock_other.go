//go:build !unix

package experiment

import "os"

// lock takes the file for this program alone, by a second file that stays behind if the program is killed. It reports false if another has it.
func lock(f *os.File) (bool, error) {
	marker, err := os.OpenFile(f.Name()+".lock", os.O_CREATE|os.O_EXCL, 0o644)
	if os.IsExist(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, marker.Close()
}

func unlock(f *os.File) { os.Remove(f.Name() + ".lock") }
