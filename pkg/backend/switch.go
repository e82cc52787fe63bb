package backend

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/gobackend"
	"github.com/pkg/errors"

	"github.com/gradbook/gradbook/internal/pjrt"
)

// Automatic is the configuration that makes Use take back what it did before: the backend is again the one that Default takes by itself.
const Automatic = "auto"

// defaultVariable says what the kernel put into GOMLX_BACKEND because the user had put nothing there.
const defaultVariable = "GRADBOOK_DEFAULT_BACKEND"

// instance is a backend that Default or Use started.
type instance struct {
	name    string // the full form of its configuration
	backend compute.Backend
}

// What follows is guarded by mu.
var (
	started   []instance // oldest first; each stays, so that switching back is quick and what was compiled for it goes on working
	asked     string     // the configuration that Use was given last; empty when Default decides
	exported  string     // what Use put into GOMLX_BACKEND; empty if nothing
	inherited [2]string  // what was in GOMLX_BACKEND and GRADBOOK_DEFAULT_BACKEND before that

	automatically = map[string]Chosen{} // what choose chose, by what there was to choose from and what was wished for
)

// Use makes the backend of a configuration (see the package comment) the one that Default returns from here on; Automatic takes that back. A backend of that configuration that
// Default or Use started before is taken again, with all that was compiled for it. The others stay as they are: Execs go on working on the backend that they were made for.
//
// GOMLX_BACKEND is set too, for code that makes its backends by compute.New, and for subprocesses. After an error everything is as it was.
//
// Tensors stay where they are: see Move.
func Use(config string) (Chosen, error) {
	mu.Lock()
	defer mu.Unlock()
	config = strings.TrimSpace(config)
	if config == "" {
		return Chosen{}, errors.Errorf("no backend given: choose one of %s, %s", strings.Join(allowed(), ", "), Automatic)
	}
	if v := os.Getenv(compute.ConfigEnvVar); exported == "" || v != exported { // set by somebody else since
		inherited = [2]string{v, os.Getenv(defaultVariable)}
	}
	if strings.EqualFold(config, Automatic) {
		own := inherited[0]
		if own == inherited[1] {
			own = ""
		}
		b, c, err := automatic(own)
		if err != nil {
			return Chosen{}, err
		}
		current, chosen, asked, exported = b, c, "", ""
		return c, errors.WithStack(setenv(inherited[0], inherited[1]))
	}
	b, name, err := obtain(config)
	if err != nil {
		return Chosen{}, err
	}
	current, chosen, asked, exported = b, Chosen{name, "it was asked for: " + config}, config, name
	return chosen, errors.WithStack(setenv(name, ""))
}

