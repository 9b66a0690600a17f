package memcache

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash/maphash"
	"slices"
	"strings"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
)

// RecordVersion is the version of the record format that this package writes.
const RecordVersion = 1

// Record is the state of one credential that all sidecars share. A Record that
// was read or written is shared within the process too: Clone it before you
// change it.
type Record struct {
	// V is the version of the format, and RecordVersion in every record that this
	// version creates. It is 0 if the record names no version, and above
	// RecordVersion if a newer sidecar wrote the record, see Newer.
	V int `json:"v"`
	// Token is the credential. It is empty if there is none: the record then
	// carries its number, its doubt, its past and perhaps a claim.
	Token string `json:"token"`
	// Number orders the records as the requests to WeChat were ordered. It is at
	// least the Unix milliseconds when the request began, and above every number
	// seen. A plain counter would restart at 1 after a memcached restart.
	Number int64 `json:"number"`
	// Issued is the Unix time in seconds before the request was sent.
	Issued int64 `json:"issued"`
	// Expires is Issued plus WeChat's expires_in, in Unix seconds.
	Expires int64 `json:"expires"`
	// API is the API that issued the credential: token or stable_token. It is upstream if
	// another sidecar gave it.
	API string `json:"api"`
	// By is the name of the sidecar that wrote the credential.
	By string `json:"by"`
	// Doubt is 0, or the Unix time from which one more renewal is owed. A request
	// may have issued a token that no sidecar has, and so invalidated this one.
	Doubt int64 `json:"doubt"`
	// Claim is the random id of a claim, at most MaxClaim bytes. Its holder is
	// about to send a request to WeChat, or sent one and does not know the result.
	Claim string `json:"claim,omitempty"`
	// Reported is the Fingerprint of the reported token if its renewal was handed
	// over to another sidecar.
	Reported string `json:"reported,omitempty"`
	// Early is by how many seconds the credential is due before its usual time.
	Early int64 `json:"early,omitempty"`
	// Again is true if WeChat returned the same credential again, with little life left.
	Again bool `json:"again,omitempty"`
	// Age is how many seconds old the token was when this record was written, as its
	// writer knew. A sidecar that sees the token for the first time needs no clock that
	// agrees with another's.
	Age int64 `json:"age,omitempty"`
	// UpstreamNumber is the number under which the upstream, another sidecar, gave the
	// credential; 0 if it came from WeChat. Numbers of upstreams are compared with each
	// other alone.
	UpstreamNumber int64 `json:"upstream_number,omitempty"`
	// Promised is for how many seconds from Issued on the upstream promised it.
	Promised int64 `json:"promised,omitempty"`
	// Lagging is 0, or the Unix time from which on every answer of the upstream had a lower
	// number.
	Lagging int64 `json:"lagging,omitempty"`
	// Past holds the fingerprints of earlier tokens, newest first, at most MaxPast.
	Past []string `json:"past"`
	// Today counts what all sidecars together did on the day of the last renewal.
	Today Day `json:"today,omitzero"`

	unknownFields map[string]json.RawMessage // of a newer version; never changed
	verbatim      verbatim                   // set for a newer version's record only
}

// verbatim is the JSON that a record was decoded from. A copy of the record by
// value can have changed since, so the JSON holds for the original alone.
type verbatim struct {
	of   *Record
	text string
}

// Day counts the requests to WeChat on one day. It is for people: counts that
// are lost with the record stay lost.
type Day struct {
	// Date is the day in Beijing, as 20261123. WeChat resets its quotas at midnight
	// there.
	Date int `json:"date"`
	// Requests counts the requests to WeChat, failed ones included.
	Requests int `json:"requests"`
	// Renewals counts the requests that brought a credential.
	Renewals int `json:"renewals"`
	// ForceRefreshes counts the requests that had stable_token issue another token.
	ForceRefreshes int `json:"force_refreshes,omitempty"`
}

// MaxPast is the number of earlier tokens that a record remembers.
const MaxPast = 8

// MaxClaim is the length limit of a claim's id in bytes.
const MaxClaim = 64

