package main

import (
	"context"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/sidecar/keeper"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// What a sidecar without the AppSecret can be configured with. Plain http beyond loopback is
// worth a warning.
func TestConfiguration_Upstream(t *testing.T) {
	t.Parallel()
	bearer := programtest.WriteFile(t, t.TempDir()+"/bearer", "canarysecret-bearer\n")
	for name, c := range map[string]struct {
		environ  []string
		accounts []string
		readOnly bool
		warns    bool
	}{
		"https":            {[]string{"SIDECAR_UPSTREAM=https://a:1", "SIDECAR_UPSTREAM_TOKEN_FILE=" + bearer, "WECHAT_APPID=wx1"}, []string{"wx1"}, false, false},
		"several accounts": {[]string{"SIDECAR_UPSTREAM= https://a:1 , https://b:1", "SIDECAR_UPSTREAM_TOKEN_FILE=" + bearer, "WECHAT_APPID=wx1, wx2 ,"}, []string{"wx1", "wx2"}, false, false},
		"plain http":       {[]string{"SIDECAR_UPSTREAM=http://a:1", "SIDECAR_UPSTREAM_TOKEN_FILE=" + bearer, "WECHAT_APPID=wx1"}, []string{"wx1"}, false, true},
		"on this machine":  {[]string{"SIDECAR_UPSTREAM=http://127.0.0.1:1", "WECHAT_APPID=wx1"}, []string{"wx1"}, false, false},
		"read-only":        {[]string{"SIDECAR_UPSTREAM=https://a:1", "SIDECAR_READER_TOKEN_FILE=" + bearer, "WECHAT_APPID=wx1", "MEMCACHED_KEY_PREFIX=staging:"}, []string{"wx1"}, true, false},
		"in memory":        {[]string{"SIDECAR_UPSTREAM=https://a:1", "SIDECAR_READER_TOKEN_FILE=" + bearer, "WECHAT_APPID=wx1", "MEMCACHED_SERVERS=off"}, []string{"wx1"}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, found := parse(c.environ)
			require.Empty(t, found)
			assert.True(t, cfg.hasUpstream())
			assert.Equal(t, c.accounts, cfg.appIDs())
			assert.Equal(t, c.readOnly, cfg.readOnly())
			assert.Empty(t, cfg.readersFile())
			warnings := cfg.warnings(c.environ)
			assert.Equal(t, c.warns, warnings.has("SIDECAR_UPSTREAM"))
		})
	}
}

// With an upstream there is no client of WeChat, and no account has a secret: so no bearer token
// can be sent to WeChat, by a login, a verification or a count.
func TestDaemon_UpstreamKnowsNoWeChat(t *testing.T) {
	t.Parallel()
	bearer := programtest.WriteFile(t, t.TempDir()+"/bearer", "canarysecret-bearer\n")
	environ := []string{
		"SIDECAR_UPSTREAM=http://127.0.0.1:1", "SIDECAR_UPSTREAM_TOKEN_FILE=" + bearer, "WECHAT_APPID=wx1,wx2", "MEMCACHED_SERVERS=off",
		"SIDECAR_LISTEN=127.0.0.1:0", "SIDECAR_OPS_LISTEN=off", "SIDECAR_LOGIN=true",
	}
	cfg, found := parse(environ)
	require.Empty(t, found)
	d, err := newDaemon(t.Context(), cfg, "test", slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, d.run(ctx))
	assert.Nil(t, d.verifier)
	require.Len(t, d.accounts.fixed, 2)
	for _, one := range d.accounts.fixed {
		assert.Nil(t, one.kept.Secret)
		assert.Nil(t, one.verified.Secret)
		secret, err := d.group.Secret(one.kept.AppID)
		require.NoError(t, err)
		assert.Nil(t, secret)
	}
	keeps := keeper.Config{}
	_, err = d.source(cfg, &keeps, nil, nil, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	assert.Nil(t, keeps.WeChat)
	for _, args := range [][]string{{"quota"}, {"quota", "clear", "--yes", "wx1"}} {
		exit, _, stderr := runCLI(t, environ, args...)
		assert.Equal(t, exitBadUsage, exit)
		assert.Contains(t, stderr, "SIDECAR_UPSTREAM is set")
	}
}

// The upstream's bearer tokens are read again when their file changes. An unusable file leaves
// the last ones.
func TestUpstreamClient_BearersReadAgain(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/bearer"
	programtest.WriteFile(t, file, "canarysecret-bearer-1\n")
	for _, variable := range []string{"SIDECAR_UPSTREAM_TOKEN_FILE", "SIDECAR_READER_TOKEN_FILE"} {
		programtest.WriteFile(t, file, "canarysecret-bearer-1\n")
		cfg, found := parse([]string{"SIDECAR_UPSTREAM=https://a:1", "WECHAT_APPID=wx1", "MEMCACHED_SERVERS=off", variable + "=" + file})
		require.Empty(t, found)
		var log programtest.Output
		asks, err := cfg.upstreamClient(nil, slog.New(slog.NewTextHandler(&log, nil)))
		require.NoError(t, err)
		first := asks.Bearer()
		programtest.WriteFile(t, file, "canarysecret-bearer-2\ncanarysecret-bearer-1\n")
		second := asks.Bearer()
		assert.NotEqual(t, first, second)
		programtest.WriteFile(t, file, "short\n")
		assert.Equal(t, second, asks.Bearer())
		assert.Contains(t, log.String(), "check "+variable)
		programtest.AssertNoCanary(t, log.String())
	}
}

// WECHAT_APPID can be a list: then sidecar token needs its argument.
func TestToken_OfSeveralAccounts(t *testing.T) {
	for name, value := range map[string]string{
		"WECHAT_APPID": "wx1,wx2", "SIDECAR_UPSTREAM": "http://127.0.0.1:1", "MEMCACHED_SERVERS": "off", "SIDECAR_URL": "http://127.0.0.1:1",
	} {
		t.Setenv(name, value)
	}
	exit, _, stderr := runCLI(t, nil, "token")
	assert.Equal(t, exitBadUsage, exit)
	assert.Contains(t, stderr, "name one as the argument")
	t.Setenv("WECHAT_APPID", "")
	exit, _, stderr = runCLI(t, nil, "token")
	assert.Equal(t, exitBadUsage, exit)
	assert.Contains(t, stderr, "WECHAT_APPID is not set: name an account as the argument")
	t.Setenv("WECHAT_APPID", "wx1,wx2")
	exit, _, stderr = runCLI(t, nil, "token", "wx2")
	assert.Equal(t, exitFailed, exit, "nobody listens there")
	assert.Contains(t, stderr, "wx2")
	assert.NotContains(t, stderr, "WECHAT_APPID")
}
