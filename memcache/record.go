package memcache

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
)

// Record is what the sidecars agree on about one credential.
type Record struct {
	// Token is the credential. Empty: none is held, and the record carries
	// only its number and its doubt.
	Token string `json:"token"`
	// Number orders the records as the calls to WeChat were ordered: at least
	// the Unix milliseconds when the call began, and above every number seen.
	// It orders them even after everything was forgotten; a plain counter
	// would begin again at 1 and lose to a record somebody still remembers.
	Number int64 `json:"number"`
	// Issued is the Unix time in seconds before the call was sent.
	Issued int64 `json:"issued"`
	// Dies is Issued plus WeChat's expires_in.
	Dies int64 `json:"dies"`
	// API is how the credential was fetched: token or stable_token.
	API string `json:"api"`
	// By names the sidecar that fetched it.
	By string `json:"by"`
	// Doubt is 0, or the Unix time from which one more renewal is owed: a call
	// may have issued a token that nobody holds, and so killed this one.
	Doubt int64 `json:"doubt"`
	// Early is by how many seconds sooner than by its life alone it is due.
	Early int64 `json:"early,omitempty"`
	// Past holds the fingerprints of earlier tokens, newest first, at most MaxPast.
	Past []string `json:"past"`
	// Today is what all sidecars together did on the day of the last renewal.
	Today Day `json:"today,omitzero"`

	rest map[string]json.RawMessage // fields of a newer version, written back as they were
}

// Day counts what was asked of WeChat on one of its days. It is for people: what
// is lost with the record is not counted.
type Day struct {
	// Date is the day in Beijing, whose midnight resets WeChat's quotas, as
	// 20261123.
	Date int `json:"date"`
	// Calls to WeChat, those that failed included; Renewals, those that brought a
	// credential; Forced, those that had stable_token issue another one.
	Calls    int `json:"calls"`
	Renewals int `json:"renewals"`
	Forced   int `json:"forced,omitempty"`
}

// sane reports whether somebody may have counted so.
func (d Day) sane() bool {
	const most = 1 << 20
	return d.Date >= 0 && d.Date < 1e8 && d.Calls >= 0 && d.Calls <= most &&
		d.Renewals >= 0 && d.Renewals <= d.Calls && d.Forced >= 0 && d.Forced <= d.Calls
}

// MaxPast is how many earlier tokens a record remembers.
const MaxPast = 8

// maxRecord bounds a record's JSON in bytes: a token, eight fingerprints and
// room for fields of newer versions.
const maxRecord = 16 << 10

// maxRest bounds the fields of newer versions in bytes of JSON. Kept in memory they
// take many times that, for each account.
const maxRest = 1 << 10

// maxName bounds a record's names in bytes: a host's has at most 255.
const maxName = 255

// maxNumber keeps numbers exact in JSON and far from overflow: Unix
// milliseconds reach it in the year 144683.
const maxNumber = 1 << 52

// Fingerprint is how a credential is named where it must not be shown: the
// first 8 hexadecimal digits of its SHA-256. Empty for an empty one.
func Fingerprint(credential string) string {
	if credential == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(credential))
	return hex.EncodeToString(sum[:4])
}

// isFingerprint reports whether s is of Fingerprint's form.
func isFingerprint(s string) bool {
	return len(s) == 8 && strings.Trim(s, "0123456789abcdef") == ""
}

// Life is how long WeChat promised the credential to live.
func (r *Record) Life() time.Duration { return time.Duration(r.Dies-r.Issued) * time.Second }

// Knows reports whether token is the record's own or among its past.
func (r *Record) Knows(token string) bool {
	return token == r.Token || slices.Contains(r.Past, Fingerprint(token))
}

// PastAfter is the past of a record that replaces r with token.
func (r *Record) PastAfter(token string) []string {
	past := slices.Clone(r.Past)
	if r.Token != "" && r.Token != token {
		past = slices.Insert(past, 0, Fingerprint(r.Token))
	}
	past = slices.DeleteFunc(past, func(f string) bool { return f == Fingerprint(token) })
	return past[:min(len(past), MaxPast)]
}

// Continue gives r the fields of older that this version does not know.
func (r *Record) Continue(older *Record) {
	if older != nil {
		r.rest = older.rest
	}
}

// encode is the record's JSON, unknown fields included unless they would make it
// too long for anybody to read.
func (r *Record) encode() string {
	own := compact(r)
	if len(r.rest) == 0 {
		return own
	}
	all := maps.Clone(r.rest)
	_ = json.Unmarshal([]byte(own), &all) // what was marshalled reads back
	if whole := compact(all); len(whole) <= maxRecord {
		return whole
	}
	return own
}

