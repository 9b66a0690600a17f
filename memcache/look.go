package memcache

import (
	"slices"

	"github.com/bradfitz/gomemcache/memcache"
)

// View is an entry and its record, read together.
type View struct {
	Entry  Entry
	Record Seen
}

// LookBatch is how many credentials one get asks for.
const LookBatch = 100

// Look reads entries and records of many credentials with one multi-get for
// every LookBatch of them. In each, all entries are read before all records: an entry
// written in between is then never newer than its record, and never taken for a
// stranger's. The first failure ends it, and nothing is returned.
func (s *Store) Look(slots []*Slot) ([]View, error) {
	views := make([]View, 0, len(slots))
	for batch := range slices.Chunk(slots, LookBatch) {
		keys := make([]string, 0, 2*len(batch))
		for _, slot := range batch {
			keys = append(keys, slot.entry)
		}
		for _, slot := range batch {
			keys = append(keys, slot.recordKey())
		}
		var items map[string]*memcache.Item
		err := s.retry(func() (err error) {
			items, err = s.client.GetMulti(keys)
			return err
		})
		if err == nil && !subset(items, keys) {
			_ = s.client.Close()
			err = errAnswer
		}
		if err = s.observed(opMultiGet, err); err != nil {
			return nil, err
		}
		for _, slot := range batch {
			views = append(views, View{entryOf(items[slot.entry]), seenOf(items[slot.recordKey()])})
		}
	}
	return views, nil
}

// Look reads this credential's entry and record.
func (s *Slot) Look() (View, error) {
	views, err := s.store.Look([]*Slot{s})
	if err != nil {
		return View{}, err
	}
	return views[0], nil
}

// subset reports whether every item was asked for. Otherwise the answer belongs
// to another question, and what it lacks is no miss.
func subset(items map[string]*memcache.Item, keys []string) bool {
	found := make(map[string]bool, len(keys))
	for _, key := range keys {
		found[key] = true
	}
	for key := range items {
		if !found[key] {
			return false
		}
	}
	return true
}
