package jupyter

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

// connection is the content of a connection file.
type connection struct {
	Transport string `json:"transport"`
	IP        string `json:"ip"`
	Shell     int    `json:"shell_port"`
	IOPub     int    `json:"iopub_port"`
	Stdin     int    `json:"stdin_port"`
	Control   int    `json:"control_port"`
	Heartbeat int    `json:"hb_port"`
	Key       string `json:"key"`
	Scheme    string `json:"signature_scheme"`

	rest map[string]any // all that the file holds
}

// readConnection reads a connection file.
func readConnection(path string) (*connection, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the connection file: %w; Jupyter writes one for each kernel that it starts", err)
	}
	c := &connection{}
	if err := errors.Join(json.Unmarshal(text, c), json.Unmarshal(text, &c.rest)); err != nil {
		return nil, fmt.Errorf("the connection file %s is not what Jupyter writes: %w", path, err)
	}
	switch c.Transport {
	case "":
		c.Transport = "tcp"
	case "tcp", "ipc":
	default:
		return nil, fmt.Errorf("%s: transport %q is not supported; allowed are tcp and ipc", path, c.Transport)
	}
	if c.Scheme == "" {
		c.Scheme = "hmac-sha256"
	}
	if c.Scheme != "hmac-sha256" {
		return nil, fmt.Errorf("%s: signature_scheme %q is not supported; use hmac-sha256", path, c.Scheme)
	}
	if c.IP == "" {
		if c.Transport == "ipc" {
			return nil, fmt.Errorf("%s: with transport ipc, ip must be the path that the sockets' names begin with", path)
		}
		c.IP = "127.0.0.1"
	}
	for _, p := range c.ports() {
		if *p.number < 0 || *p.number > 65535 || *p.number == 0 && c.Transport == "ipc" {
			return nil, fmt.Errorf("%s: %s is %d; give a number from 1 to 65535", path, p.name, *p.number)
		}
	}
	return c, nil
}

type port struct {
	name   string
	number *int
}

func (c *connection) ports() []port {
	return []port{{"shell_port", &c.Shell}, {"iopub_port", &c.IOPub}, {"stdin_port", &c.Stdin}, {"control_port", &c.Control}, {"hb_port", &c.Heartbeat}}
}

// listen opens the five ports, in the order of ports. One whose number is 0 gets a free one, and the file is written again.
func (c *connection) listen(path string) (listeners []net.Listener, err error) {
	defer func() {
		if err != nil {
			for _, l := range listeners {
				l.Close()
			}
		}
	}()
	chosen := false
	for _, p := range c.ports() {
		l, err := c.listenOne(*p.number)
		if err != nil {
			return listeners, fmt.Errorf("%s %d of %s: %w", p.name, *p.number, path, err)
		}
		listeners = append(listeners, l)
		if *p.number == 0 {
			*p.number = l.Addr().(*net.TCPAddr).Port
			c.rest[p.name], chosen = *p.number, true
		}
	}
	if chosen {
		return listeners, c.rewrite(path)
	}
	return listeners, nil
}

func (c *connection) listenOne(number int) (net.Listener, error) {
	if c.Transport == "tcp" {
		ip := c.IP
		if ip == "*" {
			ip = ""
		}
		return net.Listen("tcp", net.JoinHostPort(ip, strconv.Itoa(number)))
	}
	path := fmt.Sprintf("%s-%d", c.IP, number)
	if info, err := os.Lstat(path); err == nil && info.Mode()&os.ModeSocket != 0 {
		os.Remove(path) // of a kernel that was killed
	}
	return listenUnix(path)
}

// rewrite replaces the connection file.
func (c *connection) rewrite(path string) error {
	text, err := json.MarshalIndent(c.rest, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".connection") // made with mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
