package sdktest

import (
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// stage is a world with all that programs of every kind read from: memcached,
// MariaDB, a file, and a sidecar that keeps them.
type stage struct {
	*world
	plan
	mariadb  mariadb
	file     string
	plainPHP map[string]string // by extension: a file with the README's lines
}

// newStage starts all of it.
func newStage(t *testing.T, plan plan) *stage {
	t.Helper()
	s := &stage{plan: plan, mariadb: newMariaDB(t), file: filepath.Join(t.TempDir(), "access_token.json"), plainPHP: map[string]string{}}
	s.world = newWorld(t, "SIDECAR_COMPAT=true", "WECHAT_TICKETS=jsapi", "MIRROR_FILE="+s.file, "MIRROR_MYSQL_DSN="+s.mariadb.DSN(databaseName))
	s.wechat.SetExpiresIn(plan.life)
	s.wechat.SetGrace(plan.grace)
	for extension := range extensions {
		s.plainPHP[extension] = readmeLines(t, extension, s.memcached.Address, s.api)
	}
	s.start(t)
	s.settle(t)
	return s
}

// extensions is what the README's question for the extension is replaced with, so
// that both of its branches run where both extensions are installed.
var extensions = map[string]string{"memcached": "true", "memcache": "false"}

// readmeLines is a file with the README's PHP, with these addresses in it.
func readmeLines(t *testing.T, extension, memcached, api string) string {
	t.Helper()
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	require.NoError(t, err)
	found := regexp.MustCompile("(?s)```php\n(function wx_access_token.*?)```").FindSubmatch(readme)
	require.NotNil(t, found, "the README's lines")
	code := string(found[1])
	host, port, err := net.SplitHostPort(memcached)
	require.NoError(t, err)
	for _, replace := range [][2]string{
		{`'memcached', 11211`, "'" + host + "', " + port},
		{`http://127.0.0.1:7200`, "http://" + api},
		{`class_exists('Memcached')`, extensions[extension]},
	} {
		require.Contains(t, code, replace[0])
		code = strings.ReplaceAll(code, replace[0], replace[1])
	}
	path := filepath.Join(t.TempDir(), "readme.php")
	require.NoError(t, os.WriteFile(path, []byte("<?php\n"+code), 0o600))
	return path
}

// renewed counts the token's renewals: all but the first.
func (s *stage) renewed() int { return s.wechat.Issues(appID) - 1 }
