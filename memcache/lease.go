package memcache

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
)

const (
	// leaseLife is how long memcached keeps a lease. On its clock of whole
	// seconds that is between 14 and 15 s.
	leaseLife = 15 * time.Second
	// LeaseUse is how long its holder counts on it, from before the add was
	// sent, on the holder's own monotonic clock.
	LeaseUse = 14 * time.Second
)

// Wait is what the lease says after a failed call: nobody calls WeChat until it
// lapses, and everybody can say why.
type Wait struct {
	// Class is why: a wechat.Class, or budget.
	Class string `json:"wait"`
	// ErrCode and ErrMsg are WeChat's own, redacted.
	ErrCode int    `json:"errcode"`
	ErrMsg  string `json:"errmsg"`
	// Secret is the fingerprint of the AppSecret that failed. A sidecar with
	// another one need not wait.
	Secret string `json:"secret"`
	// Until is the Unix time when the wait ends by its writer's clock. It is
	// for people and for Retry-After; memcached's own clock ends the wait.
	Until int64 `json:"until,omitempty"`
}

// Same reports whether nothing changed between the two readings.
func (l LeaseSeen) Same(other LeaseSeen) bool { return l.seen == other.seen }

// maxWait bounds a wait's JSON in bytes.
const maxWait = 4 << 10

// LeaseSeen is a lease as it was read. Its zero value is a free one.
type LeaseSeen struct {
	// Held is true while somebody may be calling WeChat.
	Held bool
	// Wait is why nobody may; nil unless the fleet waits.
	Wait *Wait

	seen version
}

func leaseOf(item *memcache.Item) LeaseSeen {
	if item == nil {
		return LeaseSeen{}
	}
	seen := versionOf(item)
	var wait Wait
	if len(item.Value) <= maxWait && json.Unmarshal(item.Value, &wait) == nil && wait.Class != "" {
		return LeaseSeen{Wait: &wait, seen: seen}
	}
	return LeaseSeen{Held: true, seen: seen}
}

// Lease reads who may call WeChat.
func (s *Slot) Lease() (LeaseSeen, error) {
	item, err := s.server.get(s.leaseKey())
	if err != nil && !errors.Is(err, ErrMiss) {
		return LeaseSeen{}, err
	}
	return leaseOf(item), nil
}

func (s *Slot) leaseKey() string { return s.entry + ":lease" }

// Lease is the right to call WeChat for one credential. memcached ends it by
// itself, and may lose it before: Verify before every use.
type Lease struct {
	slot  *Slot
	id    string
	taken time.Time // before the add was sent
}

// TakeLease takes the lease where it is free, else ErrHeld. Any other error
// means that nobody knows: then it must not be used.
func (s *Slot) TakeLease() (*Lease, error) { return s.takeLease(version{}) }

// TakeOver takes the lease from a fleet that waits, where it still says what
// was seen, else ErrHeld. Only for one whose AppSecret is another.
func (s *Slot) TakeOver(waiting LeaseSeen) (*Lease, error) { return s.takeLease(waiting.seen) }

func (s *Slot) takeLease(seen version) (*Lease, error) {
	lease := &Lease{slot: s, id: randomID(), taken: time.Now()}
	err := s.put(s.leaseKey(), seen, lease.id, leaseLife)
	if errors.Is(err, ErrConflict) {
		return nil, ErrHeld
	}
	if err != nil {
		return nil, err
	}
	return lease, nil
}

// Left is how long the lease may still be counted on, as far as its holder can
// tell without asking.
func (l *Lease) Left() time.Duration { return LeaseUse - time.Since(l.taken) }

// Verify asks memcached whether the lease is still ours: nil, ErrLost, or
// another error where nobody knows.
func (l *Lease) Verify() error {
	_, err := l.read()
	return err
}

func (l *Lease) read() (*memcache.Item, error) {
	item, err := l.slot.server.get(l.slot.leaseKey())
	switch {
	case errors.Is(err, ErrMiss):
		return nil, ErrLost
	case err != nil:
		return nil, err
	case string(item.Value) != l.id || l.Left() <= 0:
		return nil, ErrLost
	}
	return item, nil
}

// Release gives the lease back, if it is still ours. It never deletes by key:
//
//	A: get lease = a            mine
//	   the lease lapses         B: add lease = b
//	A: delete lease             gone, although B is calling WeChat
//
// Compare-and-swap to a time in the past ends the one that was read and no other.
func (l *Lease) Release() error {
	item, err := l.read()
	if err != nil {
		return err
	}
	err = l.slot.server.compareAndSwap(&memcache.Item{
		Key: l.slot.leaseKey(), Value: item.Value, CasID: item.CasID, Expiration: -1,
	}, versionOf(item))
	if errors.Is(err, ErrConflict) {
		return ErrLost
	}
	return err
}

// Wait turns the lease into a wait of d, in whole seconds and at least one, if
// it is still ours, else ErrLost.
func (l *Lease) Wait(w Wait, d time.Duration) error {
	item, err := l.read()
	if err != nil {
		return err
	}
	value := compact(w)
	if len(value) > maxWait { // it would be taken for a lease, and nobody could take it over
		w.ErrMsg = ""
		value = compact(w)
	}
	err = l.slot.server.swap(l.slot.leaseKey(), value, versionOf(item), max(d, time.Second))
	if errors.Is(err, ErrConflict) {
		return ErrLost
	}
	return err
}
