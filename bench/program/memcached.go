package program

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"os/user"
	"strings"
	"time"

	"github.com/bradfitz/gomemcache/memcache" //nolint:depguard // the library that the client is compared with
)

// Memcached is a real memcached.
type Memcached struct {
	*Process        // nil while it does not run
	Address  string // host:port or /path/to.sock
	options  []string
}

// Timeout is that of each operation of a Client: longer than a busy machine needs.
const Timeout = 2 * time.Second

// StartMemcached starts a memcached at an address, with more of its command-line
// options, and waits until it answers.
func StartMemcached(ctx context.Context, address string, options ...string) (*Memcached, error) {
	m := &Memcached{Address: address, options: options}
	if err := m.Start(ctx); err != nil {
		return nil, err
	}
	c := m.Client()
	defer func() { _ = c.Close() }()
	if err := m.Until(ctx, time.Millisecond, func() bool { return c.Ping() == nil }); err != nil {
		m.Kill()
		return nil, fmt.Errorf("start memcached: %w", err)
	}
	return m, nil
}

// Start starts it again, empty, after Kill. It does not wait.
func (m *Memcached) Start(ctx context.Context) error {
	path, err := exec.LookPath("memcached")
	if err != nil {
		return errors.New("memcached is not installed; install it, for example with apt")
	}
	args := append([]string{"-c", "4096"}, m.options...)
	if who, err := user.Current(); err == nil {
		args = append(args, "-u", who.Username) // memcached refuses to run as root without it
	}
	if strings.HasPrefix(m.Address, "/") {
		args = append(args, "-s", m.Address)
	} else {
		host, port, _ := net.SplitHostPort(m.Address)
		args = append(args, "-l", host, "-p", port)
	}
	m.Process, err = Start(ctx, nil, path, args...)
	return err
}

// Client returns a client with as many idle connections as the project's own.
func (m *Memcached) Client() *memcache.Client {
	c := memcache.New(m.Address)
	c.MaxIdleConns = 128
	c.Timeout = Timeout
	return c
}
