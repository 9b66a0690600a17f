package memcache

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
)

// MarkName is the name of a mark, and the last part of its key.
type MarkName string

// Marks. The package comment says who sets them and for how long.
const (
	MarkReportThrottle MarkName = "report_throttle" // a report of an invalid token led to a renewal, or to a check
	MarkRecentReport   MarkName = "recent_report"   // an app reported a token; for Remark
	MarkForceRefresh   MarkName = "force_refresh"   // stable_token was asked for another token
	MarkPlanned        MarkName = "planned"         // the planned request of a renewal was sent
	MarkBudget         MarkName = "budget"          // an unplanned request was sent; for Spend
	MarkTokenReport    MarkName = "token_report"    // a ticket's sidecar reported the access_token
	MarkHandover       MarkName = "handover"        // a renewal was handed over; for Spend
	MarkQuotaRead      MarkName = "quota_read"      // WeChat's own count of requests was read
	MarkUpstreamPoll   MarkName = "upstream_poll"   // a sidecar asked the upstream
)

// Mark returns true to one caller of the fleet and false to all others until
// life has passed. life is in whole seconds, and less than a second is an error.
// memcached's clock can end a mark up to a second early: add one if that matters.
//
// Mark replaces a mark that no sidecar can have written: its value is not an id, or it
// outlived its longest life. See Config.Overlong.
func (s *Slot) Mark(name MarkName, life time.Duration) (bool, error) {
	_, first, err := s.Take(name, life)
	return first, err
}

// Take is Mark for a mark that can be given back, see GiveBack.
func (s *Slot) Take(name MarkName, life time.Duration) (Spent, bool, error) {
	taken := Spent{s.entry + ":" + string(name), NewID()}
	if first, err := s.mark(taken.key, taken.id, name, life); !first {
		return Spent{}, false, err
	}
	return taken, true, nil
}

// MarkWith is Mark for a mark that has a word before its id. It returns the word that is
// there: its own, or that of the mark which was there before; empty if that has just ended.
func (s *Slot) MarkWith(name MarkName, word string, life time.Duration) (there string, first bool, err error) {
	key := s.entry + ":" + string(name)
	if first, err = s.mark(key, word+" "+NewID(), name, life); first || err != nil {
		return word, first, err
	}
	item, err := s.server.get(key)
	if errors.Is(err, ErrMiss) {
		return "", false, nil
	}
	return wordOf(item), false, err
}

// Remark sets a mark with a word, or sets it anew for another life. It returns the word
// that the mark had before; empty if there was none.
func (s *Slot) Remark(name MarkName, word string, life time.Duration) (before string, err error) {
	key, seen := s.entry+":"+string(name), version{}
	item, err := s.server.get(key)
	switch {
	case err == nil:
		before, seen = wordOf(item), versionOf(item)
	case !errors.Is(err, ErrMiss):
		return "", err
	}
	return before, s.put(key, seen, word+" "+NewID(), life)
}

// wordOf returns the word of a mark; empty if item is nil.
func wordOf(item *memcache.Item) string {
	if item == nil {
		return ""
	}
	word, _, _ := strings.Cut(string(item.Value), " ")
	return word
}

// mark reports whether it stored id under a key that was free, or should have been.
func (s *Slot) mark(key, id string, name MarkName, life time.Duration) (bool, error) {
	err := s.server.add(key, id, life)
	if errors.Is(err, ErrConflict) {
		return s.replaceOverlong(key, id, name, life)
	}
	return err == nil, err
}

// Spent is one use of a limit or a mark, see Spend and Take. Its zero value is none.
type Spent struct {
	key string
	id  string
}

// Spend takes one of limit uses and reports whether one was free. Each use is
// free again after window. So no period of that length has more than limit uses,
// whatever the clocks say. A counter per period would allow twice as many around
// its end.
func (s *Slot) Spend(name MarkName, limit int, window time.Duration) (Spent, bool, error) {
	life := (window + 2*time.Second - 1).Truncate(time.Second) // exptime n lives n-1 to n seconds
	spent := Spent{id: NewID()}
	for i := range limit {
		spent.key = s.entry + ":" + string(name) + ":" + strconv.Itoa(i)
		ok, err := s.mark(spent.key, spent.id, name, life)
		if err != nil {
			return Spent{}, false, err
		}
		if ok {
			return spent, true, nil
		}
	}
	return Spent{}, false, nil
}

// GiveBack frees what this Slot's Spend or Take returned, because the request was
// not sent or does not count. It never frees another sidecar's use: if the use has ended, or is
// another's by now, GiveBack does nothing and returns nil. It does nothing for a
// zero Spent.
func (s *Slot) GiveBack(spent Spent) error {
	if spent.key == "" {
		return nil
	}
	item, err := s.server.get(spent.key)
	switch {
	case errors.Is(err, ErrMiss):
		return nil
	case err != nil:
		return err
	case string(item.Value) != spent.id:
		return nil
	}
	if err = s.server.compareAndDelete(item); err == nil || errors.Is(err, ErrConflict) {
		return nil
	}
	return s.delete(spent.key) // some servers refuse cas alone; the use was ours a moment ago
}

// failuresLife is how long failures are counted, from the first one on.
const failuresLife = time.Hour

// CountFailure counts a failed request to WeChat. It returns the number of failures
// since the last ForgetFailures, this one included.
func (s *Slot) CountFailure() (int, error) { return s.count("failures", failuresLife) }

// requestsLife is longer than a day, whatever the clocks say.
const requestsLife = 26 * time.Hour

// CountRequest counts a request to WeChat on a day, in the form of Day.Date. It
// returns the number of requests of all sidecars on that day, this one included.
func (s *Slot) CountRequest(date int) (int, error) {
	return s.count("requests:"+strconv.Itoa(date), requestsLife)
}

// count adds one to a number that lives for life from its first use on.
func (s *Slot) count(name string, life time.Duration) (int, error) {
	n, err := s.add(name, 1, "0", life)
	if errors.Is(err, ErrMiss) {
		return 1, nil
	}
	return int(min(n, 1<<30)), err
}

// add adds n to a number that begins at first, and lives for life from its first use on.
// It returns ErrMiss if memcached loses the number at once.
func (s *Slot) add(name string, n uint64, first string, life time.Duration) (sum uint64, err error) {
	key := s.entry + ":" + name
	for range 2 {
		err = s.server.retry(func() (err error) {
			sum, err = increment(s.server.client, key, n)
			return err
		})
		if err = s.server.observed(opIncrement, err); !errors.Is(err, ErrMiss) {
			return sum, err
		}
		// The value must be a number, so an add whose answer was lost looks like
		// another's. It does not matter: a failure counted twice only means a
		// longer cooldown.
		if err := s.server.add(key, first, life); err != nil && !errors.Is(err, ErrConflict) {
			return 0, err
		}
	}
	return 0, err
}

// increment adds delta. The client library panics at an answer of one byte, and no
// answer of a server may end the program.
func increment(client *memcache.Client, key string, delta uint64) (n uint64, err error) {
	defer func() {
		if recover() != nil {
			_ = client.Close() // it has put the connection back
			err = errAnswer
		}
	}()
	return client.Increment(key, delta)
}

// ForgetFailures deletes the count of CountFailure, because a request succeeded.
func (s *Slot) ForgetFailures() error {
	return s.delete(s.entry + ":failures")
}

// delete deletes a key. It is no error if there is none.
func (s *Slot) delete(key string) error {
	err := s.server.retry(func() error { return s.server.client.Delete(key) })
	if errors.Is(s.server.observed(opDelete, err), ErrMiss) {
		return nil
	}
	return err
}
