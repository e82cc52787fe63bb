package toolchain

import (
	"golang.org/x/mod/modfile"
	"golang.org/x/mod/semver"
)

// raise gives file every requirement and replacement of own that it lacks or has at an older version.
func raise(file, own *modfile.File) error {
	have := map[string]string{}
	for _, r := range file.Require {
		have[r.Mod.Path] = r.Mod.Version
	}
	for _, r := range own.Require {
		if v, ok := have[r.Mod.Path]; ok && semver.Compare(v, r.Mod.Version) >= 0 {
			continue
		}
		if err := file.AddRequire(r.Mod.Path, r.Mod.Version); err != nil {
			return err
		}
	}
	for _, r := range own.Replace {
		if err := file.AddReplace(r.Old.Path, r.Old.Version, r.New.Path, r.New.Version); err != nil {
			return err
		}
	}
	return nil
}

func olderGo(a, b string) bool { return semver.Compare("v"+a, "v"+b) < 0 }
