package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// good is a configuration without fault, to which a case adds.
var good = []string{"WECHAT_APPID=" + appID, "WECHAT_APPSECRET=" + testSecret}

// The defaults that users rely on.
func TestConfiguration_Defaults(t *testing.T) {
	t.Parallel()
	cfg, found := parse(good)
	require.Empty(t, found)
	assert.Equal(t, "token", cfg.TokenAPI)
	assert.Equal(t, []string{"https://api.weixin.qq.com"}, cfg.BaseURLs)
	assert.Equal(t, 5*time.Second, cfg.WeChatTimeout)
	assert.Equal(t, []string{"127.0.0.1:11211"}, cfg.Servers)
	assert.Equal(t, 200*time.Millisecond, cfg.MemcachedTimeout)
	assert.Empty(t, cfg.KeyPrefix)
	assert.Equal(t, memcache.Security{}, cfg.security())
	assert.Equal(t, "127.0.0.1:7200", cfg.Listen)
	assert.False(t, cfg.Compat)
	assert.False(t, cfg.Login)
	assert.Equal(t, ":7201", cfg.OpsListen)
	assert.Equal(t, "info", cfg.LogLevel)
	assert.Equal(t, "json", cfg.LogFormat)
}

// An empty variable has its default.
func TestConfiguration_EmptyMeansDefault(t *testing.T) {
	t.Parallel()
	var environ []string
	for _, v := range variables() {
		environ = append(environ, v.name+"=")
	}
	cfg, found := parse(append(environ, good...))
	require.Empty(t, found)
	standard, _ := parse(good)
	assert.True(t, assert.ObjectsAreEqual(standard, cfg))
}

// Every variable has a meaning and occurs once.
func TestConfiguration_VariablesAreDistinct(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, v := range variables() {
		assert.NotEmpty(t, v.name)
		assert.NotEmpty(t, v.meaning, v.name)
		assert.False(t, seen[v.name], v.name)
		seen[v.name] = true
	}
	assert.Len(t, seen, 34)
}

// Lists can have spaces and empty elements.
func TestConfiguration_ListsAreTrimmed(t *testing.T) {
	t.Parallel()
	cfg, found := parse(append([]string{
		"WECHAT_BASE_URL= https://api.weixin.qq.com , ,https://api2.weixin.qq.com,", "MEMCACHED_SERVERS= memcached:11211 ,",
	}, good...))
	require.Empty(t, found)
	assert.Equal(t, []string{"https://api.weixin.qq.com", "https://api2.weixin.qq.com"}, cfg.BaseURLs)
	assert.Equal(t, []string{"memcached:11211"}, cfg.Servers)
}

