package memcache

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Limits of a record that is read. Beyond them it is unreadable, unless another
// consequence is named.
const (
	// maxVersion is far above any version to come.
	maxVersion = 1000
	// maxRecord bounds the JSON in bytes: a token, eight fingerprints, and room for
	// the fields of newer versions.
	maxRecord = 16 << 10
	// maxUnknownFields bounds the unknown fields in bytes of JSON. More of them are
	// dropped: in memory they take many times that, for each account.
	maxUnknownFields = 1 << 10
	// maxName bounds a record's names in bytes. A host name has at most 255.
	maxName = 255
	// maxNumber keeps numbers exact in JSON and far from overflow: Unix
	// milliseconds reach it in the year 144683.
	maxNumber = 1 << 52
	// maxTokenLife is far above WeChat's two hours.
	maxTokenLife = 24 * time.Hour
)

// encode returns the record's JSON. A record of a newer version is encoded as it
// was read.
func (r *Record) encode() string {
	if r.verbatim.of == r {
		return r.verbatim.text
	}
	own := compact(r)
	if len(r.unknownFields) == 0 {
		return own
	}
	all := maps.Clone(r.unknownFields)
	_ = json.Unmarshal([]byte(own), &all) // JSON that was just marshalled
	return compact(all)
}

// compact returns v's JSON. It leaves <, > and & unescaped: unknown fields that
// pass through many sidecars would grow sixfold.
func compact(v any) string {
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic("memcache: a record of strings, numbers and JSON did not marshal")
	}
	return strings.TrimSuffix(out.String(), "\n")
}

// knownFields are the JSON fields of this version.
var knownFields = []string{
	"v", "token", "number", "issued", "expires", "api", "by", "doubt", "claim", "reported", "early", "again", "age",
	"upstream_number", "promised", "lagging", "past", "today",
}

// isKnown reports whether name is one of the fields, in any case: encoding/json
// ignores case, so an unknown "Token" could replace the token.
func isKnown(name string, _ json.RawMessage) bool {
	return slices.ContainsFunc(knownFields, func(field string) bool { return strings.EqualFold(field, name) })
}

// decodeRecord reads a record. It returns an error for a record that would
// mislead, which is then replaced as an unreadable one.
func decodeRecord(data []byte) (*Record, error) {
	if len(data) > maxRecord {
		return nil, fmt.Errorf("memcache: record has %d bytes, the limit is %d", len(data), maxRecord)
	}
	var r Record
	if json.Unmarshal(data, &r) != nil || json.Unmarshal(data, &r.unknownFields) != nil {
		return nil, errors.New("memcache: record is not JSON of the record format")
	}
	r.tidyFields()
	if err := r.check(); err != nil {
		return nil, err
	}
	r.Past = r.Past[:min(len(r.Past), MaxPast)]
	if r.Newer() {
		r.verbatim = verbatim{of: &r, text: string(data)}
	}
	return &r, nil
}

// tidyFields drops what is not needed and not of its form: the record is usable
// without it.
func (r *Record) tidyFields() {
	maps.DeleteFunc(r.unknownFields, isKnown)
	size := 0
	for name, value := range r.unknownFields {
		size += len(name) + len(value)
	}
	if size == 0 || size > maxUnknownFields {
		r.unknownFields = nil
	}
	r.Past = slices.DeleteFunc(r.Past, func(f string) bool { return !isFingerprint(f) })
	if !isFingerprint(r.Reported) {
		r.Reported = ""
	}
	if !isName(r.By) {
		r.By = ""
	}
	if r.Early < 0 || r.Early > (r.Expires-r.Issued)/2 {
		r.Early = 0
	}
	if r.Age < 0 || r.Age > r.Expires-r.Issued {
		r.Age = 0
	}
	if r.UpstreamNumber < 0 || r.UpstreamNumber > maxNumber {
		r.UpstreamNumber = 0
	}
	if r.Promised < 0 || r.Promised > r.Expires-r.Issued {
		r.Promised = 0
	}
	if r.Lagging < 0 || r.Lagging > maxNumber {
		r.Lagging = 0
	}
	if !r.Today.plausible() {
		r.Today = Day{}
	}
}

// check returns an error if the record is unreadable.
func (r *Record) check() error {
	switch {
	case r.V < 0 || r.V > maxVersion:
		return errors.New("memcache: record's version is out of range")
	case r.Number < 1 || r.Number > maxNumber:
		return errors.New("memcache: record's number is out of range")
	case r.Doubt < 0 || r.Doubt > maxNumber:
		return errors.New("memcache: record's doubt is out of range")
	case !isName(r.API) || len(r.Claim) > MaxClaim:
		return errors.New("memcache: record's API or claim is not a name")
	case r.Token == "":
		return nil
	case !ValidCredential(r.Token):
		return errors.New("memcache: record's token is not a credential")
	case r.Issued < 1 || r.Issued > maxNumber || r.Expires <= r.Issued || r.Expires-r.Issued > int64(maxTokenLife/time.Second):
		return errors.New("memcache: record's times are out of range")
	case slices.Contains(r.Past, Fingerprint(r.Token)):
		return errors.New("memcache: record names its own token in its past")
	}
	return nil
}

// isName reports whether s can be the name of a host, a pod or an API: people read it, so
// it must not be a sentence that somebody wrote into memcached. It can be empty.
func isName(s string) bool {
	return len(s) <= maxName && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == ""
}

// plausible reports whether sidecars can have counted these numbers.
func (d Day) plausible() bool {
	const most = 1 << 20
	return d.Date >= 0 && d.Date < 1e8 && d.Requests >= 0 && d.Requests <= most &&
		d.Renewals >= 0 && d.Renewals <= d.Requests && d.ForceRefreshes >= 0 && d.ForceRefreshes <= d.Requests
}
