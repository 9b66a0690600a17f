package sdktest

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/mirror/mirrortest"
)

const databaseName = "wx"

// mariadb is a real MariaDB, with an empty database.
type mariadb struct{ *mirrortest.Server }

func newMariaDB(t *testing.T) mariadb {
	t.Helper()
	// With the default, 0, a kill loses the last second.
	m, err := mirrortest.Start("--innodb-flush-log-at-trx-commit=2")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, m.Close()) })
	_, err = m.DB().Exec("CREATE DATABASE " + databaseName)
	require.NoError(t, err)
	return mariadb{m}
}

// start starts it again after Kill.
func (m mariadb) start(t *testing.T) {
	t.Helper()
	require.NoError(t, m.Run())
}

// value returns the access_token or jsapi_ticket of wx_token; empty if there is none.
func (m mariadb) value(kind string) string {
	var value string
	if m.DB().QueryRow("SELECT `value` FROM "+databaseName+".`wx_token` WHERE `type` = ?", kind).Scan(&value) != nil {
		return ""
	}
	return value
}