// bad is every way in which one variable can be wrong beside good ones.
func bad(t *testing.T) []struct{ environ, variable, says string } {
	t.Helper()
	dir := t.TempDir()
	empty := programtest.WriteFile(t, filepath.Join(dir, "empty"), " \n")
	spaced := programtest.WriteFile(t, filepath.Join(dir, "spaced"), testSecret+" "+testSecret)
	fine := programtest.WriteFile(t, filepath.Join(dir, "fine"), testSecret+"\n")
	marked := programtest.WriteFile(t, filepath.Join(dir, "marked"), "\xef\xbb\xbf"+testSecret)
	fifo := filepath.Join(dir, "fifo")
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	short := programtest.WriteFile(t, filepath.Join(dir, "short"), "canarysecret\n")
	bearers := programtest.WriteFile(t, filepath.Join(dir, "bearers"), "canarysecret-bearer-1\ncanarysecret-bearer-2\n")
	second := programtest.WriteFile(t, filepath.Join(dir, "second"), "canarysecret-bearer-2\n")
	cert, key := programtest.WritePair(t, dir)
	up := "WECHAT_APPSECRET= SIDECAR_UPSTREAM=https://wxsidecar.wx.svc:7200 SIDECAR_UPSTREAM_TOKEN_FILE=" + bearers + " "
	same := filepath.Dir(programtest.WriteFile(t, filepath.Join(dir, "same", appID), testSecret))
	return []struct{ environ, variable, says string }{
		{"WECHAT_APPID=wx canarysecret", "WECHAT_APPID", "not an AppID"},
		{"WECHAT_APPID=" + strings.Repeat("a", 65), "WECHAT_APPID", "not an AppID"},
		{"WECHAT_APPID=" + hexSecret, "WECHAT_APPID", "are an AppSecret, not an AppID; WECHAT_APPID and WECHAT_APPSECRET: are the two swapped?"},
		{"WECHAT_APPID=" + hexSecret + "0", "WECHAT_APPID", "are the two swapped?"},
		{"WECHAT_APPID=" + hexSecret + hexSecret, "WECHAT_APPID", "are the two swapped?"},
		{"WECHAT_APPID=secret_" + hexSecret, "WECHAT_APPID", "are the two swapped?"},
		{"WECHAT_APPID=gh_0123456789ab", "WECHAT_APPID", "gh_… is an original ID"},
		{"WECHAT_APPID=ww0123456789abcdef", "WECHAT_APPID", "ww… is a corp ID of WeCom"},
		{"WECHAT_APPID=", "WECHAT_APPSECRET", "WECHAT_APPID is not set"},
		{"WECHAT_APPID= WECHAT_APPSECRET=", "WECHAT_APPID", "no account configured"},
		{"WECHAT_APPID= WECHAT_APPSECRET= WECHAT_APPSECRET_FILE=" + fine, "WECHAT_APPSECRET_FILE", "WECHAT_APPID is not set"},
		{"WECHAT_APPSECRET=", "WECHAT_APPSECRET", "missing"},
		{"WECHAT_APPSECRET=\tcanarysecret\x7f", "WECHAT_APPSECRET", "control character"},
		{"WECHAT_APPSECRET=\t", "WECHAT_APPSECRET", "is empty"},
		{"WECHAT_APPSECRET_FILE=" + fine, "WECHAT_APPSECRET", "WECHAT_APPSECRET_FILE is set too"},
		{"WECHAT_APPSECRET= WECHAT_APPSECRET_FILE=" + testSecret, "WECHAT_APPSECRET_FILE", "unreadable: no such file"},
		{"WECHAT_APPSECRET= WECHAT_APPSECRET_FILE=" + dir, "WECHAT_APPSECRET_FILE", "unreadable: is a directory"},
		{"WECHAT_APPSECRET= WECHAT_APPSECRET_FILE=" + empty, "WECHAT_APPSECRET_FILE", "is empty"},
		{"WECHAT_APPSECRET= WECHAT_APPSECRET_FILE=" + spaced, "WECHAT_APPSECRET_FILE", "has a space"},
		{"WECHAT_APPSECRET= WECHAT_APPSECRET_FILE=" + fifo, "WECHAT_APPSECRET_FILE", "unreadable: not a regular file"},
		{"WECHAT_ACCOUNTS_DIR=" + fifo, "WECHAT_ACCOUNTS_DIR", "unreadable: not a directory"},
		{"WECHAT_ACCOUNTS_DIR=" + filepath.Join(dir, "canarysecret"), "WECHAT_ACCOUNTS_DIR", "unreadable: no such file"},
		{"WECHAT_ACCOUNTS_DIR=" + fine, "WECHAT_ACCOUNTS_DIR", "unreadable: not a directory"},
		{"WECHAT_ACCOUNTS_DIR=" + same, "WECHAT_ACCOUNTS_DIR", "of WECHAT_APPID too"},
		{"WECHAT_TOKEN_API=canarysecret", "WECHAT_TOKEN_API", "unknown API"},
		{"WECHAT_TICKETS=jsapi,canarysecret", "WECHAT_TICKETS", "ticket 2: the kind is unknown"},
		{"WECHAT_TICKETS=wx.1:jsapi", "WECHAT_TICKETS", "ticket 1: the part before the colon is wrong: not an AppID"},
		{"WECHAT_TICKETS=:jsapi", "WECHAT_TICKETS", "wrong: not an AppID"},
		{"WECHAT_TICKETS=" + hexSecret + ":jsapi", "WECHAT_TICKETS", "32 hexadecimal digits are an AppSecret"},
		{"WECHAT_TICKETS=wxother:wx_card", "WECHAT_TICKETS", "the account is not WECHAT_APPID"},
		{"WECHAT_BASE_URL=,", "WECHAT_BASE_URL", "the list is empty"},
		{"WECHAT_TICKETS=,", "WECHAT_TICKETS", "the list is empty"},
		{"SIDECAR_OPS_HOSTS= ,", "SIDECAR_OPS_HOSTS", "the list is empty"},
		{"SIDECAR_UPSTREAM=,", "SIDECAR_UPSTREAM", "the list is empty; name at least one, or remove this variable"},
		{up + "SIDECAR_UPSTREAM=,", "SIDECAR_UPSTREAM", "the list is empty"},
		{"WECHAT_BASE_URL=canarysecret", "WECHAT_BASE_URL", "address 1: not an https URL"},
		{"WECHAT_BASE_URL=https://a,https://u:canarysecret@b", "WECHAT_BASE_URL", "address 2: user or password"},
		{"WECHAT_BASE_URL=https://a?secret=canarysecret", "WECHAT_BASE_URL", "query"},
		{"WECHAT_BASE_URL=http://api.weixin.qq.com", "WECHAT_BASE_URL", "plain http"},
		{"WECHAT_TIMEOUT=canarysecret", "WECHAT_TIMEOUT", "is not a duration"},
		{"WECHAT_TIMEOUT=5", "WECHAT_TIMEOUT", "is not a duration"},
		{"WECHAT_TIMEOUT=0s", "WECHAT_TIMEOUT", "above 0 and at most 10s"},
		{"WECHAT_TIMEOUT=-1s", "WECHAT_TIMEOUT", "above 0"},
		{"WECHAT_TIMEOUT=10001ms", "WECHAT_TIMEOUT", "at most 10s"},
		{"MEMCACHED_SERVERS=,", "MEMCACHED_SERVERS", "the list is empty"},
		{"MEMCACHED_SERVERS=a:11211,a:11211", "MEMCACHED_SERVERS", "listed twice"},
		{"MEMCACHED_HASH=crc32", "MEMCACHED_HASH", "ketama"},
		{"MEMCACHED_SERVERS=canarysecret", "MEMCACHED_SERVERS", "neither host:port"},
		{"MEMCACHED_SERVERS=u:canarysecret@a:11211", "MEMCACHED_SERVERS", "neither host:port"},
		{"MEMCACHED_TIMEOUT=canarysecret", "MEMCACHED_TIMEOUT", "is not a duration"},
		{"MEMCACHED_TIMEOUT=3s", "MEMCACHED_TIMEOUT", "at most 2s"},
		{"MEMCACHED_KEY_PREFIX=\tcanarysecret", "MEMCACHED_KEY_PREFIX", "control character"},
		{"MEMCACHED_KEY_PREFIX=" + strings.Repeat("p", 121), "MEMCACHED_KEY_PREFIX", "too long"},
		{"MEMCACHED_TLS=canarysecret", "MEMCACHED_TLS", "neither true nor false"},
		{"MEMCACHED_TLS=true MEMCACHED_SERVERS=/run/m.sock", "MEMCACHED_TLS", "a unix socket"},
		{"MEMCACHED_CA_FILE=" + fine, "MEMCACHED_CA_FILE", "TLS is off"},
		{"MEMCACHED_TLS=true MEMCACHED_CA_FILE=" + fine, "MEMCACHED_CA_FILE", "no certificate"},
		{"MEMCACHED_TLS=true MEMCACHED_CA_FILE=canarysecret", "MEMCACHED_CA_FILE", "unreadable: no such file"},
		{"MEMCACHED_AUTH_FILE=canarysecret", "MEMCACHED_AUTH_FILE", "unreadable: no such file"},
		{"MEMCACHED_AUTH_FILE=" + empty, "MEMCACHED_AUTH_FILE", "is empty"},
		{"MEMCACHED_AUTH_FILE=" + fine, "MEMCACHED_AUTH_FILE", "not user:password"},
		{"SIDECAR_LISTEN=canarysecret", "SIDECAR_LISTEN", "not an address"},
		{"SIDECAR_LISTEN=unix://canarysecret", "SIDECAR_LISTEN", "not an address"},
		{"SIDECAR_LISTEN=:7200", "SIDECAR_AUTH_TOKEN_FILE", "missing, although"},
		{"SIDECAR_LISTEN=0.0.0.0:7200", "SIDECAR_AUTH_TOKEN_FILE", "missing, although"},
		{"SIDECAR_AUTH_TOKEN_FILE=" + testSecret, "SIDECAR_AUTH_TOKEN_FILE", "unreadable"},
		{"SIDECAR_AUTH_TOKEN_FILE=" + empty, "SIDECAR_AUTH_TOKEN_FILE", "is empty"},
		{"SIDECAR_AUTH_TOKEN_FILE=" + short, "SIDECAR_AUTH_TOKEN_FILE", "fewer than 16 bytes"},
		{"SIDECAR_AUTH_TOKEN_FILE=" + fifo, "SIDECAR_AUTH_TOKEN_FILE", "unreadable: not a regular file"},
		{"SIDECAR_READER_TOKEN_FILE=" + bearers, "SIDECAR_AUTH_TOKEN_FILE", "missing, although SIDECAR_READER_TOKEN_FILE is set"},
		{"SIDECAR_AUTH_TOKEN_FILE=" + bearers + " SIDECAR_READER_TOKEN_FILE=" + short, "SIDECAR_READER_TOKEN_FILE", "fewer than 16 bytes"},
		{"SIDECAR_AUTH_TOKEN_FILE=" + bearers + " SIDECAR_READER_TOKEN_FILE=" + second, "SIDECAR_READER_TOKEN_FILE", "in SIDECAR_AUTH_TOKEN_FILE too"},
		{"SIDECAR_TLS_CERT_FILE=" + cert, "SIDECAR_TLS_KEY_FILE", "missing, although"},
		{"SIDECAR_TLS_KEY_FILE=" + key, "SIDECAR_TLS_CERT_FILE", "missing, although"},
		{"SIDECAR_TLS_CERT_FILE=" + key + " SIDECAR_TLS_KEY_FILE=" + key, "SIDECAR_TLS_CERT_FILE", "no certificate in PEM"},
		{"SIDECAR_TLS_CERT_FILE=" + cert + " SIDECAR_TLS_KEY_FILE=" + fine, "SIDECAR_TLS_KEY_FILE", "no private key in PEM"},
		{"SIDECAR_TLS_CERT_FILE=" + cert + " SIDECAR_TLS_KEY_FILE=canarysecret", "SIDECAR_TLS_KEY_FILE", "no such file"},
		{"SIDECAR_TLS_CERT_FILE=" + cert + " SIDECAR_TLS_KEY_FILE=" + key + " SIDECAR_LISTEN=unix:///run/s", "SIDECAR_TLS_CERT_FILE", "is a unix socket"},
		{up + "MEMCACHED_SERVERS=off MEMCACHED_TLS=true", "MEMCACHED_TLS", "MEMCACHED_SERVERS is off"},
		{"MEMCACHED_SERVERS=off,m:11211", "MEMCACHED_SERVERS", "server 1: off cannot be together with servers; remove off, or remove the servers"},
		{up + "MEMCACHED_SERVERS=m:11211,off", "MEMCACHED_SERVERS", "server 2: off cannot be together with servers"},
		{"MEMCACHED_SERVERS=off", "MEMCACHED_SERVERS", "off is for a sidecar with SIDECAR_UPSTREAM"},
		{"SIDECAR_UPSTREAM_TOKEN_FILE=" + bearers, "SIDECAR_UPSTREAM_TOKEN_FILE", "SIDECAR_UPSTREAM is not set"},
		{up + "WECHAT_APPSECRET=" + testSecret, "WECHAT_APPSECRET", "SIDECAR_UPSTREAM is set too"},
		{up + "WECHAT_APPSECRET_FILE=" + fine, "WECHAT_APPSECRET_FILE", "SIDECAR_UPSTREAM is set too"},
		{up + "WECHAT_ACCOUNTS_DIR=" + filepath.Dir(fine), "WECHAT_ACCOUNTS_DIR", "SIDECAR_UPSTREAM is set too"},
		{up + "WECHAT_QUOTA=true", "WECHAT_QUOTA", "SIDECAR_UPSTREAM is set too"},
		{up + "SIDECAR_UPSTREAM_TOKEN_FILE= SIDECAR_READER_TOKEN_FILE=" + second + " MEMCACHED_SERVERS=off SIDECAR_LOGIN=true", "SIDECAR_LOGIN", "this sidecar is read-only"},
		{up + "WECHAT_APPID=", "WECHAT_APPID", "no account configured"},
		{up + "WECHAT_APPID=wx1,gh_0123456789ab", "WECHAT_APPID", "account 2 is wrong: gh_… is an original ID"},
		{up + "WECHAT_APPID=wx1,wx2,wx1", "WECHAT_APPID", "account 3: listed twice"},
		{up + "WECHAT_TICKETS=wxother:jsapi", "WECHAT_TICKETS", "the account is not WECHAT_APPID"},
		{up + "SIDECAR_UPSTREAM=https://a:1,canarysecret", "SIDECAR_UPSTREAM", "address 2: not a URL"},
		{up + "SIDECAR_UPSTREAM=https://u:canarysecret@a:1", "SIDECAR_UPSTREAM", "user name or a password"},
		{up + "SIDECAR_UPSTREAM_TOKEN_FILE=", "SIDECAR_UPSTREAM_TOKEN_FILE", "missing, although SIDECAR_UPSTREAM is another machine"},
		{up + "SIDECAR_UPSTREAM_TOKEN_FILE=" + short, "SIDECAR_UPSTREAM_TOKEN_FILE", "fewer than 16 bytes"},
		{up + "SIDECAR_READER_TOKEN_FILE=" + second, "SIDECAR_READER_TOKEN_FILE", "SIDECAR_UPSTREAM_TOKEN_FILE is set too"},
		{up + "SIDECAR_UPSTREAM_TOKEN_FILE= SIDECAR_READER_TOKEN_FILE=" + second, "MEMCACHED_KEY_PREFIX", "missing for a read-only sidecar"},
		{up + "SIDECAR_CA_FILE=" + fine, "SIDECAR_CA_FILE", "no certificate in PEM"},
		{up + "SIDECAR_UPSTREAM=http://127.0.0.1:1 SIDECAR_CA_FILE=" + cert, "SIDECAR_CA_FILE", "no address in SIDECAR_UPSTREAM is https"},
		{"SIDECAR_COMPAT=canarysecret", "SIDECAR_COMPAT", "neither true nor false"},
		{"SIDECAR_COMPAT=yes", "SIDECAR_COMPAT", "neither true nor false"},
		{"SIDECAR_OPS_LISTEN=canarysecret", "SIDECAR_OPS_LISTEN", "not an address"},
		{"SIDECAR_OPS_LISTEN=127.0.0.1:7200", "SIDECAR_OPS_LISTEN", "equals SIDECAR_LISTEN"},
		{"SIDECAR_OPS_LISTEN=:7200", "SIDECAR_OPS_LISTEN", "equals SIDECAR_LISTEN"},
		{"SIDECAR_OPS_LISTEN=[::]:7200", "SIDECAR_OPS_LISTEN", "equals SIDECAR_LISTEN"},
		{"SIDECAR_OPS_LISTEN=localhost:7200", "SIDECAR_OPS_LISTEN", "equals SIDECAR_LISTEN"},
		{"SIDECAR_OPS_HOSTS=a.example.com,https://canarysecret", "SIDECAR_OPS_HOSTS", "name 2: not a host name"},
		{"SIDECAR_OPS_HOSTS=a.example.com:7201", "SIDECAR_OPS_HOSTS", "name 1: not a host name"},
		{"MIRROR_FILE=canarysecret", "MIRROR_FILE", "not an absolute path"},
		{"MIRROR_FILE=" + filepath.Join(dir, "gone", "canarysecret"), "MIRROR_FILE", "its folder is not writable: no such file"},
		{"MIRROR_FILE=" + dir + "/{appId}.json", "MIRROR_FILE", "outside of one {appid}"},
		{"MIRROR_FILE=" + dir, "MIRROR_FILE", "is a folder"},
		{"MIRROR_FILE=" + dir + "/t.json WECHAT_ACCOUNTS_DIR=" + filepath.Dir(fine), "MIRROR_FILE", "lacks {appid}"},
		{"MIRROR_MYSQL_DSN=canarysecret", "MIRROR_MYSQL_DSN", "write it like"},
		{"MIRROR_MYSQL_DSN=u:canarysecret@tcp(mysql:3306)/", "MIRROR_MYSQL_DSN", "names no database"},
		{"MIRROR_MYSQL_DSN=\t", "MIRROR_MYSQL_DSN", "is empty"},
		{"MIRROR_MYSQL_DSN=u:canarysecret@tcp(a)/b MIRROR_MYSQL_DSN_FILE=" + fine, "MIRROR_MYSQL_DSN", "MIRROR_MYSQL_DSN_FILE is set too"},
		{"MIRROR_MYSQL_DSN_FILE=canarysecret", "MIRROR_MYSQL_DSN_FILE", "unreadable: no such file"},
		{"MIRROR_MYSQL_DSN_FILE=" + fifo, "MIRROR_MYSQL_DSN_FILE", "unreadable: not a regular file"},
		{"MIRROR_MYSQL_DSN_FILE=" + marked, "MIRROR_MYSQL_DSN_FILE", "begins with a byte order mark"},
		{"WECHAT_APPSECRET= WECHAT_APPSECRET_FILE=" + marked, "WECHAT_APPSECRET_FILE", "begins with a byte order mark"},
		{"MIRROR_MYSQL_DSN_FILE=" + fine, "MIRROR_MYSQL_DSN_FILE", "use a file with the DSN"},
		{"MIRROR_MYSQL_TABLE=wx_token2", "MIRROR_MYSQL_TABLE", "no database configured"},
		{"MIRROR_MYSQL_DSN=u:canarysecret@tcp(a)/b MIRROR_MYSQL_TABLE=wx token", "MIRROR_MYSQL_TABLE", "not a table's name"},
		{"MIRROR_MYSQL_DSN=u:canarysecret@tcp(a)/b WECHAT_ACCOUNTS_DIR=" + filepath.Dir(fine), "MIRROR_MYSQL_TABLE", "lacks {appid}"},
		{"LOG_LEVEL=canarysecret", "LOG_LEVEL", "unknown level"},
		{"LOG_LEVEL=INFO+2", "LOG_LEVEL", "unknown level"},
		{"LOG_FORMAT=canarysecret", "LOG_FORMAT", "unknown format"},
	}
}

