package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"os/user"
	"path/filepath"
	"time"

	"github.com/bradfitz/gomemcache/memcache" //nolint:depguard // the bare library is what the client is measured against
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// memcached is a real one.
type memcached struct {
	process *process
	address string // host:port or /path/to.sock
}

// The same as the client's own, so that the bare library differs in nothing; but
// a time-out that a busy machine does not reach.
const (
	poolSize    = 128
	getPatience = 2 * time.Second
)

// startMemcached starts one on a free port, or on a unix socket in dir.
func startMemcached(ctx context.Context, network, dir string) (*memcached, error) {
	path, err := exec.LookPath("memcached")
	if err != nil {
		return nil, errors.New("memcached is not installed: run make setup")
	}
	args := []string{"-c", "4096"}
	if who, err := user.Current(); err == nil {
		args = append(args, "-u", who.Username) // root must say that it means it
	}
	m := &memcached{address: filepath.Join(dir, "memcached")}
	if network == "unix" {
		args = append(args, "-s", m.address)
	} else {
		if m.address, err = programtest.FreeAddress(); err != nil {
			return nil, err
		}
		host, port, _ := net.SplitHostPort(m.address)
		args = append(args, "-l", host, "-p", port)
	}
	if m.process, err = start(ctx, nil, path, args...); err != nil {
		return nil, err
	}
	bare := m.bare()
	defer func() { _ = bare.Close() }()
	if err := m.process.until(ctx, time.Millisecond, func() bool { return bare.Ping() == nil }); err != nil {
		m.process.kill()
		return nil, fmt.Errorf("start memcached: %w", err)
	}
	return m, nil
}

// bare is the bare library, with the pool that the client has.
func (m *memcached) bare() *memcache.Client {
	bare := memcache.New(m.address)
	bare.MaxIdleConns = poolSize
	bare.Timeout = getPatience
	return bare
}
