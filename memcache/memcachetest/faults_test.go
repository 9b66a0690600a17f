package memcachetest_test

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
)

// newClient returns the client library for a server, with a timeout of 200 ms.
func newClient(t *testing.T, server *memcachetest.Server) *memcache.Client {
	t.Helper()
	client := memcache.New("127.0.0.1:11211")
	client.DialContext = server.Dial
	client.Timeout = 200 * time.Millisecond
	t.Cleanup(func() {
		assert.NoError(t, client.Close())
		assert.NoError(t, server.Close())
	})
	return client
}

func isTimeout(err error) bool {
	var timeout *memcache.ConnectTimeoutError
	var netErr net.Error
	return errors.As(err, &timeout) || errors.As(err, &netErr) && netErr.Timeout()
}

// Each fault shows in the client's error, and in whether the command ran.
func TestFault_ErrorAndEffect(t *testing.T) {
	t.Parallel()
	answered := func(err error) bool { return err == nil }
	cut := func(err error) bool { return errors.Is(err, io.EOF) }
	for name, c := range map[string]struct {
		fault memcachetest.Fault
		delay time.Duration
		fails func(error) bool
		done  bool
		takes time.Duration
	}{
		"None":        {fault: memcachetest.None, fails: answered, done: true},
		"Refuse":      {fault: memcachetest.Refuse, fails: func(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }},
		"Hang":        {fault: memcachetest.Hang, fails: isTimeout, takes: 200 * time.Millisecond},
		"HangAfter":   {fault: memcachetest.HangAfter, fails: isTimeout, done: true, takes: 200 * time.Millisecond},
		"DropBefore":  {fault: memcachetest.DropBefore, fails: cut},
		"DropAfter":   {fault: memcachetest.DropAfter, fails: cut, done: true},
		"DropMid":     {fault: memcachetest.DropMid, fails: cut, done: true},
		"ServerError": {fault: memcachetest.ServerError, fails: func(err error) bool { return err != nil && !cut(err) && !isTimeout(err) }},
		"Slow, in time": {
			fault: memcachetest.Slow, delay: 150 * time.Millisecond, fails: answered, done: true, takes: 150 * time.Millisecond,
		},
		"Slow, too late": {
			fault: memcachetest.Slow, delay: time.Second, fails: isTimeout, done: true, takes: 200 * time.Millisecond,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := memcachetest.New()
				client := newClient(t, server)
				require.NoError(t, client.Ping(), "a connection exists")
				server.SetDelay(c.delay)
				server.SetFault(c.fault)
				if c.fault == memcachetest.Refuse { // cuts the idle connection: this call finds out
					require.ErrorIs(t, client.Ping(), io.EOF)
				}
				began := time.Now()
				err := client.Set(&memcache.Item{Key: "a", Value: []byte("1")})
				assert.True(t, c.fails(err), "%v", err)
				assert.Equal(t, c.takes, time.Since(began))
				_, there := server.Peek("a")
				assert.Equal(t, c.done, there, "carried out")

				server.SetFault(memcachetest.None)
				_ = client.Close() // an idle connection can be broken
				assert.NoError(t, client.Set(&memcache.Item{Key: "b", Value: []byte("1")}), "healed")
			})
		})
	}
}

// DropMid sends half the answer.
func TestFault_DropMidSendsHalf(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := memcachetest.New()
		defer func() { assert.NoError(t, server.Close()) }()
		server.Put("a", "0123456789", 0, 0)
		server.OnCommand(func(c memcachetest.Command) memcachetest.Fault {
			if c.Verb == "gets" {
				return memcachetest.DropMid
			}
			return memcachetest.None
		})
		conn, err := server.Dial(t.Context(), "tcp", "m")
		require.NoError(t, err)
		go func() { _, _ = io.WriteString(conn, "version\r\ngets a\r\nversion\r\n") }()
		got, err := io.ReadAll(conn)
		require.NoError(t, err)
		assert.Equal(t, "VERSION "+memcachetest.Version+"\r\nVALUE a 0 10 1\r\n", string(got))
	})
}

// A command that hangs stays hung after the fault is healed.
func TestFault_HangOutlastsHealing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := memcachetest.New()
		client := newClient(t, server)
		client.Timeout = time.Minute
		server.SetFault(memcachetest.Hang)
		got := make(chan error, 1)
		go func() { got <- client.Ping() }()
		synctest.Wait()
		server.SetFault(memcachetest.None)
		require.NoError(t, client.Ping(), "on a connection of its own")
		began := time.Now()
		assert.True(t, isTimeout(<-got))
		assert.Equal(t, time.Minute, time.Since(began))
	})
}

// The hook sees the command, and can act before it.
func TestOnCommand_BeforeTheCommand(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := memcachetest.New()
		client := newClient(t, server)
		server.Put("a", "1", 0, 0)
		item, err := client.Get("a")
		require.NoError(t, err)

		var seen []memcachetest.Command
		server.SetFault(memcachetest.ServerError)
		server.OnCommand(func(c memcachetest.Command) memcachetest.Fault {
			seen = append(seen, c)
			if c.Verb == "cas" {
				server.SetFault(memcachetest.None) // from the next command on
				server.Put("a", "another's", 0, 0)
				return memcachetest.DropAfter
			}
			return memcachetest.None
		})
		require.ErrorIs(t, client.CompareAndSwap(item), io.EOF, "the hook has priority over SetFault")
		server.OnCommand(nil)
		now, _ := server.Peek("a")
		assert.Equal(t, "another's", now.Value, "the cas came too late")
		_, err = client.GetMulti([]string{"a", "b"})
		require.NoError(t, err, "healed")
		assert.Equal(t, []memcachetest.Command{{Verb: "cas", Keys: []string{"a"}}}, seen)
	})
}

// Restart empties the server and cuts its connections.
func TestRestart_EmptiesAndCuts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := memcachetest.New()
		client := newClient(t, server)
		require.NoError(t, client.Set(&memcache.Item{Key: "a", Value: []byte("1")}))
		require.NoError(t, client.Set(&memcache.Item{Key: "a", Value: []byte("1")}))
		server.Restart()
		require.ErrorIs(t, client.Ping(), io.EOF, "the idle connection is cut")
		_, err := client.Get("a")
		require.ErrorIs(t, err, memcache.ErrCacheMiss)
		server.Put("a", "1", 0, 0)
		item, _ := server.Peek("a")
		assert.EqualValues(t, 1, item.CAS)
	})
}

// A command that runs during a restart changes nothing.
func TestRestart_RunningCommandChangesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := memcachetest.New()
		client := newClient(t, server)
		server.OnCommand(func(memcachetest.Command) memcachetest.Fault {
			server.Restart()
			return memcachetest.None
		})
		require.ErrorIs(t, client.Set(&memcache.Item{Key: "a", Value: []byte("1")}), io.EOF)
		assert.Empty(t, server.Keys())
	})
}