// Fingerprint returns the name of a credential for places that must not show the
// credential itself: the first 8 hexadecimal digits of its SHA-256. It returns
// an empty string for an empty credential.
func Fingerprint(credential string) string {
	if credential == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(credential))
	return hex.EncodeToString(sum[:4])
}

// isFingerprint reports whether s has the form of a Fingerprint.
func isFingerprint(s string) bool {
	return len(s) == 8 && strings.Trim(s, "0123456789abcdef") == ""
}

// Newer reports whether a newer version of the sidecar wrote the record.
func (r *Record) Newer() bool { return r.V > RecordVersion }

// Clone returns a deep copy of r with its version and its unknown fields. It is
// for claims, marks and put-backs of the same token. The record of a new token
// is a new literal: unknown fields end with their token. A clone of a newer
// version's record is not encoded byte for byte as it was read.
func (r *Record) Clone() *Record {
	clone := *r
	clone.Past = slices.Clone(r.Past)
	clone.verbatim = verbatim{}
	return &clone
}

// Life returns the life of the credential that WeChat promised.
func (r *Record) Life() time.Duration { return time.Duration(r.Expires-r.Issued) * time.Second }

// Knows reports whether token is the record's own token or in its past.
func (r *Record) Knows(token string) bool {
	return token == r.Token || slices.Contains(r.Past, Fingerprint(token))
}

// PastAfter returns the past of a record that replaces r with token.
func (r *Record) PastAfter(token string) []string {
	past := slices.Clone(r.Past)
	if r.Token != "" && r.Token != token {
		past = slices.Insert(past, 0, Fingerprint(r.Token))
	}
	past = slices.DeleteFunc(past, func(f string) bool { return f == Fingerprint(token) })
	return past[:min(len(past), MaxPast)]
}

// Seen is a record as it was read. Its zero value is a missing record.
type Seen struct {
	// Record is nil if there is no record, or if it is unreadable. Clone it before
	// you change it: other goroutines can have the same pointer.
	Record *Record
	// Unreadable is true if there is a value that is not a record.
	Unreadable bool

	seen version
}

// Holds reports whether the value that was read is exactly r's JSON. A claim is
// read back with it.
func (s Seen) Holds(r *Record) bool { return s.seen.there && s.seen.value == r.encode() }

// decoded is a record and the hash of its JSON. Most polls find the same JSON,
// and decoding it took four fifths of a poll.
type decoded struct {
	sum    uint64
	record *Record
}

// hashSeed is random, so that nobody can forge a record with the hash of another.
var hashSeed = maphash.MakeSeed()

// seenOf returns the record of an item. It returns the same *Record as last time
// if the JSON is the same.
func (s *Slot) seenOf(item *memcache.Item) Seen {
	if item == nil {
		return Seen{}
	}
	sum := maphash.Bytes(hashSeed, item.Value)
	if last := s.last.Load(); last != nil && last.sum == sum {
		return Seen{Record: last.record, seen: versionOf(item)}
	}
	record, err := decodeRecord(item.Value)
	if err == nil {
		s.last.Store(&decoded{sum, record})
	}
	return Seen{Record: record, Unreadable: err != nil, seen: versionOf(item)}
}

// Record reads the record.
func (s *Slot) Record() (Seen, error) {
	item, err := s.server.get(s.recordKey())
	if err != nil && !errors.Is(err, ErrMiss) {
		return Seen{}, err
	}
	return s.seenOf(item), nil
}

// PutRecord writes r if the record is still as it was seen, and returns
// ErrConflict if it is not. The record lives for life in whole seconds; less
// than a second is an error. Do not change r afterwards.
func (s *Slot) PutRecord(seen Seen, r *Record, life time.Duration) error {
	text := r.encode()
	err := s.put(s.recordKey(), seen.seen, text, life)
	if err == nil {
		s.last.Store(&decoded{maphash.String(hashSeed, text), r}) // the next poll returns r itself
	}
	return err
}

func (s *Slot) recordKey() string { return s.entry + ":record" }
