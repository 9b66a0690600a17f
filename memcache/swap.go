package memcache

import (
	"errors"
	"sync"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
)

// swap replaces the value that was seen. It returns ErrConflict if the value is
// another, or missing.
func (s *server) swap(key, value string, seen version, life time.Duration) error {
	seconds, err := exptime(life)
	if err != nil {
		return err
	}
	item := &memcache.Item{Key: key, Value: []byte(value), Expiration: seconds, CasID: seen.casID}
	return s.compareAndSwap(item, seen)
}

// compareAndSwap is memcached's cas, made certain. A CAS id alone proves nothing: ids
// begin at 1 again when memcached restarts, and another value can get the id that was
// seen (TestCAS_IDReusedAfterRestart). So it reads again, compares the value too, and
// writes over the connection that it read from: a restart in between cuts that one
// (TestCAS_OneConnection). If the answer to the write is lost, it reads back.
func (s *server) compareAndSwap(item *memcache.Item, seen version) error {
	client := s.singles.take()
	defer s.singles.put(client)
	return s.observed(opSwap, swapConfirmed(client, item, seen))
}

// compareAndDelete deletes the item that was read, or returns ErrConflict. It
// swaps to an exptime in the past, because memcached's delete does not compare.
func (s *server) compareAndDelete(item *memcache.Item) error {
	gone := &memcache.Item{Key: item.Key, Value: item.Value, CasID: item.CasID, Expiration: -1}
	return s.compareAndSwap(gone, versionOf(item))
}

func swapConfirmed(client *memcache.Client, item *memcache.Item, seen version) error {
	var lost error // the error of the previous write
	for writes := 0; ; writes++ {
		found, err := get(client, item.Key)
		switch {
		case errors.Is(err, ErrMiss) && lost != nil && item.Expiration < 0:
			return nil // deleted, as intended
		case errors.Is(err, ErrMiss):
			return ErrConflict
		case err != nil && lost != nil:
			return ownError(lost)
		case err != nil:
			return err
		case lost != nil && found.CasID != seen.casID && string(found.Value) == string(item.Value):
			return nil
		case found.CasID != seen.casID || string(found.Value) != seen.value:
			return ErrConflict
		case lost != nil && (!brokenConnection(lost) || writes == 2):
			return ownError(lost)
		}
		err = client.CompareAndSwap(item)
		if errors.Is(err, memcache.ErrCacheMiss) {
			return ErrConflict
		}
		if !uncertain(ownError(err)) {
			return ownError(err)
		}
		lost = err
	}
}

// maxSingles is how many idle single clients are kept. Further concurrent swaps
// dial.
const maxSingles = 8

// singles are clients of one connection each. One swap uses a client at a time, so
// all its commands go to one memcached process, or fail.
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

// close closes the idle clients.
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
