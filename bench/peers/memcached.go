package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"os/user"
	"time"

	"github.com/bradfitz/gomemcache/memcache" //nolint:depguard // to see whether memcached is up, and to pass its time
)

// memcached is a real one.
type memcached struct {
	path, address string
	process       *process // nil while it is down
}

func startMemcached(ctx context.Context, address string) (*memcached, error) {
	path, err := exec.LookPath("memcached")
	if err != nil {
		return nil, errors.New("memcached is not installed: run make setup")
	}
	m := &memcached{path: path, address: address}
	if err := m.start(ctx); err != nil {
		return nil, err
	}
	bare := memcache.New(address)
	defer func() { _ = bare.Close() }()
	if err := m.process.until(ctx, func() bool { return bare.Ping() == nil }); err != nil {
		m.kill()
		return nil, fmt.Errorf("start memcached: %w", err)
	}
	return m, nil
}

// start starts it, empty, where it was before, and does not wait.
func (m *memcached) start(ctx context.Context) error {
	host, port, _ := net.SplitHostPort(m.address)
	args := []string{"-c", "4096", "-l", host, "-p", port}
	if who, err := user.Current(); err == nil {
		args = append(args, "-u", who.Username) // root must say that it means it
	}
	var err error
	m.process, err = start(ctx, nil, m.path, args...)
	return err
}

func (m *memcached) kill() {
	if m.process != nil {
		m.process.kill()
	}
	m.process = nil
}

// passTo puts an entry into the state in which it is when so much of its life is
// left: memcached then ends it by itself.
func (m *memcached) passTo(key string, left time.Duration) error {
	bare := memcache.New(m.address)
	defer func() { _ = bare.Close() }()
	return bare.Touch(key, int32(left/time.Second)) //nolint:gosec // a few seconds
}
