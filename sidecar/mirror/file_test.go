package mirror_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/hint"
	"github.com/wxsidecar/wxsidecar/sidecar/mirror"
)

// written reports whether the file has exactly this token.
func written(path, value string, expires time.Time) bool {
	text, err := os.ReadFile(path)
	return err == nil && string(text) == fmt.Sprintf(`{"access_token":"%s","expires_time":%d}`, value, expires.Unix()-3660)
}

// names returns the names in a folder.
func names(t *testing.T, folder string) []string {
	t.Helper()
	entries := must(os.ReadDir(folder))(t)
	all := make([]string, len(entries))
	for i, entry := range entries {
		all[i] = entry.Name()
	}
	return all
}

// The file is written after each change.
func TestFile_WrittenAfterEachChange(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := filepath.Join(folder, "access_token.json")
	require.NoError(t, os.WriteFile(path, []byte("the previous content, longer than the next content"), 0o600))
	m := run(t, mirror.Config{File: path})
	for n := range 3 {
		mine := change(n, inTwoHours().Add(time.Duration(n)*time.Second))
		mine.Own = n == 0 // every sidecar has its own file
		ticket := mine
		ticket.Kind, ticket.Value = memcache.JSAPITicket, token(100)
		m.Changed(mine)
		m.Changed(ticket)
		eventually(t, func() bool { return written(path, mine.Value, mine.Expires) }, "the file")
	}
	info := must(os.Stat(path))(t)
	assert.Equal(t, os.FileMode(0o640), info.Mode())
	m.stop()
	assert.Equal(t, []string{"access_token.json"}, names(t, folder), "no temporary file is left, and a ticket has no file")
	assert.Empty(t, m.log.String())
}

// A token of any characters is read as it is.
func TestFile_AnyCharacters(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "access_token.json")
	m := run(t, mirror.Config{File: path})
	mine := change(1, inTwoHours())
	mine.Value = `canarytoken"\'<&>/%s?` + "`"
	m.Changed(mine)
	eventually(t, func() bool {
		text, err := os.ReadFile(path)
		var got struct {
			Token string `json:"access_token"`
		}
		return err == nil && json.Unmarshal(text, &got) == nil && got.Token == mine.Value
	}, "the file")
}

// With a placeholder, each account has a file.
func TestFile_OnePerAccount(t *testing.T) {
	t.Parallel()
	for says, pattern := range map[string]string{
		"its name": "{appid}.json", "its folder": "{appid}/access_token.json", "a folder above it": "of-{appid}/deeper/token.json",
	} {
		t.Run(says, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			m := run(t, mirror.Config{File: filepath.Join(folder, pattern)})
			m.SetAccounts([]string{"wx1", "wx2"})
			for n, id := range []string{"wx1", "wx2"} {
				mine := change(n, inTwoHours())
				mine.AppID = id
				m.Changed(mine)
				path := filepath.Join(folder, strings.ReplaceAll(pattern, "{appid}", id))
				eventually(t, func() bool { return written(path, mine.Value, mine.Expires) }, id)
			}
		})
	}
}

// A missing shared folder is reported, and written to once it is back. It is a mount:
// no program would read a folder that replaces it.
func TestFile_FolderGone(t *testing.T) {
	t.Parallel()
	for says, pattern := range map[string]string{"one file": "access_token.json", "a folder each": "{appid}/access_token.json"} {
		t.Run(says, func(t *testing.T) {
			t.Parallel()
			folder := filepath.Join(t.TempDir(), "mount")
			path := filepath.Join(folder, strings.ReplaceAll(pattern, "{appid}", appID))
			synctest.Test(t, func(t *testing.T) {
				m := run(t, mirror.Config{File: filepath.Join(folder, pattern)})
				mine := change(1, inTwoHours())
				m.Changed(mine)
				synctest.Wait()
				s := state(t, m)
				assert.Equal(t, mirror.File, s.Name)
				assert.Equal(t, 1, s.Failing)
				assert.Equal(t, "access_token of "+appID+": write "+path+": no such file or directory", s.Error)
				assert.Equal(t, hint.Mounted, s.Hint)
				assert.Empty(t, m.log.lines(t, fails), "the first failure is not logged")
				time.Sleep(30 * time.Minute)
				logged := m.log.lines(t, fails)
				require.Len(t, logged, 1, "once for all retries")
				assert.Equal(t, []any{"WARN", "file", appID, "access_token", s.Hint.English},
					[]any{logged[0]["level"], logged[0]["mirror"], logged[0]["appid"], logged[0]["kind"], logged[0]["hint"]})
				require.NoError(t, os.Mkdir(folder, 0o750))
				time.Sleep(67 * time.Second)
				assert.True(t, written(path, mine.Value, mine.Expires), "within a minute and the jitter")
				assert.True(t, state(t, m).Up())
				back := m.log.lines(t, works)
				require.Len(t, back, 1)
				assert.Equal(t, "INFO", back[0]["level"])
				assert.InDelta(t, 1800, back[0]["seconds"], 70)
				m.stop()
			})
		})
	}
}

// Temporary files of killed writers are removed.
func TestFile_LeftoversAreRemoved(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	long := time.Now().Add(-2 * time.Minute)
	for name, age := range map[string]time.Time{
		".wxsidecar-access_token.json.123": long, ".wxsidecar-access_token.json.456": time.Now(), ".htaccess": long, "other.json": long,
	} {
		path := filepath.Join(folder, name)
		require.NoError(t, os.WriteFile(path, []byte(`{"access_tok`), 0o600))
		require.NoError(t, os.Chtimes(path, age, age))
	}
	path := filepath.Join(folder, "access_token.json")
	m := run(t, mirror.Config{File: path})
	mine := change(1, inTwoHours())
	m.Changed(mine)
	eventually(t, func() bool { return written(path, mine.Value, mine.Expires) }, "the file")
	m.stop()
	assert.Equal(t, []string{".htaccess", ".wxsidecar-access_token.json.456", "access_token.json", "other.json"}, names(t, folder),
		"but not a file that another writer can be writing, nor other files")
}
