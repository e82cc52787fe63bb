// Package backend chooses what computes: GoMLX's XLA backend where one of its plugins is installed, its pure-Go backend everywhere else.
//
//	b := backend.MustDefault()
//	fmt.Println(backend.Choice())   // go:ops_sequential: no PJRT plugin in /usr/local/lib/go-xla, ...
//
// Importing it registers both backends with GoMLX and turns off go-xla's download of plugins: nothing here ever reaches for the network. 'gradbook backend
// install' installs one; or put its file (pjrt_c_api_cpu_plugin.so, say) into ~/.local/lib/go-xla, or name its folder in PJRT_PLUGIN_LIBRARY_PATH.
//
// # Configurations
//
//	go                  GoMLX's pure-Go backend, its operations one after the other: "go:ops_sequential". Its own default runs operations in parallel, and can
//	                    deadlock (a large matrix product waits for a worker while holding one: 32 independent ones stop for good); "go:ops_parallel" takes that risk
//	xla                 the first of the installed plugins: cuda (where there is an NVIDIA GPU), cpu, any other
//	xla:cpu, xla:cuda   the installed plugin of that name; also as versioned files (cpu_v0.83.1)
//	xla:/path/file.so   that plugin
//
// Options of the backend follow after commas, for example xla:cuda,visible_devices=0 or go:parallelism=4. A name under which another backend was registered
// with GoMLX is passed on to it.
//
// # One CPU
//
// XLA's plugin for the CPU is made to be one device that computes in the caller's thread, and glibc is told to keep what it frees: a step of a small net is then as quick as
// the same XLA inside JAX, and else takes half as long again.
//
// # Memory on a GPU
//
// XLA on CUDA would take three quarters of the GPU's memory at its start. As several notebooks often share one, New passes preallocate=false unless
// preallocate is among the options: "xla:cuda,preallocate=true,memory_fraction=0.5".
//
// # Determinism
//
// Weights and data are drawn on the host, so the same seed gives the same weights and the same order of examples on every backend; and pure Go, and XLA on a
// CPU, give the same bits when they run the same graph again on the same machine (XLA on a GPU may choose other kernels). Between backends sums are taken in
// other orders and exp and tanh are other code: one training step agrees within the rounding of float32, and training then amplifies that until two runs have
// only their statistics in common. Matrix products on CUDA are done in full float32 (tf32=false unless asked for: TF32 keeps 10 bits of 23).
//
// # Switching
//
// Use makes another backend the default of a program that runs. Each is started once and lives on, and with it what was compiled for it. A tensor belongs to the
// backend that it was last used with, and no other one takes it: Move brings those that live variables reach to the host, from where any backend takes them.
//
// The package knows no nets and no data.
package backend

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/gobackend"
	"github.com/pkg/errors"

	"github.com/gradbook/gradbook/internal/pjrt"
)

// goSequential is the only mode of the pure-Go backend that cannot deadlock (compute v0.1.3).
const goSequential = gobackend.BackendName + ":ops_sequential"

// Chosen is the backend that Default took.
type Chosen struct {
	// Name is the configuration, as New takes it: "go:ops_sequential", "xla:/usr/local/lib/go-xla/pjrt_c_api_cpu_plugin.so".
	Name string `json:"name"`
	// Reason says why, in words: "GOMLX_BACKEND", "no PJRT plugin in ...".
	Reason string `json:"reason"`
}

// String returns "name: reason".
func (c Chosen) String() string {
	if c.Name == "" {
		return "no backend: " + c.Reason
	}
	return c.Name + ": " + c.Reason
}

var (
	mu      sync.Mutex
	current compute.Backend // guarded by mu; nil until Default or Use succeeded
	chosen  Chosen          // guarded by mu
)

// Default returns the process's backend, the same one at each call until Use takes another: what GOMLX_BACKEND says (see the package comment for the configurations)
// if it is set; else what 'gradbook backend use' chose, if it can be had; else XLA if a plugin is installed that loads; else pure Go. It never fails for want of an
// accelerator: the error is about a GOMLX_BACKEND that is not understood or cannot be had, and a later call tries again. A backend that was finalized is replaced.
func Default() (compute.Backend, error) {
	mu.Lock()
	defer mu.Unlock()
	return locked()
}

// configured is what the user asks for by GOMLX_BACKEND. Gradbook's kernel sets it where the user did not, for programs that would take XLA without a plugin; it says so
// in a variable of its own, and then nothing was asked for.
func configured() string {
	config := os.Getenv(compute.ConfigEnvVar)
	if config == os.Getenv("GRADBOOK_DEFAULT_BACKEND") {
		return ""
	}
	return config
}

// wished is what the user chose by 'gradbook backend use' for all programs: unlike GOMLX_BACKEND it gives way to pure Go where it cannot be had.
func wished() string { return strings.TrimSpace(os.Getenv(pjrt.ChoiceVariable)) }

// byUse follows such a wish in a reason.
const byUse = " was chosen by 'gradbook backend use'"

