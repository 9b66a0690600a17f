package memcache_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
)

// allocated returns the bytes that work allocates, freed or not.
func allocated(work func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	work()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// A size that a server claims allocates nothing.
// Not parallel: it counts what the whole process allocates.
func TestConn_ClaimedSizeAllocatesNothing(t *testing.T) {
	for _, answer := range []string{
		"VALUE wx1 0 4294967295 7\r\nx",
		"VALUE wx1 0 4294967296 7\r\nx",
		"VALUE wx1 0 99999999999999999999 7\r\nx",
		"VALUE wx1 0 -1 7\r\n\r\nEND\r\n",
		"VALUE wx1 0 0004294967295\r\nx",
		"VALUE wx1:record 0 4294967295 7\r\nVALUE wx1 0 4294967295 7\r\nEND\r\n",
	} {
		slot := slotOf(t, open(t, memcache.Config{Servers: []string{nonsense(t, answer)}, Timeout: 10 * time.Second}))
		taken := allocated(func() {
			_, err := slot.Get()
			assertFailure(t, err)
			_, err = slot.Poll()
			assertFailure(t, err)
		})
		assert.Less(t, taken, uint64(2<<20), answer)
	}
}

// A value over the limit is damaged, and a sidecar replaces it.
// Not parallel: it counts what the whole process allocates.
func TestConn_GiantValueIsDamaged(t *testing.T) {
	const accounts, giant = 100, 1_000_000
	s := startReal(t)
	s.config.Timeout = 10 * time.Second
	store := open(t, s.config)
	slots := manySlots(t, store, accounts)
	conn := must(s.dial())(t)
	value := strings.Repeat("a", giant)
	for i := range accounts / 4 { // 75 MB of the 64 MB that memcached has by itself: some of it is gone again
		for _, suffix := range []string{"", ":record", ":lease"} {
			_ = must(fmt.Fprintf(conn, "set wx%d%s 0 0 %d\r\n%s\r\n", i, suffix, giant, value))(t)
			stored := make([]byte, len("STORED\r\n"))
			_ = must(io.ReadFull(conn, stored))(t)
			require.Equal(t, "STORED\r\n", string(stored))
		}
	}
	require.NoError(t, conn.Close())

	var views []memcache.View
	taken := allocated(func() {
		views = must(store.Poll(slots))(t)
	})
	t.Logf("a poll of %d accounts allocated %d bytes", accounts, taken)
	assert.Less(t, taken, uint64(4<<20))
	last := accounts/4 - 1 // what was written last is there
	assert.True(t, views[last].Entry.Damaged)
	assert.True(t, views[last].Record.Unreadable)
	_, err := slots[last].Get()
	require.ErrorIs(t, err, memcache.ErrDamaged)
	held := must(slots[last].Lease())(t)
	assert.True(t, held.Held)

	require.NoError(t, slots[last].PutEntry(views[last].Entry, token1, time.Hour))
	require.NoError(t, slots[last].PutRecord(views[last].Record, newRecord(token1), time.Hour))
	lease := must(slots[last].TakeOver(held))(t)
	require.NoError(t, lease.Release())
	view := must(slots[last].Poll())(t)
	assert.True(t, view.Entry.Token == token1 && view.Record.Record.Token == token1)
}

// streams answers the first request of every connection by write.
func streams(t *testing.T, write func(conn net.Conn)) (address string) {
	t.Helper()
	l := must(net.Listen("tcp", "127.0.0.1:0"))(t)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer func() { _ = conn.Close() }()
				if _, err := conn.Read(make([]byte, 64<<10)); err == nil {
					write(conn)
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		all.Wait()
	})
	return l.Addr().String()
}

// An answer without an end is an error, within the memory limit.
// Not parallel: it counts what the whole process allocates.
func TestConn_EndlessAnswerIsCut(t *testing.T) {
	for story, part := range map[string]string{
		"items of other keys": "VALUE %d 0 1 1\r\nx\r\n",
		"long items":          "VALUE %d 0 16000 1\r\n" + strings.Repeat("x", 16000) + "\r\n",
		"a line":              "%d" + strings.Repeat("x", 1000),
		"line ends":           "\r\n",
	} {
		address := streams(t, func(conn net.Conn) {
			var text bytes.Buffer // one, or its growth would be counted with what the reader takes
			for i := 0; ; i++ {
				text.Reset()
				for range 64 {
					if strings.Contains(part, "%d") {
						fmt.Fprintf(&text, part, i)
					} else {
						text.WriteString(part)
					}
					i++
				}
				if _, err := conn.Write(text.Bytes()); err != nil {
					return
				}
			}
		})
		slot := slotOf(t, open(t, memcache.Config{Servers: []string{address}, Timeout: 10 * time.Second}))
		taken := allocated(func() {
			_, err := slot.Get()
			assertFailure(t, err)
			_, err = slot.Poll()
			assertFailure(t, err)
		})
		t.Logf("%s: %d bytes allocated, the server's too", story, taken)
		assert.Less(t, taken, uint64(32<<20), story)
	}
}

// An answer in pieces takes at most eleven timeouts.
func TestConn_AnswerInPiecesTakesTenTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		const timeout = 200 * time.Millisecond
		var serving sync.WaitGroup
		serving.Go(func() {
			if _, err := far.Read(make([]byte, 1<<10)); err != nil {
				return
			}
			for i := 0; ; i++ { // each piece in time
				time.Sleep(timeout - time.Millisecond)
				if _, err := fmt.Fprintf(far, "VALUE wx1 0 1 1\r\nx\r\n"); err != nil {
					return
				}
			}
		})
		store := open(t, memcache.Config{Timeout: timeout, Dial: func(context.Context, string, string) (net.Conn, error) { return near, nil }})
		began := time.Now()
		_, err := slotOf(t, store).Get()
		assertFailure(t, err)
		assert.InDelta(t, 11, time.Since(began).Seconds()/timeout.Seconds(), 1)
		require.NoError(t, store.Close())
		_ = far.Close()
		serving.Wait()
	})
}
