package systemtest

import (
	"database/sql"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/mirror/mirrortest"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// mirrorPatience is longer than the retries at a database that does not answer: 5 s
// each, and up to a minute between two.
const mirrorPatience = 90 * time.Second

// mirrored is what a legacy program finds: the token in the file, token and ticket in
// the table, or "".
type mirrored struct{ file, token, ticket string }

func (m *mirroring) read() mirrored {
	var found mirrored
	var content struct {
		Token string `json:"access_token"`
	}
	if text, err := os.ReadFile(m.file); err == nil && json.Unmarshal(text, &content) == nil {
		found.file = content.Token
	}
	_ = m.db.QueryRow("SELECT value FROM wx_token WHERE type = 'access_token'").Scan(&found.token) // none yet
	_ = m.db.QueryRow("SELECT value FROM wx_token WHERE type = 'jsapi_ticket'").Scan(&found.ticket)
	return found
}

// mirroring are backends with a MariaDB.
type mirroring struct {
	*programtest.Backends
	mariadb *mirrortest.Server
	db      *sql.DB
	file    string
}

func newMirroring(t *testing.T) *mirroring {
	t.Helper()
	m := &mirroring{Backends: programtest.NewBackends(t), file: filepath.Join(t.TempDir(), "access_token.json")}
	var err error
	m.mariadb, err = mirrortest.Start()
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, m.mariadb.Close()) })
	for _, statement := range []string{"CREATE DATABASE app", "CREATE USER app@localhost IDENTIFIED BY 'canarysecret app'", "GRANT ALL ON app.* TO app@localhost"} {
		_, err = m.mariadb.DB().Exec(statement)
		require.NoError(t, err)
	}
	m.db, err = sql.Open("mysql", m.mariadb.DSN("app")+"?readTimeout=5s")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, m.db.Close()) })
	dsn := strings.Replace(m.mariadb.DSN("app"), "root@", "app:canarysecret app@", 1)
	m.Environ = append(m.Environ, "MIRROR_FILE="+m.file, "WECHAT_TICKETS=jsapi",
		"MIRROR_MYSQL_DSN_FILE="+programtest.WriteFile(t, filepath.Join(t.TempDir(), "dsn"), dsn+"\n"))
	return m
}

// Mirrors follow every renewal. A database that hangs delays neither memcached nor the end.
func TestMirrors_FollowRenewals(t *testing.T) {
	t.Parallel()
	m := newMirroring(t)
	m.WeChat.SetExpiresIn(10 * time.Second) // renewed after 5
	one := spawn(t, m.Environ)
	other := programtest.Address(t)
	spawn(t, append(m.Environ, "SIDECAR_LISTEN=127.0.0.1:0", "SIDECAR_OPS_LISTEN="+other))
	store := m.Store(t)
	current := func() bool {
		found, last := m.read(), m.LastToken()
		return last != "" && found.file == last && found.token == last && found.ticket != "" && programtest.Entry(t, store) == last
	}
	eventually(t, current, "file and table hold the first token, and the table a ticket")
	first := m.LastToken()
	eventually(t, func() bool { return m.LastToken() != first && current() }, "and the one that came by renewal")
	for _, ops := range []string{m.Ops, other} {
		metrics := get(t, "http://"+ops+"/metrics")
		assert.Contains(t, metrics, `wxsidecar_mirror_up{mirror="file"} 1`)
		assert.Contains(t, metrics, `wxsidecar_mirror_up{mirror="mysql"} 1`)
	}

	require.NoError(t, m.mariadb.Freeze())
	before := m.LastToken()
	eventually(t, func() bool { return m.LastToken() != before && programtest.Entry(t, store) == m.LastToken() }, "memcached is written while the database hangs")
	require.Eventually(t, func() bool {
		return strings.Contains(get(t, "http://"+m.Ops+"/readyz")+get(t, "http://"+other+"/readyz"), "mirror mysql has failed for ")
	}, mirrorPatience, often, "readyz says so")
	exit, said := runCLI(t, m.Environ, "healthcheck")
	assert.Equal(t, exitFine, exit, said)
	require.Eventually(t, func() bool {
		_, table := runCLI(t, m.Environ, "status")
		return strings.Contains(table, "mirror mysql has failed for ") && strings.Contains(table, "\n  check that the database runs")
	}, mirrorPatience, often, "and sidecar status too")

	require.NoError(t, m.mariadb.Thaw())
	require.Eventually(t, current, mirrorPatience, often, "the table holds the token again")
	var rows int
	require.NoError(t, m.db.QueryRow("SELECT COUNT(*) FROM wx_token").Scan(&rows))
	assert.Equal(t, 2, rows, "of two sidecars")

	require.NoError(t, m.mariadb.Freeze())
	assert.Equal(t, exitFine, one.terminates(t), "and the end is not delayed")
}
