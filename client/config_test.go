package client_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest/realmemcached"
	"github.com/wxsidecar/wxsidecar/memcache/ring"
)

// A Config needs only an AppID.
func TestNew_Defaults(t *testing.T) {
	c, err := client.New(client.Config{AppID: "wx1"})
	require.NoError(t, err)
	assert.NoError(t, c.Close())
}

// An AppSecret as the AppID is refused, and not quoted.
func TestNew_AppSecretAsAppID(t *testing.T) {
	const secret = "0123456789abcdef0123456789ABCDEF"
	_, err := client.New(client.Config{AppID: secret})
	require.ErrorContains(t, err, "AppID: 32 hexadecimal digits are an AppSecret")
	assert.NotContains(t, err.Error(), secret)
}

// The error of New names every invalid field.
func TestNew_InvalidConfig(t *testing.T) {
	_, err := client.New(client.Config{
		AppID:         "wx 1",
		Servers:       []string{"memcached", "b:11211"},
		Memcached:     client.Memcached{Hash: "crc32", Prefix: "a b", Timeout: -1, CAFile: "none", AuthFile: "none"},
		Sidecar:       "ftp://x",
		AuthTokenFile: filepath.Join(t.TempDir(), "none"),
		Local:         client.MaxLocal + 1,
		WeChatHosts:   []string{"https://proxy"},
	})
	require.Error(t, err)
	for _, field := range []string{
		"AppID", "Servers", "Memcached.Hash", "Memcached.Prefix", "Memcached.Timeout", "Memcached.CAFile", "Memcached.AuthFile",
		"Sidecar", "AuthTokenFile", "Local", "WeChatHosts",
	} {
		require.ErrorContains(t, err, field+": ")
	}
	_, err = client.New(client.Config{AppID: "wx1", Servers: []string{"/run/m.sock"}, Memcached: client.Memcached{TLS: true}})
	require.ErrorContains(t, err, "Memcached.TLS: ")
	_, err = client.New(client.Config{AppID: "wx1", Local: -1})
	assert.ErrorContains(t, err, "Local: ")
}

// An invalid address of the sidecar is an error that does not quote it.
func TestNew_InvalidSidecar(t *testing.T) {
	for _, address := range []string{
		"127.0.0.1:7200", "localhost", "http://", "unix://", "unix:///", "unix://run/x.sock", "http://127.0.0.1:7200?x=y",
		"http://user:canarysecret@127.0.0.1:7200", "http//user:canarysecret@127.0.0.1", "http://x#canarysecret", "http://a b/", "https://:7200",
	} {
		_, err := client.New(client.Config{AppID: "wx1", Sidecar: address})
		require.Error(t, err, address)
		require.ErrorContains(t, err, "Sidecar: ")
		clean(t, err)
	}
	for _, address := range []string{"", "http://127.0.0.1:7200/", "https://wxsidecar", "unix:///run/wxsidecar.sock"} {
		_, err := client.New(client.Config{AppID: "wx1", Sidecar: address})
		assert.NoError(t, err, address)
	}
}

// An invalid bearer token is an error that does not quote it.
func TestNew_InvalidBearer(t *testing.T) {
	for name, content := range map[string]string{
		"empty": " \n", "two words": "canarysecret canarysecret", "three lines": "canarysecret\ncanarysecret\ncanarysecret",
		"two words on line 2": "canarysecret\ncanarysecret canarysecret",
		"not ASCII":           "canarysecretü", "long": strings.Repeat("canarysecret", 1000),
	} {
		file := filepath.Join(t.TempDir(), "token")
		require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
		_, err := client.New(client.Config{AppID: "wx1", AuthTokenFile: file})
		require.Error(t, err, name)
		require.ErrorContains(t, err, file)
		clean(t, err)
	}
}

// A bearer token's file can be a symbolic link, and must be a regular file: a FIFO
// without a writer does not stop the app.
func TestNew_BearerFile(t *testing.T) {
	dir := t.TempDir()
	file, link, fifo := filepath.Join(dir, "token"), filepath.Join(dir, "link"), filepath.Join(dir, "fifo")
	require.NoError(t, os.WriteFile(file, []byte(bearer), 0o600))
	require.NoError(t, os.Symlink(file, link))
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	_, err := client.New(client.Config{AppID: "wx1", AuthTokenFile: link})
	require.NoError(t, err)
	for _, path := range []string{dir, fifo, "/dev/null", "/dev/zero"} {
		_, err := client.New(client.Config{AppID: "wx1", AuthTokenFile: path})
		assert.ErrorContains(t, err, path+" is no regular file", path)
	}
}

