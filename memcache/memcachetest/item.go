package memcachetest

import (
	"slices"
	"time"
)

// Item is what is stored under a key.
type Item struct {
	// Value is any bytes.
	Value string
	// Flags are the client's own.
	Flags uint32
	// CAS is unique and grows with every change of any item.
	CAS uint64
	// Expires is when the item goes; zero means never.
	Expires time.Time
}

// Peek returns the item under key without going over the wire. An expired one
// is missing.
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

// Keys returns the keys of the live items, sorted.
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

// Put stores an item as a stranger's set would. The exptime is memcached's:
// 0 for ever, negative at once, n up to 30 days lives for n-1 to n seconds,
// above that it is Unix time.
func (s *Server) Put(key, value string, flags uint32, exptime int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store.put([]byte(key), value, flags, s.store.deadline(int64(exptime)))
}

// Evict removes one item, as memcached does when memory runs out, and reports
// whether it was there.
func (s *Server) Evict(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.store.remove([]byte(key))
}

// Flush removes everything, as flush_all does. CAS ids go on.
func (s *Server) Flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store.flush()
}
