package protocol

import (
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
)

// A sidecar without the AppSecret asks an upstream: sidecars that have it. That invalidates
// nothing, so it needs no claim, and WeChat's budget does not bound it.
const (
	// UpstreamAPI is the API of a record whose credential an upstream gave.
	UpstreamAPI = "upstream"
	// UpstreamPollLife is how long all sidecars count on one having asked.
	UpstreamPollLife = 11 * time.Second
	// movedBy is by how much the end of a credential, or of its promise, must differ to be
	// written again: answers have whole seconds, and take some.
	movedBy = 5 * time.Second
	// laggingFor is how long every answer must have a lower number until it is believed: a
	// sidecar of the upstream that lags adopts the newer record within a poll.
	laggingFor = 45 * time.Second
	// lifeInDoubt is the least life that is told to other sidecars while a token is in doubt:
	// the upstream gives it to its own apps too, and the others ask again within that time.
	lifeInDoubt = 30 * time.Second
)

// Answer is what an upstream answered.
type Answer struct {
	Token string
	// Number is the number of the upstream's record.
	Number int64
	// Life is how long WeChat accepts the token, as the upstream knows, and Promise what it
	// promises.
	Life, Promise time.Duration
	// Sent is when the question was sent.
	Sent Now
}

// FromUpstream returns the record to write after an answer of the upstream; nil if the
// record in memcached is as good. Call it after h adopted that. It always has a fresh
// number: the upstream's numbers are compared with each other alone.
func (h *Held) FromUpstream(a Answer, by string, now Now) *memcache.Record {
	switch {
	case !h.Valid(now):
		return h.taken(a, by, now)
	case a.Token == h.Record.Token:
		return h.moved(a, by, now)
	case a.Number > h.Record.UpstreamNumber, h.IsReported():
		return h.taken(a, by, now)
	case h.Record.Lagging == 0:
		r := h.Record.Clone()
		r.Lagging, r.Number = now.Wall.Unix(), h.NextNumber(now)
		h.Stamp(r, now)
		return r
	case now.Mono.Sub(h.lagging) >= laggingFor:
		return h.taken(a, by, now)
	}
	return nil
}

// taken returns the record of an answer.
func (h *Held) taken(a Answer, by string, now Now) *memcache.Record {
	r := &memcache.Record{
		V: memcache.RecordVersion, Token: a.Token, Number: h.NextNumber(now), API: UpstreamAPI, By: by,
		Issued: a.Sent.Wall.Unix(), UpstreamNumber: a.Number, Promised: seconds(min(a.Promise, a.Life)),
	}
	r.Expires = r.Issued + seconds(a.Life)
	r.Age = max(0, seconds(now.Mono.Sub(a.Sent.Mono)))
	if h.Record != nil {
		r.Past = h.Record.PastAfter(a.Token)
	}
	return r
}

// moved returns the record of the same token if its number or its end is another, or if the
// answers before had lower numbers; nil if not.
func (h *Held) moved(a Answer, by string, now Now) *memcache.Record {
	held, age := h.Record, h.Age(a.Sent)
	promised := time.Duration(held.Promised)*time.Second - age
	near := (a.Life-h.Left(a.Sent)).Abs() <= movedBy && (a.Promise-max(promised, time.Second)).Abs() <= movedBy
	if held.Lagging == 0 && (a.Number < held.UpstreamNumber || a.Number == held.UpstreamNumber && near) {
		return nil
	}
	r := h.taken(a, by, now)
	r.UpstreamNumber, r.Reported = max(a.Number, held.UpstreamNumber), held.Reported
	return r
}

// seeLagging remembers when answers with lower numbers were first seen in the record that is
// held from now on.
func (h *Held) seeLagging(r *memcache.Record, now Now) {
	switch {
	case r.Lagging == 0:
		h.lagging = time.Time{}
	case h.Record == nil || h.Record.Lagging != r.Lagging:
		h.lagging = now.Mono
	}
}

// ToDownstream returns the number of the valid credential, and how long it remains valid, for
// sidecars that ask this one. In doubt it is what is left of the grace period, if the request
// in doubt issued another token.
func (h *Held) ToDownstream(now Now) (number int64, life time.Duration) {
	life = h.Left(now)
	if h.Record.Doubt > 0 && !h.Ticket {
		life = min(life, max(h.doubt(h.Record).graceLeft(now), lifeInDoubt))
	}
	return h.Record.Number, max(life.Truncate(time.Second), time.Second)
}

// promised returns what is left of the upstream's promise, at least 1 s; 0 if no upstream
// gave the credential.
func (h *Held) promised(now Now) time.Duration {
	if h.Record.Promised == 0 {
		return 0
	}
	p := min(time.Duration(h.Record.Promised)*time.Second-h.Age(now), h.Left(now))
	return max(p, time.Second).Truncate(time.Second)
}

// UpstreamDueIn returns the time until the upstream renews the valid credential, as far as
// its promise says; 0 if that has ended.
func (h *Held) UpstreamDueIn(now Now) time.Duration {
	if h.Ticket {
		return max(0, h.promised(now)-time.Second) // the least promise is 1 s
	}
	return max(0, h.promised(now)-promiseMargin)
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }
