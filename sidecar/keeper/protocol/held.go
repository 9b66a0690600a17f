package protocol

import (
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
)

// Held is what one sidecar holds of one credential: enough to serve its readers, and to
// fill an empty memcached again without a request. Its zero value holds nothing.
type Held struct {
	// Ticket is true for a ticket: it promises less, and is never claimed.
	Ticket bool
	// Upstream is true if an upstream renews the credential: it is never due here.
	Upstream bool
	// Record is the newest record seen; nil if there was none, or it expired. It is
	// shared: clone it before a change.
	Record *memcache.Record
	// Number is the highest number seen. It remains when the record expires.
	Number int64
	// Reported is the fingerprint of the token that an app reported as invalid.
	Reported string
	// Today is what was done on one day, as far as this sidecar knows.
	Today memcache.Day

	sight  sight
	last   sight // of the record that was last read; it remains when the record expires
	doubts []doubtSight
	read   time.Time // monotonic: when the record was last read from memcached
	rest   time.Time // monotonic: until then WeChat returns the same ticket; zero: it does not

	lagging time.Time // monotonic: since when Record.Lagging is known
}

// aheadAtMost is how far a record can be ahead of this clock. More than that is damage,
// and not a clock that is off.
const aheadAtMost = 48 * time.Hour

// Plausible reports whether neither the number of a record nor its time of issue is more
// than 48 h ahead of this clock.
func Plausible(r *memcache.Record, now Now) bool {
	most := now.Wall.Add(aheadAtMost)
	return r.Number <= most.UnixMilli() && r.Issued <= most.Unix()
}

// Adopt notes a record that was read from memcached, or nil if there was none. It
// reports whether h changed to that record: it is newer, or valid when the one held
// is not.
func (h *Held) Adopt(r *memcache.Record, now Now) bool {
	last := h.read
	h.read = now.Mono
	if r == nil {
		return false
	}
	switch {
	case h.same(r):
		h.last = h.sight
	case !h.last.of(r):
		if r.Number <= h.Number { // it can have been there long before the last read
			last = time.Time{}
		}
		h.last = arrival(r, last, now)
	}
	return h.take(r, h.last, now, othersRest)
}

// othersRest is how much longer than the sidecar that got a ticket again all others wait for
// the next one: by their clocks it can end some seconds too early.
const othersRest = 2 * time.Second

// Remember is Adopt for a record that this sidecar wrote itself.
func (h *Held) Remember(r *memcache.Record, now Now) bool {
	age := max(0, now.Wall.Sub(time.Unix(r.Issued, 0)))
	h.last = sight{r.Token, r.Issued, age, now.Wall, now.Mono}
	return h.take(r, h.last, now, 0)
}

// take is Adopt for a record that was first seen so. rest is added to the time until a
// ticket is requested that WeChat returned again.
func (h *Held) take(r *memcache.Record, first sight, now Now, rest time.Duration) bool {
	if h.same(r) {
		first = h.sight // the same credential, with a new number or doubt
	}
	h.seeDoubt(r, now)
	fresh := r.Number > h.Number
	h.Number = max(h.Number, r.Number)
	valid := h.Valid(now)
	if valid && r.Number <= h.Record.Number && supersedes(r, h.Record) {
		r = h.renumbered(r, now)
	}
	candidate := Held{Ticket: h.Ticket, Record: r, sight: first}
	if fresh && r.Again && h.Ticket {
		h.rest = now.Mono.Add(candidate.DueByAge(now, 0) + rest)
	}
	sooner := r.Again && valid && r.Number > h.Record.Number && r.Token == h.Record.Token // it ends earlier than was known
	if (!candidate.Valid(now) && !sooner) || (valid && r.Number <= h.Record.Number) {
		if !valid {
			h.Record = nil
		}
		return false
	}
	h.seeLagging(r, now)
	h.Record, h.sight = r, first
	if !r.Again {
		h.rest = time.Time{}
	}
	if t := r.Today; t.Date > h.Today.Date || (t.Date == h.Today.Date && t.Requests >= h.Today.Requests) {
		h.Today = t
	}
	return true
}

// supersedes reports whether r has a later token than held, even under a lower number:
// its past names held's token, and held does not know r's. The number of a claim says
// when a request began, by one clock, and nothing about the token in the claim. If that
// claim is lost, another sidecar whose clock is behind can write a later token under a
// lower number.
func supersedes(r, held *memcache.Record) bool {
	return r.Token != "" && r.Token != held.Token && r.Knows(held.Token) && !held.Knows(r.Token)
}

// renumbered returns r under a number above all numbers seen, with the doubt of the held
// record if it has none of its own. The next poll writes it.
func (h *Held) renumbered(r *memcache.Record, now Now) *memcache.Record {
	later := r.Clone()
	later.Number = h.NextNumber(now)
	if later.Doubt == 0 {
		later.Doubt, later.Claim = h.Record.Doubt, h.Record.Claim
	}
	h.Number = later.Number
	return later
}

// same reports whether r is of the credential that is held.
func (h *Held) same(r *memcache.Record) bool { return h.Record != nil && h.sight.of(r) }

// Valid reports whether there is a token that WeChat should accept.
func (h *Held) Valid(now Now) bool {
	return h.Record != nil && h.Record.Token != "" && h.Left(now) > h.slack()
}

// Last returns the credential that is held, or the last one that was, if that has expired.
func (h *Held) Last() string {
	if h.Record != nil {
		return h.Record.Token
	}
	return h.last.token
}

