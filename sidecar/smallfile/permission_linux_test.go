package smallfile_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/smallfile"
)

// A file of another user is not a file with a wrong content: the error says who must be able
// to read it.
func TestRead_FileOfAnotherUser(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(path, []byte("x"), 0o600))
	require.NoError(t, os.Chmod(path, 0))
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with its changed user
		err := syscall.Setfsuid(65534)
		if err == nil {
			_, _, err = smallfile.Read(path, 100)
		}
		result <- err
	}()
	err := <-result
	require.ErrorIs(t, err, fs.ErrPermission)
	require.ErrorContains(t, err, fmt.Sprintf("let the user %d read it", os.Getuid()))
	assert.NotContains(t, err.Error(), path)
}
