package client_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest/entries"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest/realmemcached"
)

// A real memcached: a miss, the table's values, hits and a restart. Only a damaged value
// makes the Client ask the sidecar.
func TestAccessToken_RealMemcached(t *testing.T) {
	m := realmemcached.Start(t, "")
	put := func(value string, flags int) {
		require.Equal(t, "STORED", m.Ask(t, fmt.Sprintf("set p:wx1 %d 60 %d\r\n%s", flags, len(value), value)))
	}
	f := setup(t, func(cfg *client.Config) {
		cfg.Memcached = client.Memcached{Prefix: "p:"}
		cfg.Servers = []string{m.Address}
	})

	assert.Equal(t, t1, f.token(t))
	assert.Equal(t, 1, f.sidecar.asked(), "a miss")

	asked := 1
	for _, value := range entries.Values(t) {
		put(value.Text, value.Flags)
		want := value.Text
		if !value.Valid {
			want = t1
			asked++
		}
		assert.Equal(t, want, f.token(t), value.Name)
		assert.Equal(t, asked, f.sidecar.asked(), value.Name)
	}

	put(t2, 0)
	for range 10 {
		assert.Equal(t, t2, f.token(t))
	}
	assert.Equal(t, asked, f.sidecar.asked(), "hits")

	m.Restart(t)
	put(t3, 0)
	assert.Equal(t, t3, f.token(t), "although the idle connections are broken")
	assert.Equal(t, asked, f.sidecar.asked())
}
