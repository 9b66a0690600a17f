package memcache_test

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
)

// dials logs the dialled addresses.
type dials struct {
	dial func(ctx context.Context, network, address string) (net.Conn, error)

	mu   sync.Mutex
	seen []string // mu guards it
}

func (d *dials) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	d.mu.Lock()
	d.seen = append(d.seen, network+" "+address)
	d.mu.Unlock()
	return d.dial(ctx, network, address)
}

// take returns the addresses dialled since the last take.
func (d *dials) take() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	seen := d.seen
	d.seen = nil
	return seen
}

// Each dial gets the server's name, so that it is resolved again.
func TestDial_ResolvesTheNameEveryTime(t *testing.T) {
	t.Parallel()
	for server, want := range map[string]string{
		"":                             "tcp 127.0.0.1:11211",
		"memcached.example.test:11211": "tcp memcached.example.test:11211",
		"MEMCACHED:1":                  "tcp MEMCACHED:1",
		"[::1]:11211":                  "tcp [::1]:11211",
		"/run/memcached.sock":          "unix /run/memcached.sock",
	} {
		synctest.Test(t, func(t *testing.T) {
			fake := memcachetest.New()
			defer func() { assert.NoError(t, fake.Close()) }()
			d := &dials{dial: fake.Dial}
			config := memcache.Config{Dial: d.Dial}
			if server != "" {
				config.Servers = []string{server}
			}
			store := open(t, config)
			require.Empty(t, d.take(), "New does not connect")
			for range 3 {
				require.NoError(t, store.Ping())
				require.NoError(t, store.Ping())
				require.Equal(t, []string{want}, d.take(), "one connection serves both")
				require.NoError(t, store.Close())
			}
			// Connections for compare-and-swap dial the same name.
			useAll(t, slotOf(t, store))
			for _, address := range d.take() {
				assert.Equal(t, want, address)
			}
		})
	}
}

// New returns an error that names each bad server.
func TestNew_BadServers(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "memcached", "memcached:", ":11211", "11211", "::1", "::1:11211", "memcached.sock", "http://memcached:11211"} {
		require.Error(t, memcache.CheckServer(bad), bad)
		_, err := memcache.New(memcache.Config{Servers: []string{bad}})
		require.Error(t, err, bad)
	}
	_, err := memcache.New(memcache.Config{Servers: []string{"a:1", "b:1", "a:1", "c"}, Hash: "crc32"})
	require.ErrorContains(t, err, `"a:1" is listed twice`)
	require.ErrorContains(t, err, `"c" is neither`)
	assert.ErrorContains(t, err, `unknown hash "crc32"; use ketama`)
}

// A server can be the path of a unix socket.
func TestNew_UnixSocket(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "memcached.sock")
	l := must(net.Listen("unix", path))(t)
	fake := memcachetest.New()
	ended := make(chan error, 1)
	go func() { ended <- fake.Serve(l) }()
	store := open(t, memcache.Config{Servers: []string{path}, Timeout: 10 * time.Second})
	useAll(t, slotOf(t, store))
	require.NoError(t, fake.Close())
	require.NoError(t, <-ended)
	assertFailure(t, store.Ping())
}

// A failed dial is an error, not a miss.
func TestDial_FailureIsNoMiss(t *testing.T) {
	t.Parallel()
	refused := errors.New("no route to host")
	for name, dial := range map[string]func(context.Context, string, string) (net.Conn, error){
		"refused": func(context.Context, string, string) (net.Conn, error) { return nil, refused },
		"too slow": func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			slot := slotOf(t, open(t, memcache.Config{Dial: dial, Timeout: time.Second}))
			began := time.Now()
			_, err := slot.Get()
			assertFailure(t, err)
			assert.LessOrEqual(t, time.Since(began), time.Second, name)
			_, err = slot.TakeLease()
			assertFailure(t, err)
		})
	}
}

// As many connections stay open as MaxIdleConns allows.
func TestConfig_MaxIdleConns(t *testing.T) {
	t.Parallel()
	for maxIdle, again := range map[int]int{0: 0, 5: 15, 20: 0} {
		synctest.Test(t, func(t *testing.T) {
			fake := memcachetest.New()
			defer func() { assert.NoError(t, fake.Close()) }()
			fake.SetDelay(time.Millisecond) // so that all are under way at the same time
			fake.SetFault(memcachetest.Slow)
			d := &dials{dial: fake.Dial}
			store := open(t, memcache.Config{Dial: d.Dial, MaxIdleConns: maxIdle})
			burst(t, store, 20)
			require.Len(t, d.take(), 20)
			burst(t, store, 20)
			assert.Len(t, d.take(), again)
		})
	}
}

// burst sends n requests at once.
func burst(t *testing.T, store *memcache.Store, n int) {
	t.Helper()
	var all sync.WaitGroup
	for range n {
		all.Go(func() { assert.NoError(t, store.Ping()) })
	}
	all.Wait()
}
