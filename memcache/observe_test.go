package memcache_test

import (
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/memcache/memcachetest"
)

// observer counts the calls of Observe.
type observer struct {
	mu           sync.Mutex
	done, failed map[string]int
}

func (o *observer) observe(operation string, failure error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.done[operation]++
	if failure != nil {
		o.failed[operation]++
	}
}

// Observe is called for every operation.
func TestObserve_EveryOperation(t *testing.T) {
	fake := memcachetest.New()
	t.Cleanup(func() { _ = fake.Close() })
	o := &observer{done: map[string]int{}, failed: map[string]int{}}
	store := open(t, memcache.Config{Dial: fake.Dial, Observe: o.observe})
	slot := slotOf(t, store)
	everything := func() {
		_, _ = slot.Get()
		_, _ = slot.Poll()
		_ = slot.PutEntry(memcache.Entry{}, token1, time.Hour)
		if entry, err := slot.Entry(); err == nil {
			_ = slot.PutEntry(entry, token2, time.Hour)
			_ = slot.PutEntry(entry, token3, time.Hour) // changed since: no failure
		}
		_, _ = slot.CountFailure()
		_ = slot.ForgetFailures()
	}
	everything()
	assert.ElementsMatch(t, memcache.Operations, slices.Collect(maps.Keys(o.done)))
	assert.Equal(t, 2, o.done["get"], "the client's, and the entry's")
	assert.Equal(t, 2, o.done["cas"])
	assert.Empty(t, o.failed, "a miss and a conflict are answers")

	entry := must(slot.Entry())(t)
	fake.SetFault(memcachetest.ServerError)
	everything()
	_ = slot.PutEntry(entry, token2, time.Hour)
	assert.ElementsMatch(t, memcache.Operations, slices.Collect(maps.Keys(o.failed)))
}
