package keeper

import (
	"maps"
	"strconv"
	"time"

	"github.com/wxsidecar/wxsidecar/memcache"
	"github.com/wxsidecar/wxsidecar/sidecar/keeper/protocol"
	"github.com/wxsidecar/wxsidecar/sidecar/wechat"
)

// State is how a credential is doing, for probes, metrics and people.
type State struct {
	AppID string
	Kind  memcache.Kind
	// Valid: there is a live credential to give, published or not. What follows
	// up to Doubtful is zero where there is none.
	Valid bool
	// Published: memcached held it under the AppID when last looked at.
	Published bool
	// Fingerprint names the credential.
	Fingerprint string
	// API is how it was fetched, and By the sidecar that did.
	API wechat.API
	By  string
	// Age is how old it is, Left how long it lives, by the more pessimistic of
	// both clocks.
	Age, Left time.Duration
	// RenewalIn is when this sidecar would renew it; below 0 where it is overdue.
	RenewalIn time.Duration
	// Promise is how long an app is promised that WeChat accepts it, see Grant.
	Promise time.Duration
	// Doubtful: a call may have issued another one that nobody holds.
	Doubtful bool
	// Err is why the last renewal failed, at the time Failed, and Retry when the
	// next one may be tried; nil and zero after a success.
	Err           *Error
	Failed, Retry time.Time
	// Today is what all sidecars did today: as of the last renewal, and what this
	// one tried since.
	Today memcache.Day
	// Counts is what this sidecar did.
	Counts Counts
}

// Counts count since the sidecar started. None ever goes down.
type Counts struct {
	// Renewed: calls to WeChat that brought a credential.
	Renewed uint64
	// Failed: renewals that failed, by errcode. -1 is WeChat's for "busy", and
	// ours where there was no readable answer or no AppSecret; 429 is our own
	// budget; OtherCode is any that WeChat does not document.
	Failed map[string]uint64
	// Adopted: renewals of other sidecars that this one saw.
	Adopted uint64
	// Rejections: reports of the newest credential known.
	Rejections uint64
	// Strays: external credentials found in the entry.
	Strays uint64
	// Contended: renewals that found that another sidecar has the lease.
	Contended uint64
}

// OtherCode stands for every errcode that WeChat does not document: whatever it
// answers, there are only so many to count.
const OtherCode = "other"

// failed counts a renewal that failed.
func (n *Counts) failed(code int) {
	name := OtherCode
	if code == budgetCode || wechat.Documented(code) {
		name = strconv.Itoa(code)
	}
	if n.Failed == nil {
		n.Failed = map[string]uint64{}
	}
	n.Failed[name]++
}

// count changes the counts.
func (c *credential) count(change func(*Counts)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.counts)
}

// state returns what probes, metrics and people see.
func (c *credential) state() State {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	s := State{
		AppID: c.account.AppID, Kind: c.kind, Published: c.polls.published, Today: c.held.DayOf(dateOf(now.Wall)), Counts: c.counts,
	}
	s.Counts.Failed = maps.Clone(c.counts.Failed)
	if c.needed(now) {
		s.Err, s.Failed, s.Retry = c.backoff.err, c.backoff.since, c.backoff.until
	}
	if c.held.Valid(now) {
		record := c.held.Record
		s.Valid, s.Doubtful = true, record.Doubt > 0
		s.Fingerprint, s.API, s.By = memcache.Fingerprint(record.Token), wechat.API(record.API), record.By
		s.Promise, _ = c.held.Promise(now)
		s.Age, s.Left, s.RenewalIn = c.held.Age(now), c.held.Left(now), c.dueIn(now)
	}
	return s
}

// needed reports whether a renewal is needed, or would fail for now. Otherwise a report
// that came too soon after another would show as long as the token is valid. The caller
// holds mu.
func (c *credential) needed(now protocol.Now) bool {
	return !c.held.Valid(now) || c.held.DueIn(now, c.spread) <= 0 || c.reports.owns(&c.held) || now.Mono.Before(c.backoff.until)
}

// dateOf is WeChat's day, as in memcache.Day.
func dateOf(now time.Time) int {
	y, m, d := now.In(protocol.Beijing).Date()
	return 10_000*y + 100*int(m) + d
}
