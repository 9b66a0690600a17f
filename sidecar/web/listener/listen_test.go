package listener_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/web/listener"
)

// Malformed addresses are errors, and local ones are recognized.
func TestCheckAddress_LocalAndMalformed(t *testing.T) {
	local := map[string]bool{
		"127.0.0.1:7200": true, "127.8.8.8:0": true, "localhost:7200": true, "[::1]:7200": true,
		"unix:///run/wxsidecar/api.sock": true,
		":7200":                          false, "0.0.0.0:7200": false, "[::]:7200": false, "10.0.0.1:7200": false, "wxsidecar:7200": false,
	}
	for address, want := range local {
		require.NoError(t, listener.CheckAddress(address), address)
		assert.Equal(t, want, listener.IsLocal(address), address)
	}
	for _, address := range []string{
		"", "7200", "127.0.0.1", "127.0.0.1:", "127.0.0.1:http", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:+1", "::1:7200",
		"unix:", "unix://", "unix://run/s", "unix:/run/s", "unix:///run/", "unix:///" + strings.Repeat("a", 103), "unix:///a\x00b",
		"http://127.0.0.1:7200", "/run/s", "tcp://127.0.0.1:1", "a b:1",
	} {
		require.Error(t, listener.CheckAddress(address), address)
		assert.False(t, listener.IsLocal(address), address)
		_, err := listener.Open(t.Context(), address)
		require.Error(t, err, address)
	}
}

// A socket has mode 0660, and goes with its listener.
func TestOpen_SocketMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := listener.Open(t.Context(), "unix://"+path)
	require.NoError(t, err)
	info, err := os.Lstat(path)
	require.NoError(t, err)
	assert.Equal(t, os.ModeSocket|0o660, info.Mode())
	require.NoError(t, l.Close())
	_, err = os.Lstat(path)
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// A socket on which nothing answers is removed.
func TestOpen_StaleSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	require.NoError(t, err)
	stale.SetUnlinkOnClose(false) // as after a crash
	require.NoError(t, stale.Close())
	l, err := listener.Open(t.Context(), "unix://"+path)
	require.NoError(t, err)
	conn, err := net.Dial("unix", path)
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	require.NoError(t, l.Close())
}

// A socket on which a process answers stays.
func TestOpen_UsedSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	first, err := listener.Open(t.Context(), "unix://"+path)
	require.NoError(t, err)
	defer func() { assert.NoError(t, first.Close()) }()
	_, err = listener.Open(t.Context(), "unix://"+path)
	require.ErrorContains(t, err, "another sidecar")
	conn, err := net.Dial("unix", path)
	require.NoError(t, err)
	require.NoError(t, conn.Close())
}

// A file that is not a socket stays.
func TestOpen_OtherFile(t *testing.T) {
	folder := t.TempDir()
	file, directory, link := filepath.Join(folder, "file"), filepath.Join(folder, "folder"), filepath.Join(folder, "link")
	require.NoError(t, os.WriteFile(file, []byte("data"), 0o600))
	require.NoError(t, os.Mkdir(directory, 0o700))
	require.NoError(t, os.Symlink(filepath.Join(folder, "nowhere"), link))
	for _, path := range []string{file, directory, link} {
		_, err := listener.Open(t.Context(), "unix://"+path)
		require.ErrorContains(t, err, "not a socket", path)
		_, err = os.Lstat(path)
		require.NoError(t, err, "%s stays", path)
	}
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, "data", string(text))
}

// The error names the missing folder.
func TestOpen_NoFolder(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "missing")
	_, err := listener.Open(t.Context(), "unix://"+filepath.Join(folder, "s"))
	assert.ErrorContains(t, err, "the folder "+folder+" does not exist")
}

// A used port is an error.
func TestOpen_UsedPort(t *testing.T) {
	first, err := listener.Open(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { assert.NoError(t, first.Close()) }()
	_, err = listener.Open(t.Context(), first.Addr().String())
	assert.ErrorContains(t, err, first.Addr().String())
}
