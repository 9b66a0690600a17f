package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// A scan finds an AppSecret that was replaced by one with the same size and time, as cp -p
// and rsync do, and one that changed a moment after a scan.
func TestAccounts_SameSizeAndTime(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const wxA, wxB = "wx00000000000000aa", "wx00000000000000bb"
	old := time.Now().Add(-time.Hour).Truncate(time.Second)
	write := func(name, text string) {
		require.NoError(t, os.Chtimes(programtest.WriteFile(t, filepath.Join(dir, name), text), old, old))
	}
	write(wxA, hexSecret)
	write(wxB, hexSecret)
	s := newScanned(t, dir)
	changes := func() []string {
		names, err := os.ReadDir(dir)
		require.NoError(t, err)
		_, changed := s.inFolder(names)
		return appIDs(changed)
	}
	s.mustScan(t)
	assert.Equal(t, []string{wxA, wxB}, changes(), "another change can have the same time")
	eventually(t, func() bool { return len(changes()) == 0 }, "they changed some seconds ago")
	write(wxA, strings.Repeat("0", len(hexSecret)))
	write(".new", strings.Repeat("1", len(hexSecret)))
	require.NoError(t, os.Rename(filepath.Join(dir, ".new"), filepath.Join(dir, wxB)))
	assert.Equal(t, []string{wxA, wxB}, changes())
}

// A space at the end of a file's name is seen.
func TestAccounts_NameWithSpace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	programtest.WriteFile(t, filepath.Join(dir, "wx0123456789abcdef "), hexSecret)
	s := newScanned(t, dir)
	s.mustScan(t)
	require.Len(t, s.notes.All(), 1)
	assert.Contains(t, s.notes.All()[0].Text.English, `/wx0123456789abcdef " is ignored`)
}
