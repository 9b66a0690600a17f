package memcachetest_test

import (
	"context"
	"io"
	"net"
	"runtime"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
)

// In a bubble, an hour passes at once.
func TestStore_VirtualHour(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := newClient(t, memcachetest.New())
		require.NoError(t, client.Set(&memcache.Item{Key: "a", Value: []byte("1"), Expiration: 3600}))
		time.Sleep(time.Hour - time.Nanosecond)
		_, err := client.Get("a")
		require.NoError(t, err)
		time.Sleep(time.Nanosecond)
		_, err = client.Get("a")
		assert.ErrorIs(t, err, memcache.ErrCacheMiss)
	})
}

// A lifetime ends with a tick of the clock of whole seconds.
func TestStore_LifetimeEndsWithATick(t *testing.T) {
	t.Parallel()
	for phase, life := range map[time.Duration]time.Duration{
		0:                          5 * time.Second,
		time.Nanosecond:            5*time.Second - time.Nanosecond,
		500 * time.Millisecond:     4500 * time.Millisecond,
		time.Second - 1:            4*time.Second + 1,
		time.Second:                5 * time.Second,
		time.Hour + time.Second/10: 4900 * time.Millisecond,
	} {
		t.Run(phase.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := memcachetest.New()
				time.Sleep(phase)
				server.Put("a", "1", 0, 5)
				item, ok := server.Peek("a")
				require.True(t, ok)
				assert.Equal(t, life, time.Until(item.Expires))
				time.Sleep(life - time.Nanosecond)
				assert.Equal(t, []string{"a"}, server.Keys())
				time.Sleep(time.Nanosecond)
				assert.Empty(t, server.Keys())
				_, ok = server.Peek("a")
				assert.False(t, ok)
			})
		})
	}
}

// Peek, Keys, Put, Evict and Flush need no connection.
func TestPeek_NeedsNoConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := memcachetest.New()
		client := newClient(t, server)
		server.Put("b", "2", 7, 0)
		require.NoError(t, client.Set(&memcache.Item{Key: "a", Value: []byte("1")}))
		assert.Equal(t, []string{"a", "b"}, server.Keys())
		item, ok := server.Peek("b")
		assert.True(t, ok)
		assert.Equal(t, memcachetest.Item{Value: "2", Flags: 7, CAS: 1}, item)
		assert.True(t, server.Evict("b"))
		assert.False(t, server.Evict("b"))
		server.Flush()
		assert.Empty(t, server.Keys())
		server.Put("a", "1", 0, int(time.Now().Add(time.Hour).Unix()))
		item, _ = server.Peek("a")
		assert.Equal(t, time.Hour, time.Until(item.Expires), "an absolute exptime")
		server.Put("a", "1", 0, -1)
		assert.Empty(t, server.Keys())
	})
}

// Commands are counted by verb.
func TestCount_ByVerb(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := memcachetest.New()
		client := newClient(t, server)
		_, _ = client.Get("a")
		_, _ = client.Get("a")
		_ = client.Add(&memcache.Item{Key: "a"})
		server.SetFault(memcachetest.DropBefore)
		_ = client.Delete("a")
		assert.Equal(t, []int{0, 2, 1, 1, 4}, []int{
			server.Count("get"), server.Count("gets"), server.Count("add"), server.Count("delete"), server.Count(""),
		})
	})
}

// After Close, nothing is answered.
func TestClose_AnswersNothing(t *testing.T) {
	t.Parallel()
	server := memcachetest.New()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := server.Dial(cancelled, "tcp", "m:1")
	require.ErrorIs(t, err, context.Canceled)

	require.NoError(t, server.Close())
	_, err = server.Dial(t.Context(), "tcp", "m:1")
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	require.EqualError(t, err, "dial tcp m:1: connect: connection refused")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.ErrorIs(t, server.Serve(l), net.ErrClosed)
	assert.NoError(t, server.Close(), "twice")
}

