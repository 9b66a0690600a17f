package client_test

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client"
	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest/realmemcached"
)

// An app reads from a memcached that demands TLS and a password. If the two do not fit, it
// reads from the sidecar, and one warning says what to do.
func TestAccessToken_GuardedMemcached(t *testing.T) {
	guard, foreign := realmemcached.NewGuard(t), realmemcached.NewGuard(t)
	guarded, plain := realmemcached.StartGuarded(t, guard.Args()...), realmemcached.Start(t, "")
	right := client.Memcached{TLS: true, CAFile: guard.CAFile, AuthFile: guard.AuthFile, Timeout: 10 * time.Second}
	wrong := filepath.Join(t.TempDir(), "users")
	require.NoError(t, os.WriteFile(wrong, []byte("user:canarysecret-0\n"), 0o600))
	store, err := memcache.New(memcache.Config{
		Servers: []string{guarded.Address}, Timeout: 10 * time.Second,
		Security: memcache.Security{TLS: true, CAFile: guard.CAFile, AuthFile: guard.AuthFile},
	})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, store.Close()) })
	slot, err := store.Slot("wx1", memcache.AccessToken)
	require.NoError(t, err)
	require.NoError(t, slot.PutEntry(memcache.Entry{}, t2, time.Hour))

	for name, c := range map[string]struct {
		server *realmemcached.Server
		change func(m *client.Memcached)
		says   string
	}{
		"right":          {guarded, func(*client.Memcached) {}, ""},
		"wrong password": {guarded, func(m *client.Memcached) { m.AuthFile = wrong }, "write a line of memcached's own file (-Y) into it"},
		"no password":    {guarded, func(m *client.Memcached) { m.AuthFile = "" }, "set MEMCACHED_AUTH_FILE"},
		"wrong CA":       {guarded, func(m *client.Memcached) { m.CAFile = foreign.CAFile }, "set MEMCACHED_CA_FILE"},
		"plain to TLS":   {guarded, func(m *client.Memcached) { *m = client.Memcached{Timeout: 10 * time.Second} }, "set MEMCACHED_TLS=true"},
		"TLS to plain":   {plain, func(*client.Memcached) {}, "remove MEMCACHED_TLS"},
	} {
		t.Run(name, func(t *testing.T) {
			var log strings.Builder
			var read []client.Observation
			f := setup(t, observed(&read), func(cfg *client.Config) {
				cfg.Servers, cfg.Memcached, cfg.Log = []string{c.server.Address}, right, slog.New(slog.NewTextHandler(&log, nil))
				c.change(&cfg.Memcached)
			})
			want, source := t1, client.SourceSidecar
			if c.says == "" {
				want, source = t2, client.SourceMemcached
			}
			for i := range 5 {
				assert.Equal(t, want, f.token(t))
				assert.Equal(t, source, read[i].Source)
			}
			t.Log(log.String())
			assert.NotContains(t, log.String(), "canarysecret")
			if c.says == "" {
				assert.Empty(t, log.String())
				return
			}
			assert.Equal(t, 1, strings.Count(log.String(), "\n"))
			assert.Contains(t, log.String(), `level=WARN msg="memcached unusable as configured, asking the sidecar" server=`+c.server.Address)
			assert.Contains(t, log.String(), c.says)
		})
	}
}

// A failure that ends by itself is not logged.
func TestLog_NotOfAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		f := setup(t, func(cfg *client.Config) {
			cfg.Memcached.Dial, cfg.Log = dialDown, slog.New(slog.NewTextHandler(&log, nil))
		})
		assert.Equal(t, t1, f.token(t))
		time.Sleep(time.Minute)
		assert.Equal(t, t1, f.token(t))
		assert.Empty(t, log.String())
	})
}

// A refusal is logged when it begins, and not at each read until it ends.
func TestLog_RefusalBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		refused := true
		f := setup(t, func(cfg *client.Config) {
			dial := cfg.Memcached.Dial
			cfg.Memcached.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				if refused {
					return nil, memcache.ErrPassword
				}
				return dial(ctx, network, address)
			}
			cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
		})
		warnings := func() int {
			time.Sleep(time.Minute)
			assert.Equal(t, t1, f.token(t))
			return strings.Count(log.String(), "WARN")
		}
		assert.Equal(t, 1, warnings())
		assert.Equal(t, 1, warnings())
		refused = false
		assert.Equal(t, 1, warnings())
		refused = true
		f.memcached.Restart()
		assert.Equal(t, 2, warnings())
	})
}
