package mirror_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/mirror"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// CheckTable accepts table names, with a placeholder for several accounts.
func TestCheckTable_RefusesBadNames(t *testing.T) {
	t.Parallel()
	for name, says := range map[string]string{
		"wx_token": "", "{appid}": "", "wx_{appid}_token": "", "wx-token$2": "", strings.Repeat("t", 64): "",
		"": "not a table's name", "wx token": "not a table's name", "wx`token": "not a table's name", "db.wx_token": "without the database's name",
		"wx_token;DROP": "not a table's name", "表": "not a table's name", "wx_token\n": "not a table's name",
		strings.Repeat("t", 65): "more than 64",
		"{appId}":               "outside of one {appid}", "wx_{appid}_{appid}": "outside", "wx_{appid": "outside", "{}": "outside",
	} {
		err := mirror.CheckTable(name, false)
		if says == "" {
			require.NoError(t, err, name)
		} else {
			require.ErrorContains(t, err, says, name)
		}
	}
	require.ErrorContains(t, mirror.CheckTable("wx_token", true), "lacks {appid}")
	require.NoError(t, mirror.CheckTable("wx_{appid}", true))
}

// CheckFile accepts an absolute path in a writable folder.
func TestCheckFile_RefusesBadPaths(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	file := filepath.Join(folder, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for path, says := range map[string]string{
		"/access_token.json": "", "/{appid}.json": "", "/{appid}/access_token.json": "", "/wx_{appid}/deeper/t.json": "", "/file": "",
		"access_token.json": "not an absolute path", "": "not an absolute path", "./t.json": "not an absolute path", "{appid}/t.json": "not an absolute path",
		"/x/": "not a plain path", "/../t.json": "not a plain path", "/": "not a plain path", "//t.json": "not a plain path",
		"/{appId}.json": "outside of one {appid}", "/{appid}/{appid}.json": "outside", "/}.json": "outside",
		"/gone/t.json": "its folder is not writable: no such file or directory", "/gone/{appid}/t.json": "no such file",
		"/file/t.json": "its folder is not writable: not a directory",
	} {
		if strings.HasPrefix(path, "/") {
			path = folder + path
		}
		err := mirror.CheckFile(path, false)
		if says == "" {
			require.NoError(t, err, path)
		} else {
			require.ErrorContains(t, err, says, path)
			assert.NotContains(t, err.Error(), folder, "the path can be a secret in the wrong variable")
		}
	}
	require.ErrorContains(t, mirror.CheckFile(folder, false), "is a folder")
	require.ErrorContains(t, mirror.CheckFile(file, true), "lacks {appid}")
	require.NoError(t, mirror.CheckFile(folder+"/{appid}", true))
	assert.Equal(t, []string{"file"}, names(t, folder), "the check leaves nothing behind")
}

// CheckDSN accepts what the driver can use, and quotes nothing.
func TestCheckDSN_RefusesUnusable(t *testing.T) {
	t.Parallel()
	const login = "wx:canarysecret@"
	for dsn, says := range map[string]string{
		login + "tcp(mysql:3306)/app": "", login + "tcp(mysql)/app?tls=true&timeout=1s": "", login + "unix(/run/mysqld/mysqld.sock)/app": "",
		login + "tcp([::1]:3306)/app": "", "wx:canary secret/密码@tcp(mysql:3306)/app": "", login + "tcp/app?tls=skip-verify": "",
		login + "tcp(mysql:3306)/app?charset=gbk&collation=gbk_chinese_ci": "",
		"": "is empty", login + "tcp(mysql:3306)/app\n": "control character", login + "tcp(mysql:3306)/": "names no database",
		login + "tcp(mysql:3306)": "cannot be read", "canarysecret": "cannot be read", login + "tcp(mysql:3306/app": "cannot be read",
		"mysql://" + login + "mysql:3306/app": "cannot be read", "mysql:host=mysql;dbname=app": "cannot be read",
		login + "udp(mysql:3306)/app": "neither tcp nor unix", login + "tcp(mysql:3306)/app?tls=canarysecret": "cannot be read",
		login + "tcp(mysql:3306)/app?timeout=canarysecret": "cannot be read", login + "tcp(mysql:3306)/app?parseTime=canarysecret": "cannot be read",
		login + "tcp(mysql:3306)/app?strict=true": "parameter strict", login + "tcp(mysql:3306)/%zz": "cannot be read",
	} {
		err := mirror.CheckDSN(dsn)
		shown := strings.ReplaceAll(dsn, "canarysecret", "…")
		if says == "" {
			require.NoError(t, err, shown)
			continue
		}
		require.ErrorContains(t, err, says, shown)
		programtest.AssertNoCanary(t, err.Error())
	}
}
