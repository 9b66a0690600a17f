package memcache

import (
	"encoding/binary"
	"errors"
	"time"
	"unsafe"

	"github.com/bradfitz/gomemcache/memcache"
)

// MaxCredential is the longest credential in bytes; WeChat asks for room for 512.
const MaxCredential = 2048

// ValidCredential reports whether s could be a credential: 1 to 2,048 bytes,
// no spaces, no control characters.
func ValidCredential(s string) bool {
	return s != "" && len(s) <= MaxCredential && printable(s)
}

// Get returns the credential that the entry holds: one round trip to memcached,
// and all that an app needs. It returns ErrMiss where there is none, ErrDamaged
// where the value is no credential (flags other than 0, empty, spaces or control
// characters, over 2,048 bytes), and any other error where memcached fails.
func (s *Slot) Get() (string, error) {
	item, err := s.server.get(s.entry)
	if err != nil {
		return "", err
	}
	if !intact(item) {
		return "", ErrDamaged
	}
	return text(item), nil
}

// text is an item's value. The client library makes a slice for every value and
// keeps none: what nobody else holds, and nobody changes, may become the string as
// it is. A copy of 512 bytes took 5 % of a get.
func text(item *memcache.Item) string {
	return unsafe.String(unsafe.SliceData(item.Value), len(item.Value)) //nolint:gosec // see above
}

func intact(item *memcache.Item) bool {
	if item.Flags != 0 || len(item.Value) == 0 || len(item.Value) > MaxCredential {
		return false
	}
	return printableBytes(item.Value)
}

// printableBytes is printable for bytes, eight at a time: by ones this took
// another 5 % of a get. For each byte of w, the top bit of (w-0x21)&^w tells that
// it is below 0x21, and the same of x-1 and x = w^0x7f that it is 0x7f. A borrow
// may tell it of the next byte too, never of one alone.
func printableBytes(b []byte) bool {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	for ; len(b) >= 8; b = b[8:] {
		w := binary.LittleEndian.Uint64(b)
		x := w ^ 0x7f*ones
		if ((w-0x21*ones)&^w|(x-ones)&^x)&tops != 0 {
			return false
		}
	}
	for _, c := range b {
		if c <= ' ' || c == 0x7f {
			return false
		}
	}
	return true
}

// Entry is an entry as it was read. Its zero value is a missing one.
type Entry struct {
	// Token is the credential; empty where the entry is missing or damaged.
	Token string
	// Damaged is true where there is a value and it is no credential.
	Damaged bool

	seen version
}

// Version is another one whenever somebody has written the entry, until memcached
// restarts; 0 where it is missing.
func (e Entry) Version() uint64 { return e.seen.casID }

// version is what compare-and-swap goes by. Its zero value is a missing item,
// which add replaces.
type version struct {
	there bool
	casID uint64
	value string
}

func versionOf(item *memcache.Item) version {
	return version{there: true, casID: item.CasID, value: text(item)}
}

func entryOf(item *memcache.Item) Entry {
	switch {
	case item == nil:
		return Entry{}
	case !intact(item):
		return Entry{Damaged: true, seen: versionOf(item)}
	}
	return Entry{Token: text(item), seen: versionOf(item)}
}

// Entry reads the entry as a sidecar does, to write over it with PutEntry.
func (s *Slot) Entry() (Entry, error) {
	item, err := s.server.get(s.entry)
	if err != nil && !errors.Is(err, ErrMiss) {
		return Entry{}, err
	}
	return entryOf(item), nil
}

// PutEntry writes token where the entry is still as it was seen, to live for
// life in whole seconds; else ErrConflict. Less than a second is an error: an
// exptime of 0 would live for ever.
func (s *Slot) PutEntry(seen Entry, token string, life time.Duration) error {
	return s.put(s.entry, seen.seen, token, life)
}

// put writes value over what was seen: by add where nothing was, else by
// compare-and-swap.
func (s *Slot) put(key string, seen version, value string, life time.Duration) error {
	if !seen.there {
		return s.server.add(key, value, life)
	}
	return s.server.swap(key, value, seen, life)
}
