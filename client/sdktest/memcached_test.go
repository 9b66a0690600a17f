package sdktest

import (
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
)

// memcached is the real one, on an address that stays over restarts.
type memcached struct {
	*process
	address string
	store   *memcache.Store
}

func newMemcached(t *testing.T) *memcached {
	t.Helper()
	m := &memcached{address: freeAddress(t)}
	var err error
	m.store, err = memcache.New(memcache.Config{Servers: []string{m.address}, Timeout: time.Second})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, m.store.Close()) })
	m.start(t)
	return m
}

func (m *memcached) start(t *testing.T) {
	t.Helper()
	path, err := exec.LookPath("memcached")
	require.NoError(t, err, "memcached is not installed: run make setup")
	host, port, err := net.SplitHostPort(m.address)
	require.NoError(t, err)
	args := []string{"-l", host, "-p", port, "-U", "0", "-m", "16", "-t", "2"}
	if os.Getuid() == 0 {
		args = append(args, "-u", "nobody")
	}
	m.process = spawn(t, nil, path, args...)
	require.Eventually(t, func() bool { return m.store.Ping() == nil }, patience, time.Millisecond, "memcached answers")
}

// entry is what an app reads; empty where there is none.
func (m *memcached) entry(t *testing.T, kind memcache.Kind) string {
	t.Helper()
	slot, err := m.store.Slot(appID, kind)
	require.NoError(t, err)
	value, _ := slot.Get() // a failure is none
	return value
}

// freeAddress is a TCP address that was free a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}
