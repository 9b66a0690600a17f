package client_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client"
)

// realMemcached starts memcached at address, and returns what stops it.
func realMemcached(t *testing.T, address string) (stop func()) {
	t.Helper()
	program, err := exec.LookPath("memcached")
	require.NoError(t, err, "memcached is not installed: run make setup")
	host, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	args := []string{"-l", host, "-p", port, "-U", "0"}
	if os.Getuid() == 0 {
		args = append(args, "-u", "nobody")
	}
	cmd := exec.Command(program, args...)
	require.NoError(t, cmd.Start())
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	t.Cleanup(stop)
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", address)
		return err == nil && c.Close() == nil
	}, 10*time.Second, 20*time.Millisecond, "memcached does not listen on %s", address)
	return stop
}

// tell sends one storage command.
func tell(t *testing.T, address, key, value string, flags int) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = fmt.Fprintf(conn, "set %s %d 60 %d\r\n%s\r\n", key, flags, len(value), value)
	require.NoError(t, err)
	answer := make([]byte, 8)
	_, err = conn.Read(answer)
	require.NoError(t, err)
	require.Equal(t, "STORED\r\n", string(answer))
}

func TestARealMemcachedThroughItsLife(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	stop := realMemcached(t, address)
	f := setup(t, func(cfg *client.Config) {
		cfg.Dial = nil
		cfg.Servers = []string{address}
		cfg.Prefix = "p:"
	})

	assert.Equal(t, t1, f.token(t))
	assert.Equal(t, 1, f.sidecar.asked(), "a miss")

	for i, damaged := range []struct {
		value string
		flags int
	}{{"N;", 1}, {strings.Repeat("x", 2049), 0}, {"", 0}} {
		tell(t, address, "p:wx1", damaged.value, damaged.flags)
		assert.Equal(t, t1, f.token(t))
		assert.Equal(t, 2+i, f.sidecar.asked(), "damaged")
	}

	tell(t, address, "p:wx1", t2, 0)
	for range 10 {
		assert.Equal(t, t2, f.token(t))
	}
	assert.Equal(t, 4, f.sidecar.asked(), "hits")

	stop()
	realMemcached(t, address)
	tell(t, address, "p:wx1", t3, 0)
	assert.Equal(t, t3, f.token(t), "the idle connections of the memcached before are dead")
	assert.Equal(t, 4, f.sidecar.asked())
}
