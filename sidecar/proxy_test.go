package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// An HTTPS_PROXY that cannot be read is a configuration error: net/http would ignore it.
func TestConfiguration_UnreadableProxy(t *testing.T) {
	t.Parallel()
	for value, says := range map[string]string{
		"http://proxy:3128": "", "proxy:3128": "", "proxy": "", "https://proxy": "", "socks5://127.0.0.1:1080": "", "http://u:canarysecret@proxy:3128/": "",
		"http://[::1]:3128": "", "": "",
		"http://canarysecret:x@": "the port is not", "http://:3128": "no host", "http://proxy:": "port", "http://proxy:0": "port", "http://proxy:99999": "port",
		"ftp://canarysecret": "unknown kind", "http://pro xy:3128": "the port is not", "http://代理:3128": "not ASCII",
		"u:canarysecret%zz@proxy": "not the URL of a proxy", "http://proxy:canarysecret": "the port is not", "http:/proxy:3128": "the port is not",
	} {
		for _, name := range []string{"HTTPS_PROXY", "https_proxy"} {
			exit, _, stderr := runCLI(t, append([]string{name + "=" + value, "LOG_FORMAT=none"}, good...))
			assert.Equal(t, exitBadUsage, exit)
			programtest.AssertNoCanary(t, stderr)
			shown := strings.ReplaceAll(value, "canarysecret", "…")
			if says == "" {
				assert.NotContains(t, stderr, name, shown)
				continue
			}
			if assert.Contains(t, stderr, "  "+name+": ", shown) {
				_, line, _ := strings.Cut(stderr, "  "+name+": ")
				assert.Contains(t, line, says, shown)
			}
		}
	}
	_, _, stderr := runCLI(t, append([]string{"HTTPS_PROXY=http://proxy:3128", "https_proxy=ftp://x", "LOG_FORMAT=none"}, good...))
	assert.NotContains(t, stderr, "_proxy", "HTTPS_PROXY counts")
}

// An unreadable HTTP_PROXY, which the sidecar never uses, is a warning.
func TestConfiguration_UnreadableHTTPProxyWarns(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"HTTP_PROXY", "http_proxy"} {
		environ := append([]string{name + "=ftp://canarysecret"}, good...)
		cfg, found := parse(environ)
		require.Empty(t, found)
		warned := cfg.warnings(environ)
		require.Len(t, warned, 1)
		assert.Equal(t, name, warned[0].variable)
		programtest.AssertNoCanary(t, warned.String())
	}
	cfg, _ := parse(good)
	assert.Empty(t, cfg.warnings(append([]string{"HTTP_PROXY=http://proxy:3128"}, good...)))
}

// A MySQL server beyond loopback without tls= in the DSN is a warning.
func TestConfiguration_PlainMySQLWarns(t *testing.T) {
	t.Parallel()
	for dsn, warns := range map[string]bool{
		"u:canarysecret@tcp(mysql:3306)/app": true, "u:canarysecret@tcp(10.0.0.1)/app?timeout=1s": true, "u:canarysecret@tcp([2001:db8::1]:3306)/app": true,
		"u:canarysecret@tcp(mysql:3306)/app?tls=true": false, "u:canarysecret@tcp(mysql:3306)/app?tls=skip-verify": false,
		"u:canarysecret@tcp(mysql:3306)/app?tls=false": false, "u:canarysecret@tcp(mysql:3306)/app?tls=preferred": false,
		"u:canarysecret@tcp(127.0.0.1:3306)/app": false, "u:canarysecret@tcp(localhost)/app": false, "u:canarysecret@tcp([::1]:3306)/app": false,
		"u:canarysecret@tcp/app": false, "u:canarysecret@unix(/run/mysqld.sock)/app": false,
	} {
		file := programtest.WriteFile(t, filepath.Join(t.TempDir(), "dsn"), dsn)
		for _, variable := range []string{"MIRROR_MYSQL_DSN=" + dsn, "MIRROR_MYSQL_DSN_FILE=" + file} {
			cfg, found := parse(append([]string{variable}, good...))
			require.Empty(t, found)
			warned := cfg.warnings(nil)
			assert.Len(t, warned, map[bool]int{true: 1}[warns], strings.ReplaceAll(dsn, "canarysecret", "…"))
			programtest.AssertNoCanary(t, warned.String())
			for _, one := range warned {
				assert.True(t, strings.HasPrefix(variable, one.variable+"="), one.variable)
			}
		}
	}
}

// A password for a memcached beyond loopback without TLS is a warning.
func TestConfiguration_PlainMemcachedWarns(t *testing.T) {
	t.Parallel()
	users := programtest.WriteFile(t, filepath.Join(t.TempDir(), "users"), "user:canarysecret")
	for servers, warns := range map[string]int{
		"memcached:11211": 1, "127.0.0.1:1,10.0.0.1:1,10.0.0.2:1": 1, "127.0.0.1:11211": 0, "localhost:1,[::1]:1": 0, "/run/m.sock": 0,
	} {
		environ := append([]string{"MEMCACHED_SERVERS=" + servers, "MEMCACHED_AUTH_FILE=" + users}, good...)
		cfg, found := parse(environ)
		require.Empty(t, found)
		warned := cfg.warnings(environ)
		assert.Len(t, warned, warns, servers)
		programtest.AssertNoCanary(t, warned.String())
		if servers != "/run/m.sock" {
			cfg, found = parse(append(environ, "MEMCACHED_TLS=true"))
			require.Empty(t, found)
			assert.Empty(t, cfg.warnings(environ))
		}
	}
}

// The program logs the warnings, and runs.
func TestRun_LogsWarnings(t *testing.T) {
	t.Parallel()
	w := programtest.NewBackends(t)
	r := start(t, append(w.Environ, "HTTP_PROXY=ftp://canarysecret", "MIRROR_MYSQL_DSN=u:canarysecret@tcp(192.0.2.1:3306)/app"))
	eventually(t, func() bool { return strings.Contains(r.stderr.String(), `"started"`) }, "the start")
	for _, variable := range []string{"HTTP_PROXY", "MIRROR_MYSQL_DSN"} {
		assert.Regexp(t, `"level":"WARN","msg":"configuration is probably wrong","variable":"`+variable+`"`, r.stderr.String())
	}
}
