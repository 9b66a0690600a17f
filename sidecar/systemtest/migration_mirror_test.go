//go:build unix

package systemtest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/mirror/mirrortest"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// machines are two machines with the same access_token.json, as deployments copy it.
func (m *migration) machines(t *testing.T) (files [2]string) {
	t.Helper()
	kept, err := json.Marshal(map[string]any{"access_token": m.WeChat.FetchExternally(appID), "expires_time": time.Now().Unix()})
	require.NoError(t, err)
	for i := range files {
		files[i] = programtest.WriteFile(t, filepath.Join(t.TempDir(), "access_token.json"), string(kept))
		m.programs = append(m.programs, m.program(t, "file", m.WeChatURL, testSecret, "TOKEN_FILE="+files[i]))
	}
	return files
}

// inFile waits until the sidecar's token is in a file.
func (m *migration) inFile(t *testing.T, file string) {
	t.Helper()
	eventually(t, func() bool {
		text, err := os.ReadFile(file)
		return err == nil && strings.Contains(string(text), m.LastToken())
	}, "the file is the sidecar's")
}

// Programs that share access_token.json move to the sidecar and never use an invalid token.
func TestMigration_FileVariant(t *testing.T) {
	t.Parallel()
	m := newMigration(t)
	files := m.machines(t)
	m.everybody(t)

	m.beside(t, "stable_token", "MIRROR_FILE="+files[0])
	m.inFile(t, files[0])
	m.everybody(t) // the second machine still has its own

	second := []string{"MIRROR_FILE=" + files[1], "SIDECAR_LISTEN=unix://" + filepath.Join(programtest.ShortDir(t), "api.sock"), "SIDECAR_OPS_LISTEN=off"}
	other := spawn(t, append(append(m.Environ[:len(m.Environ):len(m.Environ)], "WECHAT_TOKEN_API=stable_token"), second...))
	m.inFile(t, files[1])
	m.everybody(t)

	require.Equal(t, exitFine, other.terminates(t))
	m.beside(t, "token", "MIRROR_FILE="+files[0])
	m.everybody(t)
	assert.Zero(t, m.requestsToWeChat(), "no program fetched")
	m.noneWasInvalid(t)
}

// If the first sidecar starts with the classic API, the other machine's token becomes
// invalid. So the migration begins with stable_token.
func TestMigration_FileVariantClassicFirst(t *testing.T) {
	t.Parallel()
	m := newMigration(t)
	files := m.machines(t)
	m.beside(t, "token", "MIRROR_FILE="+files[0])
	m.inFile(t, files[0])
	m.everybody(t)
	assert.Equal(t, []string{"file: 40001"}, m.invalid, "after the grace, on the machine without a sidecar")
}

// Programs that share the table wx_token move to the sidecar and never use an invalid token.
func TestMigration_DatabaseVariant(t *testing.T) {
	t.Parallel()
	m := newMigration(t)
	mariadb, err := mirrortest.Start()
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, mariadb.Close()) })
	run := func(statement string, values ...any) {
		_, err := mariadb.DB().ExecContext(t.Context(), statement, values...)
		require.NoError(t, err)
	}
	row := func() (value string) {
		require.NoError(t, mariadb.DB().QueryRowContext(t.Context(), "SELECT value FROM wx.wx_token WHERE type = 'access_token'").Scan(&value))
		return value
	}
	fetched := func() string { return strconv.FormatInt(time.Now().Unix(), 10) }
	run("CREATE DATABASE wx")
	run("CREATE TABLE wx.wx_token (id int, type varchar(20), expire varchar(16), value varchar(600))")
	run("INSERT INTO wx.wx_token VALUES (1, 'access_token', ?, ?)", fetched(), m.WeChat.FetchExternally(appID))
	for range 2 {
		m.programs = append(m.programs, m.program(t, "database", m.WeChatURL, testSecret, "DATABASE=wx", "SOCKET="+mariadb.Socket()))
	}
	m.everybody(t)

	dsn := "MIRROR_MYSQL_DSN_FILE=" + programtest.WriteFile(t, filepath.Join(t.TempDir(), "dsn"), mariadb.DSN("wx")+"\n")
	m.beside(t, "stable_token", dsn)
	eventually(t, func() bool { return row() == m.LastToken() }, "the row is the sidecar's")
	m.everybody(t)

	// A program that fetches at this moment: its token is valid too.
	run("UPDATE wx.wx_token SET value = ?, expire = ? WHERE type = 'access_token'", m.WeChat.FetchExternally(appID), fetched())
	m.everybody(t)
	m.beside(t, "token", dsn)
	m.everybody(t)
	assert.Zero(t, m.requestsToWeChat(), "no program fetched")
	m.noneWasInvalid(t)
}
