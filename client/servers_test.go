package client_test

import (
	"context"
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client"
	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
)

// A server that fails sends only its own accounts to the sidecar.
func TestHealth_SeveralServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := []string{"a:11211", "b:11211"}
		servers := map[string]*memcachetest.Server{}
		for _, name := range names {
			servers[name] = memcachetest.New()
			defer func() { _ = servers[name].Close() }()
		}
		dial := func(ctx context.Context, network, address string) (net.Conn, error) {
			return servers[address].Dial(ctx, network, address)
		}
		where, err := memcache.New(memcache.Config{Servers: names})
		require.NoError(t, err)
		f := setup(t, func(cfg *client.Config) { cfg.Servers, cfg.Memcached.Dial = names, dial })
		for i := range 20 {
			appID := fmt.Sprintf("wx%d", i)
			slot, err := where.Slot(appID, memcache.AccessToken)
			require.NoError(t, err)
			servers[slot.Server()].Put(appID, t1, 0, 3600)
		}
		servers["a:11211"].SetFault(memcachetest.Hang)
		asked, onA, start := f.sidecar.asked(), 0, time.Now()
		for i := range 20 {
			appID := fmt.Sprintf("wx%d", i)
			slot, err := where.Slot(appID, memcache.AccessToken)
			require.NoError(t, err)
			_, err = f.For(appID).AccessToken(t.Context())
			if slot.Server() == "a:11211" {
				onA++ // the fake sidecar has only wx1, so this fails; the request counts
				continue
			}
			require.NoError(t, err)
		}
		assert.Greater(t, onA, 1)
		assert.Less(t, onA, 20)
		assert.Equal(t, asked+onA, f.sidecar.asked(), "the accounts of b still come from memcached")
		assert.LessOrEqual(t, time.Since(start), 400*time.Millisecond, "one timeout for all the accounts of a")
	})
}
