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

// PollBatch is the number of credentials that one get asks for.
const PollBatch = 100

// Poll reads the entries and records of many credentials. It sends one multi-get
// for every PollBatch credentials of one server. Each multi-get reads all its
// entries before its records. So an entry that is written in between is never
// newer than its record, and never looks like an external token. Poll ends at
// the first failure and then returns no views. If one server's failure must not
// affect the others, call Poll for each server.
func (s *Store) Poll(slots []*Slot) ([]View, error) {
	views := make([]View, len(slots))
	for _, one := range s.servers {
		var indexes []int // indexes in slots of this server's credentials
		for i, slot := range slots {
			if slot.server == one {
				indexes = append(indexes, i)
			}
		}
		for batch := range slices.Chunk(indexes, PollBatch) {
			if err := one.poll(slots, batch, views); err != nil {
				return nil, err
			}
		}
	}
	return views, nil
}

// poll reads the slots at these indexes.
func (s *server) poll(slots []*Slot, indexes []int, views []View) error {
	keys := make([]string, 0, 2*len(indexes))
	for _, i := range indexes {
		keys = append(keys, slots[i].entry)
	}
	for _, i := range indexes {
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
	for _, i := range indexes {
		record := slots[i].seenOf(items[slots[i].recordKey()])
		views[i] = View{entryOf(items[slots[i].entry], record.Record), record}
	}
	return nil
}

// Poll reads this credential's entry and record.
func (s *Slot) Poll() (View, error) {
	views := make([]View, 1)
	if err := s.server.poll([]*Slot{s}, []int{0}, views); err != nil {
		return View{}, err
	}
	return views[0], nil
}

// subset reports whether every item was asked for. If not, the answer belongs to
// another request, and a key that it lacks is not a miss.
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
