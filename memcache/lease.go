package memcache

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
)

const (
	// leaseLife is the exptime of a lease. memcached's clock has whole seconds, so
	// the lease lives between 14 and 15 s.
	leaseLife = 15 * time.Second
	// LeaseUse is how long the holder counts on a lease, from before the add was
	// sent, on its own monotonic clock.
	LeaseUse = 14 * time.Second
)

// Cooldown is the value of a lease after a failed request. No sidecar sends a
// request until it ends, and every sidecar can say why.
type Cooldown struct {
	// Class is the reason, in one word: a protocol.Class of the keeper. It is never
	// empty.
	Class string `json:"cooldown"`
	// ErrCode is WeChat's. Its errmsg is not shared: memcached can be written by others,
	// so no person must read a text from there as WeChat's.
	ErrCode int `json:"errcode"`
	// Secret is the fingerprint of the AppSecret that WeChat refused. A sidecar with
	// another AppSecret can take the lease over. Empty if the AppSecret is not the
	// reason.
	Secret string `json:"secret"`
	// Until is the Unix time of the end on its writer's clock; 0 means unknown. It is
	// for people and for Retry-After: memcached's own clock ends the cooldown.
	Until int64 `json:"until,omitempty"`
}

// maxCooldown bounds a cooldown's JSON in bytes.
const maxCooldown = 4 << 10

// LeaseSeen is a lease as it was read. Its zero value is a free lease.
type LeaseSeen struct {
	// Held is true while a sidecar may be sending a request to WeChat.
	Held bool
	// Cooldown is nil if there is none.
	Cooldown *Cooldown

	seen version
}

// Same reports whether nothing changed between the two readings.
func (l LeaseSeen) Same(other LeaseSeen) bool { return l.seen == other.seen }

func leaseOf(item *memcache.Item) LeaseSeen {
	if item == nil {
		return LeaseSeen{}
	}
	seen := versionOf(item)
	var c Cooldown
	if len(item.Value) <= maxCooldown && json.Unmarshal(item.Value, &c) == nil && c.Class != "" {
		return LeaseSeen{Cooldown: &c, seen: seen}
	}
	return LeaseSeen{Held: true, seen: seen}
}

// Lease reads the lease.
func (s *Slot) Lease() (LeaseSeen, error) {
	item, err := s.server.get(s.leaseKey())
	if err != nil && !errors.Is(err, ErrMiss) {
		return LeaseSeen{}, err
	}
	return leaseOf(item), nil
}

func (s *Slot) leaseKey() string { return s.entry + ":lease" }

// Lease is the right to send a request to WeChat for one credential. memcached
// ends it after LeaseUse, and can lose it before: Verify it before every use.
type Lease struct {
	slot  *Slot
	id    string
	taken time.Time // before the add was sent
}

// TakeLease takes the lease if it is free, and returns ErrHeld if it is not. Any
// other error means that the result is unknown: do not send a request then.
func (s *Slot) TakeLease() (*Lease, error) { return s.takeLease(version{}) }

// TakeOver takes a lease that still has the value that was seen, and returns
// ErrHeld if it has another. It is for a cooldown that does not apply to this
// sidecar, because its AppSecret is another, and for a value that should have
// ended.
func (s *Slot) TakeOver(seen LeaseSeen) (*Lease, error) { return s.takeLease(seen.seen) }

func (s *Slot) takeLease(seen version) (*Lease, error) {
	lease := &Lease{slot: s, id: NewID(), taken: time.Now()}
	err := s.put(s.leaseKey(), seen, lease.id, leaseLife)
	if errors.Is(err, ErrConflict) {
		return nil, ErrHeld
	}
	if err != nil {
		return nil, err
	}
	return lease, nil
}

// Left returns how long the holder can still count on the lease, as far as it
// knows without memcached.
func (l *Lease) Left() time.Duration { return LeaseUse - time.Since(l.taken) }

// Verify asks memcached for the lease. It returns nil if this holder still has
// it, ErrLost if not, and another error if memcached fails.
func (l *Lease) Verify() error {
	_, err := l.verified()
	return err
}

func (l *Lease) verified() (*memcache.Item, error) {
	item, err := l.read()
	if err == nil && l.Left() <= 0 {
		return nil, ErrLost
	}
	return item, err
}

// read returns the lease, or ErrLost if memcached has none or that of another holder.
func (l *Lease) read() (*memcache.Item, error) {
	item, err := l.slot.server.get(l.slot.leaseKey())
	if errors.Is(err, ErrMiss) || (err == nil && string(item.Value) != l.id) {
		return nil, ErrLost
	}
	return item, err
}

// Release ends the lease, or returns ErrLost if this holder does not have it any
// more. It also ends a lease that came too late to be used, see
// sidecar/keeper/testdata/stories/late_lease.txt. It never deletes by key: the lease
// can end between its reading and the delete, and another sidecar can take it.
// Compare-and-delete ends the lease that was read, and no other.
func (l *Lease) Release() error {
	item, err := l.read()
	if err != nil {
		return err
	}
	err = l.slot.server.compareAndDelete(item)
	if errors.Is(err, ErrConflict) {
		return ErrLost
	}
	return err
}

// CoolDown turns the lease into a cooldown of d, in whole seconds and at least
// one. It returns ErrLost if this holder does not have the lease any more.
func (l *Lease) CoolDown(c Cooldown, d time.Duration) error {
	item, err := l.verified()
	if err != nil {
		return err
	}
	err = l.slot.server.swap(l.slot.leaseKey(), compact(c), versionOf(item), max(d, time.Second))
	if errors.Is(err, ErrConflict) {
		return ErrLost
	}
	return err
}