// setenv sets the two variables; an empty one is removed.
func setenv(config, byDefault string) error {
	for name, value := range map[string]string{compute.ConfigEnvVar: config, defaultVariable: byDefault} {
		err := os.Unsetenv(name)
		if value != "" {
			err = os.Setenv(name, value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// wanted returns the backend that Use was asked for or, without that, the one that Default takes by itself; mu is held.
func wanted() (compute.Backend, Chosen, error) {
	if asked == "" {
		return automatic(configured())
	}
	b, name, err := obtain(asked)
	if err != nil {
		return nil, Chosen{}, errors.WithMessagef(err, "backend %q, which was asked for", asked)
	}
	return b, Chosen{name, "it was asked for: " + asked}, nil
}

// automatic is choose, but takes a backend that was started before where that is what choose would start; mu is held.
func automatic(config string) (compute.Backend, Chosen, error) {
	wish := wished()
	key := strings.Join(append(choices(), config, wish), "\x00")
	if c, ok := automatically[key]; ok {
		if i := named(c.Name); i != nil {
			return i.backend, c, nil
		}
	}
	if i := likely(config, wish); i != nil {
		reason := "it is installed and starts"
		if strings.TrimSpace(config) != "" {
			reason = compute.ConfigEnvVar + "=" + config
		} else if wish != "" {
			reason = wish + byUse
		}
		return i.backend, Chosen{i.name, reason}, nil
	}
	b, c, err := choose(config)
	if err != nil {
		return nil, Chosen{}, err
	}
	if !IsGo(b) { // else a plugin may be installed until then
		automatically[key] = c
	}
	if i := named(c.Name); i != nil { // choose found out by itself that it is to be pure Go, which costs nothing to start
		b.Finalize()
		return i.backend, c, nil
	}
	keep(instance{c.Name, b})
	return b, c, nil
}

// likely returns the running backend that choose would start another one of; nil if there is none, or that cannot be known.
func likely(config, wish string) *instance {
	switch {
	case strings.TrimSpace(config) != "":
		return running(config)
	case wish != "":
		return running(wish)
	}
	return running("xla")
}

// obtain returns the backend of a configuration, which is started if it was not before; mu is held.
func obtain(config string) (compute.Backend, string, error) {
	if i := running(config); i != nil {
		return i.backend, i.name, nil
	}
	b, name, err := create(config)
	if err == nil {
		keep(instance{name, b})
	}
	return b, name, err
}

// keep remembers a backend, and forgets those that were finalized.
func keep(i instance) {
	started = append(slices.DeleteFunc(started, func(i instance) bool { return i.backend.IsFinalized() }), i)
}

// running returns the backend that create would start for a configuration, if it was started before; nil if not. mu is held.
func running(config string) *instance {
	kind, options, _ := strings.Cut(strings.TrimSpace(config), ":")
	switch lower := strings.ToLower(kind); {
	case lower == gobackend.BackendName:
		return named(goConfig(options))
	case !slices.Contains(xlaNames, lower):
		return named(config)
	}
	plugin, options, _ := strings.Cut(options, ",")
	for _, path := range pathsOf(strings.TrimSpace(plugin)) {
		name := "xla:" + path
		if all := pjrt.Options(path, options); all != "" {
			name += "," + all
		}
		if i := named(name); i != nil || Check(path) == nil { // a sound one comes before those that follow
			return i
		}
	}
	return nil
}

// named returns the backend that was started by the full form of a configuration.
func named(name string) *instance {
	for k, i := range started {
		if i.name == name && !i.backend.IsFinalized() {
			return &started[k]
		}
	}
	return nil
}

// pathsOf returns the files that a plugin's name, path or nothing may mean, in the order in which they are tried.
func pathsOf(plugin string) (paths []string) {
	if strings.ContainsRune(plugin, '/') {
		if path, err := filepath.Abs(plugin); err == nil {
			return []string{path}
		}
		return nil
	}
	for _, p := range pjrt.Find(pjrt.Plugins(), plugin) {
		paths = append(paths, p.Path)
	}
	return paths
}

func optionList(options string) (list []string) {
	for option := range strings.SplitSeq(options, ",") {
		if option = strings.TrimSpace(option); option != "" {
			list = append(list, option)
		}
	}
	return list
}

// Label is the short form of a backend's full configuration, for messages: "go", "xla:cpu", "xla:cuda,preallocate=true".
func Label(name string) string {
	kind, rest, _ := strings.Cut(name, ":")
	path, options, _ := strings.Cut(rest, ",")
	switch kind {
	case gobackend.BackendName:
		list := slices.DeleteFunc(optionList(rest), func(o string) bool { return o == "ops_sequential" })
		if len(list) == 0 {
			return kind
		}
		return kind + ":" + strings.Join(list, ",")
	case "xla":
		added := optionList(pjrt.Options(path, ""))
		list := slices.DeleteFunc(optionList(options), func(o string) bool { return slices.Contains(added, o) })
		for _, pattern := range pjrt.FileNames {
			if match := pattern.FindStringSubmatch(filepath.Base(path)); match != nil {
				path = match[1]
				break
			}
		}
		return strings.Join(append([]string{kind + ":" + path}, list...), ",")
	}
	return name
}
