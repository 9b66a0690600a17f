package smallfile_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/smallfile"
)

// A file's own change shows although its modification time was set back.
func TestChanged_NobodyCanSetIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	old := time.Now().Add(-time.Hour)
	require.NoError(t, os.Chtimes(path, old, old))
	info, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, old.Unix(), info.ModTime().Unix())
	assert.Less(t, time.Since(smallfile.Changed(info)).Abs(), 30*time.Minute)
}
