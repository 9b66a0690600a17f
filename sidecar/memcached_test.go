package main

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
)

// realMemcached is the real server, on an address that stays over restarts.
type realMemcached struct {
	*process
	address string
	store   *memcache.Store
}

// newRealMemcached starts one. That it is missing is a failure and no skip: the
// tests that use it would pass without having run.
func newRealMemcached(t *testing.T) *realMemcached {
	t.Helper()
	m := &realMemcached{address: freeAddress(t)}
	m.store = storeAt(t, m.address)
	m.start(t)
	return m
}

func (m *realMemcached) start(t *testing.T) {
	t.Helper()
	path, err := exec.LookPath("memcached")
	require.NoError(t, err, "memcached is not installed: run make setup")
	host, port, err := net.SplitHostPort(m.address)
	require.NoError(t, err)
	args := []string{"-l", host, "-p", port, "-U", "0", "-m", "16", "-t", "2"}
	if os.Getuid() == 0 {
		args = append(args, "-u", "nobody")
	}
	m.process = spawnProgram(t, path, nil, args...)
	require.Eventually(t, func() bool { return m.store.Ping() == nil }, patience, time.Millisecond, "memcached answers")
}

// restart is a crash and a new start, empty.
func (m *realMemcached) restart(t *testing.T) {
	t.Helper()
	m.kill()
	m.start(t)
}

func (m *realMemcached) freeze() { m.signal(syscall.SIGSTOP) }
func (m *realMemcached) thaw()   { m.signal(syscall.SIGCONT) }

// ask says one line to memcached and returns the first of the answer.
func (m *realMemcached) ask(t *testing.T, line string) string {
	t.Helper()
	conn, err := net.Dial("tcp", m.address)
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = conn.Write([]byte(line + "\r\n"))
	require.NoError(t, err)
	answer, err := bufio.NewReader(conn).ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSpace(answer)
}
