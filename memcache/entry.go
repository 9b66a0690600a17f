package memcache

import (
	"errors"
	"strings"
	"time"
	"unsafe"

	"github.com/bradfitz/gomemcache/memcache"
)

// MaxCredential is the longest credential in bytes. WeChat recommends room for 512.
const MaxCredential = 2048

// minEntry is the shortest entry in bytes. WeChat's tokens have 86 and more.
const minEntry = 16

// ValidCredential reports whether s can be a credential: 1 to 2,048 printable ASCII
// characters, no space. It is the rule for all but the entry, see ValidEntry.
func ValidCredential(s string) bool {
	return s != "" && len(s) <= MaxCredential && classesOf(s)&graphic != 0
}

// ValidEntry reports whether readers take s for a credential if it is in the entry with
// flags 0: 16 to 2,048 of A-Z a-z 0-9 . _ ~ + / = @ ! - and not 32 hexadecimal digits,
// which are an AppSecret. Other programs can write null, an array or a whole answer of
// WeChat there. Apps have the same rule, so it is wider than all that WeChat documents.
func ValidEntry(s string) bool {
	if len(s) < minEntry || len(s) > MaxCredential {
		return false
	}
	classes := classesOf(s)
	return classes&inEntry != 0 && (len(s) != 32 || classes&hexDigit == 0)
}

// IsAppSecret reports whether s has the form of an AppSecret: 32 hexadecimal digits.
func IsAppSecret(s string) bool { return len(s) == 32 && classesOf(s)&hexDigit != 0 }

// Classes of bytes.
const (
	graphic  = 1 << iota // printable ASCII, no space
	inEntry              // in credentials in an entry
	hexDigit             // hexadecimal digits
)

// classes has the classes of each byte.
var classes = func() (of [256]uint8) {
	for c := byte('!'); c <= '~'; c++ {
		of[c] = graphic
		if strings.IndexByte("._~+/=@!-", c) >= 0 || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' {
			of[c] |= inEntry
		}
		if c >= '0' && c <= '9' || c >= 'A' && c <= 'F' || c >= 'a' && c <= 'f' {
			of[c] |= hexDigit
		}
	}
	return of
}()

// classesOf returns the classes that all bytes of s have.
func classesOf(s string) uint8 {
	all := uint8(graphic | inEntry | hexDigit)
	for i := range len(s) {
		all &= classes[s[i]]
	}
	return all
}

// Get returns the credential in the entry. It is one round trip, and all that an
// app needs. It returns ErrMiss if there is no entry. It returns ErrDamaged if the
// value is not a credential: flags other than 0, or not a ValidEntry. Any other error
// means that memcached failed.
func (s *Slot) Get() (string, error) {
	item, err := s.server.get(s.entry)
	if err != nil {
		return "", err
	}
	if item.Flags != 0 || !ValidEntry(text(item)) {
		return "", ErrDamaged
	}
	return text(item), nil
}

// text returns the value of an item without a copy. The client library allocates each
// value, and keeps none. A copy of 512 bytes takes 5 % of a get (make bench).
func text(item *memcache.Item) string {
	return unsafe.String(unsafe.SliceData(item.Value), len(item.Value)) //nolint:gosec // see above
}

// Entry is an entry as it was read. Its zero value is a missing entry.
type Entry struct {
	// Token is the credential. It is empty if the entry is missing or damaged.
	Token string
	// Damaged is true if there is a value that is not a credential.
	Damaged bool

	seen version
}

// Version returns a number that changes with each write of the entry, until
// memcached restarts. It is 0 if the entry is missing.
func (e Entry) Version() uint64 { return e.seen.casID }

// version is the state that compare-and-swap expects. Its zero value is a missing
// item, which add replaces.
type version struct {
	there bool
	casID uint64
	value string
}

func versionOf(item *memcache.Item) version {
	return version{there: true, casID: item.CasID, value: string(item.Value)}
}

// entryOf returns the entry of an item. A value that the record knows is never damaged:
// it is what WeChat issued.
func entryOf(item *memcache.Item, record *Record) Entry {
	if item == nil {
		return Entry{}
	}
	value := text(item)
	known := record != nil && ValidCredential(value) && record.Knows(value)
	if item.Flags != 0 || !known && !ValidEntry(value) {
		return Entry{Damaged: true, seen: versionOf(item)}
	}
	return Entry{Token: value, seen: versionOf(item)}
}

// Entry reads the entry for PutEntry.
func (s *Slot) Entry() (Entry, error) {
	item, err := s.server.get(s.entry)
	if err != nil && !errors.Is(err, ErrMiss) {
		return Entry{}, err
	}
	return entryOf(item, nil), nil
}

// PutEntry writes token if the entry is still as it was seen, and returns
// ErrConflict if it is not. The entry lives for life in whole seconds. Less than a
// second is an error, because an exptime of 0 means forever.
func (s *Slot) PutEntry(seen Entry, token string, life time.Duration) error {
	return s.put(s.entry, seen.seen, token, life)
}

// put writes value if the item is still as it was seen: by add if it was missing,
// else by compare-and-swap.
func (s *Slot) put(key string, seen version, value string, life time.Duration) error {
	if !seen.there {
		return s.server.add(key, value, life)
	}
	return s.server.swap(key, value, seen, life)
}
