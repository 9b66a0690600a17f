package realmemcached_test

import (
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache/memcachetest/realmemcached"
)

const (
	set      = "set wx1 0 60 1\r\nx"
	patience = 10 * time.Second
)

// A restarted server is empty, at the same address.
func TestRestart_EmptyAtTheSameAddress(t *testing.T) {
	t.Parallel()
	m := realmemcached.Start(t, "")
	address, before := m.Address, m.Ask(t, "stats")
	require.Equal(t, "STORED", m.Ask(t, set))
	require.Equal(t, "VALUE wx1 0 1", m.Ask(t, "get wx1"))

	m.Restart(t)
	assert.Equal(t, address, m.Address)
	assert.NotEqual(t, before, m.Ask(t, "stats"), "its process")
	assert.Equal(t, "END", m.Ask(t, "get wx1"))
}

// A killed server answers again after Restart.
func TestKill_UntilRestart(t *testing.T) {
	t.Parallel()
	m := realmemcached.Start(t, "")
	for range 2 {
		m.Kill()
		assert.False(t, listens(m.Address))
	}
	assert.Equal(t, m.Address, realmemcached.Start(t, m.Address).Address, "another one can use its address")
	assert.True(t, listens(m.Address))
}

// A frozen server answers once it thaws.
func TestSignal_FreezeAndThaw(t *testing.T) {
	t.Parallel()
	m := realmemcached.Start(t, "")
	conn, err := net.Dial("tcp", m.Address)
	require.NoError(t, err)
	defer func() { assert.NoError(t, conn.Close()) }()
	answer := make([]byte, len("MN\r\n"))
	read := func(within time.Duration) error {
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(within)))
		_, err := io.ReadFull(conn, answer)
		return err
	}

	m.Signal(syscall.SIGSTOP)
	for began := time.Now(); err == nil && time.Since(began) < patience; { // it can answer until all its threads are stopped
		_, err = io.WriteString(conn, "mn\r\n")
		require.NoError(t, err)
		err = read(100 * time.Millisecond)
	}
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)

	m.Signal(syscall.SIGCONT)
	require.NoError(t, read(patience))
	assert.Equal(t, "MN\r\n", string(answer))
}

// The server ends with its test, frozen or not.
func TestStart_EndsWithItsTest(t *testing.T) {
	t.Parallel()
	var address string
	require.True(t, t.Run("its test", func(t *testing.T) {
		m := realmemcached.Start(t, "")
		address = m.Address
		m.Signal(syscall.SIGSTOP)
	}))
	assert.False(t, listens(address))
}

// Start passes the arguments on to memcached.
func TestStart_Arguments(t *testing.T) {
	t.Parallel()
	m := realmemcached.Start(t, "", "-m", "8")
	assert.Equal(t, "STAT maxbytes 8388608", m.Ask(t, "stats settings"))
}

func listens(address string) bool {
	conn, err := net.Dial("tcp", address)
	return err == nil && conn.Close() == nil
}
