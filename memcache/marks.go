package memcache

import (
	"errors"
	"strconv"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
)

// Mark does something at most once in a while, over the whole fleet: it reports
// true to the first who asks and false to all others until life, in whole
// seconds, has passed. memcached's clock of whole seconds may let it go up to one
// second before: ask for one more where that matters.
func (s *Slot) Mark(name string, life time.Duration) (bool, error) {
	err := s.server.add(s.entry+":"+name, randomID(), life)
	if errors.Is(err, ErrConflict) {
		return false, nil
	}
	return err == nil, err
}

// Spend takes one of limit places, each of which is free again after window: so
// no stretch of time of that length sees more than limit, whatever the clocks
// say. It reports false when all are taken. A counter per stretch of the clock
// would allow twice the limit around its edges.
func (s *Slot) Spend(name string, limit int, window time.Duration) (bool, error) {
	life := (window + 2*time.Second - 1).Truncate(time.Second) // exptime n lives n-1 to n seconds
	for i := range limit {
		ok, err := s.Mark(name+":"+strconv.Itoa(i), life)
		if ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// triesLife is how long tries are counted from the first one on.
const triesLife = time.Hour

// CountTry counts a call to WeChat and returns how many there were since the
// last ForgetTries, this one included.
func (s *Slot) CountTry() (int, error) { return s.count("tries", triesLife) }

// dayLife is longer than a day, whatever the clocks say.
const dayLife = 26 * time.Hour

// CountCall counts a call to WeChat on a day, as Day.Date has it, and returns how
// many all sidecars made on it, this one included.
func (s *Slot) CountCall(date int) (int, error) {
	return s.count("day:"+strconv.Itoa(date), dayLife)
}

// count adds one to a number that lives for life from the first one on.
func (s *Slot) count(name string, life time.Duration) (int, error) {
	key := s.entry + ":" + name
	for range 2 {
		var n uint64
		err := s.server.retry(func() (err error) {
			n, err = increment(s.server.client, key)
			return err
		})
		if err = s.server.observed(opIncrement, err); err == nil {
			return int(min(n, 1<<30)), nil
		}
		if !errors.Is(err, ErrMiss) {
			return 0, err
		}
		// The value must be a number, so an add whose answer was lost cannot be
		// told from another's. It does not matter: a try counted twice waits longer.
		if err := s.server.add(key, "0", life); err != nil && !errors.Is(err, ErrConflict) {
			return 0, err
		}
	}
	return 1, nil
}

// increment adds one. The client library panics at an answer of one byte, and no
// answer of a server may end the program.
func increment(client *memcache.Client, key string) (n uint64, err error) {
	defer func() {
		if recover() != nil {
			_ = client.Close() // it has put the connection back
			err = errAnswer
		}
	}()
	return client.Increment(key, 1)
}

// ForgetTries says that a call succeeded.
func (s *Slot) ForgetTries() error {
	err := s.server.retry(func() error { return s.server.client.Delete(s.entry + ":tries") })
	if errors.Is(s.server.observed(opDelete, err), ErrMiss) {
		return nil
	}
	return err
}