var nextVariable = regexp.MustCompile(` (WECHAT_|MEMCACHED_|MIRROR_|SIDECAR_)`)

// A wrong value is reported with a hint and without the value; nothing starts.
func TestConfiguration_ErrorsNameTheVariable(t *testing.T) {
	t.Parallel()
	for i, c := range bad(t) {
		t.Run(fmt.Sprintf("%02d %s %s", i, c.variable, c.says), func(t *testing.T) {
			t.Parallel()
			// A blank before a name begins the next variable; a value has none there.
			environ := append([]string{}, good...)
			for pair := range strings.SplitSeq(nextVariable.ReplaceAllString(c.environ, "\x00$1"), "\x00") {
				environ = append(environ, pair)
			}
			exit, stdout, stderr := runCLI(t, environ)
			assert.Equal(t, exitBadUsage, exit)
			assert.Empty(t, stdout)
			programtest.AssertNoCanary(t, stderr)
			assert.NotContains(t, stderr, hexSecret)
			var lines []string
			for line := range strings.SplitSeq(stderr, "\n") {
				if strings.HasPrefix(line, "  "+c.variable+": ") {
					lines = append(lines, line)
				}
			}
			require.Len(t, lines, 1, stderr)
			assert.Contains(t, lines[0], c.says)
			assert.Contains(t, lines[0], "; ", "a hint follows")
		})
	}
}

