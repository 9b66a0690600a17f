package mirror_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/mirror"
)

// The next check repairs a file with a null, which a legacy program stores after a
// failed request. It also repairs a removed, cut or external file.
func TestFile_RepairedWithin15Seconds(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "access_token.json")
	synctest.Test(t, func(t *testing.T) {
		m := run(t, mirror.Config{File: path})
		mine := change(1, inTwoHours())
		m.Changed(mine)
		synctest.Wait()
		require.True(t, written(path, mine.Value, mine.Expires))
		for name, text := range map[string]string{
			"null":          fmt.Sprintf(`{"access_token":null,"expires_time":%d}`, time.Now().Unix()),
			"external":      fmt.Sprintf(`{"access_token":"theirs","expires_time":%d}`, time.Now().Unix()-60),
			"cut":           `{"access_token":"the`,
			"empty":         "",
			"too late":      fmt.Sprintf(`{"access_token":"theirs","expires_time":%d}`, time.Now().Add(3*time.Hour).Unix()),
			"absurdly late": `{"access_token":"theirs","expires_time":99999999999}`,
		} {
			require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
			time.Sleep(15 * time.Second)
			synctest.Wait()
			assert.True(t, written(path, mine.Value, mine.Expires), name)
		}
		require.NoError(t, os.Remove(path))
		time.Sleep(15 * time.Second)
		synctest.Wait()
		assert.True(t, written(path, mine.Value, mine.Expires), "removed")

		info := must(os.Stat(path))(t)
		time.Sleep(time.Minute)
		again := must(os.Stat(path))(t)
		assert.True(t, os.SameFile(info, again), "a correct file is not written")
		assert.Empty(t, m.log.String())
		m.stop()
	})
}

// A newer file of another sidecar stays.
func TestFile_NewerStays(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "access_token.json")
	synctest.Test(t, func(t *testing.T) {
		m := run(t, mirror.Config{File: path})
		m.Changed(change(1, inTwoHours()))
		synctest.Wait()
		newer := fmt.Sprintf(`{"access_token":"theirs","expires_time":%d}`, inTwoHours().Add(50*time.Minute).Unix()-3660)
		require.NoError(t, os.WriteFile(path, []byte(newer), 0o600))
		time.Sleep(time.Minute)
		text := must(os.ReadFile(path))(t)
		assert.Equal(t, newer, string(text))
		m.stop()
	})
}

// The sidecar that renewed repairs a changed row.
func TestTable_RepairedByWhoRenewed(t *testing.T) {
	t.Parallel()
	name, db := newDatabase(t, keyless)
	m := inTable(t, name, "")
	mine := change(1, inTwoHours())
	m.Changed(mine)
	eventually(t, func() bool { return holds(db, "wx_token", mine) }, "written")
	for _, statement := range []string{
		fmt.Sprintf("UPDATE wx_token SET value = NULL, expire = '%d'", time.Now().Unix()), // what the class stores after a failed request
		fmt.Sprintf("UPDATE wx_token SET value = '', expire = '%d'", time.Now().Unix()),
		"UPDATE wx_token SET value = 'x', expire = '1700000000'",
		fmt.Sprintf("UPDATE wx_token SET value = 'x', expire = '%d'", time.Now().Add(3*time.Hour).Unix()), // too late for any credential
		"DELETE FROM wx_token",
		"DROP TABLE wx_token",
	} {
		execute(t, db, statement)
		mirror.CheckNow(m.Mirror)
		eventually(t, func() bool { return holds(db, "wx_token", mine) }, statement)
		assert.Equal(t, []line{rowOf(mine)}, rows(t, db, "wx_token"), statement)
	}
	assert.True(t, state(t, m).Up())
}