// Close ends every goroutine: a bubble waits for all of them.
func TestClose_NoGoroutineInABubble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		leaveHalfway(t, memcachetest.New(), func(s *memcachetest.Server) net.Conn {
			conn, err := s.Dial(t.Context(), "tcp", "m")
			require.NoError(t, err)
			return conn
		})
	})
}

// Close ends every goroutine of TCP connections.
// Not parallel: it counts the goroutines of the whole process.
func TestClose_NoGoroutineOverTCP(t *testing.T) {
	server := memcachetest.New()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	leaveHalfway(t, server, func(*memcachetest.Server) net.Conn {
		conn, err := net.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		return conn
	})
	require.NoError(t, <-ended)
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	assert.NotContains(t, string(stacks), "memcachetest.(*conn)")
	_, err = net.Dial("tcp", l.Addr().String())
	assert.ErrorIs(t, err, syscall.ECONNREFUSED)
}

// leaveHalfway closes the server while connections are idle, hang, wait for a slow answer,
// are in the middle of a value, and have an unread answer.
func leaveHalfway(t *testing.T, server *memcachetest.Server, dial func(*memcachetest.Server) net.Conn) {
	t.Helper()
	server.SetDelay(time.Hour)
	arrived := make(chan struct{}, 3)
	server.OnCommand(func(c memcachetest.Command) memcachetest.Fault {
		arrived <- struct{}{}
		return map[string]memcachetest.Fault{"get": memcachetest.Hang, "gets": memcachetest.Slow}[c.Verb]
	})
	var conns []net.Conn
	for _, text := range []string{"", "get a\r\n", "gets a\r\n", "set a 0 0 100\r\nhalf", "version\r\n"} {
		conn := dial(server)
		conns = append(conns, conn)
		_, err := io.WriteString(conn, text)
		require.NoError(t, err)
	}
	for range 3 {
		<-arrived
	}
	require.NoError(t, server.Close())
	for i, conn := range conns {
		_, err := io.Copy(io.Discard, conn)
		if i < 3 { // over TCP, half a value or an unread answer can cause a reset
			require.NoError(t, err, "ended, connection %d", i)
		}
		assert.NoError(t, conn.Close())
	}
}

// Refuse cuts TCP connections too.
func TestRefuse_OverTCP(t *testing.T) {
	t.Parallel()
	server := memcachetest.New()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { _ = server.Serve(l) }()
	defer func() { assert.NoError(t, server.Close()) }()
	client := memcache.New(l.Addr().String())
	require.NoError(t, client.Ping())
	server.SetFault(memcachetest.Refuse)
	require.Error(t, client.Ping(), "the idle connection")
	require.Error(t, client.Ping(), "a new connection")
	server.SetFault(memcachetest.None)
	assert.NoError(t, client.Close())
	assert.NoError(t, client.Ping(), "healed")
}

// Any bytes are answered: the connection's goroutine neither panics nor blocks.
func FuzzServe(f *testing.F) {
	for _, c := range conformance {
		for _, st := range c.steps {
			if len(st.send) < 1000 {
				f.Add([]byte(st.send))
			}
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		server := memcachetest.New()
		conn, err := server.Dial(t.Context(), "tcp", "m")
		require.NoError(t, err)
		drained := make(chan struct{})
		go func() {
			defer close(drained)
			_, _ = io.Copy(io.Discard, conn)
		}()
		_, _ = conn.Write(text)
		assert.NoError(t, server.Close())
		<-drained
	})
}

func BenchmarkCommandOverPipe(b *testing.B) {
	server := memcachetest.New()
	client := memcache.New("127.0.0.1:11211")
	client.DialContext = server.Dial
	item := &memcache.Item{Key: "wx0123456789abcdef", Value: make([]byte, 136), Expiration: 3600}
	b.Run("get", func(b *testing.B) {
		b.ReportAllocs()
		require.NoError(b, client.Set(item))
		for b.Loop() {
			if _, err := client.Get(item.Key); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("set", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := client.Set(item); err != nil {
				b.Fatal(err)
			}
		}
	})
	assert.NoError(b, server.Close())
}
