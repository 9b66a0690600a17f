package memcache

import (
	"encoding/json"
	"errors"
	"strconv"
	"time"
)

const (
	// quotaLife outlives some failed readings, and a day.
	quotaLife = 26 * time.Hour
	// sentLife is the longest relative time that memcached takes.
	sentLife = 30 * 24 * time.Hour
	// sentRange is how far apart two counts of sent requests begin at least. One count has
	// less than half of it in its life, and so has the growth between two readings: an
	// account needs some 26 requests a day.
	sentRange = 1_000_000
	// maxQuota bounds the JSON in bytes, with room for the fields of newer versions.
	maxQuota = 4 << 10
)

// Quota is a reading of WeChat's own count of the requests for an account's tokens.
type Quota struct {
	// V is the version of the format: 1.
	V int `json:"v"`
	// At is when it was read, in Unix seconds.
	At int64 `json:"at"`
	// By is the sidecar that read it, for people.
	By string `json:"by"`
	// Used is how many requests WeChat has counted today, of Limit that it allows. Limit
	// is 0 if WeChat gives no count for this account.
	Used  int `json:"used"`
	Limit int `json:"limit"`
	// Sent is what CountSent returned at that time.
	Sent int64 `json:"sent"`
	// External is how many requests other programs have sent since the reading before
	// this one, at the time Since. Nil: unknown.
	External *int  `json:"external,omitempty"`
	Since    int64 `json:"since,omitempty"`
}

// SentSince returns how many requests the sidecars have sent between two results of
// CountSent. It reports false if memcached has lost the count meanwhile.
func SentSince(before, now int64) (int, bool) {
	n := now - before
	return int(n), n >= 0 && n < sentRange/2
}

// CountSent adds n to the number of requests for tokens that all sidecars have sent to an
// API, and returns it. The number begins at the Unix time in microseconds, so that a lost
// one is noticed: see SentSince.
func (s *Slot) CountSent(api string, n int) (int64, error) {
	first := strconv.FormatInt(time.Now().Unix()*sentRange, 10)
	sum, err := s.add("sent:"+api, uint64(max(n, 0)), first, sentLife)
	return int64(min(sum, maxNumber)), err
}

// Quota returns the last reading of WeChat's count for an API, or nil if there is none. One
// that cannot be read is none.
func (s *Slot) Quota(api string) (*Quota, error) {
	item, err := s.server.get(s.quotaKey(api))
	if errors.Is(err, ErrMiss) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return decodeQuota(item.Value), nil
}

// PutQuota replaces the reading. It returns ErrConflict if another sidecar has just done so.
func (s *Slot) PutQuota(api string, q *Quota) error {
	key, seen := s.quotaKey(api), version{}
	item, err := s.server.get(key)
	switch {
	case err == nil:
		seen = versionOf(item)
	case !errors.Is(err, ErrMiss):
		return err
	}
	return s.put(key, seen, compact(q), quotaLife)
}

func (s *Slot) quotaKey(api string) string { return s.entry + ":quota:" + api }

// decodeQuota returns nil for a value that would mislead.
func decodeQuota(data []byte) *Quota {
	var q Quota
	if len(data) > maxQuota || json.Unmarshal(data, &q) != nil {
		return nil
	}
	external := 0
	if q.External != nil {
		external = *q.External
	}
	for _, n := range []int64{q.At - 1, int64(q.Used), int64(q.Limit), q.Sent, int64(external), q.Since} {
		if n < 0 || n > maxNumber {
			return nil
		}
	}
	if len(q.By) > maxName {
		q.By = ""
	}
	return &q
}