// All configuration errors are reported together, in the order of the page.
func TestConfiguration_AllErrorsTogether(t *testing.T) {
	t.Parallel()
	var environ []string
	for _, v := range variables() {
		environ = append(environ, v.name+"= canarysecret,=\t")
	}
	exit, _, stderr := runCLI(t, environ)
	assert.Equal(t, exitBadUsage, exit)
	programtest.AssertNoCanary(t, stderr)
	at := 0
	for _, v := range variables() {
		i := strings.Index(stderr, "\n  "+v.name+": ")
		if assert.Positive(t, i, v.name) {
			assert.Greater(t, i, at, "%s stands in the table's order", v.name)
			at = i
		}
	}
}

// A misspelled variable is reported beside the errors.
func TestConfiguration_MisspelledVariable(t *testing.T) {
	t.Parallel()
	exit, _, stderr := runCLI(t, []string{"WECHAT_APP_ID=" + appID, "WECHAT_APPSECRETS=" + testSecret})
	assert.Equal(t, exitBadUsage, exit)
	assert.Contains(t, stderr, "WECHAT_APP_ID: unknown variable, ignored; the nearest name is WECHAT_APPID\n")
	assert.Contains(t, stderr, "WECHAT_APPSECRETS: unknown variable, ignored; the nearest name is WECHAT_APPSECRET\n")
	programtest.AssertNoCanary(t, stderr)
}