// variables sets all that FromEnv reads; those not named are unset.
func variables(t *testing.T, set map[string]string) {
	t.Helper()
	for _, name := range []string{
		"WECHAT_APPID", "MEMCACHED_SERVERS", "MEMCACHED_HASH", "MEMCACHED_KEY_PREFIX", "MEMCACHED_TIMEOUT",
		"MEMCACHED_TLS", "MEMCACHED_CA_FILE", "MEMCACHED_AUTH_FILE", "SIDECAR_URL", "SIDECAR_AUTH_TOKEN_FILE", "SIDECAR_CA_FILE",
	} {
		t.Setenv(name, set[name])
	}
}

// ConfigFromEnv reads the variables that the sidecar has too.
func TestConfigFromEnv_Variables(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte(bearer), 0o600))
	guard := realmemcached.NewGuard(t)
	variables(t, map[string]string{
		"MEMCACHED_TLS": "true", "MEMCACHED_CA_FILE": guard.CAFile, "MEMCACHED_AUTH_FILE": guard.AuthFile,
		"WECHAT_APPID": "wx1", "MEMCACHED_SERVERS": " memcached:11211 , b:11211,", "MEMCACHED_HASH": "php-memcached", "MEMCACHED_KEY_PREFIX": "prod:",
		"MEMCACHED_TIMEOUT": "50ms", "SIDECAR_URL": "unix:///run/s.sock", "SIDECAR_AUTH_TOKEN_FILE": file,
	})
	cfg, err := client.ConfigFromEnv()
	require.NoError(t, err)
	assert.Equal(t, client.Config{
		AppID: "wx1", Servers: []string{"memcached:11211", "b:11211"},
		Memcached: client.Memcached{
			Hash: ring.PHPMemcached, Prefix: "prod:", Timeout: 50 * time.Millisecond,
			TLS: true, CAFile: guard.CAFile, AuthFile: guard.AuthFile,
		},
		Sidecar: "unix:///run/s.sock", AuthTokenFile: file,
	}, cfg)
	c, err := client.FromEnv()
	require.NoError(t, err)
	assert.NoError(t, c.Close())
}

// The environment needs only an AppID.
func TestConfigFromEnv_Defaults(t *testing.T) {
	variables(t, map[string]string{"WECHAT_APPID": "wx1"})
	cfg, err := client.ConfigFromEnv()
	require.NoError(t, err)
	assert.Equal(t, client.Config{AppID: "wx1"}, cfg)
}

// The error of FromEnv names every invalid variable.
func TestFromEnv_InvalidVariables(t *testing.T) {
	bad := map[string]string{
		"MEMCACHED_SERVERS": "memcached", "MEMCACHED_HASH": "crc32", "MEMCACHED_KEY_PREFIX": "a b", "MEMCACHED_TIMEOUT": "200",
		"MEMCACHED_TLS": "canarysecret", "MEMCACHED_CA_FILE": "/nowhere/canarysecret", "MEMCACHED_AUTH_FILE": "/nowhere/canarysecret",
		"SIDECAR_URL": "127.0.0.1:7200", "SIDECAR_AUTH_TOKEN_FILE": "/nowhere/at/all", "SIDECAR_CA_FILE": "/nowhere/at/all",
	}
	variables(t, bad)
	_, err := client.FromEnv()
	require.Error(t, err)
	require.ErrorContains(t, err, "WECHAT_APPID: missing; set the account's AppID")
	for name := range bad {
		require.ErrorContains(t, err, name+": ")
	}
	clean(t, err)
	variables(t, map[string]string{"WECHAT_APPID": "wx1", "MEMCACHED_CA_FILE": "/nowhere/at/all"})
	_, err = client.FromEnv()
	require.ErrorContains(t, err, "MEMCACHED_CA_FILE: TLS is off; set MEMCACHED_TLS=true")
	variables(t, map[string]string{"WECHAT_APPID": "wx1", "MEMCACHED_TIMEOUT": "0s"})
	_, err = client.FromEnv()
	assert.ErrorContains(t, err, "MEMCACHED_TIMEOUT: ")
}
