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
// every LookBatch of one server's. In each, all entries are read before all
// records: an entry written in between is then never newer than its record, and
// never taken for a stranger's. The first failure ends it, and nothing is
// returned: ask for one server's at a time where the others should be read all
// the same.
func (s *Store) Look(slots []*Slot) ([]View, error) {
	views := make([]View, len(slots))
	for _, one := range s.servers {
		var places []int // in slots, of those that this server keeps
		for i, slot := range slots {
			if slot.server == one {
				places = append(places, i)
			}
		}
		for batch := range slices.Chunk(places, LookBatch) {
			if err := one.look(slots, batch, views); err != nil {
				return nil, err
			}
		}
	}
	return views, nil
}

// look reads the slots at these places.
func (s *server) look(slots []*Slot, places []int, views []View) error {
	keys := make([]string, 0, 2*len(places))
	for _, i := range places {
		keys = append(keys, slots[i].entry)
	}
	for _, i := range places {
		keys = append(keys, slots[i].recordKey())
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
		return err
	}
	for _, i := range places {
		views[i] = View{entryOf(items[slots[i].entry]), slots[i].seenOf(items[slots[i].recordKey()])}
	}
	return nil
}

// Look reads this credential's entry and record.
func (s *Slot) Look() (View, error) {
	views := make([]View, 1)
	if err := s.server.look([]*Slot{s}, []int{0}, views); err != nil {
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
