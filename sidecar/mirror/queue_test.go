package mirror_test

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/mirror"
)

// The wait doubles from one second to a minute.
func TestRetryAfter_Doubles(t *testing.T) {
	t.Parallel()
	for failures, want := range map[int]time.Duration{1: 1, 2: 2, 3: 4, 6: 32, 7: 60, 8: 60, 1000: 60} {
		want *= time.Second
		assert.Equal(t, want, mirror.RetryAfter(failures, 0.5), failures)
		assert.Equal(t, want*9/10, mirror.RetryAfter(failures, 0), failures)
		assert.Equal(t, want*11/10, mirror.RetryAfter(failures, 1), failures)
	}
}

// A removed account is neither tried nor reported.
func TestQueue_RemovedAccount(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		m := run(t, mirror.Config{File: filepath.Join(folder, "gone", "{appid}.json")})
		m.SetAccounts([]string{"wx1", "wx2"})
		for _, id := range []string{"wx1", "wx2"} {
			mine := change(1, inTwoHours())
			mine.AppID = id
			m.Changed(mine)
		}
		time.Sleep(time.Minute)
		assert.Equal(t, 2, state(t, m).Failing)
		assert.Contains(t, state(t, m).Error, "; and 1 more")
		m.SetAccounts([]string{"wx2"})
		assert.Equal(t, 1, state(t, m).Failing)
		late := change(2, inTwoHours())
		late.AppID = "wx1"
		m.Changed(late)
		assert.Equal(t, 1, mirror.Waiting(m.Mirror), "a late change is ignored")
		m.SetAccounts(nil)
		assert.True(t, state(t, m).Up())
		require.NoError(t, os.Mkdir(filepath.Join(folder, "gone"), 0o700))
		time.Sleep(10 * time.Minute)
		assert.Empty(t, names(t, filepath.Join(folder, "gone")))
		assert.Empty(t, m.log.lines(t, works), "a removed account did not recover")
		m.stop()
	})
}

// An expired token is not written. A reader of it has requested another token by the
// class's rule, which must not be overwritten.
func TestQueue_ExpiredToken(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "gone")
	synctest.Test(t, func(t *testing.T) {
		m := run(t, mirror.Config{File: filepath.Join(folder, "access_token.json")})
		m.Changed(change(1, inTwoHours()))
		time.Sleep(2*time.Hour + time.Minute)
		require.NoError(t, os.Mkdir(folder, 0o700))
		time.Sleep(10 * time.Minute)
		assert.Empty(t, names(t, folder))
		assert.False(t, state(t, m).Up(), "the target does not have the token")
		mine := change(2, inTwoHours())
		m.Changed(mine)
		synctest.Wait()
		assert.True(t, written(filepath.Join(folder, "access_token.json"), mine.Value, mine.Expires))
		assert.True(t, state(t, m).Up())
		m.stop()
	})
}

// Without a mirror, nothing happens.
func TestMirror_NoneConfigured(t *testing.T) {
	t.Parallel()
	m := mirror.New(mirror.Config{})
	m.SetAccounts([]string{appID})
	m.Changed(change(1, inTwoHours()))
	m.Run(t.Context()) // returns at once
	assert.Empty(t, m.States())
}
