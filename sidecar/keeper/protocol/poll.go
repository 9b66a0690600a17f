package protocol

import (
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
)

// Repair is what a poll must change in memcached, in this order. Its zero value is
// nothing.
type Repair struct {
	// PutBack is the record to write; nil if memcached has it.
	PutBack *memcache.Record
	// Wait is true if the record is missing and a renewal is near: first every sidecar
	// has to put back what it holds, so nobody may renew for as long as Rebuild.
	Wait bool
	// Publish is true if the entry is to be written, for as long as Life.
	Publish bool
	Life    time.Duration
	// External is the token in the entry that no sidecar of ours fetched; empty if none.
	External string
	// Renew is true if that external token invalidated ours.
	Renew bool
	// Unclear is true if the record is missing and the entry has a token that this
	// sidecar does not know. It can be a renewal whose record was lost, or external:
	// poll again soon, and do not renew for the token's age.
	Unclear bool
}

// unclearFor is how long an unknown entry without a record is left alone. It is well
// within WeChat's grace for the token that this sidecar holds.
const unclearFor = 2 * time.Minute

// Polled is what a poll found, and what it must know of this sidecar.
type Polled struct {
	// View is entry and record as they were read.
	View memcache.View
	// Renewing is true while this sidecar renews the credential.
	Renewing bool
	// Renewed is true if a renewal has just written the record: it is published over
	// whatever the entry has.
	Renewed bool
	// Stale is true if nobody has written the entry for a while.
	Stale bool
	// UnclearSince is when polls began to find it Unclear (monotonic); zero if this
	// one is the first.
	UnclearSince time.Time
}

// Reconcile returns what memcached lacks of what is held. Call it after h adopted the
// record that was read.
func (h *Held) Reconcile(p Polled, now Now) Repair {
	there, entry := p.View.Record.Record, p.View.Entry.Token
	if !h.Valid(now) {
		return Repair{}
	}
	mine, left := h.Record, h.Left(now)
	replaced := h.IsReported() && p.Renewing // otherwise it is better than none
	known := entry == "" || mine.Knows(entry) || (there != nil && there.Knows(entry))
	if there == nil && !known && !p.Renewed && (p.UnclearSince.IsZero() || now.Mono.Sub(p.UnclearSince) < unclearFor) {
		return Repair{Unclear: true}
	}
	var r Repair
	if h.lacks(there) && !replaced {
		r.PutBack = h.putBack(there, now)
		// Memcached may have lost the record of a renewal that this sidecar has not seen.
		r.Wait = there == nil && h.DueByAge(now, 0) <= Rebuild && left > 2*Rebuild
	}
	if there != nil && there.Token != "" && there.Number > mine.Number {
		return r // newer, although it seems expired here: never publish a lower number
	}
	r.Life = EntryLife(mine.Life(), left)
	switch {
	case entry == mine.Token:
		// WeChat fails and the token is overdue: the entry must not expire.
		r.Publish = h.DueByAge(now, 1) <= 0 && p.Stale
	case known, p.Renewed:
		r.Publish = !replaced || p.Renewed
	case there == nil: // as Unclear, for too long: the next poll decides by the record
	default:
		r.External = entry
		r.Renew = mine.API == "token"
		r.Publish = !r.Renew
	}
	return r
}

// lacks reports whether what memcached has is missing, or older than what is held. Two
// tokens can have the same number if the record of the first was lost: then nobody knows
// which came last either.
func (h *Held) lacks(there *memcache.Record) bool {
	return there == nil || there.Token == "" || there.Number < h.Record.Number ||
		(there.Number == h.Record.Number && there.Token != h.Record.Token)
}

// putBack returns the record to write over there. It is the very record that is held,
// unless there has a higher number, a doubt of its own, or a token that is none of the
// past.
func (h *Held) putBack(there *memcache.Record, now Now) *memcache.Record {
	back := h.Record
	change := func() {
		if back == h.Record {
			back = h.Record.Clone()
		}
	}
	if there != nil && there.Doubt > 0 && there.Token == "" { // a doubt about this token
		change()
		if back.Doubt == 0 || there.Doubt < back.Doubt {
			back.Doubt = there.Doubt
		}
		back.Claim = there.Claim // as with a mark, see Mark
	}
	if there != nil && there.Token != "" && !h.Record.Knows(there.Token) {
		change()
		if back.API == "token" {
			back.Doubt, back.Claim = now.Wall.Unix(), "" // nobody knows which came last
		}
		back.Number = h.NextNumber(now)
	}
	if there != nil && there.Number >= back.Number {
		change()
		back.Number = h.NextNumber(now)
	}
	if !h.Record.Newer() || back != h.Record {
		change()
		h.Stamp(back, now)
	}
	return back
}
