package plugin

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gradbook/gradbook/internal/pjrt"
)

// Automatic is the choice that leaves it to what is installed: the first plugin that can be used, else pure Go.
const Automatic = "auto"

// The variables by which a program learns what it is to compute on.
const (
	configVariable  = "GOMLX_BACKEND"            // GoMLX's own: the user's word, which is obeyed or fails
	defaultVariable = "GRADBOOK_DEFAULT_BACKEND" // what the kernel has put into GOMLX_BACKEND by itself
)

const pureGo = "go:ops_sequential"

// choiceFile is where the choice is kept.
func choiceFile() (string, error) {
	config := os.Getenv("XDG_CONFIG_HOME")
	if config == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("no home folder: %w; set XDG_CONFIG_HOME", err)
		}
		config = filepath.Join(home, ".config")
	}
	return filepath.Join(config, "gradbook", "backend"), nil
}

// machineFiles are where a machine or an image keeps what its users compute on unless they choose for themselves.
func machineFiles() (files []string) {
	folders := os.Getenv("XDG_CONFIG_DIRS")
	if folders == "" {
		folders = "/etc/xdg"
	}
	for _, folder := range filepath.SplitList(folders) {
		if filepath.IsAbs(folder) {
			files = append(files, filepath.Join(folder, "gradbook", "backend"))
		}
	}
	return files
}

// Chosen returns what the user chose for all programs, else what was chosen for the machine; Automatic if nothing. With an error it is Automatic too.
func Chosen() (string, error) {
	choice, _, err := chosen()
	return choice, err
}

// chosen also says whose choice it is.
func chosen() (choice, by string, err error) {
	file, err := choiceFile()
	if err == nil { // else there is no home to have chosen in
		if choice, err = readChoice(file); err != nil || choice != "" {
			return orAutomatic(choice), "chosen by 'gradbook backend use'", err
		}
	}
	choice, file, err = machineChoice()
	return orAutomatic(choice), "chosen for this machine, in " + file, err
}

// machineChoice returns what was chosen for the machine, and in which file; empty if nothing.
func machineChoice() (choice, file string, err error) {
	for _, file := range machineFiles() {
		if choice, err := readChoice(file); err != nil || choice != "" {
			return choice, file, err
		}
	}
	return "", "", nil
}

func orAutomatic(choice string) string {
	if choice == "" {
		return Automatic
	}
	return choice
}

// readChoice returns what a file says; empty if it is not there or says nothing.
func readChoice(file string) (string, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("the choice of the backend cannot be read, so there is none: %w", err)
	}
	choice := strings.TrimSpace(string(text))
	if choice == "" {
		return "", nil
	}
	if err := valid(choice); err != nil {
		return "", fmt.Errorf("%s holds no choice of a backend: %w; choose anew: gradbook backend use auto", file, err)
	}
	return choice, nil
}

// Choose keeps a choice for all programs that start from now on, in the form that it returns. It may name an installed package, and must be something that is there.
func (s *Store) Choose(text string) (choice string, err error) {
	choice, err = s.Config(text)
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(choice, "xla") {
		if _, _, err := Resolve(choice); err != nil {
			return "", err
		}
	}
	file, err := choiceFile()
	if err != nil {
		return "", err
	}
	machine, _, _ := machineChoice()
	if choice == Automatic && machine == "" {
		if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("the choice cannot be taken back: %w", err)
		}
		return choice, nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return "", fmt.Errorf("the choice cannot be kept: %w", err)
	}
	temp := file + ".new"
	err = os.WriteFile(temp, []byte(choice+"\n"), 0o644)
	if err == nil {
		err = os.Rename(temp, file)
	}
	if err != nil {
		return "", fmt.Errorf("the choice cannot be kept: %w", err)
	}
	return choice, nil
}

// Config turns what a user calls a backend into a configuration: the name of an installed package stands for its plugin, and a path becomes absolute.
func (s *Store) Config(text string) (string, error) {
	name := strings.TrimSpace(text)
	for _, i := range s.Installed() {
		if i.Name == name {
			if i.Device == "" {
				return "", i.Err
			}
			return "xla:" + i.Path, nil
		}
	}
	for _, p := range known {
		if p.Name == name {
			return "", fmt.Errorf("%s is not installed: gradbook backend install %s", name, name)
		}
	}
	if err := valid(name); err != nil {
		return "", err
	}
	if path, ok := strings.CutPrefix(name, "xla:"); ok && strings.ContainsRune(path, '/') {
		file, options, has := strings.Cut(path, ",")
		file, err := filepath.Abs(file)
		if has {
			file += "," + options
		}
		return "xla:" + file, err
	}
	return name, nil
}

