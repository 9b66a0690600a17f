package protocol

import (
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
)

// Repair is what a poll must change in memcached, in this order. Its zero value changes
// nothing.
type Repair struct {
	// PutBack is the record to write; nil if memcached has it.
	PutBack *memcache.Record
	// Wait is true if the record is missing and a renewal is near. No sidecar may renew
	// for as long as Rebuild, so that every sidecar first puts back what it holds.
	Wait bool
	// Publish is true if the entry must be written, for as long as Life.
	Publish bool
	Life    time.Duration
	// External is the external token in the entry; empty if there is none.
	External string
	// Renew is true if that external token invalidated the held one.
	Renew bool
	// Unclear is true if the record is missing and the entry has a token that this
	// sidecar does not know. A renewal whose record was lost can have brought it, or it is
	// external: poll again soon, and do not renew for the token's age.
	Unclear bool
}

// unclearFor is how long an unknown entry without a record is left alone. It is well
// within WeChat's grace period for the held token.
const unclearFor = 2 * time.Minute

// Polled is what a poll found, and the state of this sidecar.
type Polled struct {
	// View is the entry and the record as read.
	View memcache.View
	// Renewing is true while this sidecar renews the credential.
	Renewing bool
	// Renewed is true if a renewal has just written the record: it is published over
	// whatever the entry has.
	Renewed bool
	// Stale is true if no sidecar has written the entry for a while.
	Stale bool
	// UnclearSince is when polls began to be Unclear (monotonic); zero if this one is the
	// first.
	UnclearSince time.Time
}

// Reconcile returns what a poll must repair. Call it after h adopted the record that was
// read.
func (h *Held) Reconcile(p Polled, now Now) Repair {
	there, entry := p.View.Record.Record, p.View.Entry.Token
	if !h.Valid(now) {
		return Repair{}
	}
	mine, left := h.Record, h.Left(now)
	replaced := h.IsReported() && p.Renewing // without a renewal, a reported token is better than none
	known := entry == "" || mine.Knows(entry) || (there != nil && there.Knows(entry))
	if there == nil && !known && !p.Renewed && (p.UnclearSince.IsZero() || now.Mono.Sub(p.UnclearSince) < unclearFor) {
		return Repair{Unclear: true}
	}
	var r Repair
	if h.lacks(there) && !replaced {
		r.PutBack = h.putBack(there, now)
		// Memcached may have lost the record of a renewal that this sidecar did not see.
		r.Wait = there == nil && !h.Upstream && h.DueByAge(now, 0) <= Rebuild && left > 2*Rebuild
	}
	if there != nil && there.Token != "" && there.Number > mine.Number {
		return r // newer, although it seems expired here: do not publish a lower number
	}
	r.Life = EntryLife(mine.Life(), left)
	switch {
	case entry == mine.Token:
		// If WeChat fails and the token is overdue, the entry must not expire. If WeChat has
		// returned the same one, it lives longer.
		r.Publish = p.Renewed || (h.DueByAge(now, 1) <= 0 && p.Stale)
	case known, p.Renewed:
		r.Publish = !replaced || p.Renewed
	case there == nil: // unclear for too long: the record is put back, and the next poll decides
	default:
		r.External = entry
		r.Renew = isClassic(mine)
		r.Publish = !r.Renew
	}
	return r
}

// isClassic reports whether each request to the API of r's token invalidates the one
// before it. The text is wechat.Token, as records have it.
func isClassic(r *memcache.Record) bool { return r.API == "token" }

// lacks reports whether the record in memcached is missing, or older than the held one.
// Two tokens can have the same number if the record of the first was lost: then it is
// unknown which came last.
func (h *Held) lacks(there *memcache.Record) bool {
	return there == nil || there.Token == "" || there.Number < h.Record.Number ||
		(there.Number == h.Record.Number && there.Token != h.Record.Token)
}

// putBack returns the record to write over there. It is the held record itself, unless
// there has a higher number, a doubt of its own, or an unknown token.
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
		if isClassic(back) {
			back.Doubt, back.Claim = now.Wall.Unix(), "" // it is unknown which came last
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
