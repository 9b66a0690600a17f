package memcache

import (
	"errors"
	"sync"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
)

// swap replaces the value that was seen, or returns ErrConflict (also where it
// is gone).
func (s *server) swap(key, value string, seen version, life time.Duration) error {
	seconds, err := exptime(life)
	if err != nil {
		return err
	}
	item := &memcache.Item{Key: key, Value: []byte(value), Expiration: seconds, CasID: seen.casID}
	return s.compareAndSwap(item, seen)
}

// compareAndSwap is memcached's, made certain. An id alone proves nothing: ids begin at
// 1 again when memcached restarts, and another value can get the id that was seen
// (TestACASIDThatIsReusedAfterARestartDoesNotOverwriteAStranger). So it reads again,
// compares the value too, and writes over the connection that it read from: a restart in
// between has cut that one (TestACompareAndSwapGoesOverTheConnectionThatReadTheValue). If
// the answer to the write is lost, it reads back.
func (s *server) compareAndSwap(item *memcache.Item, seen version) error {
	client := s.singles.take()
	defer s.singles.put(client)
	return s.observed(opSwap, swapSure(client, item, seen))
}

// compareAndDelete ends the item that was read, or returns ErrConflict. It swaps
// to a time in the past, because memcached's delete does not compare.
func (s *server) compareAndDelete(item *memcache.Item) error {
	gone := &memcache.Item{Key: item.Key, Value: item.Value, CasID: item.CasID, Expiration: -1}
	return s.compareAndSwap(gone, versionOf(item))
}

func swapSure(client *memcache.Client, item *memcache.Item, seen version) error {
	var lost error // how the write before failed
	for writes := 0; ; writes++ {
		there, err := get(client, item.Key)
		switch {
		case errors.Is(err, ErrMiss) && lost != nil && item.Expiration < 0:
			return nil // it was to go, and is gone
		case errors.Is(err, ErrMiss):
			return ErrConflict
		case err != nil && lost != nil:
			return tidy(lost)
		case err != nil:
			return err
		case lost != nil && there.CasID != seen.casID && string(there.Value) == string(item.Value):
			return nil
		case there.CasID != seen.casID || string(there.Value) != seen.value:
			return ErrConflict
		case lost != nil && (!deadConnection(lost) || writes == 2):
			return tidy(lost)
		}
		err = client.CompareAndSwap(item)
		if errors.Is(err, memcache.ErrCacheMiss) {
			return ErrConflict
		}
		if !uncertain(tidy(err)) {
			return tidy(err)
		}
		lost = err
	}
}

// maxSingles is how many idle single clients are kept; more than that many
// swaps at the same time dial.
const maxSingles = 8

// singles are clients of one connection each. Whoever takes one has it alone, so
// that all he says goes to one process of memcached, or fails.
type singles struct {
	dial func() *memcache.Client

	mu   sync.Mutex // guards idle
	idle []*memcache.Client
}

func (s *singles) take() *memcache.Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := len(s.idle) - 1
	if last < 0 {
		return s.dial()
	}
	client := s.idle[last]
	s.idle = s.idle[:last]
	return client
}

func (s *singles) put(client *memcache.Client) {
	s.mu.Lock()
	keep := len(s.idle) < maxSingles
	if keep {
		s.idle = append(s.idle, client)
	}
	s.mu.Unlock()
	if !keep {
		_ = client.Close()
	}
}

// close closes those that are idle.
func (s *singles) close() error {
	s.mu.Lock()
	idle := s.idle
	s.idle = nil
	s.mu.Unlock()
	var errs []error
	for _, client := range idle {
		errs = append(errs, client.Close())
	}
	return errors.Join(errs...)
}
