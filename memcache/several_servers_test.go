package memcache_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
	"github.com/wxsidecar/wxsidecar/memcache/ring"
)

// All keys of a credential are on the server that the entry's key hashes to.
func TestStore_OneServerPerCredential(t *testing.T) {
	t.Parallel()
	fakes := map[string]*memcachetest.Server{}
	names := []string{"a:11211", "b:11211", "c:11211"}
	store := open(t, memcache.Config{Servers: names, Hash: ring.PHPMemcacheConsistent, Prefix: "prod:", Dial: dialEach(t, fakes, names...)})
	server := ring.New(ring.PHPMemcacheConsistent, names)
	ticket := must(store.Slot("wx0", memcache.JSAPITicket))(t)
	assert.Equal(t, names[server("prod:wx0:jsapi_ticket")], ticket.Server())
	for i, slot := range manySlots(t, store, 60) {
		assert.Equal(t, names[server(fmt.Sprintf("prod:wx%d", i))], slot.Server())
		require.NoError(t, slot.PutEntry(memcache.Entry{}, token1, longLife))
		require.NoError(t, slot.PutRecord(memcache.Seen{}, newRecord(token1), longLife))
		_ = must(slot.TakeLease())(t)
		_ = must(slot.Mark(memcache.MarkReportThrottle, longLife))(t)
		_ = must(slot.CountFailure())(t)
	}
	for name, fake := range fakes {
		keys := fake.Keys()
		assert.NotEmpty(t, keys, name)
		owners := map[string]int{}
		for _, key := range keys {
			appID, _, _ := strings.Cut(strings.TrimPrefix(key, "prod:"), ":")
			owners[appID]++
		}
		for appID, n := range owners {
			assert.Equal(t, 5, n, "%s on %s", appID, name)
		}
	}
}

// longLife is longer than any test.
const longLife = time.Hour

// dialEach makes a fake for each name, and returns a dial function for them.
func dialEach(t *testing.T, fakes map[string]*memcachetest.Server, names ...string) func(context.Context, string, string) (net.Conn, error) {
	t.Helper()
	for _, name := range names {
		fake := memcachetest.New()
		t.Cleanup(func() { _ = fake.Close() })
		fakes[name] = fake
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		return fakes[address].Dial(ctx, network, address)
	}
}

// Poll asks no server that keeps none of its credentials.
func TestPoll_AsksOnlyTheServersOfItsSlots(t *testing.T) {
	t.Parallel()
	fakes := map[string]*memcachetest.Server{}
	store := open(t, memcache.Config{Servers: []string{"a:11211", "b:11211", "c:11211"}, Dial: dialEach(t, fakes, "a:11211", "b:11211", "c:11211")})
	slots := manySlots(t, store, 60)
	for i, slot := range slots {
		require.NoError(t, slot.PutEntry(memcache.Entry{}, fmt.Sprintf("%s-%d", token1, i), longLife))
	}
	views := must(store.Poll(slots))(t)
	for i, view := range views {
		assert.Equal(t, memcache.Fingerprint(fmt.Sprintf("%s-%d", token1, i)), memcache.Fingerprint(view.Entry.Token), "in the order of the slots")
	}

	fakes["b:11211"].SetFault(memcachetest.Refuse)
	_, err := store.Poll(slots)
	require.Error(t, err)
	healthy := slices.DeleteFunc(slots, func(s *memcache.Slot) bool { return s.Server() == "b:11211" })
	views = must(store.Poll(healthy))(t)
	assert.Len(t, views, len(healthy))
}