// compact is v's JSON. It leaves <, > and & as they are: unknown fields that went
// through many hands would grow sixfold.
func compact(v any) string {
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic("memcache: a record of strings, numbers and JSON did not marshal")
	}
	return strings.TrimSuffix(out.String(), "\n")
}

// known are the fields of this version.
var known = []string{"token", "number", "issued", "dies", "api", "by", "doubt", "early", "past", "today"}

// isKnown reports whether name is one of the fields, in any case: so does
// encoding/json, and a Token kept beside the token could replace it.
func isKnown(name string, _ json.RawMessage) bool {
	return slices.ContainsFunc(known, func(field string) bool { return strings.EqualFold(field, name) })
}

// decodeRecord reads a record and refuses one that would mislead: it is then
// treated as missing.
func decodeRecord(data []byte) (*Record, error) {
	if len(data) > maxRecord {
		return nil, fmt.Errorf("memcache: record has %d bytes, at most %d are read", len(data), maxRecord)
	}
	var r Record
	var all map[string]json.RawMessage
	if json.Unmarshal(data, &r) != nil || json.Unmarshal(data, &all) != nil {
		return nil, errors.New("memcache: record is not JSON of its form")
	}
	maps.DeleteFunc(all, isKnown)
	size := 0
	for name, value := range all {
		size += len(name) + len(value)
	}
	if size > 0 && size <= maxRest {
		r.rest = all
	}
	r.Past = slices.DeleteFunc(r.Past, func(f string) bool { return !isFingerprint(f) })
	r.Past = r.Past[:min(len(r.Past), MaxPast)]
	if r.Early < 0 || r.Early > (r.Dies-r.Issued)/2 {
		r.Early = 0
	}
	if !r.Today.sane() {
		r.Today = Day{}
	}
	switch {
	case r.Number < 1 || r.Number > maxNumber:
		return nil, errors.New("memcache: record's number is out of range")
	case r.Doubt < 0 || r.Doubt > maxNumber:
		return nil, errors.New("memcache: record's doubt is out of range")
	case len(r.API) > maxName || len(r.By) > maxName:
		return nil, errors.New("memcache: record's names are too long")
	case r.Token == "":
		return &r, nil
	case !ValidCredential(r.Token):
		return nil, errors.New("memcache: record's token is no credential")
	case r.Issued < 1 || r.Issued > maxNumber || r.Dies <= r.Issued || r.Dies-r.Issued > int64(maxLife/time.Second):
		return nil, errors.New("memcache: record's times are out of range")
	}
	return &r, nil
}

// Seen is a record as it was read, to be replaced by PutRecord. Its zero value
// is a missing one.
type Seen struct {
	// Record is nil where there is none, or none that can be read.
	Record *Record
	// Unreadable is true where there is a value and it is no record.
	Unreadable bool

	seen version
}

// decoded is a record with a sum of its JSON. A look at thousands of accounts finds
// nearly all of them unchanged, and reading their JSON again would make most of its
// garbage. Who gets a Record never changes it.
type decoded struct {
	sum    uint64
	record *Record
}

var sumSeed = maphash.MakeSeed()

// seenOf is what an item says.
func (s *Slot) seenOf(item *memcache.Item) Seen {
	if item == nil {
		return Seen{}
	}
	seen, sum := Seen{seen: versionOf(item)}, maphash.Bytes(sumSeed, item.Value)
	if last := s.last.Load(); last != nil && last.sum == sum {
		seen.Record = last.record
		return seen
	}
	record, err := decodeRecord(item.Value)
	if err != nil {
		seen.Unreadable = true
		return seen
	}
	s.last.Store(&decoded{sum, record})
	seen.Record = record
	return seen
}

// Record reads the record.
func (s *Slot) Record() (Seen, error) {
	item, err := s.server.get(s.recordKey())
	if err != nil && !errors.Is(err, ErrMiss) {
		return Seen{}, err
	}
	return s.seenOf(item), nil
}

// PutRecord writes r where the record is still as it was seen, to live for life
// in whole seconds (less than one is an error); else ErrConflict.
func (s *Slot) PutRecord(seen Seen, r *Record, life time.Duration) error {
	text := r.encode()
	err := s.put(s.recordKey(), seen.seen, text, life)
	if err == nil {
		s.last.Store(&decoded{maphash.String(sumSeed, text), r}) // what is remembered by now, and not a second one
	}
	return err
}

func (s *Slot) recordKey() string { return s.entry + ":record" }
