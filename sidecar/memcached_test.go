package main

import (
	"testing"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest/realmemcached"
)

// realMemcached is the real server, and what the sidecar sees of it.
type realMemcached struct {
	*realmemcached.Server
	store *memcache.Store
}

func newRealMemcached(t *testing.T) *realMemcached {
	t.Helper()
	server := realmemcached.Start(t, "")
	return &realMemcached{server, storeAt(t, server.Address)}
}