func locked() (compute.Backend, error) {
	if current != nil && !current.IsFinalized() {
		return current, nil
	}
	b, c, err := wanted()
	current, chosen = b, c
	return b, err
}

// MustDefault is Default, but panics with its error.
func MustDefault() compute.Backend {
	b, err := Default()
	if err != nil {
		panic(err)
	}
	return b
}

// Choice returns which backend Default took, and why; it makes the choice if Default was not called before. If that failed, Name is empty and Reason is the
// error.
func Choice() Chosen {
	mu.Lock()
	defer mu.Unlock()
	if _, err := locked(); err != nil {
		return Chosen{Reason: err.Error()}
	}
	return chosen
}

// IsGo tells whether b is GoMLX's pure-Go backend: for code that knows a faster way to build a graph for it.
func IsGo(b compute.Backend) bool { return b != nil && b.String() == gobackend.BackendName }

// choose makes the backend of the process; config is GOMLX_BACKEND, or empty.
func choose(config string) (compute.Backend, Chosen, error) {
	if strings.TrimSpace(config) != "" {
		b, name, err := create(config)
		if err != nil {
			return nil, Chosen{}, errors.WithMessagef(err, "%s=%q", compute.ConfigEnvVar, config)
		}
		return b, Chosen{name, compute.ConfigEnvVar + "=" + config}, nil
	}
	if wish := wished(); wish != "" {
		if b, name, err := create(wish); err == nil {
			return b, Chosen{name, wish + byUse}, nil
		} else if b, name, goErr := create(goSequential); goErr == nil {
			return b, Chosen{name, fmt.Sprintf("%s%s, but %v", wish, byUse, err)}, nil
		}
	}
	b, name, passed, failure := startAny("")
	if failure == nil {
		return b, Chosen{name, strings.Join(append([]string{"it is installed and starts"}, passed...), "; ")}, nil
	}
	b, name, err := create(goSequential)
	return b, Chosen{name, failure.Error()}, err
}

// New makes a backend of its own from a configuration as in the package comment, with GoMLX's panics turned into errors. An XLA plugin's file is checked before
// it is loaded, since go-xla cannot stand one that does not load; each error names the file and says what is wrong with it. The empty configuration is what
// Default takes when GOMLX_BACKEND is not set. Most programs want one backend: Default.
func New(config string) (compute.Backend, error) {
	if strings.TrimSpace(config) == "" {
		b, _, err := choose("")
		return b, err
	}
	b, _, err := create(config)
	return b, err
}

// create returns the backend of a configuration that is not empty, and the full form of the configuration.
func create(config string) (b compute.Backend, name string, err error) {
	kind, options, _ := strings.Cut(strings.TrimSpace(config), ":")
	switch lower := strings.ToLower(kind); {
	case lower == gobackend.BackendName:
		name = goConfig(options)
	case slices.Contains(xlaNames, lower):
		return createXLA(options)
	case slices.Contains(compute.List(), kind):
		name = config
	default:
		return nil, "", errors.Errorf("unknown backend %q: choose one of %s", config, strings.Join(allowed(), ", "))
	}
	if b, err = protect(name); err != nil {
		return nil, "", errors.WithMessagef(err, "backend %q", name)
	}
	return b, name, nil
}

// xlaNames are those under which go-xla registers its one backend.
var xlaNames = []string{"xla", "stablehlo", "hlo", "shlo"}

// allowed lists configurations, for messages.
func allowed() []string {
	list := []string{"go"}
	if xlaBuilt {
		list = append(list, "xla", "xla:cpu", "xla:cuda", "xla:/path/to/plugin.so")
	}
	for _, name := range slices.Sorted(slices.Values(compute.List())) {
		if name != gobackend.BackendName && !slices.Contains(xlaNames, name) {
			list = append(list, name)
		}
	}
	return list
}

// goConfig adds ops_sequential to the pure-Go backend's options, unless they say otherwise.
func goConfig(options string) string {
	var list []string
	mode := "ops_sequential"
	for option := range strings.SplitSeq(options, ",") {
		switch option = strings.TrimSpace(option); option {
		case "":
		case "ops_sequential", "ops_parallel":
			mode = option
		default:
			list = append(list, option)
		}
	}
	return gobackend.BackendName + ":" + strings.Join(append([]string{mode}, list...), ",")
}

// protect makes a backend by GoMLX, whose constructors panic for some mistakes.
func protect(config string) (b compute.Backend, err error) {
	defer func() {
		if r := recover(); r != nil {
			b, err = nil, errors.Errorf("GoMLX panicked: %v", r)
		}
	}()
	b, err = compute.NewWithConfig(config)
	if err == nil && b == nil {
		err = errors.New("none was made")
	}
	return b, err
}

// Describe says in one line what b is: its description, and its devices if it has several.
func Describe(b compute.Backend) string {
	if n := b.NumDevices(); n > 1 {
		return fmt.Sprintf("%s (%d devices)", b.Description(), n)
	}
	return b.Description()
}
