package memcache_test

import (
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest/names"
)

// reported logs calls of Config.SeveralAddresses.
type reported struct {
	mu    sync.Mutex
	calls []string // mu guards it
}

func (r *reported) note(server string, several []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, server+" "+strings.Join(several, ","))
}

// take returns the calls since the last take.
func (r *reported) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	calls := r.calls
	r.calls = nil
	return calls
}

// named returns a Store of a memcached with a name, and the name's server.
func named(t *testing.T) (*names.Names, *memcache.Store, *reported, string) {
	t.Helper()
	fake := memcachetest.New()
	t.Cleanup(func() { assert.NoError(t, fake.Close()) })
	listener := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	go func() { _ = fake.Serve(listener) }()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	n, r, server := names.New(), new(reported), "memcached.example.test:"+port
	store := open(t, memcache.Config{Servers: []string{server}, Timeout: 5 * time.Second, Dial: n.Dial, SeveralAddresses: r.note})
	return n, store, r, server
}

// Every dial looks at what the name resolves to, and a change is reported once: several
// addresses of one family, or the end of that.
func TestSeveralAddresses_ReportedOnChange(t *testing.T) {
	t.Parallel()
	n, store, r, server := named(t)
	const name = "memcached.example.test"
	redial := func() {
		require.NoError(t, store.Close())
		require.NoError(t, store.Ping())
	}
	for _, c := range []struct {
		what      string
		addresses []string
		want      []string
	}{
		{"one", []string{"127.0.0.1"}, nil},
		{"one of each family", []string{"127.0.0.1", "::1"}, nil},
		{"one, listed twice", []string{"127.0.0.1", "127.0.0.1"}, nil},
		{"one, in both forms", []string{"127.0.0.1", "::ffff:127.0.0.1"}, nil},
		{"two", []string{"127.0.0.2", "127.0.0.1"}, []string{server + " 127.0.0.1,127.0.0.2"}},
		{"two in another order", []string{"127.0.0.1", "127.0.0.2"}, nil},
		{"two others", []string{"127.0.0.1", "127.0.0.3"}, []string{server + " 127.0.0.1,127.0.0.3"}},
		{"one again", []string{"127.0.0.1"}, []string{server + " "}},
		{"two of IPv6", []string{"127.0.0.1", "::1", "2001:db8::1"}, []string{server + " ::1,2001:db8::1"}},
	} {
		n.Set(name, c.addresses...)
		redial()
		assert.Equal(t, c.want, r.take(), c.what)
	}
	require.NoError(t, store.Ping())
	assert.Empty(t, r.take(), "no dial")

	n.Set(name)
	require.NoError(t, store.Close())
	require.Error(t, store.Ping())
	assert.Empty(t, r.take(), "a failure says nothing")
}

// While a name has several addresses, Trim makes the next operation resolve it again.
func TestSeveralAddresses_TrimResolvesAgain(t *testing.T) {
	t.Parallel()
	n, store, r, server := named(t)
	n.Set("memcached.example.test", "127.0.0.1", "127.0.0.2")
	require.NoError(t, store.Ping())
	require.Equal(t, []string{server + " 127.0.0.1,127.0.0.2"}, r.take())
	n.Set("memcached.example.test", "127.0.0.1")
	require.NoError(t, store.Ping())
	require.Empty(t, r.take())
	store.Trim()
	require.NoError(t, store.Ping())
	assert.Equal(t, []string{server + " "}, r.take())
	n.Set("memcached.example.test", "127.0.0.1", "127.0.0.2")
	store.Trim()
	require.NoError(t, store.Ping())
	assert.Empty(t, r.take(), "the connection stays while there is one address")
}

// Connections for compare-and-swap are dials like others.
func TestSeveralAddresses_EveryConnection(t *testing.T) {
	t.Parallel()
	n, store, r, server := named(t)
	n.Set("memcached.example.test", "127.0.0.1")
	slot := slotOf(t, store)
	require.NoError(t, slot.PutEntry(memcache.Entry{}, token1, time.Minute))
	seen := must(slot.Entry())(t)
	n.Set("memcached.example.test", "127.0.0.1", "127.0.0.2")
	require.NoError(t, slot.PutEntry(seen, token2, time.Minute))
	assert.Equal(t, []string{server + " 127.0.0.1,127.0.0.2"}, r.take())
}

// While a pod's network is not there yet, DNS queries are lost. As soon as it is there, the
// next dial resolves the name: it does not share the lost query of those before it.
func TestDial_WaitsForNoLostQuery(t *testing.T) { // not parallel: it replaces the process's resolver
	n, _, _, server := named(t)
	before := net.DefaultResolver
	net.DefaultResolver = n.Resolver
	t.Cleanup(func() { net.DefaultResolver = before })
	n.Set("memcached.example.test", "127.0.0.1")
	n.Lose(true)
	const timeout = 200 * time.Millisecond
	store := open(t, memcache.Config{Servers: []string{server}, Timeout: timeout})
	var all sync.WaitGroup
	var found atomic.Bool
	lost := time.After(4 * timeout)
	for range 8 { // one waits for a query at any time
		all.Go(func() {
			for !found.Load() {
				if store.Ping() == nil {
					found.Store(true)
				}
			}
		})
		time.Sleep(timeout / 8)
	}
	<-lost
	require.False(t, found.Load())
	n.Lose(false)
	back := time.Now()
	all.Wait()
	assert.Less(t, time.Since(back), 2*time.Second)
}
