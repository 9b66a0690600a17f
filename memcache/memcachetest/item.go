package memcachetest

import (
	"slices"
	"time"
)

// Item is an item in the store.
type Item struct {
	// Value is any bytes.
	Value string
	// Flags are the client's flags.
	Flags uint32
	// CAS is unique, and increases with every change of any item.
	CAS uint64
	// Expires is when the item expires; zero means never.
	Expires time.Time
}

// Peek returns the unexpired item under key, without a connection.
func (s *Server) Peek(key string) (Item, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.store.find([]byte(key))
	if e == nil {
		return Item{}, false
	}
	item := Item{Value: e.value, Flags: e.flags, CAS: e.cas}
	if e.expires != 0 {
		item.Expires = s.store.instant(e.expires)
	}
	return item, true
}

// Keys returns the keys of the unexpired items, sorted.
func (s *Server) Keys() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store.sweep()
	keys := make([]string, 0, len(s.store.items))
	for key := range s.store.items {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// Put stores an item as another client's set does. The exptime is memcached's: 0 means
// forever, a negative one means expired, and n up to 30 days means n-1 to n seconds. A
// larger one is a Unix time.
func (s *Server) Put(key, value string, flags uint32, exptime int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store.put([]byte(key), value, flags, s.store.deadline(int64(exptime)))
}

// Evict removes one item, as memcached does when memory runs out. It reports whether
// the item was there.
func (s *Server) Evict(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.store.remove([]byte(key))
}

// Flush removes everything, as flush_all does. CAS ids continue.
func (s *Server) Flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store.flush()
}
