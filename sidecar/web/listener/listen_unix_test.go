//go:build unix

package listener_test

import (
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/web/listener"
)

// Even between the socket's creation and the setting of its mode, others cannot open it.
func TestOpen_SocketIsNeverOpenToOthers(t *testing.T) { //nolint:paralleltest // it sets the umask
	defer syscall.Umask(syscall.Umask(0))
	path := filepath.Join(t.TempDir(), "s")
	var modes, looks atomic.Uint32 // all bits that the socket ever had, and how often it was seen
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if info, err := os.Lstat(path); err == nil {
				modes.Or(uint32(info.Mode().Perm()))
				looks.Add(1)
			}
		}
	}()
	for opened := 0; opened < 300 || looks.Load() < 300; opened++ {
		l, err := listener.Open(t.Context(), "unix://"+path)
		require.NoError(t, err)
		info, err := os.Lstat(path)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o660), info.Mode().Perm())
		require.NoError(t, l.Close())
	}
	close(stop)
	<-ended
	assert.Zero(t, modes.Load()&^0o660)
	assert.Zero(t, syscall.Umask(0), "the umask is as before")
}

// What waits in the kernel counts in the pod's memory, see TestAttack_All.
func TestOpen_KernelBuffers(t *testing.T) {
	t.Parallel()
	const little = 8 << 10
	for name, address := range map[string]string{
		"tcp": "127.0.0.1:0", "unix": "unix://" + filepath.Join(t.TempDir(), "s"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := listener.Open(t.Context(), address)
			require.NoError(t, err)
			defer func() { assert.NoError(t, l.Close()) }()
			caller, err := new(net.Dialer).DialContext(t.Context(), name, l.Addr().String())
			require.NoError(t, err)
			defer func() { assert.NoError(t, caller.Close()) }()
			conn, err := l.Accept()
			require.NoError(t, err)
			defer func() { assert.NoError(t, conn.Close()) }()

			assert.LessOrEqual(t, option(t, conn, syscall.SO_SNDBUF), little, "answers")
			if name == "tcp" { // what comes over a unix socket is the caller's
				assert.LessOrEqual(t, option(t, conn, syscall.SO_RCVBUF), little, "requests")
			}
		})
	}
}

func option(t *testing.T, conn net.Conn, name int) (value int) {
	t.Helper()
	raw, err := conn.(syscall.Conn).SyscallConn()
	require.NoError(t, err)
	var failed error
	require.NoError(t, raw.Control(func(fd uintptr) { value, failed = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, name) }))
	require.NoError(t, failed)
	return value
}
