package mirror_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/hint"
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

// Check finds a missing grant, a link in a path and a database that is down, and writes
// nothing. A missing table is none of these: the first write creates it.
func TestCheck_WritesNothing(t *testing.T) {
	t.Parallel()
	database, db := newDatabase(t, keyless)
	execute(t, db, "CREATE USER 'reader_"+database+"'@'%' IDENTIFIED BY 'canarysecret'")
	execute(t, db, "GRANT SELECT ON "+database+".* TO 'reader_"+database+"'@'%'")
	folder := t.TempDir()
	require.NoError(t, os.Symlink("nowhere", filepath.Join(folder, "wx2.json")))
	for name, c := range map[string]struct {
		cfg  mirror.Config
		says hint.Hint // the zero Hint: it works
	}{
		"works":         {mirror.Config{DSN: dsnOf(mariadb.DSN(database)), Table: "wx_token"}, hint.Hint{}},
		"missing table": {mirror.Config{DSN: dsnOf(mariadb.DSN(database)), Table: "wx_{appid}"}, hint.Hint{}},
		"missing grant": {mirror.Config{DSN: dsnOf("reader_" + database + ":canarysecret@tcp(" + mariadb.Address() + ")/" + database), Table: "wx_token"}, hint.Grants},
		"down":          {mirror.Config{DSN: dsnOf("u:canarysecret@tcp(127.0.0.1:1)/x"), Table: "wx_token"}, hint.Database},
		"long name":     {mirror.Config{DSN: dsnOf(mariadb.DSN(database)), Table: strings.Repeat("t", 62) + "{appid}"}, hint.TableName},
		"a file":        {mirror.Config{File: filepath.Join(folder, "x{appid}.json")}, hint.Hint{}},
		"a link":        {mirror.Config{File: filepath.Join(folder, "{appid}.json")}, hint.LinkedPart},
	} {
		all := mirror.Check(t.Context(), c.cfg, []string{"wx1", "wx2"})
		require.Len(t, all, 1, name)
		assert.Equal(t, c.says, all[0].Hint, "%s: %s", name, all[0].Error)
		assert.Equal(t, c.says == hint.Hint{}, all[0].Up(), name)
		programtest.AssertNoCanary(t, all[0].Error)
	}
	assert.Empty(t, mirror.Check(t.Context(), mirror.Config{}, nil))
	assert.Empty(t, rows(t, db, "wx_token"))
	left := must(os.ReadDir(folder))(t)
	assert.Len(t, left, 1)
}

// Check finds each file of an account that cannot be replaced.
func TestCheck_FilesOfAccounts(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	at := func(name string) string { return filepath.Join(folder, name) }
	require.NoError(t, os.MkdirAll(at("wx1.json"), 0o755))
	require.NoError(t, os.MkdirAll(at("own/wx1"), 0o755))
	require.NoError(t, os.MkdirAll(at("full/wx1/t.json"), 0o755))
	require.NoError(t, os.WriteFile(at("file-wx1"), nil, 0o600))
	for pattern, says := range map[string]hint.Hint{
		"{appid}.json": hint.InTheWay, "full/{appid}/t.json": hint.InTheWay, "file-{appid}/t.json": hint.Mounted, "gone/{appid}/t.json": hint.Mounted,
		"own/{appid}/t.json": {}, "own/new-{appid}/deeper/t.json": {}, "new-{appid}.json": {},
	} {
		all := mirror.Check(t.Context(), mirror.Config{File: at(pattern)}, []string{"wx2", "wx1"})
		require.Len(t, all, 1, pattern)
		assert.Equal(t, says, all[0].Hint, "%s: %s", pattern, all[0].Error)
	}
	assert.Equal(t, []string{"file-wx1", "full", "own", "wx1.json"}, names(t, folder))
	assert.Empty(t, names(t, at("own/wx1")))
}

// Check finds the folder of an account that this user cannot write to.
func TestCheck_FolderOfAnother(t *testing.T) {
	t.Parallel()
	all := mirror.Check(t.Context(), mirror.Config{File: "/proc/{appid}/t.json"}, []string{"self"})
	require.Len(t, all, 1)
	assert.False(t, all[0].Up())
}
