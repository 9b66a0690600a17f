package keeper

import (
	"errors"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
)

const (
	// doubtDelay is how long a request whose answer was lost may still be on its way.
	doubtDelay = time.Minute
	// doubtReach is how long before the time of a doubt the other token may have
	// been issued: the delay and a lease's use.
	doubtReach = doubtDelay + memcache.LeaseUse + time.Second
	// clocksApart is how far the wall clocks of two sidecars may be apart. A call
	// counts as later than another one's only beyond it.
	clocksApart = 5 * time.Second
	// tokenlessLife is how long a record without a token carries its doubt.
	tokenlessLife = 2 * time.Hour
)

// doubt marks the record for everybody: from the Unix time at on, one more
// renewal is owed, because a call may have issued a token that nobody holds.
// The newest token goes on meanwhile (it works for 300 s after another was
// issued, and is better than none): fetched counts, which may be nil. What
// memcached cannot be told now is told at a look.
func (c *credential) doubt(at time.Time, fetched *memcache.Record) {
	c.mu.Lock()
	c.owed = max(c.owed, at.Unix())
	c.mu.Unlock()
	c.payDoubt(fetched)
}

// payDoubt writes the doubt that is owed, if one is.
func (c *credential) payDoubt(fetched *memcache.Record) {
	for range 4 {
		c.mu.Lock()
		owed := c.owed
		c.mu.Unlock()
		if owed == 0 {
			return
		}
		seen, err := c.readRecord()
		if err != nil {
			c.doubtMemory(fetched, owed)
			return
		}
		if there := seen.Record; there != nil && there.Token != "" && there.Doubt == 0 && there.Issued > owed+int64(clocksApart/time.Second) {
			c.mu.Lock()
			c.owed = 0 // somebody's call began later
			c.mu.Unlock()
			return
		}
		marked := c.inDoubt(seen.Record, fetched, owed)
		err = c.slot.PutRecord(seen, marked, c.recordLife(marked))
		if errors.Is(err, memcache.ErrConflict) {
			continue
		}
		if err != nil {
			c.doubtMemory(fetched, owed)
			return
		}
		c.adopt(marked)
		c.mu.Lock()
		if c.owed == owed {
			c.owed = 0
		}
		c.mu.Unlock()
		return
	}
}

// doubtMemory doubts what this sidecar remembers, while memcached cannot be told.
func (c *credential) doubtMemory(fetched *memcache.Record, owed int64) {
	c.adopt(c.inDoubt(nil, fetched, owed))
}

// inDoubt is the newest of there, memory and fetched, with a doubt and a fresh
// number; a record without a token where none of them lives.
func (c *credential) inDoubt(there, fetched *memcache.Record, owed int64) *memcache.Record {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mem.adopt(there, c.Wall)
	c.mem.adopt(fetched, c.Wall)
	marked := &memcache.Record{V: memcache.RecordVersion, API: string(c.api), By: c.Name}
	if c.mem.live(c.Wall) {
		marked = c.mem.record.Clone()
	}
	if there != nil {
		marked.Doubt = max(marked.Doubt, there.Doubt)
	}
	marked.Doubt = max(marked.Doubt, owed)
	marked.Number = c.mem.nextNumber(c.Wall)
	return marked
}

// recordLife is how long memcached keeps a record: as long as its token lives.
func (c *credential) recordLife(r *memcache.Record) time.Duration {
	m := memory{record: r, since: time.Now()}
	if r.Token == "" {
		return tokenlessLife
	}
	return max(m.left(c.Wall), time.Second)
}
