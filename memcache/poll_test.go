package memcache_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
)

// manySlots returns the Slots of wx0, wx1 and so on.
func manySlots(t *testing.T, store *memcache.Store, n int) []*memcache.Slot {
	t.Helper()
	slots := make([]*memcache.Slot, n)
	for i := range slots {
		var err error
		slots[i], err = store.Slot(fmt.Sprintf("wx%d", i), memcache.AccessToken)
		require.NoError(t, err)
	}
	return slots
}

// Poll reads entries and records of many credentials, for a replacement.
func TestPoll_ReadsManyCredentials(t *testing.T) {
	onEach(t, func(s *server) {
		t := s.t
		slots := manySlots(t, s.Store, 250)
		s.put(t, "wx0", token1, 0)
		s.put(t, "wx0:record", with(`"number":7`), 0)
		s.put(t, "wx99", token2, 1)
		s.put(t, "wx100:record", "nonsense", 0)
		s.put(t, "wx249", token3, 0)
		views := must(s.Poll(slots))(t)
		require.Len(t, views, 250)
		assert.Equal(t, token1, views[0].Entry.Token)
		assert.EqualValues(t, 7, views[0].Record.Record.Number)
		assert.True(t, views[99].Entry.Damaged)
		assert.True(t, views[100].Record.Unreadable)
		assert.Equal(t, token3, views[249].Entry.Token)
		for i, view := range views {
			if i != 0 && i != 99 && i != 100 && i != 249 {
				assert.Equal(t, memcache.View{}, view, i)
			}
		}

		// The entry and the record that Poll read can be replaced.
		require.NoError(t, slots[99].PutEntry(views[99].Entry, token1, time.Hour))
		require.NoError(t, slots[100].PutRecord(views[100].Record, newRecord(token1), time.Hour))
		require.NoError(t, slots[1].PutEntry(views[1].Entry, token1, time.Hour))
		require.ErrorIs(t, slots[99].PutEntry(views[99].Entry, token2, time.Hour), memcache.ErrConflict)
		view := must(slots[100].Poll())(t)
		assert.Equal(t, newRecord(token1), view.Record.Record)
		assert.Equal(t, memcache.Entry{}, view.Entry)
	})
}

// Entries are read before records, so an entry is never newer than its record.
func TestPoll_EntriesBeforeRecords(t *testing.T) {
	t.Parallel()
	for n, batches := range map[int][]int{0: nil, 1: {1}, 100: {100}, 101: {100, 1}, 250: {100, 100, 50}} {
		synctest.Test(t, func(t *testing.T) {
			f := setup(t)
			var mu sync.Mutex
			var asked [][]string
			f.OnCommand(func(c memcachetest.Command) memcachetest.Fault {
				mu.Lock()
				defer mu.Unlock()
				asked = append(asked, c.Keys)
				return memcachetest.None
			})
			views := must(f.store.Poll(manySlots(t, f.store, n)))(t)
			assert.Len(t, views, n)

			var want [][]string
			first := 0
			for _, size := range batches {
				var keys []string
				for i := range size {
					keys = append(keys, fmt.Sprintf("wx%d", first+i))
				}
				for i := range size {
					keys = append(keys, fmt.Sprintf("wx%d:record", first+i))
				}
				want = append(want, keys)
				first += size
			}
			assert.Equal(t, want, asked)
		})
	}
}

// Poll returns no views if one multi-get fails.
func TestPoll_NothingIfABatchFails(t *testing.T) {
	t.Parallel()
	for _, fault := range faults {
		t.Run(fault.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := setup(t)
				f.Put("wx0", token1, 0, 3600)
				f.SetDelay(time.Minute)
				f.OnCommand(func(c memcachetest.Command) memcachetest.Fault {
					if c.Keys[0] == "wx100" {
						return fault.Fault
					}
					return memcachetest.None
				})
				views, err := f.store.Poll(manySlots(t, f.store, 250))
				assertFailure(t, err)
				assert.Zero(t, len(views), "what the first batch brought") //nolint:testifylint // the values stay out of the failure's text
				assert.LessOrEqual(t, f.Count("gets"), 3, "the first batch, the second, and that once more")
			})
		})
	}
}
