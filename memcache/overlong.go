package memcache

import (
	"errors"
	"strings"
	"sync"
	"time"
)

// longestMark is the longest life of each mark. No sidecar writes one that lives longer.
var longestMark = map[MarkName]time.Duration{
	MarkReportThrottle: 31 * time.Second,
	MarkForceRefresh:   75 * time.Minute,
	MarkPlanned:        28 * time.Minute, // half the age at which a token is due
	MarkBudget:         601 * time.Second,
	MarkTokenReport:    50 * time.Minute,
	MarkHandover:       601 * time.Second,
	MarkQuotaRead:      58 * time.Minute,
}

// overlongAfter is how much longer than its life a mark must stay to count as written by
// hand: memcached's clock has whole seconds.
const overlongAfter = 2 * time.Second

// sightings are the marks that stood in the way, and when this Slot first saw each. A
// mark is not refreshed, so one with the same id after its longest life was written by
// hand, perhaps without an exptime. It would stop renewals for ever.
type sightings struct {
	mu    sync.Mutex // guards marks
	marks map[string]sighting
}

type sighting struct {
	id    string
	since time.Time // monotonic
}

// overlong notes the value of a mark that was seen, an id or a word and an id. It reports
// whether no sidecar can have written it.
func (s *sightings) overlong(key, value string, name MarkName) bool {
	id := value[strings.LastIndexByte(value, ' ')+1:]
	if !isID(id) {
		return true
	}
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	seen, ok := s.marks[key]
	if !ok || seen.id != id {
		if s.marks == nil {
			s.marks = map[string]sighting{}
		}
		s.marks[key] = sighting{id, now}
		return false
	}
	return now.Sub(seen.since) > longestMark[name]+overlongAfter
}

// isID reports whether s has the form of NewID.
func isID(s string) bool {
	if len(s) != 32 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// replaceOverlong replaces the mark under key if no sidecar can have written it, and
// reports whether it did.
func (s *Slot) replaceOverlong(key, id string, name MarkName, life time.Duration) (bool, error) {
	item, err := s.server.get(key)
	if errors.Is(err, ErrMiss) { // it has just ended; the next turn finds it free
		return false, nil
	}
	if err != nil || !s.seen.overlong(key, string(item.Value), name) {
		return false, err
	}
	err = s.server.swap(key, id, versionOf(item), life)
	if errors.Is(err, ErrConflict) {
		return false, nil
	}
	if err == nil && s.server.overlong != nil {
		s.server.overlong(key)
	}
	return err == nil, err
}
