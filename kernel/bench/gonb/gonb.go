// Package gonb builds GoNB, the kernel that Gradbook is measured against, and
// drives it over Jupyter's wire protocol as a notebook server would. It knows
// nothing of Gradbook's own kernel.
package gonb

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Version is the version of GoNB that Build builds.
const Version = "v0.11.5"

// imports is where goimports comes from, which GoNB runs at each cell.
const imports = "golang.org/x/tools"

// importsVersion is the version of it.
const importsVersion = "v0.38.0"

// Build builds GoNB and goimports into the folder bin.
func Build(ctx context.Context, bin string) error {
	dir, err := os.MkdirTemp("", "gonb-build")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	// A module of its own: "go install ...@version" asks for the list of versions too, which may not be at hand.
	mod := fmt.Sprintf("module build\n\ngo 1.26\n\nrequire (\n\tgithub.com/janpfeifer/gonb %s\n\t%s %s\n)\n", Version, imports, importsVersion)
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(mod), 0o666); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-mod=mod", "-o", bin+"/", "github.com/janpfeifer/gonb", imports+"/cmd/goimports")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build GoNB %s: %w\n%s", Version, err, out)
	}
	return nil
}

// Kernel is a running GoNB.
type Kernel struct {
	cmd    *exec.Cmd
	client *client
	exited chan error
	log    string // path of what it logged
	dir    string
}

// connection is what a connection file holds.
type connection struct {
	Transport string `json:"transport"`
	IP        string `json:"ip"`
	Key       string `json:"key"`
	Scheme    string `json:"signature_scheme"`
	Shell     int    `json:"shell_port"`
	IOPub     int    `json:"iopub_port"`
	Stdin     int    `json:"stdin_port"`
	Control   int    `json:"control_port"`
	Heartbeat int    `json:"hb_port"`
}

// Start starts the GoNB in bin and waits until it answers.
func Start(ctx context.Context, bin string) (*Kernel, error) {
	dir, err := os.MkdirTemp("", "gonb-run")
	if err != nil {
		return nil, err
	}
	k := &Kernel{dir: dir, log: filepath.Join(dir, "log"), exited: make(chan error, 1)}
	conn, err := newConnection()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(conn)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "kernel-00000000-0000-0000-0000-000000000000.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, err
	}
	log, err := os.Create(k.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	k.cmd = exec.Command(filepath.Join(bin, "gonb"), "--kernel", file, "--raw_error")
	k.cmd.Dir, k.cmd.Stdout, k.cmd.Stderr = dir, log, log
	// GoNB leaves folders behind where it puts temporary files: Close removes them with its own.
	k.cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "GOWORK=off", "TMPDIR="+dir)
	k.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := k.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { k.exited <- k.cmd.Wait() }()
	if k.client, err = dial(ctx, conn); err == nil {
		err = k.client.greet(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start GoNB: %w\n%s", err, k.tail()), k.Close())
	}
	return k, nil
}

// Require gives the kernel's program the requirements and checksums of the module in folder dir.
func (k *Kernel) Require(ctx context.Context, dir string) error {
	cmd := exec.CommandContext(ctx, "go", "mod", "edit", "-json")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("read %s/go.mod: %w", dir, err)
	}
	var mod struct {
		Require []struct{ Path, Version string }
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		return err
	}
	if len(mod.Require) == 0 {
		return fmt.Errorf("%s/go.mod requires nothing; give the folder of a module that requires GoMLX", dir)
	}
	var text strings.Builder
	text.WriteString("!*go mod edit")
	for _, r := range mod.Require {
		text.WriteString(" -require=" + r.Path + "@" + r.Version)
	}
	_, err = k.Execute(ctx, text.String()+"\n!*cp '"+filepath.Join(dir, "go.sum")+"' go.sum\n")
	return err
}

// Reply is what came of a cell.
type Reply struct {
	Took   time.Duration // from the request until both the reply and the idle status were there
	Stdout string
	Stderr string
}

// Execute runs one cell; a cell that fails is an error.
func (k *Kernel) Execute(ctx context.Context, text string) (Reply, error) {
	r, err := k.client.execute(ctx, text)
	if err != nil {
		return r, fmt.Errorf("GoNB: %w; standard error: %s\n%s", err, r.Stderr, k.tail())
	}
	return r, nil
}

// Close ends the kernel and what it started.
func (k *Kernel) Close() error {
	if k.client != nil {
		k.client.close()
	}
	err := syscall.Kill(-k.cmd.Process.Pid, syscall.SIGTERM)
	select {
	case <-k.exited:
	case <-time.After(5 * time.Second):
		err = syscall.Kill(-k.cmd.Process.Pid, syscall.SIGKILL)
		<-k.exited
	}
	if errors.Is(err, syscall.ESRCH) {
		err = nil
	}
	return errors.Join(err, os.RemoveAll(k.dir))
}

// tail returns the end of what the kernel logged.
func (k *Kernel) tail() string {
	text, _ := os.ReadFile(k.log)
	if len(text) > 2000 {
		text = text[len(text)-2000:]
	}
	return string(text)
}

// newConnection picks free ports and a key.
func newConnection() (connection, error) {
	c := connection{Transport: "tcp", IP: "127.0.0.1", Scheme: "hmac-sha256"}
	for _, port := range []*int{&c.Shell, &c.IOPub, &c.Stdin, &c.Control, &c.Heartbeat} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return c, err
		}
		defer l.Close() // all at the end, so that no port is given twice
		*port = l.Addr().(*net.TCPAddr).Port
	}
	key := make([]byte, 16)
	if _, err := rand.Read(key); err != nil {
		return c, err
	}
	c.Key = hex.EncodeToString(key)
	return c, nil
}
