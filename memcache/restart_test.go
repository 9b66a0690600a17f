package memcache_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
)

// answered reports whether memcached answered, with any answer.
func answered(err error) bool {
	return err == nil || errors.Is(err, memcache.ErrMiss) || errors.Is(err, memcache.ErrConflict) ||
		errors.Is(err, memcache.ErrHeld) || errors.Is(err, memcache.ErrLost)
}

// Many idle connections of the previous process fail no call.
func TestRestart_ManyIdleConnections(t *testing.T) {
	onEach(t, func(s *server) {
		t := s.t
		const idle = 64
		dial := s.config.Dial
		if dial == nil {
			dial = new(net.Dialer).DialContext
		}
		var together sync.WaitGroup
		together.Add(idle)
		waits := true
		config := s.config
		config.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			if waits {
				together.Done() // all dial before the first continues
				together.Wait()
			}
			return dial(ctx, network, address)
		}
		store := open(t, config)
		burst(t, store, idle)
		waits = false
		sc := newScene(t, store)

		s.restart(t)
		var all sync.WaitGroup
		for name, operation := range operations {
			for range idle / len(operations) {
				all.Go(func() {
					err := operation(sc)
					assert.True(t, answered(err), "%s: %v", name, err)
				})
			}
		}
		all.Wait()
	})
}

// Each operation succeeds as the first one after a restart.
func TestRestart_FirstCallSucceeds(t *testing.T) {
	t.Parallel()
	for name, operation := range operations {
		synctest.Test(t, func(t *testing.T) {
			f := setup(t)
			sc := newScene(t, f.store)
			f.SetDelay(time.Millisecond)
			f.SetFault(memcachetest.Slow)
			burst(t, f.store, 20)
			f.SetFault(memcachetest.None)
			f.Restart()
			err := operation(sc)
			assert.True(t, answered(err), "%s: %v", name, err)
		})
	}
}

// reuse restarts s, and writes the key as another client until its value has the CAS id
// that was seen before.
func (s *server) reuse(t *testing.T, key string) {
	t.Helper()
	seen, there := s.peek(t, key)
	require.True(t, there)
	s.restart(t)
	require.NoError(t, s.Ping(), "the store has a new connection")
	for {
		s.put(t, key, token3, 0)
		now, _ := s.peek(t, key)
		if now.cas == seen.cas {
			return
		}
		require.Less(t, now.cas, seen.cas)
	}
}

// A CAS id that is used again after a restart overwrites nothing. Ids begin at 1 again, so
// an id proves nothing about the value.
func TestCAS_IDReusedAfterRestart(t *testing.T) {
	onEach(t, func(s *server) {
		t := s.t
		for name, write := range map[string]struct {
			key string
			do  func(sc *scene) error
		}{
			"PutEntry":  {"wx0", operations["PutEntry by swap"]},
			"PutRecord": {"wx0:record", operations["PutRecord by swap"]},
			"TakeOver":  {"wx2:lease", operations["TakeOver"]},
			"CoolDown":  {"wx0:lease", operations["CoolDown"]},
			"Release":   {"wx0:lease", operations["Release"]},
		} {
			require.Equal(t, "OK\r\n", s.say(t, "flush_all\r\n"))
			sc := newScene(t, s.Store)
			s.reuse(t, write.key)
			err := write.do(sc)
			assert.True(t, err != nil && answered(err), "%s: %v", name, err)
			i, _ := s.peek(t, write.key)
			assert.Equal(t, token3, i.value, name)
		}
	})
}

// The same with the restart at the worst moment: after the value was read again, and
// before the cas.
func TestCAS_RestartRightBefore(t *testing.T) {
	t.Parallel()
	for name, w := range writes {
		if w.verb != "cas" {
			continue
		}
		synctest.Test(t, func(t *testing.T) {
			f := setup(t)
			sc := newScene(t, f.store)
			seen, _ := f.Peek(w.key)
			f.OnCommand(func(c memcachetest.Command) memcachetest.Fault {
				if c.Verb == "cas" {
					f.Restart()
					for item, _ := f.Peek(w.key); item.CAS < seen.CAS; item, _ = f.Peek(w.key) {
						f.Put(w.key, token3, 0, 3600)
					}
				}
				return memcachetest.None
			})
			err := w.do(sc)
			assert.True(t, err != nil && answered(err), "%s: %v", name, err)
			item, _ := f.Peek(w.key)
			assert.Equal(t, memcachetest.Item{Value: token3, CAS: seen.CAS, Expires: item.Expires}, item, name)
		})
	}
}

// tapped runs tap once, after an answer has arrived and before it is read.
type tapped struct {
	net.Conn
	tap *atomic.Pointer[func()]
}

func (c tapped) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if tap := c.tap.Swap(nil); tap != nil {
		(*tap)()
	}
	return n, err
}

// A cas uses the connection that read the value. Memcached restarts after the read, and
// another call leaves a new connection that the write could use.
func TestCAS_OneConnection(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"PutEntry by swap", "PutRecord by swap", "TakeOver"} {
		synctest.Test(t, func(t *testing.T) {
			fake := memcachetest.New()
			defer func() { assert.NoError(t, fake.Close()) }()
			var tap atomic.Pointer[func()]
			store := open(t, memcache.Config{MaxIdleConns: 1, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := fake.Dial(ctx, network, address)
				return tapped{conn, &tap}, err
			}})
			sc := newScene(t, store)
			w := writes[name]
			seen, _ := fake.Peek(w.key)
			restart := func() {
				fake.Restart()
				for item, _ := fake.Peek(w.key); item.CAS < seen.CAS; item, _ = fake.Peek(w.key) {
					fake.Put(w.key, token3, 0, 3600)
				}
				assert.NoError(t, store.Ping())
			}
			tap.Store(&restart)
			require.ErrorIs(t, operations[name](sc), map[bool]error{false: memcache.ErrConflict, true: memcache.ErrHeld}[name == "TakeOver"])
			item, _ := fake.Peek(w.key)
			assert.Equal(t, token3, item.Value, name)
		})
	}
}

// Each of many concurrent swaps has a connection.
func TestCAS_ManyAtOnce(t *testing.T) {
	onEach(t, func(s *server) {
		t := s.t
		const n = 40
		slots := manySlots(t, s.Store, n)
		views := must(s.Poll(slots))(t)
		for range 3 {
			var all sync.WaitGroup
			for i, slot := range slots {
				all.Go(func() {
					assert.NoError(t, slot.PutEntry(views[i].Entry, token1, time.Hour))
					assert.NoError(t, slot.PutRecord(views[i].Record, newRecord(token1), time.Hour))
				})
			}
			all.Wait()
			views = must(s.Poll(slots))(t)
		}
	})
}
