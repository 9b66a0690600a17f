package memcache_test

import (
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
)

// Trim closes the connections that a burst opened, and keeps a few.
func TestTrim_ClosesABurst(t *testing.T) {
	fake := memcachetest.New()
	defer func() { _ = fake.Close() }()
	listener := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	go func() { _ = fake.Serve(listener) }()
	store := open(t, memcache.Config{Servers: []string{listener.Addr().String()}, Timeout: 5 * time.Second})
	slot := slotOf(t, store)

	require.NoError(t, store.Ping())
	require.NoError(t, slot.PutEntry(memcache.Entry{}, token1, time.Minute))
	seen := must(slot.Entry())(t)
	require.NoError(t, slot.PutEntry(seen, token2, time.Minute))
	assert.Equal(t, 2, fake.Connections(), "one that reads, one that swaps")
	store.Trim()
	assert.Eventually(t, func() bool { return fake.Connections() == 1 }, 10*time.Second, time.Millisecond, "one that reads")

	// A burst: four at a time, and none ends before all have arrived.
	var together sync.WaitGroup
	together.Add(4)
	fake.OnCommand(func(memcachetest.Command) memcachetest.Fault {
		together.Done()
		together.Wait()
		return memcachetest.None
	})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			_, err := slot.Get()
			assert.NoError(t, err)
		})
	}
	all.Wait()
	fake.OnCommand(nil)
	assert.Equal(t, 4, fake.Connections())
	store.Trim()
	assert.Eventually(t, func() bool { return fake.Connections() == 0 }, 10*time.Second, time.Millisecond)
	got := must(slot.Get())(t)
	same := got == token2
	assert.True(t, same, "the store continues")
	store.Trim()
	assert.Equal(t, 1, fake.Connections())
}
