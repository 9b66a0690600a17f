package sdktest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest/realmemcached"
	"github.com/wxsidecar/wxsidecar/sidecar/programtest"
)

// memcached is the real one, and what a sidecar sees of it.
type memcached struct {
	*realmemcached.Server
	store *memcache.Store
}

func newMemcached(t *testing.T) *memcached {
	t.Helper()
	server := realmemcached.Start(t, "")
	store, err := memcache.New(memcache.Config{Servers: []string{server.Address}, Timeout: time.Second})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, store.Close()) })
	return &memcached{server, store}
}

// entry is what an app reads; empty where there is none.
func (m *memcached) entry(t *testing.T, kind memcache.Kind) string {
	t.Helper()
	slot, err := m.store.Slot(appID, kind)
	require.NoError(t, err)
	value, _ := slot.Get() // a failure is none
	return value
}

// freeAddress is a TCP address that no program listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := programtest.FreeAddress()
	require.NoError(t, err)
	return address
}
