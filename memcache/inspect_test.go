package memcache_test

import (
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest/realmemcached"
)

// A real memcached says whether it evicts, and how often it did. One that is down is an
// error of its own.
func TestInspect_RealServers(t *testing.T) {
	t.Parallel()
	evicts, refuses, down := realmemcached.Start(t, ""), realmemcached.Start(t, "", "-M"), realmemcached.Start(t, "")
	down.Kill()
	store := open(t, memcache.Config{Servers: []string{evicts.Address, refuses.Address, down.Address}})
	all := store.Inspect(t.Context())
	require.Len(t, all, 3)
	for i, evictions := range []string{"on", "off"} {
		require.NoError(t, all[i].Err)
		assert.Equal(t, evictions, all[i].Settings["evictions"])
		assert.Equal(t, "16777216", all[i].Settings["maxbytes"])
		assert.Equal(t, "0", all[i].Stats["evictions"])
		assert.NotEmpty(t, all[i].Stats["version"])
	}
	assert.Equal(t, down.Address, all[2].Server)
	require.Error(t, all[2].Err)
	assert.Nil(t, all[2].Stats)
	assert.Equal(t, "END", evicts.Ask(t, "get wx1"))
}

// A proxy that knows no stats is no failure.
func TestInspect_WithoutStats(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go answerErrors(listener)
	all := open(t, memcache.Config{Servers: []string{listener.Addr().String()}}).Inspect(t.Context())
	require.NoError(t, all[0].Err)
	assert.Nil(t, all[0].Stats)
}

// answerErrors is a proxy that knows the version alone.
func answerErrors(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = conn.Close() }()
			b := make([]byte, 100)
			for {
				n, err := conn.Read(b)
				if err != nil {
					return
				}
				answer := "ERROR\r\n"
				if string(b[:n]) == "version\r\n" {
					answer = "VERSION proxy\r\n"
				}
				_, _ = conn.Write([]byte(answer))
			}
		}()
	}
}

// A name with several addresses has them.
func TestInspect_SeveralAddresses(t *testing.T) {
	t.Parallel()
	of, store, _, server := named(t)
	of.Set("memcached.example.test", "127.0.0.1", "127.0.0.2")
	all := store.Inspect(t.Context())
	assert.Equal(t, server, all[0].Server)
	assert.Equal(t, []string{"127.0.0.1", "127.0.0.2"}, all[0].Several)
}
