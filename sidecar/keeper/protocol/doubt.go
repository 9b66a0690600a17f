package protocol

import (
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
)

const (
	// lostFor is how long a request whose answer was lost can still be on its way.
	lostFor = time.Minute
	// claimFor is how far ahead of its claim a doubt is: another sidecar sees it within
	// a poll of 15 s, and a minute later the request has arrived.
	claimFor = 75 * time.Second
	// doubtMost is how far ahead a doubt can be: twice claimFor. More than that counts as
	// now: its writer's clock is off, or it was written by hand.
	doubtMost = 2 * claimFor
)

// Doubt is a time from which one more renewal is owed, because a request may have issued
// a token that no sidecar holds. A record has one: a Unix time, and the id of the claim or
// mark that wrote it. Its zero value is no doubt.
type Doubt struct {
	At int64
	By string
}

func doubtOf(r *memcache.Record) Doubt { return Doubt{r.Doubt, r.Claim} }

// doubtSight is the first sight of a doubt.
type doubtSight struct {
	doubt Doubt
	since time.Time     // monotonic
	delay time.Duration // from then on until a renewal is owed
	until time.Duration // from then on until another sidecar may renew, see Promise
	grace time.Duration // from then on until WeChat refuses the token, if the request in doubt issued another
}

// maxDoubts bounds the doubts that are remembered. Few exist at a time.
const maxDoubts = 4

// seeDoubt remembers when the doubt of r was first seen.
//
// A renewal for a doubt must be sent after the request in doubt has arrived. Otherwise
// that request supersedes it. So it waits for 60 s after the first sight, on the monotonic
// clock, and until the time of the doubt if that is later.
func (h *Held) seeDoubt(r *memcache.Record, now Now) {
	if r.Doubt == 0 || h.find(doubtOf(r)) != nil {
		return
	}
	ahead := time.Unix(r.Doubt, 0).Sub(now.Wall)
	if ahead > doubtMost {
		ahead = 0
	}
	until := min(max(ahead-(claimFor-lostFor), 0), lostFor)
	grace := min(max(ahead, 0), claimFor) - claimFor + Grace
	if h.same(r) && h.Record.Doubt > 0 { // the claim of a renewal that a doubt caused
		until = min(until, h.doubt(h.Record).promise(now))
		grace = min(grace, h.doubt(h.Record).graceLeft(now))
	}
	h.doubts = append(h.doubts, doubtSight{doubt: doubtOf(r), since: now.Mono, delay: max(ahead, lostFor), until: until, grace: grace})
	if len(h.doubts) > maxDoubts {
		h.doubts = append([]doubtSight(nil), h.doubts[1:]...)
	}
}

func (h *Held) find(d Doubt) *doubtSight {
	for i := range h.doubts {
		if h.doubts[i].doubt == d {
			return &h.doubts[i]
		}
	}
	return nil
}

// doubt returns the sight of r's doubt. A doubt that was never seen, or was forgotten,
// counts as due, and survives the next renewal.
func (h *Held) doubt(r *memcache.Record) doubtSight {
	if d := h.find(doubtOf(r)); d != nil {
		return *d
	}
	return doubtSight{doubt: doubtOf(r)}
}

func (d doubtSight) dueIn(now Now) time.Duration {
	if d.since.IsZero() {
		return 0
	}
	return d.delay - now.Mono.Sub(d.since)
}

// promise returns how long WeChat accepts the token at least. If the request in doubt
// issued another one, the renewal that is owed ends the grace period of this one at once.
// Another sidecar may have seen the doubt earlier, and renew first: if the answer to a
// claim's request is lost, a minute after the claim
// (sidecar/keeper/testdata/stories/lost_answer.txt).
func (d doubtSight) promise(now Now) time.Duration {
	if d.since.IsZero() {
		return 0
	}
	return max(0, d.until-now.Mono.Sub(d.since))
}

// graceLeft returns what is left of the grace period, if the request in doubt issued another
// token.
func (d doubtSight) graceLeft(now Now) time.Duration {
	if d.since.IsZero() {
		return 0
	}
	return d.grace - now.Mono.Sub(d.since)
}

// Surviving returns the doubt of r that a success keeps. A success clears its own
// doubts, and every other one that was due before the request was sent.
func (h *Held) Surviving(r *memcache.Record, sent Now, own ...string) Doubt {
	if r == nil || r.Doubt == 0 {
		return Doubt{}
	}
	for _, id := range own {
		if id != "" && id == r.Claim {
			return Doubt{}
		}
	}
	if d := h.find(doubtOf(r)); d != nil && d.dueIn(sent) <= 0 {
		return Doubt{}
	}
	return doubtOf(r)
}

// Unsettled is the doubt that a sidecar owes after it sent a request, until its success,
// a definite no, or a mark of its own is in memcached. Its zero value owes nothing.
type Unsettled struct {
	// At is the Unix time of the doubt: now if the answer is known and cannot be
	// written, a minute after the request if the answer was lost.
	At int64
}

// Owes reports whether a mark must be written.
func (u Unsettled) Owes() bool { return u.At != 0 }

// Lost returns what is owed after the answer to a request was lost.
func Lost(sent Now) Unsettled { return Unsettled{At: sent.Wall.Add(lostFor).Unix()} }

// Unwritten returns what is owed if a fetched token cannot be written.
func Unwritten(now Now) Unsettled { return Unsettled{At: now.Wall.Unix()} }

// Mark returns the record that announces a doubt to every sidecar: the newest of there
// and the held record, with a doubt not later than owed. An earlier doubt keeps its time,
// but not its id, so that no sidecar takes this doubt for one that it saw long ago. Call
// it after h adopted there.
func (h *Held) Mark(there *memcache.Record, owed int64, id, by string, now Now) *memcache.Record {
	marked := &memcache.Record{V: memcache.RecordVersion, By: by}
	switch {
	case h.Valid(now):
		marked = h.Record.Clone()
	case there != nil:
		marked.API, marked.Past = there.API, there.PastAfter("")
	}
	marked.Doubt, marked.Claim = owed, id
	for _, r := range []*memcache.Record{there, h.Record} {
		if r != nil && r.Doubt > 0 && r.Doubt < marked.Doubt {
			marked.Doubt = r.Doubt
		}
	}
	marked.Number = h.NextNumber(now)
	h.Stamp(marked, now)
	return marked
}
