package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/bradfitz/gomemcache/memcache" //nolint:depguard // the judge reads entries past the code that it judges

	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// memcached is a real one of 8 MB, and a connection to it past all proxies. It keeps
// its address when it starts again.
type memcached struct {
	*memcache.Client
	address string
	process *programtest.Process
}

func newMemcached(ctx context.Context) (*memcached, error) {
	address, err := programtest.FreeAddress()
	if err != nil {
		return nil, err
	}
	m := &memcached{Client: memcache.New(address), address: address}
	m.Timeout = time.Second
	return m, m.start(ctx)
}

func (m *memcached) start(ctx context.Context) error {
	path, err := exec.LookPath("memcached")
	if err != nil {
		return errors.New("memcached is not installed: run .ci/setup")
	}
	host, port, _ := net.SplitHostPort(m.address)
	m.process, err = start(exec.Command(path, "-l", host, "-p", port, "-u", "root", "-m", "8", "-t", "2", "-c", "2048")) //nolint:gosec,noctx // ended by Kill
	if err != nil {
		return err
	}
	return m.process.Await(ctx, func() bool { return m.Ping() == nil })
}

// memcachedFaults returns the faults of memcached itself.
func memcachedFaults() []fault {
	return []fault{
		{name: "memcached killed, back and empty after 5 s", hold: 5 * time.Second, short: 5 * time.Second, run: killMemcached},
		{name: "memcached gone for 40 s, back and empty", hold: 40 * time.Second, run: killMemcached},
		{name: "memcached frozen", hold: 8 * time.Second, run: freezeMemcached},
		{name: "memcached emptied, every second", hold: 10 * time.Second, short: 5 * time.Second, run: emptyMemcached},
		{name: "memcached filled until it evicts", hold: 25 * time.Second, run: fillMemcached},
	}
}

func killMemcached(ctx context.Context, h *harness, hold time.Duration) error {
	h.memcached.process.Kill()
	if err := pause(ctx, hold); err != nil {
		return err
	}
	return h.memcached.start(ctx)
}

func freezeMemcached(ctx context.Context, h *harness, hold time.Duration) error {
	h.memcached.process.Signal(syscall.SIGSTOP)
	defer h.memcached.process.Signal(syscall.SIGCONT)
	return pause(ctx, hold)
}

func emptyMemcached(ctx context.Context, h *harness, hold time.Duration) error {
	for range int(hold / time.Second) {
		if err := errors.Join(h.memcached.FlushAll(), pause(ctx, time.Second)); err != nil {
			return err
		}
	}
	return nil
}

// fillMemcached writes items of all the sizes that the sidecars' items have, 2,000 a
// second. It returns an error if memcached still has all of the first thousand.
func fillMemcached(ctx context.Context, h *harness, hold time.Duration) error {
	var first []string
	for n, end := 0, h.now()+hold; h.now() < end; n++ {
		key := fmt.Sprint("filling:", n)
		if n < 1000 {
			first = append(first, key)
		}
		_ = h.memcached.Set(&memcache.Item{Key: key, Value: []byte(strings.Repeat("x", 16+n*37%1500))}) // it may have no room
		if n%20 > 0 {
			continue
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
	left, err := h.memcached.GetMulti(first)
	if err == nil && len(left) == len(first) {
		err = errors.New("memcached evicted nothing")
	}
	h.say("   %d of the first %d items evicted", len(first)-len(left), len(first))
	return err
}
