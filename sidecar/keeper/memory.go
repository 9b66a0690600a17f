package keeper

import (
	"crypto/sha256"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
)

// memory is what one sidecar remembers of one credential: enough to serve its
// readers and to fill an empty memcached again without a call to WeChat.
type memory struct {
	// ticket: it is not a token, and promises less.
	ticket bool
	// record is the newest one seen; nil when there was none or it died.
	record *memcache.Record
	// since is when the credential was first seen, on the monotonic clock.
	since time.Time
	// number is the highest number ever seen, kept when the record dies.
	number int64
	// today is what was done on one day, as far as known; kept when the record dies.
	today memcache.Day
	// rejected is the fingerprint of the token that an app reported as refused.
	rejected string
	// held and before are SHA-256 of the newest token and of the one held before
	// it: by them a token is recognized in full.
	held, before [sha256.Size]byte
}

// clock is both clocks.
type clock func() time.Time

// age is how old the token is: by the wall clock since it was issued, or by the
// monotonic clock since it was first seen, whichever is more. A wall clock that
// jumps back cannot make it younger than we have known it.
func (m *memory) age(wall clock) time.Duration {
	return max(wall().Sub(time.Unix(m.record.Issued, 0)), time.Since(m.since))
}

// live reports whether there is a token that WeChat should accept.
func (m *memory) live(wall clock) bool {
	if m.record == nil || m.record.Token == "" {
		return false
	}
	life := m.record.Life()
	return life-m.age(wall) > clockSlack(life)
}

// left is the life left of a live token.
func (m *memory) left(wall clock) time.Duration { return m.record.Life() - m.age(wall) }

// dueIn is how long until a live token is due; at most 0 when it is. A record in
// doubt is due from that time on and not before: the call that is in doubt may
// still be on its way.
func (m *memory) dueIn(wall clock, spread float64) time.Duration {
	if m.record.Doubt > 0 {
		owed := time.Unix(m.record.Doubt, 0).Sub(wall())
		if owed > 2*doubtDelay {
			return 0 // the wall clock was set back
		}
		return owed
	}
	return dueAfter(m.record.Life(), spread) - earlyOf(m.record) - m.age(wall)
}

// isRejected reports whether the token is the one that an app reported.
func (m *memory) isRejected() bool {
	return m.record != nil && m.rejected != "" && m.rejected == memcache.Fingerprint(m.record.Token)
}

// grant is the live token with its promise; false where there is none.
func (m *memory) grant(wall clock) (Grant, bool) {
	if m.record == nil || m.record.Token == "" {
		return Grant{}, false
	}
	life, age := m.record.Life(), m.age(wall)
	if life-age <= clockSlack(life) {
		return Grant{}, false
	}
	due := dueAfter(life, 0) - earlyOf(m.record)
	if m.ticket {
		return Grant{Value: m.record.Token, ExpiresIn: promiseOfTicket(due, age)}, true
	}
	doubtFor := time.Duration(-1)
	if m.record.Doubt > 0 {
		doubtFor = max(0, wall().Sub(time.Unix(m.record.Doubt, 0))+doubtReach)
	}
	return Grant{Value: m.record.Token, ExpiresIn: promise(life, due, age, doubtFor)}, true
}

// adopt takes a record that was read or fetched, if it is newer than the
// remembered one, or live where that one is dead. It reports whether it did.
func (m *memory) adopt(r *memcache.Record, wall clock) bool {
	if r == nil {
		return false
	}
	candidate := memory{record: r, since: time.Now()}
	if m.record != nil && m.record.Token == r.Token && m.record.Issued == r.Issued {
		candidate.since = m.since // the same credential, with a new number or doubt
	}
	m.number = max(m.number, r.Number)
	alive := m.live(wall)
	if !candidate.live(wall) || (alive && r.Number <= m.record.Number) {
		if !alive {
			m.record = nil // dead: forgotten, its number kept
		}
		return false
	}
	m.record, m.since = r, candidate.since
	if digest := sha256.Sum256([]byte(r.Token)); digest != m.held {
		m.held, m.before = digest, m.held
	}
	if today := r.Today; today.Date > m.today.Date || (today.Date == m.today.Date && today.Requests >= m.today.Requests) {
		m.today = today
	}
	return true
}

// dayOf is what was done on this day, as far as known.
func (m *memory) dayOf(date int) memcache.Day {
	if m.today.Date != date {
		return memcache.Day{Date: date}
	}
	return m.today
}

// nextNumber is the number of a call that begins now.
func (m *memory) nextNumber(wall clock) int64 {
	return max(m.number+1, wall().UnixMilli())
}

// onTime reports whether a renewal now is the one that was planned, by its age
// alone.
func (m *memory) onTime(wall clock) bool {
	if !m.live(wall) || m.record.Doubt > 0 || m.isRejected() {
		return false
	}
	due := m.dueIn(wall, 0)
	return due <= 0 && due > -lateAfter
}

// lateAfter is how long after its due time a renewal counts as one of many that had to
// wait.
const lateAfter = time.Minute

// earlyOf is a record's.
func earlyOf(r *memcache.Record) time.Duration { return time.Duration(r.Early) * time.Second }