// Two listeners on port 0, or on different hosts, do not collide.
func TestSameAddress_Cases(t *testing.T) {
	t.Parallel()
	for _, ok := range [][2]string{
		{"127.0.0.1:0", "127.0.0.1:0"}, {"127.0.0.1:1", "127.0.0.2:1"}, {"unix:///a", "unix:///b"}, {"127.0.0.1:1", "off"}, {"127.0.0.1:1", ":2"},
	} {
		assert.False(t, sameAddress(ok[0], ok[1]), ok)
	}
	assert.True(t, sameAddress("unix:///a", "unix:///a"))
}

// Neither fmt, slog nor JSON shows a secret.
func TestSecret_IsNeverPrinted(t *testing.T) {
	t.Parallel()
	cfg, found := parse(good)
	require.Empty(t, found)
	var log programtest.Output
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", cfg.AppSecret, "all", cfg)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", cfg.AppSecret, "all", cfg)
	text, err := json.Marshal(cfg)
	require.NoError(t, err)
	programtest.AssertNoCanary(t, log.String()+string(text)+fmt.Sprintf("%v %+v %#v %s %q %x %d", cfg, cfg, cfg, cfg.AppSecret, cfg.AppSecret, cfg.AppSecret, cfg.AppSecret))
	assert.Contains(t, string(text), hidden)
}
