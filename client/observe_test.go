package client_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client"
	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
)

// observed appends what a Client observes to list.
func observed(list *[]client.Observation) func(*client.Config) {
	return func(cfg *client.Config) {
		cfg.Observe = func(o client.Observation) { *list = append(*list, o) }
	}
}

// Each credential that a method returns is observed once, with its own source.
func TestObserve_Source(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []client.Observation
		f := setup(t, observed(&seen), withLocal(30*time.Second))
		f.memcached.Put("wx1:jsapi_ticket", t3, 0, 3600)
		f.memcached.Put("wxB", t3, 0, 3600)

		f.token(t)
		f.token(t)
		_, err := f.Refresh(t.Context(), t1)
		require.NoError(t, err)
		_, err = f.Ticket(t.Context(), client.JSAPI)
		require.NoError(t, err)
		_, err = f.For("wxB").AccessToken(t.Context())
		require.NoError(t, err)
		time.Sleep(time.Minute)
		synctest.Wait()
		f.memcached.Flush()
		f.token(t)
		_, err = f.Refresh(t.Context(), "")
		require.NoError(t, err)

		assert.Equal(t, []client.Observation{
			{AppID: "wx1", Kind: memcache.AccessToken, Source: client.SourceMemcached},
			{AppID: "wx1", Kind: memcache.AccessToken, Source: client.SourceLocal},
			{AppID: "wx1", Kind: memcache.AccessToken, Source: client.SourceSidecar},
			{AppID: "wx1", Kind: "jsapi_ticket", Source: client.SourceMemcached},
			{AppID: "wxB", Kind: memcache.AccessToken, Source: client.SourceMemcached},
			{AppID: "wx1", Kind: memcache.AccessToken, Source: client.SourceSidecar},
			{AppID: "wx1", Kind: memcache.AccessToken, Source: client.SourceSidecar},
		}, seen)
	})
}

// An outage of memcached, one of the sidecar within its pause, and one of both,
// which returns no credential.
func TestObserve_Outage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []client.Observation
		f := setup(t, observed(&seen))
		f.memcached.SetFault(memcachetest.Refuse)
		f.token(t)
		f.memcached.SetFault(memcachetest.None)
		f.sidecar.down = errDown
		f.token(t)
		f.memcached.SetFault(memcachetest.Refuse)
		_, err := f.AccessToken(t.Context())
		require.Error(t, err)

		require.Len(t, seen, 2)
		assert.Equal(t, client.SourceSidecar, seen[0].Source)
		assert.Equal(t, client.SourceMemcached, seen[1].Source, "within the pause")
	})
}

func ExampleConfig_observe() {
	cfg, stop := pod()
	defer stop()
	reads := map[client.Source]int{} // a metric's counter in a real app
	cfg.Observe = func(o client.Observation) { reads[o.Source]++ }
	c, _ := client.New(cfg)
	defer func() { _ = c.Close() }()

	_, _ = c.AccessToken(context.Background())
	fmt.Println(reads)
	// Output: map[memcached:1]
}