// valid says whether a text is a configuration at all.
func valid(text string) error {
	kind, rest, _ := strings.Cut(text, ":")
	if kind == "go" || text == Automatic || text == "xla" || kind == "xla" && rest != "" {
		return nil
	}
	return fmt.Errorf("%q is no backend: choose one of go, xla:cpu, xla:cuda, xla:/path/to/plugin.so, auto; options follow after a comma", text)
}

// Resolve returns the plugin that an xla configuration stands for, and its options. The error says why there is none that can be used.
func Resolve(config string) (path, options string, err error) {
	name, options, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(config, "xla"), ":"), ",")
	name = strings.TrimSpace(name)
	if strings.ContainsRune(name, '/') {
		return name, options, pjrt.Check(name)
	}
	plugins := pjrt.Find(pjrt.Plugins(), name)
	var wrong []string
	for _, p := range plugins {
		if p.Err != nil {
			wrong = append(wrong, p.Err.Error())
			continue
		}
		return p.Path, options, nil
	}
	if wrong != nil {
		return "", "", errors.New(strings.Join(wrong, "; "))
	}
	return "", "", noPlugin(name)
}

func noPlugin(name string) error {
	if name == "" {
		name = "cpu"
	}
	for _, p := range known {
		if p.Device == name {
			install, _, _ := strings.Cut(p.Name, "1") // of CUDA's two, the driver decides
			elsewhere := ""
			if folders, set := os.LookupEnv(pjrt.PathVariable); set {
				elsewhere = fmt.Sprintf(", and unset %s, because of which XLA looks into %q only", pjrt.PathVariable, folders)
			}
			return fmt.Errorf("no plugin for xla:%s is installed: gradbook backend install %s%s", name, install, elsewhere)
		}
	}
	return fmt.Errorf("no plugin %q is installed", name)
}

// InUse says which backend a program that starts now computes on, as far as that can be known without starting it, and why.
func InUse() (config, why string) {
	if own := os.Getenv(configVariable); strings.TrimSpace(own) != "" && own != os.Getenv(defaultVariable) {
		return own, configVariable + " is set in the environment"
	}
	choice, by, err := chosen()
	if err != nil {
		return pureGo, err.Error()
	}
	kind, _, _ := strings.Cut(choice, ":")
	switch {
	case choice == Automatic:
		path, _, err := Resolve("xla")
		if err == nil {
			return "xla:" + path, "it is the first plugin that can be used, and nothing else was chosen"
		}
		return pureGo, err.Error()
	case kind == "go":
		return choice, by
	}
	path, options, err := Resolve(choice)
	if err != nil {
		return pureGo, choice + " was " + by + ", but " + err.Error()
	}
	if options != "" {
		path += "," + options
	}
	return "xla:" + path, by
}

// Environment returns the variables, as "NAME=value", by which the choice reaches a program that starts now; none where the environment says more. complaint is for the user: the
// choice cannot be had, and the program will compute in pure Go.
func Environment() (set []string, complaint error) {
	if own := os.Getenv(configVariable); own != "" && own != os.Getenv(defaultVariable) {
		return nil, nil
	}
	choice, by, err := chosen()
	if err != nil || choice == Automatic {
		return nil, err
	}
	config := pureGo
	if kind, rest, _ := strings.Cut(choice, ":"); kind == "go" {
		switch {
		case strings.Contains(rest, "ops_"):
			config = choice
		case rest != "":
			config = pureGo + "," + rest
		}
	} else if path, options, err := Resolve(choice); err != nil {
		complaint = fmt.Errorf("the backend %s, %s, cannot be had, and pure Go computes instead: %w", choice, by, err)
	} else {
		config = strings.TrimSuffix("xla:"+path+","+pjrt.Options(path, options), ",")
	}
	// The first is for programs that ask pkg/backend; the others are for those that ask GoMLX, and say that this is no word of the user's.
	return []string{pjrt.ChoiceVariable + "=" + choice, configVariable + "=" + config, defaultVariable + "=" + config}, complaint
}
