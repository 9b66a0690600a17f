package smallfile_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/smallfile"
)

// Another content and the first error of several are reported, and so is the end of an error.
func TestReread_ReportsChangesOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	write := func(text string) { require.NoError(t, os.WriteFile(path, []byte(text), 0o600)) }
	write("one")
	loads, reported := 0, []string(nil)
	r, err := smallfile.NewReread(func() (string, []smallfile.Version, error) {
		loads++
		content, version, err := smallfile.ReadVersion(path, 100)
		if string(content) == "bad" {
			err = errors.New("unusable")
		}
		return string(content), []smallfile.Version{version}, err
	}, func(a, b string) bool { return a == b }, func(content string, err error) {
		if err != nil {
			content = err.Error()
		}
		reported = append(reported, content)
	})
	require.NoError(t, err)
	for _, step := range []struct{ write, current, report string }{
		{"one", "one", ""},
		{"two", "two", "two"},
		{"bad", "two", "unusable"},
		{"bad", "two", ""},
		{"two", "two", "two"},
		{"three", "three", "three"},
	} {
		write(step.write)
		reported = nil
		for range 3 {
			assert.Equal(t, step.current, r.Current())
		}
		if step.report != "" {
			assert.Equal(t, []string{step.report}, reported, "%+v", step)
		} else {
			assert.Empty(t, reported, "%+v", step)
		}
	}
	require.NoError(t, os.Remove(path))
	assert.Equal(t, "three", r.Current(), "a file that vanished")

	write("four")
	old := time.Now().Add(-time.Minute)
	require.NoError(t, os.Chtimes(path, old, old))
	assert.Equal(t, "four", r.Current())
	before := loads
	assert.Equal(t, "four", r.Current())
	assert.Equal(t, before, loads, "an old file is not read again")
}

// What cannot be read at first is an error.
func TestNewReread_FirstError(t *testing.T) {
	unusable := errors.New("unusable")
	_, err := smallfile.NewReread(func() (int, []smallfile.Version, error) { return 0, nil, unusable },
		func(a, b int) bool { return a == b }, func(int, error) { t.Error("not reported") })
	require.ErrorIs(t, err, unusable)
}
