package protocol

import (
	"slices"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
)

// Why says why a renewal is wanted. Its zero value means that the credential is due,
// or missing.
type Why struct {
	// Invalid is the token that WeChat refused.
	Invalid string
	// Proven is true if a sidecar handed the report over: it needs no throttle. The renewal
	// is wanted only while the token counts as reported.
	Proven bool
	// External is true if the entry had an external token: that is proof, and no app's word.
	External bool
	// Ask is true if the upstream is asked because it is time to.
	Ask bool
}

// IsReport reports whether a token was refused.
func (w Why) IsReport() bool { return w.Invalid != "" }

// Wants reports whether the renewal is still wanted. Call it after h adopted the newest
// record.
func (h *Held) Wants(why Why, now Now, spread float64) bool {
	switch {
	case !h.Valid(now), why.Ask:
		return true
	case why.IsReport():
		return h.Record.Token == why.Invalid && (!why.Proven || h.IsReported())
	}
	return h.DueIn(now, spread) <= 0
}

// Serves reports whether there is a token to give while another sidecar renews.
func (h *Held) Serves(why Why, now Now) bool {
	return h.Valid(now) && (!why.IsReport() || h.Record.Token != why.Invalid)
}

// PlanFor reports whether a request is planned: it renews a valid token that is due by
// its age. A doubt does not change that. The budget never refuses a planned request.
// every is the least time between two planned requests: half of the age at which a token
// is due. If it is shorter than the budget's window, planned requests would be unbounded,
// and none is planned. It is 0 for a token that WeChat returned again: its requests are 10 s
// apart at least.
func (h *Held) PlanFor(why Why, now Now) (every time.Duration, planned bool) {
	if why.IsReport() || !h.Valid(now) || h.DueByAge(now, 0) > 0 {
		return 0, false
	}
	if h.Record.Again {
		return 0, true
	}
	every = DueAfter(h.Record.Life(), 0) / 2
	return every, every >= BudgetWindow
}

// Claim returns the record that announces a request to WeChat: what was read, with a
// doubt and the claim's id, under a new number. The number above it is reserved for its
// success. read is nil if there is no record. A claim without a token names in its past
// what the sidecar holds and the token of the entry, so that no sidecar takes that for
// external.
func (h *Held) Claim(read *memcache.Record, entry, id, by string, now Now) *memcache.Record {
	claim := &memcache.Record{V: memcache.RecordVersion, By: by}
	if read != nil && h.Valid(now) && h.same(read) { // an expired token is not written again
		claim = read.Clone()
	} else if read != nil {
		claim.API, claim.Doubt = read.API, read.Doubt
	}
	if claim.Token == "" {
		for _, r := range []*memcache.Record{read, h.Record} {
			if r != nil {
				claim.Past = slices.Concat(r.PastAfter(""), claim.Past)
			}
		}
		if entry != "" {
			claim.Past = append([]string{memcache.Fingerprint(entry)}, claim.Past...)
		}
		claim.Past = unique(claim.Past)
	}
	own := now.Wall.Add(claimFor).Unix()
	if claim.Doubt < own || claim.Doubt > now.Wall.Add(doubtMost).Unix() {
		claim.Doubt = own
	}
	claim.Claim = id
	claim.Number = h.NextNumber(now)
	h.Stamp(claim, now)
	return claim
}

// unique returns the first MaxPast different fingerprints.
func unique(past []string) []string {
	var all []string
	for _, f := range past {
		if f != "" && !slices.Contains(all, f) {
			all = append(all, f)
		}
	}
	return all[:min(len(all), memcache.MaxPast)]
}

// TakeBack returns the record that ends a claim whose request issued nothing: what was
// read before it, with the same doubt, under the number that the claim reserved.
// Otherwise every refusal would shorten the promise of a healthy token. there is the
// record in memcached. If it is another sidecar's, which keeps the doubt of the claim,
// only that doubt ends, see sidecar/keeper/testdata/stories/take_back.txt. reported, if
// not empty, is the fingerprint of the reported token that is handed over.
func (h *Held) TakeBack(before, claim, there *memcache.Record, reported string, now Now) *memcache.Record {
	back := there.Clone()
	back.Doubt, back.Claim = 0, ""
	switch {
	case before == nil:
	case there.Number == claim.Number && claim.Token != "":
		back = before.Clone()
	default:
		back.Doubt, back.Claim = before.Doubt, before.Claim
	}
	back.Number = max(claim.Number, there.Number) + 1
	if reported != "" {
		back.Reported = reported
	}
	h.Stamp(back, now)
	return back
}

// Fetched is the credential that a request brought.
type Fetched struct {
	Token string
	Life  time.Duration
	API   string
	By    string
	Sent  Now
	// Doubtless is true if the API gives every sidecar the same credential, or invalidates
	// none: all doubts end.
	Doubtless bool
}

// Success returns the record of a fetched token. older are the records that it replaces,
// or nil: the one in memcached, the one before the claim, and the one that this sidecar
// held when the request was sent. What this sidecar adopted since then can be of a later
// request, see sidecar/keeper/testdata/stories/late_answer.txt. own are the ids of this
// sidecar's claim and marks.
func (h *Held) Success(f Fetched, number int64, older []*memcache.Record, now Now, own ...string) *memcache.Record {
	issued := f.Sent.Wall.Unix()
	r := &memcache.Record{
		V: memcache.RecordVersion, Token: f.Token, Number: number, API: f.API, By: f.By,
		Issued: issued, Expires: issued + int64(f.Life/time.Second),
	}
	r.Age = max(0, int64(now.Mono.Sub(f.Sent.Mono)/time.Second))
	r.Again = IsAgain(h.Last() == f.Token, f.Life)
	for _, before := range older {
		if before == nil {
			continue
		}
		r.Again = r.Again || IsAgain(before.Token == f.Token, f.Life)
		r.Past = unique(slices.Concat(r.Past, before.PastAfter(f.Token)))
		if survivor := h.Surviving(before, f.Sent, own...); !f.Doubtless && survivor.At > 0 && (r.Doubt == 0 || survivor.At < r.Doubt) {
			r.Doubt, r.Claim = survivor.At, survivor.By
		}
	}
	return r
}
