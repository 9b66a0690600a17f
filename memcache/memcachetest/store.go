package memcachetest

import "time"

const (
	// maxKey is the longest key, in bytes.
	maxKey = 250
	// maxItem is the largest item, header and key included.
	maxItem = 1 << 20
	// monthSeconds is the largest exptime that is a lifetime; above it is Unix time.
	monthSeconds = 30 * 24 * 60 * 60
	// clockBase is the first second of the clock, so that second 1 is in the past.
	clockBase = 2
)

// store is the memory of one memcached process. It has no lock, and no operation
// waits.
type store struct {
	items   map[string]*entry
	cas     uint64
	started time.Time

	counters counters
}

// entry is one item.
type entry struct {
	value   string
	flags   uint32
	cas     uint64
	expires int64 // on the store's clock; 0 means never
}

func newStore() store {
	return store{items: make(map[string]*entry), started: time.Now()}
}

// clock returns memcached's clock: whole seconds since the start. An item with lifetime
// n expires at the n-th tick from its storage on. So it lives for more than n-1 and at
// most n seconds.
func (st *store) clock() int64 {
	return int64(time.Since(st.started)/time.Second) + clockBase
}

// instant returns the time of a tick.
func (st *store) instant(tick int64) time.Time {
	return st.started.Add(time.Duration(tick-clockBase) * time.Second)
}

// deadline returns the tick at which an item with this exptime expires; 0 means never.
func (st *store) deadline(exptime int64) int64 {
	switch {
	case exptime == 0:
		return 0
	case exptime < 0:
		return 1
	case exptime <= monthSeconds:
		return st.clock() + exptime
	}
	return max(1, exptime-st.started.Unix()+clockBase)
}

// find returns the unexpired item under key, or nil.
func (st *store) find(key []byte) *entry {
	e := st.items[string(key)]
	if e == nil {
		return nil
	}
	if e.expires != 0 && e.expires <= st.clock() {
		delete(st.items, string(key))
		return nil
	}
	return e
}

// put stores an item under the next CAS id.
func (st *store) put(key []byte, value string, flags uint32, expires int64) {
	e := st.items[string(key)]
	if e == nil {
		e = new(entry)
		st.items[string(key)] = e
	}
	e.flags, e.expires = flags, expires
	st.change(e, value)
}

// change sets an item's value and the next CAS id.
func (st *store) change(e *entry, value string) {
	e.value = value
	e.cas = st.nextCAS()
}

func (st *store) nextCAS() uint64 {
	st.cas++
	return st.cas
}

// remove deletes the unexpired item under key, and reports whether there was one.
func (st *store) remove(key []byte) bool {
	if st.find(key) == nil {
		return false
	}
	delete(st.items, string(key))
	return true
}

// flush deletes everything. Like memcached it uses a CAS id.
func (st *store) flush() {
	clear(st.items)
	st.nextCAS()
}

// sweep deletes the expired items.
func (st *store) sweep() {
	now := st.clock()
	for key, e := range st.items {
		if e.expires != 0 && e.expires <= now {
			delete(st.items, key)
		}
	}
}

// fits reports whether such an item has at most 1 MiB: header, CAS id, key and its NUL,
// flags unless zero, value and its CRLF.
func fits(key []byte, flags uint32, size int) bool {
	header := 48 + 8 + len(key) + 1
	if flags != 0 {
		header += 4
	}
	return header+size+2 <= maxItem
}
