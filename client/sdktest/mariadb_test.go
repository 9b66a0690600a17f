package sdktest

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/mirror/mirrortest"
)

const databaseName = "wx"

// mariadb is the real one, with a database in which there is no table yet.
type mariadb struct{ *mirrortest.Server }

func newMariaDB(t *testing.T) mariadb {
	t.Helper()
	// By default it is careless, and a kill costs it the last second.
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

// value is the access_token or jsapi_ticket of wx_token; empty where there is none.
func (m mariadb) value(kind string) string {
	var value string
	if m.DB().QueryRow("SELECT `value` FROM "+databaseName+".`wx_token` WHERE `type` = ?", kind).Scan(&value) != nil {
		return ""
	}
	return value
}
