package smallfile_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/smallfile"
)

// A regular file is read through links, up to the limit.
func TestRead_RegularFiles(t *testing.T) {
	folder := t.TempDir()
	for name, text := range map[string]string{"empty": "", "one": "x", "full": strings.Repeat("x", 100)} {
		file, link := filepath.Join(folder, name), filepath.Join(folder, name+"-link")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		require.NoError(t, os.Symlink(name, link))
		for _, path := range []string{file, link} {
			got, info, err := smallfile.Read(path, 100)
			require.NoError(t, err, path)
			assert.Equal(t, text, string(got), path)
			assert.True(t, info.Mode().IsRegular(), path)
		}
	}
}

// Whatever else a path names is an error at once, and the error does not quote the path.
func TestRead_AnythingElseIsAnErrorAtOnce(t *testing.T) {
	folder := t.TempDir()
	at := func(name string) string { return filepath.Join(folder, name) }
	require.NoError(t, syscall.Mkfifo(at("fifo"), 0o600))
	require.NoError(t, os.Mkdir(at("folder"), 0o700))
	require.NoError(t, os.Symlink("nowhere", at("dangling")))
	require.NoError(t, os.Symlink("fifo", at("to-fifo")))
	require.NoError(t, os.Symlink("loop", at("loop")))
	require.NoError(t, os.WriteFile(at("sparse"), nil, 0o600))
	require.NoError(t, os.Truncate(at("sparse"), 3<<30))
	require.NoError(t, os.WriteFile(at("long"), make([]byte, 101), 0o600))
	socket, err := net.Listen("unix", at("socket"))
	require.NoError(t, err)
	defer func() { assert.NoError(t, socket.Close()) }()
	for name, says := range map[string]string{
		at("fifo"): "not a regular file", at("to-fifo"): "not a regular file", "/dev/zero": "not a regular file",
		at("folder"): "is a directory", at("dangling"): "no such file", at("loop"): "too many levels", at("missing"): "no such file",
		at("sparse"): "more than 100 bytes", at("long"): "more than 100 bytes", at("socket"): "", at("long/x"): "not a directory",
	} {
		start := time.Now()
		content, _, err := smallfile.Read(name, 100)
		require.ErrorContains(t, err, says, name)
		assert.NotContains(t, err.Error(), folder, name)
		assert.Empty(t, content, name)
		assert.Less(t, time.Since(start), 5*time.Second, name)
	}
}

// A FIFO is refused too while another process holds it open and writes.
func TestRead_FIFOWithAWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	both, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	defer func() { assert.NoError(t, both.Close()) }()
	_, err = both.WriteString("text")
	require.NoError(t, err)
	_, _, err = smallfile.Read(path, 100)
	require.ErrorIs(t, err, smallfile.ErrNotRegular)
}
