package client_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/client"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest/realmemcached"
)

// A real memcached: a miss, damaged values, hits and a restart.
func TestAccessToken_RealMemcached(t *testing.T) {
	m := realmemcached.Start(t, "")
	put := func(value string, flags int) {
		require.Equal(t, "STORED", m.Ask(t, fmt.Sprintf("set p:wx1 %d 60 %d\r\n%s", flags, len(value), value)))
	}
	f := setup(t, func(cfg *client.Config) {
		cfg.Dial = nil
		cfg.Servers = []string{m.Address}
		cfg.Prefix = "p:"
	})

	assert.Equal(t, t1, f.token(t))
	assert.Equal(t, 1, f.sidecar.asked(), "a miss")

	for i, damaged := range []struct {
		value string
		flags int
	}{{"N;", 1}, {strings.Repeat("x", 2049), 0}, {"", 0}} {
		put(damaged.value, damaged.flags)
		assert.Equal(t, t1, f.token(t))
		assert.Equal(t, 2+i, f.sidecar.asked(), "damaged")
	}

	put(t2, 0)
	for range 10 {
		assert.Equal(t, t2, f.token(t))
	}
	assert.Equal(t, 4, f.sidecar.asked(), "hits")

	m.Restart(t)
	put(t3, 0)
	assert.Equal(t, t3, f.token(t), "although the idle connections are broken")
	assert.Equal(t, 4, f.sidecar.asked())
}