// slack is Slack of the held credential's whole life: of a ticket that WeChat returned
// again, the record has the end alone.
func (h *Held) slack() time.Duration {
	if h.Record.Again && h.Ticket {
		return Slack(littleLife)
	}
	return Slack(h.Record.Life())
}

// Rest returns how long WeChat has no other ticket than the one that has just ended here; 0
// if a ticket is valid, or a request makes sense.
func (h *Held) Rest(now Now) time.Duration {
	if h.Valid(now) {
		return 0
	}
	return max(0, h.rest.Sub(now.Mono))
}

// Left returns how long the token remains valid.
func (h *Held) Left(now Now) time.Duration { return h.Record.Life() - h.Age(now) }

// IsReported reports whether the held token was reported as invalid: by an app here, or
// by a sidecar that handed the report over.
func (h *Held) IsReported() bool {
	return h.IsHandedOver() || h.Record != nil && h.Record.Token != "" && h.Reported == memcache.Fingerprint(h.Record.Token)
}

// IsHandedOver reports whether a sidecar that could not renew the reported token handed
// the report over to the others.
func (h *Held) IsHandedOver() bool {
	return h.Record != nil && h.Record.Token != "" && h.Record.Reported == memcache.Fingerprint(h.Record.Token)
}

// DueByAge returns the time until a valid token is due by its age alone; 0 or less if it
// is. spread, 0 to 1, is this sidecar's share of the jitter.
func (h *Held) DueByAge(now Now, spread float64) time.Duration {
	return h.due(spread) - h.Age(now)
}

func (h *Held) due(spread float64) time.Duration {
	due := h.dueAfter(spread)
	if h.Record.Newer() {
		due += newerDelay
	}
	return due
}

// dueAfter is DueAfter of the held credential.
func (h *Held) dueAfter(spread float64) time.Duration {
	if h.Record.Again {
		return AgainAfter(h.Record.Life(), h.Ticket, spread)
	}
	return DueAfter(h.Record.Life(), spread) - time.Duration(h.Record.Early)*time.Second
}

// DueIn returns the time until a valid token is due; 0 or less if it is. A record in
// doubt is due at the time of the doubt, and not before: the request in doubt could
// supersede an earlier renewal.
func (h *Held) DueIn(now Now, spread float64) time.Duration {
	if h.Upstream {
		return h.Left(now)
	}
	if h.Record.Doubt == 0 {
		return h.DueByAge(now, spread)
	}
	due := h.doubt(h.Record).dueIn(now) + jitter(h.Record.Life(), spread)
	if h.Record.Newer() {
		due += newerDelay
	}
	return due
}

// lateAfter is how long after its due time a renewal counts as late: many had to wait.
const lateAfter = time.Minute

// OnTime reports whether a renewal now is within a minute after a valid token became due
// by its age. The credentials that other renewals fetch are scattered, see Early.
func (h *Held) OnTime(now Now) bool {
	if !h.Valid(now) || h.Record.Doubt > 0 || h.IsReported() {
		return false
	}
	due := h.DueByAge(now, 0)
	return due <= 0 && due > -lateAfter
}

// Promise returns how long readers are promised that WeChat accepts the valid token, or
// false if there is none.
func (h *Held) Promise(now Now) (time.Duration, bool) {
	if !h.Valid(now) {
		return 0, false
	}
	if p := h.promised(now); p > 0 {
		return p, true
	}
	life, age, due := h.Record.Life(), h.Age(now), h.dueAfter(0)
	if h.Ticket {
		return promiseOfTicket(min(due, life), age), true
	}
	doubt := time.Duration(-1)
	if h.Record.Doubt > 0 {
		doubt = h.doubt(h.Record).promise(now)
	}
	return promise(life, due, age, doubt), true
}

// EntryLeft returns the rest of the life of the entry, if that was written when the valid
// token was issued; negative if it has expired. An entry that was written again lives
// longer.
func (h *Held) EntryLeft(now Now) time.Duration {
	life := h.Record.Life()
	return EntryLife(life, life) - h.Age(now)
}

// NextNumber returns the number of a record that this sidecar writes now: two above every
// number seen, because the one above a claim is reserved for its success. It is at least
// the Unix milliseconds, so that numbers still grow after all records were lost.
func (h *Held) NextNumber(now Now) int64 { return max(h.Number+2, now.Wall.UnixMilli()) }

// DayOf returns what was done on this day, as far as this sidecar knows.
func (h *Held) DayOf(date int) memcache.Day {
	if h.Today.Date != date {
		return memcache.Day{Date: date}
	}
	return h.Today
}

// Stamp sets the age of r's token, for sidecars that see it for the first time in the
// record that this sidecar writes.
func (h *Held) Stamp(r *memcache.Record, now Now) {
	if h.same(r) {
		r.Age = max(0, int64(h.Age(now)/time.Second))
	}
}

// RecordLife returns how long memcached keeps a record: as long as its token is valid,
// and tokenlessLife without a token.
func (h *Held) RecordLife(r *memcache.Record, now Now) time.Duration {
	switch {
	case r.Token == "":
		return tokenlessLife
	case h.same(r):
		return max(h.Left(now), time.Second)
	}
	return max(r.Life()-max(0, now.Wall.Sub(time.Unix(r.Issued, 0))), time.Second)
}

// tokenlessLife is how long memcached keeps a record without a token, for its doubt.
const tokenlessLife = 2 * time.Hour
