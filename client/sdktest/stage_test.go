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

// stage is a world with all stores that programs read: memcached, MariaDB and a file. The
// sidecar writes them.
type stage struct {
	*world
	plan
	mariadb  mariadb
	file     string
	plainPHP map[string]string // by extension: a file with the README's lines
}

// newStage starts them.
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
	s.awaitStores(t)
	return s
}

// extensions replaces the README's check for the extension, so that both branches run.
var extensions = map[string]string{"memcached": "true", "memcache": "false"}

// readmeLines returns the path of a file with the README's PHP and these addresses.
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

// renewed returns the number of the token's renewals.
func (s *stage) renewed() int { return s.wechat.Issues(appID) - 1 }
